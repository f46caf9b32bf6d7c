"""Recordings and diagnoses written by hand, for the pages that are compared as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tests.show.extremes import (
    beyond_float64,
    hostile,
    long_paths,
    no_source_lines,
    very_deep,
    zero_gradient,
)
from tests.show.parts import (
    MEASURED,
    NAMES,
    Case,
    context,
    diagnosis,
    others,
    profile,
    sites,
    vanishing,
)

from unvanish.core.conditions import RunContext
from unvanish.core.findings import Cause, Diagnosis, Finding, Severity
from unvanish.core.incidents import Gap
from unvanish.core.places import SourceLine
from unvanish.core.records import Recording
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict


def sick() -> Case:
    """Thirty sigmoid layers: the gradient vanishes, some units are dead, float16 is blind."""
    all_sites = sites(30)
    linear = tuple(site for site in all_sites if site.op == "linear")
    dead = Finding(
        code="UV202",
        name=NAMES["UV202"],
        severity=Severity.WARNING,
        message="7 of 64 units in layers.3 are dead: no sample of any batch can change them",
        sites=(linear[3],),
        measured=0.109,
        expected=0.002,
        limit=0.05,
        unit="fraction of units",
        causes=(Cause.BIAS,),
        help=("lower the learning rate, or start the biases at 0",),
    )
    underflow = Finding(
        code="UV402",
        name=NAMES["UV402"],
        severity=Severity.NOTE,
        message="float16 would read the gradient of 22 layers as zero",
        sites=linear[:22],
        parameters=tuple(f"layers.{i}.weight" for i in range(22)),
        causes=(Cause.PRECISION,),
        root="UV101",
    )
    found = diagnosis(
        UV101=Found((vanishing(profile(MEASURED, note="0.245 x 0.576"), linear[:19]),)),
        UV202=Found((dead,)),
        UV402=Found((underflow,)),
        **others(),
    )
    return Recording(sites=all_sites, context=context()), found, "model.py:Net"


def healthy() -> Case:
    """Six layers of ReLU, initialised as they should be."""
    found = diagnosis(
        UV101=Clear(2.7, "decades", "the gradient loses 0.3 decades over 6 layers"),
        UV202=Clear(0.04, "fraction of units", "1 % of the units are silent"),
        **{**others(), "UV201": NotApplicable("no activation here can saturate")},
    )
    what = context(parameters=21_514, modules={"Linear": 6, "ReLU": 5}, inferred=(), seconds=0.08)
    return Recording(sites=sites(6), context=what), found, "model.py:Net"


def not_measured() -> Case:
    """A network whose recurrent layer could not be looked into."""
    verdicts: dict[str, Verdict] = {
        **others(),
        "UV101": NotMeasured("no gradient came back from `rnn`: cuDNN runs it as one step"),
        "UV402": NotMeasured("no parameter had a gradient"),
        "UV201": NotApplicable("no activation here can saturate"),
    }
    gaps = (Gap("rnn", "cuDNN runs all time steps as one; move the model to the CPU", 0),)
    what = context(modules={"LSTM": 1, "Linear": 1}, batch_size=0, batches=1, device="cuda:0")
    return Recording(context=what, gaps=gaps), diagnosis(**verdicts), "rnn.py:Tagger"


def many() -> Case:
    """More findings and notes than fit a screen."""
    linear = tuple(site for site in sites(12) if site.op == "linear")
    warnings = tuple(
        Finding(
            code="UV202" if i % 3 else "UV201",
            name="dead-units",
            severity=Severity.WARNING,
            message=f"{i + 1} of 64 units in layers.{i} are dead",
            sites=(site,),
        )
        for i, site in enumerate(linear[:10])
    )
    error = vanishing(
        None,
        (linear[0], linear[5], linear[2], *sites(2, source=SourceLine("head.py", 3))),
        notes=tuple(f"note {i}" for i in range(9)),
        parameters=("a.weight", "b.weight", "c.0.bias", "c.1.bias", "c.2.bias", "d", "e", "f"),
    )
    by_code: Mapping[str, Verdict] = {
        "UV101": Found((error,)),
        "UV201": Found(tuple(f for f in warnings if f.code == "UV201")),
        "UV202": Found(tuple(f for f in warnings if f.code == "UV202")),
    }
    gaps = tuple(Gap(f"step {i}", "the operation is opaque") for i in range(7))
    what = context(
        dtype="bfloat16", autocast="bfloat16", training=False, probe_steps=5,
        modules={"Linear": 12, "ReLU": 11, "Dropout": 10, "LayerNorm": 9, "Embedding": 1},
    )  # fmt: skip
    return Recording(context=what, gaps=gaps), diagnosis(**by_code), "package.module:Net"


def nothing_judged() -> Case:
    """No rule is about this network."""
    found = diagnosis(UV101=NotApplicable("one layer only"), UV201=NotApplicable("no activation"))
    return Recording(context=context(inferred=())), found, "model.py"


def no_rules() -> Case:
    """No rule was run at all."""
    return Recording(context=RunContext()), Diagnosis(), "model.py"


CASES: Final[dict[str, Callable[[], Case]]] = {
    case.__name__: case
    for case in (
        sick, healthy, not_measured, very_deep, zero_gradient, beyond_float64, no_source_lines,
        long_paths, hostile, many, nothing_judged, no_rules,
    )
}  # fmt: skip
