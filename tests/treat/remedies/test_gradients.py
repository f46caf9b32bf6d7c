"""Treatments of the gradient and of the step: what they do, in any loop, and what they cannot."""

from __future__ import annotations

import copy
import io
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.treat.remedies.training import Factory, accuracy, deep, digits, sgd
from torch import Tensor, nn

from unvanish.core.prescriptions import Keeps, Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.observe.optimizer import stepping
from unvanish.observe.tracing import trace
from unvanish.treat.optimising.gradients import (
    Centralise,
    ClipLayer,
    ClipNorm,
    ClipPercentile,
    ClipUnits,
    ClipValue,
    EqualLayers,
)
from unvanish.treat.optimising.updates import TrustGradient, TrustUpdate, WarmUp
from unvanish.treat.optimising.wrapper import TreatedOptimizer, Treatment, treated
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import Treated, case_of, treat


def on_digits(model: nn.Module, name: str, factory: Factory, **settings: Any) -> Treated:
    """Treat a network for the digits with one remedy."""
    x, y, _, _ = digits()
    batch, optimizer = (x[:128], y[:128]), factory(model)
    case = case_of(model, batch, "cross_entropy", optimizer=optimizer)
    found = remedy_of(name).assess(case)
    assert isinstance(found, Prescription), found
    found = replace(found, settings={**found.settings, **settings})
    return treat(model, found, batch, "cross_entropy", optimizer=optimizer)


def of(values: list[float]) -> nn.Parameter:
    """A parameter of ones whose gradient is given."""
    parameter = nn.Parameter(torch.ones(len(values)))
    parameter.grad = torch.tensor(values)
    return parameter


def stepped(parameter: nn.Parameter, treatment: Treatment) -> list[float]:
    """The gradient that plain descent at rate 1 acted on."""
    before = parameter.detach().clone()
    treated(torch.optim.SGD([parameter], lr=1.0), treatment).step()
    return (before - parameter.detach()).tolist()


# ------------------------------------------------------------------------- the wrapper


def test_gradients_are_the_losses_own_again_after_the_step() -> None:
    parameter = of([3.0, 4.0])
    grad = parameter.grad
    assert stepped(parameter, ClipNorm(1.0)) == pytest.approx([0.6, 0.8], rel=1e-5)
    assert parameter.grad is grad
    assert grad is not None
    assert grad.tolist() == [3.0, 4.0]


def test_a_copy_steps_the_copy_and_is_treated_as_well() -> None:
    model = nn.Linear(2, 1)
    optimizer = treated(torch.optim.SGD(model.parameters(), lr=1.0), ClipNorm(1e-3))
    twin, twin_optimizer = copy.deepcopy((model, optimizer))
    (100.0 * twin(torch.ones(4, 2))).sum().backward()
    before = twin.weight.detach().clone()
    own = model.weight.detach().clone()
    twin_optimizer.step()
    assert 0.0 < float((twin.weight.detach() - before).norm()) < 1.1e-3
    assert torch.equal(model.weight, own)
    assert "ClipNorm(max_norm=0.001)" in repr(twin_optimizer)


def test_the_state_dict_fits_the_plain_optimiser_and_comes_back() -> None:
    parameter = of([3.0, 4.0])
    inner = torch.optim.Adam([parameter], lr=0.1)
    optimizer = treated(treated(inner, ClipPercentile(10.0)), WarmUp(10, 0.1))
    for _ in range(3):
        optimizer.step()
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    fresh_percentile, fresh_warm_up = ClipPercentile(10.0), WarmUp(10, 0.1)
    again = treated(treated(torch.optim.Adam([parameter], lr=0.7), fresh_percentile), fresh_warm_up)
    again.load_state_dict(saved)
    assert fresh_warm_up.taken == 3
    assert fresh_percentile.norms == pytest.approx([5.0] * 3)
    assert again.param_groups[0]["lr"] == 0.1
    plain = torch.optim.Adam([parameter])
    plain.load_state_dict(saved)
    assert plain.state[parameter]["step"] == 3
    again.load_state_dict(plain.state_dict())


