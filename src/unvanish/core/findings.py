"""What a rule says: severity, cause, finding, and the diagnosis that collects them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from unvanish.core.records import Site
from unvanish.core.verdicts import Found, Verdict


class Severity(StrEnum):
    """How bad a finding is, mildest first."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """0 for a note, 2 for an error."""
        return list(Severity).index(self)


class Cause(StrEnum):
    """The fixed vocabulary of causes; the primary one stands first in a finding."""

    ACTIVATION_SLOPE = "activation-slope"
    SATURATION = "saturation"
    INIT_TOO_SMALL = "init-too-small"
    INIT_TOO_LARGE = "init-too-large"
    DEPTH_WITHOUT_SKIP = "depth-without-skip"
    NO_NORMALISATION = "no-normalisation"
    POST_NORM = "post-norm"
    RECURRENCE = "recurrence"
    PRECISION = "precision"
    LEARNING_RATE = "learning-rate"
    WEIGHT_DECAY = "weight-decay"
    DROPOUT = "dropout"
    INPUT_SCALE = "input-scale"
    BIAS = "bias"
    ZERO_INIT = "zero-init"
    DETACHED_GRAPH = "detached-graph"
    LOSS_SATURATION = "loss-saturation"
    SOFTMAX_SATURATION = "softmax-saturation"
    OPTIMISER_FLOOR = "optimiser-floor"
    BATCH_LAYOUT = "batch-layout"
    RUNNING_STATISTICS = "running-statistics"


class Mark(StrEnum):
    """How a point of a depth profile is drawn."""

    FINE = "fine"
    WEAK = "weak"
    STARVED = "starved"


@dataclass(frozen=True, slots=True)
class Point:
    """One layer of the chart that belongs to a finding.

    Attributes:
        label: What stands at the left, such as ``layers.3``.
        log10: Value in decades; ``-inf`` is an exact zero.
        mark: How to draw it.
        note: Short text at the right, such as the layer's own factor.
    """

    label: str
    log10: float
    mark: Mark = Mark.FINE
    note: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A quantity over depth, input side first, to be drawn as bars."""

    title: str
    points: tuple[Point, ...]
    note_title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, where, by how much, and what to try.

    Attributes:
        code: Code of the rule, such as ``"UV101"``.
        name: Name of the rule, such as ``"vanishing-gradient"``.
        severity: Note, warning or error.
        message: One sentence, lower case, no full stop; stands alone.
        sites: Where, the most telling first.
        parameters: Names of the parameters it is about, where it is about parameters.
        measured: The number that was judged; ``inf`` is allowed.
        expected: What theory or the run's own null predicts for a healthy network.
        limit: Where a finding begins, same unit.
        unit: Unit of the three numbers above.
        causes: From the fixed vocabulary, primary first.
        notes: Why: context in full sentences, each stands alone.
        help: What to do, each a suggestion that can be followed literally.
        chart: The profile over depth that shows it, if one does.
        root: Code of the finding that this one follows from; empty for a root. Set by
            `diagnose`, never by a rule.
        step: At which step of a training run it began; -1 where it is not about a run.
    """

    code: str
    name: str
    severity: Severity
    message: str
    sites: tuple[Site, ...] = ()
    parameters: tuple[str, ...] = ()
    measured: float = math.nan
    expected: float = math.nan
    limit: float = math.nan
    unit: str = ""
    causes: tuple[Cause, ...] = ()
    notes: tuple[str, ...] = ()
    help: tuple[str, ...] = ()
    chart: Chart | None = None
    root: str = ""
    step: int = -1


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Every rule's verdict on one recording, in the order of the codes.

    Attributes:
        verdicts: Code to verdict.
        names: Code to name of the rule.
    """

    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings: each root, worst first, then by code, with what follows from it."""
        found = [f for v in self.verdicts.values() if isinstance(v, Found) for f in v.findings]
        ranked = sorted(found, key=lambda f: (-f.severity.rank, f.code))
        roots = [f for f in ranked if not f.root]
        leading = {f.code: f for f in reversed(roots)}  # where a rule found several, the first
        return tuple(
            finding
            for root in roots
            for finding in (
                root,
                *(f for f in ranked if f.root == root.code and leading[root.code] is root),
            )
        )

    @property
    def roots(self) -> tuple[Finding, ...]:
        """The findings that follow from no other, worst first, then by code."""
        return tuple(finding for finding in self.findings if not finding.root)

    @property
    def worst(self) -> str:
        """``error``, ``warning``, ``note``, ``clear`` or ``not-measured``.

        A finding outranks a gap, and a gap outranks silence: a network of which nothing
        was judged, or of which a rule that applies could not be judged, is not clear.
        """
        if self.findings:
            return max((f.severity for f in self.findings), key=lambda s: s.rank).value
        kinds = {verdict.kind for verdict in self.verdicts.values()}
        return "clear" if "clear" in kinds and "not-measured" not in kinds else "not-measured"
