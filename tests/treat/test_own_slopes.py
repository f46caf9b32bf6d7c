"""A slope for the calls of one forward: no other network, no other forward sees any of it."""

from __future__ import annotations

import copy
import pickle
import threading
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unvanish.observe.batch import Batch
from unvanish.treat.own_functions import users_functions
from unvanish.treat.own_slopes import OwnSlopes, Slope
from unvanish.treat.own_steps import places_of
from unvanish.treat.surgery import Surgery

ROWS = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))
WIDE = Slope(1.0, 0.5)


class Step(torch.autograd.Function):
    """A step that passes a thousandth back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # noqa: ARG004
        return 1e-3 * grads[0]


class Learnt(torch.autograd.Function):
    """The same, times a factor that learns."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return factor * (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        (x,) = ctx.saved_tensors
        return 1e-3 * grads[0], (grads[0] * (x > 0)).sum()


class Later(torch.autograd.Function):
    """The same with a context that is filled later on."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return (x > 0).to(x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:  # noqa: ARG004
        ctx.shape = inputs[0].shape

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        assert grads[0].shape == ctx.shape
        return 1e-3 * grads[0]


class Derived(Step):
    """One that takes its forward from another."""


step = Step.apply


def by_bound(x: Tensor) -> Tensor:
    return step(x)


class Net(nn.Module):
    """A layer and one of these steps, in a method of its own."""

    def __init__(self, function: Any = by_bound, *, reentrant: bool | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.function, self.reentrant = nn.Linear(6, 6), function, reentrant

    def part(self, x: Tensor) -> Tensor:
        return self.function(self.first(x))

    def forward(self, x: Tensor) -> Tensor:
        if self.reentrant is None:
            return self.part(x)
        return checkpoint(self.part, x, use_reentrant=self.reentrant)


def sloped(model: nn.Module, path: str = "", **slopes: Slope) -> Surgery:
    surgery = Surgery(model)
    surgery.insert(path, None, "scope", relay=OwnSlopes(slopes or {"Step": WIDE}))
    return surgery


def gradient(model: nn.Module, rows: Tensor = ROWS) -> Tensor:
    weight = model.get_parameter("first.weight")
    weight.grad = None
    model(rows).sum().backward()
    assert weight.grad is not None
    return weight.grad.clone()


def by_hand(model: Net, slope: Slope) -> Tensor:
    u = model.first(ROWS)
    return torch.autograd.grad(u, model.first.weight, slope.at(u) * torch.ones_like(u))[0]


def own(model: Net) -> Tensor:
    u = model.first(ROWS)
    return torch.autograd.grad(u, model.first.weight, 1e-3 * torch.ones_like(u))[0]


@pytest.mark.parametrize("slope", [WIDE, Slope(-2.0, 0.1, 0.3), Slope(1.0)])
@pytest.mark.parametrize("function", [Step, Later, Derived])
def test_the_gradient_is_multiplied_by_the_slope_and_no_answer_changes(
    function: Any, slope: Slope
) -> None:
    model = Net(lambda x: function.apply(x))
    before = model(ROWS)
    sloped(model, **{function.__name__: slope})
    assert torch.equal(model(ROWS), before)
    torch.testing.assert_close(gradient(model), by_hand(model, slope))


def test_a_function_that_was_bound_before_is_reached_and_left_as_it_was() -> None:
    model, control = Net(), Net()
    was = dict(vars(Step))
    sloped(model)
    answer, others = model(ROWS), control(ROWS)
    assert dict(vars(Step)) == was
    others.sum().backward()
    answer.sum().backward()
    torch.testing.assert_close(control.first.weight.grad, own(control))
    torch.testing.assert_close(model.first.weight.grad, by_hand(model, WIDE))


def test_a_control_that_runs_at_the_same_time_is_not_reached() -> None:
    began, go_on = threading.Event(), threading.Event()

    def waiting(x: Tensor) -> Tensor:
        began.set()
        assert go_on.wait(20.0)
        return by_bound(x)

    model, control = Net(waiting), Net()
    sloped(model)
    found: list[Tensor] = []
    thread = threading.Thread(target=lambda: found.append(gradient(model)))
    thread.start()
    assert began.wait(20.0)
    torch.testing.assert_close(gradient(control), own(control))
    go_on.set()
    thread.join()
    torch.testing.assert_close(found[0], by_hand(model, WIDE))
    torch.testing.assert_close(gradient(control), own(control))


def test_several_copies_have_slopes_of_their_own_whatever_runs_between() -> None:
    one, other, narrow = Net(), Net(), Slope(1.0, 0.05)
    sloped(one)
    sloped(other, Step=narrow)
    twin, loaded = copy.deepcopy(one), pickle.loads(pickle.dumps(other))
    cases = [(one, WIDE), (other, narrow), (twin, WIDE), (loaded, narrow)]
    outputs = [model(ROWS) for model, _ in cases]
    for output in reversed(outputs):
        output.sum().backward()
    for model, slope in cases:
        torch.testing.assert_close(model.first.weight.grad, by_hand(model, slope))
    assert list(one.state_dict()) == list(Net().state_dict())


def test_by_its_other_inputs_the_gradient_is_the_users() -> None:
    factor = nn.Parameter(torch.tensor(2.0))
    model = Net(lambda x: Learnt.apply(x, factor))
    wanted = [model.first.weight, factor]
    before = torch.autograd.grad(model(ROWS).sum(), wanted)
    sloped(model, Learnt=WIDE)
    after = torch.autograd.grad(model(ROWS).sum(), wanted)
    torch.testing.assert_close(before[0], own(model))
    torch.testing.assert_close(after[0], by_hand(model, WIDE))
    assert torch.equal(before[1], after[1])
    assert float(after[1]) > 0.0


def test_a_module_inside_keeps_what_it_has() -> None:
    inner = Net()
    outer = nn.Sequential(inner)
    sloped(outer)
    surgery = sloped(outer, "0", Step=Slope(3.0))
    torch.testing.assert_close(gradient_of(outer, inner), by_hand(inner, Slope(3.0)))
    surgery.undo()
    torch.testing.assert_close(gradient_of(outer, inner), by_hand(inner, WIDE))


def gradient_of(whole: nn.Module, part: Net) -> Tensor:
    return torch.autograd.grad(whole(ROWS).sum(), part.first.weight)[0]


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpointed_part_is_reached_when_it_runs_again(reentrant: bool) -> None:
    model = Net(reentrant=reentrant)
    sloped(model)
    rows = ROWS.clone().requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.testing.assert_close(gradient(model, rows), by_hand(model, WIDE))


def test_what_fails_inside_leaves_the_class_as_it_was() -> None:
    def failing(x: Tensor) -> Tensor:
        by_bound(x)
        raise ValueError("no more")

    model = Net(failing)
    was = dict(vars(Step))
    sloped(model)
    with pytest.raises(ValueError, match="no more"):
        model(ROWS)
    assert dict(vars(Step)) == was


def test_a_method_that_is_called_by_itself_is_reached() -> None:
    model = Net()
    sloped(model)
    weight = model.first.weight
    found = torch.autograd.grad(model.part(ROWS).sum(), weight)[0]
    torch.testing.assert_close(found, by_hand(model, WIDE))


def test_places_are_found_and_the_network_stays_as_it_is() -> None:
    model = nn.Sequential(Net(), nn.Sequential(Net(lambda x: Later.apply(x))))
    before = set(vars(model[0]))
    assert places_of(model, Batch(ROWS, None)) == {"0": {"Step"}, "1.0": {"Later"}}
    assert set(vars(model[0])) == before
    assert {Step, Later, Derived} <= set(users_functions())
