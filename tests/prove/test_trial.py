from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from unvanish.core.prescriptions import Change, Option, Outlook, Prescription
from unvanish.core.proofs import Conclusion, Endpoint, Job, Role, Run
from unvanish.prove.ledger import FIRST_SEED
from unvanish.prove.plan import Plan
from unvanish.prove.running import Progress
from unvanish.prove.trial import Trial


class Parts:
    notes = ("100 samples",)


class Setting:
    """What of an experiment a trial itself reads."""

    partition = Parts()
    metric = None

    def __init__(self, endpoint):
        self.endpoint = endpoint


class Oracle:
    """An engine whose runs come from a table: (remedies, rate) to the metric."""

    name, jobs = "oracle", 2

    def __init__(self, table, *, milliseconds=None, stop_after=None):
        self.table, self.asked = table, []
        self.milliseconds = milliseconds or {}
        self.stop_after = stop_after

    def run(self, _: Any, jobs: Sequence[Job]) -> Generator[Run, None, None]:
        for job in jobs:
            if self.stop_after is not None and len(self.asked) >= self.stop_after:
                raise KeyboardInterrupt
            self.asked.append(job)
            value = self.table.get((job.remedies, job.rate_factor), 0.1)
            wobble = 0.001 * (job.seed % 3)
            each = self.milliseconds.get(job.remedies, 1.0)
            yield Run(
                job=job,
                metric=value + wobble if job.judged else float("nan"),
                validation=value,
                steps=job.steps,
                seconds=each * job.steps / 1000,
                losses=(1.0,),
                loss_steps=(job.steps,),
            )

    def close(self) -> None:
        pass


def option(name, change=Change.NORMALISATION, *, written=True):
    return Option(
        remedies=(name,),
        prescriptions=(Prescription(remedy=name, why="w", change=change),),
        outlook=Outlook(),
        cures=("UV101",),
        can_be_written=written,
    )


GOAL = Endpoint(name="accuracy", goal=0.9, chance=0.1, samples=1000)
OPTIONS = (option("batch-norm"), option("he", Change.INITIALISATION))


def trial(table, *, endpoint=GOAL, options=OPTIONS, plan=None, **more):
    engine = Oracle(
        table, milliseconds=more.pop("milliseconds", None), stop_after=more.pop("stop_after", None)
    )
    made = Trial(
        experiment=Setting(endpoint),
        options=options,
        plan=plan or Plan(steps=100),
        engine=engine,
        **more,
    )
    return made, engine


def test_where_the_control_learns_nothing_else_is_trained():
    made, engine = trial({((), 1.0): 0.95})
    proof = made.run()
    assert proof.conclusion is Conclusion.HEALTHY
    assert proof.answer is None
    assert {job.remedies for job in engine.asked} == {()}
    assert len(engine.asked) == 5


def test_where_the_control_cannot_be_trained_nothing_else_is():
    class Broken(Oracle):
        def run(self, experiment, jobs):
            for run in super().run(experiment, jobs):
                yield replace(run, metric=float("nan"), failed="the metric raised KeyError: 'x'")

    made, _ = trial({})
    made.engine = broken = Broken({})
    proof = made.run()
    assert proof.conclusion is Conclusion.CANNOT
    assert "KeyError" in proof.said
    assert len(broken.asked) == 5


def test_without_a_goal_a_suspect_control_stands_the_comparison():
    endpoint = Endpoint(name="accuracy", chance=0.1, samples=1000)
    made, engine = trial({((), 1.0): 0.95}, endpoint=endpoint)
    assert made.run().conclusion is Conclusion.HEALTHY
    assert ("he",) in {job.remedies for job in engine.asked}


def test_a_control_in_which_nothing_is_found_is_given_more_steps_before_it_is_changed():
    class Late(Oracle):
        def run(self, experiment, jobs):
            for run in super().run(experiment, jobs):
                metric = 0.95 if run.job.steps > 100 else run.metric
                yield replace(run, metric=metric)

    made, _ = trial({(("he",), 1.0): 0.95}, is_suspect=False)
    made.engine = late = Late({})
    proof = made.run()
    assert proof.conclusion is Conclusion.HEALTHY
    assert proof.steps == 400
    assert {job.remedies for job in late.asked} == {()}
    assert any("too few" in note for note in proof.notes)


