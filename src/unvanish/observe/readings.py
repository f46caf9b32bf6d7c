"""The numbers of one forward operation, kept as 0-d tensors until the look is over."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from unvanish.core.glossary import Quantity
from unvanish.core.operations import MATMUL_OPS, VIEW_OPS, Node
from unvanish.core.places import SourceLine
from unvanish.observe.statistics.attention import token_deviation
from unvanish.observe.statistics.magnitude import mean64, norm64
from unvanish.observe.statistics.samples import compare, sample_matrix
from unvanish.observe.statistics.slope import (
    ACTIVATIONS,
    Activation,
    SlopeReading,
    read_slope,
    slope_of,
)

_LOPSIDED: Final = 0.5
"""Mean over rms beyond which a layer's outputs are no longer random about zero.

Chance silences units symmetrically. Biases that push most of a layer to one side make its
samples alike by themselves, so the layer's input tells how alike the samples are.
"""

_WITHHELD: Final = (
    Quantity.OPERATING_DEAD_SHARE,
    Quantity.OPERATING_LEFT_SHARE,
    Quantity.OPERATING_RIGHT_SHARE,
)
_RANDOM_ACTIVATIONS: Final = frozenset({"rrelu"})
_CHANNELS_FIRST: Final = frozenset(
    "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d batch_norm "
    "group_norm instance_norm".split()
)
_SPREAD_OPS: Final = MATMUL_OPS | frozenset(
    {"add", "layer_norm", "batch_norm", "group_norm", "rms_norm", "instance_norm"}
)


@dataclass(slots=True)
class NodeNote:
    """What the forward pass showed about one autograd node."""

    node: Node
    op: str
    path: str = ""
    function: str = ""
    module: str = ""
    source: SourceLine | None = None
    built: SourceLine | None = None
    from_weights: bool = False
    packed: bool = False
    """Whether code of the user packs what the node keeps for its backward pass."""
    activation: Activation | None = None
    unit_dim: int = -1
    shape: tuple[int, ...] = ()
    values: dict[Quantity, Tensor | float] = field(default_factory=dict)
    alive: Tensor | None = None
    cosine_before: Tensor | float | None = None
    directions_before: Tensor | float | None = None
    cosine_in: Tensor | None = None
    low_precision: bool = False
    hooked: bool = False
    """Whether a hook of the user's sees the gradient that arrives, and may change it."""
    data: tuple[int, ...] = ()
    """Which pieces of data without a gradient the call read, by the call that made them."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a torch function, as the tape saw it.

    Attributes:
        function: What was called.
        name: The operation's name.
        rest: Positional arguments after the first.
        kwargs: Keyword arguments.
        before: Input of an activation function; a copy where the call worked in place;
            None for any other operation.
        output: The first output.
        source: The first tensor that went in; None where none did.
    """

    function: Callable[..., Any]
    name: str
    rest: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    before: Tensor | None
    output: Tensor
    source: Tensor | None = None


def is_wrapped(tensor: Tensor) -> bool:
    """Tell whether a tensor belongs to a running `torch.func` transform.

    It stands for many tensors, or for one on another transform's graph: its numbers cannot
    be read, and its nodes are none of the outer graph's.
    """
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(tensor))


def measure(note: NodeNote, call: Call, behind: Sequence[NodeNote], batch_size: int) -> None:
    """Fill in a note: size and mean of the output, spread over samples, slope.

    Args:
        note: The node that stands for the call.
        call: The call.
        behind: Notes of the nodes that made the call's inputs.
        batch_size: Samples in the batch.
    """
    lay_out(note, call, behind)
    output = call.output
    if call.name in VIEW_OPS:
        return
    with torch.no_grad():
        value = output.detach()
        if value.is_complex():
            value = torch.view_as_real(value)
        if not value.is_floating_point() or value.layout is not torch.strided:
            return
        size = max(1, value.numel())
        norm = norm64(value)
        note.values[Quantity.ACTIVATION_RMS] = norm / math.sqrt(size)
        note.values[Quantity.ACTIVATION_MEAN] = mean64(value)
        if not math.isfinite(float(norm)):
            bad = value.numel() - int(torch.isfinite(value).sum())
            note.values[Quantity.NON_FINITE_FRACTION] = bad / size
            return
        note.values[Quantity.NON_FINITE_FRACTION] = 0.0
        if call.name in _SPREAD_OPS:
            samples = sample_matrix(value, batch_size)
            if samples is not None:
                reading = compare(samples)
                note.values[Quantity.SAMPLE_COSINE] = reading.cosine
                note.values[Quantity.EFFECTIVE_RANK] = reading.rank
            apart = token_deviation(value, batch_size)
            if apart is not None:
                note.values[Quantity.TOKEN_DEVIATION] = apart
        if call.name in MATMUL_OPS and call.source is not None:
            cosine_in = _measure_input(note, call.source, batch_size)
            mean = abs(float(note.values[Quantity.ACTIVATION_MEAN]))
            if mean * math.sqrt(size) > _LOPSIDED * float(norm):
                note.cosine_in = cosine_in
    if call.before is not None and call.name not in _RANDOM_ACTIVATIONS:
        _measure_slope(note, call, call.before, behind, batch_size)


