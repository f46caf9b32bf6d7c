"""Everything between the network's outputs and the loss, as one factor."""

from __future__ import annotations

from unvanish.core.explanations import Factor
from unvanish.core.records import Role
from unvanish.explain.factors.book import Part, Step


def parts(step: Step) -> tuple[Part, ...] | None:
    """Return the one factor of a step that belongs to the loss."""
    return (Part(Factor.LOSS, step.gain),) if step.site.role is Role.LOSS else None
