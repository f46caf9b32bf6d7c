"""Write which dimension is the batch where a layer is made."""

from __future__ import annotations

import ast
from typing import Final

from torch import nn

from unvanish.treat.patch.optimisers import files_of
from unvanish.treat.patch.source import NoSafeEditError
from unvanish.treat.patch.work import Work

REMEDIES: Final = frozenset({"batch-first"})

_MADE_BY: Final = (
    (nn.RNNBase, frozenset({"torch.nn.LSTM", "torch.nn.GRU", "torch.nn.RNN"})),
    (
        nn.MultiheadAttention,
        frozenset(
            {
                "torch.nn.MultiheadAttention",
                "torch.nn.TransformerEncoderLayer",
                "torch.nn.TransformerDecoderLayer",
                "torch.nn.Transformer",
            }
        ),
    ),
    (nn.Softmax, frozenset({"torch.nn.Softmax"})),
    (nn.LogSoftmax, frozenset({"torch.nn.LogSoftmax"})),
)


def rewrite(work: Work) -> None:
    """Write ``batch_first=True`` into every layer that was set, or ``dim=-1`` into the softmax.

    Raises:
        NoSafeEditError: If no file makes such a layer, or several a softmax.
    """
    layer = work.model.get_submodule(work.prescription.places[0])
    names = next(names for kind, names in _MADE_BY if isinstance(layer, kind))
    made = [
        (source, call)
        for source in files_of(work)
        for call in source.nodes(ast.Call)
        if source.meaning(call.func) in names
    ]
    if not made:
        raise NoSafeEditError("none of the files makes the layer itself")
    if isinstance(layer, nn.RNNBase | nn.MultiheadAttention):
        for source, call in made:
            source.set_keyword(call, "batch_first", "True")
        return
    if len(made) != 1:
        raise NoSafeEditError(f"a softmax is made in {len(made)} places of the files")
    source, call = made[0]
    if call.args:
        source.replace(call.args[0], "-1")
    else:
        source.set_keyword(call, "dim", "-1")
