"""Arms take turns: each in a process of its own, one at a time, a few steps each."""

from __future__ import annotations

import ctypes
import gc
import math
import multiprocessing
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.watching.arms import Arm
from benchmarks.watching.cases import SMALL, Case, Training
from benchmarks.watching.rivals import quiet

Turns = list[list[tuple[str, float]]]
"""Of every turn, kind and seconds of each step."""

_MMAP_THRESHOLD: Final = -3

WARM: Final = 3
"""Steps of every arm that are not counted."""

_LONGEST: Final = 20.0
"""Seconds after which an arm of somebody else's takes no more steps, and its memory is let be."""

_REMEMBERED: Final = 10
"""Steps whose peak of memory is taken; the first ones are sampled more often than later ones."""

_DRAWS: Final = 200

_GPU_BLOCK: Final = 50
"""Steps between two synchronisations of the clock where the device runs ahead of Python."""


@dataclass(slots=True)
class Taken:
    """What an arm took.

    Attributes:
        turns: Of every turn, kind and seconds of each step.
        plain: The same of the plain steps between, where it could pause.
        background: CPU seconds a step that its other threads went on for.
        memory: Peak of memory above what stood before the model was made, in MiB; ``nan`` where
            it cannot be told.
        syncs: By kind, how often a step waited for the device; empty without one.
        error: Why it broke off, where it did.
    """

    turns: Turns = field(default_factory=list)
    plain: Turns = field(default_factory=list)
    background: float = 0.0
    memory: float = math.nan
    syncs: dict[str, float] = field(default_factory=dict)
    error: str = ""

    @property
    def seconds(self) -> float:
        """Seconds of all steps that were counted."""
        return sum(seconds for turn in self.turns for _, seconds in turn)


def take_turns(
    case: Case,
    arms: list[type[Arm]],
    *,
    device: str = "cpu",
    rounds: int = 0,
    said: Callable[[str], None] = lambda _: None,
) -> dict[str, Taken]:
    """Let every arm take its turns.

    Args:
        case: The run that each of them watches.
        arms: The arms.
        device: Where the model is.
        rounds: How many turns each of them takes; those of the case if 0.
        said: Told how it goes.

    Returns:
        By name of the arm, what it took.
    """
    context: Any = multiprocessing.get_context("fork" if device == "cpu" else "spawn")
    taken = {arm.name: Taken() for arm in arms}
    with tempfile.TemporaryDirectory() as folder:
        ends: dict[str, Connection] = {}
        processes = []
        for number, arm in enumerate(arms):
            ours, theirs = context.Pipe()
            place = Path(folder) / str(number)
            process = context.Process(target=_work, args=(theirs, case, arm, device, place))
            process.start()
            theirs.close()
            processes.append(process)
            ends[arm.name] = ours
            said(f"{arm.name} begins")
            _ask(ours, taken[arm.name], "begin")
        order = random.Random(0)
        for turn in range(rounds or case.rounds):
            waiting = list(arms)
            order.shuffle(waiting)
            for arm in waiting:
                mine = taken[arm.name]
                if mine.error or (not arm.is_own and mine.seconds > _LONGEST):
                    continue
                steps = case.own if arm.is_own else case.rival
                found = _ask(ends[arm.name], mine, steps if device == "cpu" else _GPU_BLOCK)
                if found is not None:
                    mine.turns.append(found[0])
                    mine.plain.append(found[1])
            said(f"turn {turn + 1} of {rounds or case.rounds}")
        for arm in arms:
            mine = taken[arm.name]
            last = None if mine.error else _ask(ends[arm.name], mine, "end")
            if last is not None:
                mine.background, mine.syncs = last
        for process in processes:
            process.join()
        for number, arm in enumerate(arms):
            mine = taken[arm.name]
            if not mine.error and (arm.is_own or mine.seconds < _LONGEST):
                ours, theirs = context.Pipe()
                place = Path(folder) / f"memory {number}"
                process = context.Process(
                    target=_work, args=(theirs, case, arm, device, place, True)
                )
                process.start()
                theirs.close()
                found = _ask(ours, Taken(), "memory")
                mine.memory = math.nan if found is None else found
                process.join()
                said(f"memory of {arm.name}: {mine.memory:.1f} MiB")
    return taken


