"""What is known about the place the output goes to, and how to write there."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from typing import TextIO

NARROWEST, USUAL, WIDEST = 60, 80, 96


@dataclass(frozen=True, slots=True)
class Screen:
    """How to write.

    Attributes:
        width: Columns.
        color: Whether to write ANSI colours.
        ascii: Whether to write ASCII only.
    """

    width: int = USUAL
    color: bool = False
    ascii: bool = False

    @classmethod
    def of(cls, stream: TextIO, color: str) -> Screen:
        """Look at a stream and the wish of the user.

        Args:
            stream: Where the output goes.
            color: ``"auto"``, ``"always"`` or ``"never"``.

        Returns:
            The screen.
        """
        from unvanish.show.terminal import wants_ascii, wants_color

        width = USUAL
        if stream.isatty():
            width = shutil.get_terminal_size((USUAL, 24)).columns
        return cls(
            width=min(max(width, NARROWEST), WIDEST),
            color=color == "always" or (color == "auto" and wants_color(stream)),
            ascii=wants_ascii(stream),
        )


def emit(text: str) -> None:
    """Write to stdout; a reader that has gone away is no error."""
    if not text.endswith("\n"):
        text += "\n"
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "ascii"
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more when it ends, which must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(text: str) -> None:
    """Write to stderr, whatever its encoding can hold."""
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stderr.flush()
