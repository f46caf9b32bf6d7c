"""One forked process a run, so that a run that is killed or hangs takes no other with it."""

from __future__ import annotations

import select
import sys
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from unvanish.core.proofs import Job, Run
from unvanish.prove.engines import wire
from unvanish.prove.engines.child import Child, uninterrupted
from unvanish.prove.engines.running import died, idle, late, performed
from unvanish.treat.registry import remedies

if TYPE_CHECKING:
    from unvanish.prove.experiment import Experiment

_GLANCE: Final = 0.25
"""Seconds between two looks at whether the children still live."""
_PATIENCE: Final = 30.0
"""Seconds after which a child that should do one tiny step counts as hanging."""
_HANGS: Final = 300.0
"""Seconds without any work after which a run counts as hanging."""


class Forked:
    """Runs every job in a process of its own.

    Args:
        jobs: How many at once.
        limit_seconds: How long one may take; None for no limit.
    """

    def __init__(self, jobs: int, limit_seconds: float | None = None) -> None:
        self._jobs, self._limit = jobs, limit_seconds

    def run(self, experiment: Experiment, jobs: Sequence[Job]) -> Generator[Run, None, None]:
        """Yield the run of every job, in the order in which they end; as `Engine.run`.

        Args:
            experiment: What is trained on what.
            jobs: The runs that are asked for.
        """
        _load_what_is_late()
        waiting, alive, room = deque(jobs), dict[int, tuple[Child, Job]](), self._jobs
        try:
            while waiting or alive:
                while waiting and len(alive) < room:
                    try:
                        with uninterrupted():
                            child = Child.fork(_Work(experiment, waiting[0]))
                            alive[child.pid] = child, waiting.popleft()
                    except OSError:  # no memory or no room for another process
                        room = len(alive)
                if alive:
                    yield from self._ended(alive)
                else:
                    yield performed(experiment, waiting.popleft())
                    room = 1
        finally:
            with uninterrupted():
                for child, _ in alive.values():
                    child.kill()
                for child, _ in alive.values():
                    child.end()

    def _ended(self, alive: dict[int, tuple[Child, Job]]) -> Iterator[Run]:
        """Wait a moment, and yield the runs that have ended."""
        poll = select.poll()
        for child, _ in alive.values():
            poll.register(child.pipe, select.POLLIN)
        poll.poll(1000 * self._wait(alive))
        for child, job in list(alive.values()):
            run = self._outcome(child, job)
            if run is not None:
                with uninterrupted():
                    del alive[child.pid]
                    child.end()
                yield run

    def _outcome(self, child: Child, job: Job) -> Run | None:
        """Return the run of a child that has ended or must; None while it goes on."""
        code = child.exit_code()  # before the pipe is read: what it sent last is in it then
        child.receive()
        if (answer := child.answer) is not None:
            return wire.read(answer)
        if code is not None:
            return died(job, code)
        if self._limit is not None and time.monotonic() - child.born > self._limit:
            return late(job, self._limit)
        return idle(job, _HANGS) if child.is_idle(_HANGS) else None

    def _wait(self, alive: dict[int, tuple[Child, Job]]) -> float:
        if self._limit is None:
            return _GLANCE
        ends = min(child.born for child, _ in alive.values()) + self._limit
        return min(_GLANCE, max(0.01, ends - time.monotonic()))


@dataclass(frozen=True, slots=True)
class _Work:
    experiment: Experiment
    job: Job

    def __call__(self) -> str:
        return wire.written(performed(self.experiment, self.job))


def unfit() -> str:
    """Say why a forked process could not train a network here; ``""`` where it can.

    One is forked and takes a tiny step: autograd refuses in a child once it has started the
    threads of a GPU, and a library that does not survive a fork hangs.
    """
    if not sys.platform.startswith("linux"):
        return f"forking is not safe on {sys.platform}"
    try:
        child = Child.fork(_tiny_step)
    except OSError as error:
        return f"no process can be started: {error.strerror}"
    poll = select.poll()
    poll.register(child.pipe, select.POLLIN)
    try:
        while time.monotonic() - child.born < _PATIENCE:
            poll.poll(1000 * _GLANCE)
            code = child.exit_code()
            child.receive()
            if (answer := child.answer) is not None:
                return answer
            if code is not None:
                return "a forked process does not survive its first step"
        return "a forked process hangs at its first step"
    finally:
        child.end()


def _load_what_is_late() -> None:
    """Import here what the first step of an optimiser imports, else each child does for itself."""
    remedies()
    weight = torch.zeros(1, requires_grad=True)
    weight.grad = torch.zeros(1)
    optimizer = torch.optim.AdamW([weight])
    optimizer.step()
    optimizer.zero_grad()


def _tiny_step() -> str:
    weight = torch.ones(64, 64, requires_grad=True)
    try:
        (torch.ones(64, 64) @ weight).tanh().sum().backward()
    except RuntimeError as error:
        if "fork" in str(error):
            return "autograd has started the threads of a GPU, and they do not survive a fork"
        return (str(error).splitlines() or ["a forked process cannot train"])[0][:200]
    return ""
