"""Which files of a folder are of one run, and what becomes of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from unvanish.core.runfile import RunWriter, is_run, read_run
from unvanish.core.runs import RunConditions, WatchedLayer
from unvanish.watch.parts import Contents, packed
from unvanish.watch.ranks import file_of, read, seal

LAYER = WatchedLayer(index=0, path="fc", parameters=("weight",), size=3)


def left(
    file: Path, rank: int, began: float, *, launch: str = "a", world: int = 2, closed: bool = True
) -> Path:
    """Leave what a process of a run recorded, which lasted ten seconds."""
    writer = RunWriter(file, started=began)
    writer.conditions(RunConditions(world_size=world))
    writer.layers([LAYER])
    writer.sums(0, Contents(rank=rank, world=world, launch=launch).text(), packed({}))
    if closed:
        writer.close(last_step=rank)
    else:
        writer.flush()
    os.utime(file, (began + 10.0, began + 10.0))
    return file


def is_alone(file: Path) -> bool:
    return bool(read(file).conditions.unwatched)


def test_each_process_has_a_file_of_its_own(tmp_path):
    asked = tmp_path / "run.sqlite"
    assert file_of(asked, 0) == asked
    assert file_of(asked, 3) == tmp_path / "run.rank3.sqlite"
    left(tmp_path / "run.rank3.sqlite", 3, 0.0)
    assert file_of(asked, 3) == tmp_path / "run.rank3-2.sqlite"


def test_they_are_found_whatever_they_are_called(tmp_path):
    first = left(tmp_path / "run-7.sqlite", 0, 100.0)
    second = left(tmp_path / "run.rank1.sqlite", 1, 101.0)
    (tmp_path / "other.sqlite").write_text("no recording")
    assert not is_alone(first)
    assert not is_alone(second)
    assert read(second).last_step == 1


@pytest.mark.parametrize(
    ("began", "launch", "world"),
    [(100.0, "b", 2), (100.0, "a", 3), (80.0, "a", 2), (130.0, "a", 2)],
    ids=["another start", "another number", "an earlier run", "a later run"],
)
def test_what_is_of_another_run_stays_apart(tmp_path, began, launch, world):
    first = left(tmp_path / "run.sqlite", 0, 100.0)
    left(tmp_path / "run.rank1.sqlite", 1, began, launch=launch, world=world)
    assert is_alone(first)


def test_of_two_that_could_be_the_nearer_one_is(tmp_path):
    first = left(tmp_path / "run.sqlite", 0, 100.0)
    left(tmp_path / "run.rank1.sqlite", 1, 92.0, closed=False)
    left(tmp_path / "run.rank1-2.sqlite", 1, 101.0)
    assert read(first).is_ended


def test_files_are_sealed_when_all_are_closed(tmp_path):
    first = left(tmp_path / "run.sqlite", 0, 100.0)
    assert not seal(first)
    second = left(tmp_path / "run.rank1.sqlite", 1, 100.0)
    stranger = left(tmp_path / "run.rank2.sqlite", 2, 100.0, launch="b")
    assert seal(first)
    assert (is_run(first), second.exists(), stranger.exists()) == (True, False, True)
    whole = read_run(first)
    assert (whole.sums, whole.last_step, whole.started) == ((), 1, 100.0)


def test_nothing_is_sealed_while_one_goes_on(tmp_path):
    first = left(tmp_path / "run.sqlite", 0, 100.0)
    second = left(tmp_path / "run.rank1.sqlite", 1, 100.0, closed=False)
    assert not seal(first, patience=0.1)
    assert second.exists()


def test_a_recording_of_one_process_is_read_as_it_is(tmp_path):
    writer = RunWriter(tmp_path / "run.sqlite")
    writer.close(last_step=4)
    assert read(tmp_path / "run.sqlite").last_step == 4
    assert not seal(tmp_path / "run.sqlite")
