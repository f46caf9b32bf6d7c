"""What follows a cure: what was written, and the literal commands that go on from it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from rich.text import Text

from unvanish.core.cures import IN_PYTHON, Cure
from unvanish.core.findings import Diagnosis, Severity
from unvanish.core.proofs import Conclusion
from unvanish.show.sheet import Lines, Sheet, join, styled

_HANG: Final = 11
_LONGER: Final = 4
"""How many times as many steps are named where a trial shows no effect."""
STALE: Final = "changed while the trial ran"
"""What is said of a file that is not what was tried any more."""


def command_of(cure: Cure, *further: str, file: str = "") -> str:
    """Return the literal command line that such a cure comes from.

    Args:
        cure: The cure.
        further: Options to add.
        file: A saved report, which can be the target: no trial is made then.
    """
    if file:
        return shlex.join(["unvanish", "cure", file, *further])
    origin = cure.origin
    words = ["unvanish", "cure", origin.target]
    words += ["--data", origin.data] if origin.data not in {"", IN_PYTHON} else []
    shape = ",".join(map(str, origin.input_shape))
    words += ["--input-shape", shape] if shape else []
    words += ["--classes", str(origin.classes)] if origin.classes else []
    words += ["--device", origin.device] if origin.device else []
    words += ["--seed", str(origin.seed)] if origin.seed else []
    return shlex.join([*words, *origin.options, *further])


def fix_command(cure: Cure) -> str:
    """Return the command line that writes an edit which nothing has proven.

    Args:
        cure: The cure.
    """
    words = ["unvanish", "fix", cure.origin.target]
    for name in cure.remedies:
        words += ["--remedy", name]
    return shlex.join([*words, "--write"])


def is_stale(cure: Cure) -> bool:
    """Tell whether a file of the network was edited or deleted while it was tried.

    Args:
        cure: The cure.
    """
    said = (*cure.warnings, cure.patch.unsafe if cure.patch is not None else "")
    return any(STALE in each for each in said)


def next_lines(cure: Cure, rechecked: Diagnosis | None, sheet: Sheet, *, file: str = "") -> Lines:
    """Lay out what was written, what is left to the user, and the commands that go on.

    Args:
        cure: The cure.
        rechecked: What the rules say about the network of the written files; None for none.
        sheet: Where to lay it out.
        file: Where the report was saved; empty for nowhere.

    Returns:
        Lines.
    """
    lines: Lines = []
    for path, backup in zip(cure.written, cure.backups, strict=True):
        words = f"{path} was written; {backup} holds it as it was"
        lines += sheet.paragraph(styled("written: ", "clear"), [sheet.prose(words)])
    if rechecked is not None:
        found = {f.code for f in rechecked.findings if f.severity is not Severity.NOTE}
        words = f"{', '.join(sorted(found))} is left" if found else "clear"
        words = f"the file was checked again: {words}"
        lines += sheet.paragraph(styled("  check: ", "strong"), [sheet.prose(words)])
    lines += list_lines("   left: ", cure.left, sheet)
    if cure.saved:
        words = f"{cure.saved}/cured.py: `from cured import build, optimizer, loss`"
        lines += sheet.paragraph(styled("  saved: ", "clear"), [sheet.prose(words)])
    for warning in cure.warnings:
        lines += sheet.paragraph(styled("warning: ", "warning"), [sheet.prose(warning)])
    is_users = not cure.origin.target.startswith("zoo:")
    has_files = cure.patch is not None and bool(cure.patch.files)
    can_write = is_users and has_files and not cure.written
    can_save = cure.is_changed and cure.proof is not None and not cure.saved and not is_stale(cure)
    if _is_in_python(cure):
        calls = [("  write: ", "cured.write()")] if can_write else []
        calls += [("  build: ", "cured.build(seed=0)")] if can_save else []
        for title, call in calls:
            lines += sheet.paragraph(styled(title, "help"), [sheet.text(call, "strong")])
    else:
        if can_write:
            proven = command_of(cure, "--write", file=file)
            command = proven if cure.proof is not None else fix_command(cure)
            lines += _command("  write: ", command, sheet)
        if can_save:
            lines += _command("   save: ", command_of(cure, "--save", "cured", file=file), sheet)
    lines += _further(cure, sheet)
    if file:
        lines += _command("   show: ", shlex.join(["unvanish", "show", file]), sheet)
    return lines


def _is_in_python(cure: Cure) -> bool:
    """Tell whether no command line gives this cure, as a part of it was given in Python."""
    return cure.origin.is_given or cure.origin.data == IN_PYTHON


def _further(cure: Cure, sheet: Sheet) -> Lines:
    """Name the command that may decide what this trial did not."""
    proof = cure.proof
    undecided = cure.conclusion in {Conclusion.INCONCLUSIVE, Conclusion.NO_EFFECT}
    if proof is None or not undecided or _is_in_python(cure):
        return []
    if any(note.startswith("it was interrupted") for note in proof.notes):
        words = "the same command goes on where it was"
        return sheet.paragraph(styled("   help: ", "help"), [sheet.prose(words)])
    if proof.is_partial:
        words = "a larger --budget, or fewer steps, lets it come to its end"
        return sheet.paragraph(styled("   help: ", "help"), [sheet.prose(words)])
    option, value = "--seeds", str(2 * max(2, len(proof.seeds)))
    if cure.conclusion is Conclusion.NO_EFFECT:
        option, value = "--budget", f"{_LONGER * proof.steps}steps"
    origin = replace(cure.origin, options=_without(cure.origin.options, option))
    again = command_of(replace(cure, origin=origin), option, value)
    return _command("  again: ", again, sheet)


def _without(options: Sequence[str], name: str) -> tuple[str, ...]:
    """Return options without one of them and its value."""
    if name not in options:
        return tuple(options)
    place = list(options).index(name)
    return (*options[:place], *options[place + 2 :])


def _command(title: str, command: str, sheet: Sheet) -> Lines:
    """Lay out a command such that it can be pasted whole: what is continued says so."""
    words = _words(command)
    rows, row, room = [], "", sheet.width - len(title)
    for place, word in enumerate(words, start=1):
        end = 0 if place == len(words) else 2
        if row and len(row) + 1 + len(word) + end > room:
            rows.append(f"{row} \\")
            row, room = "", sheet.width - _HANG
        row = f"{row} {word}" if row else word
    leads = [styled(title, "help"), *(Text(" " * _HANG) for _ in rows)]
    lines = zip(leads, [*rows, row], strict=True)
    return [join([lead, sheet.text(line, "strong")]) for lead, line in lines]


def _words(command: str) -> list[str]:
    """Split a command line at its spaces, and not inside of quotes."""
    return [shlex.quote(word) for word in shlex.split(command)]


def list_lines(
    title: str, sentences: Sequence[str], sheet: Sheet, *, lead: str = "strong", style: str = ""
) -> Lines:
    """Lay out sentences behind a title; every note has its own.

    Args:
        title: Such as ``"   left: "``.
        sentences: In order.
        sheet: Where to lay them out.
        lead: Style of the title.
        style: Style of the sentences.

    Returns:
        Lines.
    """
    lines: Lines = []
    for count, sentence in enumerate(sentences):
        head = styled(title, lead) if not count or lead == "note" else Text(" " * len(title))
        lines += sheet.paragraph(head, [sheet.prose(sentence, style)])
    return lines