def test_a_control_that_misses_its_goal_whatever_its_steps_gets_remedies():
    made, _ = trial({(("he",), 1.0): 0.95}, is_suspect=False)
    proof = made.run()
    assert proof.conclusion is Conclusion.CURED
    assert proof.steps == 100


@pytest.mark.parametrize("best", [0.2, 0.5, 0.6])
def test_without_a_goal_or_a_finding_what_beats_chance_is_left_alone(best):
    endpoint = Endpoint(name="accuracy", chance=0.1, samples=1000)
    table = {((), 1.0): 0.4, (("he",), 1.0): best}
    proof = trial(table, endpoint=endpoint, is_suspect=False)[0].run()
    assert proof.conclusion is Conclusion.HEALTHY
    assert proof.chosen == ""


def test_without_a_goal_or_a_finding_what_is_left_far_behind_is_cured():
    endpoint = Endpoint(name="accuracy", chance=0.1, samples=1000)
    table = {((), 1.0): 0.3, (("he",), 1.0): 0.95}
    proof = trial(table, endpoint=endpoint, is_suspect=False)[0].run()
    assert proof.conclusion is Conclusion.CURED
    assert proof.chosen == "he"
    assert proof.steps == 100


def test_without_a_goal_or_a_finding_a_slow_network_is_compared_with_more_steps():
    class Slow(Oracle):
        def run(self, experiment, jobs):
            for run in super().run(experiment, jobs):
                metric = 0.5 if run.job.steps > 100 and not run.job.remedies else run.metric
                yield replace(run, metric=metric)

    endpoint = Endpoint(name="accuracy", chance=0.1, samples=1000)
    made, _ = trial({}, endpoint=endpoint, is_suspect=False)
    made.engine = Slow({((), 1.0): 0.3, (("he",), 1.0): 0.75})
    assert made.run().conclusion is Conclusion.HEALTHY
    made, _ = trial({}, endpoint=endpoint, is_suspect=False)
    made.engine = Oracle({((), 1.0): 0.3, (("he",), 1.0): 0.75})
    assert made.run().conclusion is Conclusion.CURED


class Stuck(Oracle):
    """Runs whose training loss stays where it was."""

    def run(self, experiment, jobs):
        for run in super().run(experiment, jobs):
            yield replace(run, losses=(1.0, 0.9), loss_steps=(1, run.job.steps))


@pytest.mark.parametrize(
    ("best", "conclusion"), [(0.55, Conclusion.HEALTHY), (0.9, Conclusion.IMPROVED)]
)
def test_by_a_metric_without_a_goal_a_stuck_network_is_compared(best, conclusion):
    endpoint = Endpoint(name="metric", untrained=0.49)
    table = {((), 1.0): 0.53, (("he",), 1.0): best}
    made, _ = trial({}, endpoint=endpoint, is_suspect=False)
    made.engine = Stuck(table)
    proof = made.run()
    assert proof.conclusion is conclusion
    assert proof.chosen == ("he" if best > 0.8 else "")


def test_by_a_metric_without_a_goal_a_network_that_fits_is_left_alone():
    class Fits(Oracle):
        def run(self, experiment, jobs):
            for run in super().run(experiment, jobs):
                yield replace(run, losses=(1.0, 0.2), loss_steps=(1, run.job.steps))

    endpoint = Endpoint(name="metric", untrained=0.49)
    made, _ = trial({}, endpoint=endpoint, is_suspect=False)
    made.engine = fits = Fits({((), 1.0): 0.53})
    assert made.run().conclusion is Conclusion.HEALTHY
    assert len(fits.asked) == 5


