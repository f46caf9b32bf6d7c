"""How a gradient was cut, as the tape sees it: under what, by whom, or behind whose back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unvanish.core.errors import BatchError
from unvanish.core.incidents import Cut
from unvanish.observe import trace

Step = Callable[[Tensor], Tensor]


class Net(nn.Module):
    def __init__(self, step: Step) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(4, 4), nn.Linear(4, 3)
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.step(torch.tanh(self.first(x))))


def classes() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(16, 4), torch.randint(0, 3, (16,))


def cuts_of(step: Step) -> tuple[Cut, ...]:
    return trace(Net(step), classes(), probe_steps=0).cuts


def under_no_grad(h: Tensor) -> Tensor:
    with torch.no_grad():
        return h * 2


def through_numpy(h: Tensor) -> Tensor:
    return torch.from_numpy(h.detach().numpy())


def through_a_number(h: Tensor) -> Tensor:
    return torch.ones_like(h) * h.detach().mean().item()


@pytest.mark.parametrize(
    ("step", "op", "under"),
    [
        (under_no_grad, "mul", "no_grad"),
        (through_numpy, "detach", "export"),
        (through_a_number, "detach", "export"),
        (lambda h: h.detach(), "detach", ""),
        (lambda h: h.data, "data", ""),
        (lambda h: (h > 0).float(), "gt", ""),
    ],
)
def test_what_kept_the_gradient_is_told(step: Step, op: str, under: str) -> None:
    (cut,) = cuts_of(step)
    assert (cut.op, cut.under, cut.writes) == (op, under, False)


def test_a_logged_value_does_not_make_a_detach_an_export() -> None:
    def step(h: Tensor) -> Tensor:
        kept = h.detach()
        kept.mean().item()
        kept.numpy().sum()
        return kept * 1.0

    (cut,) = cuts_of(step)
    assert (cut.op, cut.under) == ("detach", "")


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(checkpoint(self.body, x, use_reentrant=True))


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_a_checkpoint_that_gives_no_gradient_is_placed_in_the_users_line() -> None:
    recording = trace(Checkpointed(), classes(), probe_steps=0)
    assert {cut.under for cut in recording.cuts} == {"checkpoint"}
    line = recording.cuts[0].source
    assert line is not None
    assert line.function == "forward"
    assert line.file.endswith("test_traps.py")


def test_a_checkpoint_within_no_grad_is_not_to_blame() -> None:
    model = Checkpointed()

    def loss(_: Tensor, __: Tensor) -> Tensor:
        with torch.no_grad():
            out = checkpoint(model.body, torch.ones(2, 4, requires_grad=True), use_reentrant=True)
        return model.head(out).sum()

    recording = trace(model, classes(), loss, probe_steps=0)
    assert {cut.under for cut in recording.cuts} == {"no_grad"}


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.mark_dirty(x)
        x.mul_(0.5)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # noqa: ARG004
        return grad * 0.5


def write_data(h: Tensor) -> Tensor:
    h.data.clamp_(0)
    return h


def write_without_grad(h: Tensor) -> Tensor:
    h = h * 1.0
    with torch.no_grad():
        h += 1
    return h


def write_items(h: Tensor) -> Tensor:
    h.data[:, 0] = 0.0
    return h


@pytest.mark.parametrize("step", [write_data, write_without_grad, write_items])
def test_a_write_behind_autograds_back_is_seen(step: Step) -> None:
    assert [cut.writes for cut in cuts_of(step)].count(True) == 1


def fill_a_buffer(h: Tensor) -> Tensor:
    out = torch.zeros_like(h)
    for i in range(4):
        out[:, i] = h[:, i] * 2
    return out


@pytest.mark.parametrize(
    "step",
    [
        lambda h: Scale.apply(h * 1.0),
        lambda h: (h * 1.0).add_(1).mul_(2),
        lambda h: h / h.detach().clone().abs_().add_(1),
        lambda h: h + (h.round() - h).detach(),
        fill_a_buffer,
    ],
)
def test_what_autograd_knows_of_is_no_hidden_write(step: Step) -> None:
    assert not any(cut.writes for cut in cuts_of(step))


def test_weights_that_are_normalised_in_place_are_no_hidden_write() -> None:
    class Unit(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            self.weight.data.div_(self.weight.data.norm(dim=1, keepdim=True))
            with torch.no_grad():
                self.weight.clamp_(-1, 1)
            return super().forward(x)

    recording = trace(Unit(4, 3), classes(), "cross_entropy", probe_steps=0)
    assert not any(cut.writes for cut in recording.cuts)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_loss_that_calls_backward_itself_is_refused(share: float) -> None:
    def loss(output: Tensor, target: Tensor) -> Tensor:
        value = nn.functional.cross_entropy(output, target)
        value.backward()
        return value * share if share < 1 else value

    with pytest.raises(BatchError, match=r"the loss calls backward\(\) itself") as caught:
        trace(nn.Linear(4, 3), classes(), loss)
    assert "test_traps.py" in (caught.value.where or "")
    assert "without calling loss.backward()" in (caught.value.help or "")


def test_a_model_may_take_a_gradient_inside() -> None:
    class Inner(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            guess = torch.zeros(4, requires_grad=True)
            (guess - 1).square().sum().backward()
            return super().forward(x + guess.grad)

    assert all(p.has_grad for p in trace(Inner(4, 3), classes(), "cross_entropy").parameters)


class Reversible(torch.autograd.Function):
    """Differentiates a layer inside its own backward pass, as reversible networks do."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.Module) -> Tensor:
        ctx.layer = layer
        ctx.save_for_backward(x)
        with torch.no_grad():
            return layer(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            torch.autograd.backward(ctx.layer(x), grad)
        assert x.grad is not None
        return x.grad, None


def test_a_gradient_that_a_backward_pass_adds_by_itself_is_one() -> None:
    inner = nn.Linear(4, 4)
    model = Net(lambda h: Reversible.apply(h, inner))
    model.inner = inner
    inputs, labels = classes()
    kept = torch.ones_like(inner.weight)
    inner.weight.grad = kept
    recording = trace(model, (inputs, labels))
    assert inner.weight.grad is kept
    assert torch.equal(kept, torch.ones_like(kept))
    inner.weight.grad = None
    nn.functional.cross_entropy(model(inputs), labels).backward()
    assert inner.weight.grad is not None
    (record,) = (p for p in recording.parameters if p.name == "inner.weight")
    assert record.has_grad
    expected = float(inner.weight.grad.square().mean().sqrt().log10())
    assert record.log10_grad_rms == pytest.approx(expected, abs=1e-5)
