"""A file's text in the encoding that it declares, as Python itself reads it."""

from __future__ import annotations

import io
import tokenize
from pathlib import Path


def decoded(path: Path) -> str:
    """Return the text of a file of Python, its line ends as they are.

    Args:
        path: The file: UTF-8, with or without a mark at its head, or as its first lines say.

    Raises:
        SyntaxError: If no such encoding is known.
        UnicodeDecodeError: If the file is not in it.
    """
    held = path.read_bytes()
    return held.decode(_encoding(held))


def encoded(text: str, path: Path) -> bytes:
    """Return a text in the encoding of the file that it is meant for.

    Args:
        text: What is to be written.
        path: The file, as it was read.
    """
    return text.encode(_encoding(path.read_bytes()))


def _encoding(held: bytes) -> str:
    return tokenize.detect_encoding(io.BytesIO(held).readline)[0]