def _ask(end: Connection, taken: Taken, what: int | str) -> Any:
    """Ask a process for something and wait for it; None where it failed."""
    try:
        end.send(what)
        is_good, found = end.recv()
    except (EOFError, OSError):
        is_good, found = False, "the process ended"
    if is_good:
        return found
    taken.error = str(found)
    return None


def _work(
    end: Connection,
    case: Case,
    kind: type[Arm],
    device: str,
    folder: Path,
    is_memory: bool = False,
) -> None:
    """Do what is asked for, in a process of its own."""
    try:
        quiet()
        if is_memory:
            _give_back_at_once()
        torch.set_num_threads(1)
        warnings.simplefilter("ignore")
        worker = _Worker(case, kind, device, folder)
        while True:
            what = end.recv()
            if what == "begin":
                worker.begin()
                end.send((True, None))
            elif what == "end":
                end.send((True, worker.end()))
                return
            elif what == "memory":
                end.send((True, worker.memory()))
                return
            else:
                end.send((True, worker.turn(what)))
    except Exception as error:
        end.send((False, f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"))
    except EOFError:
        return


def _give_back_at_once() -> None:
    """Have every larger piece of memory be pages of its own, where the C library is GNU's.

    Else the peak depends on how pieces happen to lie in the heap: that of two equal arms differs
    by a tenth.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 2**16)


class _Worker:
    """One arm's process.

    Args:
        case: The run.
        kind: The arm.
        device: Where the model is.
        folder: Not there yet; for what is written.
    """

    def __init__(self, case: Case, kind: type[Arm], device: str, folder: Path) -> None:
        self._case = case
        self._kind = kind
        self._device = device
        self._folder = folder
        self._is_host = device == "cpu"
        self._counted = 0
        self._seen = 0
        self._background = 0.0
        self._left = 0.0

    def begin(self) -> None:
        """Load what is loaded once, then make the run, and take the first steps."""
        (self._folder / "small").mkdir(parents=True)
        small = Training(SMALL, self._device, self._folder / "small")
        arm = self._kind(small)
        arm.begin()
        for _ in range(WARM):
            arm.step()
            small.next()
        arm.end()
        del small, arm
        gc.collect()
        self._before = self._resident(begin=True)
        self._training = Training(self._case, self._device, self._folder)
        self._arm = self._kind(self._training)
        self._arm.begin()
        self._timed(self._arm.step, WARM if self._is_host else _GPU_BLOCK)

    def turn(self, number: int) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
        """Take steps, and plain ones between them where the arm can pause."""
        if self._left:
            self._background += time.process_time() - self._left
        plain = []
        if self._arm.is_paired:
            self._arm.pause()
            plain = self._timed(self._arm.plain_step, number, is_plain=True)
            self._arm.resume()
        found = self._timed(self._arm.step, number)
        self._counted += number
        self._left = time.process_time()
        return found, plain

    def _timed(
        self, step: Callable[[], None], number: int, *, is_plain: bool = False
    ) -> list[tuple[str, float]]:
        """Return kind and seconds of each step; on a GPU, of the average one."""
        clock = time.process_time if self._is_host else time.perf_counter
        found = []
        self._settle()
        whole = clock()
        for _ in range(number):
            begun = clock()
            step()
            kind = "every" if is_plain else self._arm.kind(self._seen)
            found.append((kind, clock() - begun))
            self._seen += not is_plain
            self._training.next()
        self._settle()
        return found if self._is_host else [("block", (clock() - whole) / number)]

    def end(self) -> tuple[float, dict[str, float]]:
        """Return CPU seconds a step in the background, and synchronisations."""
        syncs = {} if self._is_host else self._synchronisations()
        self._arm.end()
        return self._background / max(1, self._counted), syncs

    def memory(self) -> float:
        """Return the peak of memory over the first steps, above what stood before, in MiB."""
        self.begin()
        self._timed(self._arm.step, _REMEMBERED - WARM)
        peak = self._resident(begin=False)
        self._arm.end()
        return peak - self._before

    def _settle(self) -> None:
        if not self._is_host:
            torch.cuda.synchronize()

    def _resident(self, *, begin: bool) -> float:
        """Return resident memory in MiB, forgetting the peak; at the end the peak itself."""
        if not self._is_host:
            self._settle()
            if begin:
                torch.cuda.reset_peak_memory_stats()
                return torch.cuda.memory_allocated() / 2**20
            return torch.cuda.max_memory_allocated() / 2**20
        try:
            if begin:
                Path("/proc/self/clear_refs").write_text("5")
            lines = Path("/proc/self/status").read_text().splitlines()
        except OSError:  # Linux alone has them
            return math.nan
        (line,) = (each for each in lines if each.startswith("VmRSS" if begin else "VmHWM"))
        return int(line.split()[1]) / 1024

    def _synchronisations(self) -> dict[str, float]:
        """Count how often steps wait for the device, by kind; the median of each."""
        counted: dict[str, list[int]] = {}
        torch.cuda.set_sync_debug_mode("warn")
        for _ in range(_GPU_BLOCK + 2):
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always")
                self._arm.step()
            waits = sum("synchroniz" in str(each.message) for each in heard)
            counted.setdefault(self._arm.kind(self._seen), []).append(waits)
            self._seen += 1
            self._training.next()
        torch.cuda.set_sync_debug_mode("default")
        return {kind: statistics.median(waits) for kind, waits in counted.items()}


def cost(turns: Turns, shares: Mapping[str, float]) -> float:
    """Return the seconds of an average step in a long run: medians by kind, by their shares.

    Args:
        turns: Of every turn, kind and seconds of each step.
        shares: How often each kind is met in a long run; ``nan`` where one of them was not met.
    """
    of_kind: dict[str, list[float]] = {}
    for turn in turns:
        for kind, seconds in turn:
            of_kind.setdefault(kind, []).append(seconds)
    if of_kind.keys() == {"block"}:
        return statistics.median(of_kind["block"])
    return sum(
        share * (statistics.median(of_kind[kind]) if kind in of_kind else math.nan)
        for kind, share in shares.items()
    )


def spread(mine: Taken, plain: Taken, shares: Mapping[str, float]) -> tuple[float, float]:
    """Return between which ratios nine of ten lie, when turns are drawn anew.

    Args:
        mine: The arm.
        plain: The plain step of other processes.
        shares: How often each kind of the arm's steps is met in a long run.
    """
    dice = random.Random(0)
    ratios = []
    for _ in range(_DRAWS):
        drawn = dice.choices(range(len(mine.turns)), k=len(mine.turns))
        if any(mine.plain):
            below = [mine.plain[turn] for turn in drawn]
        else:
            below = dice.choices(plain.turns, k=len(plain.turns))
        ratio = over(mine, [mine.turns[turn] for turn in drawn], below, shares)
        if not math.isnan(ratio):
            ratios.append(ratio)
    if len(ratios) < _DRAWS // 2:
        return math.nan, math.nan
    ratios.sort()
    return ratios[len(ratios) // 20], ratios[-1 - len(ratios) // 20]


def over(mine: Taken, turns: Turns, plain: Turns, shares: Mapping[str, float]) -> float:
    """Return an average step of a long run over a plain one.

    Args:
        mine: The arm.
        turns: Its turns, or what was drawn of them.
        plain: Plain turns.
        shares: How often each kind of the arm's steps is met in a long run.
    """
    return (cost(turns, shares) + mine.background) / cost(plain, {"every": 1.0})
