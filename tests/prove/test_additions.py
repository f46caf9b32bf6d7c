"""A trial adds to a treatment that does not suffice: networks with several defects."""

from __future__ import annotations

import math

import pytest
from tests.prove.test_trial import Oracle, trial

from unvanish.core.prescriptions import Advice, Change, Option, Outlook, Prescription
from unvanish.core.proofs import Conclusion, Endpoint, Role
from unvanish.prove.plan import Plan
from unvanish.prove.shortlist import further

NO_BAR = Endpoint(name="metric", untrained=0.1)


def both(*names: str, findings: dict[str, str] | None = None) -> Option:
    return Option(
        remedies=names,
        prescriptions=tuple(
            Prescription(remedy=name, why="w", change=Change.NORMALISATION) for name in names
        ),
        outlook=Outlook(findings=findings or {}),
        can_be_written=True,
    )


class More:
    """What may be added to a treatment, by its remedies; it remembers what it was asked."""

    def __init__(self, table):
        self.table, self.asked = table, []

    def __call__(self, base, helped):
        self.asked.append((tuple(base), tuple(helped)))
        return self.table.get(tuple(base), [])


def test_what_does_not_suffice_alone_cures_together_with_another():
    more = More({("he",): [both("he", "reattach"), both("he", "batch-norm")]})
    table = {
        (("he",), 1.0): 0.4,
        (("batch-norm",), 1.0): 0.2,
        (("he", "reattach"), 1.0): 0.95,
    }
    made, engine = trial(table, further=more, bounds=(0.1, 0.9))
    proof = made.run()
    assert proof.conclusion is Conclusion.CURED
    assert proof.chosen == "he + reattach"
    assert more.asked == [(("he",), ("batch-norm",))]
    assert any("he does not suffice" in note for note in proof.notes)
    # What is known to miss the bar on the part to choose by is not put to the proof.
    judged = {job.remedies for job in engine.asked if job.judged and not job.redraw}
    assert judged == {(), ("he", "reattach")}


def test_what_suffices_alone_gets_nothing_added():
    more = More({("he",): [both("he", "reattach")]})
    table = {(("he",), 1.0): 0.95, (("he", "reattach"), 1.0): 0.99}
    proof = trial(table, further=more, bounds=(0.1, 0.9))[0].run()
    assert proof.chosen == "he"
    assert more.asked == []


def test_an_addition_that_adds_nothing_is_not_the_answer():
    more = More({("he",): [both("he", "reattach")]})
    table = {(("he",), 1.0): 0.4, (("he", "reattach"), 1.0): 0.4}
    proof = trial(table, further=more, bounds=(0.1, 0.9))[0].run()
    assert proof.conclusion is Conclusion.IMPROVED
    assert proof.chosen == "he"


def test_what_only_comes_near_a_constant_answer_is_not_as_good_as_what_learns():
    """The control is so far beyond chance that two treatments look alike from there."""
    table = {((), 1.0): -100.0, (("he",), 1.0): 0.1, (("batch-norm",), 1.0): 0.95}
    proof = trial(table, bounds=(0.1, 0.5))[0].run()
    assert proof.chosen == "batch-norm"
    table = {((), 1.0): -100.0, (("he",), 1.0): 0.94, (("batch-norm",), 1.0): 0.95}
    assert trial(table, bounds=(0.1, 0.5))[0].run().chosen == "he"


def test_a_third_remedy_is_added_to_the_best_two():
    pairs = [both("he", "reattach"), both("he", "batch-norm")]
    more = More({("he",): pairs, ("he", "reattach"): [both("he", "reattach", "lsuv")]})
    table = {
        (("he",), 1.0): 0.3,
        (("he", "reattach"), 1.0): 0.6,
        (("he", "reattach", "lsuv"), 1.0): 0.97,
    }
    proof = trial(table, further=more, bounds=(0.1, 0.9))[0].run()
    assert proof.chosen == "he + reattach + lsuv"
    assert [base for base, _ in more.asked] == [("he",), ("he", "reattach")]


def test_where_nothing_helps_alone_something_is_added_to_the_likeliest():
    more = More({("batch-norm",): [both("batch-norm", "reattach")]})
    table = {(("batch-norm", "reattach"), 1.0): 0.95}
    proof = trial(table, further=more, bounds=(0.1, 0.9))[0].run()
    assert proof.conclusion is Conclusion.CURED
    assert proof.chosen == "batch-norm + reattach"


def test_a_network_in_which_nothing_is_found_gets_one_round_only():
    more = More({("he",): [both("he", "reattach")], ("he", "reattach"): []})
    table = {(("he",), 1.0): 0.3, (("he", "reattach"), 1.0): 0.4}
    trial(table, further=more, bounds=(0.1, 0.9), is_suspect=False)[0].run()
    assert [base for base, _ in more.asked] == [("he",)]


