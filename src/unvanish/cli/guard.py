"""From an exception to a message and an exit code. Users never see a traceback of ours."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import dataclass
from typing import Any, Final

import click

from unvanish.cli.screen import complain, emit
from unvanish.core.errors import UnvanishError

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


class GuardedGroup(click.Group):
    """A group of commands whose exceptions end as one message and one exit code."""

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
        document = {
            "schema": 1,
            "error": {"what": error.what, "where": error.where, "help": error.help},
        }
        emit(json.dumps(document, indent=2))


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
