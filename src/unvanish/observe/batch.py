"""Batches as users write them, and the tensors inside of outputs as libraries nest them."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from unvanish.core.errors import BatchError

TARGET_KEYS: Final = ("labels", "label", "target", "targets", "y")
"""Keywords under which a batch holds its target."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One probe batch.

    Attributes:
        inputs: What the model is called with: a tensor or any object as one argument, a
            tuple as several, a mapping as keywords. A tuple or mapping that ``forward`` cannot
            take in parts is one argument too.
        target: What the loss compares the output with; None where the batch has none.
    """

    inputs: Any
    target: Any = None

    @property
    def size(self) -> int:
        """Samples in the batch: length of the first tensor's first dimension, or 0."""
        if isinstance(self.inputs, PackedSequence):
            return int(self.inputs.batch_sizes[0])
        for tensor in tensors_in(self.inputs):
            if tensor.ndim:
                return int(tensor.shape[0])
        return 0


def as_batch(batch: Any, model: nn.Module) -> Batch:
    """Split what the user calls a batch into inputs and target.

    ``(inputs, target)``; ``(x1, x2, ..., target)``; a mapping for the model's keywords,
    with the target among them or not; a bare tensor where the loss needs no target.

    Raises:
        BatchError: If the batch is empty.
    """
    if isinstance(batch, Batch):
        split = batch
    elif isinstance(batch, Mapping):
        split = _split_mapping(batch, model)
    elif isinstance(batch, PackedSequence):
        split = Batch(batch)
    elif isinstance(batch, (tuple, list)) and len(batch) == 2:
        split = Batch(batch[0], batch[1])
    elif isinstance(batch, (tuple, list)) and len(batch) == 1:
        split = Batch(batch[0])
    elif isinstance(batch, (tuple, list)) and len(batch) > 2:
        split = Batch(tuple(batch[:-1]), batch[-1])
    else:
        split = Batch(batch)
    _check(split)
    return split


def _split_mapping(batch: Mapping[str, Any], model: nn.Module) -> Batch:
    if set(batch) <= {"inputs", "target"} and "inputs" in batch:
        return Batch(batch["inputs"], batch.get("target"))
    target = next((batch[key] for key in TARGET_KEYS if key in batch), None)
    try:
        accepted = inspect.signature(model.forward).parameters
    except (TypeError, ValueError):
        return Batch(dict(batch), target)
    inputs = dict(batch)
    if not any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
        inputs = {key: value for key, value in batch.items() if key in accepted}
        if not _takes(model, **inputs):
            if _takes(model, batch):  # a model that takes its batch apart by itself
                return Batch(batch, target)
            inputs = {k: v for k, v in batch.items() if k in accepted or k not in TARGET_KEYS}
    return Batch(inputs, target)


def left_out(batch: Any, split: Batch) -> str:
    """Say which parts of a mapping ``forward`` does not know; empty where it is given all."""
    if not isinstance(batch, Mapping) or not isinstance(split.inputs, Mapping):
        return ""
    known = {*split.inputs, *TARGET_KEYS, "inputs", "target"}
    unknown = ", ".join(repr(key) for key in batch if key not in known)
    return f"forward does not take {unknown}: left out of the batch" if unknown else ""


def _takes(model: nn.Module, *arguments: Any, **keywords: Any) -> bool:
    """Tell whether ``forward`` can be called with these arguments, as far as can be told."""
    try:
        inspect.signature(model.forward).bind(*arguments, **keywords)
    except TypeError:
        return False
    except ValueError:
        pass
    return True


def _check(batch: Batch) -> None:
    for role, part in (("input", batch.inputs), ("target", batch.target)):
        for tensor in tensors_in(part):
            if tensor.numel() == 0:
                raise BatchError(
                    f"the {role} of the batch is empty: a tensor of shape {tuple(tensor.shape)}",
                    help="return at least one sample, better 32, from batch() or data()",
                )


def call_model(model: nn.Module, inputs: Any) -> Any:
    """Call a model the way the shape of its inputs says, and its ``forward`` lets it."""
    if isinstance(inputs, PackedSequence):
        return model(inputs)
    if isinstance(inputs, tuple):
        whole = not _takes(model, *inputs) and _takes(model, inputs)
        return model(inputs) if whole else model(*inputs)
    if isinstance(inputs, Mapping) and all(isinstance(key, str) for key in inputs):
        whole = not _takes(model, **inputs) and _takes(model, inputs)
        return model(inputs) if whole else model(**inputs)
    return model(inputs)


def map_tensors(value: Any, change: Any) -> Any:
    """Rebuild a nested value with every tensor replaced by ``change(tensor)``."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_tensors(v, change) for v in value))
    if isinstance(value, (tuple, list)):
        return type(value)(map_tensors(v, change) for v in value)
    if isinstance(value, Mapping):
        changed = {k: map_tensors(v, change) for k, v in value.items()}
        return changed if type(value) is dict else _filled(value, changed)
    return value


def _filled(mapping: Mapping[Any, Any], values: dict[Any, Any]) -> Mapping[Any, Any]:
    """Return a mapping of the same class with other values, where it can be written to."""
    try:
        twin: Any = copy.copy(mapping)
        if hasattr(mapping, "data") and twin.data is mapping.data:
            twin.data = dict(values)
        else:
            twin.update(values)
    except Exception:
        return values
    return twin  # type: ignore[no-any-return]


def tensors_in(value: Any, *, depth: int = 6) -> Iterator[Tensor]:
    """Yield every tensor nested in tuples, mappings, dataclasses and plain objects."""
    if isinstance(value, Tensor):
        yield value
    elif depth <= 0 or value is None or isinstance(value, (str, bytes, int, float, type)):
        return
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item, depth=depth - 1)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item, depth=depth - 1)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from tensors_in(getattr(value, field.name, None), depth=depth - 1)
    elif isinstance(value, torch.distributions.Distribution) or hasattr(value, "__dict__"):
        if isinstance(value, nn.Module):
            return
        for item in vars(value).values():
            yield from tensors_in(item, depth=depth - 1)


def own_loss(output: Any) -> Tensor | None:
    """Return the loss that a model computed itself, as Hugging Face models do."""
    loss = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if isinstance(loss, Tensor) and loss.numel() == 1:
        return loss
    return None


def main_output(output: Any) -> Tensor | None:
    """Return the tensor a loss would most likely use: ``logits``, else the first float one."""
    named = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if isinstance(named, Tensor):
        return named
    floats = (t for t in tensors_in(output) if t.is_floating_point() or t.is_complex())
    return next((t for t in floats if t.ndim), None)


def output_said(output: Any) -> str:
    """Say which of several floating tensors `main_output` takes; empty where it has no choice."""
    if isinstance(output, Mapping):
        parts = dict(output)
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        parts = {f.name: getattr(output, f.name, None) for f in dataclasses.fields(output)}
    elif isinstance(output, (tuple, list)):
        names = getattr(output, "_fields", range(len(output)))
        parts = dict(zip(names, output, strict=False))
    else:
        return ""
    chosen = main_output(output)
    floats = {
        key: part
        for key, part in parts.items()
        if isinstance(part, Tensor) and part.is_floating_point() and part.ndim
    }
    key = next((key for key, part in floats.items() if part is chosen), None)
    if key is None or len(floats) < 2:
        return ""
    others = ", ".join(f"{other!r}" for other in floats if other != key)
    return f"of the output it is given {key!r}, not {others}"
