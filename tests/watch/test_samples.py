"""Samples that follow closely are fetched together, and are what they would be alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import EventKind
from unvanish.watch import observe, samples
from unvanish.watch.samples import LONGEST_WAIT, Sample, Samples


def sample(step=0, *, is_whole=False):
    return Sample(
        step=step, is_whole=is_whole, seconds=0.0, rate=0.1,
        groups=(), of_groups=(), taps=(), of_taps=(), pieces={},
    )  # fmt: skip


def trained(steps=25, grows_at=-1):
    """Watch every step of a small network, and return the recording."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten(), nn.Linear(24, 300),
        nn.Tanh(), nn.Linear(300, 3), nn.GELU(),
    )  # fmt: skip
    late = list(model[6].parameters())
    early = [p for p in model.parameters() if all(p is not each for each in late)]
    optimizer = torch.optim.Adam(early if grows_at >= 0 else model.parameters(), lr=1e-2)
    with observe(model, optimizer, every=1) as watch:
        for step in range(steps):
            if step == grows_at:
                optimizer.add_param_group({"params": late})
            optimizer.zero_grad()
            model(torch.randn(8, 2, 8)).square().mean().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.05)
            optimizer.step()
    return watch.recording


def rows(recording):
    return {
        (quantity, step): list(row)
        for quantity, series in recording.by_layer.items()
        for step, row in zip(series.steps, series.rows, strict=True)
    }


def test_what_is_fetched_together_is_what_it_is_alone(monkeypatch):
    together = trained()
    monkeypatch.setattr(samples, "_MOST", 1)
    alone = trained()
    assert repr(rows(together)) == repr(rows(alone))
    for quantity, values in alone.by_step.items():
        if quantity is not StepQuantity.SECONDS:
            assert list(together.by_step[quantity].values) == list(values.values)
    assert [step for q, step in rows(together) if q is LayerQuantity.LOG10_UPDATE_RATIO] == list(
        range(25)
    )


def test_samples_are_fetched_together(monkeypatch):
    monkeypatch.setattr(samples.time, "perf_counter", lambda: 0.0)
    waiting = Samples()
    assert waiting.put(sample())  # nobody knows how soon the next one comes
    waiting.take()
    assert [waiting.put(sample(step)) for step in range(8)] == [False] * 7 + [True]
    assert [each.step for each in waiting.take()] == list(range(8))


def test_a_whole_sample_is_fetched_at_once():
    waiting = Samples()
    waiting.put(sample())
    waiting.take()
    assert not waiting.put(sample(1))
    assert waiting.put(sample(2, is_whole=True))


@pytest.mark.parametrize("apart", [0.01, 0.2, 0.3, 0.6, 5.0])
def test_no_sample_waits_longer_than_a_loss(monkeypatch, apart):
    clock = [0.0]
    monkeypatch.setattr(samples.time, "perf_counter", lambda: clock[0])
    waiting, since = Samples(), None
    for step in range(40):
        since = clock[0] if since is None else since
        if waiting.put(sample(step)):
            waiting.take()
            since = None
        assert since is None or clock[0] + apart - since <= LONGEST_WAIT
        clock[0] += apart


def test_a_recording_in_the_middle_of_a_run_lacks_nothing():
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer, every=1) as watch:
        for step in range(6):
            optimizer.zero_grad()
            model(torch.randn(3, 4)).square().mean().backward()
            optimizer.step()
            moved = watch.recording.by_layer[LayerQuantity.MOVED_FRACTION]
            assert list(moved.steps) == list(range(step + 1))


def test_parameters_that_come_later_end_what_waits():
    recording = trained(15, grows_at=5)
    assert not [e for e in recording.events if e.kind is EventKind.NOT_MEASURED]
    (late,) = [layer.index for layer in recording.layers if layer.path == "6"]
    series = recording.by_layer[LayerQuantity.LOG10_UPDATE_RATIO]
    found = {step: row[late] for step, row in zip(series.steps, series.rows, strict=True)}
    assert [step for step, value in found.items() if value == value] == list(range(5, 15))


def test_every_one_who_listens_hears_every_sample_in_order():
    heard = []
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer, every=1) as watch:
        watch.on_sample.append(lambda step, numbers: heard.append((step, numbers["loss"])))
        for _ in range(13):
            optimizer.zero_grad()
            model(torch.randn(3, 4)).square().mean().backward()
            optimizer.step()
    losses = watch.recording.by_step[StepQuantity.LOSS]
    assert heard == list(zip(losses.steps, losses.values, strict=True))
