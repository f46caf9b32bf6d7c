"""The whole ledger as text: network, blocks, branches, operations, factors; equal blocks folded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Final

from rich.text import Text

from unvanish.core.explanations import Explanation, Factor, Level, ParameterTerms, Prediction, Term
from unvanish.core.records import Recording
from unvanish.explain.composites import collapsed
from unvanish.show.axes import axes_lines
from unvanish.show.ledger import bar, place_words, repeats, theory_lines
from unvanish.show.sheet import Lines, Sheet, paint, styled
from unvanish.show.words import plural, power

_SMALL: Final = 0.005
"""Decades; a factor below this would be printed as zero."""

_MOST_LAYERS: Final = 8
_MOST_SHARES: Final = 3
_MANY: Final = 10.0
"""A share beyond which it is told as a multiple."""
_STEP: Final = 3
_NUMBER: Final = 8


def render_ledger(
    explanation: Explanation,
    recording: Recording,
    *,
    width: int = 80,
    color: bool = False,
    ascii: bool = False,
    verbose: bool = False,
) -> str:
    """Return the text of one ledger: every factor's total, then the tree.

    Args:
        explanation: The ledger.
        recording: What it was made from, for the source lines.
        width: Columns; moved into the range from 48 to 96.
        color: Whether to write ANSI escape codes.
        ascii: Whether to write ASCII only.
        verbose: Whether every one of equal blocks is written, rather than one of them.

    Returns:
        Lines no wider than the width, without trailing spaces, each ended by a newline.
    """
    sheet = Sheet.of(width, ascii=ascii)
    lines = tree_lines(explanation, recording, sheet, verbose=verbose)
    for line in lines:
        line.rstrip()
    return paint(lines, color=color)


def tree_lines(
    explanation: Explanation,
    recording: Recording,
    sheet: Sheet,
    *,
    verbose: bool = False,
    alone: bool = True,
) -> Lines:
    """Lay out one ledger; see `render_ledger`.

    Args:
        explanation: The ledger.
        recording: What it was made from.
        sheet: Where to lay it out.
        verbose: Whether every one of equal blocks and every operation is written.
        alone: Whether the factors' totals and theory are written too, rather than standing
            under a finding.
    """
    recording = collapsed(recording)
    ledger = explanation.ledger
    lines = sheet.paragraph(
        styled("ledger  ", "strong"),
        [
            sheet.text(
                f"from the loss to {place_words(explanation.name)}: the gradient's norm changes by "
                f"{ledger.log10_gain:+.2f} decades"
            )
        ],
    )
    if alone:
        lines += [Text(), *_totals(explanation, sheet)]
    lines.append(Text())
    for term in ledger.children if verbose else filter(_matters, ledger.children):
        lines += _branch(term, recording, sheet, indent=0, verbose=verbose)
    if ledger.log10_gain == -math.inf:
        said = "nothing arrives below: what lies behind has no place in this tree"
        lines += sheet.paragraph(Text(" " * 11), [sheet.text(said, "quiet")])
    lines.append(Text())
    theory = theory_lines(explanation.prediction, sheet) if alone else []
    if explanation.prediction.reason:
        words = sheet.prose(f"no prediction: {explanation.prediction.reason}")
        theory = sheet.paragraph(styled(" theory: ", "strong"), [words])
    lines += theory
    lines += _profile(explanation.prediction, recording, sheet, verbose=verbose)
    for terms in explanation.parameters:
        if math.isnan(terms.log10_coherence):
            continue
        words = sheet.text(weight_words(terms))
        lines += sheet.paragraph(styled(" weight: ", "strong"), [words])
    lines += axes_lines(explanation.axes, sheet)
    return lines


def _profile(prediction: Prediction, recording: Recording, sheet: Sheet, *, verbose: bool) -> Lines:
    """Set the gradient measured at every layer beside theory with its band for this width."""
    layers = prediction.layers[:-1]
    if not layers:
        return []
    every = 1 if verbose else -(-len(layers) // _MOST_LAYERS)
    shown = layers[::every]
    room = min(30, sheet.width - 36)
    places = [place_words(recording.sites[one.site].name) for one in shown]
    names = sheet.elide_alike(places, room)
    width = max(5, *map(len, names))
    head = f"{'layer':{width}}  measured  theory"
    lines = sheet.paragraph(styled("profile: ", "strong"), [styled(head, "quiet")])
    for name, one in zip(names, shown, strict=True):
        inside = abs(one.measured - one.predicted) <= one.band
        mark = " " if inside else sheet.glyphs.weak
        row = f"{name:{width}}  {one.measured:+8.2f}  {one.predicted:+.2f} ± {one.band:.2f} {mark}"
        lines.append(sheet.text(f"{'':9}{row}".rstrip()))
    if every > 1:
        lines.append(styled(f"{'':9}one layer in {every}; -v writes all", "quiet"))
    return lines


def weight_words(terms: ParameterTerms) -> str:
    """Say which factors the gradient of a parameter is the product of."""
    said = f"the gradient of {terms.name}, {power(terms.log10_grad_norm)}, is"
    if terms.log10_grad_norm == -math.inf:
        for decades, what in (
            (terms.log10_backward, "no gradient arrives"),
            (terms.log10_forward, "no signal enters"),
            (terms.log10_hook, "a hook on it makes it zero"),
        ):
            if decades == -math.inf:
                return f"the gradient of {terms.name} is zero: {what}"
        return f"the gradient of {terms.name} is zero: what the samples ask for cancels"
    factors = [
        f"the gradient that arrives, {power(terms.log10_backward)}",
        f"the signal that enters, {power(terms.log10_forward)}",
        f"the agreement of the samples, {power(terms.log10_coherence)}",
    ]
    if terms.log10_parametrisation:
        made = f"the way from it into the matrix, {power(terms.log10_parametrisation)}"
        factors.append(made)
    if terms.log10_hook:
        factors.append(f"a hook on it, {power(terms.log10_hook)}")
    return f"{said} {', times '.join(factors)}"


def _totals(explanation: Explanation, sheet: Sheet) -> Lines:
    """Return every factor with its decades, and their sum."""
    totals = explanation.ledger.by_factor()
    whole = explanation.ledger.log10_gain
    largest = max((abs(v) for v in totals.values() if math.isfinite(v)), default=0.0)
    room = max(8, sheet.width - 34)
    lines: Lines = []
    shown = {f: v for f, v in totals.items() if abs(v) >= _SMALL}
    for factor, decades in shown.items():
        row = sheet.text(f"  {factor:<18}{decades:>+9.2f}  ")
        row.append_text(bar(decades, largest, room, sheet, lost=whole < 0))
        lines.append(row)
    if len(shown) < len(totals):
        rest = math.fsum(v for f, v in totals.items() if f not in shown)
        lines.append(sheet.text(f"  {plural(len(totals) - len(shown), 'other'):<18}{rest:>+9.2f}"))
    residue = abs(explanation.residue)
    adds_up = "exactly what was measured" if residue == 0 else f"measured, but for {residue:.0e}"
    lead = sheet.text(f"  {'sum':<18}{whole:>+9.2f}  ", "quiet")
    lines += sheet.paragraph(lead, [sheet.text(adds_up, "quiet")])
    if Factor.LOSS in totals and len(totals) > 1:
        behind = whole - totals[Factor.LOSS]
        lines.append(sheet.text(f"  {'without the loss':<18}{behind:>+9.2f}", "quiet"))
    return lines


def _branch(term: Term, recording: Recording, sheet: Sheet, *, indent: int, verbose: bool) -> Lines:
    """Return a term and everything under it; a block of one operation is that operation."""
    while term.level is Level.BLOCK and len(term.children) == 1:
        (term,) = term.children
    said = sheet.text(_title(term, recording))
    children: Sequence[Term] = [
        c for c in term.children if c.level is not Level.FACTOR and (verbose or _matters(c))
    ]
    if term.level is Level.GROUP and not verbose:
        children, words = _representative(term)
        said.append_text(sheet.text(words, "quiet"))
    if term.level is Level.MERGE and term.shares:
        said.append_text(sheet.text(f"  ({_shares(term)})", "quiet"))
    source = _source(term, recording)
    if source:
        said.append_text(sheet.text(f"  {source}", "quiet"))
    factors = _factors(term)
    if factors:
        said.append_text(sheet.text(f"  ({factors})", "quiet"))
    lead = sheet.text(f"{'':{indent}}{term.log10_gain:>+{_NUMBER}.2f}  ")
    lines = sheet.paragraph(lead, [said])
    for child in children:
        lines += _branch(child, recording, sheet, indent=indent + _STEP, verbose=verbose)
    return lines


def _matters(term: Term) -> bool:
    """Tell whether a term or anything under it would not be printed as zero."""
    return not all(abs(leaf.log10_gain) < _SMALL for leaf in term.leaves())


def _representative(group: Term) -> tuple[Sequence[Term], str]:
    """Return the most ordinary of equal blocks, and how far the others are from it."""
    count = repeats(group)
    period = len(group.children) // count
    each = [group.children[i : i + period] for i in range(0, len(group.children), period)]
    gains = [math.fsum(term.log10_gain for term in one) for one in each]
    middle = median(gains)
    chosen = min(range(count), key=lambda i: abs(gains[i] - middle))
    low, high = min(gains), max(gains)
    spread = f", from {low:+.2f} to {high:+.2f}" if high - low >= _SMALL else ""
    return each[chosen], f": {middle:+.2f} each{spread}; one of them:"


def _title(term: Term, recording: Recording) -> str:
    if term.level is Level.OPERATION and term.sites:
        if term.name.startswith("hook on "):
            return f"hook on {place_words(term.name.removeprefix('hook on '))}"
        site = recording.sites[term.sites[0]]
        return place_words(f"{site.path} {site.op}".lstrip())
    return place_words(term.name)


def _shares(merge: Term) -> str:
    """Name the branches that come together, the strongest first, and the share of each."""
    shares: dict[str, list[float]] = {}
    for name, share in merge.shares:
        shares.setdefault(place_words(name), []).append(share)
    ranked = sorted(shares.items(), key=lambda item: -abs(math.fsum(item[1])))
    parts = [
        (f"{len(own)} x " if len(own) > 1 else "") + f"{name} {_share(math.fsum(own))}"
        for name, own in ranked[:_MOST_SHARES]
    ]
    if left := [share for _, own in ranked[_MOST_SHARES:] for share in own]:
        parts.append(f"{plural(len(left), 'other')} {_share(math.fsum(left))}")
    return ", ".join(parts)


def _share(share: float) -> str:
    """Return a share in per cent; as a multiple where branches cancel nearly all of each other."""
    return f"{share:+.0%}" if abs(share) < _MANY else f"{share:+.0f}x the sum"


def _factors(term: Term) -> str:
    """Name the factors of an operation or a merge; of one with a single factor, that."""
    if term.level not in (Level.OPERATION, Level.MERGE):
        return ""
    leaves = [
        leaf
        for leaf in term.children
        if abs(leaf.log10_gain) >= _SMALL and leaf.factor is not Factor.LOSS
    ]
    if len(term.children) < 2 and term.level is Level.OPERATION:
        return ", ".join(leaf.name for leaf in leaves if leaf.name not in term.name)
    return ", ".join(f"{leaf.name} {leaf.log10_gain:+.2f}" for leaf in leaves)


def _source(term: Term, recording: Recording) -> str:
    """Return the user's line of an operation."""
    if term.level is not Level.OPERATION or not term.sites:
        return ""
    source = recording.sites[term.sites[0]].source
    return str(source) if source else ""
