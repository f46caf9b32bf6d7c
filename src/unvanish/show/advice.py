"""The ranking of what could be done, and the edit of the source, as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from rich.text import Text

from unvanish.core.patches import Patch, Safety
from unvanish.core.prescriptions import Advice, Option, Outlook, Receipt
from unvanish.show.profile import profile_rows
from unvanish.show.sheet import Lines, Sheet, join, styled
from unvanish.show.snippets import fitted
from unvanish.show.words import power

_MOST: Final = 6
_MOST_USELESS: Final = 4
_MOST_EDITS: Final = 4
_MOST_PLACES: Final = 3
_MOST_UPDATES: Final = 12
_NAME: Final = 31
_SHORTEST: Final = 9
_CODES: Final = 9
_NUMBER: Final = 9
_ROUNDING: Final = 1e-8
_NOTHING: Final = "nothing"
_PASTED: Final = 9
"""Column of the lines to paste."""


def advice_lines(advice: Advice, sheet: Sheet, *, target: str = "", verbose: bool = False) -> Lines:
    """Lay out what was tried on a copy, best first.

    Args:
        advice: What was tried.
        sheet: Where to lay it out.
        target: The network as the user named it, for the command to run; empty for none.
        verbose: Whether everything that was tried and refused is told.

    Returns:
        Lines; empty where nothing is to be done.
    """
    if advice.nothing:
        return sheet.paragraph(styled("   help: ", "help"), [sheet.prose(advice.nothing)])
    options = [option for option in advice.options if not option.failed]
    useful = [option for option in options if _helps(option)]
    useless = [option for option in options if option not in useful]
    if not advice.options:
        words = "no remedy that changes the network fits what was found"
        lines = sheet.paragraph(styled("   help: ", "help"), [styled(words, "")])
        return lines + _refusals(advice, sheet)
    count = len(advice.options)
    words = (
        f"{count} {'remedy' if count == 1 else 'remedies'} tried on a copy, before any training; "
        "the least change that cures stands first"
    )
    lines = sheet.paragraph(styled("   help: ", "help"), [styled(words, "")])
    lines.append(_heading(sheet))
    lines += _row(sheet, sheet.glyphs.none, "as it is", advice.before, _left(advice.before))
    shown = useful if verbose else useful[:_MOST]
    for number, option in enumerate(shown, start=1):
        assert option.outlook is not None
        left = _left(option.outlook)
        mark = str(number) if left == _NOTHING else sheet.glyphs.weak
        lines += _row(sheet, mark, option.name, option.outlook, left)
    if len(useful) > len(shown):
        lines.append(styled(f"      and {len(useful) - len(shown)} more; -v lists them", "quiet"))
    for option in useless if verbose else useless[:_MOST_USELESS]:
        assert option.outlook is not None
        said = _left(option.outlook)
        lines += _row(sheet, sheet.glyphs.no, option.name, option.outlook, said, style="quiet")
    if not useful:
        lines += sheet.paragraph(
            Text(" " * 9), [sheet.prose("nothing that was tried cures what was found")]
        )
    if verbose or not useful:
        lines += _refusals(advice, sheet)
    if target:
        count = len(advice.untried)
        more = f"; it tries {count} {'remedy' if count == 1 else 'remedies'} more" if count else ""
        words = f"`unvanish fix {target}` shows the edit of the source{more}"
        lines += sheet.paragraph(Text(" " * 9), [sheet.prose(words)])
    return lines


def fix_lines(
    advice: Advice,
    chosen: Option | None,
    receipts: Sequence[Receipt],
    patch: Patch | None,
    sheet: Sheet,
    *,
    verbose: bool = False,
) -> Lines:
    """Lay out what was chosen, what it changed, and the edit of the source.

    Args:
        advice: What was tried.
        chosen: What is to be done; None for nothing.
        receipts: What it changed in a copy.
        patch: The edit of the source.
        sheet: Where to lay it out.
        verbose: Whether every single change is told.

    Returns:
        Lines.
    """
    if chosen is None:
        return []
    lines: Lines = [Text()]
    lines += sheet.paragraph(
        join([styled("fix", "clear"), ": "]), [sheet.prose(chosen.name, "strong")], hang=2
    )
    first = next((o for o in advice.options if not o.failed), chosen)
    if first.remedies != chosen.remedies and chosen.can_be_written and not first.can_be_written:
        words = (
            f"the first that your source can say by itself; {first.name} takes a call of "
            f"unvanish: --remedy {' --remedy '.join(first.remedies)}"
        )
        lines += sheet.paragraph(styled(" chosen: ", "strong"), [sheet.prose(words)])
    for one in chosen.prescriptions:
        lines += sheet.paragraph(styled("    why: ", "strong"), [sheet.prose(one.why)])
        if one.cost:
            lines += sheet.paragraph(styled("   cost: ", "strong"), [sheet.prose(one.cost)])
    lines += _outcome(advice.before, chosen, sheet, verbose=verbose)
    for receipt in receipts:
        lines += change_lines(receipt, sheet, verbose=verbose)
    return lines if patch is None else lines + patch_lines(patch, sheet)


def patch_lines(patch: Patch, sheet: Sheet) -> Lines:
    """Lay out the edit of the source, or the lines to paste where it is not edited.

    Args:
        patch: The edit.
        sheet: Where to lay it out.

    Returns:
        Lines, an empty one first.
    """
    lines: Lines = [Text()]
    if not patch.files:
        lines += sheet.paragraph(
            styled("   note: ", "note"),
            [sheet.prose(f"the source is not edited: {patch.unsafe}")],
        )
        if patch.snippet:
            lines += sheet.paragraph(styled("   help: ", "help"), [styled("paste instead", "")])
        for line in patch.snippet.splitlines():
            pieces = fitted(line, sheet.width - _PASTED)
            lines += [sheet.text(f"{' ' * _PASTED}{piece}".rstrip()) for piece in pieces]
        return lines
    for edit in patch.files:
        for line in edit.diff():
            style = {"+": "fine", "-": "starved", "@": "place"}.get(line[:1], "")
            lines.append(sheet.text(line if line.strip() else "", style))
    lines.append(Text())
    said = {
        Safety.SAFE: "safe: a trained network computes the same, and its checkpoints load",
        Safety.CHANGES_FUNCTION: "changes the function: checkpoints load, training has to go on",
        Safety.RETRAIN: "needs retraining: what was learnt is lost, or checkpoints do not load",
    }[patch.safety]
    lines += sheet.paragraph(styled("  label: ", "strong"), [styled(said, "")])
    for note in patch.notes:
        lines += sheet.paragraph(styled("   note: ", "note"), [sheet.prose(note)])
    if patch.agrees:
        said = "the edited source was run and gives the network that was tested"
        lines += sheet.paragraph(styled(" tested: ", "strong"), [styled(said, "")])
    return lines


def _outcome(before: Outlook, option: Option, sheet: Sheet, *, verbose: bool) -> Lines:
    after = option.outlook
    if after is None:
        return []
    cures = ", ".join(option.cures) or "nothing"
    words = f"cures {cures}" if option.cures else "it cures nothing that was found"
    if option.brings:
        words += f", but brings {', '.join(option.brings)}"
    rows = [words]
    if not math.isnan(after.flow_decades):
        flows = [power(one.flow_decades) for one in (before, after)]
        rows.append(f"gradient, worst layer over output: {flows[0]} before, {flows[1]} after")
    if verbose:
        rows += profile_rows(before.profile, after.profile, sheet)
    if not math.isnan(after.sample_cosine):
        rows.append(
            f"likeness of the outputs of two samples: {before.sample_cosine:.3f} before, "
            f"{after.sample_cosine:.3f} after (1 is the same for all)"
        )
    if not math.isnan(after.smallest_update):
        rows.append(
            f"smallest relative step of a weight: {_step(before.smallest_update, '.1e')} before, "
            f"{_step(after.smallest_update, '.1e')} after"
        )
    if verbose:
        rows += _updates(before.updates, after.updates, sheet)
    rows.append(
        f"cost of a step: time x{after.milliseconds / before.milliseconds:.1f}, memory of the "
        f"forward pass x{after.saved_bytes / max(1, before.saved_bytes):.2f}, parameters "
        f"x{after.parameters / max(1, before.parameters):.2f}"
    )
    lines: Lines = []
    for number, row in enumerate(rows):
        lead = styled(" effect: ", "strong") if not number else Text(" " * 9)
        lines += sheet.paragraph(lead, [sheet.prose(row)])
    return lines


def _updates(before: Mapping[str, float], after: Mapping[str, float], sheet: Sheet) -> list[str]:
    """Return the relative step of each weight before and after; of many the smallest after."""
    names = list(after)
    if len(names) > _MOST_UPDATES:
        smallest = set(sorted(names, key=after.__getitem__)[: _MOST_UPDATES // 2])
        names = [name for name in names if name in smallest]
    width = max((len(name) for name in names), default=0)
    rows = [
        f"  {sheet.elide(name, _NAME):{min(width, _NAME)}}  "
        f"{_step(before.get(name, math.nan), '.1e') or 'new':>7} before, "
        f"{_step(after[name], '.1e'):>7} after"
        for name in names
    ]
    others = sorted(value for name, value in after.items() if name not in names)
    if others:
        span = f"{_step(others[0], '.1e')} to {_step(others[-1], '.1e')}"
        rows.append(f"  and {len(others)} weights more: {span} after")
    return rows


def change_lines(receipt: Receipt, sheet: Sheet, *, verbose: bool = False) -> Lines:
    """Lay out what one remedy changed, like changes in one line.

    Args:
        receipt: What it changed.
        sheet: Where to lay it out.
        verbose: Whether every single change is told.

    Returns:
        Lines.
    """
    alike: dict[tuple[str, str], list[str]] = {}
    for edit in receipt.edits:
        alike.setdefault((edit.before, edit.after), []).append(edit.place)
    shown = list(alike.items()) if verbose else list(alike.items())[:_MOST_EDITS]
    lines: Lines = []
    for number, ((before, after), places) in enumerate(shown):
        lead = styled("changes: ", "strong") if not number else Text(" " * 9)
        named = [place for place in places if place]
        listed = ", ".join(named if verbose else named[:_MOST_PLACES])
        more = f" and {len(named) - _MOST_PLACES} more" if len(named) > _MOST_PLACES else ""
        place = f"{listed}{'' if verbose else more}: " if named else ""
        lines += sheet.paragraph(lead, [sheet.prose(f"{place}{before} → {after}")])
    left = sum(len(places) for places in alike.values()) - sum(len(p) for _, p in shown)
    if left:
        lines.append(styled(f"         and {left} more; -v lists them", "quiet"))
    for note in receipt.notes:
        lines += sheet.paragraph(styled("   note: ", "note"), [sheet.prose(note)])
    return lines


def _refusals(advice: Advice, sheet: Sheet) -> Lines:
    lines: Lines = []
    for name, reason in advice.refused.items():
        lines += sheet.paragraph(
            Text(" " * 6), [sheet.prose(f"{name} does not fit: {reason}", "quiet")], hang=9
        )
    for option in advice.options:
        if option.failed:
            lines += sheet.paragraph(
                Text(" " * 6), [sheet.prose(f"{option.name}: {option.failed}", "quiet")], hang=9
            )
    return lines


def _heading(sheet: Sheet) -> Text:
    titles = ("gradient", "alike", "step")
    words = "".join(f"{title:>{_NUMBER}}" for title in titles)
    return styled(f"      {'':{_name(sheet)}}{words}  {sheet.elide('left', 10)}", "quiet")


def _name(sheet: Sheet) -> int:
    """Return how wide the names are: as wide as they may be, but for a code or two beside them."""
    return max(_SHORTEST, min(_NAME, sheet.width - 8 - 3 * _NUMBER - _CODES))


def _row(
    sheet: Sheet, mark: str, name: str, outlook: Outlook, left: str, *, style: str = ""
) -> Lines:
    """Lay out one option; of a combination too long for its column the rest stands below."""
    numbers = (
        "" if math.isnan(outlook.flow_decades) else power(outlook.flow_decades),
        "" if math.isnan(outlook.sample_cosine) else f"{outlook.sample_cosine:.3f}",
        _step(outlook.smallest_update, ".0e"),
    )
    words = "".join(f"{number:>{_NUMBER}}" for number in numbers)
    room = _name(sheet)
    first, *rest = (sheet.elide(part, room - 1) for part in _parts(name, room - 1))
    head = f"  {mark:>2}  {first:{room}}{words}  "
    line = f"{head}{_fitted(left, max(8, sheet.width - len(head)))}"
    return [sheet.text(one.rstrip(), style) for one in (line, *(f"      {part}" for part in rest))]


def _parts(name: str, width: int) -> list[str]:
    """Return the names of a combination in as few lines as they fit in."""
    lines: list[str] = []
    for number, one in enumerate(name.split(" + ")):
        words = f"+ {one}" if number else one
        if lines and len(lines[-1]) + 1 + len(words) <= width:
            lines[-1] += f" {words}"
        else:
            lines.append(words)
    return lines


def _step(value: float, form: str) -> str:
    """Return a relative step; one below the rounding of float32 moves nothing."""
    return "" if math.isnan(value) else "none" if value < _ROUNDING else format(value, form)


def _fitted(codes: str, width: int) -> str:
    """Return as many codes as there is room for, and how many there are besides."""
    if len(codes) <= width:
        return codes
    names = codes.split()
    for kept in range(len(names) - 1, 0, -1):
        words = f"{' '.join(names[:kept])} +{len(names) - kept}"
        if len(words) <= width:
            return words
    return f"{names[0]} +{len(names) - 1}"


def _left(outlook: Outlook) -> str:
    codes = [code for code, severity in sorted(outlook.findings.items()) if severity != "note"]
    return " ".join(codes) or _NOTHING


def _helps(option: Option) -> bool:
    """Tell whether an option leaves less to worry about than there was."""
    return bool(option.cures) and not option.brings
