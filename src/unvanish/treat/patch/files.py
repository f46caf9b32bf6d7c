"""Write the edit of a source into its files, with what they held kept beside them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unvanish.core.errors import UnvanishError
from unvanish.core.patches import Patch
from unvanish.treat.patch.encodings import decoded, encoded

_OURS = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written.

    Attributes:
        files: The files.
        backups: Copies of these as they were, in the same order.
        warnings: What the user should know.
    """

    files: tuple[str, ...]
    backups: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def write(patch: Patch, *, verb: str) -> Written:
    """Write all files of an edit, or none.

    Args:
        patch: The edit.
        verb: The command that writes, for the calls that errors advise: ``"fix"``.

    Returns:
        What was written.

    Raises:
        UnvanishError: If a file is ours, is read-only, has changed since, or cannot be written.
    """
    for edit in patch.files:
        _check(Path(edit.path), edit.path, edit.before, verb)
    warnings = tuple(
        f"{edit.path} has changes that are not committed; the backup holds them"
        for edit in patch.files
        if _is_dirty(Path(edit.path))
    )
    backups: list[str] = []
    for edit in patch.files:
        path = Path(edit.path)
        backup = _free(path.with_suffix(path.suffix + ".orig"))
        try:
            shutil.copy2(path, backup)
            backups.append(str(backup))
            path.write_bytes(encoded(edit.after, path))
        except OSError as error:
            left = _put_back(patch, backups)
            if str(backup) not in backups:
                backup.unlink(missing_ok=True)
            raise UnvanishError(
                f"the file cannot be written: {error.strerror}",
                where=str(path),
                help=f"nothing was changed; unvanish {verb} without --write shows what to write"
                if not left
                else f"what it held is in {left[0]}: copy it back",
            ) from error
    return Written(
        files=tuple(edit.path for edit in patch.files), backups=tuple(backups), warnings=warnings
    )


def _put_back(patch: Patch, backups: Sequence[str]) -> list[str]:
    """Give files back what they held, and return the backups of those that did not take it."""
    left = []
    for written, old in zip(patch.files, backups, strict=False):
        try:
            shutil.copy2(old, written.path)
            Path(old).unlink()
        except OSError:
            left.append(old)
    return left


def _check(path: Path, shown: str, before: str, verb: str) -> None:
    if path.resolve().is_relative_to(_OURS):
        raise UnvanishError(
            "this file is a part of unvanish and is not written",
            where=shown,
            help=f"cp {shown} my_network.py && unvanish {verb} my_network.py --write",
        )
    if not path.is_file():
        raise UnvanishError("the file is gone, and is not written", where=shown)
    if not path.stat().st_mode & 0o222:
        raise UnvanishError(
            "the file is read-only",
            where=shown,
            help=f"chmod u+w {shown}   if it is meant to be edited",
        )
    if decoded(path) != before:
        raise UnvanishError(
            "the file has changed since it was read, and is not written",
            where=shown,
            help=f"unvanish {verb} {shown} --write   once more",
        )


def _free(path: Path) -> Path:
    """Return a path that nothing stands at."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_suffix(f"{path.suffix}{number}")
    return free


def _is_dirty(path: Path) -> bool:
    """Tell whether git knows of changes in a file that are not committed."""
    try:
        done = subprocess.run(
            ["git", "status", "--porcelain", "--", path.name],
            cwd=path.parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0 and bool(done.stdout.strip())
