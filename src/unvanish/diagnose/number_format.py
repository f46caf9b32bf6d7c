"""What a number format takes: norms whose squares overflow, and where a zero came from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from unvanish.core.glossary import Quantity
from unvanish.core.records import Role, Site
from unvanish.diagnose.neighbours import VIEWS, Neighbours

MASKS: Final = frozenset({"masked_fill", "where", "add", "sub"})
"""Operations that put infinities in on purpose."""

EXPONENTIALS: Final = frozenset({"exp", "exp2", "expm1", "cosh", "sinh"})
"""Operations that leave the range of a number format for ordinary inputs, exp from 89 on."""

_SATURATING: Final = frozenset({"softmax", "sigmoid", "hardsigmoid", "relu", "relu6", "tanh"})
"""Functions that answer exactly 0 or 1 once they have saturated."""

_ENTRY_BY_ENTRY: Final = VIEWS | frozenset(
    {"add", "sub", "mul", "div", "neg", "pow", "abs", "clamp", "clamp_min"}
    | {"index", "gather", "diagonal"}
)
"""Operations that leave a zero of one entry the matter of one entry before."""

_PRODUCTS: Final = frozenset({"mul", "matmul", "bmm", "einsum", "div"})
_LOG10_SMALL: Final = -30.0
"""Few decades above the smallest numbers of float32: a mask of zeros makes no such product."""

_ROOTS: Final = frozenset({"sqrt", "rsqrt", "std", "pow"})


@dataclass(frozen=True)
class Erasure:
    """A signal that is divided by the root of its own squares, where these overflow.

    Attributes:
        origin: The step that is infinite where what it is given is not.
        quotient: The step that is zero for it.
        steps: Both, and the infinite ones between them, in forward order.
        share: Share of the entries that are infinite, where it is largest.
    """

    origin: Site
    quotient: Site
    steps: tuple[Site, ...]
    share: float


def erasure_of(neighbours: Neighbours, infinite: Sequence[Site]) -> Erasure | None:
    """Find a signal that a norm whose squares overflow turns to zero.

    Args:
        neighbours: The graph of a recording.
        infinite: The steps with values that are not finite, in forward order.

    Returns:
        The first one; None where there is none.
    """
    recording = neighbours.recording
    share, size = recording[Quantity.NON_FINITE_FRACTION], recording[Quantity.ACTIVATION_RMS]
    for origin in infinite:
        before = _signals_into(neighbours, origin)
        if origin.op in MASKS or not before or any(share.get(p) != 0.0 for p in before):
            continue
        chain = _made_of(neighbours, origin)
        steps = [recording.sites[index] for index in sorted(chain)]
        if not any(_is_root(neighbours, origin, step) for step in steps):
            continue
        # What is squared may be what is divided, or be made of it, as by a mean taken off.
        own = {s.index for p in before for s in (p, *neighbours.producers(p))}
        own |= {s.index for p in before for s in neighbours.consumers(p)} - chain
        for quotient in (c for step in steps for c in neighbours.consumers(step)):
            divided = {p.index for p in neighbours.producers(quotient)} - chain
            is_product = quotient.op in {"mul", "div"} and math.isfinite(size.get(quotient))
            if is_product and divided & own:
                bad = [s for s in steps if share.get(s) > 0.0 and s.index < quotient.index]
                return Erasure(origin, quotient, (*bad, quotient), max(share[s] for s in bad))
    return None


def is_of_a_saturated_output(neighbours: Neighbours, site: Site) -> bool:
    """Tell whether a zero that a step is given is that of a function which has saturated.

    Args:
        neighbours: The graph of a recording.
        site: A step that takes a logarithm of what it is given entry by entry.
    """
    return saturated_behind(neighbours, site) is not None


def saturated_behind(neighbours: Neighbours, site: Site) -> Site | None:
    """Return the function whose answer, once it has saturated, is the zero a step is given.

    Args:
        neighbours: The graph of a recording.
        site: A step that works on what it is given entry by entry, such as a logarithm.
    """
    before = neighbours.source(site, _ENTRY_BY_ENTRY) or _numerator(neighbours, site)
    return before if before is not None and before.op in _SATURATING else None


def is_undone(neighbours: Neighbours, site: Site) -> bool:
    """Tell whether an exponential leads to a number that exact arithmetic keeps in range.

    That is so of the logarithm of a sum of exponentials, and of the share of one in others: a
    softmax, a log-likelihood or a sigmoid written by hand.
    """
    sites = neighbours.recording.sites
    chain = _made_of(neighbours, *(s for s in sites if s.op in EXPONENTIALS))
    reached = {site.index}
    for step in sites[site.index + 1 :]:
        before = {p.index for p in neighbours.producers(step)}
        if step.index in chain and before & reached:
            reached.add(step.index)
            is_share = step.op == "div" and len(before) > 1
            if is_share or step.op == "reciprocal" or step.op.startswith("log"):
                return True
    return False


def is_learned(neighbours: Neighbours, site: Site) -> bool:
    """Tell whether a parameter has a part in what a step is given."""
    waiting, seen = [site], {site.index}
    while waiting:
        step = waiting.pop()
        if step.weights or step.role is Role.WEIGHT:
            return True
        for producer in neighbours.producers(step):
            if producer.index not in seen:
                seen.add(producer.index)
                waiting.append(producer)
    return False


def product_lost_to_zero(neighbours: Neighbours, site: Site) -> Site | None:
    """Return the product that a number format rounds to zero, where a step is given its zero.

    Args:
        neighbours: The graph of a recording.
        site: A step that is given nothing but zeros.

    Returns:
        The first product that is zero although none of its factors is, and whose factors are as
        small as that takes; None where the zero is one of exact arithmetic.
    """
    size = neighbours.recording[Quantity.ACTIVATION_RMS]
    waiting, seen, found = [site], {site.index}, None
    while waiting:
        for step in neighbours.producers(waiting.pop()):
            if step.index in seen or step.role is Role.WEIGHT or size.get(step, 0.0) != 0.0:
                continue
            seen.add(step.index)
            waiting.append(step)
            # What is computed from data or from parameters alone is not measured.
            factors = [size[p] for p in neighbours.producers(step) if p in size]
            if step.op in _PRODUCTS and factors and min(factors) > 0.0:
                small = sum(math.log10(f) for f in factors) < _LOG10_SMALL
                if small and (found is None or step.index < found.index):
                    found = step
    return found


def _is_root(neighbours: Neighbours, origin: Site, step: Site) -> bool:
    """Tell whether a step takes the root of what overflowed; the first power is the square."""
    if step is origin:
        return step.op == "std"
    share = neighbours.recording[Quantity.NON_FINITE_FRACTION]
    return step.op in _ROOTS and any(share.get(p) != 0.0 for p in neighbours.producers(step))


def _signals_into(neighbours: Neighbours, site: Site) -> list[Site]:
    return [p for p in neighbours.producers(site) if p.role is not Role.WEIGHT]


def _made_of(neighbours: Neighbours, *origins: Site) -> set[int]:
    """Return some steps and all that is made of them alone, without a weight."""
    chain = {origin.index for origin in origins}
    for site in neighbours.recording.sites[min(chain, default=0) :]:
        before = _signals_into(neighbours, site)
        if before and not site.weights and all(p.index in chain for p in before):
            chain.add(site.index)
    return chain


def _numerator(neighbours: Neighbours, site: Site) -> Site | None:
    """Return what is divided by its own sum to give what reaches a step, if that is so."""
    for quotient in neighbours.producers(site):
        of = sorted(neighbours.producers(quotient), key=lambda step: step.index)
        if quotient.op == "div" and len(of) == 2 and of[1].index in _made_of(neighbours, of[0]):
            return of[0]
    return None
