"""A longer look at a learning rate: what it costs, when it is taken, and what it says."""

from __future__ import annotations

import pytest
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
    assert trial.loss_after > 0.8 * trial.loss_before > 1.6 * trial.loss_after_scaled
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert decode_recording(encode_recording(recording)).trial == trial


def test_the_trial_is_the_finding():
    report = unvanish.checkup(convolutions(), stripes(), loss=SUM, optimizer=momentum(0.05))
    (finding,) = (f for f in report.findings if f.code == "UV404")
    assert "a tenth of it does" in finding.message


def test_a_rate_a_thousand_times_too_small_is_tried_higher():
    def slow(model):
        return torch.optim.Adam(model.parameters(), lr=1e-6)

    recording = trace(convolutions(), stripes(), loss=nn.CrossEntropyLoss(), optimizer=slow)
    trial = recording.trial
    assert trial is not None
    assert (trial.factor, trial.steps) == (1000.0, 30)
    assert trial.loss_after > 0.97 * trial.loss_before
    assert trial.loss_after_scaled < trial.loss_after
    assert decode_recording(encode_recording(recording)).trial == trial


def test_a_rate_far_too_small_for_an_untrained_network_is_the_finding():
    def slow(model):
        return torch.optim.Adam(model.parameters(), lr=5e-6)

    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.Tanh(), nn.Linear(256, 4))
    report = unvanish.checkup(model, stripes(), loss=nn.CrossEntropyLoss(), optimizer=slow)
    (finding,) = (f for f in report.findings if f.code == "UV404")
    assert finding.severity == "warning"
    assert "times as much does" in finding.message


def test_a_rate_ten_thousand_times_too_small_is_found():
    torch.manual_seed(0)
    model, loss = convolutions(), nn.CrossEntropyLoss()
    report = unvanish.checkup(model, stripes(), loss=loss, optimizer=momentum(1e-5))
    (finding,) = (f for f in report.findings if f.code == "UV404")
    assert finding.severity == "warning"
    assert "10000 times as much does" in finding.message


class Rows(nn.Module):
    """A transformer over the rows of an image."""

    def __init__(self, layers, *, norm_first):
        super().__init__()
        self.lift, self.place = nn.Linear(8, 16), nn.Parameter(torch.randn(8, 16))
        layer = nn.TransformerEncoderLayer(
            16, 2, 32, dropout=0.0, batch_first=True, norm_first=norm_first
        )
        self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(16, 4)

    def forward(self, images):
        return self.head(self.body(self.lift(images.squeeze(1)) + self.place).mean(1))


@pytest.mark.parametrize(
    ("layers", "norm_first", "steps"), [(4, False, 60), (3, False, 0), (4, True, 0)]
)
def test_a_stack_of_normalised_sums_is_given_more_steps(layers, norm_first, steps):
    torch.manual_seed(0)
    model = Rows(layers, norm_first=norm_first)
    recording = trace(
        model, stripes(), optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=1e-4)
    )
    assert (recording.trial.steps if recording.trial else 0) == steps


def test_a_rate_at_which_a_post_norm_stack_sinks_is_found():
    torch.manual_seed(0)
    report = unvanish.checkup(
        Rows(8, norm_first=False),
        stripes(),
        optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=0.02),
    )
    assert any(f.code == "UV404" and "60 steps" in f.message for f in report.findings)


def test_adagrad_becomes_slower_by_itself():
    def slow(model):
        return torch.optim.Adagrad(model.parameters(), lr=1e-4)

    torch.manual_seed(0)
    report = unvanish.checkup(convolutions(), stripes(), loss=nn.CrossEntropyLoss(), optimizer=slow)
    (finding,) = (f for f in report.findings if f.code == "UV404")
    assert "100 times as much does" in finding.message


class Votes(nn.Module):
    """Answers with a cube of what its own small weights make, so that steps grow as it learns."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32))
        self.weight = nn.Parameter(0.01 * torch.randn(32, 4))

    def forward(self, images):
        return 30.0 * (self.body(images) @ self.weight) ** 3


def test_where_a_far_higher_rate_makes_the_loss_rise_one_between_is_tried():
    torch.manual_seed(0)
    recording = trace(Votes(), stripes(), loss=nn.CrossEntropyLoss(), optimizer=momentum(1e-3))
    trial = recording.trial
    assert trial is not None
    assert trial.factor == pytest.approx(1000.0**0.5)
    assert trial.loss_after_scaled < 0.6 * trial.loss_before


@pytest.mark.parametrize(("rate", "found"), [(1.0, True), (0.01, False)])
def test_a_heavy_momentum_is_given_time_to_gather_speed(rate, found):
    def heavy(model):
        return torch.optim.SGD(model.parameters(), lr=rate, momentum=0.999)

    torch.manual_seed(0)
    model, loss = convolutions(), nn.CrossEntropyLoss()
    report = unvanish.checkup(model, stripes(), loss=loss, optimizer=heavy)
    trial = report.recording.trial
    assert trial is not None
    assert (trial.steps, trial.factor) == (150, pytest.approx(0.01))
    findings = [f for f in report.findings if f.code == "UV404"]
    assert bool(findings) is found
    if found:
        assert "with a momentum of 0.999 learns next to nothing" in findings[0].message
        assert findings[0].help[0] == "lower the momentum to 0.9"