def test_a_whole_wrapper_can_be_pickled() -> None:
    parameter = of([3.0, 4.0])
    file = io.BytesIO()
    torch.save(treated(torch.optim.SGD([parameter], lr=1.0), ClipValue(0.5)), file)
    file.seek(0)
    again = torch.load(file, weights_only=False)
    assert isinstance(again, TreatedOptimizer)
    assert again.param_groups[0]["lr"] == 1.0


def test_schedulers_move_the_rate_inside_and_out() -> None:
    parameter = of([1.0, 0.0])
    inner = torch.optim.SGD([parameter], lr=1.0)
    old = torch.optim.lr_scheduler.StepLR(inner, 1, gamma=0.5)
    optimizer = treated(inner, ClipNorm(10.0))
    new = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.1)
    optimizer.step()
    old.step()
    new.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.05)
    assert inner.param_groups is optimizer.param_groups


def test_lbfgs_is_treated_in_every_evaluation() -> None:
    model = nn.Linear(2, 1)
    optimizer = treated(torch.optim.LBFGS(model.parameters(), max_iter=3), ClipNorm(1e-3))
    seen: list[float] = []

    def closure() -> Tensor:
        optimizer.zero_grad(set_to_none=False)
        loss = (1e6 * (model(torch.ones(4, 2)) - 3.0)).square().mean()
        loss.backward()
        assert model.weight.grad is not None
        seen.append(float(model.weight.grad.norm()))
        return loss

    before = model.weight.detach().clone()
    optimizer.step(closure)
    assert len(seen) > 1
    assert min(seen) > 1.0
    assert float((model.weight.detach() - before).norm()) < 1.0
    assert model.weight.grad is not None
    recording = trace(
        model,
        (torch.ones(4, 2), torch.ones(4, 1)),
        "mse_loss",
        optimizer=optimizer,
        probe_steps=1,
    )
    assert not [gap for gap in recording.gaps if "updates" in gap.what]


def test_a_look_sees_the_optimiser_inside_and_the_loss_along_the_step() -> None:
    model = deep(3, nn.Tanh)
    batch = (torch.randn(16, 64), torch.randint(0, 10, (16,)))
    plain = trace(model, batch, optimizer=sgd(0.1)(model), probe_steps=1)
    shown = trace(model, batch, optimizer=treated(sgd(0.1)(model), ClipValue(1e-4)), probe_steps=1)
    assert shown.context.optimizer is not None
    assert shown.context.optimizer.name == "SGD"
    first = {p.name: p.update_ratio for p in plain.parameters}
    assert all(p.update_ratio < first[p.name] for p in shown.parameters)
    step = shown.steps[0]
    assert step.loss_after - step.loss_before == pytest.approx(step.predicted_change, rel=0.02)


