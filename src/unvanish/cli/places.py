"""Places that a long command will write to, tried before its work begins."""

from __future__ import annotations

import re
import shlex
import tempfile
from pathlib import Path
from typing import Final

from unvanish.core.errors import UnvanishError

_FILE: Final = re.compile(r"(?P<file>.*\.pyw?)(?::.*)?$", re.IGNORECASE)
_PROBE: Final = bytes(4096)
"""What is written to find out whether there is any space at all."""


def check_file(path: Path, option: str, *, target: str = "") -> None:
    """Refuse a file that could not be written, by writing one beside it.

    Args:
        path: The file; it need not be there.
        option: What it is given by, such as ``"--output"``.
        target: File of the network, which is not to be overwritten; empty for none.

    Raises:
        UnvanishError: If it is the network's own file, or cannot be written.
    """
    folder = path.absolute().parent
    shown = shlex.quote(str(path))
    try:
        if not folder.is_dir():
            raise _no_folder(path, option)
        if target and path.exists() and Path(target).exists() and path.samefile(target):
            raise UnvanishError(
                f"{option} would overwrite {target}, the file of the network",
                help=f"{option} {shlex.quote(str(path.with_suffix('.json')))}",
            )
        if path.exists() and not path.is_file():  # a device or a pipe: nothing can stand beside it
            return
        if path.exists() and not path.stat().st_mode & 0o222:
            raise UnvanishError(
                f"the file of {option} is read-only", where=str(path), help=f"chmod u+w {shown}"
            )
        _try(folder)
        if not path.exists():
            path.touch()
            path.unlink()
    except OSError as error:
        raise _unwritable("file", path, option, error) from error


def check_target(target: str) -> None:
    """Refuse to edit the file of a network that is read-only, or has no room beside it.

    Args:
        target: TARGET of the command; one that names no file is left to its import.

    Raises:
        UnvanishError: If the file could not be edited.
    """
    path = Path(file_of(target)).expanduser()
    try:
        if not file_of(target) or not path.is_file():
            return
        if not path.stat().st_mode & 0o222:
            raise UnvanishError(
                "the file is read-only, and --write could not edit it",
                where=str(path),
                help=f"chmod u+w {shlex.quote(str(path))}   if it is meant to be edited",
            )
        _try(path.absolute().parent)
    except OSError as error:
        raise _unwritable("file", path, "--write", error) from error


def file_of(target: str) -> str:
    """Return the file that a TARGET names, ``net.py`` of ``net.py:Net``; empty for none."""
    match = _FILE.match(target)
    return match["file"] if match else ""


def check_new_folder(path: Path, option: str) -> None:
    """Refuse a folder that could not be made or written into, by writing a file there.

    Args:
        path: The folder; it and what is above it need not be there.
        option: What it is given by, such as ``"--save"``.

    Raises:
        UnvanishError: If it cannot be written.
    """
    try:
        place = path.absolute()
        while not place.exists():
            place = place.parent
        if not place.is_dir():
            raise UnvanishError(
                f"{place} is a file, and {option} {path} needs a folder there",
                help=f"{option} {shlex.quote(path.name)}",
            )
        with tempfile.TemporaryDirectory(prefix=".unvanish-", dir=place) as folder:
            _try(Path(folder))
    except OSError as error:
        raise _unwritable("folder", path, option, error) from error


def _try(folder: Path) -> None:
    with tempfile.NamedTemporaryFile(prefix=".unvanish-", dir=folder) as file:
        file.write(_PROBE)
        file.flush()


def _no_folder(path: Path, option: str) -> UnvanishError:
    folder = path.parent
    if folder.exists():
        return UnvanishError(
            f"{folder} is a file, and {option} {path} needs a folder there",
            help=f"{option} {shlex.quote(path.name)}",
        )
    return UnvanishError(
        f"there is no folder {folder} for {option}",
        help=f"mkdir -p {shlex.quote(str(folder))}",
    )


def _unwritable(kind: str, path: Path, option: str, error: OSError) -> UnvanishError:
    name = path.name[:40] or "run"
    return UnvanishError(
        f"the {kind} of {option} cannot be written: {error.strerror or error}",
        where=str(path),
        help=f"{option} {shlex.quote(name)}   in a folder of your own"
        if option != "--write"
        else f"cp {shlex.quote(str(path))} FOLDER   with FOLDER one that you may write to",
    )
