"""A run as a table of text: one number a row."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.runs import RunRecording
from unvanish.sinks.files import write_lines
from unvanish.sinks.rows import labels, number, rows


class _Echo:
    def write(self, text: str) -> str:
        return text


@final
@dataclass(frozen=True)
class CsvSink:
    """Columns step, quantity, layer, index, value; the last but one is -1 without a layer."""

    name: ClassVar[str] = "csv"
    summary: ClassVar[str] = "a table, one number a row"
    suffix: ClassVar[str] = ".csv"

    def lines(self, run: RunRecording, *, title: str) -> Iterator[str]:  # noqa: ARG002
        """Yield the header and the rows."""
        names = labels(run)
        writer = csv.writer(_Echo(), lineterminator="\n")
        yield writer.writerow(("step", "quantity", "layer", "index", "value"))
        for row in rows(run):
            layer = names[row.index] if row.index >= 0 else ""
            yield writer.writerow((row.step, row.quantity.value, layer, row.index, number(row)))

    def write(self, run: RunRecording, output: str, *, title: str) -> str:
        """Write the file and return its name."""
        return write_lines(self.lines(run, title=title), output)
