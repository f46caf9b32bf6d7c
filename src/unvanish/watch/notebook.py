"""Watch a notebook: ``%load_ext unvanish``, and ``%%unvanish_watch`` above a cell."""

from __future__ import annotations

import argparse
import shlex
import warnings
from typing import TYPE_CHECKING, Any, NoReturn

from unvanish.core.errors import UnvanishError

if TYPE_CHECKING:
    from unvanish.watch.observer import Watch

MAGIC = "unvanish_watch"


def register(shell: Any) -> None:
    """Give a shell the cell magic.

    Args:
        shell: An `IPython.core.interactiveshell.InteractiveShell`.
    """

    def unvanish_watch(line: str, cell: str) -> Any:
        return watch_cell(shell, line, cell)

    unvanish_watch.__doc__ = watch_cell.__doc__
    shell.register_magic_function(unvanish_watch, magic_kind="cell", magic_name=MAGIC)


def watch_cell(shell: Any, line: str, cell: str) -> Watch | None:
    """Run a cell and watch what trains in it, whichever cell made model and optimiser.

    Args:
        shell: The notebook's shell.
        line: Options after the magic: ``--every N``, ``--file RUN``.
        cell: The code.

    Returns:
        The watch, which the notebook shows as the diagnosis; None where nothing trained.

    Raises:
        CellFailedError: If the cell raised, which it has shown already.
        NotebookError: If the options cannot be understood.
    """
    from unvanish.watch.discovery import Discovery
    from unvanish.watch.observer import observe

    options = _options(line)
    watches: list[Watch] = []

    def watching() -> Watch:
        watch = observe(every=options.every, file=options.file, target="a cell of a notebook")
        watches.append(watch)
        return watch

    discovery = Discovery(watching, _failed)
    discovery.start(existing=True)
    try:
        result = shell.run_cell(cell)
    finally:
        discovery.stop()
        for each in watches:
            each.stop()
    watch = watches[0] if watches else None
    if not result.success:
        raise CellFailedError(watch)
    if watch is None:
        warnings.warn(
            "nothing was watched: no optimiser of torch.optim took a step in this cell",
            stacklevel=2,
        )
    return watch


class CellFailedError(Exception):
    """The watched cell raised. Stops the cells below, and shows what was watched until then.

    Args:
        watch: What was watched; None where nothing trained.
    """

    def __init__(self, watch: Watch | None) -> None:
        super().__init__("the watched cell raised")
        self.watch = watch

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback."""
        return [repr(self.watch)] if self.watch is not None else []


class NotebookError(UnvanishError):
    """An error that IPython shows without a traceback of ours."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback."""
        return f"error: {self}".splitlines()


def _failed(error: Exception) -> None:
    warnings.warn(f"the cell goes on unwatched: {type(error).__name__}: {error}", stacklevel=2)


class _Parser(argparse.ArgumentParser):
    """Raises what we raise, where argparse would leave Python."""

    def error(self, message: str) -> NoReturn:
        raise NotebookError(
            message, where=f"%%{MAGIC}", help=f"%%{MAGIC} --every 50 --file run.sqlite"
        ) from None


def _options(line: str) -> argparse.Namespace:
    parser = _Parser(prog=f"%%{MAGIC}", add_help=False)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--file", default=None)
    options = parser.parse_args(shlex.split(line))
    if options.every < 1:
        parser.error(f"--every {options.every} is no number of steps")
    return options
