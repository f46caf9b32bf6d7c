"""Exponentials that scale a signal are bounded where what they are given is made."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.exponents import Bound
from unvanish.treat.registry import remedy_of
from unvanish.treat.scaling import exponents
from unvanish.treat.treatment import case_of, treat

POINTS = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
Step = Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]]


def plain(net: nn.Module, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    s, t = net(a).chunk(2, 1)
    return b * s.exp() + t, s.sum(1)


def second(net: nn.Module, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    t, s = net(a).split(2, 1)
    volume = s.sum(1)
    return b * torch.exp(s) + t, volume


def backwards(net: nn.Module, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    h = net(a)
    s, t = h[:, :2], h[:, 2:]
    return (b - t) * torch.exp(-s), -s.sum(1)


def of_two(net: nn.Module, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    h = net(a).unflatten(1, (2, 2))
    s = h[:, 0]
    return b * (0.5 * s).unsqueeze(1).exp().squeeze(1) + h[:, 1], 0.5 * s.sum(1)


STEPS: dict[str, Step] = {
    "chunk": plain,
    "second of a split": second,
    "inverse": backwards,
    "half of a variance": of_two,
}


class Flow(nn.Module):
    """Couplings in modules, in the root's own forward, or one for all."""

    def __init__(self, step: Step, count: int = 4, *, shared: bool = False) -> None:
        super().__init__()
        self.nets = nn.ModuleList(
            nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 4))
            for _ in range(1 if shared else count)
        )
        for net in self.nets:
            nn.init.normal_(net[2].weight, std=3.0)
        self.step, self.count = step, count

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x.chunk(2, 1)
        volume = x.new_zeros(len(x))
        for number in range(self.count):
            b, more = self.step(self.nets[number % len(self.nets)], a, b)
            volume = volume + more
            a, b = b, a
        return torch.cat([a, b], 1), volume


def density(output: tuple[Tensor, Tensor], target: Tensor | None = None) -> Tensor:
    del target
    z, volume = output
    return (0.5 * z.square().sum(1) - volume).mean()


def squared(output: Tensor, target: Tensor | None = None) -> Tensor:
    del target
    return output.square().mean()


def made(step: Step, **options: bool) -> nn.Module:
    torch.manual_seed(0)
    return Flow(step, **options)  # type: ignore[arg-type]


def volume(model: nn.Module, point: Tensor) -> float:
    return float(model(point[None])[1].detach())


def jacobian(model: nn.Module, point: Tensor) -> float:
    found = torch.autograd.functional.jacobian(lambda x: model(x[None])[0][0], point)
    return float(torch.linalg.slogdet(found)[1])


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_bounded_flow_counts_the_volume_that_it_changes(step: Step) -> None:
    model = made(step).double()
    treated = treat(model, "bound-exponent", POINTS.double(), density)
    net = treated.model
    point = POINTS[0].double()
    assert volume(net, point) == pytest.approx(jacobian(net, point), abs=1e-6)
    assert volume(net, point) != pytest.approx(volume(model, point), abs=1e-3)
    assert max(one.largest for one in exponents(case_of(net, POINTS.double(), density))) <= 2.0
    treated.undo()


def test_a_coupling_that_is_called_again_and_again_is_bounded_each_time() -> None:
    model = made(plain, shared=True).double()
    net = treat(model, "bound-exponent", POINTS.double(), density).model
    point = POINTS[0].double()
    assert volume(net, point) == pytest.approx(jacobian(net, point), abs=1e-6)


def test_small_numbers_pass_nearly_as_they_are() -> None:
    given = torch.tensor([0.0, 0.1, -0.1, 50.0, -50.0])
    assert Bound(2.0)(given).tolist() == pytest.approx([0.0, 0.1, -0.1, 2.0, -2.0], abs=1e-4)
    slope = torch.func.grad(Bound(2.0))(torch.tensor(0.0))
    assert float(slope) == 1.0


def test_the_bound_falls_with_the_root_of_what_stands_behind_one_another() -> None:
    for count in (1, 4, 16):
        torch.manual_seed(0)
        model = Flow(plain, count)
        nn.init.constant_(model.nets[0][2].bias, 9.0)  # type: ignore[index, arg-type]
        found = remedy_of("bound-exponent").assess(case_of(model, POINTS, density))
        assert isinstance(found, Prescription)
        assert found.settings["bound"] == pytest.approx(2.0 / math.sqrt(count), rel=0.05)


