"""`unvanish show` and `unvanish export` for the recording of a run."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

import click

from unvanish.cli.screen import Screen, emit
from unvanish.cli.streams import stdout_set_aside
from unvanish.core.findings import Severity
from unvanish.core.verdicts import NotMeasured
from unvanish.watch.ranks import read

_AT_ONCE: Final = 10_000
"""Lines that are written to stdout in one piece."""


def show_run(file: Path, screen: Screen, *, fail_on: str, as_json: bool, verbose: bool) -> int:
    """Write a run and its diagnosis to stdout, and return the exit code."""
    from unvanish.diagnose.running import diagnose_run

    run = read(file)
    diagnosis = diagnose_run(run)
    if as_json:
        from unvanish.show.run_json import run_json, run_lines

        emit("".join(run_lines(run_json(run, diagnosis))))
    else:
        from unvanish.show.run import run_text

        emit(
            run_text(
                run,
                diagnosis,
                width=screen.width,
                color=screen.color,
                ascii=screen.ascii,
                verbose=verbose,
            )
        )
    limit = Severity(fail_on).rank
    if any(finding.severity.rank >= limit for finding in diagnosis.findings):
        return 1
    verdicts = diagnosis.verdicts.values()
    return 3 if not verdicts or any(isinstance(v, NotMeasured) for v in verdicts) else 0


def run_export(file: Path, *, to: str, output: str) -> None:
    """Hand the run in a file on, and say where it is now."""
    from unvanish.sinks import TextSink, sink_of

    sink = sink_of(to)
    run = read(file)
    if output == "-":
        if not isinstance(sink, TextSink):
            raise click.UsageError(f"--output - goes with text, and {sink.name} is none")
        _emit_lines(sink.lines(run, title=file.stem))
        return
    with stdout_set_aside():
        where = sink.write(run, output or f"{file.stem}{sink.suffix}", title=file.stem)
    emit(f"wrote {where}")


def _emit_lines(lines: Iterable[str]) -> None:
    pieces = iter(lines)
    while piece := "".join(islice(pieces, _AT_ONCE)):
        emit(piece)
