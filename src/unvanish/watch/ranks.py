"""The recordings of several processes in one folder: which belong together, and as one.

``run.sqlite`` is that of the first process, ``run.rank1.sqlite`` that of the second. They are told
from those of other runs by what one start has in common and by their time. Without torch.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from unvanish.core.errors import UnvanishError
from unvanish.core.runfile import RunWriter, next_free, read_run
from unvanish.core.runlayout import companions
from unvanish.core.runreading import RunHead, read_head
from unvanish.core.runs import RunRecording
from unvanish.watch.grouping import Rank
from unvanish.watch.merging import whole
from unvanish.watch.parts import Contents, contents_of

_SKEW: Final = 5.0
"""Seconds by which the clocks of two machines may differ."""

_PAUSE: Final = 0.05


def file_of(path: str | Path, rank: int) -> Path:
    """Return where a process keeps its recording; for the first one, where it was asked for.

    Args:
        path: The file that was asked for.
        rank: Number of the process.
    """
    wanted = Path(path)
    if rank == 0:
        return wanted
    return next_free(wanted.with_name(f"{wanted.stem}.rank{rank}{wanted.suffix}"))


def read(path: str | Path, *, patience: float = 0.0) -> RunRecording:
    """Read a run from its file, or from that of any of its processes with the others beside it.

    Args:
        path: The file.
        patience: Seconds to wait for processes that have not ended.
    """
    recording = read_run(path)
    return with_others(recording, Path(path), patience) if recording.sums else recording


def with_others(recording: RunRecording, path: Path | None, patience: float = 0.0) -> RunRecording:
    """Put the recording of one process together with those of the others.

    Args:
        recording: With its sums.
        path: Its file; None where it is kept in memory, and nobody can find the others.
        patience: Seconds to wait for processes that have not ended.
    """
    if path is None:
        return whole([recording])
    others, _ = _others(recording, path, patience)
    return whole([recording, *(each for each, _ in others)])


def seal(path: Path, *, patience: float = 0.0) -> bool:
    """Replace the recordings of all processes by one, which is whole.

    Args:
        path: File of the first process, closed.
        patience: Seconds to wait for processes that have not ended.

    Returns:
        Whether that was done: all processes have left a recording, and have closed it.
    """
    first = read_run(path)
    if not first.sums:
        return False
    others, is_complete = _others(first, path, patience)
    everyone = [first, *(each for each, _ in others)]
    if not is_complete or len(everyone) < Rank(first).contents.world:
        return False
    made = path.with_name(f"{path.name}.whole")
    made.unlink(missing_ok=True)
    copied(whole(everyone), made)
    _wait(path, (file for _, file in others))
    made.replace(path)
    for _, file in others:
        for part in (file, *companions(file)):
            with suppress(OSError):
                part.unlink(missing_ok=True)
    return True


def copied(recording: RunRecording, path: str | Path) -> None:
    """Write a whole recording into a file.

    Args:
        recording: The recording.
        path: A file that is not there yet.
    """
    writer = RunWriter(path, started=recording.started)
    writer.conditions(recording.conditions)
    writer.layers(recording.layers)
    for series in recording.by_layer.values():
        for step, row in zip(series.steps, series.rows, strict=True):
            writer.sample(step, {series.quantity: row})
    for values in recording.by_step.values():
        writer.steps(values.quantity, zip(values.steps, values.values, strict=True))
    for event in recording.events:
        writer.event(event)
    writer.close(ended=recording.is_ended, last_step=recording.last_step)


# --- who belongs together ------------------------------------------------------------


def _others(
    recording: RunRecording, path: Path, patience: float
) -> tuple[list[tuple[RunRecording, Path]], bool]:
    """Return the recordings of the other processes and their files, and whether all are closed."""
    until = time.monotonic() + patience
    own = Rank(recording).contents
    while True:
        heads = _nearest(recording.started, own, path)
        is_complete = len(heads) == own.world - 1 and all(head.is_closed for head, _ in heads)
        if is_complete or time.monotonic() >= until:
            break
        time.sleep(_PAUSE)
    found = []
    for _, file in heads:
        with suppress(UnvanishError):  # one that cannot be read now is missing
            found.append((read_run(file), file))
    return [pair for pair in found if pair[0].sums], is_complete


def _nearest(started: float, own: Contents, path: Path) -> list[tuple[RunHead, Path]]:
    """Return of each other process the recording that began closest to this one."""
    chosen: dict[int, tuple[float, RunHead, Path]] = {}
    own_end = _last_written(path)
    for file in sorted(path.absolute().parent.glob(f"*{path.suffix}")):
        if file.name == path.name or _last_written(file) < started - _SKEW:
            continue
        head = read_head(file)
        if head is None or not head.contents or head.started > own_end + _SKEW:
            continue
        other = contents_of(head.contents)
        if other.launch != own.launch or other.world != own.world or other.rank == own.rank:
            continue
        apart = abs(head.started - started)
        if other.rank not in chosen or apart < chosen[other.rank][0]:
            chosen[other.rank] = (apart, head, file)
    return [(head, file) for _, head, file in chosen.values()]


def _last_written(file: Path) -> float:
    times = [0.0]
    for part in (file, *companions(file)):
        if part.name.endswith("-shm"):  # who reads writes there too
            continue
        with suppress(OSError):
            times.append(part.stat().st_mtime)
    return max(times)


def _wait(path: Path, files: Iterable[Path]) -> None:
    """Give processes that have just ended the time to close their files."""
    until = time.monotonic() + 1.0
    logs = [log for file in (path, *files) for log in companions(file)]
    while any(log.exists() for log in logs) and time.monotonic() < until:
        time.sleep(_PAUSE)
