"""Are the samples of a batch its rows, and does a network treat each of them by itself?"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.observe.batch import Batch, as_batch, call_model, tensors_in
from unvanish.observe.copies import copied
from unvanish.observe.guard import seed_everything, untouched
from unvanish.observe.loss import compute_loss
from unvanish.prove.freezing import PLAIN, fresh, is_packed, raw, rebuilt

_CLOSE: Final = {torch.float64: 1e-8, torch.complex128: 1e-8, torch.float32: 1e-4}
_CLOSE_ENOUGH: Final = 2e-2
"""Relative difference that rounding may make, in a number format without a value of its own."""
_SEED: Final = 0

Layout = tuple[Any, ...]
"""What two batches must have in common for their rows to be of one kind."""


def row_layout(batch: Any) -> tuple[int, Layout] | None:
    """Tell how many rows a batch has, and of what kind they are.

    Args:
        batch: Tensors, nested in tuples, lists and mappings; plain values beside them are part
            of the kind.

    Returns:
        The number and the kind; None where its tensors do not share a first dimension.
    """
    if is_packed(batch):
        return None
    counts: set[int] = set()
    layout = _layout(batch, counts)
    if layout is None or len(counts) != 1:
        return None
    (count,) = counts
    return (count, layout) if not _says(layout, count) else None


def _layout(part: Any, counts: set[int], *, listed: bool = False) -> Layout | None:
    if isinstance(part, Tensor):
        if part.is_nested or part.layout is not torch.strided or not part.ndim:
            return None
        counts.add(part.shape[0])
        return ("tensor", part.dtype, tuple(part.shape[1:]), part.requires_grad)
    if isinstance(part, PLAIN):
        return None if listed else (type(part).__name__, part)
    if isinstance(part, Batch):
        part = {"inputs": part.inputs, "target": part.target}
    if isinstance(part, Mapping):
        inner = [(key, _layout(value, counts)) for key, value in part.items()]
        return None if any(each is None for _, each in inner) else ("mapping", *inner)
    if isinstance(part, tuple | list):
        listed = isinstance(part, list)
        parts = [_layout(value, counts, listed=listed) for value in part]
        return None if any(each is None for each in parts) else (type(part).__name__, *parts)
    return None


def _says(layout: Layout, count: int) -> bool:
    """Tell whether a plain value of a batch is the number of its rows."""
    if layout[0] == "int" and layout[1] == count and count > 1:
        return True
    if layout[0] in {"tensor", "int", "str", "float", "bool", "NoneType"}:
        return False
    parts = [each[1] for each in layout[1:]] if layout[0] == "mapping" else layout[1:]
    return any(_says(part, count) for part in parts)


def joined(batches: Sequence[Any]) -> Any:
    """Return one batch with the rows of all, which must be of one kind."""
    columns = zip(*(list(_in_order(batch)) for batch in batches), strict=True)
    whole = iter([torch.cat([part.detach() for part in column]) for column in columns])
    return rebuilt(batches[0], lambda old: next(whole).requires_grad_(old.requires_grad))


def taken(whole: Any, rows: Tensor) -> Any:
    """Return some rows of a batch, copied."""
    return rebuilt(
        whole,
        lambda t: t.detach().index_select(0, rows.to(t.device)).requires_grad_(t.requires_grad),
    )


def row_keys(batch: Any) -> list[int]:
    """Return one number for each row, equal where the rows are, by all chances."""
    columns = [raw(tensor).numpy() for tensor in _in_order(batch)]
    return [hash(b"".join(c[i].tobytes() for c in columns)) for i in range(len(columns[0]))]


def _in_order(batch: Any) -> Iterator[Tensor]:
    found: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    rebuilt(batch, note)
    return iter(found)


def rows_are_independent(
    model: nn.Module, batch: Any, loss: Callable[..., Any] | str | bool | None = False
) -> bool:
    """Tell whether a network, and its loss, treat the rows of a batch one by one.

    Some of the rows, in another order, must give the same outputs; numbers put into the other
    rows that are none must not reach them, which shows a dependence too small to be seen in
    the outputs of a sick network. A second call must answer as the first, or a state is carried
    from batch to batch. The mean or sum of the loss over parts must be the loss.

    Args:
        model: Called in evaluation mode; left as it was.
        batch: A batch with a layout of rows.
        loss: The loss, None for an inferred one; False leaves it out.
    """
    layout = row_layout(batch)
    if layout is None or layout[0] < 2:
        return False
    count = layout[0]
    order = torch.randperm(count, generator=torch.Generator().manual_seed(_SEED))
    some = order[: count // 2]
    with untouched(model, seed=_SEED) as snapshot:
        asked = _Asked(model, snapshot.restore)
        whole, part = asked(batch), asked(taken(batch, some))
        if whole is None or part is None or not _same_rows(whole, part, some, count):
            return False
        if _reached(asked, batch, order, count) or not asked.is_same_again(batch, whole):
            return False
        calm = copied(loss) if isinstance(loss, nn.Module) else loss
        return loss is False or _adds_up(asked, batch, order, calm)


class _Asked:
    """A network that is called again and again from the same state."""

    def __init__(self, model: nn.Module, restore: Callable[[], None]) -> None:
        self._model, self._restore = model, restore
        self._with_gradients = False

    def __call__(self, raw_batch: Any) -> Any | None:
        """Return the output; None where the network cannot take the batch."""
        for with_gradients in (False, True) if not self._with_gradients else (True,):
            with contextlib.suppress(Exception), torch.set_grad_enabled(with_gradients):
                output = self._call(raw_batch)
                self._with_gradients = with_gradients
                return output
        return None

    def _call(self, raw_batch: Any) -> Any:
        self._restore()
        self._model.eval()
        seed_everything(_SEED)
        return call_model(self._model, as_batch(fresh(raw_batch), self._model).inputs)

    def is_same_again(self, raw_batch: Any, before: Any) -> bool:
        """Tell whether a second call answers as the first did, with no state carried over."""
        kept, self._restore = self._restore, _nothing
        try:
            if self(raw_batch) is None:
                return False
            after = self(raw_batch)
        finally:
            self._restore = kept
        pairs = zip(_row_tensors(before), _row_tensors(after), strict=False)
        return after is not None and all(a.shape == b.shape and _close(a, b) for a, b in pairs)

    def loss(self, raw_batch: Any, loss: Any) -> float:
        """Return the loss of a batch; ``nan`` where there is none."""
        output = self(raw_batch)
        with contextlib.suppress(Exception):
            split = as_batch(fresh(raw_batch), self._model)
            with torch.set_grad_enabled(self._with_gradients):
                return float(compute_loss(loss, output, split)[0].detach())
        return math.nan

    @contextlib.contextmanager
    def poisoned(self, rows: Tensor, count: int) -> Iterator[None]:
        """Let every embedding of the batch's own numbers give no number for some rows."""

        def spoil(_module: nn.Module, inputs: Any, output: Any) -> Any:
            if not isinstance(output, Tensor) or not output.ndim or output.shape[0] != count:
                return output
            places = torch.arange(count, device=output.device)
            if isinstance(inputs[0], Tensor) and torch.equal(inputs[0], places):
                return output  # positions, not samples
            return output.index_fill(0, rows.to(output.device), math.nan)

        self._restore()
        tables = [m for m in self._model.modules() if isinstance(m, nn.Embedding)]
        handles = [table.register_forward_hook(spoil) for table in tables]
        kept, self._restore = self._restore, _nothing
        try:
            yield
        finally:
            self._restore = kept
            for handle in handles:
                handle.remove()


