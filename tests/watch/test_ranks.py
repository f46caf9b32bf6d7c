"""Several processes: the figures are those of one, and nobody speaks, waits or rounds otherwise."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.watch.parallel import STEPS, left_by, run

from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import EventKind, RunRecording
from unvanish.watch.ranks import read, seal

Recorded = Callable[[str, int], RunRecording]

_ROUNDING = 2e-6
_OTHER_SAMPLE = {LayerQuantity.SAMPLE_COSINE}
"""Of pairs within one process's part of the batch, which one process has more of."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    known: dict[tuple[str, int], RunRecording] = {}

    def look(name: str, world: int) -> RunRecording:
        if (name, world) not in known:
            folder = tmp_path_factory.mktemp(name)
            assert run(name, world, folder, watch=True) == [0] * world
            if world > 1:
                assert run(name, world, folder, watch=False) == [0] * world
            for rank in range(world if world > 1 else 0):
                watched, alone = (left_by(folder, rank, watch=watch) for watch in (True, False))
                assert watched == alone, f"{name}: losses, or how often processes speak"
            known[name, world] = read(folder / "run.sqlite")
        return known[name, world]

    return look


def is_near(ours: float, truth: float) -> bool:
    return bool(np.isclose(ours, truth, rtol=0.0, atol=_ROUNDING, equal_nan=True))


def compare(
    ours: RunRecording,
    truth: RunRecording,
    places: list[int] | None = None,
    unknown: tuple[tuple[LayerQuantity, int], ...] = (),
) -> None:
    """Compare all figures; `places` says where our layers stand in the truth."""
    order = places or list(range(len(truth.layers)))
    for layer, place in zip(ours.layers, order, strict=True):
        own, other = layer, truth.layers[place]
        assert (own.module, own.size, own.units) == (other.module, other.size, other.units)
        assert own.path == other.path or places
    assert set(ours.by_layer) == set(truth.by_layer)
    for quantity in set(truth.by_layer) - _OTHER_SAMPLE:
        for layer, place in enumerate(order):
            found, wanted = ours.series(quantity, layer), truth.series(quantity, place)
            if (quantity, place) in unknown:
                assert found == [], (quantity, place)
                continue
            assert [step for step, _ in found] == [step for step, _ in wanted], (quantity, place)
            for (step, value), (_, expected) in zip(found, wanted, strict=True):
                assert is_near(value, expected), (quantity, place, step, value, expected)
    for number in (
        StepQuantity.LOSS,
        StepQuantity.LOG10_GRAD_NORM,
        StepQuantity.LOG10_CLIPPED_GRAD_NORM,
        StepQuantity.LEARNING_RATE,
    ):
        assert [step for step, _ in ours.over(number)] == list(range(STEPS))
        for (step, value), (_, expected) in zip(ours.over(number), truth.over(number), strict=True):
            assert is_near(value, expected), (number, step, value, expected)
    assert ours.is_ended
    assert not ours.sums
    assert not ours.conditions.unwatched
    assert not [event for event in ours.events if event.kind is EventKind.NOT_MEASURED]


def test_data_parallel_with_clipping(recorded: Recorded) -> None:
    ours = recorded("ddp", 2)
    compare(ours, recorded("single_clipped", 1))
    conditions = ours.conditions
    assert (conditions.strategy, conditions.world_size, conditions.batch) == ("DDP", 2, 8)
    clipped = ours.over(StepQuantity.LOG10_CLIPPED_GRAD_NORM)
    assert all(value <= math.log10(0.5) + _ROUNDING for _, value in clipped)


@pytest.mark.slow
def test_data_parallel_with_accumulation(recorded: Recorded) -> None:
    compare(recorded("ddp_accumulated", 2), recorded("single_accumulated", 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "world", "truth", "strategy"),
    [
        ("fsdp2", 2, "single_clipped", "FSDP2"),
        ("fsdp2_uneven", 2, "single_uneven", "FSDP2"),
        ("fsdp2_uneven", 4, "single_uneven", "FSDP2"),
        ("fsdp1", 2, "single_clipped", "FSDP"),
        ("hsdp", 4, "single_uneven", "HSDP"),
    ],
)
def test_shards(recorded: Recorded, name: str, world: int, truth: str, strategy: str) -> None:
    ours = recorded(name, world)
    compare(ours, recorded(truth, 1))
    assert ours.conditions.strategy == strategy
    assert ours.conditions.batch == 8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "world", "strategy"),
    [("tensor_parallel", 2, "tensor parallel"),
     ("fsdp2_and_tensor_parallel", 4, "FSDP2 + tensor parallel")],
)  # fmt: skip
def test_tensor_parallel(recorded: Recorded, name: str, world: int, strategy: str) -> None:
    ours, truth = recorded(name, world), recorded("single", 1)
    compare(ours, truth, unknown=((LayerQuantity.ACTIVATION_RMS, 2),))
    assert ours.conditions.strategy == strategy
    cosines = [bool(ours.series(LayerQuantity.SAMPLE_COSINE, place)) for place in range(5)]
    assert cosines == [False, False, False, True, True]


