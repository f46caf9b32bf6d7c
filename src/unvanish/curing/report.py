"""A cure told: as text, as JSON, as an exit code, as a file. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from unvanish.core.cures import Cure
from unvanish.core.proofs import Conclusion
from unvanish.core.reports import load_cure, save_cure
from unvanish.diagnose import diagnose
from unvanish.show.cure import render_cure
from unvanish.show.cure_json import cure_json

_DONE: Final = frozenset({Conclusion.CURED, Conclusion.IMPROVED, Conclusion.HEALTHY})


def text_of(
    cure: Cure,
    *,
    width: int = 80,
    color: bool = False,
    ascii: bool = False,
    verbose: bool = False,
    exit_code: int | None = None,
    file: str = "",
) -> str:
    """Return the terminal text of a cure.

    Args:
        cure: The cure, perhaps loaded from a file.
        width: Columns.
        color: Whether to write ANSI colours.
        ascii: Whether to write ASCII only.
        verbose: Whether everything that was tried, compared and held fixed is told.
        exit_code: Exit code to tell in the last line; None to leave it out.
        file: Where the report was saved; empty for nowhere.

    Returns:
        Lines that end with a newline.
    """
    return render_cure(
        cure,
        before=diagnose(cure.before),
        rechecked=None if cure.rechecked is None else diagnose(cure.rechecked),
        width=width,
        color=color,
        ascii=ascii,
        verbose=verbose,
        exit_code=exit_code,
        file=file,
    )


def document_of(cure: Cure) -> dict[str, Any]:
    """Return the documented JSON object of a cure.

    Args:
        cure: The cure, perhaps loaded from a file.
    """
    return cure_json(
        cure,
        before=diagnose(cure.before),
        after=None if cure.after is None else diagnose(cure.after),
        rechecked=None if cure.rechecked is None else diagnose(cure.rechecked),
    )


def exit_code_of(cure: Cure) -> int:
    """Return what `unvanish cure` exits with.

    Args:
        cure: The cure.

    Returns:
        0 where the network is healthy, cured or improved; 3 where nothing could be measured;
        else 1.
    """
    if cure.conclusion in _DONE:
        return 0
    return 3 if cure.conclusion is Conclusion.CANNOT else 1


def save(cure: Cure, path: str | Path) -> None:
    """Write a cure to a file that `unvanish show` opens.

    Args:
        cure: The cure.
        path: File to write; an existing one is replaced.
    """
    save_cure(cure, path)


def load(path: str | Path) -> Cure:
    """Open a saved cure. It can be shown, and not built.

    Args:
        path: A file that `save` wrote.

    Returns:
        The cure as plain data.
    """
    return load_cure(path)
