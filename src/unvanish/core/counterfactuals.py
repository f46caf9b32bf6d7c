"""What happened to the gradient when one thing about the network was swapped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from unvanish.core.interventions import LEAST_DECADES, Intervention, Measured, Swap


class Outcome(StrEnum):
    """What a swap did to the flow."""

    RESTORES = "restores"
    """Nine tenths of the lost (or gained) decades are undone, or half with less than one left."""

    MOSTLY = "mostly"
    """At least half."""

    PARTLY = "partly"
    """At least a tenth."""

    RULED_OUT = "ruled out"
    """Less than a tenth either way: it is not this."""

    WORSENS = "worsens"
    """The flow is further off than before: this factor works against the fault."""

    UNKNOWN = "not measured"


_ALL: Final = 0.9
_MOST: Final = 0.5
_SOME: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactual:
    """One rival explanation put to the test.

    Attributes:
        mechanism: Name of the mechanism, such as ``"slope-cap"``.
        what: The network that was measured, in words that follow "with".
        swap: What kind of thing was swapped.
        bypass: Whether the swap leads around the fault, whatever it is, rather than take one
            factor out. It shows that a way around helps, and not what the fault was.
        code: Code of the finding that asked.
        target: Index of the site at which the gradient was read.
        origin: Index of the site where random signs entered; None for the outputs.
        predicted: Decades that the ledger says would come back (negative: be lost);
            ``nan`` where the mechanism predicts no number.
        before: Decades from origin to target in the network as it is: log10 of the ratio of
            the gradient's norms; ``-inf`` where none arrives.
        after: The same with the swap.
        reason: Why it was not measured; empty where it was.
    """

    mechanism: str
    what: str = ""
    swap: Swap = Swap.JACOBIAN
    bypass: bool = False
    code: str = ""
    target: int = 0
    origin: int | None = None
    predicted: float = math.nan
    before: float = math.nan
    after: float = math.nan
    reason: str = ""

    @property
    def recovered(self) -> float:
        """Decades by which the gradient at the target is larger than before."""
        return 0.0 if self.after == self.before else self.after - self.before

    @property
    def restored(self) -> float:
        """Share of what was lost (or gained) that the swap undoes, at most 1.

        0 changes nothing, 1 leaves as much gradient at the target as entered; below 0 the flow is
        further off. An overshoot counts against it only as far as it is larger than half of what
        was lost: a swap acts at every place alike, while less would do. A gradient that was exactly
        zero is restored by whatever brings one. ``nan`` where it was not measured.
        """
        if math.isnan(self.before) or math.isnan(self.after):
            return math.nan
        if self.swap is Swap.PRECISION:  # another look at one flow, which may itself be off
            return 1.0 if abs(self.after) < LEAST_DECADES <= abs(self.before) else 0.0
        if self.before == -math.inf:
            return 1.0 if self.after > -math.inf else 0.0
        if self.before == 0.0:
            return 0.0
        ratio = self.after / self.before
        return min(1.0, 1.0 - ratio, 1.5 + ratio)

    @property
    def outcome(self) -> Outcome:
        """What the swap did, as a word."""
        restored = self.restored
        if math.isnan(restored):
            return Outcome.UNKNOWN
        if restored >= _MOST and abs(self.after) < LEAST_DECADES:
            return Outcome.RESTORES
        for least, outcome in (
            (_ALL, Outcome.RESTORES),
            (_MOST, Outcome.MOSTLY),
            (_SOME, Outcome.PARTLY),
            (-_SOME, Outcome.RULED_OUT),
        ):
            if restored >= least:
                return outcome
        return Outcome.WORSENS

    def to_json(self) -> dict[str, Any]:
        """Return the counterfactual as a JSON object; a number that is not finite becomes text."""
        return {
            "mechanism": self.mechanism,
            "what": self.what,
            "swap": str(self.swap),
            "runs_again": self.swap.runs_again,
            "bypass": self.bypass,
            "code": self.code,
            "target": self.target,
            "origin": self.origin,
            "predicted": _plain(self.predicted),
            "before": _plain(self.before),
            "after": _plain(self.after),
            "recovered": _plain(self.recovered),
            "restored": _plain(self.restored),
            "outcome": str(self.outcome),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one mechanism wants to have measured.

    Attributes:
        counterfactual: All but the measurement; with a reason, where nothing can be swapped.
        intervention: What to swap; None where there is nothing.
    """

    counterfactual: Counterfactual
    intervention: Intervention | None = None