@pytest.mark.slow
def test_sequence_parallel_says_what_it_could_not_see(recorded: Recorded) -> None:
    ours, truth = recorded("sequence_parallel", 2), recorded("single_language", 1)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in truth.layers]
    norm = next(layer.index for layer in ours.layers if layer.path == "norm")
    for layer in ours.layers:
        found = ours.series(LayerQuantity.LOG10_PARAM_GRAD_RMS, layer)
        assert bool(found) == (layer.size > 0 and layer.index != norm)
        wanted = dict(truth.series(LayerQuantity.LOG10_PARAM_GRAD_RMS, layer))
        assert all(is_near(value, wanted[step]) for step, value in found)
    assert ours.over(StepQuantity.LOG10_GRAD_NORM) == []
    assert "addend" in ours.conditions.unwatched[0]
    losses = zip(ours.over(StepQuantity.LOSS), truth.over(StepQuantity.LOSS), strict=True)
    assert all(is_near(value, expected) for (_, value), (_, expected) in losses)


@pytest.mark.slow
def test_pipeline_with_layers_of_one_name(recorded: Recorded) -> None:
    ours = recorded("pipeline", 2)
    compare(ours, recorded("single", 1), places=[0, 1, 2, 3, 4])
    assert [layer.path for layer in ours.layers] == [
        "rank0/0",
        "rank0/1",
        "rank1/0",
        "rank1/1",
        "2",
    ]
    assert ours.conditions.strategy == "pipeline"
    assert ours.conditions.batch == 8


@pytest.mark.slow
def test_processes_with_networks_of_their_own_stand_apart(recorded: Recorded) -> None:
    ours = recorded("apart", 2)
    assert [layer.path for layer in ours.layers] == ["rank0", "rank1"]
    assert "do not hold the same weights" in ours.conditions.unwatched[0]
    sizes = [ours.series(LayerQuantity.LOG10_PARAM_GRAD_RMS, place)[0][1] for place in (0, 1)]
    assert sizes[0] != sizes[1]


def test_a_process_that_is_killed_holds_up_nobody(tmp_path: Path) -> None:
    assert run("dies", 2, tmp_path, watch=True) == [0, -signal.SIGKILL]
    ours = read(tmp_path / "run.sqlite")
    assert not ours.is_ended
    assert ours.last_step == STEPS - 1
    assert ours.conditions.world_size == 2
    rates = ours.over(StepQuantity.LEARNING_RATE)
    assert [step for step, _ in rates] == list(range(STEPS))
    assert not seal(tmp_path / "run.sqlite")
    assert (tmp_path / "run.rank1.sqlite").exists()


@pytest.mark.slow
def test_a_process_with_fewer_batches_holds_up_nobody(recorded: Recorded) -> None:
    ours, truth = recorded("joined", 2), recorded("single", 1)
    assert ours.last_step == STEPS - 1
    assert len(ours.layers) == len(truth.layers)
    norms = zip(
        ours.over(StepQuantity.LOG10_GRAD_NORM),
        truth.over(StepQuantity.LOG10_GRAD_NORM),
        strict=True,
    )
    both = [is_near(norm, expected) for (_, norm), (_, expected) in norms]
    assert both[: STEPS - 2] == [True] * (STEPS - 2)


@pytest.mark.slow
def test_a_process_that_raises_is_named(tmp_path: Path) -> None:
    assert run("raises", 2, tmp_path, watch=True) == [0, 1]
    events = read(tmp_path / "run.sqlite").events
    assert [event.text for event in events] == ["rank 1: RuntimeError: no more"]


@pytest.mark.slow
def test_one_that_is_watched_among_others_that_are_not(recorded: Recorded) -> None:
    ours = recorded("alone", 2)
    assert "of one of them" in ours.conditions.unwatched[0]
    truth = recorded("single", 1).over(StepQuantity.LOG10_GRAD_NORM)
    for (_, norm), (_, expected) in zip(
        ours.over(StepQuantity.LOG10_GRAD_NORM), truth, strict=True
    ):
        assert is_near(norm, expected)


@pytest.mark.slow
def test_what_is_sealed_is_one_file_with_the_same_figures(tmp_path: Path) -> None:
    assert run("fsdp2", 2, tmp_path, watch=True) == [0, 0]
    file = tmp_path / "run.sqlite"
    before = read(tmp_path / "run.rank1.sqlite")  # any of the files leads to the whole
    assert seal(file)
    assert [path.name for path in tmp_path.glob("*.sqlite*")] == ["run.sqlite"]
    after = read(file)
    assert after.layers == before.layers
    assert after.conditions == before.conditions
    compare(after, before)
    assert not seal(file)
