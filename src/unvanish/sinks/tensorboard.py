"""A run as scalars of TensorBoard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

from unvanish.core.errors import UnvanishError, import_optional
from unvanish.core.runs import RunRecording
from unvanish.sinks.files import folder_of
from unvanish.sinks.rows import clock, tagged


@final
@dataclass(frozen=True)
class TensorBoardSink:
    """One chart a quantity and layer, the quantities as groups, under a folder a run."""

    name: ClassVar[str] = "tensorboard"
    summary: ClassVar[str] = "scalars of TensorBoard"
    suffix: ClassVar[str] = "-tensorboard"

    def write(self, run: RunRecording, output: str, *, title: str) -> str:
        """Write the event file and return what opens it.

        Raises:
            UnvanishError: If the folder has events of this run already.
        """
        purpose = "an export to TensorBoard"
        events = import_optional(
            "tensorboard.compat.proto.event_pb2", extra="tensorboard", purpose=purpose
        )
        summaries = import_optional(
            "tensorboard.compat.proto.summary_pb2", extra="tensorboard", purpose=purpose
        )
        writers = import_optional(
            "tensorboard.summary.writer.event_file_writer", extra="tensorboard", purpose=purpose
        )
        folder = folder_of(str(Path(output) / title))
        if next(folder.glob("events.out.tfevents.*"), None) is not None:
            raise UnvanishError(
                "these events would be drawn over those that are there already",
                where=str(folder),
                help=f"unvanish export RUN --to tensorboard --output {output}-2",
            )
        writer, at = writers.EventFileWriter(str(folder)), clock(run)
        for step, numbers in tagged(run):
            values = [
                summaries.Summary.Value(tag=tag, simple_value=value)
                for tag, value in numbers.items()
            ]
            summary = summaries.Summary(value=values)
            writer.add_event(events.Event(wall_time=at(step), step=step, summary=summary))
        writer.close()
        return f"{output}   (tensorboard --logdir {output})"
