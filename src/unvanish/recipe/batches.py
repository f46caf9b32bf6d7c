"""Bring the user's batches into one shape, and move them to a device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch.nn.utils.rnn import PackedSequence

from unvanish.core.errors import BatchError
from unvanish.recipe.usercode import reported, surroundings


def checked_batch(batch: object, origin: str, where: str = "") -> object:
    """Check that something is a batch.

    Args:
        batch: What the user's code returned; a list counts as a tuple.
        origin: Where it comes from, such as ``"batch()"``.
        where: File and line, where they are known.

    Returns:
        ``(inputs, target)``, a dict, or the inputs alone.

    Raises:
        BatchError: If it is none of these.
    """
    if isinstance(batch, list) or (type(batch) is tuple and len(batch) == 1):
        batch = tuple(batch) if len(batch) != 1 else batch[0]
    line = "return inputs, target"
    if batch is None:
        raise BatchError(f"{origin} returned nothing", where=where, help=line)
    if isinstance(batch, torch.utils.data.DataLoader | torch.utils.data.Dataset):
        kind = "DataLoader" if isinstance(batch, torch.utils.data.DataLoader) else "Dataset"
        loader = "loader" if kind == "DataLoader" else "DataLoader(dataset, batch_size=32)"
        raise BatchError(
            f"{origin} gave a {kind}, not a batch",
            where=where,
            help=f"def data(): return {loader}",
        )
    if isinstance(batch, bool | int | float | str | bytes):
        raise BatchError(
            f"{origin} gave {type(batch).__name__} {batch!r}, not a batch of tensors",
            where=where,
            help=line,
        )
    if isinstance(batch, tuple | Mapping) and not batch:
        raise BatchError(f"{origin} gave an empty {type(batch).__name__}", where=where, help=line)
    if type(batch) is tuple and len(batch) > 2:
        count = len(batch)
        raise BatchError(
            f"{origin} gave {count} values; unvanish cannot tell inputs from target",
            where=where,
            help=f"return (first, ..., input_{count - 1}), target",
        )
    if any(type(leaf).__module__ == "numpy" for leaf in _leaves(batch)):
        raise BatchError(
            f"{origin} gave numpy arrays, not tensors",
            where=where,
            help="return torch.from_numpy(x).float(), torch.from_numpy(y)",
        )
    if any(isinstance(leaf, torch.Tensor) and leaf.is_meta for leaf in _leaves(batch)):
        raise BatchError(
            f"{origin} gave tensors on the meta device: they have shapes and no numbers",
            where=where,
            help="make them on the CPU: torch.randn(32, 10), without device='meta'",
        )
    return batch


def _leaves(batch: object) -> Iterator[object]:
    if isinstance(batch, Mapping):
        batch = tuple(batch.values())
    if isinstance(batch, tuple | list):
        for part in batch:
            yield from _leaves(part)
    else:
        yield batch


def moved(thing: object, device: torch.device | None) -> object:
    """Return tensors, however nested, on a device; everything else as it is."""
    if device is None:
        return thing
    if isinstance(thing, Mapping) and not hasattr(thing, "to"):
        return {key: moved(value, device) for key, value in thing.items()}
    if isinstance(thing, PackedSequence):  # its lengths stay on the CPU
        return thing.to(device=device)  # type: ignore[call-arg]
    if isinstance(thing, tuple) and hasattr(thing, "_make"):  # a named tuple
        return thing._make(moved(value, device) for value in thing)
    if isinstance(thing, tuple | list):
        return type(thing)(moved(value, device) for value in thing)
    return thing.to(device) if hasattr(thing, "to") else thing


def _is_one_batch(source: object) -> bool:
    """Tell whether something is inputs and their target rather than two batches of inputs."""
    if not isinstance(source, tuple) or len(source) != 2:
        return False
    if not all(isinstance(part, torch.Tensor) and part.ndim for part in source):
        return False
    inputs, target = source
    alike = inputs.shape[1:] == target.shape[1:] and inputs.dtype == target.dtype
    return len(inputs) == len(target) and not alike


def _is_sample(batch: object) -> bool:
    """Tell whether inputs and target are a single sample: the target is one number."""
    target = batch[-1] if isinstance(batch, tuple | list) and len(batch) == 2 else None
    is_number = isinstance(target, int | float) and not isinstance(target, bool)
    return is_number or (isinstance(target, torch.Tensor) and target.ndim == 0)


class Batches(Iterable[object]):
    """The user's data, drawn once and replayed as often as needed.

    Each batch is drawn when it is first asked for, so that endless data is fine, and kept,
    so that a second pass meets the same batches.

    Args:
        source: The iterable the user gave.
        origin: Its name in errors, such as ``"data()"``.
        where: File and line of it, where they are known.
        folders: What its code expects on ``sys.path``.
        device: Where to move each batch; None to leave it.
    """

    def __init__(
        self,
        source: object,
        *,
        origin: str,
        where: str = "",
        folders: Sequence[str] = (),
        device: torch.device | None = None,
    ) -> None:
        self._origin = origin
        self._where = where
        self._folders = folders
        self._device = device
        self._drawn: list[object] = []
        self._gives_samples = isinstance(source, torch.utils.data.IterableDataset)
        self._source = self._opened(source)

    def __iter__(self) -> Iterator[object]:
        position = 0
        while position < len(self._drawn) or self._draw():
            yield self._drawn[position]
            position += 1

    @property
    def first(self) -> object:
        """The first batch.

        Raises:
            BatchError: If there is none.
        """
        for batch in self:
            return batch
        raise BatchError(
            f"{self._origin} is empty: it gives no batch",
            where=self._where,
            help="let it yield (inputs, target) at least once; a DataLoader with drop_last=True "
            "drops a data set smaller than one batch",
        )

    def after_first(self) -> Iterable[object]:
        """Return the batches after the first one, as often as they are asked for."""
        return _AfterFirst(self)

    def _draw(self) -> bool:
        with surroundings(self._folders), reported(f"drawing from {self._origin}", kind=BatchError):
            try:
                batch = next(self._source)
            except StopIteration:
                return False
        number = len(self._drawn) + 1
        if self._gives_samples and _is_sample(batch):
            raise BatchError(
                f"{self._origin} is an IterableDataset that gives single samples, not batches",
                where=self._where,
                help="def data(): return DataLoader(dataset, batch_size=32)",
            )
        checked = checked_batch(batch, f"batch {number} of {self._origin}", self._where)
        self._drawn.append(moved(checked, self._device))
        return True

    def _opened(self, source: object) -> Iterator[object]:
        help = "def data(): return DataLoader(dataset, batch_size=32)"
        if isinstance(source, torch.Tensor):
            raise BatchError(
                f"{self._origin} is one tensor, not batches", where=self._where, help=help
            )
        if _is_one_batch(source):
            raise BatchError(
                f"{self._origin} is one pair of tensors, inputs and target, not batches",
                where=self._where,
                help="def data(): return zip(inputs.split(32), target.split(32))",
            )
        is_samples = isinstance(source, torch.utils.data.Dataset)
        if is_samples and not isinstance(source, torch.utils.data.IterableDataset):
            raise BatchError(
                f"{self._origin} is a Dataset: single samples, not batches",
                where=self._where,
                help=help,
            )
        with surroundings(self._folders):
            try:
                return iter(source)  # type: ignore[call-overload, no-any-return]
            except TypeError:
                raise BatchError(
                    f"{self._origin} is not iterable: it is {type(source).__name__}",
                    where=self._where,
                    help=help,
                ) from None


class _AfterFirst(Iterable[object]):
    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[object]:
        rest = iter(self._batches)
        next(rest, None)
        yield from rest
