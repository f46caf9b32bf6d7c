"""Standard streams that are closed, full or written to behind our back."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_OUT, _ERR = 1, 2


def open_closed_streams() -> None:
    """Give a process that was started without a standard stream one that swallows everything.

    A file opened later would else become the stream, and Python's own is None.
    """
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > _ERR:
            os.close(descriptor)
            break
    if sys.stdout is None:
        sys.stdout = vars(sys)["__stdout__"] = _swallowing()
    if sys.stderr is None:
        sys.stderr = vars(sys)["__stderr__"] = _swallowing()


def silence(stream: TextIO) -> None:
    """Let nothing come out of a stream any more, not even what it still holds."""
    with contextlib.suppress(OSError, ValueError):
        # Python flushes the stream once more when it ends, which must not complain either.
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, stream.fileno())
        os.close(descriptor)
    with contextlib.suppress(OSError, ValueError):
        stream.flush()


@contextmanager
def stdout_set_aside() -> Iterator[None]:
    """Send to stderr whatever a block writes to stdout, by whatever way.

    A print, ``sys.__stdout__``, the file descriptor and a child process all end up there.
    """
    with contextlib.redirect_stdout(sys.stderr), _descriptor_set_aside():
        yield


@contextmanager
def _descriptor_set_aside() -> Iterator[None]:
    _flush()
    try:
        kept = os.dup(_OUT)
        os.dup2(_ERR, _OUT)
    except OSError:  # no such descriptor, and so nobody who reads it
        yield
        return
    try:
        yield
    finally:
        _flush()
        os.dup2(kept, _OUT)
        os.close(kept)


def retire_stdout() -> None:
    """Keep what the checked code says when Python ends out of what has been reported."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        os.dup2(_ERR, _OUT)


def _flush() -> None:
    """Write out what Python and C still hold back for stdout."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).fflush(None)


def _swallowing() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 (a stream, kept open)
