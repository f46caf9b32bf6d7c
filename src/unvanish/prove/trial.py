"""The trial: the control and what may cure it, trained side by side, until one thing is proven.

Four stages, each of which may be the last:

1. *control*: the network as it is, on every seed. Where it learns, nothing is to be done.
2. *first tries*: every treatment, and the control, at several learning rates and a quarter of the
   steps, on a seed of its own.
3. *finalists*: the best of them in full, at the rate that did best and those next to it, and at the
   best of these once more from other initial weights. The smallest change among those that are as
   good as the best is chosen. What stages 2 and 3 choose by is the validation part.
4. *proof*: what was chosen, on the seeds of the control, judged on the held-out part, beside a
   null arm and an arm drawn by lot.

Stages 2 and 3 are successive halving (Jamieson and Talwalkar 2016). Seeds and samples that choose
do not judge, so that what is chosen is not flattered by its own luck.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Final

from unvanish.core.prescriptions import Option
from unvanish.core.proofs import Arm, Job, Proof, Role, Run, name_of
from unvanish.prove.contest import CONTROL, Entry, Pair, best_rates, final_rates, gains, ranked
from unvanish.prove.engines.journal import Journal
from unvanish.prove.engines.protocol import Engine
from unvanish.prove.experiment import Experiment
from unvanish.prove.judging import Judged, bar, judge, learned, moves
from unvanish.prove.plan import Plan

FIRST_SEED: Final = 100
"""Seed of the first pair of the proof; the tries have seeds below."""
_REDRAW: Final = 50_000
"""What is added to the seed of the initial weights in the null arm."""
_SLOWER: Final = 1.05
"""Ratio of step times from which a run is also judged after the control's time."""
_PATIENCE: Final = 4
"""Times the steps that a control gets before general remedies are tried on it."""
_GRACE: Final = 1.25
"""Times the budget after which even a stage that has begun is stopped."""
_MOST_PROOFS: Final = 3
"""How many treatments are put to the proof, one after the other, until one holds."""
_HELD_FIXED: Final = (
    "samples, split and order of the batches",
    "seeds of the initial weights, of dropout and of the batches",
    "number of steps, loss and optimiser as the recipe says, but for what a remedy changes",
    "the learning rates tried, the control's among them",
)


def _fits(run: Run) -> bool:
    """Tell whether a run has halved the loss that it is trained by."""
    return bool(run.losses) and run.training_loss <= min(run.losses[0], 0.5 * run.losses[0])


