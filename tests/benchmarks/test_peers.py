"""The restated rules on numbers by hand, the recorder on a network, and the counting."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from benchmarks.peers import page, runs
from benchmarks.peers.__main__ import summarised
from benchmarks.peers.live import torchdiag, torchlens, torchmortem
from benchmarks.peers.published import autotrainer as at
from benchmarks.peers.published import bttackler as bt
from benchmarks.peers.published import sagemaker_debugger as sm
from benchmarks.peers.published import the_deep_checker as dc
from benchmarks.peers.record import Activation, Gradient, Parameter, Record, Rule, Step, System
from benchmarks.peers.recorder import activation, record
from benchmarks.peers.runs import SYSTEMS, Run
from benchmarks.peers.training import STEPS, Watcher, watch

PATIENT = "dead_by_bias"


def run_of(losses: list[float] | None = None, call: Any = None, **changes: Any) -> Record:
    """Return healthy steps of three layers, with changes.

    ``call`` holds fields of the activation, ``b`` of the second layer's weight, ``grads``
    of every gradient and ``grad_a``, ``grad_b``, ``grad_c`` of one.
    """
    parameters = tuple(
        Parameter(
            name=f"{layer}.weight",
            gradient=Gradient(**{**changes.get("grads", {}), **changes.get(f"grad_{layer}", {})}),
            **changes.get(layer, {}),
        )
        for layer in "abc"
    )
    calls = (Activation(**(call or {})),)
    values = losses or [2.3 - 0.05 * i for i in range(STEPS)]
    return Record(tuple(Step(loss=x, parameters=parameters, activations=calls) for x in values))


def sizes(a: float, b: float, c: float) -> Record:
    """Return a run with these mean gradients."""
    return run_of(grad_a={"mean_abs": a}, grad_b={"mean_abs": b}, grad_c={"mean_abs": c})


def norms(first: float, last: float) -> Record:
    """Return a run with these norms of the first and last gradient."""
    return run_of(grad_a={"norm": first}, grad_c={"norm": last})


def history(factor: float, times: int) -> Record:
    """Return a run in which b's gradient changes by a factor a step, until the tenth."""
    steps = []
    for number, step in enumerate(run_of().steps):
        before = max(0, min(times, times - 9 + number))
        gradient = Gradient(mean_abs=factor**before if number < 10 else 1.0)
        a, b, c = step.parameters
        steps.append(replace(step, parameters=(a, replace(b, gradient=gradient), c)))
    return Record(tuple(steps))


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_a_healthy_run_raises_no_alarm(system: System) -> None:
    assert system.alarms(run_of()) == ()


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_a_network_without_layers_raises_no_alarm(system: System) -> None:
    assert system.alarms(Record(tuple(Step(loss=1 / (1 + i)) for i in range(STEPS)))) == ()


