"""An edit of the user's own source: what a treated network looks like in code. Without torch."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Safety(StrEnum):
    """What a patch asks of a network that has already been trained."""

    SAFE = "safe"
    """The network computes what it did, and its checkpoints still load."""

    CHANGES_FUNCTION = "changes the function"
    """Checkpoints still load; the outputs are others, and training has to go on."""

    RETRAIN = "needs retraining"
    """What was learnt is lost, or checkpoints no longer load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEdit:
    """One file before and after.

    Attributes:
        path: The file, as it is to be shown.
        before: Its text.
        after: Its text with the remedy.
    """

    path: str
    before: str
    after: str

    def diff(self, context: int = 2) -> Iterator[str]:
        """Yield the unified diff, line by line, without line ends."""
        yield from difflib.unified_diff(
            self.before.splitlines(),
            self.after.splitlines(),
            self.path,
            self.path,
            n=context,
            lineterm="",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """What to write to have the treated network in code.

    Attributes:
        remedies: Names of the remedies, in order.
        safety: What it asks of a trained network.
        files: The files to change; empty where the source cannot be edited safely.
        snippet: Lines to paste where there are no files.
        unsafe: Why the source is not edited; empty where it is.
        agrees: Whether the patched source, run anew, gave the network that was tested; None
            where that was not tried.
        differs: In what it does not agree; empty where it does.
        notes: What else the user should know before it is written, in full sentences.
    """

    remedies: tuple[str, ...]
    safety: Safety
    files: tuple[FileEdit, ...] = ()
    snippet: str = ""
    unsafe: str = ""
    agrees: bool | None = None
    differs: str = ""
    notes: tuple[str, ...] = ()
