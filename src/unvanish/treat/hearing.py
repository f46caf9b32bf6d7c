"""A gradient for steps that have none: what is given to them is heard, and who learns by it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from torch import nn

from unvanish.core.findings import Finding
from unvanish.core.records import Recording
from unvanish.observe.tracing import trace
from unvanish.treat.protocol import Case
from unvanish.treat.remembering import Remembering
from unvanish.treat.surgery import Surgery


def hear(
    surgery: Surgery,
    relay: Remembering,
    listener: Callable[[float], nn.Module],
    settings: Mapping[str, float],
    recording: Recording,
    *,
    after: str,
) -> None:
    """Open the scope of a forward, and let each step in it know what it is given.

    Args:
        surgery: Changes the network.
        relay: Holds the scope.
        listener: Makes what is called with the first argument of a step, from its setting.
        settings: Path and function of each step, such as ``"gate gt"``, to its setting.
        recording: One look at the network, for the lines of the steps.
        after: What the function has then, such as ``"the gradient of a soft step"``.
    """
    surgery.insert("", None, "scope", relay=relay)
    lines = {(cut.path, cut.op): cut.source for cut in recording.cuts}
    for place, setting in settings.items():
        path, _, function = place.rpartition(" ")
        surgery.insert(
            path,
            listener(setting),
            "before",
            function=function,
            before=f"{function}, which has no derivative",
            after=f"{function} with {after}",
            source=lines.get((path, function)),
        )


def newly_fed(twin: nn.Module, case: Case, starved: Sequence[Finding]) -> set[str]:
    """Return which starved parameters get a gradient in a copy that hears.

    Args:
        twin: The copy.
        case: The network that it was copied from.
        starved: Findings that name the parameters.

    Raises:
        UnvanishError: If the copy cannot be looked at, as with a checkpoint around a step.
    """
    after = trace(twin, case.batch, case.loss, batches=1, probe_steps=0)
    reached = {p.name for p in after.parameters if p.has_grad and p.log10_grad_rms > -math.inf}
    return reached & {name for finding in starved for name in finding.parameters}