class _LateError(Exception):
    """The budget was used up in the middle of a stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a trial is.

    Attributes:
        stage: ``"control"``, ``"first tries"``, ``"finalists"``, ``"best finalists"`` or
            ``"proof"``.
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
class Trial:
    """A trial of some treatments of one network. It is run once.

    Attributes:
        experiment: What is trained on what.
        options: Treatments that may be the answer, the likeliest first; or what finds them, asked
            only where the control does not suffice.
        plan: How much is done.
        engine: What runs the jobs.
        lots: Names of remedies that fit, from which the arm by lot is drawn; or what finds them.
        is_forced: Whether the user named the treatment: it is tried even where the control
            learns, and said to harm where it does.
        is_suspect: Whether a check of the control finds something. Then a control without a goal
            has to stand the comparison with what may cure it. Where nothing is found, a control
            that does not learn is first given more steps; without a goal, a treatment then has to
            beat that one clearly.
        journal: Keeps what is finished; None for none.
        progress: Called at the beginning of every stage and after every run.
        seed: Added to all seeds.
    """

    experiment: Experiment
    options: Sequence[Option] | Callable[[], Sequence[Option]]
    plan: Plan
    engine: Engine
    lots: Sequence[str] | Callable[[], Sequence[str]] = ()
    is_forced: bool = False
    is_suspect: bool = True
    journal: Journal | None = None
    progress: Callable[[Progress], None] | None = None
    seed: int = 0
    _runs: dict[Job, Run] = field(default_factory=dict, init=False)
    _judged: dict[tuple[Role, Pair], list[Job]] = field(default_factory=dict, init=False)
    _tries: dict[Entry, list[Job]] = field(default_factory=dict, init=False)
    _proven: list[Pair] = field(default_factory=list, init=False)
    _patient: Arm | None = field(default=None, init=False)
    _notes: list[str] = field(default_factory=list, init=False)
    _is_partial: bool = field(default=False, init=False)
    _start: float = field(default=0.0, init=False)
    _spent: float = field(default=0.0, init=False)

    def run(self) -> Proof:
        """Run the stages, and say what follows.

        Returns:
            The proof. A trial that is interrupted gives a partial one.
        """
        self._start = time.monotonic()
        try:
            self._train("control", self._pairs_of_seeds(CONTROL, 1.0, Role.CONTROL))
            if self.is_forced or not self._control_suffices():
                self._contest()
        except _LateError:
            pass
        except KeyboardInterrupt:
            self._is_partial = True
            self._notes.append("it was interrupted: only the runs that had ended are told")
        return self._told()

    # ---------------------------------------------------------------- the stages

    def _control_suffices(self) -> bool:
        """Tell whether the control learns, or nobody can say, so that nothing more is trained."""
        endpoint, control = self.experiment.endpoint, self._arm(Role.CONTROL, (CONTROL, 1.0))
        if all(run.failed for run in control.runs):
            return True  # for want of a comparison
        if self._learned():
            return endpoint.goal is not None or not self.is_suspect
        if self.is_suspect:
            return False
        has_no_bar = math.isnan(bar(endpoint))
        if has_no_bar and (math.isnan(endpoint.floor) or all(map(_fits, control.runs))):
            return moves(endpoint, control)
        return self._learns_in_time()

    def _learns_in_time(self) -> bool:
        """Give a control in which nothing was found more steps, before anything is changed."""
        steps, short = self.plan.steps, self._judged[Role.CONTROL, (CONTROL, 1.0)]
        patient = replace(self.plan, steps=_PATIENCE * steps, seeds=min(3, self.plan.seeds))
        plan, self.plan = self.plan, patient
        self._train("control", self._pairs_of_seeds(CONTROL, 1.0, Role.CONTROL))
        if self._learned():
            self._notes.append(f"{steps} steps were too few for the network; it was given more")
            return True
        self._patient = self._arm(Role.CONTROL, (CONTROL, 1.0))
        self.plan = plan
        self._judged[Role.CONTROL, (CONTROL, 1.0)] = short
        return False

    def _learned(self) -> bool:
        arm = self._arm(Role.CONTROL, (CONTROL, 1.0))
        return learned(self.experiment.endpoint, arm.metrics)

    def _contest(self) -> None:
        """Choose a treatment, and put it to the proof."""
        options = self.options() if callable(self.options) else self.options
        self._afford()
        if not options:
            self._notes.append("no remedy fits: other learning rates are all that was tried")
        entries = [CONTROL, *(Entry.of(option) for option in options[: self.plan.arms])]
        first = {(e, r): [self._try(e, r)] for e in entries for r in self.plan.rates}
        self._train("first tries", [job for jobs in first.values() for job in jobs])
        short = self._scores(first)
        rates = best_rates(entries, self.plan.rates, short)
        finalists = sorted((e for e in rates if e != CONTROL), key=lambda e: -short(e, rates[e]))
        wanted: dict[Pair, list[Job]] = {(CONTROL, 1.0): [self._final(CONTROL, 1.0)]}
        for entry in (CONTROL, *finalists[: self.plan.finalists]):
            if entry in rates:
                for rate in final_rates(entry, rates[entry], self.plan.rates, short):
                    wanted[entry, rate] = [self._final(entry, rate)]
        if self._is_late():
            return
        self._train("finalists", [job for jobs in wanted.values() for job in jobs])
        full = self._scores(wanted)
        leading = list(dict.fromkeys([(CONTROL, 1.0), *ranked(list(wanted), full)]))
        for pair in leading:
            wanted[pair].append(self._final(*pair, again=True))
        if not self._is_late():
            self._train("best finalists", [wanted[pair][-1] for pair in leading])
        standing = [
            pair
            for pair in ranked(leading, full)
            if self.is_forced or full(*pair) > full(CONTROL, 1.0)
        ]
        tuned = next((p for p in standing if p[0] == CONTROL), None)
        for pair in standing[:_MOST_PROOFS]:
            if self._is_late():
                return
            jobs = [*self._pairs_of_seeds(*pair, Role.CANDIDATE)]
            if not self._proven:
                jobs += self._comparators(pair)
                if tuned is not None and tuned != pair and gains(tuned, pair, full):
                    jobs += self._pairs_of_seeds(*tuned, Role.CANDIDATE)
            self._proven.append(pair)
            self._train("proof", jobs)
            arm = self._arm(Role.CANDIDATE, pair)
            if self.experiment.endpoint.goal is None or learned(
                self.experiment.endpoint, arm.metrics
            ):
                return

    def _afford(self) -> None:
        """Make the plan fit what is left of the budget, as long as the control's runs took."""
        limit, done = self.plan.seconds, len(self._runs)
        if limit is None or not done:
            return
        elapsed = time.monotonic() - self._start
        each = self._spent / done
        self.plan = self.plan.within((limit - elapsed) / each if each > 0.0 else math.inf)

    def _comparators(self, pair: Pair) -> list[Job]:
        """Return the runs of the null arm and of the arm drawn by lot."""
        seeds = self._seeds[: self.plan.lots]
        null = [
            replace(self._judging(CONTROL, 1.0, seed), redraw=_REDRAW, examined=False)
            for seed in seeds
        ]
        self._judged[Role.NULL, (CONTROL, 1.0)] = null
        known = self.lots() if callable(self.lots) else self.lots
        lots = sorted(set(known) - set(pair[0].remedies))
        if not lots:
            return null
        draw = random.Random(self.seed)
        drawn = [Entry(remedies=(draw.choice(lots),)) for _ in seeds]
        by_lot = [
            replace(self._judging(entry, 1.0, seed), examined=False)
            for entry, seed in zip(drawn, seeds, strict=True)
        ]
        self._judged[Role.RANDOM, (Entry(remedies=("drawn by lot",)), 1.0)] = by_lot
        return null + by_lot

    # ------------------------------------------------------------------ the jobs

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

    # -------------------------------------------------------------- running them

    def _train(self, stage: str, jobs: Sequence[Job]) -> None:
        todo = [job for job in dict.fromkeys(jobs) if job not in self._runs]
        begun = time.monotonic()
        if stage == "control":
            self._spent = 0.0
        self._tell(Progress(stage=stage, done=0, total=len(todo)))
        with closing(self._ran(todo)) as runs:
            for done, run in enumerate(runs, 1):
                self._runs[run.job] = run
                if stage == "control":
                    self._spent = time.monotonic() - begun
                if stage != "control" and done < len(todo) and self._is_late(_GRACE):
                    raise _LateError
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
        self._notes.append(f"the budget of {limit:g} seconds was used up before the proof was done")
        self._is_partial = True
        return True

    # --------------------------------------------------------------- what follows

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

    def _told(self) -> Proof:
        """Put the arms together and have them judged."""
        judged = [
            arm
            for arm in (self._arm(role, pair) for role, pair in self._judged)
            if arm.role in {Role.CONTROL, Role.CANDIDATE} or arm.runs
        ]
        entries = {pair[0] for _, pair in self._judged}
        others = [
            Arm(name=name_of(e.remedies), remedies=e.remedies, tries=self._arm_tries(e))
            for e in self._tries
            if e not in entries
        ]
        answer: Judged = judge(
            self.experiment.endpoint,
            [*judged, *others],
            contenders=[name_of(e.remedies, rate) for e, rate in self._proven],
            is_forced=self.is_forced,
            is_partial=self._is_partial,
            is_suspect=self.is_suspect,
            patient=self._patient,
        )
        return Proof(
            endpoint=self.experiment.endpoint,
            conclusion=answer.conclusion,
            said=answer.said,
            chosen=answer.chosen,
            arms=answer.arms,
            comparison=answer.comparison,
            harms=answer.harms,
            steps=self.plan.steps,
            seeds=self._seeds,
            engine=self.engine.name,
            jobs=self.engine.jobs,
            seconds=time.monotonic() - self._start,
            held_fixed=_HELD_FIXED,
            notes=(
                *self.experiment.partition.notes,
                *self._of_the_journal(),
                *self._notes,
                *self._ahead(),
                *answer.notes,
            ),
            is_partial=self._is_partial,
        )

    def _of_the_journal(self) -> Iterator[str]:
        if self.journal is None:
            return
        yield from self.journal.notes
        if self.journal.found:
            yield f"{self.journal.found} runs of an earlier start of this trial were taken over"

    def _ahead(self) -> Iterator[str]:
        """Tell who led, where the trial ended before anything was proven."""
        tries = [run for run in self._runs.values() if not run.job.judged and run.steps]
        if not self._is_partial or not tries:
            return
        longest = max(run.job.steps for run in tries)
        known = [r for r in tries if r.job.steps == longest and not math.isnan(r.validation)]
        best = max(known, key=lambda run: run.validation, default=None)
        if best is not None:
            name = name_of(best.job.remedies, best.job.rate_factor)
            yield f"ahead on the validation part, after {longest} steps: {name}"

    def _arm_tries(self, entry: Entry) -> tuple[Run, ...]:
        jobs = dict.fromkeys(self._tries.get(entry, ()))
        return tuple(self._runs[job] for job in jobs if job in self._runs)
