"""From an exception to a message and an exit code. Users never see a traceback of ours."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import click

from unvanish.cli.screen import complain, emit
from unvanish.cli.streams import silence
from unvanish.core.errors import UnvanishError
from unvanish.core.verbs import run_as

TRACEBACK: Final = "UNVANISH_TRACEBACK"
"""Environment variable that lets the traceback of an unexpected exception through."""

_STUMBLED, _INTERRUPTED = 3, 130


@dataclass
class Settings:
    """What the guard has to know about the command that runs.

    Attributes:
        as_json: Whether errors have to appear on stdout as JSON, too.
    """

    as_json: bool = False


def settings_of(ctx: click.Context) -> Settings:
    """Return the settings of the running command, to be filled in by it."""
    settings = ctx.find_root().ensure_object(Settings)
    assert isinstance(settings, Settings)
    return settings


class SpokenCommand(click.Command):
    """A command that errors name in the calls they advise, where it takes a TARGET."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        if not any(parameter.name == "target" for parameter in self.params):
            return super().invoke(ctx)
        with run_as(self.name or "check"):
            return super().invoke(ctx)


class GuardedGroup(click.Group):
    """A group of commands whose exceptions end as one message and one exit code."""

    command_class = SpokenCommand

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> None:
        """Run the command line and leave Python with its exit code."""
        words = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        try:
            code = super().main(args=words, prog_name=prog_name, **extra)
        except click.ClickException as error:
            code = error.exit_code
            _show_usage(error, words)
        except click.Abort:
            code = _INTERRUPTED
        except SystemExit as stop:  # how click ends when a reader of --help has gone away
            code = 0
            if stop.code != 1:
                raise
        except OSError as error:
            if os.environ.get(TRACEBACK):
                raise
            silence(sys.stdout)
            complain(f"error: stdout cannot be written: {error.strerror}")
            code = _STUMBLED
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except UnvanishError as error:
            if os.environ.get(TRACEBACK):
                raise
            _report(error, as_json=settings_of(ctx).as_json)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            ctx.exit(_INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if os.environ.get(TRACEBACK):
                raise
            _report(_stumbled(error), as_json=settings_of(ctx).as_json)
            ctx.exit(_STUMBLED)


def _report(error: UnvanishError, *, as_json: bool) -> None:
    complain(told(error))
    if as_json:
        _emit_document(error)


def _emit_document(error: UnvanishError) -> None:
    document = {
        "schema": 1,
        "error": {"what": error.what, "where": error.where, "help": error.help},
    }
    try:
        emit(json.dumps(document, indent=2))
    except UnvanishError:  # the error was told on stderr, and stdout takes nothing
        return


def _show_usage(error: click.ClickException, words: Sequence[str]) -> None:
    """Tell of a wrong use as click does, and as a document where JSON was asked for."""
    try:
        error.show()
        sys.stderr.flush()
    except OSError:
        silence(sys.stderr)
    if _wants_json(words):
        ctx = getattr(error, "ctx", None)
        path = ctx.command_path if ctx is not None else "unvanish"
        message = error.format_message().rstrip(".")
        _emit_document(UnvanishError(message, help=f"{path} --help"))


def _wants_json(words: Sequence[str]) -> bool:
    """Tell whether JSON was asked for in a command line that could not be read."""
    return "--format=json" in words or ("--format", "json") in pairwise(words)


def told(error: UnvanishError) -> str:
    """Return an error as rustc would say it."""
    lines = [f"error: {error.what}"]
    first, *more = error.where.splitlines() or [""]
    if first:
        lines += [f"  --> {first}", *(f"      {line}" for line in more)]
    first, *more = error.help.splitlines() or [""]
    if first:
        lines += [f"help: {first}", *(f"    {line}" for line in more)]
    return "\n".join(lines)


def _stumbled(error: Exception) -> UnvanishError:
    """Return what to say about an exception that nobody expected."""
    message = (str(error).splitlines() or [""])[0]
    command = shlex.join(["unvanish", *sys.argv[1:]])
    return UnvanishError(
        f"unvanish itself failed, please report it: {type(error).__name__}: {message}",
        help=f"{TRACEBACK}=1 {command}   shows the traceback to report",
    )
