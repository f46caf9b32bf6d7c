"""The file of a run: nothing is lost, whoever kills, reads, forks or damages it."""

from __future__ import annotations

import gc
import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from array import array
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
from tests.core.runs import CONDITIONS, EVENTS, GRADIENTS, LAYERS, LOSSES, fill, small_run

from unvanish.core import runfile, runreading
from unvanish.core.errors import UnvanishError
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runfile import RunWriter, is_run, next_free, read_run
from unvanish.core.runlayout import pack, unpack
from unvanish.core.runs import RUN_SCHEMA, EventKind, RunEvent, RunRecording, WatchedLayer

GRADIENT = LayerQuantity.LOG10_PARAM_GRAD_RMS
SCHEMA_1 = Path(__file__).parent / "schema-1.sqlite"


def check_small(run: RunRecording, *, ended: bool) -> None:
    """Compare a run that was read with what `fill` wrote; nan is like nan."""
    assert run.conditions == CONDITIONS
    assert run.layers == LAYERS
    series = run.by_layer[GRADIENT]
    assert series.steps == (0, 2, 4)
    assert [str(list(row)) for row in series.rows] == [str(list(r)) for r in GRADIENTS.values()]
    assert run.series(GRADIENT, 1) == [(0, -1.25), (4, -0.75)]
    assert run.series(LayerQuantity.DEAD_FRACTION, 2) == []
    assert str(run.over(StepQuantity.LOSS)) == str(LOSSES)
    assert run.events == EVENTS
    assert (run.last_step, run.is_ended) == (4, ended)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ------------------------------------------------------------------------ there and back


def test_a_run_comes_back(tmp_path: Path) -> None:
    path = small_run(tmp_path / "run.sqlite")
    assert files(tmp_path) == ["run.sqlite"]
    before = path.read_bytes()
    check_small(read_run(path), ended=True)
    assert path.read_bytes() == before
    assert files(tmp_path) == ["run.sqlite"]


def test_in_memory() -> None:
    writer = fill(RunWriter())
    check_small(writer.recording(), ended=False)
    writer.close()
    writer.close()
    check_small(writer.recording(), ended=True)


def test_a_writer_knows_what_it_wrote(tmp_path: Path) -> None:
    writer = fill(RunWriter(tmp_path / "run.sqlite"))
    check_small(writer.recording(), ended=False)
    writer.close()
    check_small(writer.recording(), ended=True)


def test_an_empty_run(tmp_path: Path) -> None:
    before = time.time()
    RunWriter(tmp_path / "run.sqlite").close(ended=False, last_step=7)
    run = read_run(tmp_path / "run.sqlite")
    assert run == RunRecording(last_step=7, started=run.started)
    assert before <= run.started <= time.time()


@pytest.mark.parametrize(
    "row",
    [
        (),
        (math.nan,),
        (math.inf, -math.inf, -0.0, 5e-45, 3e38, 1e300),
        [random.Random(0).gauss(-8, 3) for _ in range(1024)],
        [random.Random(0).gauss(-8, 3) for _ in range(1023)],
    ],
)
def test_rows_keep_32_bits(row: list[float]) -> None:
    (back,) = unpack(pack([row]), 1)
    assert back.tobytes() == array("f", row).tobytes()
    assert unpack(pack([]), 0) == []