def test_a_gradient_scaler_unscales_first_and_skips_what_overflows() -> None:
    parameter = nn.Parameter(torch.ones(2))
    optimizer = treated(torch.optim.SGD([parameter], lr=1.0), ClipNorm(1.0))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    scaler.scale((parameter * torch.tensor([3.0, 4.0])).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert parameter.tolist() == pytest.approx([0.4, 0.2], rel=1e-5)
    optimizer.zero_grad()
    scaler.scale((parameter * torch.tensor([math.inf, 1.0])).sum()).backward()
    scaler.step(optimizer)
    assert parameter.tolist() == pytest.approx([0.4, 0.2], rel=1e-5)


def test_hooks_and_new_groups_go_to_the_optimiser_inside() -> None:
    parameter, other = of([3.0, 4.0]), of([1.0])
    optimizer = treated(torch.optim.SGD([parameter], lr=1.0), ClipNorm(1.0))
    seen: list[Any] = []

    def note(inner: torch.optim.Optimizer, *_: Any) -> None:
        seen.append(inner.param_groups[0]["params"][0].grad.norm().item())

    optimizer.register_step_pre_hook(note)
    optimizer.add_param_group({"params": [other], "lr": 0.5})
    optimizer.step()
    assert seen == pytest.approx([5.0 / math.sqrt(26.0)], rel=1e-4)
    assert len(stepping(optimizer).param_groups) == 2


def test_sparse_complex_and_missing_gradients_are_clipped() -> None:
    table = nn.Embedding(5, 3, sparse=True)
    wave = nn.Parameter(torch.ones(2, dtype=torch.complex64))
    unused = nn.Parameter(torch.ones(2))
    optimizer = treated(
        torch.optim.SGD([*table.parameters(), wave, unused], lr=1.0), ClipLayer(0.1)
    )
    before = table.weight.detach().clone()
    (1e4 * table(torch.tensor([1, 1, 4])).sum() + (1e4 * wave).abs().sum()).backward()
    optimizer.step()
    assert float((table.weight - before).detach().norm()) == pytest.approx(0.1, rel=1e-4)
    assert float((wave.detach() - 1.0).abs().square().sum().sqrt()) == pytest.approx(0.1, rel=1e-4)
    assert torch.equal(unused, torch.ones(2))


# ------------------------------------------------------------------------- what each does


def test_clipping_by_value_layer_and_norm() -> None:
    assert stepped(of([3.0, -0.1]), ClipValue(0.5)) == pytest.approx([0.5, -0.1], rel=1e-5)
    assert stepped(of([0.3, 0.4]), ClipNorm(1.0)) == pytest.approx([0.3, 0.4], rel=1e-5)
    large, small = of([3.0, 4.0]), of([0.03, 0.04])
    before = small.detach().clone()
    optimizer = treated(torch.optim.SGD([large, small], lr=1.0), ClipLayer(1.0))
    optimizer.step()
    assert (before - small).tolist() == pytest.approx([0.03, 0.04], rel=1e-4)


def test_a_norm_beyond_float32_still_clips() -> None:
    assert stepped(of([3e25, 4e25]), ClipNorm(1.0)) == pytest.approx([0.6, 0.8], rel=1e-5)
    parameter = of([3e25, 4e25])
    nn.utils.clip_grad_norm_([parameter], 1.0)
    assert parameter.grad is not None
    assert parameter.grad.tolist() == [0.0, 0.0]  # what is differed from


def test_the_percentile_is_of_the_norms_so_far_without_what_is_no_number() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    treatment = ClipPercentile(50.0)
    optimizer = treated(torch.optim.SGD([parameter], lr=1.0), treatment)
    for size in (1.0, 3.0, math.inf, 100.0):
        parameter.grad = torch.tensor([size])
        before = float(parameter.detach())
        optimizer.step()
        moved = before - float(parameter.detach())
    assert treatment.norms == [1.0, 3.0, 100.0]
    assert moved == pytest.approx(3.0, rel=1e-5) or math.isnan(moved)


@pytest.mark.parametrize("shape", [(6, 4), (5, 3, 2, 2), (7,)])
def test_units_are_clipped_as_the_package_does(shape: tuple[int, ...]) -> None:
    agc = pytest.importorskip("pytorch_optimizer.optimizer.agc").agc
    generator = torch.Generator().manual_seed(0)
    parameter = nn.Parameter(torch.randn(shape, generator=generator))
    parameter.grad = torch.randn(shape, generator=generator)
    expected = parameter.detach() - agc(parameter.detach(), parameter.grad)
    axis = 0 if len(shape) > 1 else None
    treated(
        torch.optim.SGD([parameter], lr=1.0), ClipUnits(0.01, 1e-3, ((parameter, axis),))
    ).step()
    torch.testing.assert_close(parameter.detach(), expected)


def test_a_unit_of_a_transposed_convolution_is_its_second_axis() -> None:
    model = nn.Sequential(
        nn.ConvTranspose2d(3, 5, 2), nn.ReLU(), nn.Conv2d(5, 4, 3), nn.Flatten(), nn.Linear(36, 2)
    )
    batch = (torch.randn(8, 3, 4, 4), torch.randint(0, 2, (8,)))
    done = treat(model, "clip-units", batch, optimizer=sgd(0.1))
    assert isinstance(done.optimizer, TreatedOptimizer)
    units = done.optimizer.treatment
    assert isinstance(units, ClipUnits)
    assert [axis for _, axis in units.axes] == [1, 0, None, None]
    done = treat(model, "centralise-gradient", batch, optimizer=sgd(0.1))
    assert isinstance(done.optimizer, TreatedOptimizer)
    centre = done.optimizer.treatment
    assert isinstance(centre, Centralise)
    assert [axis for _, axis in centre.axes] == [0, 0]


def test_centralising_is_the_packages() -> None:
    package = pytest.importorskip("pytorch_optimizer.optimizer.gradient_centralization")
    parameter = nn.Parameter(torch.randn(5, 3, 2, 2))
    parameter.grad = torch.randn(5, 3, 2, 2)
    expected = parameter.grad.clone()
    package.centralize_gradient(expected)
    expected = parameter.detach() - expected
    treated(torch.optim.SGD([parameter], lr=1.0), Centralise(((parameter, 0),))).step()
    torch.testing.assert_close(parameter.detach(), expected)


def test_equal_layers_keep_the_length_of_the_whole_and_leave_lost_digits() -> None:
    large, small, lost = of([3.0, 4.0]), of([3e-30, 4e-30]), of([1e-42, 1e-42])
    optimizer = treated(
        torch.optim.SGD([large, small, lost], lr=1.0), EqualLayers((large, small, lost))
    )
    before = [p.detach().clone() for p in (large, small, lost)]
    optimizer.step()
    lengths = [
        float((p - b).detach().norm()) for p, b in zip((large, small, lost), before, strict=True)
    ]
    assert lengths == pytest.approx([5.0 / math.sqrt(2.0), 5.0 / math.sqrt(2.0), 0.0], rel=1e-5)


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("nesterov", [False, True])
def test_the_trust_ratio_of_sgd_is_lars(decay: float, nesterov: bool) -> None:
    lars = pytest.importorskip("pytorch_optimizer").LARS
    torch.manual_seed(0)
    mine, theirs = nn.Parameter(torch.randn(6, 4)), nn.Parameter(torch.zeros(6, 4))
    theirs.data.copy_(mine.data)
    options: dict[str, Any] = {
        "lr": 0.3,
        "momentum": 0.9,
        "weight_decay": decay,
        "nesterov": nesterov,
    }
    optimizer = treated(torch.optim.SGD([mine], **options), TrustGradient(0.02, (mine,)))
    other = lars([theirs], trust_coefficient=0.02, foreach=False, **options)
    for _ in range(4):
        grad = torch.randn(6, 4) * 1e-6
        mine.grad, theirs.grad = grad.clone(), grad.clone()
        optimizer.step()
        other.step()
    torch.testing.assert_close(mine, theirs)


def test_the_trust_ratio_of_adam_is_lamb() -> None:
    lamb = pytest.importorskip("pytorch_optimizer").Lamb
    torch.manual_seed(0)
    mine, theirs = nn.Parameter(torch.randn(6, 4)), nn.Parameter(torch.zeros(6, 4))
    theirs.data.copy_(mine.data)
    optimizer = treated(torch.optim.Adam([mine], lr=0.01, eps=1e-12), TrustUpdate(1.0, (mine,)))
    # Else the package divides the finished step by 1 - beta1^t, ten times the rate at first.
    other = lamb([theirs], lr=0.01, eps=1e-12, adam_debias=True)
    for _ in range(4):
        grad = torch.randn(6, 4)
        mine.grad, theirs.grad = grad.clone(), grad.clone()
        optimizer.step()
        other.step()
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_a_trust_ratio_reaches_gradients_far_below_any_eps() -> None:
    parameter = nn.Parameter(torch.ones(2, 2))
    optimizer = treated(torch.optim.SGD([parameter], lr=0.1), TrustGradient(0.1, (parameter,)))
    parameter.grad = torch.full((2, 2), 1e-37)
    optimizer.step()
    assert float((parameter - 1.0).detach().norm()) == pytest.approx(0.02, rel=1e-3)
    empty = nn.Parameter(torch.zeros(2, 2))
    optimizer = treated(torch.optim.SGD([empty], lr=0.1), TrustGradient(0.1, (empty,)))
    empty.grad = torch.ones(2, 2)
    optimizer.step()
    assert torch.equal(empty.detach(), torch.full((2, 2), -0.1))


def test_the_ramp_multiplies_the_rate_and_leaves_it() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = treated(torch.optim.SGD([parameter], lr=1.0), WarmUp(4, 0.25))
    moved = []
    for _ in range(6):
        parameter.grad = torch.ones(1)
        before = float(parameter.detach())
        optimizer.step()
        moved.append(before - float(parameter.detach()))
        assert optimizer.param_groups[0]["lr"] == 1.0
    assert moved == pytest.approx([0.25, 0.4375, 0.625, 0.8125, 1.0, 1.0])


# ------------------------------------------------------------------------- the remedies


WRAPPERS = (
    "clip-norm",
    "clip-value",
    "clip-layer",
    "clip-units",
    "clip-percentile",
    "centralise-gradient",
    "layer-normalised-gradient",
    "trust-ratio",
    "warm-up",
)


@pytest.mark.parametrize("name", WRAPPERS)
def test_the_network_stays_as_it_is_and_undo_gives_the_optimiser_back(name: str) -> None:
    assert remedy_of(name).keeps == frozenset(Keeps)
    model = deep(4, nn.Tanh)
    optimizer = sgd(0.1, 0.9, weight_decay=1e-4)(model)
    batch = (torch.randn(32, 64), torch.randint(0, 10, (32,)))
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    optimizer.step()
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    memory = optimizer.state_dict()
    done = treat(model, name, batch, "cross_entropy", optimizer=optimizer, in_place=True)
    assert done.optimizer is not optimizer
    assert done.optimizer is not None
    assert done.optimizer.state is optimizer.state  # momentum goes on
    assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())
    assert done.receipts[0].edits[0].before.startswith("SGD(lr 0.1, momentum 0.9")
    done.undo()
    assert str(optimizer.state_dict()) == str(memory)


