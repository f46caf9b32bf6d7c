"""Probe steps against closed forms: a quadratic, a clip, two groups, an optimiser that climbs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from unvanish.core.conditions import ProbeStep
from unvanish.core.records import Recording
from unvanish.observe import trace


class Point(nn.Module):
    """A point in space; the loss is a quadratic bowl around the origin."""

    def __init__(self, *start: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(start, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.w * x


CURVATURES = (1.0, 4.0)


def bowl(output: Tensor, _: Tensor) -> Tensor:
    return 0.5 * (torch.tensor(CURVATURES, dtype=torch.float64) * output**2).sum()


def descend(optimizer: Any, start: tuple[float, float] = (1.0, 1.0), **options: Any) -> Recording:
    one = torch.ones(2, dtype=torch.float64)
    return trace(Point(*start), (one, one), bowl, optimizer=optimizer, **options)


def sgd(lr: float, **settings: Any) -> Any:
    return lambda model: torch.optim.SGD(model.parameters(), lr=lr, **settings)


def first(recording: Recording) -> ProbeStep:
    return recording.steps[0]


@pytest.mark.parametrize("lr", [0.01, 0.3, 0.55, 5.0, 500.0])
def test_a_quadratic_is_read_exactly(lr: float) -> None:
    """At w = (1, 1): g = (1, 4), <g, g> = 17, <g, H g> = 1 + 64 = 65."""
    step = first(descend(sgd(lr)))
    assert step.loss_before == pytest.approx(2.5)
    assert step.predicted_change == pytest.approx(-17 * lr)
    assert step.curvature_ratio == pytest.approx(lr * 65 / 17)
    assert step.loss_after == pytest.approx(2.5 - 17 * lr + 0.5 * 65 * lr**2)


def test_every_step_begins_where_the_last_one_ended() -> None:
    steps = descend(sgd(0.1)).steps
    assert len(steps) == 3
    assert steps[0].loss_after == pytest.approx(steps[1].loss_before)
    assert steps[1].loss_after == pytest.approx(steps[2].loss_before)
    assert steps[2].loss_after < steps[2].loss_before
    assert [math.isnan(step.predicted_change) for step in steps] == [False, True, True]


def test_the_gradient_is_the_losss_own_before_clipping() -> None:
    """The clipped step is 1 long along g; along it the loss falls by |g|."""
    step = first(descend(sgd(1.0), clip_grad_norm=1.0))
    assert step.predicted_change == pytest.approx(-math.sqrt(17.0))


def test_momentum_and_adam_are_measured_along_their_own_step() -> None:
    step = first(descend(lambda m: torch.optim.Adam(m.parameters(), lr=0.1)))
    assert step.predicted_change == pytest.approx(-0.5)  # 0.1 in each direction
    assert step.curvature_ratio == pytest.approx((1 + 4) * 0.01 / 0.5)


def test_an_optimiser_that_climbs_predicts_a_rise() -> None:
    step = first(descend(sgd(0.1, maximize=True)))
    assert step.predicted_change > 0
    assert step.loss_after > step.loss_before
    assert math.isnan(step.curvature_ratio)


def test_a_closure_leaves_no_gradient_to_compare_with() -> None:
    step = first(descend(lambda m: torch.optim.LBFGS(m.parameters())))
    assert math.isnan(step.predicted_change)
    assert step.loss_after < step.loss_before


def test_a_loss_that_is_no_number_is_infinite() -> None:
    class Log(Point):
        def forward(self, x: Tensor) -> Tensor:
            return (self.w * x).log()

    one = torch.ones(2, dtype=torch.float64)
    recording = trace(
        Log(0.5, 0.5), (one, one), lambda out, _: out.sum(), optimizer=sgd(10.0), probe_steps=1
    )
    assert recording.steps[0].loss_after == math.inf


def test_dropout_and_other_randomness_stay_the_same_along_the_step() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 64), nn.Dropout(0.5), nn.Linear(64, 3)).double()
    batch = torch.randn(32, 8, dtype=torch.float64), torch.randint(0, 3, (32,))
    small = trace(model, batch, optimizer=sgd(1e-5)).steps[0]
    change = small.loss_after - small.loss_before
    assert change == pytest.approx(small.predicted_change, rel=1e-3)
    assert small.curvature_ratio < 0.01


def test_buffers_that_a_forward_pass_changes_stay_the_same_along_the_step() -> None:
    torch.manual_seed(0)
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8))
    model = nn.Sequential(layer, nn.Tanh(), nn.Linear(8, 3)).double()
    batch = torch.randn(32, 8, dtype=torch.float64), torch.randint(0, 3, (32,))
    small = trace(model, batch, optimizer=sgd(1e-5)).steps[0]
    change = small.loss_after - small.loss_before
    assert change == pytest.approx(small.predicted_change, rel=1e-2)


def test_updates_know_decay_and_their_groups() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    with torch.no_grad():
        model[0].weight.zero_()
    groups = [
        {"params": model[0].parameters(), "lr": 0.5},
        {"params": model[1].parameters(), "lr": 0.0, "weight_decay": 0.1},
    ]
    decayed = torch.optim.AdamW([{"params": model[1].parameters(), "weight_decay": 0.1}], lr=0.1)
    batch = torch.zeros(8, 4), torch.zeros(8, 2)
    plain = trace(model, batch, "mse_loss", optimizer=torch.optim.SGD(groups, lr=1.0))
    rates = {p.name: p.learning_rate for p in plain.parameters}
    assert rates == {"0.weight": 0.5, "0.bias": 0.5, "1.weight": 0.0, "1.bias": 0.0}
    shrunk = {p.name: p for p in trace(model, batch, "mse_loss", optimizer=decayed).parameters}
    # The gradient of 1.weight is zero: all that moves it is decay, straight towards zero.
    with torch.no_grad():
        model[0].bias.zero_()
    still = {p.name: p for p in trace(model, batch, "mse_loss", optimizer=decayed).parameters}
    assert still["1.weight"].update_ratio == pytest.approx(0.01, rel=1e-3)
    assert still["1.weight"].turn_ratio < 1e-6
    assert math.isnan(shrunk["0.weight"].learning_rate)
    assert shrunk["0.weight"].in_optimizer is False


def test_an_optimiser_of_another_instance_holds_nothing() -> None:
    model, other = nn.Linear(4, 2), nn.Linear(4, 2)
    batch = torch.randn(8, 4), torch.zeros(8, 2)
    recording = trace(model, batch, "mse_loss", optimizer=torch.optim.SGD(other.parameters()))
    assert [p.in_optimizer for p in recording.parameters] == [False, False]


def test_the_optimiser_of_a_lazy_network_follows_its_copy() -> None:
    model = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    recording = trace(
        model, (torch.randn(8, 3), torch.zeros(8, 2)), "mse_loss", optimizer=optimizer
    )
    assert all(p.in_optimizer for p in recording.parameters)
    assert all(p.update_ratio > 0.0 for p in recording.parameters)
    assert all(isinstance(p, nn.UninitializedParameter) for p in model.parameters())


def test_master_weights_are_no_ones_mistake() -> None:
    model = nn.Linear(4, 2).to(torch.bfloat16)
    masters = [p.detach().float() for p in model.parameters()]
    batch = torch.randn(8, 4).bfloat16(), torch.zeros(8, 2).bfloat16()
    recording = trace(model, batch, "mse_loss", optimizer=torch.optim.SGD(masters))
    assert all(p.in_optimizer is None for p in recording.parameters)


def test_a_scheduler_leaves_its_mark() -> None:
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / 100)
    batch = torch.randn(8, 4), torch.zeros(8, 2)
    described = trace(model, batch, "mse_loss", optimizer=optimizer).context.optimizer
    assert described is not None
    assert (described.lr, described.initial_lr, described.unsteered) == (0.0, 0.1, False)
    del schedule
    described = trace(model, batch, "mse_loss", optimizer=optimizer).context.optimizer
    assert described is not None
    assert described.unsteered


def warmed(model: nn.Module) -> tuple[torch.optim.Optimizer, LRScheduler]:
    """Return an optimiser at rate zero, and the scheduler that raises it."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return optimizer, LambdaLR(optimizer, lambda step: step / 100)


