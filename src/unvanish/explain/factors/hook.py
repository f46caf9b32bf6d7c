"""Hooks of the user's on a module's gradient, which autograd keeps as steps of their own."""

from __future__ import annotations

from unvanish.core.explanations import Factor
from unvanish.core.operations import HOOK_STEP
from unvanish.explain.factors.book import Part, Step


def parts(step: Step) -> tuple[Part, ...] | None:
    """Return the one factor of a step that stands for a module's backward hooks."""
    if step.op != HOOK_STEP:
        return None
    return (Part(Factor.HOOK if step.gain else Factor.LAYOUT, step.gain),)
