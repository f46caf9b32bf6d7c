"""The four things a rule can say. Silence is not one of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unvanish.core.findings import Finding


@dataclass(frozen=True, slots=True)
class Clear:
    """The rule looked and found nothing wrong.

    Attributes:
        margin: How far the measurement is from the limit, in `unit`; never negative, and
            infinite where nothing was counted that could come near a limit.
        unit: Unit of the margin.
        summary: What was measured, in half a sentence: "the gradient loses 0.3 decades
            over 30 layers".
    """

    margin: float = math.inf
    unit: str = ""
    summary: str = ""

    kind = "clear"


@dataclass(frozen=True, slots=True)
class Found:
    """The rule found something wrong; at least one finding."""

    findings: tuple[Finding, ...]

    kind = "found"

    def __post_init__(self) -> None:
        if not self.findings:
            raise ValueError("Found needs a finding; say Clear(margin) where there is none")


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """The network has nothing this rule is about, and why."""

    reason: str

    kind = "not-applicable"


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """The rule is about this network but what it needs was not measured."""

    missing: str

    kind = "not-measured"


Verdict = Clear | Found | NotApplicable | NotMeasured
