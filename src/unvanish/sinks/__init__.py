"""Hand a watched run on to other tools: files, experiment trackers, monitoring. Needs no torch.

A sink is one file here, or a class of another package behind an entry point:

    [project.entry-points."unvanish.sinks"]
    acme = "acme.sinks:AcmeSink"
"""

from __future__ import annotations

import difflib
from typing import Final

from unvanish.core.errors import UnvanishError
from unvanish.core.registry import Collected, collect
from unvanish.core.runs import RunRecording
from unvanish.sinks.csv import CsvSink
from unvanish.sinks.jsonl import JsonLinesSink
from unvanish.sinks.mlflow import MlflowSink
from unvanish.sinks.opentelemetry import OpenTelemetrySink
from unvanish.sinks.parquet import ParquetSink
from unvanish.sinks.prometheus import PrometheusSink
from unvanish.sinks.protocol import Sink, TextSink
from unvanish.sinks.tensorboard import TensorBoardSink
from unvanish.sinks.trackio import TrackioSink
from unvanish.sinks.wandb import WandbSink

__all__ = ["BUILTIN_SINKS", "Sink", "TextSink", "all_sinks", "export_run", "sink_of"]

GROUP: Final = "unvanish.sinks"

BUILTIN_SINKS: Final[tuple[Sink, ...]] = (
    CsvSink(),
    JsonLinesSink(),
    MlflowSink(),
    OpenTelemetrySink(),
    ParquetSink(),
    PrometheusSink(),
    TensorBoardSink(),
    TrackioSink(),
    WandbSink(),
)


def all_sinks() -> Collected[Sink]:
    """Return the built-in sinks and those of other packages.

    Returns:
        The sinks, and the plug-ins that could not be loaded with the reason.
    """
    return collect(BUILTIN_SINKS, group=GROUP, protocol=Sink, key=lambda sink: sink.name)


def sink_of(name: str) -> Sink:
    """Return the sink of a name.

    Args:
        name: Such as ``"parquet"``.

    Returns:
        The sink.

    Raises:
        UnvanishError: If there is none, or its plug-in does not load.
    """
    found = all_sinks()
    by_name = {sink.name: sink for sink in found.members}
    if name in by_name:
        return by_name[name]
    if name in found.broken:
        raise found.broken[name]
    near = difflib.get_close_matches(name, by_name, 1)
    raise UnvanishError(
        f"a run cannot be exported to {name!r}, only to {', '.join(by_name)}",
        help=f"unvanish export RUN --to {near[0] if near else 'csv'}",
    )


def export_run(run: RunRecording, *, to: str, output: str, title: str = "run") -> str:
    """Hand a run on.

    Args:
        run: The run.
        to: Name of the sink, such as ``"parquet"``.
        output: File, folder or address it goes to.
        title: What the run is called there.

    Returns:
        Where it is now, in words.
    """
    return sink_of(to).write(run, output, title=title)
