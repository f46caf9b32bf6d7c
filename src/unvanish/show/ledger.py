"""The ledger under its finding: a few lines that say which factor took how many decades.

The whole tree is drawn by `unvanish.show.tree`.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from rich.text import Text

from unvanish.core.explanations import Explanation, Factor, Level, Prediction, Term
from unvanish.core.findings import Finding
from unvanish.core.records import Recording
from unvanish.explain import ABOUT_DECADES
from unvanish.explain.composites import collapsed
from unvanish.explain.weights import flat_weights
from unvanish.show.sheet import Lines, Sheet, styled
from unvanish.show.words import plural, power

_MOST_FACTORS: Final = 4
_MOST_BLOCKS: Final = 3
_SMALLEST_SHARE: Final = 0.02
"""Of the largest factor; a smaller one is summed up with its like."""

_ANOTHER_WAY: Final = 0.5
"""Decades between the finding and the ledger beyond which the text says why they differ."""

_WORTH_TELLING: Final = 0.1
"""Of all that was lost or gained."""

_COUNT: Final = re.compile(r"\d+ operations")
"""What a block without a module is called; see `place_words`."""

_MOSTLY: Final = 0.8
_INDENT: Final = 11
_LABEL: Final = 18
_NUMBER: Final = 8
_LONGEST_BAR: Final = 24


def ledger_lines(
    explanation: Explanation,
    recording: Recording,
    sheet: Sheet,
    finding: Finding | None = None,
    *,
    whole_tree: bool = False,
) -> Lines:
    """Return the few lines of a ledger that stand under its finding.

    Args:
        explanation: The ledger.
        recording: What it was made from.
        sheet: Where to lay it out.
        finding: What it explains, whose number stands above; None where it stands alone.
        whole_tree: Whether the whole tree follows: the blocks are left out, and ways around the
            fault are named beside its causes.

    Returns:
        What was lost between the output and the place, every factor with its decades and a
        bar, the blocks, and what theory predicts; empty where the gradient becomes exactly
        zero, which the finding says.
    """
    recording = collapsed(recording)
    terms = [term for term in explanation.ledger.children if term.level is not Level.LOSS]
    whole = math.fsum(term.log10_gain for term in terms)
    if not terms or not math.isfinite(whole):
        return []
    lines = sheet.paragraph(
        styled(" ledger: ", "strong"), [sheet.prose(_head(explanation, whole, finding))]
    )
    lines += list(_factor_rows(terms, recording, sheet, whole))
    if said := _detail(terms, whole, is_tested=bool(explanation.verdict)):
        lines += sheet.paragraph(Text(" " * 9), [sheet.text(said)])
    if not whole_tree:
        words = _blocks(terms)
        lines += sheet.paragraph(Text(" " * 9), [sheet.text(words)]) if words else []
    lines += theory_lines(explanation.prediction, sheet)
    lines += _hidden(explanation, recording, sheet)
    rivals = [one for one in explanation.counterfactuals if whole_tree or not one.bypass]
    if said := explanation.verdict_of(rivals):
        lines += sheet.paragraph(styled("verdict: ", "strong"), [sheet.prose(said)])
    return lines


def _head(explanation: Explanation, whole: float, finding: Finding | None) -> str:
    said = (
        f"the loss's gradient from the output to {place_words(explanation.name)}, "
        f"{whole:+.2f} decades"
    )
    if finding is None or not math.isfinite(finding.measured):
        return said
    if finding.code not in ABOUT_DECADES:
        return said
    if abs(abs(whole) - finding.measured) <= max(_ANOTHER_WAY, 0.1 * finding.measured):
        return said
    return (
        f"{said}; the {finding.measured:.1f} above are of random signs at the output, which need "
        "not take the way that the loss takes"
    )


def _factor_rows(
    terms: Sequence[Term], recording: Recording, sheet: Sheet, whole: float
) -> Iterator[Text]:
    """Yield a row for each of the largest factors, and one for all others."""
    leaves: dict[Factor, list[Term]] = defaultdict(list)
    for leaf in (leaf for term in terms for leaf in term.leaves()):
        if leaf.factor is not None:
            leaves[leaf.factor].append(leaf)
    totals = {f: math.fsum(leaf.log10_gain for leaf in own) for f, own in leaves.items()}
    ranked = sorted(totals, key=lambda f: -abs(totals[f]))
    least = _SMALLEST_SHARE * abs(totals[ranked[0]])
    shown = [f for f in ranked[:_MOST_FACTORS] if abs(totals[f]) >= least]
    shown.sort(key=lambda f: math.copysign(1.0, whole) * -totals[f])
    rest = [f for f in ranked if f not in shown]
    rows = [(str(f), totals[f], _who(leaves[f], recording)) for f in shown]
    if rest:
        name = str(rest[0]) if len(rest) == 1 else plural(len(rest), "other")
        rows.append((name, math.fsum(totals[f] for f in rest), ""))
    said = 0 if sheet.narrow else max(len(who) for *_, who in rows)
    room = min(_LONGEST_BAR, sheet.width - _INDENT - _LABEL - _NUMBER - 2 - said - 2)
    largest = abs(totals[ranked[0]])
    for name, decades, who in rows:
        row = sheet.text(f"{'':{_INDENT}}{name:<{_LABEL}}{decades:>+{_NUMBER}.2f}  ")
        if room > 3:
            row.append_text(bar(decades, largest, room, sheet, lost=whole < 0))
        if who and not sheet.narrow:
            row.append(" " * (sheet.width - row.cell_len - said))
            row.append_text(sheet.text(who, "quiet"))
        yield row


def _detail(terms: Sequence[Term], whole: float, *, is_tested: bool) -> str:
    """Say where units withhold gradient, and how far the weights are from critical ones.

    Of weights behind a low cap the critical scale tells nothing, as no usual initialisation
    has it; where critical weights were put to the test, the verdict tells more.
    """
    totals: dict[Factor, float] = defaultdict(float)
    parts: dict[str, float] = defaultdict(float)
    for term in terms:
        for factor, decades in term.by_factor().items():
            totals[factor] += decades
        for name, decades in term.by_part().items():
            parts[name] += decades
    least = _WORTH_TELLING * abs(whole)
    told = [f"{name} {value:+.2f}" for name, value in parts.items() if abs(value) >= least]
    said = [f"operating point: {', '.join(told)}"] if told else []
    against = [a for a in (term.against_critical() for term in terms) if not math.isnan(a)]
    off = math.fsum(against)
    is_capped = abs(totals[Factor.SLOPE_CAP]) > 0.5 * abs(off)
    if not is_tested and not is_capped and abs(off) >= least and off * whole > 0.0:
        side = "under" if off < 0.0 else "over"
        said.append(f"weights {abs(off):.2f} decades {side} critical ones")
    return "; ".join(said)


def _hidden(explanation: Explanation, recording: Recording, sheet: Sheet) -> Lines:
    """Say that the gradients of the weights look alike although what arrives does not."""
    pair = flat_weights(explanation, recording)
    if pair is None:
        return []
    first, last = pair
    verb = "shrinks" if last.log10_forward < first.log10_forward else "grows"
    said = (
        f"their gradients are alike, {power(first.log10_grad_norm)} for {first.name} and "
        f"{power(last.log10_grad_norm)} for {last.name}, and hide it: the signal {verb} on its way "
        f"up by {abs(last.log10_forward - first.log10_forward):.1f} decades, as the gradient does "
        "on its way down"
    )
    return sheet.paragraph(styled("weights: ", "strong"), [sheet.prose(said)])


def bar(decades: float, largest: float, room: int, sheet: Sheet, *, lost: bool = True) -> Text:
    """Return a bar as long as its share of the largest factor.

    Args:
        decades: What one factor changed.
        largest: Size of the largest factor.
        room: Columns of the largest.
        sheet: Where it is drawn.
        lost: Whether it is losses that are to be explained; bars of the other sign are
            hatched: they work against it.
    """
    if not 0.0 < largest < math.inf or not math.isfinite(decades):
        return Text()
    eighths = round(8 * room * abs(decades) / largest)
    if (decades < 0) is lost:
        full, part = divmod(eighths, 8)
        glyphs = sheet.glyphs.eighths
        return styled(glyphs[-1] * full + glyphs[part], "starved")
    return styled(sheet.glyphs.folded_bar * round(eighths / 8), "quiet")


def _who(leaves: Sequence[Term], recording: Recording) -> str:
    """Name the operation that a factor belongs to, and what it does to the gradient each time."""
    gains: dict[str, list[float]] = defaultdict(list)
    for leaf in leaves:
        gains[recording.sites[leaf.sites[0]].op].append(leaf.log10_gain)
    op = max(gains, key=lambda op: math.fsum(map(abs, gains[op])))
    everything = math.fsum(abs(leaf.log10_gain) for leaf in leaves)
    if math.fsum(map(abs, gains[op])) < _MOSTLY * everything:
        return ""
    factor = 10 ** (math.fsum(gains[op]) / len(gains[op]))
    return f"{len(gains[op])} {op}, x{factor:.3g} each" if len(gains[op]) > 1 else op


def _blocks(terms: Sequence[Term]) -> str:
    """Name the largest blocks, equal ones folded."""
    if len(terms) < 2 or not any(term.level is Level.GROUP for term in terms):
        return ""
    ranked = sorted(terms, key=lambda term: -abs(term.log10_gain))
    parts = [block_words(term) for term in ranked[:_MOST_BLOCKS]]
    if left := ranked[_MOST_BLOCKS:]:
        gain = math.fsum(term.log10_gain for term in left)
        parts.append(f"{plural(len(left), 'other block')} {gain:+.2f}")
    return "blocks: " + ", ".join(parts)


def block_words(term: Term) -> str:
    """Return a block's name and decades; of equal ones their count and the mean of each."""
    name = place_words(term.name)
    if term.level is not Level.GROUP:
        return f"{name} {term.log10_gain:+.2f}"
    count = repeats(term)
    what = name.partition("(")[2].rstrip(")")
    kind = f"{count} x ({what})" if what else name
    return f"{kind} {term.log10_gain / count:+.2f} each"