@pytest.mark.parametrize(
    ("rule", "sick", "limit"),
    [
        (sm.vanishing_gradient, sizes(1, 0.9e-7, 1), sizes(1, 1e-7, 1)),
        (sm.exploding_tensor, run_of(grad_b={"is_finite": False}), sizes(1e30, 1, 1)),
        (sm.exploding_tensor, run_of([2.3, math.inf]), run_of([2.3, 1e30])),
        (
            sm.dead_relu,
            run_of(call={"rarely_positive_share": 0.51}),
            run_of(call={"rarely_positive_share": 0.5}),
        ),
        (
            sm.dead_relu,
            run_of(call={"rarely_positive_share": 1.0}),
            run_of(call={"rarely_positive_share": 1.0, "function": "tanh"}),
        ),
        (
            sm.saturated_activation,
            run_of(call={"rarely_inside_share": 0.51, "function": "tanh"}),
            run_of(call={"rarely_inside_share": 0.5, "function": "tanh"}),
        ),
        (
            sm.poor_weight_initialization,
            run_of(grad_b={"spread": 0.9e-3}),
            run_of(grad_b={"spread": 1e-3}),
        ),
        (
            sm.poor_weight_initialization,
            run_of([2, 3, 3, 3, 3, 3, 1]),
            run_of([2, 3, 3, 3, 3, 1, 1]),
        ),
        (sm.weight_update_ratio, run_of(b={"change_norm": 0.0}), run_of(b={"change_norm": 1e-6})),
        (sm.weight_update_ratio, run_of(b={"norm": 0.0}), run_of(b={"change_norm": 79})),
        (sm.unchanged_tensor, run_of([3, 2, 2, 2]), run_of([3, 2, 2, 3])),
        (sm.all_zero, run_of(b={"zero_share": 1.0}), run_of(b={"zero_share": 0.99})),
        (sm.loss_not_decreasing, run_of([1.0] * 11), run_of([1.0] * 10 + [0.99])),
        (sm.loss_not_decreasing, run_of([1.0] * 10 + [1.06]), run_of([1.0] * 10 + [1.04])),
        (at.gradient_vanish, norms(0.9e-4, 1), norms(1.1e-4, 1)),
        (at.gradient_vanish, norms(0.9e-4, 1), norms(0.9e-4, 0.01)),
        (at.gradient_explode, norms(71, 1), norms(69, 1)),
        (at.gradient_explode, run_of(b={"is_finite": False}), run_of(b={"mean_abs": 1e30})),
        (at.dying_relu, run_of(grads={"zero_share": 0.71}), run_of(grads={"zero_share": 0.69})),
        (bt.gradient_vanish, sizes(0.9e-5, 0.9e-5, 1), sizes(0.9e-5, 1.1e-5, 1)),
        (bt.gradient_vanish, sizes(1, 0, 1), sizes(1, 1e-4, 1)),
        (bt.gradient_vanish, sizes(1e-9, 1.1e-5, 1), sizes(1e-9, 1e-3, 1)),
        (bt.gradient_explode, sizes(1.1e4, 1.1e4, 1.1e4), sizes(0.9e4, 0.9e4, 1.1e4)),
        (bt.gradient_explode, sizes(1.1e6, 1.05e3, 1), sizes(0.9e6, 0.95e3, 1)),
        (bt.gradient_explode, run_of([2.3, math.nan]), run_of([2.3, 1e30])),
        (bt.dying_relu, run_of(grads={"zero_share": 0.51}), run_of(grads={"zero_share": 0.5})),
        (
            bt.dying_relu,
            run_of(grads={"zero_share": 0.51}),
            run_of([1.0] * 19, grads={"zero_share": 0.51}),
        ),
        (bt.slow_convergence, run_of([1.0] * 12), run_of([1.0] * 8)),
        (
            dc.poor_initial_weights,
            run_of(b={"variance": 2 / 64 / 2.8}),
            run_of(b={"variance": 2 / 64 / 2.6}),
        ),
        (
            dc.poor_initial_weights,
            run_of(b={"variance": 2 / 64 / 2.8}),
            run_of(b={"variance": 2 / 64 / 2.8}, call={"function": "gelu"}),
        ),
        (dc.poor_initial_weights, run_of(b={"variance": 0.0}), run_of()),
        (
            dc.dead_activations,
            run_of(call={"always_tiny_share": 0.51}),
            run_of(call={"always_tiny_share": 0.5}),
        ),
        (
            dc.saturated,
            run_of(call={"bounded_share": 0.51, "function": "tanh"}),
            run_of(call={"bounded_share": 0.5, "function": "tanh"}),
        ),
        (
            dc.unstable_activations,
            run_of(call={"output_std": 0.30}),
            run_of(call={"output_std": 0.31}),
        ),
        (
            dc.unstable_activations,
            run_of(call={"output_std": 3.30}),
            run_of(call={"output_std": 3.28}),
        ),
        (dc.poor_weights, run_of(b={"tiny_share": 0.96}), run_of(b={"tiny_share": 0.95})),
        (dc.poor_weights, run_of(b={"negative_share": 0.96}), run_of(b={"negative_share": 0.95})),
        (dc.diverging_parameters, run_of(b={"mean_abs": 1.1e8}), run_of(b={"mean_abs": 1e8})),
        (dc.vanishing_gradient, sizes(1, 0.9e-6, 1), sizes(1, 1e-6, 1)),
        (dc.vanishing_gradient, history(0.5, 4), history(0.5, 3)),
        (dc.exploding_gradient, sizes(1, 1.1e6, 1), sizes(1, 1e6, 1)),
        (dc.exploding_gradient, history(2.0, 4), history(2.0, 3)),
        (
            dc.unstable_learning,
            run_of(b={"change_mean_abs": 0.9e-5}),
            run_of(b={"change_mean_abs": 1.1e-5}),
        ),
        (
            dc.unstable_learning,
            run_of(b={"change_mean_abs": 1.1e-2}),
            run_of(b={"change_mean_abs": 0.9e-2}),
        ),
        (dc.unstable_learning, run_of(b={"change_mean_abs": 0.0}), run_of()),
        (dc.numerical_instability, run_of(call={"is_finite": False}), run_of()),
    ],
)
def test_a_rule_fires_beyond_its_default_and_not_at_it(
    rule: Rule, sick: Record, limit: Record
) -> None:
    assert rule(sick)
    assert not rule(limit)


def test_every_rule_is_in_its_system() -> None:
    for system in SYSTEMS:
        assert all(rule.__doc__ for rule in system.rules.values())
    assert sum(len(system.rules) for system in SYSTEMS) == 9 + 3 + 10 + 4


def test_relu_inputs_of_different_scale_are_a_poor_initialisation() -> None:
    step = run_of().steps[0]
    calls = (Activation(input_variance=1.0), Activation(input_variance=11.0))
    assert sm.poor_weight_initialization(Record((replace(step, activations=calls),)))


