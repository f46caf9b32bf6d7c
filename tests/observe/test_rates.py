"""A longer look at a learning rate: what it costs, when it is taken, and what it says."""

from __future__ import annotations

import torch
from torch import nn

import unvanish
from unvanish.core.codec import decode_recording, encode_recording
from unvanish.observe.tracing import trace


def stripes(samples=64):
    """Images of one of four stripes."""
    kind = torch.randint(4, (samples,))
    images = 0.1 * torch.randn(samples, 1, 8, 8)
    images[torch.arange(samples), 0, 2 * kind] += 1.0
    return images, kind


def convolutions():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 4),
    )


def momentum(rate):
    return lambda model: torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)


SUM = nn.CrossEntropyLoss(reduction="sum")


def test_nothing_is_tried_where_the_loss_falls():
    recording = trace(convolutions(), stripes(), loss=SUM, optimizer=momentum(1e-4))
    assert recording.steps
    assert recording.trial is None


def test_nothing_is_tried_with_an_optimiser_that_nobody_chose():
    assert trace(convolutions(), stripes(), loss=SUM).trial is None


def test_a_tenth_of_the_rate_learns_and_the_rate_does_not():
    model = convolutions()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    recording = trace(model, stripes(), loss=SUM, optimizer=momentum(0.05))
    trial = recording.trial
    assert trial is not None
    assert trial.steps == 30
    assert trial.loss_after > 0.8 * trial.loss_before > 1.6 * trial.loss_after_tenth
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert decode_recording(encode_recording(recording)).trial == trial


def test_the_trial_is_the_finding():
    report = unvanish.checkup(convolutions(), stripes(), loss=SUM, optimizer=momentum(0.05))
    (finding,) = (f for f in report.findings if f.code == "UV404")
    assert "a tenth of it does" in finding.message