@pytest.mark.parametrize("falls", [True, False])
def test_a_loss_that_rises_before_it_falls_is_given_more_steps(falls):
    class Rises(Oracle):
        def run(self, experiment, jobs):
            for run in super().run(experiment, jobs):
                late = 0.1 if falls and run.job.steps > 100 else 1.2
                yield replace(run, losses=(1.0, late), loss_steps=(1, run.job.steps))

    made, _ = trial({}, endpoint=Endpoint(name="loss", higher_is_better=False), is_suspect=False)
    made.engine = rises = Rises({((), 1.0): 0.5, (("he",), 1.0): 0.1})
    assert (made.run().conclusion is Conclusion.HEALTHY) is falls
    assert (len(rises.asked) == 8) is falls


@pytest.mark.parametrize(
    ("own", "conclusion"), [(-3.0, Conclusion.IMPROVED), (-0.4, Conclusion.HEALTHY)]
)
def test_what_scores_below_a_constant_answer_does_not_suffice_though_it_fits(own, conclusion):
    class Fits(Oracle):
        def run(self, experiment, jobs):
            for run in super().run(experiment, jobs):
                yield replace(run, losses=(10.0, 1.0), loss_steps=(1, run.job.steps))

    endpoint = Endpoint(name="metric", untrained=-30.0)
    made, _ = trial({}, endpoint=endpoint, is_suspect=False, bounds=(-1.0, -0.5))
    made.engine = Fits({((), 10.0**n): own for n in range(-4, 5)} | {((), 10.0): 0.3})
    proof = made.run()
    assert proof.conclusion is conclusion
    assert proof.chosen == ("rate x10" if own < -1.0 else "")


def test_a_rate_that_is_orders_off_is_found():
    table = {((), 10.0**n): 0.1 + 0.2 * n for n in range(1, 5)}
    made, engine = trial(table)
    proof = made.run()
    assert proof.conclusion is Conclusion.CURED
    assert proof.answer.rate_factor == 1e4
    assert {job.rate_factor for job in engine.asked} >= {1.0, 0.1, 10.0, 1e2, 1e3, 1e4}


def test_a_rate_that_is_orders_off_gives_way_to_one_remedy():
    table = {((), 10.0**n): 0.1 + 0.2 * n for n in range(1, 5)}
    made, _ = trial(table | {(("lower-epsilon",), 1.0): 0.9})
    made.options = (option("lower-epsilon", Change.OPTIMISER),)
    proof = made.run()
    assert (proof.conclusion, proof.chosen) == (Conclusion.CURED, "lower-epsilon")


def test_what_stays_open_gets_as_many_pairs_again():
    class Now(Oracle):
        """The control learns on every other seed."""

        def run(self, experiment, jobs):
            for run in super().run(experiment, jobs):
                learns = run.job.judged and not run.job.remedies and run.job.seed % 2
                yield replace(run, metric=0.9) if learns else run

    made, _ = trial({(("he",), 1.0): 0.95})
    made.engine = Now(made.engine.table)
    proof = made.run()
    arm = next(arm for arm in proof.arms if arm.name == "he")
    said = [note for note in proof.notes if "pairs left it open" in note]
    assert len(arm.runs) == 10
    assert len(said) == 1
    assert arm.comparison.confidence == pytest.approx(0.975)
    assert proof.conclusion is Conclusion.CURED


def test_what_leads_by_one_lucky_seed_is_not_put_to_the_proof():
    class Lucky(Oracle):
        def run(self, experiment, jobs):
            for run in super().run(experiment, jobs):
                is_drawn = run.job.remedies == ("he",) and run.job.seed % 2 == 0
                yield replace(run, validation=0.1, metric=0.1) if is_drawn else run

    table = {(("he",), 1.0): 0.99, (("batch-norm",), 1.0): 0.95}
    made, _ = trial(table)
    made.engine = Lucky(table)
    proof = made.run()
    assert proof.chosen == "batch-norm"
    assert [arm.name for arm in proof.arms if arm.role is Role.CANDIDATE and arm.runs] == [
        "batch-norm"
    ]


