"""Runs the jobs of a trial, tells how far it is, and keeps to its budget."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from unvanish.core.proofs import Job, Run
from unvanish.prove.engines.journal import Journal
from unvanish.prove.engines.protocol import Engine
from unvanish.prove.ledger import Ledger

_GRACE: Final = 1.25
"""Times the budget after which even a stage that has begun is stopped."""


class LateError(Exception):
    """The budget was used up in the middle of a stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a trial is.

    Attributes:
        stage: ``"control"``, ``"first tries"``, ``"further rates"``, ``"finalists"``,
            ``"best finalists"`` or ``"proof"``.
        done: Runs of this stage that have ended.
        total: Runs of this stage.
        run: The run that ended last; None at the beginning of a stage.
        seconds_left: About how long this stage still takes; ``nan`` at its beginning.
    """

    stage: str
    done: int
    total: int
    run: Run | None = None
    seconds_left: float = math.nan


@dataclass(kw_only=True)
class Running(Ledger):
    """A ledger whose jobs are run.

    Attributes:
        engine: What runs the jobs.
        journal: Keeps what is finished; None for none.
        progress: Called at the beginning of every stage and after every run.
    """

    engine: Engine
    journal: Journal | None = None
    progress: Callable[[Progress], None] | None = None
    _notes: list[str] = field(default_factory=list, init=False)
    _is_partial: bool = field(default=False, init=False)
    _start: float = field(default=0.0, init=False)
    _each: float = field(default=0.0, init=False)

    def _train(self, stage: str, jobs: Sequence[Job]) -> None:
        todo = [job for job in dict.fromkeys(jobs) if job not in self._runs]
        begun = time.monotonic()
        self._tell(Progress(stage=stage, done=0, total=len(todo)))
        with closing(self._ran(todo)) as runs:
            for done, run in enumerate(runs, 1):
                self._runs[run.job] = run
                if stage == "control":
                    self._each = (time.monotonic() - begun) / done
                if stage != "control" and done < len(todo) and self._is_late(_GRACE):
                    raise LateError
                left = (time.monotonic() - begun) / done * (len(todo) - done)
                self._tell(
                    Progress(stage=stage, done=done, total=len(todo), run=run, seconds_left=left)
                )

    def _ran(self, jobs: Sequence[Job]) -> Generator[Run, None, None]:
        if self.journal is None:
            return self.engine.run(self.experiment, jobs)
        return self.journal.run(self.engine, self.experiment, jobs)

    def _tell(self, progress: Progress) -> None:
        if self.progress is not None:
            self.progress(progress)

    def _is_late(self, grace: float = 1.0) -> bool:
        limit = self.plan.seconds
        if limit is None or time.monotonic() - self._start < grace * limit:
            return False
        is_answered = self._is_answered()
        before = "more could be added" if is_answered else "the proof was done"
        self._notes.append(f"the budget of {limit:g} seconds was used up before {before}")
        self._is_partial = not is_answered
        return True

    def _runs_left(self) -> float:
        """Return how many full runs there is time for, as long as the control's took."""
        limit = self.plan.seconds
        if limit is None or self._each <= 0.0:
            return math.inf
        return (limit - (time.monotonic() - self._start)) / self._each

    def _is_answered(self) -> bool:
        """Tell whether something has been proven already, and more of it is a luxury."""
        return False
