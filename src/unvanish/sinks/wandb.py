"""A run as an offline run of Weights & Biases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.errors import import_optional
from unvanish.core.packing import plain
from unvanish.core.runs import RunRecording
from unvanish.sinks.files import folder_of
from unvanish.sinks.rows import tagged


@final
@dataclass(frozen=True)
class WandbSink:
    """Nothing is sent anywhere; ``wandb sync`` does that, when the user wants it."""

    name: ClassVar[str] = "wandb"
    summary: ClassVar[str] = "an offline run of Weights & Biases"
    suffix: ClassVar[str] = "-wandb"

    def write(self, run: RunRecording, output: str, *, title: str) -> str:
        """Write the run and return what sends it."""
        wandb = import_optional("wandb", extra="wandb", purpose="an export to Weights & Biases")
        folder = folder_of(output)
        offline = wandb.init(
            project="unvanish",
            name=title,
            dir=str(folder),
            mode="offline",
            config=plain(run.conditions),
            settings=wandb.Settings(silent=True, console="off"),
        )
        for step, numbers in tagged(run):
            offline.log(numbers, step=step)
        offline.finish()
        return f"{output}   (wandb sync {output}/wandb/offline-run-*)"
