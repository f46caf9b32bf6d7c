"""Parts of recordings and diagnoses written by hand."""

from __future__ import annotations

import math
from typing import Final

from unvanish.core.conditions import Optimizer, RunContext
from unvanish.core.findings import Cause, Chart, Diagnosis, Finding, Mark, Point, Severity
from unvanish.core.places import SourceLine
from unvanish.core.records import Recording, Site
from unvanish.core.verdicts import Clear, Verdict

Case = tuple[Recording, Diagnosis, str]

NAMES: Final = {
    "UV101": "vanishing-gradient",
    "UV102": "exploding-gradient",
    "UV201": "saturated-activation",
    "UV202": "dead-units",
    "UV402": "precision-underflow",
    "UV403": "non-finite-values",
    "UV501": "detached-parameters",
    "UV901": "incomplete-measurement",
}
VERSIONS: Final = {"python": "3.11.4", "torch": "2.13.0", "unvanish": "0.1.0"}

RUN: Final = SourceLine("model.py", 14, "forward")
BUILT: Final = SourceLine("model.py", 9, "__init__")

MEASURED: Final = (
    -25.51, -24.11, -23.21, -22.30, -21.52, -20.61, -19.82, -18.95, -18.11, -17.20,
    -16.37, -15.49, -14.66, -13.71, -12.85, -12.02, -11.10, -10.33, -9.48, -8.60,
    -7.77, -6.81, -5.96, -5.11, -4.30, -3.52, -2.68, -1.80, -0.96, -0.13,
)  # fmt: skip


def sites(
    depth: int,
    *,
    path: str = "layers.{}",
    source: SourceLine | None = RUN,
    built: SourceLine | None = BUILT,
) -> tuple[Site, ...]:
    """Linear layers and the sigmoids between them, in forward order."""
    result: list[Site] = []
    for layer in range(depth):
        result.append(
            Site(
                index=len(result),
                path=path.format(layer),
                op="linear",
                depth=layer + 1,
                module="Linear",
                source=source,
                built=built,
                weights=(f"{path.format(layer)}.weight",),
            )
        )
        if layer < depth - 1:
            result.append(Site(index=len(result), path="", op="sigmoid", call=layer, source=source))
    return tuple(result)


def profile(values: tuple[float, ...], *, path: str = "layers.{}", note: str = "") -> Chart:
    """A chart whose marks follow from the distance to the last layer."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    points = tuple(
        Point(
            path.format(i),
            value,
            Mark.STARVED
            if value < finite[-1] - 8
            else Mark.WEAK
            if value < finite[-1] - 3
            else Mark.FINE,
            note,
        )
        for i, value in enumerate(values)
    )
    return Chart("gradient that arrives at each layer, rms", points, "slope x weight")


def vanishing(chart: Chart | None, where: tuple[Site, ...], **changes: object) -> Finding:
    """The finding of a sigmoid network thirty layers deep."""
    fields: dict[str, object] = {
        "code": "UV101",
        "name": NAMES["UV101"],
        "severity": Severity.ERROR,
        "message": "the gradient vanishes: it loses 25.4 decades over 30 layers",
        "sites": where,
        "measured": 25.4,
        "expected": 0.3,
        "limit": 3.0,
        "unit": "decades",
        "causes": (Cause.ACTIVATION_SLOPE, Cause.INIT_TOO_SMALL),
        "notes": (
            "of 25.4 decades lost between layers.29 and layers.0 the slope of sigmoid took 17.8, "
            "which is 70 %, and the weights 7.6",
            "theory predicts a factor of 0.141 a layer, measured is 0.140: this is the "
            "initialisation, not the data and not a bug in the training loop",
        ),
        "help": (
            "replace sigmoid by torch.nn.ReLU() and initialise with "
            "torch.nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')",
            "or put `nn.BatchNorm1d(64)` before each sigmoid",
        ),
        "chart": chart,
    }
    return Finding(**{**fields, **changes})  # type: ignore[arg-type]


def context(**changes: object) -> RunContext:
    """The conditions of the look at the sigmoid network."""
    fields: dict[str, object] = {
        "batch_size": 256,
        "batches": 3,
        "loss": "cross_entropy",
        "loss_value": 2.3145,
        "optimizer": Optimizer(name="AdamW", lr=1e-3, eps=1e-8),
        "parameters": 117_226,
        "modules": {"Linear": 30, "Sigmoid": 29},
        "inferred": ("no loss was given: cross_entropy from an integer target",),
        "versions": VERSIONS,
        "seconds": 0.41,
    }
    return RunContext(**{**fields, **changes})  # type: ignore[arg-type]


def diagnosis(**verdicts: Verdict) -> Diagnosis:
    """A diagnosis in the order of the codes, with the names of the rules."""
    ordered = dict(sorted(verdicts.items()))
    return Diagnosis(ordered, {code: NAMES[code] for code in ordered})


def others() -> dict[str, Verdict]:
    """What the other rules say about the sigmoid network."""
    return {
        "UV102": Clear(2.9, "decades", "the gradient grows by 0.1 decades at most"),
        "UV201": Clear(0.38, "fraction of units", "12 % of the sigmoids are saturated"),
        "UV403": Clear(summary="every value is finite"),
        "UV501": Clear(summary="all 60 parameters reach the loss"),
        "UV901": Clear(summary="all 117 steps were seen"),
    }
