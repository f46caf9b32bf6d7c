"""Answers in the units of a target, with the gradient of a standardised one."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unvanish import treat
from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.optimising.curvature import Curvature
from unvanish.treat.registry import remedy_of
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.treatment import case_of
from unvanish.treat.unstandardising import Unstandardise

NAME = "standardise-target"


def numbers(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


X = numbers(64, 6)
Z = numbers(64, 1, seed=2)
DOLLARS = 2.5e5 + 8e4 * Z


def network(outputs=1, *end):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, outputs), *end)


def judged(model, target, loss="mse_loss", inputs=X):
    return remedy_of(NAME).assess(case_of(model, (inputs, target), loss))


def reason(*args, **options):
    said = judged(*args, **options)
    assert isinstance(said, NotApplicable), said
    return said.reason


def part_of(model):
    return next(m for m in model.modules() if isinstance(m, Unstandardise))


def gradients(model, loss, target, inputs=X):
    model = copy.deepcopy(model)
    loss(model(inputs), target).backward()
    return [p.grad for p in model.parameters()]


def alike(mine, theirs):
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))


def by_hand(output, target):
    return ((output - target) ** 2).mean()


def by_hand_absolute(output, target):
    return (target - output).abs().sum() / len(target)


@pytest.mark.parametrize(
    "loss", [F.mse_loss, F.l1_loss, by_hand, by_hand_absolute, lambda o, t: F.mse_loss(o, t) ** 0.5]
)
@pytest.mark.parametrize("target", [DOLLARS, 290.0 + 0.5 * Z, 3e-6 * Z])
def test_the_gradient_is_that_of_standardised_targets(loss, target) -> None:
    model = network()
    treated = treat(model, NAME, (X, target), loss).model
    mean, deviation = target.mean(), target.std(correction=0)
    standard = ((target.double() - mean.double()) / deviation.double()).float()
    with torch.no_grad():
        torch.testing.assert_close(treated(X), mean + deviation * model(X))
    alike(gradients(treated, loss, target), gradients(model, loss, standard))


@pytest.mark.parametrize("delta", [1.0, 4e4, 1e6])
def test_of_huber_the_bend_stays_where_it_is_in_the_units_of_the_target(delta) -> None:
    model = network()

    def loss(output, target):
        return F.huber_loss(output, target, delta=delta)

    treated = treat(model, NAME, (X, DOLLARS), loss).model
    deviation = float(DOLLARS.std(correction=0))
    standard = (DOLLARS - DOLLARS.mean()) / deviation
    # A residual of one deviation pulls as a unit does: by 1, or by the bend where that is nearer.
    factor = max(1.0, deviation / delta)

    def wanted(output, target):
        return factor * F.huber_loss(output, target, delta=delta / deviation)

    alike(gradients(treated, loss, DOLLARS), gradients(model, wanted, standard))


def test_columns_of_a_kind_share_a_deviation_and_others_have_their_own() -> None:
    alike_columns = torch.cat([DOLLARS, 3e5 - 5e4 * numbers(64, 1, seed=3)], 1)
    part = part_of(treat(network(2), NAME, (X, alike_columns), "mse_loss").model)
    assert len(set(part.deviation.tolist())) == 1
    assert part.mean.tolist() == pytest.approx(alike_columns.mean(0).tolist(), rel=1e-5)
    columns = torch.cat(
        [DOLLARS, 3e-5 * numbers(64, 1, seed=3), 5e3 + 10.0 * numbers(64, 1, seed=4)], 1
    )
    model = network(3)
    treated = treat(model, NAME, (X, columns), "mse_loss").model
    deviation = columns.double().std(0, correction=0)
    assert part_of(treated).deviation.tolist() == pytest.approx(deviation.tolist(), rel=1e-4)
    standard = ((columns.double() - columns.double().mean(0)) / deviation).float()
    alike(gradients(treated, F.mse_loss, columns), gradients(model, F.mse_loss, standard))


def test_of_several_outputs_only_those_out_of_scale_are_changed() -> None:
    class Tasks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.price = nn.Linear(6, 16), nn.Linear(16, 1)
            self.heat, self.hot, self.calm = nn.Linear(16, 1), nn.Linear(16, 1), nn.Linear(16, 1)

        def forward(self, x):
            z = torch.tanh(self.trunk(x))
            return {"price": self.price(z), "rest": (self.heat(z), self.hot(z), self.calm(z))}

    def loss(output, target):
        heat, hot, calm = output["rest"]
        said = F.mse_loss(output["price"], target["price"]) + F.l1_loss(heat, target["heat"])
        said = said + F.binary_cross_entropy_with_logits(hot, target["hot"])
        return said + F.mse_loss(calm, target["calm"])

    heat, calm = 300.0 + 0.5 * numbers(64, 1, seed=5), numbers(64, 1, seed=6)
    target = {"price": DOLLARS, "heat": heat, "hot": (Z > 0).float(), "calm": calm}
    torch.manual_seed(0)
    model = Tasks()
    found = judged(model, target, loss)
    assert isinstance(found, Prescription)
    assert found.places == ("price", "heat")
    treated = treat(model, NAME, (X, target), loss).model
    standard = target | {
        key: (target[key] - target[key].mean()) / target[key].std(correction=0)
        for key in ("price", "heat")
    }
    alike(gradients(treated, loss, target), gradients(model, loss, standard))


def test_a_loss_weighted_for_its_units_keeps_its_gradient() -> None:
    def loss(output, target):
        return ((output - target) / 8e4).square().mean()

    model = network()
    found = judged(model, DOLLARS, loss)
    assert isinstance(found, Prescription)
    assert found.settings["2 linear gradient"] == "own"
    treated = treat(model, NAME, (X, DOLLARS), loss).model
    part = part_of(treated)
    assert torch.equal(part.slope, part.deviation)
    assert judged(network(), DOLLARS).settings["2 linear gradient"] == "standardised"


def test_the_second_derivative_is_that_of_standardised_targets_too() -> None:
    model = network()
    treated = treat(model, NAME, (X, DOLLARS), "mse_loss").model
    standard = (DOLLARS - DOLLARS.mean()) / DOLLARS.std(correction=0)
    largest = [
        Curvature(
            case_of(one, (X, target), "mse_loss"), [name for name, _ in one.named_parameters()]
        ).largest()
        for one, target in ((treated, DOLLARS), (model, standard))
    ]
    assert largest[0] == pytest.approx(largest[1], rel=1e-3)


def test_undo_puts_everything_back() -> None:
    model = network()
    before = copy.deepcopy(model.state_dict())
    done = treat(model, NAME, (X, DOLLARS), "mse_loss", in_place=True)
    assert float(model(X).detach().mean()) > 1e5
    done.undo()
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert float(model(X).detach().mean()) < 10


def test_it_learns_under_plain_gradient_descent() -> None:
    x = numbers(256, 6)
    price = 2.5e5 + 8e4 * (x[:, :1] + x[:, 1:2] * x[:, 2:3])
    model = network()

    def trained(model):
        steps = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(600):
            steps.zero_grad()
            F.mse_loss(model(x), price).backward()
            steps.step()
        return float(F.mse_loss(model(x), price).detach() / price.var())

    treated = treat(model, NAME, (x, price), "mse_loss").model
    assert trained(treated) < 0.5
    assert not trained(model) < 1.0


def test_what_is_never_negative_is_not_shifted() -> None:
    target = 2e5 * Z.exp()
    part = part_of(treat(network(1, nn.Softplus()), NAME, (X, target), "mse_loss").model)
    assert float(part.mean) == 0.0
    assert float(part.deviation) == pytest.approx(float(target.square().mean().sqrt()), rel=1e-5)
    assert "below zero" in reason(network(1, nn.Softplus()), 1e5 * Z)
    assert "bounds" in reason(network(1, nn.Sigmoid()), DOLLARS)


def test_under_autocast_answers_are_in_float32() -> None:
    model = treat(network(), NAME, (X, 100 * DOLLARS), "mse_loss", autocast="bfloat16").model
    with torch.autocast("cpu", torch.bfloat16):
        assert model(X).dtype is torch.float32
    assert model.bfloat16()(X.bfloat16()).dtype is torch.bfloat16


def test_it_goes_with_others() -> None:
    model = network(1, nn.LayerNorm(1))
    both = [NAME, "drop-norm", "xavier"]
    treated = treat(model, both, (X, DOLLARS), "mse_loss")
    assert [one.remedy for one in treated.receipts][-1] == NAME
    assert float(treated.model(X).detach().std()) > 1e3
    raw = 240.0 * X + 600.0
    linear = nn.Sequential(nn.Linear(6, 1))
    assert "answers of rms" in reason(linear, DOLLARS, inputs=raw)
    done = treat(linear, [NAME, "standardise-input"], (raw, DOLLARS), "mse_loss")
    assert [one.remedy for one in done.receipts] == ["standardise-input", NAME]
    with pytest.raises(CannotTreatError, match="output-scale"):
        treat(network(), [NAME, "output-scale"], (X, 1e-6 * Z), "mse_loss")


def test_a_target_within_reach_is_left_alone() -> None:
    assert "has mean" in reason(network(), Z)
    assert "has mean" in reason(network(), 290.0 + 20.0 * Z)
    started = network()
    nn.init.constant_(started[2].bias, 2.5e5)
    assert "has mean 2.42e+05" in reason(started, DOLLARS)
    treated = treat(network(), NAME, (X, DOLLARS), "mse_loss").model
    assert "in reach" in reason(treated, DOLLARS)


def test_what_it_cannot_take_is_refused_with_a_reason() -> None:
    broken = DOLLARS.clone()
    broken[3] = torch.nan
    assert "NaN" in reason(network(), broken)
    assert "constant" in reason(network(), torch.full((64, 1), 2.5e5))
    assert "too few" in reason(network(), DOLLARS[:5], inputs=X[:5])
    assert "no regression" in reason(network(3), torch.randint(0, 3, (64,)), "cross_entropy")
    turned = torch.cat([DOLLARS, 2 * DOLLARS], 1).T.contiguous()
    assert "another order" in reason(network(2), turned, lambda o, t: by_hand(o.T, t))
    assert "works on the output" in reason(network(), DOLLARS, lambda o, t: by_hand(2 * o, t))


def test_a_network_that_computes_its_own_loss_is_asked_too() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def forward(self, x, labels):
            scores = self.net(x)
            return {"loss": F.smooth_l1_loss(scores, labels), "logits": scores}

    treated = treat(Own(), NAME, {"x": X, "labels": DOLLARS}).model
    assert float(part_of(treated).slope) == pytest.approx(1.0)


def test_an_answer_that_the_network_goes_on_with_is_left_alone() -> None:
    class Residue(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.coarse, self.fine = nn.Linear(6, 1), nn.Linear(1, 1)

        def forward(self, x):
            coarse = self.coarse(x)
            return coarse, self.fine(torch.tanh(coarse))

    def loss(output, target):
        return F.mse_loss(output[0], target) + output[1].square().mean()

    assert "inside of the network" in reason(Residue(), DOLLARS, loss)


def test_an_answer_whose_derivative_is_asked_for_is_left_alone() -> None:
    class Field(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def forward(self, x):
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                u = self.net(x)
                return u, torch.autograd.grad(u.sum(), x, create_graph=True)[0]

    def loss(output, target):
        return F.mse_loss(output[0], target) + output[1].square().mean()

    assert "derivative" in reason(Field(), DOLLARS, loss)


class TwoTasks(nn.Module):
    """A trunk whose heads say yes or no, and a price, side by side in one output."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(6, 16), nn.ReLU())
        self.yes, self.price = nn.Linear(16, 1), nn.Linear(16, 1)

    def forward(self, x):
        h = self.trunk(x)
        return torch.cat([self.yes(h), self.price(h)], 1)


def both(output, target):
    yes = nn.functional.binary_cross_entropy_with_logits(output[:, 0], target[:, 0])
    return yes + nn.functional.mse_loss(output[:, 1], target[:, 1])


def test_a_column_of_a_target_that_has_others_beside_it() -> None:
    torch.manual_seed(0)
    x = torch.randn(256, 6)
    y = torch.stack([(x[:, 0] > 0.0).float(), 3000.0 + 800.0 * x[:, 1]], 1)
    model = TwoTasks()
    treated = treat(model, NAME, (x, y), both)
    before, after = model(x), treated.model(x)
    assert torch.allclose(before[:, 0], after[:, 0])
    assert float(after[:, 1].detach().mean()) == pytest.approx(float(y[:, 1].mean()), rel=0.2)
    both(after, y).backward()
    heads = treated.model.yes.weight.grad, treated.model.price.weight.grad
    sizes = [float(grad.abs().mean()) for grad in heads]
    assert max(sizes) < 30.0 * min(sizes)
