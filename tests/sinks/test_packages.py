"""Sinks that need a package: without it, with one of its shape, and with it where it is there."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tests.core.runs import CONDITIONS, EVENTS, LOSSES, fill
from tests.sinks.test_text import NUMBERS

from unvanish.core.errors import MissingExtraError, UnvanishError
from unvanish.core.runfile import RunWriter
from unvanish.core.runs import RunRecording
from unvanish.sinks import export_run

PACKAGES = {
    "parquet": "pyarrow",
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "trackio": "trackio",
}
GRADIENT = "log10_param_grad_rms/generator relu"


@pytest.fixture
def run() -> RunRecording:
    writer = fill(RunWriter())
    writer.close()
    return writer.recording()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", "")
    monkeypatch.delenv("TRACKIO_DIR")


def pretend(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> ModuleType:
    """Put a module of this name and content in place, with the packages it lies in."""
    module = ModuleType(name)
    vars(module).update(members)
    for position in range(name.count(".")):
        parent = name.rsplit(".", name.count(".") - position)[0]
        if parent not in sys.modules:
            package = ModuleType(parent)
            package.__path__ = []
            monkeypatch.setitem(sys.modules, parent, package)
    monkeypatch.setitem(sys.modules, name, module)
    return module


# --------------------------------------------------------------------------- not installed


@pytest.mark.parametrize("sink", PACKAGES)
def test_a_missing_package(
    run: RunRecording, sink: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = PACKAGES[sink]
    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)

    def import_module(name: str) -> Any:
        assert name.split(".")[0] == package
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr("unvanish.core.errors.importlib.import_module", import_module)
    with pytest.raises(MissingExtraError, match=f"needs the package '{package}'") as caught:
        export_run(run, to=sink, output=str(tmp_path / "out"))
    assert f"pip install {package} " in caught.value.help
    assert f"pip install 'unvanish[{sink}]'" in caught.value.help
    assert list(tmp_path.iterdir()) == []
    assert "TRACKIO_DIR" not in os.environ


# ------------------------------------------------------------------------- of their shape


def test_the_calls_to_wandb(
    run: RunRecording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    logged: list[tuple[int, dict[str, float]]] = []
    finished: list[bool] = []
    offline = SimpleNamespace(
        log=lambda numbers, step: logged.append((step, numbers)),
        finish=lambda: finished.append(True),
    )

    def init(**settings: Any) -> Any:
        asked.update(settings)
        return offline

    pretend(monkeypatch, "wandb", init=init, Settings=lambda **settings: settings)
    where = export_run(run, to="wandb", output=str(tmp_path / "out"), title="mine")
    assert (asked["mode"], asked["dir"], asked["name"]) == (
        "offline",
        str(tmp_path / "out"),
        "mine",
    )
    assert asked["config"]["target"] == CONDITIONS.target
    assert [step for step, _ in logged] == [0, 1, 2, 3, 4]
    assert sum(len(numbers) for _, numbers in logged) == NUMBERS
    assert logged[4][1][GRADIENT] == -0.75
    assert finished == [True]
    assert "wandb sync" in where


def test_the_calls_to_trackio(
    run: RunRecording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Any] = []
    logged: list[tuple[int, float]] = []
    finished: list[bool] = []
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "out"))
    pretend(
        monkeypatch,
        "trackio",
        init=lambda project, name, config, embed: begun.append((project, name, config, embed)),
        log=lambda numbers, step: logged.append((step, numbers["loss"])),
        finish=lambda: finished.append(True),
    )
    export_run(run, to="trackio", output=str(tmp_path / "out"))
    assert [(one[0], one[1], one[3]) for one in begun] == [("unvanish", "run", False)]
    assert (str(logged), finished) == (str(LOSSES), [True])
    with pytest.raises(UnvanishError, match="trackio was imported before"):
        export_run(run, to="trackio", output=str(tmp_path / "elsewhere"))


def test_the_calls_to_mlflow(
    run: RunRecording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[Sequence[Any]] = []
    parameters: dict[str, str] = {}
    ended: list[tuple[str, str]] = []

    class Client:
        def __init__(self, tracking_uri: str) -> None:
            assert tracking_uri == f"sqlite:///{tmp_path / 'out.db'}"

        def get_experiment_by_name(self, name: str) -> None:
            assert name == "unvanish"

        def create_experiment(self, name: str) -> str:
            return f"id of {name}"

        def create_run(self, experiment: str, *, run_name: str) -> Any:
            assert (experiment, run_name) == ("id of unvanish", "mine")
            return SimpleNamespace(info=SimpleNamespace(run_id="r"))

        def log_param(self, run_id: str, name: str, value: str) -> None:
            assert run_id == "r"
            parameters[name] = value

        def log_batch(self, run_id: str, *, metrics: Sequence[Any]) -> None:
            assert run_id == "r"
            batches.append(metrics)

        def set_terminated(self, run_id: str, *, status: str) -> None:
            ended.append((run_id, status))

    entities = SimpleNamespace(Metric=lambda *values: values)
    pretend(monkeypatch, "mlflow", MlflowClient=Client, entities=entities)
    monkeypatch.setattr("unvanish.sinks.mlflow._BATCH", 5)
    export_run(run, to="mlflow", output=str(tmp_path / "out.db"), title="mine")
    assert [len(batch) for batch in batches] == [5, 5, 5, 3]
    name, value, moment, step = batches[-1][-1]
    assert (name, value, step) == ("dead_fraction/generator relu", 0.25, 4)
    assert moment == round(1000 * (run.started + 1.0))
    names = {metric[0] for batch in batches for metric in batch}
    assert "log10_param_grad_rms/generator/head_ last" in names
    assert parameters["strategy"] == "DDP"
    assert parameters["optimizer_1"] == "SGD(momentum 0.9)"
    assert ended == [("r", "FINISHED")]


def test_the_calls_to_tensorboard(
    run: RunRecording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Any] = []

    def record(**members: Any) -> Any:
        return SimpleNamespace(**members)

    class Writer:
        def __init__(self, folder: str) -> None:
            self.file = Path(folder) / "events.out.tfevents.1"

        def add_event(self, event: Any) -> None:
            events.append(event)

        def close(self) -> None:
            self.file.write_bytes(b"")

    class Summary(SimpleNamespace):
        Value = staticmethod(record)

    pretend(monkeypatch, "tensorboard.compat.proto.event_pb2", Event=record)
    pretend(monkeypatch, "tensorboard.compat.proto.summary_pb2", Summary=Summary)
    pretend(monkeypatch, "tensorboard.summary.writer.event_file_writer", EventFileWriter=Writer)
    export_run(run, to="tensorboard", output=str(tmp_path / "out"), title="mine")
    assert (tmp_path / "out" / "mine" / "events.out.tfevents.1").exists()
    assert [event.step for event in events] == [0, 1, 2, 3, 4]
    assert [event.wall_time for event in events] == pytest.approx(
        [run.started + 0.25 * step for step in range(5)]
    )
    values = {value.tag: value.simple_value for value in events[4].summary.value}
    assert (values["loss"], values[GRADIENT]) == (1.5, -0.75)
    with pytest.raises(UnvanishError, match="drawn over those"):
        export_run(run, to="tensorboard", output=str(tmp_path / "out"), title="mine")


def test_the_calls_to_arrow(
    run: RunRecording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables: list[dict[str, Any]] = []
    schemas: list[Any] = []

    class Writer:
        def __init__(self, path: Path, schema: Any) -> None:
            self.path = path
            schemas.append(schema)

        def __enter__(self) -> Writer:
            return self

        def __exit__(self, *_: object) -> None:
            self.path.write_bytes(b"PAR1")

        def write_table(self, table: dict[str, Any]) -> None:
            tables.append(table)

    def array(values: Sequence[Any], kind: Any) -> list[Any]:
        assert kind in {"int32", "int64", "float64", "string"}
        return list(values)

    def from_arrays(columns: Sequence[Any], schema: Any) -> dict[str, Any]:
        assert len({len(column) for column in columns}) == 1
        return {name: column for (name, _), column in zip(schema[0], columns, strict=True)}

    def named(positions: Sequence[int | None], names: Sequence[str]) -> list[str | None]:
        return [None if position is None else names[position] for position in positions]

    pretend(
        monkeypatch,
        "pyarrow",
        __path__=[],
        array=array,
        dictionary=lambda index, values: (index, values),
        schema=lambda fields, metadata: (fields, metadata),
        DictionaryArray=SimpleNamespace(from_arrays=named),
        Table=SimpleNamespace(from_arrays=from_arrays),
        **{kind: lambda kind=kind: kind for kind in ("int32", "int64", "float64", "string")},
    )
    pretend(monkeypatch, "pyarrow.parquet", ParquetWriter=Writer)
    export_run(run, to="parquet", output=str(tmp_path / "run.parquet"))
    assert (tmp_path / "run.parquet").read_bytes() == b"PAR1"
    assert sum(len(table["step"]) for table in tables) == NUMBERS
    (gradient,) = [t for t in tables if t["quantity"][0] == "log10_param_grad_rms"]
    assert gradient["layer"][:2] == ["generator/layers.0", "generator relu"]
    assert gradient["value"][:4] == [-2.5, -1.25, 0.0, -math.inf]
    rest = json.loads(schemas[0][1]["unvanish"])
    assert [event["text"] for event in rest["events"]] == [event.text for event in EVENTS]


# ------------------------------------------------------------------------------- installed


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_parquet(run: RunRecording, in_folder: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    export_run(run, to="parquet", output="run.parquet")
    table = parquet.read_table("run.parquet")
    assert table.num_rows == NUMBERS
    assert table.column_names == ["step", "quantity", "layer", "index", "value"]
    rows = table.to_pylist()
    losses = [(row["step"], row["value"]) for row in rows if row["quantity"] == "loss"]
    assert str(losses) == str(LOSSES)
    assert {row["layer"] for row in rows if row["index"] is None} == {None}
    relu = [row["value"] for row in rows if row["layer"] == "generator relu"]
    assert relu == [-1.25, -0.75, 0.25]
    rest = json.loads(table.schema.metadata[b"unvanish"])
    assert rest["layers"][0]["built"]["line"] == 12
    assert [path.name for path in in_folder.iterdir()] == ["run.parquet"]


@pytest.mark.filterwarnings("ignore")
def test_tensorboard(run: RunRecording, in_folder: Path) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    export_run(run, to="tensorboard", output="out", title="mine")
    events = reading.EventAccumulator(str(in_folder / "out" / "mine"))
    events.Reload()
    assert events.Tags()["scalars"][:1] == ["loss"]
    assert [event.value for event in events.Scalars(GRADIENT)] == [-1.25, -0.75]
    assert [event.step for event in events.Scalars("loss")] == [0, 1, 2, 3, 4]
    assert events.Scalars("loss")[4].wall_time == pytest.approx(run.started + 1.0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mlflow(run: RunRecording, in_folder: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    export_run(run, to="mlflow", output="out.db", title="mine")
    export_run(run, to="mlflow", output="out.db", title="again")
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{in_folder / 'out.db'}")
    found = client.search_runs([client.get_experiment_by_name("unvanish").experiment_id])
    assert {one.info.run_name for one in found} == {"mine", "again"}
    history = client.get_metric_history(found[0].info.run_id, GRADIENT)
    assert [(metric.step, metric.value) for metric in history] == [(0, -1.25), (4, -0.75)]
    assert found[0].data.params["device"] == "cuda"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_trackio(run: RunRecording, in_folder: Path) -> None:
    if importlib.util.find_spec("trackio") is None:
        pytest.skip("trackio is not installed")
    export_run(run, to="trackio", output="out", title="mine")
    (database,) = (in_folder / "out").glob("*.db")
    connection = sqlite3.connect(database)
    rows = connection.execute(
        "SELECT step, metrics FROM metrics WHERE run_name = 'mine'"
    ).fetchall()
    connection.close()
    assert sorted(step for step, _ in rows) == [0, 1, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_wandb(run: RunRecording, in_folder: Path) -> None:
    pytest.importorskip("wandb")
    export_run(run, to="wandb", output="out", title="mine")
    (file,) = (in_folder / "out").glob("wandb/offline-run-*/*.wandb")
    until = time.monotonic() + 5.0  # wandb writes on in a process of its own
    while GRADIENT.encode() not in file.read_bytes() and time.monotonic() < until:
        time.sleep(0.05)
    written = file.read_bytes()
    assert all(word.encode() in written for word in ("loss", GRADIENT, CONDITIONS.target))
