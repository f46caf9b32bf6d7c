"""The step of a user's own function gets a derivative as wide as what comes to it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose import diagnose
from unvanish.observe.tracing import trace
from unvanish.testing import check_remedy
from unvanish.treat.own_steps import OwnStep, own_steps
from unvanish.treat.prescribing import prescribe
from unvanish.treat.registry import remedy_of
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.treatment import case_of, treat
from unvanish.zoo.patients import spiking_mild_surrogate, spiking_steep_surrogate

ROWS = torch.randn(64, 16, generator=torch.Generator().manual_seed(3))
BATCH = ROWS, torch.randint(0, 3, (64,), generator=torch.Generator().manual_seed(1))
REMEDY = remedy_of("surrogate-width")


class Steep(torch.autograd.Function):
    """A step above a threshold; the two settings are kept in its context."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, steepness: float, threshold: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.steepness, ctx.threshold = steepness, threshold
        return (x > threshold).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        apart = (ctx.saved_tensors[0] - ctx.threshold).abs()
        return grads[0] / (1.0 + ctx.steepness * apart) ** 2, None, None


class ZeroSign(torch.autograd.Function):
    """A sign whose backward was never written."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        return x.sign()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # noqa: ARG004
        return torch.zeros_like(grads[0])


class Nothing(torch.autograd.Function):
    """One that goes down, and returns no gradient at all."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        return 3.0 * (x < 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> None:  # noqa: ARG004
        return None


class Quarters(torch.autograd.Function):
    """Rounding to quarters."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        return (4.0 * x).round() / 4.0

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # noqa: ARG004
        return 0.0 * grads[0]


class Faint(torch.autograd.Function):
    """A smooth function that passes far too little on."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # noqa: ARG004
        return 1e-2 * grads[0]


class Among(torch.autograd.Function):
    """Whether a unit is above the mean of its sample: no step of the entry alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        return (x > x.mean(1, keepdim=True)).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # noqa: ARG004
        return 1e-2 * grads[0]


def steep(x: Tensor) -> Tensor:
    return Steep.apply(x, 300.0, 0.25)  # type: ignore[no-untyped-call, no-any-return]


def mild(x: Tensor) -> Tensor:
    return Steep.apply(x, 2.0, 0.0)  # type: ignore[no-untyped-call, no-any-return]


class Net(nn.Module):
    """Some layers, each with a function of the user's own behind it."""

    def __init__(self, function: Callable[[Tensor], Tensor], depth: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(depth))
        self.head, self.function = nn.Linear(16, 3), function

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.function(layer(x))
        out: Tensor = self.head(x)
        return out


def assessed(function: Callable[[Tensor], Tensor], depth: int = 4) -> Prescription | NotApplicable:
    return REMEDY.assess(case_of(Net(function, depth), BATCH, "cross_entropy"))


def gradients(model: nn.Module) -> dict[str, Tensor]:
    F.cross_entropy(model(ROWS), BATCH[1]).backward()
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


@pytest.mark.parametrize(
    ("function", "settings"),
    [
        (steep, {"Steep height": 1.0, "Steep threshold": pytest.approx(0.25, abs=0.02)}),
        (ZeroSign.apply, {"ZeroSign height": 2.0}),
        (Nothing.apply, {"Nothing height": -3.0}),
        (Quarters.apply, {"Quarters slope": 1.0}),
    ],
)
def test_the_gradient_of_the_first_layer_comes_back(function: Any, settings: Any) -> None:
    model = Net(function)
    before = gradients(copy.deepcopy(model)).get("layers.0.weight", torch.zeros(()))
    found = assessed(function)
    assert isinstance(found, Prescription)
    known = dict(found.settings)
    width = known.pop(f"{next(iter(settings)).split()[0]} width", None)
    assert known == settings
    assert width is None or 0.02 < float(width) < 0.5
    treated = treat(model, found, BATCH, "cross_entropy")
    assert torch.equal(treated.model(ROWS), model(ROWS))
    after = gradients(treated.model)["layers.0.weight"]
    assert float(after.norm()) > 1e3 * float(before.norm())
    assert float(after.norm()) > 1e-3
    assert "to keep it, let" in treated.receipts[0].notes[0]
    assert "test_surrogate_width.py" in str(treated.receipts[0].edits[0].source)


def test_the_untreated_network_beside_it_keeps_its_gradient() -> None:
    model = Net(steep)
    before = gradients(model)
    treated = treat(model, "surrogate-width", BATCH, "cross_entropy")
    mixed = treated.model(ROWS)
    during = gradients(model)
    F.cross_entropy(mixed, BATCH[1]).backward()
    assert all(torch.equal(before[name], during[name]) for name in before)
    treated.model.zero_grad()
    twin = copy.deepcopy(treated.model)
    own = gradients(treated.model)
    assert all(torch.equal(own[name], again) for name, again in gradients(twin).items())
    assert float(own["layers.0.weight"].norm()) > 1e3 * float(before["layers.0.weight"].norm())


