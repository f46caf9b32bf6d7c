"""The user's files as a trial read them: to load from them again, and to notice an edit."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import decode_source
from pathlib import Path

from unvanish.core.records import Recording
from unvanish.core.stack import Owner, display_path, owner_of
from unvanish.recipe.address import kept_files
from unvanish.show.following import STALE
from unvanish.treat.patch.overlay import overlaid


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Files of the user's, and what each held when it was read.

    Attributes:
        held: Absolute path to the content.
    """

    held: Mapping[Path, bytes] = field(default_factory=dict)

    def joined(self, files: Iterable[str | Path]) -> Sources:
        """Return the same with further files, which are read now.

        Args:
            files: Paths; those that are not the user's or cannot be read are left out.
        """
        held = dict(self.held)
        for file in files:
            path = Path(file).absolute()
            content = None if path in held or not _is_users(path) else _content(path)
            if content is not None:
                held[path] = content
        return Sources(held=held)

    def changed(self) -> dict[Path, str]:
        """Return the files that hold something else now, and what became of each."""
        now = {path: _content(path) for path in self.held}
        return {
            path: "deleted" if now[path] is None else "changed"
            for path, content in self.held.items()
            if now[path] != content
        }

    def said(self) -> str:
        """Say that files have changed since they were read; empty where none has."""
        changed = self.changed()
        if not changed:
            return ""
        names = ", ".join(sorted(display_path(str(path)) for path in changed))
        verb = "were" if len(changed) > 1 else "was"
        gone = "put it back and " if set(changed.values()) == {"deleted"} else ""
        return f"{names} {verb} {STALE}: the answer is about the network as it was; {gone}run again"

    @contextmanager
    def as_read(self) -> Iterator[None]:
        """Let imports inside a block read the files as they were, even those that are gone."""
        changed = self.changed()
        if not changed:
            yield
            return
        texts = {path: decode_source(self.held[path]) for path in changed}
        with kept_files(changed), overlaid(texts):
            yield


def loaded_files() -> Iterator[Path]:
    """Yield the Python files of the user's modules that are imported, but for the main one."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name != "__main__" and isinstance(file, str) and file.endswith(".py"):
            yield Path(file)


def files_of(recording: Recording) -> Iterator[str]:
    """Yield the files that the layers of a network are built and called in.

    Args:
        recording: A look at the network.
    """
    for site in recording.sites:
        yield from (line.file for line in (site.source, site.built) if line is not None)


def _is_users(path: Path) -> bool:
    return path.suffix == ".py" and owner_of(str(path)) is Owner.USER


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
