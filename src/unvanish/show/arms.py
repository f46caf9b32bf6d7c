"""The arms of a trial as a table: what each came to on the same seeds."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from unvanish.core.proofs import Arm, Comparison, Endpoint, Proof, Role, name_of
from unvanish.show.sheet import Lines, Sheet, styled
from unvanish.show.words import number, plural

_MOST_DROPPED: Final = 6
_MARK: Final = 5
_LONGEST_NAME: Final = 24
"""Up to this many characters of a name go before a further column."""
_SPREAD, _RATE, _TIME = 2, 4, 5
_WORDS: Final = re.compile(r"\S+\s*")
_PARTS: Final = re.compile(r"[^-]+-*\s*")
"""Parts of a word that is too long for its column."""
_ROLES: Final = {Role.CONTROL: 0, Role.CANDIDATE: 1, Role.NULL: 2, Role.RANDOM: 3}


@dataclass(frozen=True, slots=True)
class Scale:
    """How the values of an endpoint are written.

    Attributes:
        per_cent: Whether they are shares, told as per cent.
    """

    per_cent: bool = False

    @classmethod
    def of(cls, endpoint: Endpoint, values: Sequence[float]) -> Scale:
        """Choose by name and size: an accuracy that is a share is told as per cent."""
        known = [v for v in (*values, endpoint.chance, endpoint.goal) if v is not None]
        finite = [value for value in known if math.isfinite(value)]
        is_share = all(0.0 <= value <= 1.0 for value in finite)
        return cls(per_cent="accuracy" in endpoint.name and bool(finite) and is_share)

    def value(self, value: float) -> str:
        """Return one value with its unit."""
        return f"{self.bare(value)} %" if self.per_cent and math.isfinite(value) else number(value)

    def bare(self, value: float) -> str:
        """Return one value without its unit."""
        return f"{100 * value:.1f}" if self.per_cent and math.isfinite(value) else number(value)

    def change(self, value: float) -> str:
        """Return a difference with its sign, without its unit."""
        words = self.bare(value)
        return words if math.isnan(value) or words.startswith("-") else f"+{words}"

    def span(self, low: float, high: float) -> str:
        """Return a range, without its unit."""
        if math.isinf(low) and math.isinf(high):
            return "any"
        return f"{self.bare(low)} .. {self.bare(high)}"


def scale_of(proof: Proof) -> Scale:
    """Return how the values of a trial are written."""
    values = [metric for arm in proof.arms for metric in arm.metrics]
    return Scale.of(proof.endpoint, values)


def arm_lines(proof: Proof, sheet: Sheet, *, verbose: bool = False) -> Lines:
    """Lay out the arms that were judged, then those that were dropped before.

    Args:
        proof: The trial.
        sheet: Where to lay it out.
        verbose: Whether everything is told, or the first few of what was dropped.

    Returns:
        Lines.
    """
    judged = sorted((arm for arm in proof.arms if arm.runs), key=lambda arm: _order(arm, proof))
    dropped = [arm for arm in proof.arms if not arm.runs and arm.role is not Role.CONTROL]
    lines = _Table(proof, judged, sheet).lines() if judged else []
    lines += _explained(judged, proof, sheet)
    return lines + _dropped(dropped, sheet, verbose=verbose)


def _order(arm: Arm, proof: Proof) -> tuple[bool, bool, int, float]:
    mean = arm_mean(arm)
    sign = -1.0 if proof.endpoint.higher_is_better else 1.0
    worth = math.inf if math.isnan(mean) else sign * mean
    first = arm.role is not Role.CONTROL
    return first, arm.name != proof.chosen, _ROLES[arm.role], worth


def arm_mean(arm: Arm) -> float:
    """Return the mean over the seeds that have a result; ``nan`` without any."""
    finite = [value for value in arm.metrics if math.isfinite(value)]
    return fmean(finite) if finite else math.nan


def milliseconds(arm: Arm) -> float:
    """Return the time of a step in the fastest run of an arm, which was disturbed the least."""
    times = [t for run in arm.runs if math.isfinite(t := run.milliseconds_per_step)]
    return min(times, default=math.nan)


class _Table:
    """Columns give way where there is no room: the spread, then the time, then the rate."""

    def __init__(self, proof: Proof, arms: Sequence[Arm], sheet: Sheet) -> None:
        self._proof, self._arms, self._sheet = proof, arms, sheet
        self._scale = scale_of(proof)
        control = next((arm for arm in arms if arm.role is Role.CONTROL), None)
        self._control_time = milliseconds(control) if control is not None else math.nan
        heads = [
            "arm",
            sheet.elide(proof.endpoint.name, 12),
            "by seed",
            "better by",
            "rate",
            "time",
        ]
        rows = [self._cells(arm) for arm in arms]
        self._widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
        self._heads, self._rows = heads, rows
        self._shown = [i for i in range(1, len(heads)) if any(row[i] for row in rows)]
        wanted = min(self._widths[0], _LONGEST_NAME)
        for column in (_SPREAD, _TIME, _RATE):
            if self._room() < wanted and column in self._shown:
                self._shown.remove(column)
        self._name = max(8, min(self._widths[0], self._room()))

    def _room(self) -> int:
        """Return how wide a name may be beside the columns that are shown."""
        return self._sheet.width - _MARK - sum(2 + self._widths[i] for i in self._shown)

    def _cells(self, arm: Arm) -> list[str]:
        scale = self._scale
        finite = [value for value in arm.metrics if math.isfinite(value)]
        mean = scale.value(arm_mean(arm)) if finite else "none"
        spread = scale.span(min(finite), max(finite)) if len(finite) > 1 else ""
        rate = "" if arm.rate_factor == 1.0 else f"x{arm.rate_factor:g}"
        time = ""
        if arm.role is not Role.CONTROL:
            ratio = milliseconds(arm) / self._control_time if self._control_time else math.nan
            time = "" if math.isnan(ratio) else f"x{ratio:.1f}"
        return [_bare_name(arm), mean, spread, self._difference(arm.comparison), rate, time]

    def _difference(self, comparison: Comparison | None) -> str:
        if comparison is None or math.isnan(comparison.mean):
            return ""
        scale = Scale() if comparison.in_decades else self._scale
        change = scale.change(comparison.mean) + (" decades" if comparison.in_decades else "")
        if math.isinf(comparison.low) or math.isnan(comparison.low):
            return change
        return f"{change} ({scale.span(comparison.low, comparison.high)})"

    def _row(self, mark: str, cells: Sequence[str], style: str) -> Lines:
        name, *more = self._folded(cells[0])
        words = "".join(f"  {cells[i]:>{self._widths[i]}}" for i in self._shown)
        line = f"  {mark:1}  {name:{self._name}}{words}".rstrip()
        below = [f"{' ' * _MARK}{piece}" for piece in more]
        return [self._sheet.text(each, style) for each in (line, *below)]

    def _folded(self, name: str) -> list[str]:
        """Break a name that is too long for its column: at spaces, and else behind a hyphen."""
        pieces: list[str] = []
        for word in _WORDS.findall(name):
            pieces += [word] if len(word.rstrip()) <= self._name else _PARTS.findall(word)
        rows = [""]
        for piece in pieces:
            if rows[-1] and len(rows[-1] + piece.rstrip()) > self._name:
                rows.append("")
            rows[-1] += piece
        return [self._sheet.elide(row.rstrip(), self._name) for row in rows]

    def lines(self) -> Lines:
        """Return the heading and one row for every arm."""
        lines = self._row("", self._heads, "quiet")
        for arm, cells in zip(self._arms, self._rows, strict=True):
            mark, style = _mark(arm, self._proof, self._sheet)
            lines += self._row(mark, cells, style)
            lost = [run for run in arm.runs if run.diverged or run.failed]
            if lost:
                first = lost[0].diverged or lost[0].failed
                words = f"{len(lost)} of {plural(len(arm.runs), 'run')} without a result: {first}"
                lead = styled(" " * (_MARK + 2), "")
                lines += self._sheet.paragraph(lead, [self._sheet.prose(words, "quiet")])
        return lines


def _bare_name(arm: Arm) -> str:
    """Return the name of an arm without its learning rate, which has a column of its own."""
    if arm.role is not Role.CANDIDATE or arm.rate_factor == 1.0:
        return arm.name
    return name_of(arm.remedies) if arm.remedies else "learning rate alone"


def _mark(arm: Arm, proof: Proof, sheet: Sheet) -> tuple[str, str]:
    if arm.name == proof.chosen:
        return sheet.glyphs.yes, "strong"
    if arm.role is not Role.CANDIDATE:
        return sheet.glyphs.none, "" if arm.role is Role.CONTROL else "quiet"
    return (sheet.glyphs.no if arm.fate == "failed" else " "), ""


def _explained(judged: Sequence[Arm], proof: Proof, sheet: Sheet) -> Lines:
    """Say what the arms are that a stranger does not know, and why some have no result."""
    lines: Lines = []
    lead = styled(" " * _MARK, "")
    for arm in judged:
        if arm.fate == "failed" and arm.why:
            lines += sheet.paragraph(lead, [sheet.prose(f"{arm.name}: {arm.why}", "quiet")])
    roles = {arm.role: arm for arm in judged}
    told: list[str] = []
    if Role.NULL in roles:
        told.append(f"{roles[Role.NULL].name}: the same network from other initial weights")
    if Role.RANDOM in roles:
        drawn = dict.fromkeys(" + ".join(run.job.remedies) for run in roles[Role.RANDOM].runs)
        named = f" ({', '.join(drawn)})" if any(drawn) else ""
        told.append(f"{roles[Role.RANDOM].name}: remedies that fit, whatever they promise{named}")
    if any(arm.comparison is not None for arm in judged):
        one = next(arm.comparison for arm in judged if arm.comparison is not None)
        unit = "percentage points" if scale_of(proof).per_cent else proof.endpoint.name
        told.append(f"better by: {unit}, against the control with the same seeds{_covers(one)}")
        is_held = not scale_of(proof).per_cent and not one.in_decades
        below = (_below_chance(m, proof.endpoint) for arm in judged for m in arm.metrics)
        if is_held and any(below):
            chance = scale_of(proof).value(proof.endpoint.chance)
            told.append(f"in these, what is worse than the best constant answer counts as {chance}")
    for words in told:
        lines += sheet.paragraph(lead, [sheet.prose(words, "quiet")], hang=_MARK + 2)
    return lines


def _below_chance(metric: float, endpoint: Endpoint) -> bool:
    both = math.isfinite(metric) and math.isfinite(endpoint.chance)
    return both and endpoint.better(endpoint.chance, metric)


def _covers(found: Comparison) -> str:
    if not math.isfinite(found.low):
        return ""
    return f"; in brackets the {100 * found.confidence:.4g} % interval"


def _dropped(arms: Sequence[Arm], sheet: Sheet, *, verbose: bool) -> Lines:
    if not arms:
        return []
    ended = [run for arm in arms for run in arm.tries if not (run.diverged or run.failed)]
    fewest = min((run.steps for run in ended), default=0)
    after = f" after {plural(fewest, 'step')}" if fewest else ""
    words = f"{plural(len(arms), 'treatment')} dropped in the first tries{after}, on another seed"
    lines = sheet.paragraph(styled("dropped: ", "strong"), [sheet.prose(words)])
    alike: dict[str, list[str]] = {}
    for arm in arms:
        alike.setdefault(arm.why or _reason(arm), []).append(arm.name)
    shown = list(alike.items()) if verbose else list(alike.items())[:_MOST_DROPPED]
    lead = styled(" " * 9, "")
    for why, names in shown:
        said = f"{', '.join(names)}: {why}".removesuffix(": ")
        lines += sheet.paragraph(lead, [sheet.prose(said, "quiet")], hang=11)
    left = sum(len(names) for names in alike.values()) - sum(len(names) for _, names in shown)
    if left:
        lines.append(styled(f"{' ' * 9}and {left} more; -v lists them", "quiet"))
    return lines


def _reason(arm: Arm) -> str:
    """Return why the tries of an arm came to nothing, where all of them did."""
    ends = [run.diverged or run.failed for run in arm.tries]
    return ends[0] if ends and all(ends) else ""
