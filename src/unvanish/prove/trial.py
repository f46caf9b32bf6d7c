"""The trial: the control and what may cure it, trained side by side, until one thing is proven.

Four stages, each of which may be the last:

1. *control*: the network as it is, on every seed. Where it learns, nothing is to be done.
2. *first tries*: every treatment, and the control, at several learning rates and a quarter of the
   steps, on a seed of its own; the control at rates beyond these, as long as each does better.
3. *finalists*: the best of them in full, at the rate that did best and those next to it, and at the
   best of these once more from other initial weights. The smallest change among those that are as
   good as the best is chosen. What stages 2 and 3 choose by is the validation part.
4. *proof*: what was chosen, on the seeds of the control, judged on the held-out part, beside a
   null arm and an arm drawn by lot. What its pairs leave open gets as many again, once.

Where the best of them still does not learn, it is built on: stages 2 to 4 once more with what may
be added to it, since one defect may hide another. Whether that is so is asked of the validation
part, as far as it can say. What was put to the proof before stays among the contenders that the
intervals are widened for.

Stages 2 and 3 are successive halving (Jamieson and Talwalkar 2016). Seeds and samples that choose
do not judge, so that what is chosen is not flattered by its own luck.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from unvanish.core.findings import Severity
from unvanish.core.prescriptions import Option, Outlook
from unvanish.core.proofs import Arm, Endpoint, Job, Proof, Role, Run, name_of
from unvanish.prove.contest import (
    CONTROL,
    Entry,
    Pair,
    best_rates,
    beyond,
    final_rates,
    gains,
    helped,
    is_as_good,
    ranked,
    size_of,
)
from unvanish.prove.judging import Judged, bar, judge, learned, moves
from unvanish.prove.running import LateError, Running

_REDRAW: Final = 50_000
"""What is added to the seed of the initial weights in the null arm."""
_PATIENCE: Final = 4
"""Times the steps that a control gets before general remedies are tried on it."""
_MOST_BASES: Final = 2
"""How many treatments that do not suffice get something added to them."""
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


def _worries(outlook: Outlook) -> bool:
    """Tell whether a look finds anything that is no mere note."""
    return any(severity != Severity.NOTE for severity in outlook.findings.values())


@dataclass(kw_only=True)
class Trial(Running):
    """A trial of some treatments of one network. It is run once.

    Attributes:
        options: Treatments that may be the answer, the likeliest first; or what finds them, asked
            only where the control does not suffice.
        lots: Names of remedies that fit, from which the arm by lot is drawn; or what finds them.
        further: Finds what may be added to a treatment that does not suffice, from its remedies and
            the names of those that helped alone, best first; None to add nothing.
        bounds: Score on the validation part that the best constant answer gives, and the one from
            which a network counts as one that learns; see `unvanish.prove.endpoints.bounds_of`.
        is_forced: Whether the user named the treatment: it is tried even where the control
            learns, and said to harm where it does.
        is_suspect: Whether a check of the control finds something. Then a control without a goal
            has to stand the comparison with what may cure it. Where nothing is found, a control
            that does not learn is first given more steps; without a goal, a treatment then has to
            beat that one clearly.
    """

    options: Sequence[Option] | Callable[[], Sequence[Option]]
    lots: Sequence[str] | Callable[[], Sequence[str]] = ()
    further: Callable[[Sequence[str], Sequence[str]], Sequence[Option]] | None = None
    bounds: tuple[float, float] = (math.nan, math.nan)
    is_forced: bool = False
    is_suspect: bool = True
    _options: Sequence[Option] = field(default=(), init=False)
    _wanted: dict[Pair, list[Job]] = field(default_factory=dict, init=False)
    _helped: list[Entry] = field(default_factory=list, init=False)
    _bases: list[tuple[str, ...]] = field(default_factory=list, init=False)
    _ailing: set[tuple[str, ...]] = field(default_factory=set, init=False)
    _is_enough: bool = field(default=False, init=False)
    _proven: list[Pair] = field(default_factory=list, init=False)
    _patient: Arm | None = field(default=None, init=False)
    _looks: int = field(default=1, init=False)

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
                self._look_again()
        except LateError:
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
        if learned(endpoint, control.metrics):
            return endpoint.goal is not None or not self.is_suspect
        if self.is_suspect:
            return False
        if not math.isnan(bar(endpoint)):
            return self._learns_in_time()
        if not math.isnan(self._enough):
            is_sound = self._learns(control) and moves(endpoint, control)
            return is_sound or self._learns_in_time()
        if math.isnan(endpoint.floor) or all(map(_fits, control.runs)):
            # A loss may rise first, as where a code book is learned.
            return moves(endpoint, control) or self._learns_in_time()
        return self._learns_in_time()

    def _learns_in_time(self) -> bool:
        """Give a control in which nothing was found more steps, before anything is changed."""
        steps, short = self.plan.steps, self._judged[Role.CONTROL, (CONTROL, 1.0)]
        patient = replace(self.plan, steps=_PATIENCE * steps, seeds=min(3, self.plan.seeds))
        plan, self.plan = self.plan, patient
        self._train("control", self._pairs_of_seeds(CONTROL, 1.0, Role.CONTROL))
        if self._learns(self._arm(Role.CONTROL, (CONTROL, 1.0))):
            self._notes.append(f"{steps} steps were too few for the network; it was given more")
            return True
        self._patient = self._arm(Role.CONTROL, (CONTROL, 1.0))
        self.plan = plan
        self._judged[Role.CONTROL, (CONTROL, 1.0)] = short
        return False

    def _contest(self) -> None:
        """Choose a treatment, and put it to the proof; add to it where it does not suffice."""
        options = self.options() if callable(self.options) else self.options
        self._options = options[: self.plan.arms]
        self._afford()
        if not options:
            self._notes.append("no remedy fits: other learning rates are all that was tried")
        standing = self._round(self._entered(options))
        while standing is not None:
            self._is_enough = self._is_enough or not self._may_add()
            if self._is_enough or self._promises(standing):
                self._prove(standing)
                if self._is_enough or self._suffices():
                    return
            entries = self._added(standing)
            self._is_enough = not entries
            if entries:
                further = self._round(entries)
                standing = standing if further is None else further

    def _round(self, entries: Sequence[Entry]) -> list[Pair] | None:
        """Try entries beside the control, train the best in full, and rank all so trained.

        Args:
            entries: What takes part for the first time.

        Returns:
            What is better than the control; None where the budget is used up before that is known.
        """
        taking_part = [CONTROL, *entries]
        first = {(e, r): [self._try(e, r)] for e in taking_part for r in self.plan.rates}
        self._train("first tries", [job for jobs in first.values() for job in jobs])
        short = self._scores(first)
        tried = {entry: [r for e, r in first if e == entry] for entry in taking_part}
        while (rate := beyond(CONTROL, tried[CONTROL], short)) is not None and not self._is_late():
            tried[CONTROL].append(rate)
            first[CONTROL, rate] = [self._try(CONTROL, rate)]
            self._train("further rates", first[CONTROL, rate])
        rates = best_rates(tried, short)
        self._helped += [e for e in helped(rates, short) if e not in self._helped]
        finalists = sorted((e for e in rates if e != CONTROL), key=lambda e: -short(e, rates[e]))
        wanted = self._wanted
        wanted.setdefault((CONTROL, 1.0), [self._final(CONTROL, 1.0)])
        for entry in (CONTROL, *finalists[: self.plan.finalists]):
            if entry in rates:
                for rate in final_rates(entry, rates[entry], tried[entry], short):
                    wanted.setdefault((entry, rate), [self._final(entry, rate)])
        if self._is_late():
            return None
        self._train("finalists", [job for jobs in wanted.values() for job in jobs])
        leading = list(dict.fromkeys([(CONTROL, 1.0), *ranked(list(wanted), self._gain)]))
        for pair in leading:
            again = self._final(*pair, again=True)
            wanted[pair] = list(dict.fromkeys([*wanted[pair], again]))
        if not self._is_late():
            self._train("best finalists", [wanted[pair][-1] for pair in leading])
        return [
            pair
            for pair in ranked(leading, self._gain)
            if self.is_forced or self._full(*pair) > self._full(CONTROL, 1.0)
        ]

    @property
    def _enough(self) -> float:
        return self.bounds[1]

    def _full(self, entry: Entry, rate: float) -> float:
        return self._scores(self._wanted)(entry, rate)

    def _gain(self, entry: Entry, rate: float) -> float:
        """Return the score of full runs; a constant answer's is the least of the control.

        What is gained up to there is no learning: of two treatments of a network that begins far
        beyond it, one may do nothing but answer with a constant.
        """
        score = self._full(entry, rate)
        is_worse = (entry, rate) == (CONTROL, 1.0) and self.bounds[0] > score
        return self.bounds[0] if is_worse else score

    def _prove(self, standing: Sequence[Pair]) -> None:
        """Put the best to the proof, one after the other, until one reaches the user's goal.

        What was put to the proof in an earlier round did not suffice there: what is no worse on
        the part to choose by gets its turn.
        """
        endpoint, most = self.experiment.endpoint, _MOST_PROOFS if self._is_enough else 1
        tuned = next((p for p in standing if p[0] == CONTROL), None)
        for pair in [p for p in standing if self._is_worth_a_proof(p)][:most]:
            if self._is_late():
                return
            jobs = [*self._pairs_of_seeds(*pair, Role.CANDIDATE)]
            if not self._proven:
                jobs += self._comparators(pair)
                if tuned is not None and self._is_rival(tuned, pair):
                    jobs += self._pairs_of_seeds(*tuned, Role.CANDIDATE)
            self._proven.append(pair)
            self._train("proof", jobs)
            arm = self._arm(Role.CANDIDATE, pair)
            if endpoint.goal is None or learned(endpoint, arm.metrics):
                return

    def _is_rival(self, tuned: Pair, pair: Pair) -> bool:
        """Tell whether a learning rate alone may do what a larger change does."""
        is_smaller = size_of(*tuned) < size_of(*pair)
        return is_smaller and tuned != pair and gains(tuned, pair, self._full)

    def _is_worth_a_proof(self, pair: Pair) -> bool:
        """Tell whether nothing that was put to the proof in an earlier round leaves it behind."""
        if pair in self._proven:
            return False
        before = self._proven if self._bases else []
        return all(is_as_good(pair, other, self._gain) for other in before)

    # ------------------------------------------------------- what is built on what

    def _may_add(self) -> bool:
        """Tell whether another round is wanted, and whether there is time for it and a proof.

        A network in which nothing is found gets one where it misses the user's goal, or stays
        where it began.
        """
        if self.further is None or self.is_forced:
            return False
        endpoint, control = self.experiment.endpoint, self._arm(Role.CONTROL, (CONTROL, 1.0))
        if not self.is_suspect and endpoint.goal is None and moves(endpoint, control):
            return False
        if self._learns(control) or len(self._bases) >= (_MOST_BASES if self.is_suspect else 1):
            return False
        return self.plan.full_runs() - self.plan.seeds <= self._runs_left()

    def _promises(self, standing: Sequence[Pair]) -> bool:
        """Tell whether the best may learn, as far as the part to choose by can show."""
        if not standing or math.isnan(self._enough):
            return bool(standing)
        return max(self._full(*pair) for pair in standing) >= self._enough

    def _suffices(self) -> bool:
        """Tell whether something that was put to the proof learns."""
        return any(self._learns(self._arm(Role.CANDIDATE, pair)) for pair in self._proven)

    def _learns(self, arm: Arm) -> bool:
        """Tell whether an arm learns, as far as anybody can say.

        Where nobody said what that is, it has to do so on the part to choose by; where nobody can
        say it there either, it has to halve its loss and to leave nothing that a look finds.
        """
        endpoint = self.experiment.endpoint
        if not math.isnan(bar(endpoint)):
            return learned(endpoint, arm.metrics)
        if not math.isnan(self._enough):
            asked = Endpoint(name="validation", goal=self._enough)
            return learned(asked, [run.validation for run in arm.runs])
        ails = arm.remedies in self._ailing if arm.remedies else self.is_suspect
        return bool(arm.runs) and all(map(_fits, arm.runs)) and not ails

    def _added(self, standing: Sequence[Pair]) -> list[Entry]:
        """Return the best treatment so far with one remedy more; without one, the likeliest."""
        best = [pair[0].remedies for pair in sorted(standing, key=lambda pair: -self._full(*pair))]
        best += [option.remedies for option in self._options]
        base = next((names for names in best if names and names not in self._bases), None)
        if base is None or self.further is None:
            return []
        self._bases.append(base)
        more = [frozenset(entry.remedies) - set(base) for entry in self._helped]
        names = [name for each in more if len(each) == 1 for name in each]
        known = {frozenset(entry.remedies) for entry in self._tries}
        options = [o for o in self.further(base, names) if frozenset(o.remedies) not in known]
        if options:
            self._notes.append(f"{name_of(base)} does not suffice; more was added to it")
        return self._entered(options)

    def _entered(self, options: Sequence[Option]) -> list[Entry]:
        """Return what takes part, and remember what leaves something to be found."""
        chosen = options[: self.plan.arms]
        self._ailing |= {o.remedies for o in chosen if o.outlook and _worries(o.outlook)}
        return [Entry.of(option) for option in chosen]

    def _afford(self) -> None:
        """Make the plan fit what is left of the budget, as long as the control's runs took."""
        self.plan = self.plan.within(self._runs_left())

    def _look_again(self) -> None:
        """Give what could help, and could be chance, as many pairs again; there is no third look.

        The intervals are widened for the second look (Bonferroni): a trial that may stop at either
        of two looks has two chances to be wrong.
        """
        pair = next(iter(self._contenders()), None)
        own = self.plan.seeds
        if pair is None or self._is_partial or not self._answer().is_open:
            return
        if self._is_late() or self._runs_left() < 2 * own:
            return
        self._looks, self.plan = 2, replace(self.plan, seeds=2 * own)
        more = [*self._pairs_of_seeds(CONTROL, 1.0, Role.CONTROL)]
        more += self._pairs_of_seeds(*pair, Role.CANDIDATE)
        self._notes.append(
            f"{own} pairs left it open; it was given {own} more, and wider intervals"
        )
        self._train("proof", more)

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

    def _is_answered(self) -> bool:
        return bool(self._bases) and any(map(self._is_proven, self._proven))

    # --------------------------------------------------------------- what follows

    def _answer(self) -> Judged:
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
        return judge(
            self.experiment.endpoint,
            [*judged, *others],
            contenders=[name_of(e.remedies, rate) for e, rate in self._contenders()],
            is_forced=self.is_forced,
            is_partial=self._is_partial,
            is_suspect=self.is_suspect,
            patient=self._patient,
            constant=self.bounds[0],
            looks=self._looks,
        )

    def _told(self) -> Proof:
        answer = self._answer()
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

    def _contenders(self) -> list[Pair]:
        """Return what was put to the proof, that first which the part to choose by speaks for."""
        done = self._proven if self._is_partial else [*filter(self._is_proven, self._proven)]
        return ranked(done, self._gain)

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
