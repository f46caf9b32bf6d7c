"""The command that is running, for errors that name the literal call to make."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_RUNNING: Final = ContextVar("running", default="check")


def running_verb() -> str:
    """Return the command of `unvanish` that is running; ``"check"`` outside of one."""
    return _RUNNING.get()


@contextmanager
def run_as(verb: str) -> Iterator[None]:
    """Let the errors of a block name another command than ``check``.

    Args:
        verb: A command that takes a TARGET: ``"fix"``.

    Yields:
        Nothing.
    """
    token = _RUNNING.set(verb)
    try:
        yield
    finally:
        _RUNNING.reset(token)
