"""Ten thousand blocks: the gradient of the first is the size of the last one's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish.treat.treatment import treat


class Deep(nn.Module):
    """A loop over layers with a functional activation."""

    def __init__(self, depth: int, width: int = 8) -> None:
        super().__init__()
        self.enter = nn.Linear(width, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.leave = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Run the layers."""
        x = self.enter(x)
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return self.leave(x)


def _gradients(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    model.zero_grad()
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    return torch.stack([layer.weight.grad.norm() for layer in model.layers])


@pytest.mark.parametrize("depth", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_the_gradient_of_the_first_block_is_that_of_the_last(depth: int) -> None:
    torch.manual_seed(0)
    model = Deep(depth)
    batch = torch.randn(16, 8), torch.randint(0, 3, (16,))
    assert _gradients(model, batch)[0] == 0
    treated = treat(model, "scaled-residual", batch)
    gradients = _gradients(treated.model, batch)
    assert gradients.max() < 10 * gradients.min()
    treated.undo()
    assert _gradients(treated.model, batch)[0] == 0
