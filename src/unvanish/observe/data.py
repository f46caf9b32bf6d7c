"""The tensors of the batch: what they hold, and the step that computes with them first.

A tensor is followed through calls that only move its numbers, and no further: what comes
out of ``x / 255`` is not the data any more, and nothing said of ``x`` holds for it.
"""

from __future__ import annotations

import dataclasses
import math
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from unvanish.core.conditions import DataRole, DataTensor
from unvanish.core.glossary import Quantity
from unvanish.core.operations import VIEW_OPS, Node
from unvanish.observe.association import associations
from unvanish.observe.batch import TARGET_KEYS, Batch
from unvanish.observe.statistics.magnitude import dense_values, mean64, norm64

if TYPE_CHECKING:
    from unvanish.observe.graph import Graph

_KEEPS_SCALE: Final = (VIEW_OPS - {"masked_fill", "copy", "copy_slices"}) | frozenset(
    "T mT t pad dropout interpolate avg_pool1d avg_pool2d max_pool1d max_pool2d".split()
)
"""Calls after which the numbers are the same ones, or a mean or a choice among them."""

_CONVOLUTIONS: Final = ("conv", "batch_norm", "instance_norm", "group_norm")
_FEWEST_CALLS: Final = 4
"""Calls of one step from which on a network may read a sequence step by step."""

_CONSTANT: Final = 1e-12
"""Variance over squared mean below which only rounding makes a tensor vary."""


@dataclass(slots=True)
class DataUses:
    """Follows the batch through one forward pass.

    Attributes:
        first: Name of a tensor to the autograd node that computes with it first.
        parts: Name to a part of a target, such as the column of one task.
    """

    first: dict[str, Node] = field(default_factory=dict)
    parts: dict[str, Tensor] = field(default_factory=dict)
    _names: dict[int, tuple[weakref.ref[Tensor], tuple[str, ...]]] = field(default_factory=dict)

    def begin(self, batch: Batch, standing: Mapping[str, Tensor]) -> None:
        """Declare the tensors of a batch, as the model is going to be called with them.

        Args:
            batch: The batch.
            standing: Data that does not come with it, by name.
        """
        for name, tensor in (*named_tensors(batch), *standing.items()):
            self._call(tensor, (*self._named(tensor), name))

    def see(
        self, op: str, inputs: Sequence[Tensor], outputs: Iterable[Tensor], node: Node | None
    ) -> None:
        """Take note of a call.

        Args:
            op: What was called.
            inputs: Tensors that went in.
            outputs: Tensors that came out.
            node: The node that stands for the call; None where it left none behind.
        """
        found = [(t, names) for t in inputs if (names := self._named(t))]
        if not found:
            return
        if op not in _KEEPS_SCALE:
            if node is not None:
                for name in dict.fromkeys(n for _, names in found for n in names):
                    self.first.setdefault(name, node)
            for tensor in outputs:
                self._names.pop(id(tensor), None)  # written in place
            return
        for tensor in outputs:
            kept = dict.fromkeys(n for t, names in found if _whole(t, tensor) for n in names)
            self._call(tensor, tuple(kept) or tuple(self._part(found, tensor)))

    def _part(self, found: Sequence[tuple[Tensor, tuple[str, ...]]], part: Tensor) -> Iterator[str]:
        """Yield the name of a part of a target of the batch."""
        whole = next((name for _, names in found for name in names), "")
        if whole.startswith(DataRole.TARGET.value) and part.is_floating_point() and part.ndim:
            name = f"{whole} (part {len(self.parts) + 1})"
            self.parts[name] = part
            yield name

    def _named(self, tensor: Tensor) -> tuple[str, ...]:
        entry = self._names.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else ()

    def _call(self, tensor: Tensor, names: tuple[str, ...]) -> None:
        self._names[id(tensor)] = (weakref.ref(tensor), names)


