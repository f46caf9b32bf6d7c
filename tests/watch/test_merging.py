"""Recordings of processes put together, by sums written by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from unvanish.core.errors import UnvanishError
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runfile import RunWriter
from unvanish.core.runs import (
    EventKind,
    RankSums,
    RunConditions,
    RunEvent,
    RunRecording,
    WatchedLayer,
)
from unvanish.watch.merging import whole
from unvanish.watch.parts import (
    Contents,
    ParameterPart,
    TapPart,
    contents_of,
    in_bytes,
    packed,
    unpacked,
)
from unvanish.watch.sums import PARAMETER_SUMS, TAP_SUMS

LAYERS = (
    WatchedLayer(index=0, path="fc", parameters=("weight",), size=12),
    WatchedLayer(index=1, path="act"),
)


def parameter_sums(*squares: float, size: float = 6.0) -> np.ndarray:
    """Return sums of parameters whose gradients have these squares."""
    table = np.ones((len(PARAMETER_SUMS), len(squares)))
    table[PARAMETER_SUMS.index("size")] = size
    table[PARAMETER_SUMS.index("grad_square")] = squares
    table[PARAMETER_SUMS.index("clipped_square")] = squares
    return table


def tap_sums(grad_square: float) -> np.ndarray:
    """Return the sums of one tap with this square of the gradient, over four entries."""
    table = np.zeros((len(TAP_SUMS), 1))
    table[TAP_SUMS.index("grad_square")] = grad_square
    table[TAP_SUMS.index("grad_count")] = 4.0
    return table


def recording(
    rank: int,
    parts: tuple[ParameterPart, ...],
    *squares: float,
    world: int = 2,
    on: tuple[float, ...] = (),
    taps: tuple[TapPart, ...] = (),
    loss: float = 1.0,
    events: tuple[RunEvent, ...] = (),
    **more: float,
) -> RunRecording:
    """Return what one process recorded of one step."""
    contents = Contents(
        rank=rank, world=world, launch="a", parameters=parts, taps=taps, **more  # type: ignore[arg-type]
    )  # fmt: skip
    pieces = {"parameters": parameter_sums(*squares)}
    if taps:
        pieces |= {"taps": tap_sums(16.0), "scale": np.asarray(2.0)}
        pieces |= {"on": in_bytes(np.array(on)), "units": np.array([float(len(on))])}
    writer = RunWriter()
    writer.conditions(RunConditions(world_size=world, batch=4))
    writer.layers(LAYERS)
    writer.steps(StepQuantity.LOSS, [(0, loss)])
    for event in events:
        writer.event(event)
    writer.sums(0, contents.text(), packed(pieces))
    writer.close(last_step=0)
    return writer.recording()


def shard(rank: int, count: int = 2) -> tuple[ParameterPart, ...]:
    return (ParameterPart(layer=0, name="weight", cuts=((count, rank),), mesh="m"),)


COPY = (ParameterPart(layer=0, name="weight"),)


def gradient(run: RunRecording, layer: int = 0) -> list[tuple[int, float]]:
    return run.series(LayerQuantity.LOG10_PARAM_GRAD_RMS, layer)


def test_shards_are_added_up():
    run = whole([recording(1, shard(1), 7.0), recording(0, shard(0), 5.0)])
    assert gradient(run) == [(0, pytest.approx(0.5 * math.log10(12.0 / 12.0), abs=1e-7))]
    assert run.over(StepQuantity.LOG10_GRAD_NORM) == [(0, pytest.approx(0.5 * math.log10(12.0)))]
    assert run.layers[0].size == 12
    assert not run.sums


def test_copies_count_once():
    run = whole([recording(0, COPY, 6.0), recording(1, COPY, 6.0)])
    assert gradient(run) == [(0, pytest.approx(0.0, abs=1e-7))]
    assert run.over(StepQuantity.LOG10_GRAD_NORM) == [(0, pytest.approx(0.5 * math.log10(6.0)))]


def test_copies_of_shards():
    """Two by two: sharded over two processes, and these copied."""
    ranks = [recording(n, shard(n % 2), (5.0, 7.0)[n % 2], world=4) for n in range(4)]
    assert gradient(whole(ranks)) == [(0, pytest.approx(0.0, abs=1e-7))]


def test_a_shard_that_is_missing_leaves_no_number():
    run = whole([recording(0, shard(0, 3), 5.0, world=3), recording(1, shard(1, 3), 5.0, world=3)])
    assert gradient(run) == []
    assert run.over(StepQuantity.LOG10_GRAD_NORM) == []
    assert "rank 2 among them" in run.conditions.unwatched[0]


def test_a_copy_that_is_missing_does_no_harm():
    run = whole([recording(0, COPY, 6.0, world=3), recording(2, COPY, 6.0, world=3)])
    assert gradient(run) == [(0, pytest.approx(0.0, abs=1e-7))]
    assert "rank 1 among them" in run.conditions.unwatched[0]


def test_namesakes_with_other_figures_stand_apart():
    run = whole([recording(0, COPY, 6.0), recording(1, COPY, 60.0)])
    assert [layer.path for layer in run.layers] == [
        "rank0/fc",
        "rank0/act",
        "rank1/fc",
        "rank1/act",
    ]
    assert [gradient(run, n)[0][1] for n in (0, 2)] == pytest.approx([0.0, 0.5], abs=1e-7)


def test_gradients_between_layers_are_those_of_the_mean_over_the_parts():
    """Scaled by 2, and each process's part of the batch is one of four."""
    tap = (TapPart(layer=1),)
    ranks = [
        recording(n, COPY, 6.0, taps=tap, on=(1.0,), batches=4, world=4) for n in range(4)
    ]  # fmt: skip
    (found,) = whole(ranks).series(LayerQuantity.LOG10_ACTIVATION_GRAD_RMS, 1)
    assert found == (0, pytest.approx(math.log10(2.0 / (2.0 * 4.0)), abs=1e-7))


