"""Signal and noise of a gradient, told apart within a step."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from unvanish.core.glossary import StepQuantity
from unvanish.diagnose.running.alignment import signal_of
from unvanish.watch import observe


def linear(features=20):
    model = nn.Linear(features, 1, bias=False)
    nn.init.zeros_(model.weight)
    return model


def shares(signal, *, micro_batches, steps=400, batch=4):
    """Gradients x of weights that stand still: mean `signal` in every entry, variance 1."""
    torch.manual_seed(0)
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with observe(model, optimizer, every=1) as watch:
        for _ in range(steps):
            optimizer.zero_grad()
            for _ in range(micro_batches):
                x = signal + torch.randn(batch, 20)
                (model(x).mean() / micro_batches).backward()
            optimizer.step()
    return watch.recording


@pytest.mark.parametrize(("signal", "micro_batches"), [(0.5, 2), (0.2, 4), (0.0, 2)])
def test_the_share_of_signal_is_what_was_put_in(signal, micro_batches):
    run = shares(signal, micro_batches=micro_batches)
    ratio = signal**2 * 4 * micro_batches  # |G|^2 / (tr C / samples), per entry
    found = signal_of(run)
    assert found.samples == 400
    assert found.mean == pytest.approx(ratio / (1 + ratio), abs=3 * found.error + 0.01)
    assert found.error < 0.05


def test_it_is_not_measured_with_one_pass():
    run = shares(0.5, micro_batches=1, steps=10)
    assert StepQuantity.SIGNAL_SHARE not in run.by_step


def test_passes_that_do_not_add_up_are_not_compared():
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for to_none in (True, False):
        with observe(model, optimizer, every=1) as watch:
            for _ in range(6):
                optimizer.zero_grad()
                model(torch.randn(4, 20)).sum().backward()
                optimizer.zero_grad(set_to_none=to_none)
                model(torch.randn(4, 20)).sum().backward()
                optimizer.step()
        assert StepQuantity.SIGNAL_SHARE not in watch.recording.by_step
