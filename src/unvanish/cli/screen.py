"""What is known about the place the output goes to, and how to write there."""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass
from typing import Final, TextIO

from unvanish.cli.streams import silence
from unvanish.core.errors import CouldNotMeasureError

NARROWEST, USUAL, WIDEST = 60, 80, 96
_CONTROL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)


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
    """Write to stdout; a reader that has gone away is no error.

    Raises:
        CouldNotMeasureError: If stdout takes nothing for another reason, such as a full disk.
    """
    if not text.endswith("\n"):
        text += "\n"
    encoding = sys.stdout.encoding or "ascii"
    try:
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)
    except OSError as error:
        silence(sys.stdout)
        raise CouldNotMeasureError(f"stdout cannot be written: {error.strerror}") from error


def complain(text: str) -> None:
    """Write to stderr, whatever its encoding can hold, and not even if it takes nothing."""
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    try:
        sys.stderr.write(plain(text).encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stderr.flush()
    except OSError:
        silence(sys.stderr)


def plain(text: str) -> str:
    """Return a text whose control characters can no longer steer a terminal."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
