"""Runs on this machine, each in a process of its own where that can be."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from unvanish.core.errors import UnvanishError
from unvanish.core.proofs import Job, Run
from unvanish.prove.engines import forking
from unvanish.prove.engines.inline import Inline
from unvanish.prove.engines.running import checked_jobs, foreign_device
from unvanish.prove.engines.shipping import NotShippableError, shipped
from unvanish.prove.engines.spawning import NotStartedError, Spawned

if TYPE_CHECKING:
    from unvanish.prove.experiment import Experiment


class _Pool(Protocol):
    def run(self, experiment: Experiment, jobs: Sequence[Job]) -> Generator[Run, None, None]: ...


class Local:
    """Runs jobs on this machine, several at once, each with one thread.

    On Linux a run is a forked process. Elsewhere, and where a GPU forbids it, the experiment is
    pickled to fresh processes. What can be given to no other process runs in this one.

    Args:
        jobs: How many runs at once; None for as many as there are processors to use.
        limit_seconds: How long one run may take before it is stopped; None for no limit, and
            without effect on runs in this process.

    Attributes:
        name: ``"local"``.
        jobs: How many runs at once; 1 as soon as they turn out to run in this process.
        how: How the jobs are run and why, once it is decided; empty before.
    """

    name = "local"

    def __init__(self, jobs: int | None = None, limit_seconds: float | None = None) -> None:
        if limit_seconds is not None and not limit_seconds > 0:
            raise UnvanishError(
                f"a run cannot be limited to {limit_seconds:g} seconds",
                help="Local(limit_seconds=600)",
            )
        self.jobs = self._asked = checked_jobs(jobs)
        self.how = ""
        self._limit = limit_seconds
        self._running: WeakSet[Generator[Run, None, None]] = WeakSet()

    def run(self, experiment: Experiment, jobs: Sequence[Job]) -> Generator[Run, None, None]:
        """Yield the run of every job, in the order in which they end; as `Engine.run`.

        Args:
            experiment: What is trained on what.
            jobs: The runs that are asked for.
        """
        runs = self._runs(experiment, jobs)
        self._running.add(runs)
        return runs

    def close(self) -> None:
        """Stop what is under way."""
        for runs in list(self._running):
            with suppress(ValueError):  # it is this one that closes
                runs.close()

    def _runs(self, experiment: Experiment, jobs: Sequence[Job]) -> Generator[Run, None, None]:
        if not jobs:
            return
        try:
            yield from self._chosen(experiment).run(experiment, jobs)
        except NotStartedError as error:  # then none of the runs has been done
            yield from self._here(str(error)).run(experiment, jobs)

    def _chosen(self, experiment: Experiment) -> _Pool:
        """Choose where the jobs run."""
        self.jobs = self._asked
        device = foreign_device(experiment)
        if device:
            return self._here(f"the network is on {device}")
        unfit = forking.unfit()
        if not unfit:
            self.how = f"{self._count('forked process')}, one for each run"
            return forking.Forked(self.jobs, self._limit)
        try:
            parcel = shipped(experiment)
        except NotShippableError as error:
            return self._here(f"{unfit}, and {error}")
        self.how = f"{self._count('fresh process')}: {unfit}"
        return Spawned(self.jobs, self._limit, parcel)

    def _here(self, why: str) -> Inline:
        self.jobs = 1
        self.how = f"in this process, one run after the other: {why}"
        return Inline()

    def _count(self, noun: str) -> str:
        return f"{self.jobs} {noun}{'es' if self.jobs > 1 else ''} at once"
