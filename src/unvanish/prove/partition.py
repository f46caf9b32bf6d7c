"""Freeze the user's batches, and part them: to train on, to choose by, to judge by."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import torch
from torch import nn

from unvanish.core.errors import BatchError
from unvanish.observe.batch import Batch, as_batch, call_model, tensors_in
from unvanish.observe.guard import untouched
from unvanish.prove.freezing import bytes_of, digest_of, fresh, frozen
from unvanish.prove.rows import joined, row_keys, row_layout, rows_are_independent, taken
from unvanish.prove.splitting import (
    HELD_OUT,
    MOST_BATCHES,
    VALIDATION,
    classes_of,
    three_parts,
    without_repeats,
)
from unvanish.recipe.seeding import seeded
from unvanish.recipe.usercode import reported

_FEWEST_ROWS: Final = 50
"""With fewer rows than this a part of them would judge nothing."""
_FEWEST_BATCHES: Final = 4
"""With fewer whole batches than this none can be spared."""
_GOES_ON: Final = "the data go on"
"""How the note begins that says how much of longer or endless data was drawn."""
_PASS: Final = 1_000_003
"""Distance of the seed of one order of the batches from that of the next run's."""


@dataclass(frozen=True, kw_only=True)
class Partition:
    """Frozen data in three parts, the same for every arm of a trial.

    Attributes:
        training: One batch with all rows, or the whole batches.
        size: Rows of a training batch; 0 where whole batches are drawn.
        validation: Batches to choose by.
        held_out: Batches to judge by; empty where the user's metric judges.
        samples: How many samples the held-out part has.
        by_rows: Whether the parts are rows rather than whole batches.
        held_out_is_seen: Whether the training sees what it is judged by, for lack of data.
        notes: What a sceptical reader has to know, one sentence each.
    """

    training: Any = field(repr=False)
    size: int
    validation: tuple[Any, ...] = field(repr=False)
    held_out: tuple[Any, ...] = field(repr=False)
    samples: int = 0
    by_rows: bool
    held_out_is_seen: bool = False
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> Any:
        """The first training batch, which remedies that need data measure on; a copy."""
        if self.by_rows:
            return taken(self.training, torch.arange(self.size))
        return fresh(self.training[0])

    @property
    def rows(self) -> int:
        """Rows of the training part; 0 where it is whole batches."""
        layout = row_layout(self.training) if self.by_rows else None
        return layout[0] if layout else 0

    @property
    def batches(self) -> int:
        """Batches in one pass over the training part."""
        return self.rows // self.size if self.by_rows else len(self.training)

    def stream(self, seed: int) -> Iterator[Any]:
        """Yield training batches without end, each pass in an order of its own.

        Nothing global is drawn from: equal seeds give equal batches, whatever else happens.

        Args:
            seed: Decides the order.

        Yields:
            Batches that may be written on.
        """
        count = self.rows if self.by_rows else len(self.training)
        random = torch.Generator().manual_seed((seed * _PASS + count) % 2**63)
        while True:
            order = torch.randperm(count, generator=random)
            if not self.by_rows:
                yield from (fresh(self.training[int(number)]) for number in order)
                continue
            for rows in order.split(self.size):
                if len(rows) == self.size:
                    yield taken(self.training, rows)

    def digest(self) -> str:
        """Return a hash of the content of all parts."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        training = (self.training,) if self.by_rows else self.training
        return digest_of((*training, *self.validation, *self.held_out))


def partition(
    batches: Iterable[Any],
    model: nn.Module,
    *,
    wanted: int,
    keep_held_out: bool,
    seed: int = 0,
    most_bytes: int = 1 << 30,
    loss: Callable[..., Any] | str | bool | None = False,
    again: Callable[[], Iterable[Any]] | None = None,
    redraw: Callable[[int], Iterable[Any] | None] | None = None,
    is_example: bool = False,
) -> Partition:
    """Draw batches once, freeze them on the device of the network, and part them.

    Args:
        batches: The user's data; may be endless, and no more than needed is drawn.
        model: Asked whether it treats the rows of a batch one by one; left as it was.
        wanted: Training batches that a run would like to see without seeing one twice.
        keep_held_out: Whether a part is kept to judge by.
        seed: Decides what goes where.
        most_bytes: Nothing more is drawn beyond this.
        loss: If it mixes the rows of a batch, whole batches are kept; False leaves it unasked.
        again: Draws the data anew, to see whether they come out the same.
        redraw: Draws pass 1, 2, ... over data that may come out anew on every pass, as they do
            under augmentation. Used where no part is kept to judge by: what a sample of that
            part looks like in another pass could not be kept away from the training.
        is_example: Whether the batches were given to look at rather than to train on: they are
            not parted, since what can be learnt from one batch may not be there in another.

    Returns:
        The parts. Where the batches are too few, all three are the same.

    Raises:
        BatchError: If there is no batch, or drawing one fails.
    """
    device = next((p.device for p in model.parameters()), None)
    share = 1 - VALIDATION - (HELD_OUT if keep_held_out else 0)
    needed = max(4 * _FEWEST_BATCHES, math.ceil(max(wanted, 1) / share))
    drawn, limited = _drawn(batches, device, needed, most_bytes)
    notes = (*getattr(batches, "notes", ()), *limited)
    if again is not None and _differs(drawn[0], again, device):
        notes += (
            "the data differ when they are drawn again with the same seed; "
            "they were drawn once, and every run meets the same",
        )
    if is_example:
        _check(model, drawn[0])
        return _seen(_different(drawn), keep_held_out, notes)
    layouts = [row_layout(batch) for batch in drawn]
    kinds = {layout[1] if layout else None for layout in layouts}
    is_of_one_kind = None not in kinds and len(kinds) == 1
    further: list[Any] = []
    if redraw is not None and not keep_held_out and is_of_one_kind:
        missing = max(wanted, 1) - int(len(drawn) * share)
        further = _anew(drawn, redraw, seed, missing, most_bytes - sum(map(bytes_of, drawn)))
    if is_of_one_kind and rows_are_independent(model, drawn[0], loss):
        return _by_rows(drawn, further, model, keep_held_out, seed, notes)
    _check(model, drawn[0])
    return _by_batches(drawn, further, keep_held_out, seed, notes)


def _check(model: nn.Module, batch: Any) -> None:
    """Refuse a batch that the network takes neither in evaluation nor in training mode."""
    with untouched(model, seed=0) as snapshot:
        model.eval()
        with contextlib.suppress(Exception):
            call_model(model, as_batch(fresh(batch), model).inputs)
            return
        snapshot.restore()
        model.train()
        with reported("the network, given the first batch of the data,", kind=BatchError):
            call_model(model, as_batch(fresh(batch), model).inputs)


def _drawn(
    batches: Iterable[Any], device: torch.device | None, needed: int, most_bytes: int
) -> tuple[list[Any], tuple[str, ...]]:
    kept: list[Any] = []
    size = 0
    drawing = iter(batches)
    with reported("drawing from the data", kind=BatchError):
        for batch in drawing:
            kept.append(frozen(batch, device))
            size += bytes_of(kept[-1])
            if len(kept) >= needed or size >= most_bytes:
                break
    if not kept:
        raise BatchError(
            "the data give no batch",
            help="let data() yield (inputs, target) at least once",
        )
    if size >= most_bytes and len(kept) < needed:
        note = f"only the first {len(kept)} batches were used: {size / 2**20:.0f} MiB are enough"
        return kept, (note,)
    if len(kept) >= needed and _goes_on(drawing):
        samples = sum(_samples(batch) for batch in kept)
        note = (
            f"{_GOES_ON}: the first {len(kept)} batches, {samples} samples, were drawn, as "
            "many as a run can meet and be judged by"
        )
        return kept, (note,)
    return kept, ()


def _without_end(notes: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out that the data go on, where all that comes was there before."""
    return tuple(note for note in notes if not note.startswith(_GOES_ON))


