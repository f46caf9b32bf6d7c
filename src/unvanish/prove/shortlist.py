"""Which of the treatments that were tried on a copy get a trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from unvanish.core.prescriptions import Advice, Change, Option

GENERAL: Final = (
    "standardise-input",
    "standardise-target",
    "he",
    "xavier",
    "lsuv",
    "batch-norm",
    "layer-norm",
    "relu",
    "silu",
    "less-dropout",
    "drop-norm",
    "reparameterise",
    "logit-scale",
    "residual",
    "scaled-residual",
    "forget-bias",
    "carry-gate",
    "gated-cell",
    "pre-norm",
    "query-key-norm",
    "straight-through",
    "straight-through-codes",
    "reattach",
    "train-parameter",
    "drop-inner-softmax",
    "logits-loss",
    "lower-epsilon",
    "float32-weights",
    "weight-decay-off",
    "learning-rate-range",
    "warm-up",
    "soap",
)
"""What is tried where a network does not learn and a check finds nothing."""
MENDS: Final = frozenset(
    "less-dropout drop-norm drop-inner-softmax logits-loss straight-through reattach "
    "train-parameter lower-epsilon weight-decay-off float32-weights break-symmetry "
    "straight-through-choice straight-through-codes surrogate-gradient surrogate-width carry-gate "
    "smooth-activation standardise-target reparameterise logit-scale loss-balancing "
    "match-shapes running-statistics batch-first".split()
)
"""Remedies that fit only where one thing is wrong: where they fit, they are worth a try."""
_STEPS: Final = frozenset(
    {"soap", "shampoo", "muon", "kfac", "trust-ratio", "layer-normalised-gradient"}
    | {"clip-norm", "clip-value", "clip-layer", "clip-units", "clip-percentile"}
    | {"centralise-gradient"}
)
"""Remedies that leave the gradient as it is and take another step along it."""
_BEST: Final = 2
"""How many of the best are taken whatever they change."""


def shortlist(advice: Advice, arms: int) -> list[Option]:
    """Choose treatments for a trial: the best, those that mend one thing, the best of every kind.

    A look at a copy before any training tells whether the gradient arrives, and not which of two
    networks whose gradient arrives will learn. So the trial is given different things to decide
    between, rather than six normalisations.

    Args:
        advice: What was tried on a copy, best first.
        arms: How many to choose at most.

    Returns:
        The treatments, in the order of the advice.
    """
    done = [o for o in advice.options if o.outlook is not None and not o.failed]
    # Whether a step of another shape helps, a look cannot tell: it leaves every gradient as it is.
    helping = [o for o in done if o.cures] or sorted(done, key=_only_steps)
    chosen = helping[: min(_BEST, arms)]
    mending = [o for o in helping if MENDS.issuperset(o.remedies) and o not in chosen]
    chosen += mending[: (arms - len(chosen)) // 2]
    kinds = {_kind(option) for option in chosen}
    for option in helping:
        if len(chosen) < arms and _kind(option) not in kinds:
            chosen.append(option)
            kinds.add(_kind(option))
    for option in helping:
        if len(chosen) < arms and option not in chosen:
            chosen.append(option)
    return sorted(chosen, key=advice.options.index)


def further(advice: Advice, base: Sequence[str], helped: Sequence[str], arms: int) -> list[Option]:
    """Choose what is added to a treatment that does not suffice by itself.

    What helped alone comes first: the trial has seen it train. Then comes what mends one thing,
    and then what a look at the treated network speaks for.

    Args:
        advice: What was tried on a copy in addition to the base, best first.
        base: Names of the remedies that all of it begins with.
        helped: Names of what did better than the control in a trial of its own, best first.
        arms: How many to choose at most.
    """
    done = [o for o in advice.options if o.outlook is not None and not o.failed]
    added = {id(option): frozenset(option.remedies) - set(base) for option in done}
    trained = [o for name in helped for o in done if added[id(o)] == {name}]
    chosen = trained[: arms // 2]
    mending = [o for o in done if added[id(o)] <= MENDS and o not in chosen]
    chosen += mending[: (arms - len(chosen) + 1) // 2]
    rest = replace(advice, options=tuple(o for o in advice.options if o not in chosen))
    chosen += shortlist(rest, arms - len(chosen))
    return chosen


def _only_steps(option: Option) -> bool:
    return _STEPS.issuperset(option.remedies)


def _kind(option: Option) -> tuple[Change, ...]:
    return tuple(sorted({one.change for one in option.prescriptions}))


def fitting(advice: Advice | None, options: Sequence[Option] = ()) -> tuple[str, ...]:
    """Return the names of all remedies that fit, from which an arm may be drawn by lot."""
    known = [*(advice.options if advice else ()), *options]
    names = {o.remedies[0] for o in known if len(o.remedies) == 1 and not o.failed}
    return tuple(sorted(names | set(advice.untried if advice else ())))
