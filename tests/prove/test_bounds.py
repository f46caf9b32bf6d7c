"""What a score on the part to choose by means: chance, and what counts as learning."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from unvanish.core.proofs import Endpoint
from unvanish.prove.endpoints import bounds_of
from unvanish.prove.experiment import Experiment
from unvanish.prove.partition import partition

METRIC = Endpoint(name="metric", untrained=0.3)


def experiment(target: Tensor, loss: Any, *, outputs: int = 2) -> Experiment:
    torch.manual_seed(0)
    x = torch.randn(200, 4)
    model = nn.Sequential(nn.Linear(4, outputs))
    batches = [(x[k : k + 20], target[k : k + 20]) for k in range(0, 200, 20)]
    return Experiment(
        target="net",
        make=lambda _: model,
        partition=partition(batches, model, wanted=10, keep_held_out=False),
        loss=loss,
        model=model,
        metric=lambda _: 0.3,
        endpoint=METRIC,
    )


def test_classes_have_their_majority_for_chance_though_the_metric_says_nothing() -> None:
    y = (torch.arange(200) % 4 == 0).long()
    chance, enough = bounds_of(experiment(y, nn.functional.cross_entropy))
    assert 0.6 < chance < 0.9
    assert enough == pytest.approx((chance + 1.0) / 2.0)


def test_a_squared_error_has_its_variance_in_the_units_of_the_score() -> None:
    torch.manual_seed(1)
    y = 3.0 * torch.randn(200, 1)
    chance, enough = bounds_of(experiment(y, nn.functional.mse_loss, outputs=1))
    assert -14.0 < chance < -5.0
    assert enough == pytest.approx(chance / 2.0)


def test_of_a_loss_of_its_own_nobody_can_say() -> None:
    y = torch.randn(200, 1)
    chance, enough = bounds_of(experiment(y, lambda o, t: (o - t).abs().exp().mean(), outputs=1))
    assert math.isnan(chance)
    assert math.isnan(enough)


def test_without_a_metric_the_goal_says_what_is_enough() -> None:
    y = (torch.arange(200) % 4 == 0).long()
    of_metric = experiment(y, nn.functional.cross_entropy)
    known = Endpoint(name="accuracy", goal=0.97, chance=0.75)
    assert bounds_of(replace(of_metric, metric=None, endpoint=known))[1] == 0.97
    loss = Endpoint(name="loss", higher_is_better=False, goal=0.2)
    assert bounds_of(replace(of_metric, metric=None, endpoint=loss))[1] == -0.2
    assert bounds_of(replace(of_metric, endpoint=known))[1] != 0.97


def test_a_network_that_cannot_be_asked_is_no_error() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            if not self.training:
                raise RuntimeError("not in evaluation")
            out: Tensor = self.layer(x)
            return out

    y = torch.zeros(200, dtype=torch.long)
    made = experiment(y, nn.functional.cross_entropy)
    assert all(map(math.isnan, bounds_of(replace(made, model=Broken()))))
