"""A small experiment with something wrong in some of its runs, and programs to be killed."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unvanish.core.proofs import Endpoint, Job, Run
from unvanish.prove.experiment import Experiment
from unvanish.prove.partition import Partition


def experiment(
    trouble: Callable[[int], object] = lambda _: None,
    loss: Callable[..., Any] | None = nn.functional.cross_entropy,
) -> Experiment:
    """A network of two layers on random data; `trouble` is called with the seed of each run."""

    def make(seed: int) -> nn.Module:
        trouble(seed)
        return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 3))

    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(256, 8, generator=generator)
    labels = torch.randint(0, 3, (256,), generator=generator)
    return Experiment(
        target="problem",
        make=make,
        partition=Partition(
            training=(inputs[:128], labels[:128]),
            size=32,
            validation=((inputs[128:192], labels[128:192]),),
            held_out=((inputs[192:], labels[192:]),),
            samples=64,
            by_rows=True,
        ),
        loss=loss,
        endpoint=Endpoint(name="accuracy"),
    )


def jobs(count: int, **settings: Any) -> list[Job]:
    return [Job(seed=seed, **{"steps": 5, "judged": True, **settings}) for seed in range(count)]


def timeless(runs: Iterable[Run]) -> list[Run]:
    """Runs by seed, without the one thing in which two equal ones differ."""
    return [replace(run, seconds=0.0) for run in sorted(runs, key=lambda run: run.job.seed)]


def failures(runs: Iterable[Run]) -> list[str]:
    return [run.failed for run in timeless(runs)]


class Diary:
    """Writes down from whatever process which seeds were run, and where."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, seed: int) -> None:
        with (self.folder / "diary").open("a") as file:
            file.write(f"{seed} {os.getpid()}\n")

    @property
    def lines(self) -> list[tuple[int, int]]:
        file = self.folder / "diary"
        text = file.read_text() if file.exists() else ""
        return [(int(seed), int(pid)) for seed, pid in map(str.split, text.splitlines())]

    @property
    def seeds(self) -> list[int]:
        return sorted(seed for seed, _ in self.lines)

    @property
    def processes(self) -> list[int]:
        return [pid for _, pid in self.lines]


def program(work: Callable[[], object]) -> int:
    """Fork a program of its own that does something, and return its process id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            work()
            code = 0
        except KeyboardInterrupt:
            code = 130
        finally:
            os._exit(code)
    return pid


def ended(pid: int) -> int:
    """Wait for a program; return its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come so far"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    """Whether a process is there and is more than an entry that nobody has read."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False