@pytest.mark.parametrize("name", WRAPPERS)
def test_without_an_optimiser_the_assumed_one_is_named(name: str) -> None:
    model = deep(3, nn.Tanh)
    batch = (torch.randn(16, 64), torch.randint(0, 10, (16,)))
    found = remedy_of(name).assess(case_of(model, batch))
    if isinstance(found, NotApplicable):
        assert "AdamW" in found.reason
        return
    done = treat(model, name, batch)
    assert done.receipts[0].notes[0].startswith("no optimiser was given: AdamW(lr 0.001")
    assert done.optimizer is not None


def test_two_treatments_stand_around_one_optimiser() -> None:
    model = deep(3, nn.Tanh)
    batch = (torch.randn(16, 64), torch.randint(0, 10, (16,)))
    done = treat(model, ["warm-up", "clip-norm"], batch, optimizer=sgd(0.1))
    assert done.clip_grad_norm == 1.0
    assert "WarmUp" in repr(done.optimizer)
    assert "ClipNorm" in repr(done.optimizer)
    assert stepping(done.optimizer).__class__ is torch.optim.SGD  # type: ignore[arg-type]
    done.undo()


def test_no_clipping_raises_a_small_gradient() -> None:
    for treatment in (ClipNorm(1.0), ClipValue(1.0), ClipLayer(1.0), ClipPercentile(10.0)):
        small, large = of([1e-9, 0.0]), of([1e3, 1e3])
        moved = small.detach().clone()
        treated(torch.optim.SGD([large, small], lr=1e6), treatment).step()
        assert float((small - moved).detach().norm()) <= 1e-3 * (1.0 + 1e-3)


