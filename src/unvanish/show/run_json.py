"""A watched run and its diagnosis as one JSON document, documented in ``docs/runs.md``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from unvanish.core.findings import Diagnosis
from unvanish.core.glossary import RUN_GLOSSARY, LayerQuantity, StepQuantity
from unvanish.core.packing import plain
from unvanish.core.records import Recording
from unvanish.core.runs import LayerSeries, RunRecording, StepSeries
from unvanish.show.json import to_json

SCHEMA: Final = 1

_SHARED: Final = ("worst", "verdicts", "findings", "details")
"""What a diagnosis of a run says as that of a look does."""


def run_json(run: RunRecording, diagnosis: Diagnosis) -> dict[str, Any]:
    """Return a run and its diagnosis as plain dictionaries, lists, text, numbers and None.

    Args:
        run: What was watched.
        diagnosis: What the rules said about it.

    Returns:
        The document, keys always in the same order. Numbers that JSON cannot hold are ``"inf"``,
        ``"-inf"`` and None for NaN, so that strict parsers read it.
    """
    said = to_json(Recording(), diagnosis, target=run.conditions.target)
    return {
        "schema": SCHEMA,
        "kind": "run",
        "target": run.conditions.target,
        **{key: said[key] for key in _SHARED},
        "started": run.started,
        "last_step": run.last_step,
        "is_ended": run.is_ended,
        "conditions": plain(run.conditions),
        "layers": [{"name": layer.name, **plain(layer)} for layer in run.layers],
        "events": [plain(event) for event in run.events],
        "by_step": {quantity.value: _of_run(known) for quantity, known in run.by_step.items()},
        "by_layer": {quantity.value: _of_layers(known) for quantity, known in run.by_layer.items()},
    }


def run_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Write a document of `run_json` as text: strict, ASCII, one entry of an object a line.

    Args:
        document: What `run_json` returned.

    Yields:
        Lines with their ends. A list of numbers stands on one line, as there may be millions.
    """
    yield from _written(document, "")
    yield "\n"


def _of_run(series: StepSeries) -> dict[str, Any]:
    return {
        **_unit(series.quantity),
        "steps": list(series.steps),
        "values": [plain(value) for value in series.values],
    }


def _of_layers(series: LayerSeries) -> dict[str, Any]:
    return {
        **_unit(series.quantity),
        "steps": list(series.steps),
        "rows": [[_short(value) for value in row] for row in series.rows],
    }


def _unit(quantity: LayerQuantity | StepQuantity) -> dict[str, str]:
    return {"unit": RUN_GLOSSARY[quantity].unit}


def _short(value: float) -> float | str | None:
    """Return a number of 32 bits without the digits that it does not have."""
    return float(f"{value:.9g}") if math.isfinite(value) else plain(value)


def _written(value: Any, indent: str) -> Iterator[str]:
    parts: list[tuple[str, Any]]
    if isinstance(value, Mapping) and value:
        signs, parts = "{}", [(f"{json.dumps(key)}: ", part) for key, part in value.items()]
    elif isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        signs, parts = "[]", [("", part) for part in value]
    else:
        yield json.dumps(value, allow_nan=False)
        return
    yield signs[0]
    for position, (key, part) in enumerate(parts):
        yield f"{',' if position else ''}\n{indent}  {key}"
        yield from _written(part, indent + "  ")
    yield f"\n{indent}{signs[1]}"
