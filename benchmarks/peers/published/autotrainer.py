"""The gradient rules of AutoTrainer, an automatic repair tool for Keras.

Source: Zhang, Zhai, Ma and Shen, "AutoTrainer: An Automatic DNN Training Problem Detection
and Repair System", ICSE 2021; defaults as in its repository, shiningrain/AUTOTRAINER.

The original computes gradients on one fixed batch after every third epoch; this looks at
those of every third step. It drops gradients of embeddings, which are sparse in
TensorFlow; so does this. Its accuracy gate is left out: an alarm is only acted on while
the accuracy is below a target (0.7) from 30 % of the epochs on, which needs a longer run
and classification. With it, fewer networks of either kind would be reported.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from benchmarks.peers.record import Record, Step, System


def checked(record: Record) -> Iterator[Step]:
    """Yield every third step, beginning with the third."""
    yield from record.steps[2::3]


def norms(step: Step) -> tuple[float, float]:
    """Return the norms of the first and the last weight's gradient, biases left aside."""
    found = [p.gradient.norm for p in step.of_kind("weight") if p.gradient is not None]
    return (found[0], found[-1]) if found else (math.nan, math.nan)


def gradient_vanish(record: Record) -> bool:
    """GV: first over last norm is below 1e-3 (beta 1), and the first below 1e-4 (beta 2)."""
    pairs = (norms(step) for step in checked(record))
    return any(first < 1e-3 * last and first < 1e-4 for first, last in pairs)


def gradient_explode(record: Record) -> bool:
    """GE: first over last norm is above 70 (beta 3); or NaN or infinity anywhere."""
    if any(
        not math.isfinite(step.loss)
        or not all(p.is_finite for p in step.parameters)
        or not all(g.is_finite for g in step.gradients)
        for step in record.steps
    ):
        return True
    return any(first > 70 * last for first, last in map(norms, checked(record)))


def dying_relu(record: Record) -> bool:
    """DR: at least 70 % (gamma) of all gradients' entries are exactly zero."""
    for step in checked(record):
        counted = [
            (p.gradient.zero_share, math.prod(p.shape))
            for p in step.of_kind("weight", "bias", "vector")
            if p.gradient is not None
        ]
        size = sum(count for _, count in counted)
        if size and sum(share * count for share, count in counted) >= 0.7 * size:
            return True
    return False


SYSTEM: Final = System(
    name="AutoTrainer",
    source="Zhang et al., ICSE 2021; defaults of shiningrain/AUTOTRAINER",
    left_out=(
        "the accuracy gate before its gradient rules, and the rules about accuracy curves "
        "(oscillating loss, slow convergence): they need a whole run; with the gate fewer "
        "networks of either kind would be reported"
    ),
    rules={"GV": gradient_vanish, "GE": gradient_explode, "DR": dying_relu},
)
