"""Sinks that write text, and what all sinks share."""

from __future__ import annotations

import csv
import json
import math
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from tests.core.runs import CONDITIONS, EVENTS, LAYERS, LOSSES, fill

from unvanish.core.errors import UnvanishError
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runfile import RunWriter
from unvanish.core.runs import RunRecording, StepSeries, WatchedLayer
from unvanish.sinks import BUILTIN_SINKS, TextSink, all_sinks, export_run, sink_of
from unvanish.sinks.rows import clock, labels

NUMBERS = 18
"""Measured numbers of the small run: 9 of the run, 9 of its layers."""


@pytest.fixture
def run() -> RunRecording:
    writer = fill(RunWriter())
    writer.close()
    return writer.recording()


TEXT = [sink.name for sink in BUILTIN_SINKS if isinstance(sink, TextSink)]


def test_which_sinks_are_text() -> None:
    assert TEXT == ["csv", "jsonl", "opentelemetry", "prometheus"]


@pytest.mark.parametrize("name", TEXT)
def test_a_file_is_replaced_whole(run: RunRecording, tmp_path: Path, name: str) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    export_run(run, to=name, output=str(path), title="a run")
    sink = sink_of(name)
    assert isinstance(sink, TextSink)
    assert path.read_text(encoding="utf-8") == "".join(sink.lines(run, title="a run"))
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", TEXT)
def test_what_cannot_be_written(run: RunRecording, tmp_path: Path, name: str) -> None:
    with pytest.raises(UnvanishError, match="cannot be written: No such file"):
        export_run(run, to=name, output=str(tmp_path / "nowhere" / "out"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(UnvanishError, match="cannot be written: Is a directory"):
        export_run(run, to=name, output=str(tmp_path / "folder"))
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("sink", BUILTIN_SINKS, ids=lambda sink: sink.name)
def test_names_and_words(sink: object) -> None:
    assert sink in all_sinks().members
    assert getattr(sink, "summary", "")[-1] not in ".:"


@pytest.mark.parametrize("name", TEXT)
def test_a_run_in_which_nothing_was_measured(name: str, tmp_path: Path) -> None:
    export_run(RunRecording(), to=name, output=str(tmp_path / "out"))
    assert (tmp_path / "out").exists()


# ---------------------------------------------------------------------------- the formats


def test_csv(run: RunRecording, tmp_path: Path) -> None:
    export_run(run, to="csv", output=str(tmp_path / "run.csv"))
    with (tmp_path / "run.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == NUMBERS
    losses = [(int(r["step"]), float(r["value"])) for r in rows if r["quantity"] == "loss"]
    assert str(losses) == str(LOSSES)
    at = [(r["step"], r["layer"], r["value"]) for r in rows if r["index"] == "2"]
    assert at == [
        ("0", "generator/head, last", "0.0"),
        ("2", "generator/head, last", "inf"),
        ("4", "generator/head, last", "-3.0"),
    ]
    assert [int(r["step"]) for r in rows] == sorted(int(r["step"]) for r in rows)


def test_numbers_of_32_bits_are_short_and_exact(tmp_path: Path) -> None:
    import array

    values = [0.1, 1 / 3, -7.123456789, 1e-38, 12345678.9]
    writer = RunWriter()
    writer.layers([WatchedLayer(index=k, path=str(k)) for k in range(len(values))])
    writer.sample(0, {LayerQuantity.SLOPE_RMS: values})
    export_run(writer.recording(), to="csv", output=str(tmp_path / "run.csv"))
    writer.close()
    texts = [line.rsplit(",")[-1] for line in (tmp_path / "run.csv").read_text().split()[1:]]
    assert array.array("f", map(float, texts)) == array.array("f", values)
    assert max(map(len, texts)) <= 15


def test_json_lines(run: RunRecording, tmp_path: Path) -> None:
    def refuse(word: str) -> float:
        raise AssertionError(word)

    export_run(run, to="jsonl", output=str(tmp_path / "run.jsonl"), title="mine")
    lines = (tmp_path / "run.jsonl").read_text().splitlines()
    things = [json.loads(line, parse_constant=refuse) for line in lines]
    kinds = [thing["type"] for thing in things]
    assert kinds == ["run", *["layer"] * 3, *["value"] * NUMBERS, *["event"] * 2]
    assert things[0]["title"] == "mine"
    assert things[0]["conditions"]["target"] == CONDITIONS.target
    assert things[0]["started"] == run.started > 0
    assert things[1]["built"] == {"file": "net.py", "line": 12, "function": "__init__"}
    numbers = [
        thing["value"] for thing in things if thing["type"] == "value" and thing["step"] == 2
    ]
    assert numbers == [None, 0.5, "-inf", "inf"]
    assert things[-1] == {
        "type": "event",
        "step": 3,
        "kind": "skipped",
        "text": EVENTS[1].text,
        "layer": 2,
    }


def test_prometheus(run: RunRecording) -> None:
    sink = sink_of("prometheus")
    assert isinstance(sink, TextSink)
    lines = list(sink.lines(run, title='odd "name"\\'))
    label = 'run="odd \\"name\\"\\\\"'
    assert f"unvanish_loss{{{label}}} 1.5\n" in lines
    assert f"unvanish_ended{{{label}}} 1\n" in lines
    gradient = f'unvanish_log10_param_grad_rms{{{label},layer="generator relu",index="1"}} -0.75\n'
    assert gradient in lines
    helped = [line.split()[2] for line in lines if line.startswith("# HELP")]
    assert len(helped) == len(set(helped)) == 7
    samples = [line for line in lines if not line.startswith("#")]
    assert all(line.endswith("\n") and "\n" not in line[:-1] for line in lines)
    assert len(samples) == 2 + 3 + 3 + 1


def test_prometheus_numbers() -> None:
    losses = {q: StepSeries(StepQuantity.LOSS, (0,), (q,)) for q in (math.nan, math.inf, -math.inf)}
    sink = sink_of("prometheus")
    assert isinstance(sink, TextSink)
    for value, word in zip(losses, ("NaN", "+Inf", "-Inf"), strict=True):
        run = RunRecording(by_step={StepQuantity.LOSS: losses[value]})
        assert f'unvanish_loss{{run="r"}} {word}\n' in list(sink.lines(run, title="r"))


def test_prometheus_reads_it(run: RunRecording) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    sink = sink_of("prometheus")
    assert isinstance(sink, TextSink)
    text = "".join(sink.lines(run, title='odd "name"\\ \n'))
    families = {family.name: family for family in parser.text_string_to_metric_families(text)}
    assert len(families) == 7
    (ended,) = families["unvanish_ended"].samples
    assert ended.labels == {"run": 'odd "name"\\ \n'}
    layers = [s.labels["layer"] for s in families["unvanish_log10_param_grad_rms"].samples]
    assert layers == [layer.name for layer in LAYERS]


def test_open_telemetry(run: RunRecording) -> None:
    sink = sink_of("opentelemetry")
    assert isinstance(sink, TextSink)
    requests = [json.loads(line) for line in sink.lines(run, title="mine")]
    assert len(requests) == 5
    scopes = [request["resourceMetrics"][0]["scopeMetrics"][0] for request in requests]
    named = [{m["name"]: m["gauge"]["dataPoints"] for m in scope["metrics"]} for scope in scopes]
    assert [points["unvanish.step"][0]["asInt"] for points in named] == list("01234")
    assert [points["unvanish.loss"][0]["asDouble"] for points in named] == [
        LOSSES[0][1],
        1.75,
        "NaN",
        "Infinity",
        1.5,
    ]
    layers = named[2]["unvanish.log10_param_grad_rms"]
    assert [point["asDouble"] for point in layers] == ["-Infinity", "Infinity"]
    assert layers[0]["attributes"] == [
        {"key": "layer", "value": {"stringValue": "generator/layers.0"}}
    ]
    moments = [int(points["unvanish.step"][0]["timeUnixNano"]) / 1e9 for points in named]
    assert moments == pytest.approx([run.started + 0.25 * step for step in range(5)])


def test_open_telemetry_reads_it(run: RunRecording) -> None:
    protocol = pytest.importorskip("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")
    formats = pytest.importorskip("google.protobuf.json_format")
    sink = sink_of("opentelemetry")
    assert isinstance(sink, TextSink)
    for line in sink.lines(run, title="mine"):
        request = formats.Parse(line, protocol.ExportMetricsServiceRequest())
        metrics = request.resource_metrics[0].scope_metrics[0].metrics
        assert metrics[0].name == "unvanish.step"
        assert all(metric.gauge.data_points for metric in metrics)


# ------------------------------------------------------------------------------ the parts


def test_labels_are_unique() -> None:
    layers = tuple(WatchedLayer(index=k, path="net", function="relu") for k in range(2))
    last = WatchedLayer(index=2, path="head")
    run = RunRecording(layers=(*layers, last))
    assert labels(run) == ("net relu #0", "net relu #1", "head")


def test_the_clock() -> None:
    def at(*seconds: tuple[int, float]) -> list[float]:
        steps, values = zip(*seconds, strict=True) if seconds else ((), ())
        series = StepSeries(StepQuantity.SECONDS, tuple(steps), values)
        moment = clock(RunRecording(by_step={StepQuantity.SECONDS: series}, started=100.0))
        return [moment(step) for step in (0, 5, 10, 12)]

    assert at((0, 0.0), (10, 20.0)) == [100.0, 110.0, 120.0, 124.0]
    assert at((5, 1.0)) == [101.0] * 4
    assert at() == pytest.approx([100.0, 100.000005, 100.00001, 100.000012], abs=1e-9)


def test_a_name_that_is_none() -> None:
    with pytest.raises(UnvanishError, match=r"only to csv, jsonl, mlflow") as caught:
        sink_of("parket")
    assert caught.value.help == "unvanish export RUN --to parquet"


class Postcards:
    name = "postcards"
    summary = "one postcard a step"
    suffix = ".txt"

    def write(self, run: RunRecording, output: str, *, title: str) -> str:
        return f"{run.last_step + 1} postcards about {title} to {output}"


def test_plug_ins(run: RunRecording, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("postcards", f"{__name__}:Postcards", "unvanish.sinks"),
        EntryPoint("broken", "no.such.module:Sink", "unvanish.sinks"),
    ]

    def entry_points(*, group: str) -> list[EntryPoint]:
        return points if group == "unvanish.sinks" else []

    monkeypatch.setattr(EntryPoint, "load", lambda point: _loaded(point))
    monkeypatch.setattr("unvanish.core.registry.entry_points", entry_points)
    assert (
        export_run(run, to="postcards", output="home", title="t") == "5 postcards about t to home"
    )
    with pytest.raises(UnvanishError, match="a plug-in could not be loaded"):
        export_run(run, to="broken", output="home")


def _loaded(point: EntryPoint) -> type[Postcards]:
    if point.name == "broken":
        raise ModuleNotFoundError("No module named 'no'")
    return Postcards
