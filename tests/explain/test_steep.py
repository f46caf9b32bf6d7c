"""An activation that is nearly a step, which no quadrature follows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import unvanish


class Switch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(2000.0 * x)


def test_a_step_is_not_predicted_and_everything_else_is_said() -> None:
    torch.manual_seed(0)
    layers = [part for _ in range(4) for part in (nn.Linear(16, 16), Switch())]
    model = nn.Sequential(*layers, nn.Linear(16, 2))
    batch = (3.0 * torch.randn(64, 16), torch.randint(2, (64,)))
    report = unvanish.checkup(model, batch, loss=nn.CrossEntropyLoss())
    assert "UV201" in {f.code for f in report.findings}
    prediction = report.explain().prediction
    assert not prediction.layers
    assert "nearly a step" in prediction.reason