def lay_out(note: NodeNote, call: Call, behind: Sequence[NodeNote]) -> None:
    """Note the shape of a call's output, and along which dimension its units lie."""
    output = call.output
    note.shape = tuple(output.shape)
    note.low_precision = output.dtype in (torch.float16, torch.bfloat16)
    if call.name in _CHANNELS_FIRST:
        note.unit_dim = 1
    elif call.name not in MATMUL_OPS:
        note.unit_dim = behind[0].unit_dim if behind else (1 if output.ndim >= 4 else -1)


def _measure_slope(
    note: NodeNote, call: Call, before: Tensor, behind: Sequence[NodeNote], batch_size: int
) -> None:
    note.activation = ACTIVATIONS[call.name]
    if not before.numel():
        return  # an expert that no token was sent to
    slope = slope_of(call.function, call.name, before, call.output, call.rest, call.kwargs)
    with torch.no_grad():
        reading = read_slope(slope, note.activation, note.unit_dim, before.detach())
        note_withheld(note, reading)
        note.values[Quantity.SLOPE_RMS] = reading.rms
        note.values[Quantity.SLOPE_MAX] = reading.largest
        if reading.saturated is not None:
            note.values[Quantity.SATURATED_FRACTION] = reading.saturated
        if slope.ndim > 1:  # a bare vector has no samples to be silent on
            note.alive = reading.alive
        producer = behind[0] if behind else None
        known = producer.values if producer is not None else {}
        if producer is not None and producer.cosine_in is not None:
            note.cosine_before = producer.cosine_in
        elif Quantity.SAMPLE_COSINE in known:
            note.cosine_before = known[Quantity.SAMPLE_COSINE]
        if Quantity.INPUT_EFFECTIVE_RANK in known:
            note.directions_before = known[Quantity.INPUT_EFFECTIVE_RANK]
        elif Quantity.EFFECTIVE_RANK in known:
            note.directions_before = known[Quantity.EFFECTIVE_RANK]
        samples = None
        if note.cosine_before is None or note.directions_before is None:
            samples = _samples(before, batch_size)
        if samples is not None:
            alike = compare(samples)
            note.cosine_before = alike.cosine if note.cosine_before is None else note.cosine_before
            note.directions_before = alike.rank


def note_withheld(note: NodeNote, reading: SlopeReading) -> None:
    """Note where an activation withholds gradient, where that was read."""
    if reading.withheld is not None:
        for quantity, share in zip(_WITHHELD, reading.withheld, strict=True):
            note.values[quantity] = share


def _measure_input(note: NodeNote, source: Tensor, batch_size: int) -> Tensor | None:
    """Note how the samples differ that enter a layer; return their mean cosine, if any."""
    samples = _samples(source, batch_size)
    if samples is None or isinstance(source, torch.nn.Parameter):
        return None
    reading = compare(samples)
    note.values[Quantity.INPUT_SPREAD] = reading.spread
    note.values[Quantity.INPUT_EFFECTIVE_RANK] = reading.rank
    return reading.cosine


def _samples(tensor: Tensor, batch_size: int) -> Tensor | None:
    dense = tensor.layout is torch.strided and tensor.is_floating_point()
    if is_wrapped(tensor) or not dense:
        return None
    return sample_matrix(tensor.detach(), batch_size)
