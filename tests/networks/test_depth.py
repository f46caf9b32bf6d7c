"""Depth: what is checked at 10,000 layers, and how the cost grows with it."""

from __future__ import annotations

import time

import pytest
import torch
from benchmarks.models import sigmoid_stack

import unvanish
from unvanish.core.glossary import Quantity
from unvanish.observe import trace


@pytest.mark.slow
def test_ten_thousand_layers_are_checked_and_the_slope_is_that_of_theory() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, batch = sigmoid_stack(10_000)
    report = unvanish.checkup(model, batch, loss="cross_entropy")
    (found,) = (f for f in report.findings if f.code == "UV101")
    # sqrt(chi_1) = 0.14145 a layer at infinite width: 8,494 decades; width 32 scatters.
    assert found.measured == pytest.approx(8_494, rel=0.03)
    assert report.recording.context.grad_dtype == "extended"
    assert len(str(report).splitlines()) < 80


@pytest.mark.slow
def test_the_cost_of_a_layer_does_not_grow_with_depth() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    seconds = {}
    for depth in (300, 3_000):
        model, batch = sigmoid_stack(depth)
        start = time.process_time()
        recording = trace(model, batch, "cross_entropy", probe_steps=0)
        seconds[depth] = time.process_time() - start
        assert len(recording[Quantity.LOG10_PROBE_GRAD_RMS]) > 2 * depth
    assert seconds[3_000] < 25 * seconds[300]
