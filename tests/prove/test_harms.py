"""What a treatment costs and breaks, on runs that are written by hand."""

import math

import pytest

from unvanish.core.prescriptions import Outlook
from unvanish.core.proofs import Arm, Endpoint, Job, Role, Run
from unvanish.prove.harms import harms

ACCURACY = Endpoint(name="accuracy", goal=0.9, chance=0.1, samples=360)
LOSS = Endpoint(name="loss", higher_is_better=False)


def arm(role, metrics, ends=(), **told):
    told = {"steps": 100, "seconds": 1.0, "peak_bytes": 1000, "parameters": 50} | told
    runs = [
        Run(job=Job(seed=seed), metric=metric, **told, end=end)
        for seed, (metric, end) in enumerate(
            zip(metrics, [*ends, *[None] * (len(metrics) - len(ends))], strict=True)
        )
    ]
    return Arm(name=role.value, role=role, runs=tuple(runs))


def compared(before=None, after=None, endpoint=ACCURACY, metrics=((0.1, 0.1, 0.12), (0.9,) * 3)):
    control = arm(Role.CONTROL, metrics[0], **before or {})
    treated = arm(Role.CANDIDATE, metrics[1], **after or {})
    return {harm.name: harm for harm in harms(control, treated, endpoint)}


def test_equal_arms_do_no_harm():
    ends = [Outlook(flow_decades=-0.5, sample_cosine=0.4)]
    told = compared({"ends": ends}, {"ends": ends})
    assert len(told) == 7
    assert not any(harm.is_worse for harm in told.values())
    assert all(harm.said for harm in told.values())


@pytest.mark.parametrize(
    ("name", "field", "least"),
    [("time per step", "seconds", 2.0), ("memory kept", "peak_bytes", 2000)],
)
def test_a_bill_counts_from_twice_the_controls(name, field, least):
    assert compared({}, {field: least})[name].is_worse
    assert not compared({}, {field: type(least)(0.9 * least)})[name].is_worse
    assert not compared({field: least}, {})[name].is_worse


def test_what_was_not_measured_is_not_compared():
    told = compared({"peak_bytes": 0, "steps": 0, "seconds": 0.0})
    assert "memory kept" not in told
    assert "time per step" not in told
    assert harms(Arm(name="control"), Arm(name="he"), ACCURACY) == ()


def test_an_advantage_that_is_bought_with_time_counts():
    slow = {"seconds": 3.0, "metrics_at": {"33": 0.1, "90": 0.9}}
    harm = compared({}, slow)["accuracy at equal time"]
    assert harm.is_worse
    assert (harm.control, harm.treated) == (0.1, 0.1)
    fast = compared({}, {"seconds": 3.0, "metrics_at": {"33": 0.85}})["accuracy at equal time"]
    assert not fast.is_worse
    assert fast.treated == 0.85
    # The result at the end counts where the treated network is not slower.
    assert compared()["accuracy at equal time"].treated == 0.9
    unknown = compared({}, {"seconds": 3.0})["accuracy at equal time"]
    assert math.isnan(unknown.treated)
    assert "not measured" in unknown.said


def test_a_loss_at_equal_time_is_better_where_it_is_lower():
    metrics = ((2.0, 2.1, 2.0), (0.1, 0.1, 0.11))
    bought = {"seconds": 2.0, "metrics_at": {"50": 2.2}}
    assert compared({}, bought, LOSS, metrics)["loss at equal time"].is_worse
    kept = {"seconds": 2.0, "metrics_at": {"50": 0.3}}
    assert not compared({}, kept, LOSS, metrics)["loss at equal time"].is_worse


def test_runs_that_diverge_where_the_control_does_not():
    runs = {"diverged": "the loss is nan at step 4"}
    name = "runs without a result"
    assert compared({}, runs, metrics=((0.1,) * 3, (math.nan,) * 3))[name].is_worse
    assert not compared(runs, {}, metrics=((math.nan,) * 3, (0.9,) * 3))[name].is_worse


def test_findings_at_the_end_that_no_control_has():
    dead = Outlook(findings={"UV202": "warning", "UV405": "error"})
    well = Outlook()
    told = compared({"ends": [well]}, {"ends": [dead]})
    assert told["UV202 at the end"].is_worse
    assert "dead units" in told["UV202 at the end"].said
    assert "UV405 at the end" not in told
    assert not compared({"ends": [dead]}, {"ends": [dead]})["UV202 at the end"].is_worse
    assert not compared({"ends": [well] * 2}, {"ends": [dead, well]})["UV202 at the end"].is_worse
    noted = Outlook(findings={"UV202": "note"})
    assert "UV202 at the end" not in compared({"ends": [well]}, {"ends": [noted]})


@pytest.mark.parametrize(
    ("control", "treated", "worse"),
    [(-0.5, -3.5, True), (-0.5, 3.5, True), (-9.0, -2.0, False), (-3.2, -3.5, False),
     (-0.5, -2.5, False), (-1.0, -math.inf, True), (-math.inf, -math.inf, False)],
)  # fmt: skip
def test_the_gradient_over_depth_at_the_end(control, treated, worse):
    ends = ({"ends": [Outlook(flow_decades=value)]} for value in (control, treated))
    harm = compared(*ends)["change of the gradient over depth, at the end"]
    assert harm.is_worse is worse


def test_likeness_is_told_and_never_held_against_a_treatment():
    """Targets of 1000 and 1001 are alike, and so are the answers to them."""
    ends = ({"ends": [Outlook(sample_cosine=value)]} for value in (0.1, 0.9999999))
    harm = compared(*ends)["cosine between samples, at the end"]
    assert not harm.is_worse
    assert harm.treated == 0.9999999