def entry_values(op: str, tensor: Tensor) -> dict[Quantity, Tensor | float]:
    """Measure what enters a layer straight from the data.

    Args:
        op: The layer's operation.
        tensor: Its input.

    Returns:
        Size, offset and spread of the features; nothing for a constant.
    """
    if tensor.layout is not torch.strided or tensor.ndim == 0 or tensor.numel() == 0:
        return {}
    with torch.no_grad():
        values = tensor.detach()
        if values.dtype in (torch.float16, torch.bfloat16):
            values = values.float()
        axis = 1 if op.startswith("conv") and values.ndim > 2 else values.ndim - 1
        rows = [d for d in range(values.ndim) if d != axis]
        count = math.prod(values.shape[d] for d in rows)
        if count < 2:
            return {}
        variance, mean = (v.double() for v in torch.var_mean(values, rows))
        square = variance * ((count - 1) / count) + mean.square()
        energy = mean.square().sum()
        measured: dict[Quantity, Tensor | float] = {Quantity.INPUT_RMS: square.mean().sqrt()}
        if not bool(variance.sum() > _CONSTANT * energy):
            return {}
        measured[Quantity.INPUT_OFFSET] = (energy / variance.sum()).sqrt()
        sizes = square.sqrt()
        filled = torch.count_nonzero(values, dim=rows)
        dense = sizes[2 * filled > count]
        if dense.numel() > 1:
            usual = max(float(dense.median()), 1.0)
            measured[Quantity.INPUT_FEATURE_SPREAD] = dense.amax() / usual
        return measured


