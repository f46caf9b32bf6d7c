"""Two networks that are one, and every way in which an edit could have gone wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from unvanish.recipe import Recipe, load
from unvanish.treat.patch.comparing import differences
from unvanish.treat.treatment import Treated, treat

TEXT = """import torch
from torch import nn


def batch():
    inputs = torch.randn(32, 6)
    return inputs, inputs[:, :3].argmax(dim=1)


def loss(output, target):
    return nn.functional.cross_entropy(output, target)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(torch.relu(self.body(x)))
"""


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Treated, Recipe]:
    """A treated network, and a recipe that gives one like it, other draws apart."""
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(TEXT)
    recipe = load("net.py", seed=0)
    treated = treat(recipe.model, "he", recipe.batch, recipe.loss, optimizer=recipe.optimizer)
    fresh = load("net.py", seed=1)
    for module in fresh.model.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            nn.init.zeros_(module.bias)
    with torch.no_grad():
        fresh.model.head.weight.div_(2**0.5)
    return treated, replace(fresh, batch=recipe.batch, seed=0)


def test_two_draws_of_one_network_are_alike(pair) -> None:
    assert differences(*pair) == ""


def sgd(**options: Any) -> Callable[[nn.Module], torch.optim.Optimizer]:
    return lambda model: torch.optim.SGD(model.parameters(), **{"lr": 0.1, **options})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"optimizer": None}, "makes no optimiser"),
        (
            {"optimizer": lambda model: torch.optim.Adam(model.parameters(), lr=0.1)},
            "Adam, and not SGD",
        ),
        ({"optimizer": sgd(momentum=0.9)}, "momentum=0.9, and not 0"),
        ({"optimizer": sgd(weight_decay=0.1)}, "weight_decay=0.1"),
        ({"optimizer": sgd(lr=0.11)}, "two steps of its optimiser move"),
        ({"optimizer": lambda model: torch.optim.SGD(model.head.parameters(), lr=0.1)}, "hold"),
        ({"clip_grad_norm": 1e-3}, "two steps of its optimiser move"),
        ({"loss": lambda out, target: 2 * nn.functional.cross_entropy(out, target)}, "its loss is"),
    ],
    ids=["none", "kind", "option", "decay", "rate", "missing", "clip", "loss"],
)
def test_what_it_is_trained_with(pair, changes, said) -> None:
    treated, fresh = pair
    assert said in differences(treated, replace(fresh, **changes))


def changed(fresh: Recipe, forward: Callable[..., Any]) -> Recipe:
    model = fresh.model
    object.__setattr__(model, "forward", forward.__get__(model))
    return fresh


def test_a_gradient_that_is_cut_where_the_outputs_are_the_same(pair) -> None:
    treated, fresh = pair

    def forward(self, x):
        return self.head(torch.relu(self.body(x)).detach())

    fresh = changed(fresh, forward)
    assert "parameters that are used" in differences(treated, fresh)


def test_a_gradient_of_another_size_where_the_outputs_are_the_same(pair) -> None:
    treated, fresh = pair

    def forward(self, x):
        h = torch.relu(self.body(x))
        return self.head(0.5 * h + (0.5 * h).detach())

    assert "the gradient of body" in differences(treated, changed(fresh, forward))


def test_another_function(pair) -> None:
    treated, fresh = pair

    def forward(self, x):
        return self.head(torch.tanh(self.body(x)))

    assert "computes something else" in differences(treated, changed(fresh, forward))


def test_a_normalisation_with_another_constant(pair) -> None:
    treated, fresh = pair
    for model, eps in ((treated.model, 6.6e-6), (fresh.model, 1e-5)):
        model.body = nn.Sequential(model.body, nn.BatchNorm1d(8, eps=eps))
    assert differences(treated, replace(fresh, optimizer=sgd())) != ""
    treated = replace(treated, optimizer=None)
    fresh = replace(fresh, optimizer=None)
    assert "BatchNorm1d has eps=1e-05, and not 6.6e-06" in differences(treated, fresh)


def test_a_parameter_that_is_not_trained(pair) -> None:
    treated, fresh = pair
    fresh.model.body.bias.requires_grad_(requires_grad=False)
    assert "it has 3 parameters that are used, and not 4" in differences(treated, fresh)


def test_what_is_drawn_and_not_trained_is_shared(pair) -> None:
    treated, fresh = pair

    def forward(self, x):
        return self.head(torch.relu(self.body(x)) * self.mask)

    for model in (treated.model, fresh.model):
        model.register_buffer("mask", torch.randn(8))
        object.__setattr__(model, "forward", forward.__get__(model))
    assert differences(treated, fresh) == ""


def test_another_start(pair) -> None:
    treated, fresh = pair
    with torch.no_grad():
        fresh.model.body.weight.mul_(30)
    assert "starts at another size" in differences(treated, fresh)


def test_a_rate_that_was_multiplied(pair) -> None:
    treated, fresh = pair
    assert "two steps" in differences(treated, fresh, rate_factor=0.3)
    assert differences(treated, replace(fresh, optimizer=sgd(lr=0.03)), rate_factor=0.3) == ""


class Closing(torch.optim.SGD):
    """Wants a closure, as optimisers do that evaluate the loss by themselves."""

    def step(self, closure):
        return super().step(closure)


def test_an_optimiser_that_wants_a_closure(pair) -> None:
    treated, fresh = pair
    assert "not SGD" in differences(
        treated, replace(fresh, optimizer=lambda model: Closing(model.parameters(), lr=0.1))
    )
    closing = replace(treated, optimizer=Closing(treated.model.parameters(), lr=0.1))
    recipe = replace(fresh, optimizer=lambda model: Closing(model.parameters(), lr=0.1))
    assert differences(closing, recipe) == ""


def test_nothing_is_touched(pair) -> None:
    treated, fresh = pair
    before = [
        p.detach().clone() for model in (treated.model, fresh.model) for p in model.parameters()
    ]
    differences(treated, fresh, rate_factor=0.3)
    after = [p for model in (treated.model, fresh.model) for p in model.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(p.grad is None for p in after)
    assert treated.optimizer.param_groups[0]["lr"] == 0.1
