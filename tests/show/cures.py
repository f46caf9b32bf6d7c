"""Cures written by hand: what a trial may come to, without a trial."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

from tests.show.fixtures import healthy, sick

from unvanish.core.cures import Cure, Origin
from unvanish.core.patches import FileEdit, Patch, Safety
from unvanish.core.places import SourceLine
from unvanish.core.prescriptions import (
    Advice,
    Change,
    Edit,
    Keeps,
    Option,
    Outlook,
    Prescription,
    Receipt,
)
from unvanish.core.proofs import (
    Arm,
    Comparison,
    Conclusion,
    Endpoint,
    Harm,
    Job,
    Proof,
    Role,
    Run,
)

SEEDS: Final = (100, 101, 102, 103, 104)
ACCURACY: Final = Endpoint(
    name="accuracy",
    goal=0.55,
    chance=0.1011,
    samples=360,
    origin="the target says classes: share of the samples whose largest output is the right one",
)


def run(seed: int, metric: float, *, milliseconds: float = 2.0, **changes: Any) -> Run:
    """One judged run of 300 steps."""
    job = Job(seed=seed, steps=300, judged=True, remedies=changes.pop("remedies", ()))
    fields: dict[str, Any] = {
        "job": job,
        "metric": metric,
        "validation": metric,
        "losses": (2.31, 2.30),
        "loss_steps": (1, 300),
        "steps": 300,
        "seconds": 0.3 * milliseconds,
        "parameters": 117_226,
        "learning_rate": 0.1,
    }
    return Run(**{**fields, **changes})


def arm(name: str, metrics: tuple[float, ...], **changes: Any) -> Arm:
    """An arm with one run a seed."""
    milliseconds = changes.pop("milliseconds", 2.0)
    runs = tuple(
        run(seed, metric, milliseconds=milliseconds)
        for seed, metric in zip(SEEDS, metrics, strict=False)
    )
    return Arm(name=name, runs=runs, **changes)


def difference(mean: float, low: float, high: float, count: int = 5) -> Comparison:
    """A difference that all seeds share, nearly."""
    return Comparison(
        differences=(mean,) * count,
        mean=mean,
        low=low,
        high=high,
        p_value=2.0**-count,
        p_corrected=2.0**-count,
    )


def proof(**changes: Any) -> Proof:
    """Thirty sigmoid layers that do not learn, and do with residual connections."""
    control = arm(
        "control",
        (0.1011, 0.0982, 0.1011, 0.1011, 0.0956),
        role=Role.CONTROL,
        fate="control",
    )
    chosen = arm(
        "he + relu, rate x0.1",
        (0.961, 0.958, 0.967, 0.944, 0.972),
        milliseconds=2.3,
        remedies=("he", "relu"),
        rate_factor=0.1,
        fate="chosen",
        comparison=difference(0.861, 0.847, 0.875),
    )
    other = arm(
        "residual",
        (0.91, 0.94, math.nan, 0.93, 0.92),
        remedies=("residual",),
        fate="beaten",
        why="it is worse than he + relu on every seed",
        comparison=difference(0.66, 0.2, 1.12),
    )
    failing = replace(
        other.runs[2], metric=math.nan, diverged="the loss is nan at step 17", steps=17
    )
    other = replace(other, runs=(*other.runs[:2], failing, *other.runs[3:]))
    null = arm("control, redrawn", (0.1011, 0.0982, 0.1011), role=Role.NULL, fate="compared")
    lot = replace(
        arm("drawn by lot", (0.11, 0.95, 0.1), role=Role.RANDOM, fate="compared"),
        comparison=difference(0.29, -0.9, 1.5, 3),
    )
    named = [
        replace(r, job=replace(r.job, remedies=(n,)))
        for r, n in zip(lot.runs, ("gelu", "batch-norm", "xavier"), strict=True)
    ]
    dropped = tuple(
        Arm(
            name=name,
            remedies=(name,),
            tries=(run(0, math.nan, steps=75, validation=0.1),),
            fate="dropped",
            why=f"its best validation score was {score}, the last finalist's 0.71",
        )
        for name, score in (("lsuv", 0.1), ("batch-norm", 0.42), ("xavier", 0.1))
    )
    fields: dict[str, Any] = {
        "endpoint": ACCURACY,
        "conclusion": Conclusion.CURED,
        "said": "the network as it is does not learn; with he + relu at a tenth of the learning "
        "rate it does",
        "chosen": chosen.name,
        "arms": (control, chosen, other, null, replace(lot, runs=tuple(named)), *dropped),
        "comparison": chosen.comparison,
        "harms": (
            Harm(name="time per step", control=2.0, treated=2.3, unit="ms"),
            Harm(name="dead units", control=0.0, treated=0.02, said="2 % of the units are dead"),
        ),
        "steps": 300,
        "seeds": SEEDS,
        "engine": "local",
        "jobs": 2,
        "seconds": 47.3,
        "held_fixed": ("samples, split and order of the batches", "number of steps"),
        "notes": ("1797 samples: 1213 to train on, 224 to choose by, 360 to judge by",),
    }
    return Proof(**{**fields, **changes})


def advice() -> Advice:
    """What was tried on a copy."""
    before = Outlook(flow_decades=-25.4, sample_cosine=1.0, findings={"UV101": "error"})
    after = Outlook(flow_decades=-0.3, sample_cosine=0.4, milliseconds=2.0, loss=2.3)
    prescription = Prescription(
        remedy="he",
        why="30 layers start too small",
        change=Change.INITIALISATION,
        keeps=frozenset({Keeps.STATE_NAMES, Keeps.ARCHITECTURE}),
        settings={"gain": 1.414, "mode": "fan_in", "layers": 30, "exact": True, "top": math.inf},
    )
    option = Option(
        remedies=("he", "relu"),
        prescriptions=(prescription, replace(prescription, remedy="relu", settings={})),
        receipts=RECEIPTS,
        outlook=after,
        cures=("UV101",),
        score=1.0,
        can_be_written=True,
    )
    failed = Option(remedies=("fixup",), failed="a residual block is needed")
    return Advice(
        before=before,
        options=(option, failed),
        refused={"forget-bias": "there is no nn.LSTM in it"},
        untried=("soap",),
    )


RECEIPTS: Final = (
    Receipt(
        remedy="he",
        edits=tuple(
            Edit(
                place=f"layers.{i}.weight",
                before="rms 0.072",
                after="rms 0.177",
                source=SourceLine("model.py", 9, "__init__"),
            )
            for i in range(30)
        ),
    ),
    Receipt(
        remedy="relu",
        edits=(Edit(place="", before="sigmoid", after="relu"),),
        notes=("it has no upper end",),
    ),
)

_BEFORE: Final = "import torch\n\ndef forward(x):\n    x = torch.sigmoid(x)\n    return x\n"
PATCH: Final = Patch(
    remedies=("he", "relu"),
    safety=Safety.RETRAIN,
    files=(FileEdit(path="model.py", before=_BEFORE, after=_BEFORE.replace("sigmoid", "relu")),),
    agrees=True,
)


def cure(**changes: Any) -> Cure:
    """A network that is cured."""
    fields: dict[str, Any] = {
        "origin": Origin(target="model.py:Net", data="digits", options=("--budget", "300steps")),
        "conclusion": Conclusion.CURED,
        "said": proof().said,
        "before": sick()[0],
        "advice": advice(),
        "proof": proof(),
        "remedies": ("he", "relu"),
        "rate_factor": 0.1,
        "receipts": RECEIPTS,
        "after": healthy()[0],
        "patch": PATCH,
        "seconds": 49.8,
    }
    return Cure(**{**fields, **changes})


def well() -> Cure:
    """A network that learns as it is."""
    control = arm("control", (0.961, 0.958, 0.967, 0.944, 0.972), role=Role.CONTROL, fate="control")
    said = "the network learns as it is: nothing is to be done"
    return cure(
        conclusion=Conclusion.HEALTHY,
        said=said,
        before=healthy()[0],
        advice=Advice(before=Outlook(), nothing="nothing is wrong"),
        proof=proof(
            conclusion=Conclusion.HEALTHY,
            said=said,
            chosen="",
            arms=(control,),
            comparison=None,
            harms=(),
        ),
        remedies=(),
        rate_factor=1.0,
        receipts=(),
        after=None,
        patch=None,
    )


def untried() -> Cure:
    """A network without data."""
    return cure(
        conclusion=Conclusion.CANNOT,
        said="no trial could be made: there are no data to train on. Shown is the gradient's "
        "profile; that it learns is not",
        proof=None,
        rate_factor=1.0,
        left=("write in the recipe: def data(): yield from loader", "or --data digits"),
    )


def undecided() -> Cure:
    """A trial that was interrupted, with losses to judge by."""
    endpoint = Endpoint(name="loss", higher_is_better=False, chance=1.0, samples=64, held_out=False)
    control = arm("control", (0.98, 0.97), role=Role.CONTROL, fate="control")
    better = arm(
        "layer-norm",
        (0.31,),
        remedies=("layer-norm",),
        fate="compared",
        comparison=difference(0.67, -math.inf, math.inf, 1),
    )
    said = "two runs do not decide it"
    return cure(
        conclusion=Conclusion.INCONCLUSIVE,
        said=said,
        proof=proof(
            endpoint=endpoint,
            conclusion=Conclusion.INCONCLUSIVE,
            said=said,
            chosen="",
            arms=(control, better),
            comparison=better.comparison,
            harms=(),
            is_partial=True,
            notes=("it was interrupted: only the runs that had ended are told",),
        ),
        remedies=(),
        rate_factor=1.0,
        receipts=(),
        after=None,
        patch=None,
    )


EVERY: Final = {"cure": cure, "well": well, "untried": untried, "undecided": undecided}