def test_samples_of_one_step_add_up(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run.sqlite")
    writer.sample(0, {GRADIENT: (1.0, math.nan)})
    writer.sample(0, {GRADIENT: (math.nan, 2.0, 3.0)})
    writer.sample(0, {GRADIENT: (4.0,)})
    writer.steps(StepQuantity.LOSS, [(3, 1.0), (1, 2.0)])
    writer.steps(StepQuantity.LOSS, iter([(3, 5.0)]))
    writer.layers(LAYERS)
    writer.layers(LAYERS[:1])
    run = writer.recording()
    assert [list(row) for row in run.by_layer[GRADIENT].rows] == [[4.0, 2.0, 3.0]]
    assert run.over(StepQuantity.LOSS) == [(1, 2.0), (3, 5.0)]
    assert run.layers == LAYERS[:1]
    writer.close()


def test_nothing_is_written_after_closing(tmp_path: Path) -> None:
    writer = fill(RunWriter(tmp_path / "run.sqlite"))
    writer.close()
    writer.sample(9, {GRADIENT: (0.0,)})
    writer.close(ended=False)
    check_small(read_run(tmp_path / "run.sqlite"), ended=True)
    assert not writer.is_open


def test_a_writer_that_nobody_closed(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run.sqlite")
    for step in range(100):
        writer.steps(StepQuantity.LOSS, [(step, 1.0)])
    assert read_run(tmp_path / "run.sqlite").last_step < 99
    del writer
    gc.collect()
    run = read_run(tmp_path / "run.sqlite")
    assert (run.last_step, run.is_ended) == (99, False)
    assert files(tmp_path) == ["run.sqlite"]


def test_numbers_of_other_packages(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run.sqlite")
    step = numpy.int64(3)
    writer.sample(step, {GRADIENT: numpy.array([0.5, numpy.nan], dtype=numpy.float32)})
    writer.steps(StepQuantity.LOSS, [(step, numpy.float32(0.25))])
    writer.event(replace(EVENTS[0], step=step, layer=numpy.int32(1)))
    run = writer.recording()
    assert run.series(GRADIENT, 0) == [(3, 0.5)]
    assert run.over(StepQuantity.LOSS) == [(3, 0.25)]
    assert (run.events[0].step, run.events[0].layer) == (3, 1)
    writer.close()


def test_a_database_tool_can_read_it(tmp_path: Path) -> None:
    connection = sqlite3.connect(small_run(tmp_path / "run.sqlite"))
    rows = connection.execute("SELECT step, value FROM step_series WHERE quantity = 'loss'")
    assert list(rows) == [(s, None if math.isnan(v) else v) for s, v in LOSSES]
    connection.close()


# -------------------------------------------------------------- while it is being written


def test_read_while_written(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    writer = fill(RunWriter(path))
    check_small(read_run(path), ended=False)
    writer.steps(StepQuantity.LOSS, [(5, 1.0)])
    assert read_run(path).last_step == 5
    writer.close()


def test_closing_beside_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    writer = fill(RunWriter(path))
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM meta").fetchall()
    writer.close()
    check_small(read_run(path), ended=True)
    reader.close()


def test_a_burst_is_committed_within_a_second(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    writer = RunWriter(path)
    for step in range(200):
        writer.steps(StepQuantity.LOSS, [(step, 1.0)])
    assert read_run(path).last_step < 199
    time.sleep(0.06)
    writer.steps(StepQuantity.LOSS, [(200, 1.0)])
    assert [step for step, _ in read_run(path).over(StepQuantity.LOSS)] == list(range(201))
    for step in range(201, 300):
        writer.steps(StepQuantity.LOSS, [(step, 1.0)])
    writer.flush()
    assert read_run(path).last_step == 299
    writer.close()


def test_many_threads(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run.sqlite")

    def write(first: int) -> None:
        for step in range(first, first + 50):
            writer.sample(step, {GRADIENT: (float(step),)})

    threads = [threading.Thread(target=write, args=(50 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    series = read_run(tmp_path / "run.sqlite").by_layer[GRADIENT]
    assert [row[0] for row in series.rows] == list(range(200))


KILLED = """
import os, signal, sys, time
from unvanish.core.glossary import LayerQuantity
from unvanish.core.runfile import RunWriter
from tests.core.runs import fill

if sys.argv[2] == "DELETE":
    import unvanish.core.runfile as runfile
    made = runfile._made
    runfile._made = lambda address, journal: made(address, "DELETE")
writer = fill(RunWriter(sys.argv[1]))
writer.flush()
times = []
if sys.argv[3] == "within":
    until = time.monotonic() + 1.3
    while time.monotonic() < until:
        step = 5 + len(times)
        writer.sample(step, {LayerQuantity.SLOPE_RMS: [step + k / 7 for k in range(300)]})
        times.append(time.monotonic())
    print(sum(moment < times[-1] - 1.0 for moment in times), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
@pytest.mark.parametrize("when", ["between", "within"])
def test_kill(tmp_path: Path, journal: str, when: str) -> None:
    path = tmp_path / "run.sqlite"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), journal, when],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'src'}"},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert is_run(path)
    run = read_run(path)
    assert run.events == EVENTS
    assert not run.is_ended
    if when == "within":
        series = run.by_layer[LayerQuantity.SLOPE_RMS]
        assert series.steps == tuple(range(5, 5 + len(series.steps)))
        assert all(row[0] == step for step, row in zip(series.steps, series.rows, strict=True))
        older_than_a_second = int(done.stdout)
        assert 0 < older_than_a_second <= len(series.steps)
    else:
        check_small(run, ended=False)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY_ROLLBACK])
def test_a_kill_and_a_folder_that_takes_nothing(
    tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log of a killed run is read although nothing can be made beside it."""
    writer = fill(RunWriter(tmp_path / "run.sqlite"))
    connected = runreading._connected

    def refused(file: Path, mode: str) -> sqlite3.Connection:
        if file.parent == tmp_path:
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = code
            raise error
        return connected(file, mode)

    monkeypatch.setattr(runreading, "_connected", refused)
    check_small(read_run(tmp_path / "run.sqlite"), ended=False)
    writer.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    writer = fill(RunWriter(path))
    child = os.fork()
    if child == 0:
        try:
            writer.sample(99, {GRADIENT: (0.0,)})
            writer.steps(StepQuantity.LOSS, [(99, 0.0)])
            writer.flush()
            writer.close()
            del writer
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    check_small(read_run(path), ended=False)
    writer.steps(StepQuantity.LOSS, [(5, 1.0)])
    writer.close()
    assert read_run(path).last_step == 5


def test_a_file_system_without_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, asked = runfile._made, []

    def without_log(address: str, journal: str = "") -> sqlite3.Connection:
        asked.append(journal)
        if journal == "WAL":
            made(address, journal).close()
            raise sqlite3.OperationalError("locking protocol")
        return made(address, journal)

    monkeypatch.setattr(runfile, "_made", without_log)
    path = tmp_path / "run.sqlite"
    writer = fill(RunWriter(path))
    assert asked == ["WAL", "DELETE"]
    writer.flush()
    assert files(tmp_path) == ["run.sqlite"]
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM meta").fetchall()
    writer.steps(StepQuantity.LOSS, [(5, 1.0)])
    writer.flush()  # the reader is in the way; the run goes on
    reader.close()
    writer.steps(StepQuantity.LOSS, [(6, 1.0)])
    writer.flush()
    assert read_run(path).over(StepQuantity.LOSS)[-2:] == [(5, 1.0), (6, 1.0)]
    writer.close()


def test_a_full_disk_is_one_error(tmp_path: Path) -> None:
    writer = fill(RunWriter(tmp_path / "run.sqlite"))
    connection = writer._connection
    assert connection is not None
    connection.execute(
        f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}"
    )
    chance = random.Random(0)
    noise = [chance.random() for _ in range(20_000)]
    with pytest.raises(UnvanishError, match="cannot be written any more: database or disk is full"):
        writer.sample(6, {GRADIENT: noise})
    writer.close(ended=False)
    check_small(read_run(tmp_path / "run.sqlite"), ended=False)


# ------------------------------------------------------------------------ files and paths


def test_an_existing_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    path.write_text("precious")
    with pytest.raises(UnvanishError, match="never replaces one") as caught:
        RunWriter(path)
    assert "run-2.sqlite" in caught.value.help
    assert path.read_text() == "precious"
    assert next_free(path).name == "run-2.sqlite"
    (tmp_path / "run-2.sqlite").touch()
    assert next_free(path).name == "run-3.sqlite"
    assert next_free(tmp_path / "new") == tmp_path / "new"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnvanishError, match="cannot be written: No such file"):
        RunWriter(tmp_path / "nowhere" / "run.sqlite")


def test_odd_names(tmp_path: Path) -> None:
    path = tmp_path / "a run?mode=rw#1 %41 ü.db"
    check_small(read_run(small_run(path)), ended=True)
    assert files(tmp_path) == [path.name]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "this file is empty"),
        (b'{"format": "unvanish recording"}', "not the recording of a run"),
        (b"SQLite format 3\0" + bytes(84), "not the recording of a run"),
    ],
)
def test_foreign_files(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    assert not is_run(path)
    with pytest.raises(UnvanishError, match=said):
        read_run(path)
    assert files(tmp_path) == ["other"]


def test_what_is_no_file(tmp_path: Path) -> None:
    assert not is_run(tmp_path)
    assert not is_run(tmp_path / "nowhere")
    with pytest.raises(UnvanishError, match="cannot be read: No such file"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(UnvanishError, match="not the recording of a run"):
        read_run(tmp_path)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE layer_samples SET data = x'ff'", "numbers of layers are not readable"),
        ("UPDATE layer_samples SET data = x'789c4b4c4a0600024d0127'", "are cut off"),
        ("UPDATE layer_samples SET data = x'0000'", "are cut off"),
        ("UPDATE layer_samples SET quantities = x'0001020304'", "are cut off"),
        ("UPDATE meta SET value = '99' WHERE key = 'schema'", "written by a newer unvanish"),
        ("UPDATE meta SET value = 'one' WHERE key = 'schema'", "damaged"),
        ("DELETE FROM meta WHERE key = 'schema'", "'schema' is missing"),
        ("UPDATE meta SET value = '{' WHERE key = 'conditions'", "damaged"),
        ("UPDATE meta SET value = '{\"mood\": 1}' WHERE key = 'conditions'", "no field 'mood'"),
        ("UPDATE events SET kind = 'party'", "'party' is not a valid EventKind"),
        ("DROP TABLE layer_samples", "no such table"),
    ],
)
def test_damaged_files(tmp_path: Path, statement: str, said: str) -> None:
    path = small_run(tmp_path / "run.sqlite")
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    with pytest.raises(UnvanishError, match=said) as caught:
        read_run(path)
    assert caught.value.where == str(path)


def test_cut_and_overwritten_files(tmp_path: Path) -> None:
    whole = small_run(tmp_path / "run.sqlite").read_bytes()
    assert len(whole) > 8192
    for position in range(100, len(whole), 997):
        for damaged in (whole[:position], whole[:position] + b"\xff" * 64 + whole[position + 64 :]):
            (tmp_path / "damaged").write_bytes(damaged)
            try:
                read_run(tmp_path / "damaged")
            except UnvanishError:
                continue  # anything else is a fault


def test_quantities_of_a_newer_version_are_left_out(tmp_path: Path) -> None:
    path = small_run(tmp_path / "run.sqlite")
    connection = sqlite3.connect(path)
    connection.execute("UPDATE quantities SET name = 'mood' WHERE name = 'dead_fraction'")
    connection.commit()
    connection.close()
    assert set(read_run(path).by_layer) == {GRADIENT}


def test_the_first_layout_stays_readable() -> None:
    """Made by `small_run` when the layout was new. A later layout gets a file of its own."""
    check_small(read_run(SCHEMA_1), ended=True)
    assert RUN_SCHEMA == 1, "commit a file of the new layout, and test it here"


# --------------------------------------------------------------------------------- size


def test_size_of_a_long_run(tmp_path: Path) -> None:
    """1,000 layers, 10,000 steps, the default cadence: tens of megabytes, read in a second."""
    path, chance = tmp_path / "run.sqlite", random.Random(0)
    writer = RunWriter(path)
    layers = [
        WatchedLayer(index=k, path=f"blocks.{k}.linear", module="Linear") for k in range(1000)
    ]
    writer.layers(layers)
    rows = [[chance.gauss(-3.0, 1.0) for _ in layers] for _ in range(20)]
    for step in sorted({0, 1, 2, 4, 8, 16, 32, *range(0, 10_000, 50)}):
        values = {quantity: rows[(step + k) % 20] for k, quantity in enumerate(LayerQuantity)}
        writer.sample(step, values)
        writer.steps(StepQuantity.LOSS, [(step + k, 1 / (step + k + 1)) for k in range(50)])
    writer.close()
    assert path.stat().st_size < 20e6
    started = time.process_time()
    run = read_run(path)
    assert time.process_time() - started < 1.0
    assert (run.last_step, len(run.by_layer)) == (9999, len(LayerQuantity))


def test_events_stand_in_the_order_of_steps(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run.sqlite")
    late = RunEvent(step=9, kind=EventKind.STOPPED, text="interrupted")
    for event in (late, replace(late, step=3), replace(late, text="again")):
        writer.event(event)
    assert [(e.step, e.text) for e in writer.recording().events] == [
        (3, "interrupted"),
        (9, "interrupted"),
        (9, "again"),
    ]
    writer.close()
