"""How far a trial is, on stderr: a bar where somebody looks, else a line a stage."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from unvanish.cli.screen import complain
from unvanish.show.words import duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import ProgressColumn

    from unvanish.prove.running import Progress

_STAGES: Final = {
    "control": "control: the network as it is",
    "first tries": "first tries",
    "finalists": "finalists",
    "proof": "proof",
}


@contextmanager
def shown_progress(target: str, *, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Show the progress of a trial while a block runs.

    Args:
        target: What is being cured.
        quiet: Whether nothing is written where nobody looks at stderr.

    Yields:
        What is to be called with every `Progress`.
    """
    beginning = f"checking {target}, and trying remedies on copies"
    if not sys.stderr.isatty():
        if not quiet:
            complain(beginning)
        yield _nothing if quiet else _line
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn

    console = Console(stderr=True)
    words = TextColumn("{task.description}", markup=False)
    waiting = _display(console, SpinnerColumn(), words)
    waiting.add_task(beginning, total=None)
    runs, left = (TextColumn(f"{{task.fields[{name}]}}", style="dim") for name in ("runs", "left"))
    bar = _display(console, words, BarColumn(bar_width=28), runs, left, is_alive=False)
    task = bar.add_task("", total=None, runs="", left="")

    def show(progress: Progress) -> None:
        waiting.stop()  # its thread must be gone before the first run is forked
        bar.update(
            task,
            description=_STAGES.get(progress.stage, progress.stage),
            total=max(1, progress.total),
            completed=progress.done,
            left=_left(progress),
            runs=f"{progress.done}/{progress.total} runs",
        )
        bar.start()
        bar.refresh()

    waiting.start()
    try:
        yield show
    finally:
        waiting.stop()
        bar.stop()


def _display(console: Console, *columns: ProgressColumn, is_alive: bool = True) -> Bar:
    """Return a line that vanishes when it is stopped, and leaves the streams alone.

    Args:
        console: Where to write.
        columns: What the line consists of.
        is_alive: Whether a thread draws it; else it is drawn when it is told to.
    """
    from rich.progress import Progress as Bar

    return Bar(
        *columns,
        console=console,
        auto_refresh=is_alive,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _left(progress: Progress) -> str:
    if math.isnan(progress.seconds_left) or progress.done >= progress.total:
        return ""
    return f"about {duration(progress.seconds_left)} left"


def _nothing(progress: Progress) -> None:
    del progress


def _line(progress: Progress) -> None:
    """Write a line at the beginning of a stage."""
    if progress.total and not progress.done:
        runs = f"{progress.total} run{'' if progress.total == 1 else 's'}"
        complain(f"{_STAGES.get(progress.stage, progress.stage)}: {runs}")
