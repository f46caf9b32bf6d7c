"""Sicknesses come in bundles: tell the root from what merely follows from it.

A dead ReLU layer also makes the gradient vanish, the early layers freeze and the outputs
collapse. Reported side by side these are four problems; they are one. `FOLLOWS` says what
can follow from what, by the mechanism, and a finding is folded under the first root that
accounts for it. Nothing is dropped and no severity changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.verdicts import Found, Verdict

_STARVED: Final = ("UV103", "UV105", "UV106", "UV401", "UV402", "UV405", "UV502")
"""What every loss of gradient brings with it."""

_STARVED_BY_A_CONSTANT: Final = frozenset({"UV101", *_STARVED} - {"UV103"})
"""What a step brings with it that gives out the same whatever it is given."""

FOLLOWS: Final[Mapping[str, frozenset[str]]] = {
    root: frozenset(followers)
    for root, followers in (
        # The graph: a gradient that has no way is no matter of size.
        ("UV505", ("UV501", "UV504", "UV502", "UV101", "UV202")),
        ("UV205", ("UV501", "UV504", "UV101", *_STARVED)),
        ("UV501", ("UV502", "UV101")),
        # The layout: what runs from sample to sample runs along no sequence.
        ("UV510", ("UV301", "UV302", "UV303", "UV103", "UV405", "UV502")),
        ("UV504", ("UV502", "UV404")),
        # The data: a scale that every later step inherits.
        (
            "UV503",
            (
                *("UV201", "UV202", "UV203", "UV302", "UV303", "UV101", "UV102", "UV403"),
                *("UV404", "UV506", "UV507", "UV508", *_STARVED),
            ),
        ),
        # The start: units that are copies of each other, or weights that never open.
        ("UV104", ("UV101", "UV201", "UV202", "UV301", "UV302", "UV303", "UV501", *_STARVED)),
        # The loss: what the output tells the network.
        ("UV204", ("UV101", "UV203", "UV404", "UV506", "UV508", *_STARVED)),
        ("UV506", ("UV404", "UV405", "UV502", "UV203", "UV508")),
        # The units: flat or dead, they let nothing through.
        ("UV202", ("UV101", "UV203", "UV301", *_STARVED)),
        ("UV201", ("UV101", "UV102", "UV203", "UV301", "UV404", *_STARVED)),
        ("UV302", ("UV101", "UV102", *_STARVED)),
        ("UV303", ("UV101", "UV301", *_STARVED)),
        ("UV301", ("UV101", *_STARVED)),
        # The product of many layers.
        ("UV102", ("UV106", "UV203", "UV507", "UV403", "UV404", "UV405", "UV105", "UV402")),
        ("UV101", _STARVED),
        ("UV103", ("UV105", "UV106", "UV405", "UV502")),
        ("UV203", ("UV401", "UV402", "UV405", "UV502")),
        ("UV507", ("UV404", "UV405", "UV502")),
        ("UV404", ("UV403", "UV405", "UV202", "UV502")),
        ("UV403", ("UV405", "UV502")),
        ("UV401", ("UV403", "UV502")),
        ("UV402", ("UV502", "UV401")),
    )
}
"""Root to what can follow from it, roots first: an earlier line wins over a later one."""

_SPOKEN_BY: Final[Mapping[str, frozenset[Cause]]] = {
    "UV503": frozenset({Cause.INPUT_SCALE}),
    "UV104": frozenset({Cause.ZERO_INIT}),
    "UV201": frozenset({Cause.SATURATION}),
    "UV302": frozenset({Cause.SOFTMAX_SATURATION}),
    "UV404": frozenset({Cause.LEARNING_RATE}),
    "UV401": frozenset({Cause.OPTIMISER_FLOOR}),
    "UV205": frozenset({Cause.DETACHED_GRAPH}),
    "UV501": frozenset({Cause.DETACHED_GRAPH}),
    "UV505": frozenset({Cause.DETACHED_GRAPH}),
}
"""Causes by which a finding itself names the root it comes from."""

_ENTAILED_BY: Final[Mapping[str, frozenset[str]]] = {
    # Four decades of growth are eight of curvature: more than a learning rate is ever off by.
    "UV102": frozenset({"UV404"}),
}
"""What a finding accounts for even where it is the milder one."""


def fold(verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
    """Mark every finding that follows from another with the code of its root.

    A milder finding does not account for a worse one, unless the worse one names it as its
    cause or must come of it: a third of one layer's units being dead does not explain 25 lost
    decades.

    Args:
        verdicts: Code to verdict, as the rules gave them.

    Returns:
        The same verdicts in the same order, with `Finding.root` set.
    """
    found = {code: v.findings for code, v in verdicts.items() if isinstance(v, Found)}
    parent = {
        (code, i): root
        for code, findings in found.items()
        for i, finding in enumerate(findings)
        if (root := _parent(finding, found))
    }
    result = dict(verdicts)
    for code, findings in found.items():
        result[code] = Found(
            tuple(
                replace(finding, root=_top(parent[code, i], parent))
                if (code, i) in parent
                else finding
                for i, finding in enumerate(findings)
            )
        )
    return result


def _parent(finding: Finding, found: Mapping[str, tuple[Finding, ...]]) -> str:
    """Return the code of the finding that accounts for this one, or an empty text."""
    constant = _constant(found)
    if constant is not None and finding.code in _STARVED_BY_A_CONSTANT:
        return constant.code
    if finding is constant:
        found = {code: rest for code, rest in found.items() if code not in _STARVED_BY_A_CONSTANT}
    for root, followers in FOLLOWS.items():
        if finding.code in followers and root in found and _accounts(found[root][0], finding):
            return root
    return ""


def _constant(found: Mapping[str, tuple[Finding, ...]]) -> Finding | None:
    """Return the finding of a step that gives out the same whatever it is given, if there is one.

    Its own derivative is as constant as what it gives out: of the two it is the one that is said
    first, where otherwise samples become alike as the gradient vanishes.
    """
    first = found.get("UV103", (None,))[0]
    if first is None or first.severity is not Severity.ERROR:
        return None
    return first if first.causes[:1] == (Cause.NO_NORMALISATION,) else None


def _accounts(root: Finding, finding: Finding) -> bool:
    if root.severity.rank >= finding.severity.rank:
        return True
    if root.severity is not Severity.NOTE and finding.code in _ENTAILED_BY.get(root.code, ()):
        return True
    return bool(_SPOKEN_BY.get(root.code, frozenset()) & set(finding.causes))


def _top(code: str, parent: Mapping[tuple[str, int], str]) -> str:
    """Follow a chain of consequences up to the root; only first findings are parents."""
    seen = {code}
    while (above := parent.get((code, 0), "")) and above not in seen:
        code = above
        seen.add(code)
    return code
