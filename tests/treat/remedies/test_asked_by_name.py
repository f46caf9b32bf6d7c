"""What looks like a choice is left alone, unless its remedy is asked for by name."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from unvanish.core.verdicts import NotApplicable
from unvanish.treat.prescribing import prescribe
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of, treat

BATCH = (
    torch.randn(64, 16, generator=torch.Generator().manual_seed(0)),
    torch.randint(0, 4, (64,), generator=torch.Generator().manual_seed(1)),
)


class Probe(nn.Module):
    """A body as if trained before, and a head of which alone the optimiser knows."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        sizes = (16, 64, 64, 64)
        self.body = nn.Sequential(
            *(part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU()))
        )
        self.head = nn.Linear(64, 4)
        with torch.no_grad():
            for index, parameter in enumerate(self.body.parameters()):
                parameter.mul_(1.3).add_(0.01 * (index + 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


def probe() -> tuple[nn.Module, torch.optim.Optimizer]:
    model = Probe()
    return model, torch.optim.Adam(model.head.parameters(), lr=1e-3)


def test_a_choice_is_left_alone() -> None:
    model, optimizer = probe()
    said = remedy_of("train-parameter").assess(
        case_of(model, BATCH, "cross_entropy", optimizer=optimizer)
    )
    assert isinstance(said, NotApplicable)
    assert "looks like a choice" in said.reason
    assert "by name" in said.reason


def test_a_choice_is_overridden_by_name() -> None:
    model, optimizer = probe()
    treated = treat(model, "train-parameter", BATCH, "cross_entropy", optimizer=optimizer)
    assert treated.optimizer is not None
    held = sum(len(group["params"]) for group in treated.optimizer.param_groups)
    assert held == len(list(model.parameters()))
    treated.undo()
    assert sum(len(group["params"]) for group in treated.optimizer.param_groups) == 2


@pytest.mark.parametrize("names", [None, ("train-parameter",)])
def test_advice_tries_it_where_it_is_named(names: tuple[str, ...] | None) -> None:
    model, optimizer = probe()
    advice = prescribe(model, None, BATCH, "cross_entropy", optimizer=optimizer, names=names)
    tried = {name for option in advice.options for name in option.remedies}
    assert ("train-parameter" in tried) is (names is not None)
