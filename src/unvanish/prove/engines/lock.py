"""One process at a time at a file: a lock that outlives neither its owner nor its use."""

from __future__ import annotations

import json
import os
import shlex
import socket
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

from unvanish.core.errors import UnvanishError


class Lock:
    """A file that says which process is at work.

    A lock whose process is gone is broken. It is given back at the latest when it is collected
    or Python ends.

    Args:
        path: The lock file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._giving_back: weakref.finalize[Any, Any] | None = None

    def take(self) -> None:
        """Take the lock; `OSError` where the folder cannot be written.

        Raises:
            UnvanishError: If another process has it.
        """
        mine = _self()
        for _ in range(2):
            try:
                file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            except FileExistsError:
                self._break_or_raise()
                continue
            try:
                os.write(file, json.dumps(mine).encode())
            finally:
                os.close(file)
            self._giving_back = weakref.finalize(self, _give_back, self.path, mine)
            return
        raise self._taken(_read(self.path))

    def release(self) -> None:
        """Give it back; a second time does nothing."""
        if self._giving_back is not None:
            self._giving_back()

    def _break_or_raise(self) -> None:
        """Remove a lock whose owner is gone.

        Raises:
            UnvanishError: If the owner is there, or it cannot be told.
        """
        owner = _read(self.path)
        if _is_alive(owner):
            raise self._taken(owner)
        aside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        with suppress(FileNotFoundError):  # someone else was quicker
            self.path.rename(aside)
            if _read(aside) != owner:  # someone else was quicker, and has it now
                aside.rename(self.path)
                raise self._taken(_read(self.path))
            aside.unlink()

    def _taken(self, owner: dict[str, Any]) -> UnvanishError:
        pid, host = owner.get("pid"), owner.get("host")
        remove = f"rm {shlex.quote(str(self.path))}"
        if host not in (None, socket.gethostname()):
            return UnvanishError(
                f"another trial works with the same journal: process {pid} on {host}",
                where=str(self.path),
                help=f"wait until it has ended, or, if it is gone: {remove}",
            )
        if pid == os.getpid():
            return UnvanishError(
                "another trial of this Python works with the same journal",
                where=str(self.path),
                help="journal.close()   on the other one",
            )
        return UnvanishError(
            f"another trial works with the same journal: process {pid}",
            where=str(self.path),
            help=f"wait until it has ended, or: kill {pid}",
        )


def _self() -> dict[str, Any]:
    pid = os.getpid()
    return {"pid": pid, "host": socket.gethostname(), "born": _born(pid)}


def _read(path: Path) -> dict[str, Any]:
    """Return what a lock says; nothing where it was cut off or is gone."""
    try:
        owner = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _is_alive(owner: dict[str, Any]) -> bool:
    """Tell whether the owner of a lock still runs; yes where that cannot be told."""
    pid = owner.get("pid")
    if not isinstance(pid, int) or pid < 1:
        return False  # killed while it wrote its lock
    if owner.get("host") != socket.gethostname():
        return True
    if pid == os.getpid() or os.name != "posix":
        return owner.get("born") == _born(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return owner.get("born") in ("", _born(pid))


def _born(pid: int) -> str:
    """Return when a process was started, where the system says so: numbers are given out anew."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _give_back(path: Path, mine: dict[str, Any]) -> None:
    """Remove a lock, unless this is a fork of its owner or it is another's by now."""
    if os.getpid() == mine["pid"] and _read(path) == mine:
        with suppress(OSError):
            path.unlink()
