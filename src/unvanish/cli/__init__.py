"""The command line. Nothing here imports torch until a network is checked."""

from __future__ import annotations

from collections.abc import Sequence

from unvanish.cli.app import app
from unvanish.cli.run import Handover, take_over
from unvanish.cli.streams import open_closed_streams, retire_stdout

__all__ = ["app", "main"]


def main(args: Sequence[str] | None = None, *, prog_name: str = "unvanish") -> None:
    """Run the command line and leave Python with its exit code.

    Args:
        args: Words after the program's name; those of the process if None.
        prog_name: How the program calls itself in its help.
    """
    open_closed_streams()
    try:
        app.main(args=args, prog_name=prog_name)
    except Handover as handover:  # stdout is the script's, to the very end
        options = handover.options
    except BaseException:
        retire_stdout()
        raise
    take_over(options)
