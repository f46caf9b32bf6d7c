"""A run as metrics of OpenTelemetry, in the JSON of its protocol."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

from unvanish.core.glossary import RUN_GLOSSARY, LayerQuantity, StepQuantity
from unvanish.core.runs import RunRecording
from unvanish.sinks.files import write_lines
from unvanish.sinks.rows import Row, by_step, clock, labels, number


@final
@dataclass(frozen=True)
class OpenTelemetrySink:
    """One request to export metrics a line, for the collector's ``otlpjsonfile`` receiver.

    The step is a gauge of its own, ``unvanish.step``: as an attribute it would make every number
    a series of its own.
    """

    name: ClassVar[str] = "opentelemetry"
    summary: ClassVar[str] = "OTLP metrics in JSON, for an OpenTelemetry collector"
    suffix: ClassVar[str] = ".otlp.jsonl"

    def lines(self, run: RunRecording, *, title: str) -> Iterator[str]:
        """Yield one line a step."""
        names, at = labels(run), clock(run)
        resource = {
            "attributes": [
                _attribute("service.name", "unvanish"),
                _attribute("unvanish.run", title),
                _attribute("unvanish.target", run.conditions.target),
            ]
        }
        for step, found in by_step(run):
            moment = str(round(1e9 * at(step)))
            metrics = [
                {"name": "unvanish.step", "gauge": {"dataPoints": [_point(step, moment)]}},
                *_metrics(found, names, moment),
            ]
            scope = {"scope": {"name": "unvanish"}, "metrics": metrics}
            line = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [scope]}]}
            yield json.dumps(line, allow_nan=False, separators=(",", ":")) + "\n"

    def write(self, run: RunRecording, output: str, *, title: str) -> str:
        """Write the file and return its name."""
        return write_lines(self.lines(run, title=title), output)


def _metrics(found: Sequence[Row], names: tuple[str, ...], moment: str) -> Iterator[dict[str, Any]]:
    points: dict[LayerQuantity | StepQuantity, list[dict[str, Any]]] = {}
    for row in found:
        point = _point(number(row), moment)
        if row.index >= 0:
            point["attributes"] = [_attribute("layer", names[row.index])]
        points.setdefault(row.quantity, []).append(point)
    for quantity, own in points.items():
        entry = RUN_GLOSSARY[quantity]
        yield {
            "name": f"unvanish.{quantity.value}",
            "description": f"{entry.meaning}: {entry.formula}",
            "unit": entry.unit if entry.unit == "s" else "1",
            "gauge": {"dataPoints": own},
        }


def _point(value: float, moment: str) -> dict[str, Any]:
    if isinstance(value, int):
        return {"timeUnixNano": moment, "asInt": str(value)}
    return {"timeUnixNano": moment, "asDouble": _double(value)}


def _double(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}
