"""UV402: what a number format loses, and what is zero for other reasons."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from unvanish.core.conditions import Optimizer, RunContext
from unvanish.core.findings import Cause, Severity
from unvanish.core.records import Parameter
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured
from unvanish.diagnose.rules.underflow import PrecisionUnderflow
from unvanish.testing import recording_of


def weight(name: str, half: float = 0.0, *, shape=(64, 64), single: float = 0.0, **settings):
    settings = {"log10_grad_rms": -6.0} | settings
    lost = {"float16": half, "bfloat16": single, "float32": single}
    return Parameter(name=name, shape=shape, underflow_fraction=lost, **settings)


def examine(*parameters: Parameter, dtype: str = "float32", autocast: str = ""):
    context = RunContext(dtype=dtype, autocast=autocast)
    return PrecisionUnderflow().examine(
        recording_of("linear", parameters=parameters, context=context)
    )


def only(verdict):
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    return finding


def test_half_precision_without_loss_scaling():
    finding = only(examine(weight("a", 0.6), weight("b", 0.2), dtype="float16"))
    assert finding.severity is Severity.ERROR
    assert finding.causes == (Cause.PRECISION,)
    assert finding.parameters == ("a", "b")
    assert "GradScaler" in finding.help[0]


def test_the_type_of_autocast_counts():
    parameters = [weight("a", 0.6), weight("b"), weight("c")]
    assert only(examine(*parameters, autocast="float16")).severity is Severity.WARNING
    assert isinstance(examine(*parameters, autocast="bfloat16"), Clear)


def test_a_large_part_of_the_entries_is_an_error_too():
    big = weight("big", 0.6, shape=(1000, 100))
    finding = only(examine(big, weight("b"), weight("c"), dtype="float16"))
    assert finding.severity is Severity.ERROR


def test_clear_tells_where_a_smaller_type_would_underflow():
    verdict = examine(weight("a"), weight("b", 0.6), weight("c", 0.7))
    assert isinstance(verdict, Clear)
    assert verdict.margin == pytest.approx(0.1)
    assert verdict.summary.endswith("float16 would lose 60 % of b")


def test_float32_points_at_the_vanishing_gradient():
    assert "UV101" in only(examine(weight("a", 1.0, single=0.5))).help[0]


def test_float64_is_judged_by_its_exponent():
    assert isinstance(examine(weight("a", 1.0, log10_grad_rms=-200.0), dtype="float64"), Clear)
    finding = only(examine(weight("a", 1.0, log10_grad_rms=-850.0), dtype="float64"))
    assert finding.measured == 1.0


def test_a_bias_that_is_zero_by_symmetry_is_healthy():
    """The bias before BatchNorm and the key bias of attention have gradients of 1e-17."""
    bias = weight("conv.bias", 1.0, shape=(64,), log10_grad_rms=-17.0)
    assert isinstance(examine(weight("conv.weight", 0.01), bias, dtype="float16"), Clear)
    assert isinstance(examine(bias, dtype="float16"), Found)


def test_gates_that_start_at_zero_have_nothing_to_lose():
    zero = Parameter(
        name="branch.weight",
        shape=(64, 64),
        log10_grad_rms=-math.inf,
        underflow_fraction={"float16": math.nan},
    )
    assert isinstance(examine(zero, weight("head"), dtype="float16"), Clear)
    assert isinstance(examine(zero, dtype="float16"), NotApplicable)


def test_parameters_without_gradient_are_not_its_matter():
    frozen = weight("a", 1.0, requires_grad=False)
    cut = weight("b", 1.0, has_grad=False)
    assert isinstance(examine(frozen, cut, dtype="float16"), NotApplicable)
    assert isinstance(examine(weight("c"), dtype="float8_e4m3fn"), NotMeasured)


BFLOAT = Optimizer(name="Adam", lr=1e-4, eps=1e-8)


def stepped(*moved: float, optimizer: Optimizer = BFLOAT, **settings):
    """Weights of 16 bits by the share of their entries that the first step moves."""
    settings = {"in_optimizer": True, "learning_rate": optimizer.lr} | settings
    weights = [weight(f"w{i}", moved_fraction=share, **settings) for i, share in enumerate(moved)]
    context = RunContext(dtype="bfloat16", optimizer=optimizer)
    return PrecisionUnderflow().examine(recording_of("linear", parameters=weights, context=context))


def test_steps_that_are_rounded_away_are_a_warning():
    finding = only(stepped(0.3, 0.2))
    assert finding.severity is Severity.WARNING
    assert finding.causes == (Cause.PRECISION,)
    assert finding.parameters == ("w1", "w0")
    assert finding.message == (
        "bfloat16 rounds the step away for 80 % of the entries of w1, and of 1 more of 2 weights"
    )
    assert only(stepped(0.3, 1.0, 1.0)).severity is Severity.NOTE
    assert isinstance(stepped(0.6, 1.0), Clear)


def test_the_steps_of_gradient_descent_may_grow():
    sgd = Optimizer(name="SGD", lr=0.1)
    assert isinstance(stepped(0.15, optimizer=sgd), Clear)
    assert isinstance(stepped(0.02, optimizer=replace(sgd, momentum=0.9)), Clear)
    assert only(stepped(0.02, optimizer=sgd)).severity is Severity.WARNING


def test_steps_that_do_not_act_on_the_short_weights_are_not_judged():
    assert isinstance(stepped(0.0, in_optimizer=None), Clear)
    assert isinstance(stepped(0.0, in_optimizer=False), Clear)
    assert isinstance(stepped(0.0, optimizer=replace(BFLOAT, name="KahanAdamW")), Clear)
    assert isinstance(stepped(0.0, optimizer=replace(BFLOAT, initial_lr=1e-2)), Clear)
    assert isinstance(stepped(math.nan), Clear)


def by_hand(name: str, lost: float, *, flow: str = "float16", **settings):
    """A float32 weight whose gradient passes 16 bits by a cast in the forward."""
    return weight(name, 0.9, carried_in=flow, lost_fraction=lost, **settings)


def test_a_cast_by_hand_is_judged_by_what_the_run_loses():
    finding = only(examine(by_hand("a", 1.0), by_hand("b", 0.6), weight("c")))
    assert finding.severity is Severity.ERROR
    assert finding.parameters == ("a", "b")
    assert finding.message.startswith("float16 rounds 100 % of the gradient entries of a")
    assert finding.notes[0] == "the weights are float32, and the forward pass casts to float16"
    assert "leave out the casts" in finding.help[0]


def test_a_cast_by_hand_that_loses_nothing_is_clear():
    assert isinstance(examine(by_hand("a", 0.02), by_hand("b", 0.0)), Clear)
    verdict = examine(by_hand("a", 0.0, flow="bfloat16"))
    assert isinstance(verdict, Clear)
    assert verdict.summary.startswith("bfloat16 loses no gradient")


def test_a_cast_is_judged_by_its_type_where_the_run_could_not_be_compared():
    assert only(examine(by_hand("a", math.nan))).measured == pytest.approx(0.9)


def test_autocast_and_short_weights_are_judged_as_before():
    assert isinstance(examine(by_hand("a", 1.0), autocast="bfloat16"), Clear)
    assert isinstance(examine(by_hand("a", 1.0), dtype="bfloat16"), Clear)
