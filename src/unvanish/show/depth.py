"""A trial of depth as text and as JSON."""

from __future__ import annotations

import math
from statistics import fmean
from typing import Any, Final

from unvanish.core.depths import Depth, Trend
from unvanish.core.proofs import Comparison
from unvanish.show.page import render_page
from unvanish.show.words import clean, number, plural, short_count

SCHEMA: Final = 1
_HEADLINES: Final = {
    Trend.WORSE: "Deeper is worse.",
    Trend.SAME: "Depth makes no difference.",
    Trend.BETTER: "Deeper is better.",
    Trend.INCONCLUSIVE: "Not decided.",
    Trend.CANNOT: "Could not be tried.",
}


def depth_text(found: Depth, *, width: int = 80, color: bool = False, ascii: bool = False) -> str:
    """Lay out a trial of depth.

    Args:
        found: The trial.
        width: Columns.
        color: Whether to write ANSI escape codes.
        ascii: Whether to write ASCII only.

    Returns:
        Lines no wider than the width.
    """
    parts = [f"{_HEADLINES[found.trend]} {_sentence(found.said)}"]
    if found.twins:
        stacks = "; ".join(
            f"{plural(stack.blocks, 'block')} of {clean(stack.kind)} at {clean(stack.name)}"
            for stack in found.stacks
        )
        parts.append(
            f"Blocks: {stacks}. {plural(found.steps, 'step')}, {plural(len(found.seeds), 'seed')}; "
            f"the training loss begins at {number(found.start)}."
        )
        parts.append("\n".join(f"    {line}" for line in _table(found)))
        refused = [f"- x{t.factor:g}: {clean(t.refused)}" for t in found.twins if t.refused]
        if refused:
            parts += ["## Not trained", "\n".join(refused)]
        parts += ["## Held fixed", "\n".join(f"- {line}" for line in found.held_fixed)]
        parts += ["## To know", "\n".join(f"- {line}" for line in found.notes)]
    parts += [
        "## Source",
        "He, Zhang, Ren and Sun (2016), who called it degradation: a deeper plain network that "
        "ends at a higher training error than a shallower one.",
    ]
    return render_page(
        "\n\n".join(parts), code="Depth", name=found.target, width=width, color=color, ascii=ascii
    )


def depth_json(found: Depth) -> dict[str, Any]:
    """Return a trial of depth as plain dictionaries, lists, text, numbers and None.

    Args:
        found: The trial.

    Returns:
        The document; None stands for a number that is not known or not finite.
    """
    return {
        "schema": SCHEMA,
        "target": found.target,
        "trend": found.trend.value,
        "said": found.said,
        "steps": found.steps,
        "seeds": list(found.seeds),
        "start": _plain(found.start),
        "stacks": [
            {"name": stack.name, "kind": stack.kind, "blocks": stack.blocks}
            for stack in found.stacks
        ],
        "twins": [
            {
                "factor": twin.factor,
                "blocks": twin.blocks,
                "parameters": twin.parameters,
                "losses": {str(seed): _plain(loss) for seed, loss in twin.losses.items()},
                "deeper_against_shallower": _comparison(twin.comparison),
                "refused": twin.refused,
                "failed": [run.failed for run in twin.runs if run.failed],
                "diverged": [run.diverged for run in twin.runs if run.diverged],
            }
            for twin in found.twins
        ],
        "held_fixed": list(found.held_fixed),
        "notes": list(found.notes),
        "seconds": _plain(found.seconds),
    }


def _table(found: Depth) -> list[str]:
    lines = [
        f"{'blocks':>6}  {'weights':>9}  {'loss':>7}  {'over the seeds':<15}  shallower's gain"
    ]
    own = next((twin for twin in found.twins if twin.factor == 1.0), None)
    for twin in found.twins:
        if not twin.runs:
            continue
        known = [value for value in twin.losses.values() if math.isfinite(value)]
        mean = number(fmean(known)) if known else "none"
        span = f"{number(min(known))} to {number(max(known))}" if known else ""
        lost = len(twin.runs) - len(known)
        span += f", {lost} lost" if lost else ""
        tail = "as it is" if twin is own else _gain(twin.comparison)
        lines.append(
            f"{twin.blocks:>6}  {short_count(twin.parameters):>9}  {mean:>7}  {span:<15}  {tail}"
        )
    return [line.rstrip() for line in lines]


def _gain(comparison: Comparison | None) -> str:
    """Return how much lower the loss of the shallower network is, with its interval."""
    if comparison is None or not comparison.differences:
        return ""
    if not math.isfinite(comparison.low):
        return f"{-comparison.mean:+.2g}"
    return f"{-comparison.mean:+.2g} ({-comparison.high:.2g} .. {-comparison.low:.2g})"


def _sentence(text: str) -> str:
    words = clean(text)
    return f"{words[:1].upper()}{words[1:]}."


def _comparison(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    return {
        "differences": [_plain(value) for value in comparison.differences],
        "mean": _plain(comparison.mean),
        "low": _plain(comparison.low),
        "high": _plain(comparison.high),
        "confidence": comparison.confidence,
        "p_value": _plain(comparison.p_value),
        "superiority": _plain(comparison.superiority),
        "trifle": _plain(comparison.trifle),
    }


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