def test_a_unit_that_is_on_anywhere_is_not_dead():
    tap = (TapPart(layer=1),)
    run = whole(
        [
            recording(0, COPY, 6.0, taps=tap, on=(1.0, 0.0, 0.0, 0.0)),
            recording(1, COPY, 6.0, taps=tap, on=(0.0, 1.0, 0.0, 0.0)),
        ]
    )
    assert run.series(LayerQuantity.DEAD_FRACTION, 1) == [(0, 0.5)]
    assert run.layers[1].units == 4


def test_units_that_are_shared_out_stand_side_by_side():
    ranks = [
        recording(n, COPY, 6.0, taps=(TapPart(layer=1, cuts=((2, n),)),), on=(1.0, float(n)))
        for n in range(2)
    ]
    run = whole(ranks)
    assert run.series(LayerQuantity.DEAD_FRACTION, 1) == [(0, 0.25)]
    assert run.layers[1].units == 4
    assert whole(ranks[:1]).series(LayerQuantity.DEAD_FRACTION, 1) == []


def test_the_loss_is_the_mean_and_of_a_pipeline_that_of_its_passes():
    ranks = [recording(0, COPY, 6.0, loss=1.0), recording(1, COPY, 6.0, loss=2.0)]
    assert whole(ranks).over(StepQuantity.LOSS) == [(0, 1.5)]
    pipeline = [recording(0, COPY, 6.0, loss=8.0, passes=4, batches=1, world=1)]
    assert whole(pipeline).over(StepQuantity.LOSS) == [(0, 2.0)]
    assert whole(pipeline).conditions.batch == 16


def test_a_loss_that_is_a_sum_over_the_parts():
    """The gradient is not divided: neither is the loss."""
    ranks = [recording(n, COPY, 6.0, loss=1.5, batches=2, divisor=1.0) for n in range(2)]
    assert whole(ranks).over(StepQuantity.LOSS) == [(0, 3.0)]


def test_what_happened_on_all_is_said_once():
    both = RunEvent(step=0, kind=EventKind.RATE, text="the learning rate rose from 1 to 9")
    other = RunEvent(step=0, kind=EventKind.NON_FINITE, text="the loss is nan")
    run = whole(
        [recording(0, COPY, 6.0, events=(both,)), recording(1, COPY, 6.0, events=(other, both))]
    )
    assert [event.text for event in run.events] == [both.text, "rank 1: the loss is nan"]


def test_one_process_alone_says_so():
    run = whole([recording(1, COPY, 6.0)])
    assert "of one of them" in run.conditions.unwatched[0]


def test_a_recording_of_one_process_stays_as_it_is():
    run = replace(recording(0, COPY, 6.0), sums=())
    assert whole([run]) is run


def test_sums_keep_nine_digits_whatever_their_size():
    pieces = {
        "a": np.array([[1e-300, -3.0], [1 / 3, 7e200]]),
        "b": np.array([math.nan, math.inf, -math.inf, 0.0]),
        "c": np.zeros((0, 3)),
        "d": np.asarray(2.0),
    }
    found = unpacked(packed(pieces))
    for name, piece in pieces.items():
        assert found[name].shape == piece.shape
        np.testing.assert_allclose(found[name], piece, rtol=4e-9)


def test_what_is_damaged_is_refused():
    with pytest.raises(UnvanishError, match="damaged"):
        unpacked(b"nothing")
    with pytest.raises(UnvanishError, match="damaged"):
        contents_of('{"rank": "first"}')
    good = Contents(rank=1, world=2, launch="a", parameters=shard(1), taps=(TapPart(layer=0),))
    assert contents_of(good.text()) == good


def test_sums_are_kept_in_the_file(tmp_path):
    writer = RunWriter(tmp_path / "run.sqlite")
    for step in (0, 3):
        writer.sums(step, "one", b"x")
    writer.sums(5, "two", b"y")
    writer.close(last_step=5)
    assert writer.recording().sums == (
        RankSums(0, "one", b"x"), RankSums(3, "one", b"x"), RankSums(5, "two", b"y"),
    )  # fmt: skip


def test_experts_of_a_mixture_stand_apart_in_a_model_that_is_the_same():
    parts = tuple(ParameterPart(layer=layer, name=name) for layer, name in
                  ((0, "weight"), (0, "bias"), (1, "expert")))  # fmt: skip
    run = whole([recording(0, parts, 3.0, 3.0, 6.0), recording(1, parts, 3.0, 3.0, 7.0)])
    assert [layer.path for layer in run.layers] == ["fc", "rank0/act", "rank1/act"]
    assert run.conditions.unwatched == ()
    assert gradient(run, 1) != gradient(run, 2)


def test_gradients_that_are_rounding_alone_tell_nothing_apart():
    parts = tuple(ParameterPart(layer=0, name=name) for name in ("key", "query"))
    run = whole([recording(0, parts, 1e-20, 6.0), recording(1, parts, 9e-20, 6.0)])
    assert [layer.path for layer in run.layers] == ["fc", "act"]
