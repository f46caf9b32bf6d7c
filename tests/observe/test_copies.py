"""Copies of models that `copy.deepcopy` alone refuses, and what is measured on them."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from tests.observe.patients import PATIENTS
from torch import Tensor, nn

from unvanish.core.conditions import Optimizer
from unvanish.observe import trace
from unvanish.observe.copies import copied

REFUSED = ["old_style_weight_norm", "pruned", "activations_kept_as_attributes", "lock_as_attribute"]


@pytest.mark.parametrize("name", REFUSED)
def test_a_copy_computes_the_same_and_shares_no_parameter(name: str) -> None:
    model, (x, _), _ = PATIENTS[name]()
    if name != "lock_as_attribute":
        model(x)
    with pytest.raises((RuntimeError, TypeError)):
        copy.deepcopy(model)
    twin = copied(model)
    assert torch.equal(twin(x), model(x))
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert all(bool(p.any()) for p in model.parameters())


@pytest.mark.parametrize("name", REFUSED)
def test_their_updates_are_measured(name: str) -> None:
    model, batch, options = PATIENTS[name]()
    recording = trace(model, batch, **options)
    assert not recording.gaps
    assert recording.later is not None
    assert all(p.update_ratio > 0 for p in recording.parameters)


class Wrapped(torch.optim.Optimizer):
    """An optimiser that leaves the work to another, as SAM and Lookahead do."""

    def __init__(self, base: torch.optim.Optimizer) -> None:
        super().__init__(base.param_groups, {})
        self.base = base

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        self.base.step(closure)


def test_an_optimizer_is_copied_whole() -> None:
    model = nn.Linear(4, 3)
    batch = torch.randn(16, 4), torch.randint(0, 3, (16,))
    for optimizer in (
        torch.optim.LBFGS(model.parameters()),
        Wrapped(torch.optim.SGD(model.parameters(), lr=0.1)),
    ):
        before = [p.clone() for p in model.parameters()]
        recording = trace(model, batch, optimizer=optimizer)
        assert not recording.gaps
        assert all(p.update_ratio > 0 for p in recording.parameters)
        assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_sparse_gradients_are_stepped_by_what_takes_them() -> None:
    model, batch, options = PATIENTS["sparse_embedding_without_an_optimizer"]()
    recording = trace(model, batch, **options)
    assert isinstance(recording.context.optimizer, Optimizer)
    assert recording.context.optimizer.name == "SGD"
    assert any("SGD with learning rate 0.01" in said for said in recording.context.inferred)
    assert not recording.gaps


def test_complex_parameters_are_judged_by_the_type_of_their_parts() -> None:
    model = nn.Sequential(nn.Linear(4, 4, dtype=torch.complex64), Modulus())
    batch = torch.randn(16, 4, dtype=torch.complex64), torch.randint(0, 4, (16,))
    recording = trace(model, batch, "cross_entropy")
    assert recording.context.dtype == "float32"
    assert all(math.isfinite(p.log10_grad_rms) for p in recording.parameters)


class Modulus(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.abs()