def _goes_on(drawing: Iterator[Any]) -> bool:
    """Tell whether there is a further batch; one that cannot be drawn is nobody's loss."""
    try:
        return next(drawing, None) is not None
    except Exception:
        return False


def _anew(
    drawn: list[Any],
    redraw: Callable[[int], Iterable[Any] | None],
    seed: int,
    missing: int,
    room: int,
) -> list[Any]:
    """Return the batches of further passes, as long as every sample in them is a new one."""
    device = next((t.device for t in tensors_in(drawn[0])), None)
    first = row_layout(drawn[0])
    known = {key for batch in drawn for key in row_keys(batch)}
    kept: list[Any] = []
    number = 0
    while len(kept) < missing and room > 0:
        number += 1
        before = len(kept)
        with seeded(seed + number), reported("drawing from the data again", kind=BatchError):
            for given in redraw(number) or ():
                batch = frozen(given, device)
                layout = row_layout(batch)
                keys = row_keys(batch) if layout and first and layout[1] == first[1] else []
                if not keys or not known.isdisjoint(keys):
                    return kept
                known.update(keys)
                kept.append(batch)
                room -= bytes_of(batch)
                if len(kept) >= missing or room <= 0:
                    break
        if len(kept) == before:
            break
    return kept


def _differs(first: Any, again: Callable[[], Iterable[Any]], device: torch.device | None) -> bool:
    with reported("drawing from the data again", kind=BatchError):
        other = next(iter(again()), None)
    return other is not None and digest_of([first]) != digest_of([frozen(other, device)])


