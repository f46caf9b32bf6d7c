"""Runs in float16 with a real loss scaler: what is read, what is left out, what is lost."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import EventKind, RunRecording
from unvanish.core.verdicts import Clear, Found
from unvanish.diagnose.running import diagnose_run
from unvanish.watch import observe


def train(
    *, steps: int, scale: float | None, factor: float = 1.0, clip: float = 0.0, overflow: int = -1
) -> tuple[RunRecording, list[float], list[float]]:
    """Train under autocast to float16; return norms of the gradient as the optimiser gets it.

    Args:
        scale: First scale of the scaler; None for no scaler.
        factor: What the loss is multiplied with.
        clip: Bound on the unscaled gradient; 0 for none.
        overflow: Step whose scaled gradient overflows float16 at the first scale.

    Returns:
        The recording; the norm before clipping, and after, at every step.
    """
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler(
        "cpu", init_scale=scale or 1.0, growth_interval=1000, enabled=scale is not None
    )
    raw, given = [], []
    with observe(model, optimizer, every=5) as watch:
        for step in range(steps):
            x = torch.randn(32, 16)
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                logits = model(x).float()
            loss = F.cross_entropy(logits, (x[:, 0] > 0).long()) * factor
            if step == overflow:
                loss = loss * 1e6
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            raw.append(_norm(model))
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            given.append(_norm(model))
            scaler.step(optimizer)
            scaler.update()
    return watch.recording, raw, given


def _norm(model: nn.Module) -> float:
    return math.sqrt(sum(float(p.grad.double().square().sum()) for p in model.parameters()))


def test_what_is_read_is_unscaled_and_clipping_is_seen():
    run, raw, given = train(steps=12, scale=1024.0, clip=0.05)
    norms = dict(run.over(StepQuantity.LOG10_GRAD_NORM))
    clipped = dict(run.over(StepQuantity.LOG10_CLIPPED_GRAD_NORM))
    assert sorted(norms) == [0, 1, 2, 4, 5, 8, 10]
    for step, norm in norms.items():
        assert norm == pytest.approx(math.log10(raw[step]), abs=1e-5)
        assert clipped[step] == pytest.approx(math.log10(given[step]), abs=1e-5)
    assert run.conditions.autocast == "float16"
    assert {value for _, value in run.over(StepQuantity.LOSS_SCALE)} == {1024.0}
    assert dict(run.over(StepQuantity.LOSS))[0] == pytest.approx(math.log(4), rel=0.2)


def test_the_activation_gradients_are_those_of_float32():
    short, _, _ = train(steps=1, scale=1024.0)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as watch:
        x = torch.randn(32, 16)
        F.cross_entropy(model(x), (x[:, 0] > 0).long()).backward()
        optimizer.step()
    for layer in range(5):
        half, whole = (
            dict(run.series(LayerQuantity.LOG10_ACTIVATION_GRAD_RMS, layer))[0]
            for run in (short, watch.recording)
        )
        assert half == pytest.approx(whole, abs=0.005)  # about 1 %: eleven bits


def test_a_step_that_overflows_is_left_out_and_the_scale_halved():
    run, raw, _ = train(steps=12, scale=65536.0, overflow=4)
    assert math.isinf(raw[4]) or math.isnan(raw[4])
    assert [e.step for e in run.events if e.kind is EventKind.SKIPPED] == [4]
    scales = dict(run.over(StepQuantity.LOSS_SCALE))
    assert (scales[4], scales[5]) == (65536.0, 32768.0)
    moved = dict(run.series(LayerQuantity.MOVED_FRACTION, 0))
    assert 4 not in moved
    assert moved[5] > 0.9


def test_a_gradient_below_float16_is_found_and_a_scaler_mends_it():
    lost, _, _ = train(steps=80, scale=None, factor=1e-6)
    verdict = diagnose_run(lost).verdicts["UV609"]
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert (finding.step, finding.severity.value) == (0, "error")
    assert "GradScaler" in finding.help[0]
    kept, _, _ = train(steps=80, scale=2.0**20, factor=1e-6)
    assert isinstance(diagnose_run(kept).verdicts["UV609"], Clear)
    for layer in (1, 3):  # about half of the entries are zero where a ReLU is off
        with_scale, without = (
            dict(run.series(LayerQuantity.UNDERFLOW_FRACTION, layer))[70] for run in (kept, lost)
        )
        assert with_scale < 0.75
        assert without > 0.99
