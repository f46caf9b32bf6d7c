"""Write a file whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from unvanish.core.errors import UnvanishError


@contextmanager
def replacing(output: str) -> Iterator[Path]:
    """Write beside a file in a block; at its end what was written takes the file's place.

    Args:
        output: The file.

    Yields:
        The path to write to.

    Raises:
        UnvanishError: If it cannot be written.
    """
    target = Path(output)
    part = target.with_name(target.name + ".part")
    try:
        yield part
        part.replace(target)
    except OSError as error:
        raise UnvanishError(f"cannot be written: {error.strerror}", where=output) from None
    finally:
        part.unlink(missing_ok=True)


def write_lines(lines: Iterable[str], output: str) -> str:
    """Write text to a file.

    Args:
        lines: The lines, each with its end.
        output: The file; an existing one is replaced.

    Returns:
        The file.
    """
    with replacing(output) as part, part.open("w", encoding="utf-8", newline="") as file:
        file.writelines(lines)
    return output


def folder_of(output: str) -> Path:
    """Make a folder.

    Args:
        output: Its path; it may exist.

    Returns:
        The folder.

    Raises:
        UnvanishError: If it cannot be made.
    """
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnvanishError(f"cannot be written: {error.strerror}", where=output) from None
    return folder
