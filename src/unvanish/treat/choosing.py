"""Which remedies are tried on a network, and which of them together."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Final

from unvanish.core.findings import Diagnosis, Severity
from unvanish.core.prescriptions import Change, Option, Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.densities import untrue
from unvanish.treat.patch.rewriters import REWRITERS
from unvanish.treat.protocol import Case, Remedy
from unvanish.treat.ranking import CURED, codes_aside, order_of
from unvanish.treat.registry import remedy_of

_log = logging.getLogger(__name__)

_PAIRED: Final = 6
"""How many of the best single remedies are combined with each other."""
_MOST_PAIRS: Final = 12
"""How many combinations that belong together are tried at most."""


def fitting(
    chosen: Iterable[Remedy], case: Case, *, wanted: bool
) -> tuple[list[Prescription], Mapping[str, str]]:
    """Ask every remedy whether it fits; those that treat none of the findings are left out.

    One that fails is named among those that do not fit, and the others go on, unless it is wanted.
    """
    fitting: list[Prescription] = []
    refused: dict[str, str] = {}
    for remedy in chosen:
        if not (wanted or remedy.treats & case.codes):
            continue
        try:
            found = remedy.assess(case)
        except Exception as error:
            if wanted:
                raise
            _log.debug("%s could not be assessed", remedy.name, exc_info=True)
            refused[remedy.name] = f"unvanish itself failed, please report it: {error!r}"
            continue
        if isinstance(found, NotApplicable):
            refused[remedy.name] = found.reason
        elif reason := untrue(case.recording, found.change):
            refused[remedy.name] = reason
        else:
            fitting.append(found)
    return fitting, refused


def broad(
    fitting: Sequence[Prescription], breadth: int | None, codes: Set[str]
) -> list[Prescription]:
    """Return some remedies of each kind, those that source code can say first."""
    if breadth is None:
        return list(fitting)
    ranked = sorted(fitting, key=lambda one: (one.remedy not in REWRITERS, codes_aside(one, codes)))
    taken: list[Prescription] = []
    for change in Change:
        taken += [one for one in ranked if one.change is change][:breadth]
    return taken


def keeps_design(change: Change) -> bool:
    """Tell whether a change leaves activations, normalisation and paths as they are."""
    return change.rank < Change.ACTIVATION.rank


def ails(diagnosis: Diagnosis) -> bool:
    """Tell whether anything was found that is no mere note."""
    return any(f.severity is not Severity.NOTE for f in diagnosis.findings)


def pairs_of(
    options: Sequence[Option], case: Case, chosen: Sequence[Remedy]
) -> list[tuple[str, str]]:
    """Return the combinations worth a try, given what single remedies do.

    Two that belong together (a function of the ReLU family and He's start) are tried unless one
    remedy that source code can say leaves nothing to cure; two of the best, unless any does.
    """
    done = [o for o in options if o.outlook is not None]
    cured = [o for o in done if -o.score < CURED]
    pairs: list[tuple[str, str]] = []
    if not any(o.can_be_written for o in cured):
        known = {remedy.name: remedy for remedy in chosen}
        fitting = [o.remedies[0] for o in done if o.remedies[0] in known]
        natural = [
            (first, second.name)
            for second in known.values()
            for first in fitting
            if first in second.after and second.treats & case.codes
            if _go_together(known[first], second)
        ]
        pairs += natural[:_MOST_PAIRS]
    if not cured:
        best = [
            o.remedies[0] for o in sorted(done, key=lambda o: order_of(o, case.codes))[:_PAIRED]
        ]
        pairs += [
            pair
            for pair in itertools.combinations(best, 2)
            if _go_together(*map(remedy_of, pair)) and {*pair} not in map(set, pairs)
        ]
    return pairs


def _go_together(a: Remedy, b: Remedy) -> bool:
    """Tell whether two remedies make sense together: they act on different things."""
    return a.change is not b.change and b.name not in a.excludes and a.name not in b.excludes