def test_the_size_of_the_gradient_is_kept_from_step_to_step() -> None:
    case = case_of(Net(steep), BATCH, "cross_entropy")
    (step,) = own_steps(case)
    assert step.slope is not None
    given = 0.25 + 4.0 * step.slope.width * torch.randn(100_000)
    slope = step.slope.at(given)
    assert isinstance(slope, Tensor)
    kept = float(slope.square().mean().sqrt()) * 4.0 * step.slope.width
    assert kept == pytest.approx(0.5, abs=0.03)
    assert step.share == pytest.approx(math.sqrt(step.own / step.soft))
    assert step.share < 0.1


@pytest.mark.parametrize(
    ("function", "depth", "reason"),
    [
        (mild, 4, "its width is not what is wrong"),
        (torch.relu, 4, "no torch.autograd.Function"),
        (Faint.apply, 4, "is no step and rounds nothing: see to its backward"),
        (Among.apply, 4, "no threshold between them"),
        (lambda x: Steep.apply(x, 40.0, 0.0), 1, "the gradient is as small"),
    ],
)
def test_what_is_not_wrong_with_it_is_left_alone(function: Any, depth: int, reason: str) -> None:
    found = assessed(function, depth)
    assert isinstance(found, NotApplicable)
    assert reason in found.reason


def test_a_step_that_nothing_reaches_is_asked_for_its_other_answer() -> None:
    found = assessed(lambda x: Steep.apply(x - 3.0, 300.0, 0.0))
    assert isinstance(found, Prescription)
    assert found.settings["Steep height"] == 1.0
    assert float(found.settings["Steep width"]) == pytest.approx(0.75, abs=0.1)


class Cell(nn.Module):
    """A layer whose work is done by a method that is not its forward."""

    def __init__(self, steepness: float) -> None:
        super().__init__()
        self.layer, self.steepness = nn.Linear(16, 16), steepness

    def step(self, x: Tensor) -> Tensor:
        return Steep.apply(self.layer(x), self.steepness, 0.0)  # type: ignore[no-untyped-call, no-any-return]


class Cells(nn.Module):
    """Three steep cells and a mild one, all with the same function."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cells = nn.ModuleList(Cell(k) for k in (500.0, 500.0, 500.0, 2.0))
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        for cell in self.cells:
            x = cell.step(x)
        out: Tensor = self.head(x)
        return out


def test_a_mild_use_of_the_same_function_is_left_alone() -> None:
    model = Cells()
    treated = treat(model, "surrogate-width", BATCH, "cross_entropy")
    assert treated.prescriptions[0].places == ("cells.0", "cells.1", "cells.2")
    before, after = gradients(model), gradients(treated.model)
    assert torch.equal(before["cells.3.layer.weight"], after["cells.3.layer.weight"])
    first = "cells.0.layer.weight"
    assert float(after[first].norm()) > 1e2 * float(before[first].norm())


def test_one_that_is_called_no_more_is_refused() -> None:
    model = Net(steep)
    found = assessed(steep)
    assert isinstance(found, Prescription)
    model.function = torch.relu
    with pytest.raises(CannotTreatError, match="not called any more"):
        treat(model, found, BATCH, "cross_entropy", validate=False)


def test_the_contract_is_kept() -> None:
    check_remedy(REMEDY, lambda: Net(steep), BATCH, "cross_entropy")


def test_a_steep_network_is_cured_on_a_look_and_it_stands_first() -> None:
    patient = spiking_steep_surrogate
    torch.manual_seed(0)
    model = patient.model()
    batch = next(patient.data())
    before = model(batch[0])
    assert "UV101" in {f.code for f in diagnose(trace(model, batch, patient.loss)).findings}
    advice = prescribe(model, None, batch, patient.loss, optimizer=patient.optimizer)
    best = advice.options[0]
    assert best.remedies == ("surrogate-width",)
    assert "UV101" in best.cures
    assert best.outlook is not None
    assert best.outlook.flow_decades > -1.0
    treated = treat(model, "surrogate-width", batch, patient.loss)
    assert torch.equal(treated.model(batch[0]), before)


def test_a_mild_network_is_left_alone() -> None:
    patient = spiking_mild_surrogate
    torch.manual_seed(0)
    case = case_of(patient.model(), next(patient.data()), patient.loss)
    shares = {step.name: step.share for step in own_steps(case)}
    assert min(shares.values()) > 0.4
    assert isinstance(REMEDY.assess(case), NotApplicable)


@pytest.mark.slow
def test_a_steep_network_learns() -> None:
    patient = spiking_steep_surrogate
    torch.manual_seed(0)
    model = patient.model()
    batch = next(patient.data())
    treated = treat(model, "surrogate-width", batch, patient.loss, optimizer=patient.optimizer)
    optimizer = treated.optimizer
    assert optimizer is not None
    done = 0
    while done < patient.PATIENT.steps:
        for x, y in patient.data(done):
            optimizer.zero_grad()
            patient.loss(treated.model(x), y).backward()
            optimizer.step()
            done += 1
            if done >= patient.PATIENT.steps:
                break
    assert patient.metric(treated.model) > patient.GOAL


def test_too_few_numbers_tell_nothing() -> None:
    step = OwnStep("", "Steep", Steep)
    step.note((torch.tensor([1.0, -1.0]),), 0, torch.tensor([1.0, 0.0]))
    step.judge()
    assert step.slope is None
    assert "too few numbers" in step.why_none
