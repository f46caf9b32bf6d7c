"""A run as a local run of Trackio."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import ClassVar, Final, final

from unvanish.core.errors import UnvanishError, import_optional
from unvanish.core.packing import plain
from unvanish.core.runs import RunRecording
from unvanish.sinks.files import folder_of
from unvanish.sinks.rows import tagged

_FOLDER: Final = "TRACKIO_DIR"


@final
@dataclass(frozen=True)
class TrackioSink:
    """Into a folder of its own; Trackio reads where it is once, from an environment variable."""

    name: ClassVar[str] = "trackio"
    summary: ClassVar[str] = "a local run of Trackio"
    suffix: ClassVar[str] = "-trackio"

    def write(self, run: RunRecording, output: str, *, title: str) -> str:
        """Write the run and return what shows it.

        Raises:
            UnvanishError: If Trackio was imported before and writes elsewhere.
        """
        trackio = _imported(str(Path(output).absolute()))
        folder_of(output)
        trackio.init(project="unvanish", name=title, config=plain(run.conditions), embed=False)
        try:
            for step, numbers in tagged(run):
                trackio.log(numbers, step=step)
        finally:
            trackio.finish()
        return f"{output}   ({_FOLDER}={output} trackio show --project unvanish)"


def _imported(folder: str) -> ModuleType:
    """Import Trackio so that it writes to a folder."""
    before = os.environ.get(_FOLDER, "")
    if "trackio" in sys.modules and before != folder:
        raise UnvanishError(
            "trackio was imported before, and writes where it was told then",
            where=before,
            help="unvanish export RUN --to trackio   in a process of its own",
        )
    os.environ[_FOLDER] = folder
    try:
        return import_optional("trackio", extra="trackio", purpose="an export to Trackio")
    except UnvanishError:
        del os.environ[_FOLDER]
        raise
