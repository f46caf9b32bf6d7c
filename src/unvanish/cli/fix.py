"""`unvanish fix`: choose a remedy, show the edit of the source, and write it if asked to."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from unvanish.cli.screen import Screen, emit
from unvanish.cli.streams import stdout_set_aside
from unvanish.core.findings import Diagnosis, Severity
from unvanish.show.advice import advice_lines, fix_lines
from unvanish.show.sheet import Lines, Sheet, paint, styled

if TYPE_CHECKING:
    from unvanish.fixing import Fix


@dataclass(frozen=True, kw_only=True)
class FixOptions:
    """The options of `unvanish fix`, named as on the command line."""

    target: str
    remedy: tuple[str, ...] = ()
    write: bool = False
    keep_architecture: bool = False
    seed: int = 0
    device: str | None = None
    input_shape: tuple[int, ...] | None = None
    classes: int | None = None
    verbose: bool = False


def run_fix(options: FixOptions, screen: Screen, *, as_json: bool) -> int:
    """Find a fix, show it, and return the exit code."""
    from unvanish.fixing import fix

    asked = {k: v for k, v in asdict(options).items() if k != "verbose"}
    with stdout_set_aside():
        found = fix(**asked)
    if as_json:
        emit(json.dumps(_document(found), indent=2, allow_nan=False))
    else:
        sheet = Sheet.of(screen.width, ascii=screen.ascii)
        emit(paint(_lines(found, options, sheet), color=screen.color))
    return _exit_code(found, write=options.write)


def _exit_code(found: Fix, *, write: bool) -> int:
    """Return 0 where nothing is wrong or the written files are clear, else 1."""
    if write and found.after is not None:
        return 1 if _worrying(found.after) else 0
    return 1 if _worrying(found.diagnosis) else 0


def _worrying(diagnosis: Diagnosis) -> list[str]:
    return sorted({f.code for f in diagnosis.findings if f.severity is not Severity.NOTE})


def _lines(found: Fix, options: FixOptions, sheet: Sheet) -> Lines:
    lines: Lines = []
    for root in found.diagnosis.roots:
        if root.severity is not Severity.NOTE:
            head = styled(f"{root.severity.value}[{root.code}]: ", root.severity.value)
            lines += sheet.paragraph(head, [sheet.prose(root.message, "strong")], hang=2)
    if lines:
        lines.append(Text())
    if found.advice.nothing and found.diagnosis.worst in {"clear", "note"}:
        lines += sheet.paragraph(styled("clear: ", "clear"), [sheet.prose(_calm(found))])
    elif not options.remedy:
        lines += advice_lines(found.advice, sheet, verbose=options.verbose)
    lines += fix_lines(
        found.advice, found.chosen, found.receipts, found.patch, sheet, verbose=options.verbose
    )
    if not math.isnan(found.suggested_rate):
        words = (
            f"a range test on the treated copy suggests {found.suggested_rate:.1e}; it was treated "
            f"with {found.learning_rate:.1e}"
        )
        lines += sheet.paragraph(styled("   rate: ", "strong"), [sheet.prose(words)])
    for warning in found.warnings:
        lines += sheet.paragraph(styled("warning: ", "warning"), [sheet.prose(warning)])
    return lines + _ending(found, options, sheet)


def _calm(found: Fix) -> str:
    """Say that there is nothing to do, and where the notes are if there are any."""
    notes = len(found.diagnosis.findings)
    if not notes:
        return found.advice.nothing
    words = "is a note" if notes == 1 else f"are {notes} notes"
    return f"{found.advice.nothing}; there {words}: `unvanish check {found.target}`"


def _ending(found: Fix, options: FixOptions, sheet: Sheet) -> Lines:
    patch = found.patch
    if patch is None or not patch.files:
        return []
    if not found.written:
        remedies = "".join(f" --remedy {name}" for name in patch.remedies)
        words = f"`unvanish fix {options.target}{remedies} --write` writes it"
        return sheet.paragraph(styled("   help: ", "help"), [sheet.prose(words)])
    lines: Lines = []
    for path, backup in zip(found.written, found.backups, strict=True):
        words = f"{path} was written; {backup} holds it as it was"
        lines += sheet.paragraph(styled("written: ", "clear"), [sheet.prose(words)])
    assert found.after is not None
    left = _worrying(found.after)
    words = f"{', '.join(left)} {'are' if len(left) > 1 else 'is'} left" if left else "clear"
    words = f"the file was checked again: {words}"
    lines += sheet.paragraph(styled("  check: ", "strong"), [sheet.prose(words)])
    return lines


def _document(found: Fix) -> dict[str, Any]:
    """Return the documented JSON object."""
    from unvanish.core.packing import plain

    patch = found.patch
    return {
        "schema": 1,
        "target": found.target,
        "findings": _worrying(found.diagnosis),
        "advice": plain(found.advice),
        "chosen": list(found.chosen.remedies) if found.chosen else [],
        "receipts": plain(found.receipts),
        "patch": None
        if patch is None
        else {
            "remedies": list(patch.remedies),
            "safety": patch.safety.value,
            "agrees": patch.agrees,
            "unsafe": patch.unsafe,
            "snippet": patch.snippet,
            "notes": list(patch.notes),
            "files": [{"path": e.path, "diff": "\n".join(e.diff())} for e in patch.files],
        },
        "written": list(found.written),
        "backups": list(found.backups),
        "after": None if found.after is None else _worrying(found.after),
        "warnings": list(found.warnings),
        "learning_rate": plain(found.learning_rate),
        "suggested_rate": plain(found.suggested_rate),
    }
