"""What a trial asks for and what it has got: jobs, their runs, and the arms these make."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from unvanish.core.proofs import Arm, Job, Role, Run, name_of
from unvanish.prove.contest import CONTROL, Entry, Pair
from unvanish.prove.experiment import Experiment
from unvanish.prove.plan import Plan

FIRST_SEED: Final = 100
"""Seed of the first pair of the proof; the tries have seeds below."""
_SLOWER: Final = 1.05
"""Ratio of step times from which a run is also judged after the control's time."""


@dataclass(kw_only=True)
class Ledger:
    """The jobs of a trial and their runs.

    Attributes:
        experiment: What is trained on what.
        plan: How much is done.
        seed: Added to all seeds.
    """

    experiment: Experiment
    plan: Plan
    seed: int = 0
    _runs: dict[Job, Run] = field(default_factory=dict, init=False)
    _judged: dict[tuple[Role, Pair], list[Job]] = field(default_factory=dict, init=False)
    _tries: dict[Entry, list[Job]] = field(default_factory=dict, init=False)

    @property
    def _seeds(self) -> tuple[int, ...]:
        return tuple(FIRST_SEED + self.seed + k for k in range(self.plan.seeds))

    def _try(self, entry: Entry, rate: float) -> Job:
        return self._trying(entry, rate, self.seed, self.plan.short_steps)

    def _final(self, entry: Entry, rate: float, *, again: bool = False) -> Job:
        return self._trying(entry, rate, self.seed + 1 + again, self.plan.steps)

    def _trying(self, entry: Entry, rate: float, seed: int, steps: int) -> Job:
        job = Job(remedies=entry.remedies, rate_factor=rate, seed=seed, steps=steps)
        self._tries.setdefault(entry, []).append(job)
        return job

    def _judging(self, entry: Entry, rate: float, seed: int) -> Job:
        """Return a run of the proof; one that is slower is also judged after the control's time."""
        ratio = self._slowdown(entry)
        after = (max(1, round(self.plan.steps / ratio)),) if ratio > _SLOWER else ()
        return Job(
            remedies=entry.remedies,
            rate_factor=rate,
            seed=seed,
            steps=self.plan.steps,
            judged=True,
            checkpoints=after,
            examined=seed == self._seeds[0],
        )

    def _pairs_of_seeds(self, entry: Entry, rate: float, role: Role) -> list[Job]:
        jobs = [self._judging(entry, rate, seed) for seed in self._seeds]
        self._judged[role, (entry, rate)] = jobs
        return jobs

    def _slowdown(self, entry: Entry) -> float:
        """Return how much longer a step of an entry takes than the control's, as tried."""
        times = [self._times(entry), self._times(CONTROL)]
        return min(times[0]) / min(times[1]) if all(times) else 1.0

    def _times(self, entry: Entry) -> list[float]:
        runs = (self._runs.get(job) for job in self._tries.get(entry, ()))
        return [r.milliseconds_per_step for r in runs if r is not None and r.steps > 1]

    def _scores(self, jobs: dict[Pair, list[Job]]) -> Callable[[Entry, float], float]:
        """Return the mean over the runs that have ended; minus infinity where one diverged."""

        def score(entry: Entry, rate: float) -> float:
            ended = [self._runs[job] for job in jobs.get((entry, rate), ()) if job in self._runs]
            values = [run.validation for run in ended]
            if not values or any(math.isnan(value) for value in values):
                return -math.inf
            return sum(values) / len(values)

        return score

    def _is_proven(self, pair: Pair) -> bool:
        """Tell whether all runs of a treatment's proof have ended."""
        return all(job in self._runs for job in self._judged.get((Role.CANDIDATE, pair), ()))

    def _arm(self, role: Role, pair: Pair) -> Arm:
        entry, rate = pair
        jobs = self._judged.get((role, pair), [])
        tries = self._arm_tries(entry)
        names = {Role.NULL: "control, redrawn", Role.RANDOM: "drawn by lot"}
        return Arm(
            name=names.get(role) or name_of(entry.remedies, rate),
            role=role,
            remedies=entry.remedies if role is not Role.RANDOM else (),
            rate_factor=rate,
            runs=tuple(self._runs[job] for job in jobs if job in self._runs),
            tries=tries if role in {Role.CONTROL, Role.CANDIDATE} else (),
        )

    def _arm_tries(self, entry: Entry) -> tuple[Run, ...]:
        jobs = dict.fromkeys(self._tries.get(entry, ()))
        return tuple(self._runs[job] for job in jobs if job in self._runs)
