"""The ledger as text: every factor's decades, then block by block from the loss downwards."""

from __future__ import annotations

from typing import Final

from rich.text import Text

from unvanish.core.explanations import Explanation, Factor, Level, Term
from unvanish.core.records import Recording
from unvanish.show.sheet import Lines, Sheet, paint, styled

_SMALL: Final = 0.05
"""Decades; a factor below this is not named beside its block."""


def render_ledger(
    explanation: Explanation,
    recording: Recording,
    *,
    full: bool = False,
    width: int = 80,
    color: bool = False,
    ascii: bool = False,
) -> str:
    """Return the text of one ledger.

    Args:
        explanation: The ledger.
        recording: What it was made from, for the source lines.
        full: Whether every operation and factor is written, rather than blocks only.
        width: Columns; moved into the range from 48 to 96.
        color: Whether to write ANSI escape codes.
        ascii: Whether to write ASCII only.

    Returns:
        Lines no wider than the width, without trailing spaces, each ended by a newline.
    """
    sheet = Sheet.of(width, ascii=ascii)
    lines = compose_ledger(explanation, recording, sheet, full=full)
    for line in lines:
        line.rstrip()
    return paint(lines, color=color)


def compose_ledger(
    explanation: Explanation, recording: Recording, sheet: Sheet, *, full: bool
) -> Lines:
    """Return the lines of one ledger; see `render_ledger`."""
    ledger = explanation.ledger
    verb = "lost" if ledger.log10_gain < 0 else "gained"
    lines: Lines = sheet.paragraph(
        styled("ledger ", "strong"),
        [
            sheet.text(
                f"from the loss to {explanation.name}: the gradient's norm has "
                f"{verb} {abs(ledger.log10_gain):.2f} decades"
            )
        ],
    )
    lines.append(Text())
    totals = ledger.by_factor()
    widest = max((abs(v) for v in totals.values()), default=0.0)
    room = max(8, sheet.width - 34)
    for factor, decades in totals.items():
        bar = round(room * abs(decades) / widest) if 0 < widest < float("inf") else 0
        row = sheet.text(f"  {factor:<18}{decades:>+9.2f}  ")
        row.append_text(styled(sheet.glyphs.eighths[-1] * bar, "error" if decades < 0 else "quiet"))
        lines.append(row)
    lines.append(
        sheet.text(
            f"  {'sum':<18}{ledger.log10_gain:>+9.2f}  measured; the terms differ from it by "
            f"{abs(explanation.residue):.0e}",
            "quiet",
        )
    )
    if Factor.LOSS in totals and len(totals) > 1:
        behind = ledger.log10_gain - totals[Factor.LOSS]
        lines.append(sheet.text(f"  {'without the loss':<18}{behind:>+9.2f}", "quiet"))
    lines.append(Text())
    for block in ledger.children:
        lines += _block(block, recording, sheet, full=full, indent=2)
    lines += _theory(explanation, sheet)
    for terms in explanation.parameters:
        lines.append(Text())
        lines += sheet.paragraph(
            Text("  "),
            [
                sheet.text(
                    f"|d{terms.name}| = 1e{terms.log10_grad_norm:+.2f}: gradient "
                    f"1e{terms.log10_backward:+.2f} x signal 1e{terms.log10_forward:+.2f} x "
                    f"agreement of the samples 1e{terms.log10_coherence:+.2f}"
                )
            ],
        )
    return lines


def _theory(explanation: Explanation, sheet: Sheet) -> Lines:
    """Say what theory predicts for the same layers, and how far the measurement is from it."""
    layers = explanation.prediction.layers
    if not layers:
        said = f"no prediction: {explanation.prediction.reason}"
    else:
        first = layers[0]
        verdict = "as expected of" if explanation.prediction.is_within else "unlike"
        said = (
            f"predicts {first.predicted:+.2f} decades over {len(layers) - 1} plain layers, give or "
            f"take {first.band:.2f}; a random direction has {first.measured:+.2f}: {verdict} "
            "random weights of this size"
        )
    return [Text(), *sheet.paragraph(styled("  theory ", "strong"), [sheet.text(said)])]


def _block(term: Term, recording: Recording, sheet: Sheet, *, full: bool, indent: int) -> Lines:
    lead = sheet.text(f"{'':{indent}}{term.log10_gain:>+8.2f}  ")
    said = sheet.text(term.name)
    place = _place(term, recording)
    if full and place:
        said.append_text(styled(f"  {place}", "quiet"))
    if term.shares:
        parts = ", ".join(f"{name} {share:+.0%}" for name, share in term.shares)
        said.append_text(styled(f"  ({parts})", "quiet"))
    elif not full or term.level is Level.OPERATION:
        parts = _factors(term)
        if parts:
            said.append_text(styled(f"  ({parts})", "quiet"))
    lines = sheet.paragraph(lead, [said])
    if full and term.level is not Level.OPERATION:
        for child in term.children:
            if child.level is not Level.FACTOR or term.level is Level.MERGE:
                lines += _block(child, recording, sheet, full=full, indent=indent + 2)
    return lines


def _factors(term: Term) -> str:
    totals = {f: v for f, v in term.by_factor().items() if abs(v) >= _SMALL}
    if set(totals) <= {Factor.LOSS}:
        return ""
    return ", ".join(f"{factor} {decades:+.2f}" for factor, decades in totals.items())


def _place(term: Term, recording: Recording) -> str:
    if term.level is not Level.OPERATION or not term.sites:
        return ""
    source = recording.sites[term.sites[0]].source
    return str(source) if source else ""