def test_a_feature_is_bounded_before_its_exponential_alone() -> None:
    class Feature(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            h = 5.0 * self.first(x)
            return self.head(torch.relu(h) * torch.exp(h))

    torch.manual_seed(0)
    model = Feature()
    treated = treat(model, "bound-exponent", POINTS, squared)
    h = 5.0 * model.first(POINTS)
    wanted = model.head(torch.relu(h) * torch.exp(2.0 * torch.tanh(h / 2.0)))
    assert torch.allclose(treated.model(POINTS), wanted)


class Around(nn.Module):
    """A network with something in its middle and at its end."""

    def __init__(self, middle: Callable[[Tensor], Tensor], end: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(4, 8), nn.Linear(8, 3)
        self.middle, self.end = middle, end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.head(self.middle(30.0 * self.first(x))))


def same(h: Tensor) -> Tensor:
    return h


LEFT: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "softmax by hand": (lambda h: h.exp() / h.exp().sum(1, keepdim=True), same),
    "softmax by hand, one exp": (lambda h: (e := h.exp()) / (e.sum(1, keepdim=True) + 1e-9), same),
    "softplus by hand": (lambda h: torch.log(1 + torch.exp(h)), same),
    "sigmoid by hand": (lambda h: 1 / (1 + torch.exp(h)), same),
    "log of a sum": (lambda h: h - h.exp().sum(1, keepdim=True).log(), same),
    "tanh before": (lambda h: h * torch.exp(torch.tanh(h)), same),
    "kernel": (lambda h: torch.exp(-h.square()), same),
    "a rate": (torch.tanh, lambda o: torch.exp(9.0 * o)),
    "a rate with a floor": (torch.tanh, lambda o: 2.0 * torch.exp(9.0 * o).clamp_min(1e-3) + 1e-3),
    "tanh by hand": (lambda h: (h.exp() - (-h).exp()) / (h.exp() + (-h).exp()), same),
    "attention": (lambda h: (w := h.exp()) @ h.new_ones(8, 8) / w.sum(1, keepdim=True), same),
    "constants": (lambda h: h * torch.exp(torch.arange(8.0)), same),
    "none": (torch.tanh, same),
}


@pytest.mark.parametrize(("middle", "end"), LEFT.values(), ids=LEFT)
def test_other_exponentials_are_left_alone(
    middle: Callable[[Tensor], Tensor], end: Callable[[Tensor], Tensor]
) -> None:
    torch.manual_seed(0)
    said = remedy_of("bound-exponent").assess(case_of(Around(middle, end), POINTS, squared))
    assert isinstance(said, NotApplicable), said
    assert "exponential" in said.reason


def test_a_line_with_small_numbers_stays_beside_one_with_large() -> None:
    class Decay(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rate, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            rate = torch.exp(20.0 * self.rate(x))
            for step in (0.1, 0.2):
                x = x * torch.exp(-step * rate)
            return self.head(x)

    torch.manual_seed(0)
    treated = treat(Decay(), "bound-exponent", POINTS, squared)
    assert len(treated.receipts[0].edits) == 1


def test_the_flow_that_explodes_learns_with_a_bound() -> None:
    from unvanish.zoo.patients import flow_unbounded_scale as patient

    torch.manual_seed(0)
    batches = list(patient.data(0))
    model = patient.model()
    treated = treat(model, "bound-exponent", batches[0], patient.loss)
    metrics = []
    for net in (model, treated.model):
        optimizer = patient.optimizer(net)
        for points, target in 3 * batches:
            optimizer.zero_grad()
            patient.loss(net(points), target).backward()
            optimizer.step()
        metrics.append(patient.metric(net))
    assert metrics[1] < 10.0 < metrics[0]


def test_what_was_chosen_by_name_fits_a_draw_that_comes_out_a_little_smaller() -> None:
    model, largest = made(plain), math.inf
    while largest >= 2.0:
        with torch.no_grad():
            for net in model.nets:
                net[2].weight.mul_(0.9)
                net[2].bias.mul_(0.9)
        largest = max(one.largest for one in exponents(case_of(model, (POINTS, None), density)))
    assert largest > 1.0
    remedy = remedy_of("bound-exponent")
    assert isinstance(remedy.assess(case_of(model, (POINTS, None), density)), NotApplicable)
    named = case_of(model, (POINTS, None), density, asked=["bound-exponent"])
    assert isinstance(remedy.assess(named), Prescription)