def _nothing() -> None:
    """Put nothing back."""


def _row_tensors(output: Any) -> list[Tensor]:
    return [tensor.detach() for tensor in tensors_in(output) if tensor.ndim]


def _same_rows(whole: Any, part: Any, rows: Tensor, count: int) -> bool:
    """Tell whether the outputs of some rows are those rows of all outputs."""
    before, after = _row_tensors(whole), _row_tensors(part)
    if not before or len(before) != len(after):
        return False
    for all_rows, some in zip(before, after, strict=True):
        along = next((d for d in (0, 1) if all_rows.shape[d : d + 1] == (count,)), None)
        if along is None:
            return False
        expected = all_rows.index_select(along, rows.to(all_rows.device))
        if expected.shape != some.shape or not _close(expected, some):
            return False
    return True


def _close(a: Tensor, b: Tensor) -> bool:
    if not (a.is_floating_point() or a.is_complex()):
        return bool((a == b).all())
    near = _CLOSE.get(a.dtype, _CLOSE_ENOUGH)
    finite = a[a.isfinite()].abs()
    scale = float(finite.max()) if finite.numel() else 1.0
    return bool(torch.isclose(a, b, rtol=near, atol=near * scale, equal_nan=True).all())


def _reached(asked: _Asked, batch: Any, order: Tensor, count: int) -> bool:
    """Tell whether what is no number in some rows of the input arrives in other rows."""
    clean, spoiled = order[: count // 2], order[count // 2 :]

    def spoil(tensor: Tensor) -> Tensor:
        new = tensor.detach().clone()
        if new.is_floating_point() or new.is_complex():
            new.index_fill_(0, spoiled.to(new.device), math.nan)
        return new.requires_grad_(tensor.requires_grad)

    whole = asked(batch)
    with asked.poisoned(spoiled, count):
        poisoned = asked(rebuilt(batch, spoil))
    if whole is None or poisoned is None:
        return False
    for before, after in zip(_row_tensors(whole), _row_tensors(poisoned), strict=False):
        along = 0 if before.shape[0] == count else 1
        if after.shape != before.shape:
            continue
        rows = clean.to(before.device)
        was, now = before.index_select(along, rows), after.index_select(along, rows)
        if bool((now.isnan() & ~was.isnan()).any()):
            return True
    return False


def _adds_up(asked: _Asked, batch: Any, order: Tensor, loss: Any) -> bool:
    """Tell whether the loss of all rows is the mean or the sum of the losses of its parts."""
    count = len(order)
    everything = torch.arange(count)
    value = asked.loss(batch, loss)
    mixed = asked.loss(taken(batch, order), loss)
    first = asked.loss(taken(batch, everything[: count // 2]), loss)
    second = asked.loss(taken(batch, everything[count // 2 :]), loss)
    if not all(map(math.isfinite, (value, mixed, first, second))):
        return False
    near = 1e-3 * max(abs(value), abs(first), abs(second)) + 1e-12
    if abs(mixed - value) > near:
        return False
    low, high = sorted((first, second))
    return low - near <= value <= high + near or abs(first + second - value) <= near
