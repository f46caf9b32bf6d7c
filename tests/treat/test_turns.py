"""Interceptions inside of a look, which puts a plain call in the place of a checkpoint."""

import pytest
import torch
from torch import Tensor, nn

from unvanish.core.errors import UnvanishError
from unvanish.observe import trace
from unvanish.treat import treat
from unvanish.treat.surgery import Surgery


class Step(torch.autograd.Function):
    """Calls, without a gradient, a function that a remedy intercepts."""

    @staticmethod
    def forward(_ctx, x):
        return x.sign()

    @staticmethod
    def backward(_ctx, grad):
        return torch.zeros_like(grad)


class Coded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(6, 16), nn.Linear(16, 16), nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.round(3.0 * self.middle(Step.apply(self.first(x)))))


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(32, 6, generator=generator), torch.arange(32) % 2


def test_a_function_that_runs_without_gradient_can_be_looked_at() -> None:
    torch.manual_seed(0)
    treated = treat(Coded(), "straight-through", batch(), nn.functional.cross_entropy)
    recording = trace(treated.model, batch(), nn.functional.cross_entropy, batches=1)
    sizes = {one.name: one.log10_grad_rms for one in recording.parameters}
    assert sizes["middle.weight"] > -6.0


def test_a_reentrant_checkpoint_is_refused_outside_of_a_look() -> None:
    class Kept(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            run = torch.utils.checkpoint.checkpoint
            return run(lambda y: torch.sigmoid(self.layer(y)), x, use_reentrant=True)

    model = Kept()
    Surgery(model).insert("", nn.ReLU(), "instead", function="sigmoid")
    with pytest.raises(UnvanishError, match="a checkpoint is drawn around a function"):
        model(batch()[0].requires_grad_())
