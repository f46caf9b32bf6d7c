"""What to swap in a measured network, between which two places, and what came of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LEAST_DECADES: Final = 1.0
"""A flow that loses and gains less than this has nothing to restore."""


class Swap(StrEnum):
    """What an intervention replaces.

    The first group acts on the backward pass alone. The forward pass stands still, so that
    exactly one factor of the Jacobian changes. The second group runs the network again, and
    everything that depends on what was swapped follows.
    """

    JACOBIAN = "jacobian"
    """From each site back to its source, the Jacobian becomes a multiple of the identity."""

    GAIN = "gain"
    """What each site sends back is multiplied by a number."""

    DEAD_SLOPE = "dead slope"
    """Units whose slope is zero for the whole batch get the given slope."""

    SKIP = "skip"
    """The identity is added to the Jacobian from each site back to its source."""

    GATE = "gate"
    """What each site, a product, sends to its source passes as if the other factor were one."""

    SOFTMAX = "softmax"
    """Each softmax gets the Jacobian of an even row."""

    HOOKS = "hooks"
    """Hooks that change the gradient at the sites are taken out."""

    COTANGENT = "cotangent"
    """Random signs enter at the outputs, as of a mean over their entries, not the loss's own."""

    PARAMETERS = "parameters"
    """The named parameters are multiplied by numbers, and the network runs again."""

    REDRAW = "redraw"
    """The named parameters are drawn at random with the given deviations; runs again."""

    INPUT = "input"
    """The floating inputs are standardised, and the network runs again."""

    NORMALISE = "normalise"
    """The layers' outputs are standardised over the batch, and the network runs again."""

    PRECISION = "precision"
    """The network runs again in float64, with exponents kept."""

    @property
    def runs_again(self) -> bool:
        """Whether the forward pass is made anew, so that the operating point follows."""
        return self in (
            Swap.PARAMETERS,
            Swap.REDRAW,
            Swap.INPUT,
            Swap.NORMALISE,
            Swap.PRECISION,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Between which two places the flow is to be restored.

    Attributes:
        target: Index of the site at which the gradient is read.
        origin: Index of the site at which random signs enter; None for the network's outputs.
        code: Code of the finding that asks, or ``""``.
    """

    target: int
    origin: int | None = None
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervention:
    """One thing to swap in the measured network.

    Attributes:
        swap: What kind of thing.
        what: The network that is measured, in words that follow "with".
        sites: Indices of the sites it acts on.
        sources: For `Swap.JACOBIAN`, `Swap.SKIP` and `Swap.GATE`, the site that each one leads
            back to.
        parameters: For `Swap.PARAMETERS` and `Swap.REDRAW`, the names of the parameters.
        values: One number for each site or parameter; what it means depends on the swap.
    """

    swap: Swap
    what: str
    sites: tuple[int, ...] = ()
    sources: tuple[int, ...] = ()
    parameters: tuple[str, ...] = ()
    values: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        by_name = self.swap in (Swap.PARAMETERS, Swap.REDRAW)
        named = len(self.parameters) if by_name else len(self.sites)
        if self.values and len(self.values) != named:
            raise ValueError(f"{len(self.values)} values for {named} places")
        if self.sources and len(self.sources) != len(self.sites):
            raise ValueError(f"{len(self.sources)} sources for {len(self.sites)} sites")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one intervention did.

    Attributes:
        before: Decades from origin to target in the network as it is.
        after: The same with the swap.
        reason: Why it was not measured; empty where it was.
    """

    before: float = math.nan
    after: float = math.nan
    reason: str = ""
