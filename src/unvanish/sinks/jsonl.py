"""A run as lines of JSON: all of it, one thing a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, final

from unvanish.core.packing import plain
from unvanish.core.runs import RUN_SCHEMA, RunRecording
from unvanish.sinks.files import write_lines
from unvanish.sinks.rows import labels, number, rows


@final
@dataclass(frozen=True)
class JsonLinesSink:
    """First the run, then its layers, its numbers and its events; ``type`` says which."""

    name: ClassVar[str] = "jsonl"
    summary: ClassVar[str] = "lines of JSON: conditions, layers, numbers, events"
    suffix: ClassVar[str] = ".jsonl"

    def lines(self, run: RunRecording, *, title: str) -> Iterator[str]:
        """Yield the lines."""
        yield from (
            json.dumps(thing, allow_nan=False, separators=(",", ":")) + "\n"
            for thing in _things(run, title)
        )

    def write(self, run: RunRecording, output: str, *, title: str) -> str:
        """Write the file and return its name."""
        return write_lines(self.lines(run, title=title), output)


def _things(run: RunRecording, title: str) -> Iterator[dict[str, Any]]:
    yield {
        "type": "run",
        "schema": RUN_SCHEMA,
        "title": title,
        "started": run.started,
        "last_step": run.last_step,
        "is_ended": run.is_ended,
        "conditions": plain(run.conditions),
    }
    names = labels(run)
    for layer, name in zip(run.layers, names, strict=True):
        yield {"type": "layer", "name": name, **plain(layer)}
    for row in rows(run):
        where = {"layer": names[row.index], "index": row.index} if row.index >= 0 else {}
        yield {
            "type": "value",
            "step": row.step,
            "quantity": row.quantity.value,
            **where,
            "value": plain(number(row)),
        }
    for event in run.events:
        yield {"type": "event", **plain(event)}
