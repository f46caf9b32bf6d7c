"""Keep batches as they were drawn, whatever is done to them afterwards, and compare them."""

from __future__ import annotations

import copy
import hashlib
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from unvanish.observe.batch import Batch, tensors_in
from unvanish.recipe.batches import moved

PLAIN: Final = (type(None), bool, int, float, str)
"""What may stand in a batch beside tensors and mean the same for every copy of it."""


def frozen(batch: Any, device: torch.device | None) -> Any:
    """Return a copy of a batch that nobody else holds, on a device.

    Args:
        batch: As the user gave it.
        device: Where to; None leaves it.
    """
    if isinstance(batch, Batch):
        return Batch(frozen(batch.inputs, device), frozen(batch.target, device))
    return fresh(moved(batch, device))


def fresh(batch: Any) -> Any:
    """Return a copy of a batch, so that a network that writes on its input spoils nothing."""
    return rebuilt(batch, _copied)


def rebuilt(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return a batch of the same build with every tensor replaced, in a fixed order.

    Args:
        batch: An object of a foreign class is copied as a whole.
        change: Gives the new tensor for the old one.
    """
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, PLAIN):
        return batch
    if isinstance(batch, Batch):
        return Batch(rebuilt(batch.inputs, change), rebuilt(batch.target, change))
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(rebuilt(part, change) for part in batch))
    if isinstance(batch, tuple | list):
        return type(batch)(rebuilt(part, change) for part in batch)
    if isinstance(batch, Mapping):
        return _refilled(batch, {key: rebuilt(part, change) for key, part in batch.items()})
    return copy.deepcopy(batch)


def bytes_of(batch: Any) -> int:
    """Return how much memory the tensors of a batch take."""
    return sum(tensor.numel() * tensor.element_size() for tensor in _tensors(batch))


def digest_of(batches: Iterable[Any]) -> str:
    """Return a hash of the content of batches: shapes, types and every number."""
    summed = hashlib.sha256()
    for batch in batches:
        for part in _contents(batch):
            summed.update(part)
        summed.update(b"|")
    return summed.hexdigest()


def _contents(part: Any) -> Iterator[bytes]:
    if isinstance(part, Tensor) and part.is_nested:
        yield from _contents(list(part.unbind()))
    elif isinstance(part, Tensor):
        yield f"{part.dtype}{tuple(part.shape)}".encode()
        is_dense = part.layout is torch.strided and part.numel()
        yield raw(part).numpy().tobytes() if is_dense else repr(part).encode()
    elif isinstance(part, PLAIN):
        yield repr(part).encode()
    elif isinstance(part, Batch):
        yield from _contents((part.inputs, part.target))
    elif isinstance(part, Mapping):
        yield from _contents([each for item in part.items() for each in item])
    elif isinstance(part, tuple | list):
        for each in part:
            yield from _contents(each)
    elif found := list(tensors_in(part)):
        yield from _contents(found)
    else:
        try:
            yield pickle.dumps(part)
        except Exception:  # an object that cannot be written is equal to itself alone
            yield str(id(part)).encode()


def raw(tensor: Tensor) -> Tensor:
    """Return the bytes of a dense tensor on the CPU, one row for each of its rows."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    rows = plain.shape[0] if plain.ndim else 1
    return plain.reshape(rows, -1).view(torch.uint8)


def _tensors(batch: Any) -> Iterable[Tensor]:
    return tensors_in((batch.inputs, batch.target) if isinstance(batch, Batch) else batch)


def _copied(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)


def _refilled(mapping: Mapping[Any, Any], values: dict[Any, Any]) -> Any:
    """Return a mapping of the same class with other values, where it can be written to."""
    if type(mapping) is dict:
        return values
    try:
        twin: Any = copy.copy(mapping)
        if hasattr(mapping, "data") and twin.data is mapping.data:
            twin.data = values
        else:
            twin.update(values)
    except Exception:
        return values
    return twin


def is_packed(batch: Any) -> bool:
    """Tell whether sequences of several lengths are packed into a batch."""
    if isinstance(batch, PackedSequence):
        return True
    if isinstance(batch, Mapping):
        return any(is_packed(part) for part in batch.values())
    if isinstance(batch, Batch):
        return is_packed(batch.inputs) or is_packed(batch.target)
    return isinstance(batch, tuple | list) and any(is_packed(part) for part in batch)
