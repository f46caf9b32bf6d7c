"""Write a normalisation behind the layers that it follows."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Container
from typing import Final

from torch import nn

from unvanish.core.records import Site
from unvanish.treat.anatomy import Layer
from unvanish.treat.patch.optimisers import spelt
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work, same_line

REMEDIES: Final = frozenset({"batch-norm", "layer-norm", "rms-norm", "group-norm"})

_LAYERS: Final = {
    f"torch.nn.{cls.__name__}": keyword
    for classes, keyword in (
        ((nn.Linear,), "out_features"),
        (
            (
                nn.Conv1d,
                nn.Conv2d,
                nn.Conv3d,
                nn.ConvTranspose1d,
                nn.ConvTranspose2d,
                nn.ConvTranspose3d,
            ),
            "out_channels",
        ),
    )
    for cls in classes
}
_NORMS: Final = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.GroupNorm,
)


def rewrite(work: Work) -> None:
    """Write the normalisation behind every layer of the receipt.

    Raises:
        NoSafeEditError: If a layer is not made by a call of its class, or the same code makes
            layers that stay as they are.
    """
    places = {edit.place for edit in work.receipt.edits}
    treated = list(work.layers(places))
    if {layer.path for layer in treated} != places:
        raise NoSafeEditError("a normalisation stands where no layer of its own does")
    lines = [layer.site.built for layer in treated if not work.makers(layer.site).alone]
    for layer in work.anatomy.layers:
        stays = layer.path not in places
        if stays and any(same_line(layer.site.built, line) for line in lines):
            raise NoSafeEditError(f"{layer.site.built} also makes {layer.path}, which stays")
    for layer in treated:
        _write(work, layer, _norm_of(work.model, layer))


def _norm_of(model: nn.Module, layer: Layer) -> nn.Module:
    """Return the normalisation that a treated layer was given."""
    for child in model.get_submodule(layer.path).children():
        if isinstance(child, _NORMS):
            return child
    raise NoSafeEditError(f"{layer.path} holds no normalisation of PyTorch's")


def _write(work: Work, layer: Layer, norm: nn.Module) -> None:
    source, call = made_by(work, layer.site, _LAYERS)
    if call is None:
        where = layer.site.built or layer.site.source
        raise NoSafeEditError(f"{where} makes {layer.path} by no call of a torch.nn class")
    made = _made(source, norm, outputs_of(source, call))
    whole = with_wrappers(source, call)
    if is_listed(source, whole):
        source.insert_after(whole, f", {made}")
    else:
        source.replace(
            whole, f"{source.spell('torch.nn.Sequential')}({source.segment(whole)}, {made})"
        )


def with_wrappers(source: Source, call: ast.Call) -> ast.Call:
    """Return a call that makes a layer with what parametrises its weight: ``weight_norm(...)``."""
    outer = source.parent(call)
    while isinstance(outer, ast.Call) and outer.args[:1] == [call]:
        if not source.meaning(outer.func).startswith("torch.nn.utils."):
            break
        call, outer = outer, source.parent(outer)
    return call


def made_by(work: Work, site: Site, classes: Container[str]) -> tuple[Source, ast.Call | None]:
    """Return the call of one of some classes that made a module, and its file."""
    makers = work.makers(site)
    if makers.calls:
        return makers.source, makers.calls[0]
    calls = makers.source.nodes(ast.Call, makers.line)
    found = (call for call in calls if makers.source.meaning(call.func) in classes)
    return makers.source, next(found, None)


def outputs_of(source: Source, call: ast.Call) -> str:
    """Return the text that says how many outputs a layer has."""
    made = source.meaning(call.func)
    place = 0 if "Lazy" in made else 1
    keyword = _LAYERS[made.replace("Lazy", "")]
    for given in call.keywords:
        if given.arg == keyword:
            return source.segment(given.value)
    if len(call.args) > place and not any(isinstance(a, ast.Starred) for a in call.args):
        return source.segment(call.args[place])
    raise NoSafeEditError(f"line {call.lineno} does not say how many outputs its layer has")


def _made(source: Source, norm: nn.Module, outputs: str) -> str:
    name = source.spell(f"torch.nn.{type(norm).__name__}")
    groups = f"{norm.num_groups}, " if isinstance(norm, nn.GroupNorm) else ""
    return f"{name}({groups}{outputs}{_options(norm)})"


def _options(norm: nn.Module) -> str:
    """Return the settings of a normalisation that are not PyTorch's own, as arguments."""
    known = inspect.signature(type(norm)).parameters
    told = ""
    for option in ("eps", "momentum"):
        value = getattr(norm, option, None)
        if option in known and value is not None and value != known[option].default:
            told += f", {option}={spelt(float(value))}"
    return told


def is_listed(source: Source, call: ast.Call) -> bool:
    """Tell whether a layer stands in a list of modules that run one after the other."""
    parent = source.parent(call)
    if isinstance(parent, ast.Call):
        return source.meaning(parent.func) == "torch.nn.Sequential"
    if not isinstance(parent, ast.List | ast.Tuple):
        return False
    holder = source.parent(parent)
    if isinstance(holder, ast.Call) and source.meaning(holder.func) == "torch.nn.ModuleList":
        return False
    others = [e for e in parent.elts if isinstance(e, ast.Call) and e is not call]
    return any(source.meaning(e.func) not in _LAYERS for e in others)
