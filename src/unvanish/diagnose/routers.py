"""What UV302 and UV303 share: which softmaxes choose what, and which have chosen for good."""

from __future__ import annotations

import re
from collections.abc import Sequence

from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording, Role, Site
from unvanish.core.wiring import Wiring
from unvanish.theory.softmax import chance_spread


def routers(wiring: Wiring) -> list[Site]:
    """Return the softmaxes over as many choices as there are experts side by side.

    Args:
        wiring: The op graph.
    """
    experts = _experts(wiring.recording.parameters)
    return [
        site
        for site in wiring.recording.signal_sites()
        if site.op == "softmax"
        and len(site.shape) > 1
        and any(site.shape[-1] == n and site.path.startswith(parent) for parent, n in experts)
        and any(one.role is Role.SIGNAL for one in wiring.consumers(site))
        and scores(wiring, site) is None
    ]


def scores(wiring: Wiring, softmax: Site) -> Site | None:
    """Return the product of queries and keys that a softmax is taken of, if it is one.

    Args:
        wiring: The op graph.
        softmax: The softmax.
    """
    for site in wiring.behind(softmax):
        if site.weights:
            return None
        if wiring.is_mixing(site):
            return site
    return None


def is_frozen(recording: Recording, softmax: Site, *, share: float, of_chance: float) -> bool:
    """Tell whether more than a share of a softmax's rows are frozen, for good and untrained.

    Args:
        recording: What was measured.
        softmax: The softmax.
        share: Share of frozen rows that is still fine.
        of_chance: Part of the spread at which chance freezes half of the rows that the scores
            must reach.
    """
    frozen = recording[Quantity.FROZEN_FRACTION].get(softmax)
    spread = recording[Quantity.SCORE_SPREAD].get(softmax)
    choices = number_of_choices(softmax)
    by_chance = frozen > share and spread > of_chance * chance_spread(choices)
    return by_chance and not _chooses_anew(recording, softmax)


def number_of_choices(softmax: Site) -> int:
    """Return how many keys each row of a softmax chooses from; 2 where it is not known.

    Args:
        softmax: The softmax, over the last axis that has more than one entry.
    """
    return next((extent for extent in reversed(softmax.shape) if extent > 1), 2)


def _chooses_anew(recording: Recording, softmax: Site) -> bool:
    """Tell whether the probe steps move the scores by more than they lay apart before.

    Most of what decides is then learned and not drawn. Scores whose standard deviation changes
    by some amount have moved by no less.
    """
    later = recording.later
    if later is None:
        return False
    known = (softmax.path, softmax.op, softmax.call, softmax.shape)
    after = next((s for s in later.sites if (s.path, s.op, s.call, s.shape) == known), None)
    if after is None:
        return False
    before = recording[Quantity.SCORE_SPREAD].get(softmax)
    return abs(later[Quantity.SCORE_SPREAD].get(after) - before) > before


def _experts(parameters: Sequence[Parameter]) -> set[tuple[str, int]]:
    """Return the modules that hold equal parts side by side, and how many.

    Those are modules numbered 0 to n - 1 with parameters of the same shapes, and stacked
    weights of shape (n, in, out).
    """
    parts: dict[str, dict[int, list[tuple[str, tuple[int, ...]]]]] = {}
    found: set[tuple[str, int]] = set()
    for parameter in parameters:
        for match in re.finditer(r"\.(\d+)\.", parameter.name):
            holder, rest = parameter.name[: match.start()], parameter.name[match.end() :]
            numbered = parts.setdefault(holder, {})
            numbered.setdefault(int(match.group(1)), []).append((rest, parameter.shape))
        if len(parameter.shape) == 3 and parameter.shape[0] > 1:
            module = parameter.name.rpartition(".")[0]
            found.add((module.rpartition(".")[0], parameter.shape[0]))
    for holder, numbered in parts.items():
        alike = len({tuple(sorted(part)) for part in numbered.values()}) == 1
        if len(numbered) > 1 and alike and set(numbered) == set(range(len(numbered))):
            found.add((holder.rpartition(".")[0], len(numbered)))
    return found