@pytest.mark.parametrize(
    ("name", "least"), [("clip-norm", 0.7), ("clip-value", 0.6), ("clip-layer", 0.7)]
)
def test_an_exploding_network_trains_with_clipping(name: str, least: float) -> None:
    model = deep(12, nn.ReLU, gain=2.5)
    control = copy.deepcopy(model)
    done = on_digits(model, name, sgd(0.1, 0.9))
    assert done.optimizer is not None
    assert accuracy(done.model, done.optimizer, 100) > least
    assert accuracy(control, sgd(0.1, 0.9)(control), 20) < 0.15


def test_spikes_are_cut_to_what_is_usual() -> None:
    def trained(treatment: Treatment | None) -> float:
        torch.manual_seed(0)
        model = nn.Linear(8, 1)
        x = torch.randn(256, 8)
        y = x.sum(1, keepdim=True)
        inner = torch.optim.SGD(model.parameters(), lr=0.05)
        optimizer = inner if treatment is None else treated(inner, treatment)
        for number in range(100):
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            (loss * (1000.0 if number % 25 == 24 else 1.0)).backward()
            optimizer.step()
        return float(F.mse_loss(model(x), y).detach())

    assert trained(ClipPercentile(10.0)) < 2.0
    assert trained(None) > 1e3