def named_tensors(batch: Batch) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a batch with their names, inputs before targets."""
    yield from named_in(DataRole.INPUT.value, batch.inputs, 6)
    yield from named_in(DataRole.TARGET.value, batch.target, 6)


def data_records(
    batch: Batch, standing: Mapping[str, Tensor], uses: DataUses, graph: Graph
) -> tuple[DataTensor, ...]:
    """Describe every tensor of a batch, inputs before targets.

    Args:
        batch: The batch as it was given.
        standing: Data that does not come with it, by name.
        uses: What one forward pass did with it.
        graph: The graph of that pass.

    Returns:
        One record a tensor; labels that the model itself is called with are targets, and so are
        parts of targets that a step computes with as they are.
    """
    labels = {
        f"{DataRole.INPUT.value}[{key!r}]"
        for key, value in (batch.inputs.items() if isinstance(batch.inputs, Mapping) else ())
        if key in TARGET_KEYS and value is batch.target
    }
    records: dict[tuple[DataRole, int], DataTensor] = {}
    repeats = any(site.call >= _FEWEST_CALLS for site in graph.sites)
    targets = [
        t for n, t in named_tensors(batch) if n.startswith(DataRole.TARGET.value) or n in labels
    ]
    for name, tensor in named_tensors(batch):
        is_target = name.startswith(DataRole.TARGET.value) or name in labels
        role = DataRole.TARGET if is_target else DataRole.INPUT
        node = uses.first.get(name)
        site = graph.index.get(node) if node is not None else None
        known = records.get((role, id(tensor)))
        if known is None:
            convolved = site is not None and graph.sites[site].op.startswith(_CONVOLUTIONS)
            known = _record(name, role, tensor, site, convolved=convolved)
            if repeats and not is_target:
                known = dataclasses.replace(known, association=associations(tensor, targets))
        records[role, id(tensor)] = dataclasses.replace(
            known, site=known.site if known.site is not None else site
        )
    for name, tensor in uses.parts.items():
        node = uses.first.get(name)
        site = graph.index.get(node) if node is not None else None
        if site is not None:
            records[DataRole.TARGET, id(tensor)] = _record(
                name, DataRole.TARGET, tensor, site, convolved=False
            )
    for name, tensor in standing.items():
        node = uses.first.get(name)
        site = graph.index.get(node) if node is not None else None
        records[DataRole.INPUT, id(tensor)] = _record(
            name, DataRole.INPUT, tensor, site, convolved=False
        )
    return tuple(sorted(records.values(), key=lambda record: record.role is DataRole.TARGET))


def named_in(name: str, value: Any, depth: int) -> Iterator[tuple[str, Tensor]]:
    """Walk a nested value exactly as `tensors_in` does, and name every tensor in it.

    Args:
        name: Name of the value.
        value: A tensor, a container, a dataclass or a plain object.
        depth: How many levels are walked.
    """
    if isinstance(value, Tensor):
        yield name, value
        return
    parts: Iterable[tuple[str, Any]] = ()
    if depth <= 0 or value is None or isinstance(value, (str, bytes, int, float, type)):
        return
    if isinstance(value, Mapping):
        parts = ((f"{name}[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, (tuple, list)):
        parts = ((f"{name}[{i}]", item) for i, item in enumerate(value))
    elif dataclasses.is_dataclass(value):
        names = (f.name for f in dataclasses.fields(value))
        parts = ((f"{name}.{key}", getattr(value, key, None)) for key in names)
    elif hasattr(value, "__dict__") and not isinstance(value, torch.nn.Module):
        parts = ((f"{name}.{key}", item) for key, item in vars(value).items())
    for key, item in parts:
        yield from named_in(key, item, depth - 1)


def _whole(before: Tensor, after: Tensor) -> bool:
    """Tell whether a tensor still holds all features of the one it was taken from."""
    if after.numel() >= before.numel():
        return True
    return before.ndim > 1 and after.ndim > 0 and before.shape[-1] == after.shape[-1]


def _record(
    name: str, role: DataRole, tensor: Tensor, site: int | None, *, convolved: bool
) -> DataTensor:
    dtype = str(tensor.dtype).removeprefix("torch.")
    plain = DataTensor(name=name, role=role, dtype=dtype, shape=tuple(tensor.shape), site=site)
    with torch.no_grad():
        values = dense_values(tensor)
        if values.numel() == 0 or values.is_quantized or values.device.type == "meta":
            return plain
        low, high = (float(v) for v in torch.aminmax(values.reshape(-1)))
        numbers = values if values.is_floating_point() else values.double()
        rms = float(norm64(numbers)) / math.sqrt(values.numel())
        mean = float(mean64(numbers))
        described = dataclasses.replace(
            plain,
            mean=mean,
            std=_std(numbers, rms, mean),
            low=low,
            high=high,
            negative_fraction=float(torch.count_nonzero(values < 0)) / values.numel(),
        )
        if not values.is_floating_point():
            return described
        spread = math.nan if convolved else _feature_spread(values)
        bad = values.numel() - int(torch.isfinite(values).sum()) if math.isnan(rms - rms) else 0
        return dataclasses.replace(described, rms=rms, feature_spread=spread, non_finite=bad)


def _std(values: Tensor, rms: float, mean: float) -> float:
    """Return the standard deviation; of the centred values where most of the rms is mean."""
    if abs(mean) < 0.9 * rms:
        return math.sqrt(max(rms * rms - mean * mean, 0.0))
    return float(norm64(values.double() - mean)) / math.sqrt(values.numel())


def _feature_spread(values: Tensor) -> float:
    """Return the largest rms of a feature over the median one.

    Features that are zero on most samples (one-hot codes, word counts) are left out: they
    are small by nature and large on the few samples that have them.
    """
    if values.ndim not in (2, 3) or values.shape[-1] < 2 or values.shape[:-1].numel() < 2:
        return math.nan
    table = values.reshape(-1, values.shape[-1])
    dense = 2 * torch.count_nonzero(table, dim=0) > len(table)
    sizes = torch.linalg.vector_norm(table, dim=0, dtype=torch.float64)[dense]
    if sizes.numel() < 2:
        return math.nan
    return float(sizes.amax() / sizes.median())