def test_bttackler_sees_only_its_own_kinds_of_layers_and_one_weight_of_each() -> None:
    gradient = Gradient(mean_abs=0.0)
    others = (
        Parameter(name="n.weight", kind="vector", layer="LayerNorm", gradient=gradient),
        Parameter(name="r.weight_ih_l0", layer="LSTM"),
        Parameter(name="r.weight_hh_l0", layer="LSTM", gradient=gradient),
    )
    assert not bt.gradient_vanish(Record((Step(loss=1.0, parameters=others),) * 4))


# -------------------------------------------------------------------------- recording


def test_units_of_an_activation_are_its_last_dimension_or_its_channels() -> None:
    images = torch.ones(2, 4, 3, 3)
    images[:, 0] = -1.0
    read = activation("relu", images, images.relu())
    assert read.rarely_positive_share == read.always_tiny_share == 0.25
    rows = torch.ones(5, 7, 2)
    rows[..., 0] = -1.0
    assert activation("relu", rows, rows.relu()).rarely_positive_share == 0.5


def test_saturation_measure_is_one_at_the_ends_and_half_for_an_even_spread() -> None:
    ends = torch.tensor([[-20.0], [20.0]]).expand(2, 3)
    assert activation("tanh", ends, ends.tanh()).bounded_share == 1.0
    assert activation("tanh", ends, ends.tanh()).rarely_inside_share == 1.0
    even = torch.linspace(-0.999, 0.999, 1001)[:, None]
    assert activation("tanh", even.atanh(), even).bounded_share == 0.0


def test_the_recorder_changes_nothing_and_sees_the_network() -> None:
    class Losses(Watcher):
        def __init__(self) -> None:
            self.values: list[float] = []

        def after_update(self, loss: float) -> None:
            self.values.append(loss)

    plain = Losses()
    watch(PATIENT, 0, plain)
    recorded = record(PATIENT, 0)
    assert list(recorded.losses) == plain.values
    assert len(recorded.steps) == STEPS
    for step in recorded.steps:
        assert {a.function for a in step.activations} == {"relu"}
        assert all(p.gradient is not None for p in step.of_kind("weight"))
    assert len({len(step.activations) for step in recorded.steps}) == 1


# --------------------------------------------------------------------------- counting


def some_runs() -> list[Run]:
    def one(patient: str, half: str, *alarms: str, crash: str = "") -> Run:
        sick = patient.startswith("sick")
        return Run(
            patient=patient,
            half=half,
            is_sick=sick,
            seed=0,
            tool="AutoTrainer",
            alarms=alarms,
            crash=crash,
        )

    return [
        one("sick one", "development", "GV", "DR"),
        one("sick two", "reserved", crash="ValueError: no"),
        one("healthy one", "development", "GV"),
        one("healthy two", "reserved"),
    ]


def test_any_alarm_on_a_sick_network_counts_and_a_crash_does_not() -> None:
    counted = runs.by_tool(some_runs())["AutoTrainer"]
    assert (counted["sick_alarmed"], counted["sick"]) == (1, 2)
    assert (counted["healthy_alarmed"], counted["healthy"]) == (1, 2)
    assert counted["precision"] == counted["recall"] == 0.5
    assert counted["crashes"] == 1
    rules = runs.by_rule(some_runs())["AutoTrainer"]
    assert [rules[rule]["sick_alarmed"] for rule in ("GV", "GE", "DR")] == [1, 0, 1]
    assert rules["GE"]["precision"] is None


def test_the_page_has_both_halves_and_says_what_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs.Tool, "is_installed", property(lambda tool: not tool.requires))
    result = summarised(some_runs(), "the command")
    text = page.written(result, some_runs())
    assert "| AutoTrainer | 1 of 2 (50.0 %) | 1 of 2 (50.0 %) | 50.0 % | 1 |" in text
    assert "| AutoTrainer | 1 of 1 (100.0 %) | 1 of 1 (100.0 %) | 50.0 % | 0 |" in text
    assert "| torchlens | not installed: `pip install -c constraints.txt -e '.[peers]'` |" in text
    assert "- AutoTrainer on sick two, seed 0: ValueError: no" in text


def test_a_failing_tool_is_a_crash_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, seed: int) -> dict[str, tuple[str, ...]]:
        raise ValueError(f"{name} {seed}")

    monkeypatch.setattr(runs, "published", fail)
    found = runs.run((runs.PUBLISHED, PATIENT, 0))
    assert [r.tool for r in found] == [system.name for system in SYSTEMS]
    assert {r.crash for r in found} == {f"ValueError: {PATIENT} 0"}


@pytest.mark.parametrize("tool", [torchmortem, torchdiag, torchlens], ids=lambda tool: tool.NAME)
def test_a_live_tool_says_something_of_a_dead_network(tool: Any) -> None:
    if find_spec(tool.REQUIRES) is None:
        pytest.skip("needs the extra `peers`")
    (found,) = runs.run((tool.NAME, PATIENT, 0))
    assert not found.crash
    assert found.alarms
