"""What follows from what in a training run: tell the root from its consequences.

A step that is too long makes the loss jump, kills units, and the loss stands still for the rest of
the run: four findings, one sickness. As in `unvanish.diagnose.bundles`, nothing is dropped and no
severity changes; and what began later accounts for nothing that was there before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from unvanish.core.findings import Finding, Severity
from unvanish.core.verdicts import Found, Verdict

FOLLOWS: Final[Mapping[str, frozenset[str]]] = {
    root: frozenset(followers)
    for root, followers in (
        (
            "UV611",
            ("UV612", "UV603", "UV604", "UV605", "UV601", "UV602", "UV606", "UV607", "UV608"),
        ),
        ("UV612", ("UV603", "UV604", "UV605", "UV601", "UV602", "UV606", "UV607", "UV608")),
        ("UV609", ("UV602", "UV601", "UV603", "UV606", "UV607", "UV608")),
        ("UV604", ("UV602", "UV601", "UV606", "UV607", "UV608")),
        ("UV605", ("UV602", "UV601", "UV606", "UV607", "UV608")),
        ("UV602", ("UV601", "UV606", "UV607", "UV608")),
        ("UV603", ("UV601", "UV602", "UV606", "UV607", "UV608")),
        ("UV601", ("UV606", "UV607", "UV608")),
        ("UV610", ("UV608",)),
        ("UV608", ("UV607",)),
        ("UV607", ("UV606",)),
    )
}
"""Code of a root to the codes of what it can bring about; the first root that fits is taken."""


def fold(verdicts: Mapping[str, Verdict], *, every: int) -> dict[str, Verdict]:
    """Mark every finding that follows from another with the code of its root.

    Args:
        verdicts: Code to verdict, as the rules gave them.
        every: Every how many steps a sample was taken: two onsets that are no further apart may
            have come in either order.

    Returns:
        The same verdicts in the same order, with `Finding.root` set.
    """
    found = {code: v.findings for code, v in verdicts.items() if isinstance(v, Found)}
    parents = {
        (code, i): _parent(finding, found, every)
        for code, findings in found.items()
        for i, finding in enumerate(findings)
    }
    result = dict(verdicts)
    for code, findings in found.items():
        result[code] = Found(
            tuple(
                replace(finding, root=_top(parents[code, i], parents))
                if parents[code, i]
                else finding
                for i, finding in enumerate(findings)
            )
        )
    return result


def _parent(finding: Finding, found: Mapping[str, tuple[Finding, ...]], every: int) -> str:
    for root, followers in FOLLOWS.items():
        if (
            finding.code in followers
            and root in found
            and _accounts(found[root][0], finding, every)
        ):
            return root
    return ""


def _accounts(root: Finding, finding: Finding, every: int) -> bool:
    """Tell whether a root is grave enough, and began no later than what it shall account for."""
    if root.severity is Severity.NOTE and finding.severity is not Severity.NOTE:
        return False
    return min(root.step, finding.step) < 0 or root.step <= finding.step + every


def _top(code: str, parents: Mapping[tuple[str, int], str]) -> str:
    seen = {code}
    while (above := parents.get((code, 0), "")) and above not in seen:
        code = above
        seen.add(code)
    return code
