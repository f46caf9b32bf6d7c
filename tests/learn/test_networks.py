"""The networks of the lessons: weights, ledgers, means."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from unvanish.core.explanations import Factor
from unvanish.learn.data import CLASSES, shapes
from unvanish.learn.networks import (
    ACTIVATIONS,
    STARTS,
    by_factor,
    drawn,
    plain,
    running_mean,
    started,
)
from unvanish.observe import trace

_GAINS = {"default": 1 / 3, "xavier": 1.0, "he": 2.0, "lecun": 1.0, "orthogonal": 1.0}


@pytest.mark.parametrize("init", STARTS)
def test_drawn_weights_have_the_variance_of_the_textbook(init: str) -> None:
    torch.manual_seed(0)
    model = plain(2, width=128, inputs=128)
    before = model[2].weight.clone()
    twin = drawn(model, init)
    assert isinstance(twin, nn.Sequential)
    weight = twin[2].weight.detach()
    assert torch.equal(model[2].weight, before)
    assert not torch.equal(weight, before)
    assert 128 * float(weight.square().mean()) == pytest.approx(_GAINS[init], rel=0.05)
    if init != "default":
        assert not twin[2].bias.any()


@pytest.mark.parametrize("init", STARTS)
@pytest.mark.parametrize("activation", ["sigmoid", "softplus", "prelu"])
def test_every_function_can_be_started_in_every_way(activation: str, init: str) -> None:
    assert activation in ACTIVATIONS
    model = plain(2, width=8, activation=activation, outputs=CLASSES)
    batch = shapes(16, 0)
    assert started(model, init, batch, "cross_entropy")(batch[0]).isfinite().all()


def test_factors_add_up_to_what_the_gradient_lost() -> None:
    torch.manual_seed(0)
    batch = shapes(64, 0)
    model = plain(6, outputs=CLASSES)
    found = by_factor(trace(model, batch, "cross_entropy", batches=1, probe_steps=0))
    signal, kept = batch[0], []
    for layer in model:
        signal = layer(signal)
        signal.retain_grad()
        kept.append(signal)
    nn.functional.cross_entropy(signal, batch[1]).backward()
    norms = [float(one.grad.double().norm()) for one in (kept[0], kept[-1]) if one.grad is not None]
    assert sum(found.values()) == pytest.approx(math.log10(norms[0] / norms[1]), abs=1e-4)
    assert found[Factor.SLOPE_CAP] == pytest.approx(6 * math.log10(0.25))
    assert Factor.LOSS not in found


def test_a_running_mean_stands_at_the_end_of_its_stretch() -> None:
    assert running_mean([1.0, 3.0, 5.0, 7.0], 2) == ((2.0, 3.0, 4.0), (2.0, 4.0, 6.0))
    assert running_mean([1.0], 2) == ((), ())
