"""Numbers of steps that PyTorch runs inside one call: attention's softmax, a cell's gates.

No call is seen for these steps, but their autograd nodes keep what they computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from unvanish.core.glossary import Quantity
from unvanish.observe.opaque import is_packing
from unvanish.observe.readings import Call, NodeNote, note_withheld
from unvanish.observe.statistics.attention import read_attention, shut_fraction, unmasked
from unvanish.observe.statistics.samples import compare, sample_matrix
from unvanish.observe.statistics.slope import ACTIVATIONS, read_slope

_GATES: Final = frozenset({"sigmoid", "hardsigmoid"})
_PARTING: Final = frozenset(
    "chunk split unsafe_split split_with_sizes tensor_split unbind getitem select narrow".split()
)
"""Operations that take several gates apart that one layer computed; the least open counts."""
_MOST_SAMPLES: Final = 8
_MOST_CHOICES: Final = 1024
_CELL_ACTIVATIONS: Final = {
    "tanh": lambda y: 1 - y.square(),
    "relu": lambda y: y > 0,
}
"""Activations that a recurrent layer runs inside, and their slopes by their results."""
_LAST: Final = 2**64 - 1
"""How an autograd node writes the axis -1."""


def read_inside(
    fresh: Sequence[NodeNote],
    call: Call,
    outputs: Sequence[Tensor],
    behind: Sequence[NodeNote],
    batch_size: int = 0,
) -> None:
    """Fill in the softmaxes, gates and activations among the nodes that one call left behind.

    Args:
        fresh: Notes of the nodes, none of them seen before.
        call: The call.
        outputs: All tensors that it returned.
        behind: Notes of the nodes that made its inputs.
        batch_size: Samples in the batch.
    """
    with torch.no_grad():
        last = {note.op: note for note in fresh if note.op in _CELL_ACTIVATIONS}
        if call.name in _PARTING and behind and Quantity.GATE_MEAN in behind[0].values:
            parts = [part.detach().mean(dtype=torch.float64) for part in outputs]
            fresh[-1].values[Quantity.GATE_MEAN] = torch.stack(parts).amin()
        for note in fresh:
            if note.from_weights:
                continue
            if note.op == "softmax":
                _read_softmax(note, call)
            elif note.op in _GATES:
                value = call.output if note.op == call.name else _kept(note)
                if value is not None:
                    note.values[Quantity.GATE_MEAN] = value.detach().mean(dtype=torch.float64)
            elif note.op == "glu" and call.source is not None:
                axis = call.rest[0] if call.rest else call.kwargs.get("dim", -1)
                _, gate = call.source.detach().chunk(2, axis)
                note.values[Quantity.GATE_MEAN] = gate.sigmoid().mean(dtype=torch.float64)
            elif note.op in last and note.activation is None:
                _read_activation(note, batch_size if note is last[note.op] else 0)


def _read_activation(note: NodeNote, batch_size: int) -> None:
    """Read the slopes of an activation, and how alike its samples are where there are some."""
    value = _kept(note)
    if value is None or value.ndim < 2 or not bool(torch.isfinite(value).all()):
        return
    note.activation, note.shape = ACTIVATIONS[note.op], tuple(value.shape)
    reading = read_slope(_CELL_ACTIVATIONS[note.op](value), note.activation, note.unit_dim, value)
    note_withheld(note, reading)
    note.values[Quantity.SLOPE_RMS] = reading.rms
    note.values[Quantity.SLOPE_MAX] = reading.largest
    if reading.saturated is not None:
        note.values[Quantity.SATURATED_FRACTION] = reading.saturated
    note.alive = reading.alive
    samples = sample_matrix(value, batch_size)
    if samples is not None:  # what is cut off at zero looks more alike than what went in
        alike = compare(samples)
        note.cosine_before, note.directions_before = alike.cosine, alike.rank


def _read_softmax(note: NodeNote, call: Call) -> None:
    probabilities: Tensor | None = call.output
    scores = call.source
    allowed = None
    if call.name == "softmax":
        axis = call.rest[0] if call.rest else call.kwargs.get("dim")
        over_keys = axis in (-1, call.output.ndim - 1)
    else:
        probabilities, scores, over_keys = _kept(note), None, True
        if probabilities is not None:
            axis = getattr(note.node, "_saved_dim", _LAST)
            over_keys = axis in (_LAST, probabilities.ndim - 1)
        if call.name == "scaled_dot_product_attention":
            if probabilities is None:
                probabilities = _recomputed(call)
            allowed = None if probabilities is None else _given_mask(call, probabilities.shape)
    if probabilities is None:
        return
    if not over_keys and _is_column(probabilities, axis):  # a score a token: (batch, tokens, 1)
        probabilities = probabilities.squeeze(-1)
        scores = None if scores is None else scores.squeeze(-1)
    elif not over_keys:
        return
    probabilities = probabilities.detach()
    if not probabilities.is_floating_point() or not bool(torch.isfinite(probabilities).all()):
        return
    reading = read_attention(probabilities, None if scores is None else scores.detach(), allowed)
    if reading is not None:
        note.values[Quantity.ATTENTION_ENTROPY] = reading.entropy
        note.values[Quantity.FROZEN_FRACTION] = reading.frozen
        note.values[Quantity.SCORE_SPREAD] = reading.spread
    if call.name == "softmax" and probabilities.shape[-1] <= _MOST_CHOICES:
        note.values[Quantity.SHUT_FRACTION] = shut_fraction(probabilities)


def _is_column(probabilities: Tensor, axis: int | None) -> bool:
    last = probabilities.ndim - 1
    return last > 1 and probabilities.shape[-1] == 1 and axis in (last - 1, -2)


def _kept(note: NodeNote) -> Tensor | None:
    """Return the output that a node keeps for its backward pass.

    Where the user's code packs what nodes keep (checkpoints), unpacking may run their code.
    """
    if is_packing():
        return None
    try:
        kept: Any = note.node._saved_result
    except (AttributeError, RuntimeError):
        return None
    return kept if isinstance(kept, Tensor) else None


def _arguments(call: Call) -> dict[str, Any]:
    names = ("key", "value", "attn_mask", "dropout_p", "is_causal")
    return {**dict(zip(names, call.rest, strict=False)), **call.kwargs}


def _given_mask(call: Call, shape: torch.Size) -> Tensor:
    """Return which keys `scaled_dot_product_attention` was told to look at."""
    arguments = _arguments(call)
    mask, device = arguments.get("attn_mask"), call.output.device
    if isinstance(mask, Tensor):
        allowed = unmasked(mask.detach())
    elif arguments.get("is_causal"):
        allowed = torch.ones(shape[-2:], dtype=torch.bool, device=device).tril()
    else:
        allowed = torch.ones((), dtype=torch.bool, device=device)
    try:
        return allowed.expand(shape)
    except RuntimeError:  # a mask for more samples than were looked at
        return allowed[: shape[0]].expand(shape)


def _recomputed(call: Call) -> Tensor | None:
    """Weigh the keys of some samples again, where the node's own weights are packed away."""
    arguments = _arguments(call)
    query, key = call.source, arguments.get("key")
    if query is None or not isinstance(key, Tensor) or query.ndim < 3:
        return None
    q, k = (t.detach()[:_MOST_SAMPLES].float() for t in (query, key))
    if q.ndim == 4 and k.shape[1] != q.shape[1]:
        k = k.repeat_interleave(q.shape[1] // k.shape[1], 1)
    scores = q @ k.mT * (arguments.get("scale") or q.shape[-1] ** -0.5)
    mask = arguments.get("attn_mask")
    if isinstance(mask, Tensor) and mask.dtype is not torch.bool:
        scores = scores + (mask[:_MOST_SAMPLES] if mask.ndim == scores.ndim else mask).detach()
    weights: Tensor = scores.masked_fill(~_given_mask(call, scores.shape), -torch.inf).softmax(-1)
    return weights
