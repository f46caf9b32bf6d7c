"""Every rule on runs keeps the contract: one sick, one healthy, one unmeasured run."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
from tests.diagnose.running.recorded import HEALTHY, Run, learned, run_of

from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import LayerSeries, RunRecording, StepSeries, WatchedLayer
from unvanish.core.verdicts import Clear, Found, NotMeasured, Verdict
from unvanish.diagnose.running import diagnose_run
from unvanish.diagnose.running.rules import BUILTIN_RUN_RULES
from unvanish.testing import check_run_rule


class Case(NamedTuple):
    sick: RunRecording
    healthy: RunRecording
    not_measured: RunRecording
    step: int
    severity: str


PLAIN = run_of()
NO_LOSS = run_of(loss=None)

CASES = {
    "UV601": Case(
        run_of(
            loss=2.3,
            moved=lambda k, t: 0.0 if k < 2 and t >= 300 else 1.0,
            gradient=lambda k, t: -9.0 if k < 2 and t >= 300 else -2.5,
        ),
        PLAIN,
        run_of(moved=None),
        300,
        "error",
    ),
    "UV602": Case(
        run_of(gradient=lambda k, t: -2.5 - (4.0 if k < 2 and t >= 400 else 0.0)),
        PLAIN,
        run_of(gradient=None),
        400,
        "error",
    ),
    "UV603": Case(
        run_of(loss=lambda t: math.nan if t >= 700 else learned(t)), PLAIN, NO_LOSS, 700, "error"
    ),
    "UV604": Case(
        # Counted over eight samples: what is seen at 650 happened after 250, at 300 or before.
        run_of(loss=2.3, dead=lambda k, t: 0.95 if k == 1 and t >= 650 else 0.05),
        PLAIN,
        run_of(dead=None),
        300,
        "error",
    ),
    "UV605": Case(
        run_of(
            activation="Tanh",
            loss=2.3,
            saturated=lambda k, t: 0.9 if k < 3 and t >= 200 else 0.02,
        ),
        run_of(activation="Tanh"),
        run_of(activation="Tanh", saturated=None),
        200,
        "error",
    ),
    "UV606": Case(
        run_of(loss=2.3, alignment=lambda t: 0.1 * math.sin(9.0 * t)),
        PLAIN,
        run_of(alignment=None),
        0,
        "note",
    ),
    "UV607": Case(
        run_of(loss=lambda t: 2.2 if t >= 500 else learned(t)), PLAIN, NO_LOSS, 500, "error"
    ),
    "UV608": Case(
        run_of(loss=2.3, update=-8.0),
        PLAIN,
        run_of(update=None),
        0,
        "warning",
    ),
    "UV609": Case(
        run_of(
            loss=2.3,
            autocast="float16",
            underflow=lambda t: 0.98 if t >= 100 else 0.6,
        ),
        run_of(autocast="float16", underflow=0.6),
        run_of(autocast="float16"),
        100,
        "error",
    ),
    "UV610": Case(
        run_of(
            optimizer="SGD",
            norm=lambda t: 2.0 if t >= 100 else -1.0,
            clipped=lambda t: min(0.0, 2.0 if t >= 100 else -1.0),
        ),
        run_of(norm=0.5, clipped=0.0),
        run_of(clipped=None),
        100,
        "warning",
    ),
    "UV611": Case(
        run_of(
            loss=lambda t: 5.0 if t >= 301 else learned(t),
            update=lambda t: 0.3 if t == 300 else -3.0,
        ),
        PLAIN,
        run_of(update=None),
        300,
        "error",
    ),
    "UV612": Case(
        run_of(
            loss=lambda t: 5.0 if t >= 301 else learned(t),
            dead=lambda t: 0.99 if t >= 650 else 0.05,
        ),
        PLAIN,
        NO_LOSS,
        301,
        "error",
    ),
}


@pytest.mark.parametrize("rule", BUILTIN_RUN_RULES, ids=lambda rule: rule.code)
def test_the_rule_keeps_the_contract(rule):
    assert rule.code in CASES, f"write a sick, a healthy and an unmeasured case for {rule.code}"
    case = CASES[rule.code]
    check_run_rule(rule, sick=case.sick, healthy=case.healthy, not_measured=case.not_measured)


@pytest.mark.parametrize("rule", BUILTIN_RUN_RULES, ids=lambda rule: rule.code)
def test_the_rule_names_the_step_at_which_it_began(rule):
    case = CASES[rule.code]
    verdict = rule.examine(case.sick)
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert finding.step == case.step
    assert finding.severity.value == case.severity
    assert f"step {case.step:,}" in " ".join([finding.message, *finding.notes])


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_run_is_left_in_peace(name):
    diagnosis = diagnose_run(HEALTHY[name])
    assert diagnosis.worst == "clear", [(f.code, f.message) for f in diagnosis.findings] or {
        code: v for code, v in diagnosis.verdicts.items() if isinstance(v, NotMeasured)
    }


@pytest.mark.parametrize("factor", [1e-9, 1e6])
@pytest.mark.parametrize("code", CASES)
def test_no_verdict_depends_on_the_scale_of_the_loss(code, factor):
    """A loss multiplied by a number has gradients multiplied by it, and is as sick as before."""
    run = CASES[code].sick
    shift = math.log10(factor)
    by_step = dict(run.by_step)
    loss = by_step[StepQuantity.LOSS]
    by_step[loss.quantity] = StepSeries(
        loss.quantity, loss.steps, [v * factor for v in loss.values]
    )
    for quantity in (StepQuantity.LOG10_GRAD_NORM, StepQuantity.LOG10_CLIPPED_GRAD_NORM):
        series = by_step[quantity]
        by_step[quantity] = StepSeries(quantity, series.steps, [v + shift for v in series.values])
    by_layer = dict(run.by_layer)
    grads = by_layer[LayerQuantity.LOG10_PARAM_GRAD_RMS]
    rows = tuple(tuple(v + shift for v in row) for row in grads.rows)
    by_layer[grads.quantity] = LayerSeries(grads.quantity, grads.steps, rows)
    scaled = RunRecording(
        conditions=run.conditions,
        layers=run.layers,
        by_layer=by_layer,
        by_step=by_step,
        last_step=run.last_step,
    )
    assert outcome(scaled) == outcome(run)


def outcome(run: RunRecording) -> dict[str, object]:
    verdicts = diagnose_run(run).verdicts
    return {
        code: [(f.step, f.root) for f in v.findings] if isinstance(v, Found) else v.kind
        for code, v in verdicts.items()
    }


def constant(value: float) -> RunRecording:
    """A run in which everything that can be measured is one value."""
    run = Run(steps=200).recorded()
    steps = tuple(range(0, 200, 10))
    return RunRecording(
        layers=run.layers,
        by_layer={
            q: LayerSeries(q, steps, tuple((value,) * len(run.layers) for _ in steps))
            for q in LayerQuantity
        },
        by_step={q: StepSeries(q, steps, (value,) * len(steps)) for q in StepQuantity},
        last_step=199,
    )


STRANGE = {
    "nothing": RunRecording(),
    "layers alone": RunRecording(layers=Run().layers, last_step=3),
    "one step": run_of(steps=1),
    "three steps": run_of(steps=3),
    "no layers": RunRecording(by_step=PLAIN.by_step, last_step=999),
    "short rows": RunRecording(
        layers=(*Run().layers, WatchedLayer(index=9, path="late", parameters=("w",), optimizer=0)),
        by_layer={
            q: LayerSeries(q, s.steps, tuple(row[:4] for row in s.rows))
            for q, s in PLAIN.by_layer.items()
        },
        by_step=PLAIN.by_step,
        last_step=999,
    ),
    **{f"all {value}": constant(value) for value in (0.0, 1.0, -400.0, 400.0)},
    **{f"all {value}": constant(value) for value in (math.inf, -math.inf, math.nan)},
}


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("rule", BUILTIN_RUN_RULES, ids=lambda rule: rule.code)
def test_the_rule_survives_a_strange_run(rule, name):
    assert isinstance(rule.examine(STRANGE[name]), Verdict)


@pytest.mark.parametrize("name", ["nothing", "layers alone", "one step"])
def test_too_little_is_never_clear(name):
    verdicts = diagnose_run(STRANGE[name]).verdicts.items()
    assert [c for c, v in verdicts if isinstance(v, Clear)] in ([], ["UV603"])


def test_codes_stand_in_order_and_once():
    codes = [rule.code for rule in BUILTIN_RUN_RULES]
    assert codes == sorted(set(codes))
