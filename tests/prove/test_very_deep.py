"""A plain network of 1,000 layers learns the digits after one remedy, and not before."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.proofs import Job
from unvanish.curing.given import recipe_from
from unvanish.prove.building import experiment_of
from unvanish.prove.experiment import Experiment
from unvanish.prove.training import execute
from unvanish.zoo.data import held_out_digits, in_batches, training_digits

pytest.importorskip("sklearn")

STEPS = 80


class Plain(nn.Module):
    def __init__(self, depth: int = 1000, width: int = 32) -> None:
        super().__init__()
        self.first = nn.Linear(64, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        for layer in self.layers:
            x = torch.tanh(layer(x))
        logits: Tensor = self.head(x)
        return logits


def accuracy(model: nn.Module) -> float:
    inputs, labels = held_out_digits()
    with torch.no_grad():
        return float((model(inputs).argmax(1) == labels).float().mean())


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    recipe = recipe_from(
        Plain,
        data=list(in_batches(*training_digits(), size=64, seed=0)),
        loss=F.cross_entropy,
        optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=3e-5),
        metric=accuracy,
        goal=0.9,
    )
    return experiment_of(recipe, steps=STEPS)


@pytest.mark.slow
def test_a_thousand_layers_learn_the_digits_after_one_remedy(experiment: Experiment) -> None:
    job = Job(remedies=("shaped-activation",), seed=11, steps=STEPS, judged=True)
    assert execute(experiment, job).metric > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1.0, 30.0])
def test_they_do_not_without(experiment: Experiment, rate: float) -> None:
    run = execute(experiment, Job(rate_factor=rate, seed=11, steps=STEPS, judged=True))
    assert run.metric < 0.2
