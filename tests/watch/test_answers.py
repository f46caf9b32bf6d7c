"""What a model is asked without learning from it, between two steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from unvanish.core.glossary import StepQuantity
from unvanish.watch import observe

STEPS = 10
SAMPLED = (0, 1, 2, 4, 8)


def answers(ask):
    """Train for ten steps, and ask in front of each."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with observe(model, optimizer) as watch:
        for _ in range(STEPS):
            ask(model)
            optimizer.zero_grad()
            model(torch.randn(16, 4)).square().mean().backward()
            optimizer.step()
    return dict(watch.recording.over(StepQuantity.ANSWERS))


def act(model):
    with torch.no_grad():
        model(torch.randn(1, 4))


def infer(model):
    with torch.inference_mode():
        model[0](torch.randn(1, 4))
        model[2](torch.randn(1, 8))


STANDING = torch.randn(100, 4)


def measure_accuracy(model):
    with torch.no_grad():
        model(STANDING)
        model(STANDING[:50])


def evaluate(model):
    model.eval()
    act(model)
    model.train()


def learn_nothing(model):
    model(torch.randn(1, 4))


@pytest.mark.parametrize(
    ("ask", "count"),
    [(act, 1), (infer, 2), (evaluate, 0), (learn_nothing, 0)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_answers_without_gradient_are_counted_where_the_model_trains(ask, count):
    assert answers(ask) == dict.fromkeys(SAMPLED, count)


def test_the_same_tensor_again_is_no_new_question():
    assert answers(measure_accuracy) == {0: 1, 1: 0, 2: 0, 4: 0, 8: 0}


def test_a_module_inside_of_one_that_answers_does_not_count_again():
    class Agent(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
            self.head = nn.Linear(8, 2)

        def forward(self, x):
            return self.head(self.body(x))

    agent = Agent()
    optimizer = torch.optim.SGD(agent.parameters(), lr=0.01)
    with observe(agent, optimizer) as watch:
        for _ in range(3):
            act(agent)
            agent(torch.randn(16, 4)).square().mean().backward()
            optimizer.step()
    assert set(dict(watch.recording.over(StepQuantity.ANSWERS)).values()) == {1.0}


def test_nothing_is_said_where_activations_are_not_looked_at():
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with observe(model, optimizer, activations=False) as watch:
        for _ in range(3):
            act(model)
            model(torch.randn(16, 4)).square().mean().backward()
            optimizer.step()
    assert StepQuantity.ANSWERS not in watch.recording.by_step