def test_without_a_goal_or_a_finding_what_stays_at_chance_gets_remedies():
    endpoint = Endpoint(name="accuracy", chance=0.1, samples=1000)
    table = {((), 1.0): 0.05, (("he",), 1.0): 0.95}
    proof = trial(table, endpoint=endpoint, is_suspect=False)[0].run()
    assert proof.conclusion is Conclusion.CURED
    assert proof.chosen == "he"


def test_remedies_are_looked_for_only_where_the_control_does_not_suffice():
    asked = []

    def options():
        asked.append(1)
        return OPTIONS

    assert trial({((), 1.0): 0.95}, options=options)[0].run().conclusion is Conclusion.HEALTHY
    assert not asked
    table = {(("he",), 1.0): 0.95}
    assert trial(table, options=options)[0].run().conclusion is Conclusion.CURED
    assert asked == [1]


def test_the_smallest_change_that_is_as_good_is_proven():
    table = {(("batch-norm",), 1.0): 0.96, (("he",), 1.0): 0.955}
    proof = trial(table)[0].run()
    assert proof.conclusion is Conclusion.CURED
    assert proof.chosen == "he"
    assert proof.comparison is not None
    assert proof.comparison.low > 0.8
    assert len(proof.arm("he").runs) == 5
    assert proof.arm("batch-norm").fate == "dropped"


def test_a_better_rate_is_found_and_named():
    table = {(("he",), 0.1): 0.95, (("he",), 1.0): 0.3}
    proof = trial(table)[0].run()
    assert proof.chosen == "he, rate x0.1"
    assert proof.answer is not None
    assert proof.answer.rate_factor == 0.1


def test_a_rate_alone_is_the_smallest_change_of_all():
    table = {((), 0.1): 0.95, (("he",), 1.0): 0.95}
    proof = trial(table)[0].run()
    assert proof.chosen == "rate x0.1"
    assert proof.conclusion is Conclusion.CURED


def test_where_the_first_does_not_hold_the_second_is_put_to_the_proof():
    class Fickle(Oracle):
        def run(self, experiment, jobs):
            for run in super().run(experiment, jobs):
                if run.job.judged and run.job.remedies == ("he",):
                    run = Run(job=run.job, metric=0.5, validation=0.5, steps=1, seconds=0.001)
                yield run

    made, _ = trial({})
    made.engine = Fickle({(("batch-norm",), 1.0): 0.96, (("he",), 1.0): 0.955})
    proof = made.run()
    assert proof.chosen == "batch-norm"
    assert proof.arm("he").fate == "beaten"


def test_nothing_that_helps_is_no_effect():
    proof = trial({})[0].run()
    assert proof.conclusion is Conclusion.NO_EFFECT
    assert proof.chosen == ""


def test_a_treatment_that_is_forced_is_said_to_harm_where_it_does():
    table = {((), 1.0): 0.95, (("he",), 1.0): 0.2, (("he",), 0.1): 0.2, (("he",), 10.0): 0.2}
    proof = trial(table, options=(OPTIONS[1],), is_forced=True)[0].run()
    assert proof.conclusion is Conclusion.HARMED
    assert proof.chosen == ""


def test_seeds_that_choose_do_not_judge():
    _, engine = made = trial({(("he",), 1.0): 0.95})
    made[0].run()
    judging = {job.seed for job in engine.asked if job.judged}
    choosing = {job.seed for job in engine.asked if not job.judged}
    assert judging == {FIRST_SEED + k for k in range(5)}
    assert not judging & choosing


def test_every_arm_is_tried_at_every_rate_for_equal_steps_and_the_control_too():
    made, engine = trial({(("he",), 1.0): 0.95})
    made.run()
    first = [job for job in engine.asked if job.seed == 0]
    for remedies in ((), ("he",), ("batch-norm",)):
        rates = {job.rate_factor for job in first if job.remedies == remedies}
        assert rates == {1.0, 0.1, 10.0}
    assert {job.steps for job in first} == {25}
    assert {job.steps for job in engine.asked if job.judged} == {100}