def _by_rows(
    drawn: list[Any],
    further: list[Any],
    model: nn.Module,
    keep: bool,
    seed: int,
    notes: tuple[str, ...],
) -> Partition:
    sizes = Counter((row_layout(batch) or (0,))[0] for batch in drawn)
    keys = [key for batch in drawn for key in row_keys(batch)]
    once = without_repeats(keys)
    if len(keys if once is None else once) < _FEWEST_ROWS:
        return _seen(_different(drawn), keep, notes)
    whole = joined(drawn)
    drawn.clear()  # what is large is not kept twice
    if once is not None:
        notes = _without_end(notes)
        notes += (f"the data come around again: {len(once)} different samples were kept",)
        whole, keys = taken(whole, torch.tensor(once)), [keys[i] for i in once]
    count, size = len(keys), sizes.most_common(1)[0][0]
    target = as_batch(whole, model).target
    train, validation, held_out = three_parts(classes_of(target, count), count, size, keep, seed)
    size = min(size, len(train))
    notes += (
        f"{count} samples: {len(train)} to train on, {len(validation)} to choose by"
        + (f", {len(held_out)} to judge by" if keep else ""),
    )
    trained = {keys[i] for i in train.tolist()}
    judged = held_out if keep else validation
    same = sum(keys[i] in trained for i in judged.tolist())
    if same:
        notes += (
            f"{same} of the {len(judged)} samples to {'judge' if keep else 'choose'} by "
            "are in the training part as well",
        )
    training = taken(whole, train)
    if further:
        training = joined([training, *further])
        notes += (_drawn_anew(sum(_samples(batch) for batch in further) / count),)
    return Partition(
        training=training,
        size=size,
        validation=tuple(_batches(taken(whole, validation), size)),
        held_out=tuple(_batches(taken(whole, held_out), size)) if keep else (),
        samples=len(held_out),
        by_rows=True,
        held_out_is_seen=keep and 2 * same > len(judged),
        notes=notes,
    )


def _batches(rows: Any, size: int) -> Iterator[Any]:
    layout = row_layout(rows)
    for part in torch.arange(layout[0] if layout else 0).split(size):
        yield taken(rows, part)


def _drawn_anew(passes: float) -> str:
    return (
        f"the data come out anew on every pass: {1 + math.ceil(passes)} passes were drawn, and "
        "samples to choose by may have been met in another form"
    )


def _by_batches(
    drawn: list[Any], further: list[Any], keep: bool, seed: int, notes: tuple[str, ...]
) -> Partition:
    different = _different(drawn)
    if 1 < len(different) < len(drawn):
        notes = _without_end(notes)
        notes += (f"the data come around again: {len(different)} different batches were kept",)
    if len(different) < _FEWEST_BATCHES:
        return _seen(different, keep, notes)
    random = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(different), generator=random).tolist()
    aside = min(max(1, round(HELD_OUT * len(different))), MOST_BATCHES) if keep else 0
    chosen = min(max(1, round(VALIDATION * len(different))), MOST_BATCHES // 2)
    held_out = [different[i] for i in order[:aside]]
    validation = [different[i] for i in order[aside : aside + chosen]]
    train = [different[i] for i in sorted(order[aside + chosen :])]
    notes += (
        "the samples of a batch may depend on each other, so that batches were kept whole: "
        f"{len(train)} to train on, {chosen} to choose by"
        + (f", {aside} to judge by" if keep else ""),
    )
    judged, word = (held_out, "judge") if keep else (validation, "choose")
    share = _overlap(train, judged)
    if further:
        train += further
        notes += (_drawn_anew(len(further) / len(drawn)),)
    if share:
        notes += (f"{share:.0%} of the samples to {word} by are in the training part as well",)
    return Partition(
        training=tuple(train),
        size=0,
        validation=tuple(validation),
        held_out=tuple(held_out),
        samples=sum(_samples(batch) for batch in held_out),
        by_rows=False,
        held_out_is_seen=keep and share > 0.5,
        notes=notes,
    )


def _different(batches: Sequence[Any]) -> list[Any]:
    return list({digest_of([batch]): batch for batch in batches}.values())


def _overlap(train: Sequence[Any], judged: Sequence[Any]) -> float:
    """Return the share of the rows of some batches that others have too, where it can be told."""
    if any(row_layout(batch) is None for batch in (*train, *judged)):
        return 0.0
    known = {key for batch in train for key in row_keys(batch)}
    keys = [key for batch in judged for key in row_keys(batch)]
    return sum(key in known for key in keys) / len(keys)


def _seen(batches: Sequence[Any], keep: bool, notes: tuple[str, ...]) -> Partition:
    """Return a partition in which everything is trained on, chosen by and judged by."""
    few = "one batch" if len(batches) == 1 else f"{len(batches)} batches"
    samples = sum(_samples(batch) for batch in batches)
    said = "what can be shown is that the network trains, not that it generalises"
    if not keep:
        said = "remedies are chosen on the data that they are trained on"
    notes += (
        f"there is only {few} of {samples} samples, too little to keep a part away from the "
        f"training: {said}",
    )
    return Partition(
        training=tuple(batches),
        size=0,
        validation=tuple(batches),
        held_out=tuple(batches) if keep else (),
        samples=samples if keep else 0,
        by_rows=False,
        held_out_is_seen=keep,
        notes=notes,
    )


def _samples(batch: Any) -> int:
    """Return the length of the first tensor's first dimension, or 0."""
    inputs = batch.inputs if isinstance(batch, Batch) else batch
    return next((int(t.shape[0]) for t in tensors_in(inputs) if t.ndim), 0)
