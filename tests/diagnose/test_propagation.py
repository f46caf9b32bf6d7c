"""What the rules about propagation share: which cause makes a gradient grow."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import unvanish
from unvanish.core.findings import Cause
from unvanish.core.records import Recording
from unvanish.diagnose.propagation import growth_causes, propagation_flow, structure


class Residual(nn.Module):
    """Residual blocks without normalisation, their weights a factor above He's."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(32, 32) for _ in range(8))
        for block in self.blocks:
            nn.init.normal_(block.weight, std=factor * (2 / 32) ** 0.5)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = x + torch.relu(block(x))
        return self.head(x)


class Siamese(nn.Module):
    """One encoder for two views: called twice, at one and the same depth."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(*(m for _ in range(6) for m in (nn.Linear(32, 32), nn.Tanh())))
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x) - self.encoder(x.flip(1)))


def recording(model: nn.Module) -> Recording:
    torch.set_num_threads(1)
    batch = torch.randn(16, 32), torch.randint(0, 10, (16,))
    return unvanish.checkup(model, batch, probe_steps=0, select=["UV102"]).recording


@pytest.mark.parametrize(
    ("factor", "cause"), [(1.0, Cause.NO_NORMALISATION), (2.0, Cause.INIT_TOO_LARGE)]
)
def test_large_weights_come_before_the_missing_normalisation(factor: float, cause: Cause) -> None:
    torch.manual_seed(0)
    seen = recording(Residual(factor))
    flow = propagation_flow(seen)
    assert flow is not None
    assert growth_causes(seen, flow)[0] is cause


def test_an_encoder_for_two_views_is_no_recurrence() -> None:
    seen = recording(Siamese())
    flow = propagation_flow(seen)
    assert flow is not None
    assert Cause.RECURRENCE not in structure(seen, flow)
    assert Cause.DEPTH_WITHOUT_SKIP in structure(seen, flow)