def place_words(name: str) -> str:
    """Return what a step or a block is called; a bare number is a module of an nn.Sequential.

    Example:
        >>> place_words("(root) tanh #7"), place_words("62 linear"), place_words("7 operations")
        ('tanh', 'module 62 linear', '7 operations')
    """
    count, uses, of = name.partition(" uses of ")
    if uses:
        return f"{count}{uses}{place_words(of)}"
    name = name.replace("(root) ", "").partition(" #")[0]
    is_count = " x " in name or _COUNT.fullmatch(name) is not None
    return f"module {name}" if name[:1].isdigit() and not is_count else name


def repeats(group: Term) -> int:
    """Return how often the pattern of a group is repeated; a pattern may be several blocks."""
    said = group.name.partition(" x ")[0]
    return group.repeats if group.repeats > 1 or not said.isdecimal() else int(said)


def theory_lines(prediction: Prediction, sheet: Sheet) -> Lines:
    """Say in a line what theory predicts for the same layers; nothing where it is silent."""
    if not prediction.layers:
        return []
    first = prediction.layers[0]
    measured = f"but measured {first.measured:+.1f}"
    if prediction.is_within:
        measured = "as measured"
    elif first.measured == -math.inf:
        measured = "but no gradient arrives at all"
    said = (
        f"{first.predicted:+.1f} ± {max(first.band, 0.05):.1f} decades with random weights of this "
        f"size, {measured}"
    )
    if prediction.trainable_depth < prediction.depth:
        way = "losing" if first.predicted < 0.0 else "gaining"
        said += (
            f"; {way} so much a layer, such a network trains up to about "
            f"{prediction.trainable_depth:.2g} layers deep"
        )
    return sheet.paragraph(styled(" theory: ", "strong"), [sheet.text(said)])