@pytest.mark.parametrize(
    "make",
    [
        warmed,
        lambda model: [[one] for one in warmed(model)],
        lambda model: dict(zip(("optimizer", "lr_scheduler"), warmed(model), strict=True)),
    ],
)
def test_a_scheduler_that_is_returned_is_there(make: Callable[[nn.Module], Any]) -> None:
    batch = torch.randn(8, 4), torch.zeros(8, 2)
    described = trace(nn.Linear(4, 2), batch, "mse_loss", optimizer=make).context.optimizer
    assert described is not None
    assert (described.lr, described.unsteered) == (0.0, False)


def test_a_scheduler_that_is_not_returned_is_gone() -> None:
    batch = torch.randn(8, 4), torch.zeros(8, 2)
    made = trace(nn.Linear(4, 2), batch, "mse_loss", optimizer=lambda m: warmed(m)[0])
    assert made.context.optimizer is not None
    assert made.context.optimizer.unsteered


def test_the_copy_of_a_lazy_network_keeps_its_scheduler() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.LazyLinear(2))
    optimizer, schedule = warmed(model)
    batch = torch.randn(8, 4), torch.zeros(8, 2)
    described = trace(model, batch, "mse_loss", optimizer=optimizer).context.optimizer
    assert described is not None
    assert schedule.optimizer is optimizer
    assert not described.unsteered


def test_what_a_step_moves_is_counted_in_short_types() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
    batch = torch.randn(16, 32), torch.zeros(16, 2)
    long = trace(model, batch, "mse_loss", optimizer=lambda m: torch.optim.Adam(m.parameters()))
    assert all(math.isnan(p.moved_fraction) for p in long.parameters)
    short, data = model.bfloat16(), tuple(tensor.bfloat16() for tensor in batch)

    def moved(rate: float) -> float:
        optimizer = torch.optim.Adam(short.parameters(), lr=rate)
        return trace(short, data, "mse_loss", optimizer=optimizer).parameters[0].moved_fraction

    assert moved(1e-2) == 1.0
    assert moved(1e-5) < 0.1


def test_what_an_optimiser_holds_of_a_layer_that_is_gone() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model[2] = nn.Linear(4, 2)
    batch = torch.randn(8, 4), torch.zeros(8, 2)
    described = trace(model, batch, "mse_loss", optimizer=optimizer).context.optimizer
    assert described is not None
    assert described.foreign == ((3,), (3, 4))
