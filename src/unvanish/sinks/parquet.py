"""A run as an Apache Parquet file."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

from unvanish.core.errors import import_optional
from unvanish.core.packing import plain
from unvanish.core.runs import LayerSeries, RunRecording, StepSeries
from unvanish.sinks.files import replacing
from unvanish.sinks.rows import labels


@final
@dataclass(frozen=True)
class ParquetSink:
    """The columns of the CSV file; layer and index are null for a quantity of the whole run.

    One row group a quantity. Conditions, layers and events stand as JSON in the metadata of the
    schema, under the key ``unvanish``.
    """

    name: ClassVar[str] = "parquet"
    summary: ClassVar[str] = "the same table for pandas, Polars, DuckDB"
    suffix: ClassVar[str] = ".parquet"

    def write(self, run: RunRecording, output: str, *, title: str) -> str:
        """Write the file and return its name."""
        arrow = import_optional("pyarrow", extra="parquet", purpose="an export to Parquet")
        parquet = import_optional("pyarrow.parquet", extra="parquet", purpose="Parquet")
        rest = {
            "title": title,
            "started": run.started,
            "last_step": run.last_step,
            "is_ended": run.is_ended,
            "conditions": plain(run.conditions),
            "layers": plain(run.layers),
            "events": plain(run.events),
        }
        text = arrow.dictionary(arrow.int32(), arrow.string())
        schema = arrow.schema(
            [
                ("step", arrow.int64()),
                ("quantity", text),
                ("layer", text),
                ("index", arrow.int32()),
                ("value", arrow.float64()),
            ],
            metadata={"unvanish": json.dumps(rest, allow_nan=False)},
        )
        names = labels(run)
        with replacing(output) as part, parquet.ParquetWriter(part, schema) as writer:
            every: tuple[StepSeries | LayerSeries, ...]
            every = (*run.by_step.values(), *run.by_layer.values())
            for series in every:
                writer.write_table(_table(arrow, schema, series, names))
        return output


def _table(
    arrow: Any, schema: Any, series: LayerSeries | StepSeries, names: tuple[str, ...]
) -> Any:
    steps: list[int] = []
    at: list[int | None] = []
    values: list[float] = []
    if isinstance(series, StepSeries):
        steps, values = list(series.steps), list(series.values)
        at = [None] * len(steps)
    else:
        for step, row in zip(series.steps, series.rows, strict=True):
            seen = [(k, v) for k, v in enumerate(row[: len(names)]) if not math.isnan(v)]
            steps += [step] * len(seen)
            at += [k for k, _ in seen]
            values += [v for _, v in seen]
    index = arrow.array(at, arrow.int32())
    columns = [
        arrow.array(steps, arrow.int64()),
        _named(arrow, arrow.array([0] * len(steps), arrow.int32()), [series.quantity.value]),
        _named(arrow, index, names),
        index,
        arrow.array(values, arrow.float64()),
    ]
    return arrow.Table.from_arrays(columns, schema=schema)


def _named(arrow: Any, positions: Any, names: Any) -> Any:
    texts = arrow.array(list(names), arrow.string())
    return arrow.DictionaryArray.from_arrays(positions, texts)