def test_what_moves_and_has_nothing_found_in_it_gets_nothing_added():
    more = More({("he",): [both("he", "reattach")]})
    endpoint = Endpoint(name="accuracy", chance=0.1, samples=1000)
    table = {((), 1.0): 0.2, (("he",), 1.0): 0.3}
    trial(table, endpoint=endpoint, further=more, bounds=(0.1, 0.9), is_suspect=False)[0].run()
    assert more.asked == []
    table = {((), 1.0): 0.1, (("he",), 1.0): 0.3}
    trial(table, endpoint=endpoint, further=more, bounds=(0.1, 0.9), is_suspect=False)[0].run()
    assert [base for base, _ in more.asked] == [("he",)]


def test_a_treatment_that_the_user_named_gets_nothing_added():
    more = More({("he",): [both("he", "reattach")]})
    made, _ = trial({(("he",), 1.0): 0.4}, further=more, bounds=(0.1, 0.9), is_forced=True)
    assert made.run().chosen == "he"
    assert more.asked == []


def test_where_the_control_learns_nothing_is_added_to_what_does_not():
    more = More({("he",): [both("he", "reattach")]})
    endpoint = Endpoint(name="accuracy", chance=0.1, samples=1000)
    table = {((), 1.0): 0.8, (("he",), 1.0): 0.5}
    proof = trial(table, endpoint=endpoint, further=more, bounds=(0.1, 0.9))[0].run()
    assert proof.conclusion is Conclusion.HEALTHY
    assert more.asked == []


def test_a_promise_of_the_part_to_choose_by_that_does_not_hold_gets_more():
    class Fickle(Oracle):
        def run(self, experiment, jobs):
            for run in super().run(experiment, jobs):
                alone = run.job.judged and run.job.remedies == ("he",)
                yield type(run)(**{**vars_of(run), "metric": 0.5}) if alone else run

    more = More({("he",): [both("he", "reattach")]})
    table = {(("he",), 1.0): 0.92, (("he", "reattach"), 1.0): 0.99}
    made, _ = trial(table, further=more, bounds=(0.1, 0.9))
    made.engine = Fickle(table)
    proof = made.run()
    assert proof.chosen == "he + reattach"
    arms = [arm.name for arm in proof.arms if arm.role is Role.CANDIDATE and arm.runs]
    assert sorted(arms) == ["he", "he + reattach"]
    assert any("2 treatments were put to the proof" in note for note in proof.notes)


def vars_of(run):
    return {name: getattr(run, name) for name in type(run).__dataclass_fields__}


@pytest.mark.parametrize(
    ("enough", "findings", "chosen"),
    [
        (0.9, {}, "he + reattach"),
        (math.nan, {"UV101": "error"}, "he + reattach"),
        (math.nan, {"UV503": "note"}, "he"),
        (0.5, {}, "he"),
    ],
)
def test_without_a_bar_the_part_to_choose_by_or_what_is_left_decides(enough, findings, chosen):
    class Halved(Oracle):
        def run(self, experiment, jobs):
            for run in super().run(experiment, jobs):
                yield type(run)(**{**vars_of(run), "losses": (1.0, 0.4), "loss_steps": (1, 2)})

    more = More({("he",): [both("he", "reattach")]})
    table = {((), 1.0): 0.1, (("he",), 1.0): 0.6, (("he", "reattach"), 1.0): 0.95}
    options = (both("he", findings=findings),)
    made, _ = trial(
        table, endpoint=NO_BAR, options=options, further=more, bounds=(math.nan, enough)
    )
    made.engine = Halved(table)
    proof = made.run()
    assert proof.conclusion is Conclusion.IMPROVED
    assert proof.chosen == chosen


def test_seeds_that_choose_do_not_judge_additions_either():
    more = More({("he",): [both("he", "reattach")]})
    table = {(("he",), 1.0): 0.4, (("he", "reattach"), 1.0): 0.95}
    made, engine = trial(table, further=more, bounds=(0.1, 0.9))
    made.run()
    judging = {job.seed for job in engine.asked if job.judged}
    choosing = {job.seed for job in engine.asked if not job.judged}
    assert not judging & choosing
    assert len(engine.asked) == len(set(engine.asked))


def test_without_time_for_another_round_what_there_is_is_proven(monkeypatch):
    clock = [0.0]

    def now():
        clock[0] += 0.1
        return clock[0]

    monkeypatch.setattr("unvanish.prove.trial.time.monotonic", now)
    more = More({("he",): [both("he", "reattach")]})
    plan = Plan(steps=100, seconds=8.0)
    made, _ = trial({(("he",), 1.0): 0.4}, plan=plan, further=more, bounds=(0.1, 0.9))
    proof = made.run()
    assert proof.chosen == "he"
    assert not proof.is_partial
    assert more.asked == []


def test_additions_that_have_helped_alone_and_those_that_mend_come_first():
    names = ["gelu", "elu", "selu", "reattach", "xavier", "lsuv"]
    options = tuple(both("he", name) for name in names)
    advice = Advice(before=Outlook(), options=options)
    chosen = [o.remedies[1] for o in further(advice, ("he",), ("lsuv",), 4)]
    assert chosen[:2] == ["lsuv", "reattach"]
    assert len(chosen) == 4
