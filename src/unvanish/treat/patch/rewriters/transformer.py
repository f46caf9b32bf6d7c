"""Write the normalisation of PyTorch's transformer layers at the beginning of their branches."""

from __future__ import annotations

import ast
from typing import Final

from torch import nn

from unvanish.treat.patch.optimisers import files_of
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work

REMEDIES: Final = frozenset({"pre-norm"})

_LAYER: Final = "torch.nn.TransformerEncoderLayer"
_STACK: Final = "torch.nn.TransformerEncoder"


def rewrite(work: Work) -> None:
    """Write ``norm_first=True`` into the layer, and one normalisation behind the stack.

    Raises:
        NoSafeEditError: If the layers are not PyTorch's, or are made in several places.
    """
    owners = [
        work.model.get_submodule(place.rpartition(".")[0]) for place in work.prescription.places
    ]
    if not all(isinstance(owner, nn.TransformerEncoderLayer) for owner in owners):
        raise NoSafeEditError("its blocks are your own: the norm is to be moved by hand")
    source, layer = _only(work, _LAYER)
    source.set_keyword(layer, "norm_first", "True")
    if not any(name.startswith("final_norm") for one in owners for name, _ in one.named_children()):
        return
    source, stack = _only(work, _STACK)
    told = {one.arg for one in stack.keywords}
    if "norm" in told or len(stack.args) > 2:
        raise NoSafeEditError(f"line {stack.lineno} says a norm of its own")
    norm = source.spell("torch.nn.LayerNorm")
    # A stack whose layers begin with a norm takes no nested tensors, and would warn of it.
    has_said = any(one.arg == "enable_nested_tensor" for one in stack.keywords)
    source.set_keyword(
        stack,
        "norm",
        f"{norm}({_width(source, layer)})",
        also="" if has_said else ", enable_nested_tensor=False",
    )


def _only(work: Work, wanted: str) -> tuple[Source, ast.Call]:
    found = [
        (source, call)
        for source in files_of(work)
        for call in source.nodes(ast.Call)
        if source.meaning(call.func) == wanted
    ]
    if len(found) != 1:
        name = wanted.rpartition(".")[2]
        raise NoSafeEditError(f"{name} is called in {len(found) or 'no'} places of the files")
    return found[0]


def _width(source: Source, layer: ast.Call) -> str:
    given = next((one.value for one in layer.keywords if one.arg == "d_model"), None)
    given = given or (layer.args[0] if layer.args else None)
    if given is None:
        raise NoSafeEditError(f"line {layer.lineno} does not say how wide the layer is")
    return source.segment(given)