def test_null_arm_and_arm_by_lot_stand_beside_the_answer():
    made, engine = trial({(("he",), 1.0): 0.95}, lots=("relu", "elu", "he"))
    proof = made.run()
    null = next(arm for arm in proof.arms if arm.role is Role.NULL)
    lot = next(arm for arm in proof.arms if arm.role is Role.RANDOM)
    assert len(null.runs) == len(lot.runs) == 3
    assert all(run.job.redraw for run in null.runs)
    drawn = {run.job.remedies for run in lot.runs}
    assert drawn <= {("relu",), ("elu",)}
    assert sum(job.redraw > 0 for job in engine.asked) == 3


def test_a_slower_network_is_also_judged_after_the_time_of_the_control():
    made, engine = trial({(("he",), 1.0): 0.95}, milliseconds={("he",): 2.0})
    made.run()
    checkpoints = {job.checkpoints for job in engine.asked if job.judged and job.remedies}
    assert checkpoints == {(50,)}


def test_an_interrupted_trial_tells_what_had_ended():
    made, _ = trial({(("he",), 1.0): 0.95}, stop_after=12)
    proof = made.run()
    assert proof.is_partial
    assert proof.conclusion is Conclusion.INCONCLUSIVE
    assert len(proof.arm("control").runs) == 5
    assert any("interrupted" in note for note in proof.notes)


def test_a_trial_that_is_interrupted_at_once_says_so():
    proof = trial({}, stop_after=0)[0].run()
    assert proof.is_partial
    assert proof.conclusion is Conclusion.INCONCLUSIVE


def test_a_budget_that_is_used_up_ends_the_trial_between_two_stages():
    plan = Plan(steps=100, seconds=0.0)
    proof = trial({(("he",), 1.0): 0.95}, plan=plan)[0].run()
    assert proof.is_partial
    assert any("budget" in note for note in proof.notes)


def test_a_budget_that_is_far_exceeded_ends_a_stage_that_has_begun(monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr("unvanish.prove.trial.time.monotonic", lambda: float(next(clock)))
    plan = Plan(steps=100, seconds=12.0)
    made, engine = trial({(("he",), 1.0): 0.95}, plan=plan)
    proof = made.run()
    assert proof.is_partial
    assert any("ahead on the validation part" in note for note in proof.notes)
    assert 5 < len(engine.asked) < 14
    assert len(proof.arm("control").runs) == 5


def test_no_run_is_asked_for_twice():
    made, engine = trial({(("he",), 1.0): 0.95})
    made.run()
    assert len(engine.asked) == len(set(engine.asked))


def test_progress_is_told_after_every_run():
    heard: list[Progress] = []
    made, engine = trial({(("he",), 1.0): 0.95}, progress=heard.append)
    made.run()
    assert sum(each.run is not None for each in heard) == len(engine.asked)
    assert [p.stage for p in heard if p.done == 0] == [
        "control",
        "first tries",
        "finalists",
        "best finalists",
        "proof",
    ]


@pytest.mark.parametrize("name", ["accuracy", "loss"])
def test_the_direction_of_the_endpoint_does_not_matter(name):
    table = {((), 1.0): 1.0, (("he",), 1.0): 0.05, (("batch-norm",), 1.0): 0.9}

    class Falling(Oracle):
        def run(self, experiment, jobs):
            for run in super().run(experiment, jobs):
                yield Run(
                    job=run.job,
                    metric=run.metric,
                    validation=-run.validation,
                    steps=run.steps,
                    seconds=run.seconds,
                )

    made, _ = trial({}, endpoint=Endpoint(name=name, higher_is_better=False, goal=0.3))
    made.engine = Falling({**{((), r): 1.0 for r in (0.1, 10.0, 0.32)}, **table})
    made.engine.table |= {(("he",), r): 0.9 for r in (0.1, 10.0, 0.32)}
    made.engine.table |= {(("batch-norm",), r): 0.9 for r in (0.1, 10.0, 0.32)}
    proof = made.run()
    assert proof.conclusion is Conclusion.CURED
    assert proof.chosen == "he"