def answered(
    proposals: Sequence[Proposal], measured: Sequence[Measured]
) -> tuple[Counterfactual, ...]:
    """Put measurements beside the proposals that asked for them.

    Args:
        proposals: What the mechanisms want to have measured.
        measured: One result for each proposal that has an intervention, in their order.

    Raises:
        ValueError: If their numbers differ.
    """
    wanted = [position for position, one in enumerate(proposals) if one.intervention is not None]
    found = [one.counterfactual for one in proposals]
    for position, result in zip(wanted, measured, strict=True):
        found[position] = replace(
            found[position], before=result.before, after=result.after, reason=result.reason
        )
    return tuple(found)


def _plain(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)


def decisive(counterfactuals: Sequence[Counterfactual]) -> tuple[Counterfactual, ...]:
    """Return one measured counterfactual a mechanism, the best restorer first.

    Where a mechanism was put to the test in both ways, running the network again counts: it
    is what would happen. Ways around the fault stand last. Of several factors that restore the
    flow, those that do so when the network runs again stand first: they say why its units stand
    where they do.

    Args:
        counterfactuals: What was measured.
    """
    chosen: dict[str, Counterfactual] = {}
    for one in counterfactuals:
        if one.outcome is Outcome.UNKNOWN:
            continue
        other = chosen.get(one.mechanism)
        if other is None or one.swap.runs_again >= other.swap.runs_again:
            chosen[one.mechanism] = one
    return tuple(
        sorted(
            chosen.values(),
            key=lambda one: (
                one.bypass,
                one.outcome is not Outcome.RESTORES,
                one.outcome is Outcome.RESTORES and not one.swap.runs_again,
                -one.restored,
                abs(one.after),
            ),
        )
    )


def verdict(counterfactuals: Sequence[Counterfactual]) -> str:
    """Say which factor restores the flow and which rivals are ruled out, with numbers.

    Args:
        counterfactuals: What was measured.

    Returns:
        One or more sentences; empty where nothing was measured.
    """
    ranked = decisive(counterfactuals)
    if not ranked:
        return ""
    factors = [one for one in ranked if not one.bypass]
    around = [one for one in ranked if one.bypass and one.outcome is Outcome.RESTORES]
    found = [one for one in factors if one.outcome is Outcome.RESTORES]
    found = found or [one for one in factors[:1] if one.outcome is Outcome.MOSTLY]
    sentences = []
    if found:
        first, *others = found
        sentences.append(f"{first.mechanism}: with {first.what}, {_undone(first)}")
        sentences += [f"so does {one.mechanism}: {_undone(one)}" for one in others]
    elif any(one.outcome is Outcome.PARTLY for one in factors):
        sentences.append("no single factor restores the flow")
    elif factors:
        sentences.append("none of the factors that were swapped restores the flow")
    for outcome, words in (
        (Outcome.MOSTLY, "also, for the most part"),
        (Outcome.PARTLY, "in part"),
        (Outcome.RULED_OUT, "ruled out"),
        (Outcome.WORSENS, "works against the fault"),
    ):
        named = [
            f"{one.mechanism} ({_brief(one)})"
            for one in factors
            if one.outcome is outcome and one not in found
        ]
        if named:
            sentences.append(f"{words}: {', '.join(named)}")
    if around:
        said = ", ".join(f"{one.what} ({_brief(one)})" for one in around)
        sentences.append(f"a way around it helps as well: {said}")
    return "; ".join(sentences)


def _undone(one: Counterfactual) -> str:
    if one.before == -math.inf:
        return f"a gradient that was exactly zero arrives, at {one.after:+.1f} decades"
    if one.before > 0.0:
        return f"a growth of {one.before:.1f} decades becomes {one.after:+.1f}"
    if one.after > 0.0:
        return f"all {-one.before:.1f} decades come back, and {one.after:.1f} more"
    return f"{one.recovered:.1f} of {-one.before:.1f} decades come back"


def _brief(one: Counterfactual) -> str:
    if math.isinf(one.recovered):
        return f"leaves {one.after:+.1f}"
    return f"{one.recovered:+.1f}"
