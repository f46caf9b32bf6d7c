"""Since when something holds, and where the loss stands."""

from __future__ import annotations

import math

import pytest
from tests.diagnose.running.recorded import learned, run_of

from unvanish.core.runs import EventKind, RunEvent, RunRecording, WatchedLayer
from unvanish.diagnose.running.course import (
    Stretch,
    early_shortfall,
    end_of_numbers,
    lasting,
    named,
    plays_losses,
    rate_rises,
)
from unvanish.diagnose.running.losses import Progress, lost_since, progress_of, spikes


def samples(pattern: str) -> list[tuple[int, bool]]:
    return [(10 * i, sign == "x") for i, sign in enumerate(pattern)]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("....xxx", Stretch(40, 30, 60, 3)),
        ("xxxxx", Stretch(0, -1, 40, 5)),
        ("...xx.xx", Stretch(30, 20, 70, 4)),  # one sound sample between two sick ones
        ("xx..xxx", Stretch(40, 30, 60, 3)),  # two sound ones end it
        (".x.x.x", Stretch(10, 0, 50, 3)),
        ("....xx", None),
        ("xxxxx.", None),
        ("", None),
    ],
)
def test_a_stretch_lasts_to_the_end(pattern: str, found: Stretch | None) -> None:
    assert lasting(samples(pattern)) == found


def layers(count: int) -> list[WatchedLayer]:
    return [WatchedLayer(index=i, path=str(i), parameters=("w",)) for i in range(count)]


def short(*values: float) -> int:
    return len(early_shortfall(layers(len(values)), dict(enumerate(values)), 3.0))


def test_only_layers_on_the_input_side_fall_short() -> None:
    assert short(-9.0, -8.0, 0.0, 0.0, 0.0) == 2
    assert short(0.0, -9.0, -9.0, 0.0) == 0
    assert short(-2.9, 0.0, 0.0) == 0
    assert short(-math.inf, -math.inf, 0.0) == 2
    assert short(-math.inf, -math.inf) == 0


def test_layers_named_by_a_number_are_called_layers() -> None:
    assert named(layers(1)) == "layer 0"
    assert named(layers(5)) == "layers 0, 1, 2 and 2 more"
    assert named([WatchedLayer(index=0, path="head")]) == "head"


def test_numbers_end_where_none_follows() -> None:
    assert end_of_numbers(run_of(steps=200)) == 200
    assert end_of_numbers(run_of(steps=200, loss=lambda t: math.nan if t > 99 else 1.0)) == 100
    assert end_of_numbers(run_of(steps=200, loss=lambda t: math.inf if t == 99 else 1.0)) == 200
    assert end_of_numbers(RunRecording()) == 0


def test_a_rate_that_rose_between_two_samples_is_known_from_its_event() -> None:
    event = RunEvent(step=320, kind=EventKind.RATE, text="the rate rose from 0.05 to 2e+01")
    other = RunEvent(step=330, kind=EventKind.RATE, text="it was changed")
    assert rate_rises(run_of(rate=0.05, events=(event, other))) == [(320, 0.05, 20.0)]
    assert rate_rises(run_of(rate=lambda t: 0.1 if t >= 100 else 0.01)) == [(100, 0.01, 0.1)]


def test_two_models_with_two_optimisers_play_their_losses() -> None:
    def run(*places: tuple[str, int]) -> RunRecording:
        return RunRecording(
            layers=tuple(
                WatchedLayer(index=i, path=path, parameters=("w",), optimizer=optimizer)
                for i, (path, optimizer) in enumerate(places)
            )
        )

    assert plays_losses(run(("generator/0", 0), ("critic/0", 1)))
    assert not plays_losses(run(("embedding", 0), ("head", 1)))
    assert not plays_losses(run(("encoder/0", 0), ("decoder/0", 0)))


def progress(**formulas: object) -> Progress:
    found = progress_of(run_of(**formulas))
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(40))
def test_noise_is_no_progress(seed: int) -> None:
    for noise in (0.01, 0.5):
        assert not progress(loss=2.3, noise=noise, seed=seed).has_fallen


@pytest.mark.parametrize("seed", range(5))
def test_progress_is_seen_through_noise(seed: int) -> None:
    found = progress(loss=lambda t: 1.0 + math.exp(-t / 300), noise=0.5, seed=seed, steps=3000)
    assert found.has_fallen
    assert found.is_learned
    assert not found.is_lost


def test_a_fast_beginning_of_a_long_run_is_not_lost() -> None:
    found = progress(loss=lambda t: 0.1 + 2.0 * math.exp(-t / 5), steps=5000)
    assert found.is_learned
    assert found.gained > 0.5


def test_what_was_gained_and_lost_again() -> None:
    found = progress(loss=lambda t: 2.0 if t >= 733 else learned(t))
    assert found.is_lost
    assert not found.is_learned
    assert lost_since(found) == (733, 732)


def test_one_strange_batch_is_no_spike() -> None:
    assert spikes(progress(loss=lambda t: 50.0 if t == 500 else learned(t))) == []


def test_a_spike_heals_or_does_not() -> None:
    (healed,) = spikes(progress(loss=lambda t: 5.0 if 500 <= t < 540 else learned(t)))
    assert (healed.step, healed.back) == (500, 540)
    (open_one,) = spikes(progress(loss=lambda t: 5.0 if t >= 500 else learned(t)))
    assert (open_one.step, open_one.back) == (500, -1)


@pytest.mark.parametrize("seed", range(10))
def test_heavy_tails_are_no_spikes(seed: int) -> None:
    assert spikes(progress(loss=lambda t: learned(t) + 0.3, noise=1.0, seed=seed)) == []