def test_lifting_moves_layers_that_stood_still() -> None:
    before = trace(deep(12, nn.ReLU), _batch(), optimizer=sgd(0.1), probe_steps=1, batches=1)
    weights = [p for p in before.parameters if len(p.shape) == 2]
    assert max(p.update_ratio for p in weights) > 1e3 * min(p.update_ratio for p in weights)
    for name, spread in (("trust-ratio", 1.01), ("layer-normalised-gradient", 10.0)):
        done = treat(deep(12, nn.ReLU), name, _batch(), optimizer=sgd(0.1))
        after = trace(done.model, _batch(), optimizer=done.optimizer, probe_steps=1, batches=1)
        moved = [p.update_ratio for p in after.parameters if len(p.shape) == 2]
        assert max(moved) < spread * min(moved)
    done = treat(deep(12, nn.ReLU), "trust-ratio", _batch(), optimizer=sgd(0.1))
    after = trace(done.model, _batch(), optimizer=done.optimizer, probe_steps=1, batches=1)
    assert after.parameters[0].update_ratio == pytest.approx(0.01, rel=0.01)


def test_lifting_learns_where_plain_descent_does_not() -> None:
    control = deep(12, nn.ReLU)
    assert accuracy(control, sgd(0.1, 0.9)(control), 150) < 0.2
    done = on_digits(deep(12, nn.ReLU), "trust-ratio", sgd(0.1, 0.9))
    assert done.optimizer is not None
    assert accuracy(done.model, done.optimizer, 200) > 0.5


class Cancelling(nn.Module):
    """A layer whose gradient is a difference of equal numbers, beside one whose is not."""

    def __init__(self) -> None:
        super().__init__()
        self.noise, self.clean = nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        large = self.noise(x) * 1e3
        return self.clean(x) + (large.softmax(1).sum(1, keepdim=True) - 1.0)


def test_a_gradient_that_is_rounding_is_not_lifted() -> None:
    torch.manual_seed(0)
    model = Cancelling()
    batch = (torch.randn(64, 8), torch.randint(0, 4, (64,)))
    found = remedy_of("trust-ratio").assess(case_of(model, batch, optimizer=sgd(0.1)(model)))
    assert isinstance(found, Prescription)
    assert found.places == ("clean.weight",)


def test_sparse_tables_and_recurrent_cells_are_left_alone_or_fit() -> None:
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.cell = nn.Embedding(20, 8), nn.LSTM(8, 8, batch_first=True)
            self.hidden, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.tanh(self.hidden(self.cell(self.table(x))[0][:, -1])))

    batch = (torch.randint(0, 20, (8, 5)), torch.randint(0, 3, (8,)))
    for name in WRAPPERS:
        model = Words().double()
        found = remedy_of(name).assess(case_of(model, batch, optimizer=sgd(0.1)(model)))
        assert isinstance(found, Prescription), name
        assert "table.weight" not in found.places
        done = treat(model, found, batch, optimizer=sgd(0.1))
        assert done.optimizer is not None
        F.cross_entropy(done.model(batch[0]), batch[1]).backward()
        done.optimizer.step()


def _batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 64, generator=generator)
    return x, torch.randint(0, 10, (64,), generator=generator)
