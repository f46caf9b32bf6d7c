"""Where the loss jumps, and what that does to the count of dead units."""

from __future__ import annotations

import math
import random

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unvanish.core.runs import EventKind
from unvanish.core.verdicts import Found
from unvanish.diagnose.running import diagnose_run
from unvanish.watch import observe
from unvanish.watch.jumps import Jumps


def noisy(levels, seed=0):
    """Losses around one level after another, given as steps and level."""
    draw = random.Random(seed)
    values = [level * (1 + 0.1 * draw.gauss(0, 1)) for steps, level in levels for _ in range(steps)]
    return list(enumerate(values))


def heard(losses, portion):
    jumps, found = Jumps(), []
    for at in range(0, len(losses), portion):
        found += jumps.heard(losses[at : at + portion])
    return [jump.step for jump in found]


@pytest.mark.parametrize("portion", [1, 7, 50, 1000])
def test_a_jump_is_heard_once_however_the_losses_come(portion):
    losses = noisy([(20, 2.3), (100, 0.2), (200, 3.0), (100, 0.2), (60, 3.0)])
    assert heard(losses, portion) == [120, 420]


def test_what_is_no_jump():
    falling = noisy([(10, 2.3), (100, 1.0), (300, 0.1)])
    assert heard(falling, 50) == []
    strange = [(step, 50.0 if step == 300 else loss) for step, loss in falling]
    assert heard(strange, 50) == []
    end = [(step, math.nan if step >= 300 else loss) for step, loss in falling]
    assert heard(end, 50) == []
    assert heard(noisy([(400, 1.0)]), 50) == []


def spike(every, steps, length):
    """Digits-like blobs; from step 157 on the learning rate is far too large for some steps."""
    torch.manual_seed(0)
    centres = 2.0 * torch.randn(5, 12)
    layers = [nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 5)]
    model = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    with observe(model, optimizer, every=every) as watch:
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = 0.5 if 157 <= step < 157 + length else 2e-3
            y = torch.randint(5, (32,))
            optimizer.zero_grad()
            F.cross_entropy(model(centres[y] + torch.randn(32, 12)), y).backward()
            optimizer.step()
    return watch.recording


@pytest.mark.parametrize("every", [1, 10, 50])
@pytest.mark.parametrize("length", [6, 30])
def test_what_a_spike_kills_is_found_at_every_cadence(every, length):
    run = spike(every, 330, length)
    jumps = [event.step for event in run.events if event.kind is EventKind.JUMPED]
    assert jumps[0] in (158, 159)
    verdicts = diagnose_run(run).verdicts
    for code in ("UV604", "UV612"):
        verdict = verdicts[code]
        assert isinstance(verdict, Found), (code, verdict)
        assert 157 <= verdict.findings[0].step <= 160
    verdict = verdicts["UV611"]
    assert isinstance(verdict, Found)
    assert 157 <= verdict.findings[0].step <= 159
    assert verdict.findings[0].severity.value == "error"
