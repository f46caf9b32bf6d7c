"""Values that leave autograd's sight and come back: who is cut, and at which call."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import Variable

from unvanish.core.records import Recording
from unvanish.observe import trace


class Net(nn.Module):
    def __init__(self, step: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(4, 4), nn.Linear(4, 3)
        self.spare = nn.Linear(4, 4)
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.step(torch.tanh(self.first(x))))


def recorded(step: Callable[[Tensor], Tensor]) -> Recording:
    torch.manual_seed(0)
    batch = torch.randn(16, 4), torch.randint(0, 3, (16,))
    return trace(Net(step), batch, probe_steps=0)


def through_setitem(h: Tensor) -> Tensor:
    fresh = torch.zeros_like(h)
    fresh.data[:] = h.data
    return fresh


def through_copy(h: Tensor) -> Tensor:
    fresh = torch.empty(h.shape)
    fresh[:, 1:].copy_(h.detach()[:, 1:])
    return fresh


CUTS = {
    "variable": (lambda h: Variable(h.data), "data"),
    "setitem": (through_setitem, "data"),
    "copy": (through_copy, "detach"),
    "number": (lambda h: torch.ones_like(h) * h.mean().item(), "item"),
    "float": (lambda h: torch.ones_like(h).mul(float(h.detach().sum())), "detach"),
    "tolist": (lambda h: torch.tensor(h.tolist()), "tolist"),
    "parameter": (lambda h: nn.Parameter(h * 1.0), "Parameter"),
    "tensor": (torch.tensor, "tensor"),
    "numpy": (lambda h: torch.as_tensor(h.detach().numpy()), "detach"),
}


@pytest.mark.filterwarnings("ignore:To copy construct")
@pytest.mark.parametrize("name", CUTS)
def test_a_value_that_comes_back_without_its_gradient_is_followed(name: str) -> None:
    step, op = CUTS[name]
    recording = recorded(step)
    first = {p.name: p for p in recording.parameters if p.name.startswith("first")}
    assert all(p.used and p.feeds_loss and not p.has_grad for p in first.values())
    assert [cut.op for cut in recording.cuts] == [op]
    assert set(recording.cuts[0].parameters) == set(first)
    spare = [p for p in recording.parameters if p.name.startswith("spare")]
    assert not any(p.used or p.feeds_loss for p in spare)


@pytest.mark.parametrize(
    "step",
    [
        lambda h: h.contiguous() + 0.0 * h.detach().clone().add_(1).sum(),
        lambda h: (h * 1.0).add_(1.0),
        lambda h: torch.stack([torch.zeros(4).copy_(row) for row in h]),
    ],
)
def test_a_value_that_keeps_its_gradient_is_not_cut(step: Callable[[Tensor], Tensor]) -> None:
    recording = recorded(step)
    assert all(p.has_grad for p in recording.parameters if not p.name.startswith("spare"))


def test_a_number_that_never_left_makes_no_child() -> None:
    recording = recorded(lambda h: h.detach() * 0.0 + (h.sum().item() > 0) + 0.123)
    assert "item" not in [cut.op for cut in recording.cuts]
