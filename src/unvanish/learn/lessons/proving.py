"""Lesson: how to prove a repair, and random search as the rival that counts."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import torch
from torch import nn

from unvanish.core.lessons import Curves, Evidence, Point, Relation, Series, Table
from unvanish.core.proofs import Comparison, Job
from unvanish.core.sources import SOURCES
from unvanish.learn.data import CLASSES, passes, shapes
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import plain
from unvanish.learn.settings import one_of, seed, whole
from unvanish.learn.trials import experiment_of
from unvanish.prove.experiment import Experiment
from unvanish.prove.statistics import compare, is_better
from unvanish.prove.training import execute

_REDRAW = 50_000
"""Added to the seed of the initial weights in the null arm."""
_CHOOSING = 1_000
"""Added to the seed on which the rival chooses; it is never judged there."""
_REPAIRS = {
    "relu+he": ("relu", "he"),
    "batch-norm": ("batch-norm",),
    "xavier": ("xavier",),
    "layer-norm": ("layer-norm",),
    "residual": ("residual",),
    "lsuv": ("lsuv",),
    "elu": ("elu",),
    "clip-norm": ("clip-norm",),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The network that is to be repaired, and how the repair is tried."""

    repair: str = one_of("relu+he", tuple(_REPAIRS), meaning="repair to be proven")
    depth: int = whole(6, least=1, most=12, meaning="hidden layers, of sigmoids")
    steps: int = whole(150, least=20, most=600, meaning="training steps of every run")
    pairs: int = whole(5, least=2, most=12, meaning="pairs of seeds that judge")
    tries: int = whole(3, least=1, most=8, meaning="repairs that the rival draws")
    seed: int = seed()


def experiment(settings: Settings) -> Evidence:
    """Train five arms seed by seed, and compare each with the untouched network."""
    trial = experiment_of(
        lambda: plain(settings.depth, width=48, outputs=CLASSES),
        passes(*shapes(2048, settings.seed), size=64),
        loss="cross_entropy",
        optimizer=_adam,
        steps=settings.steps,
        seed=settings.seed,
    )
    seeds = range(settings.seed, settings.seed + settings.pairs)
    drawn = random.Random(settings.seed).sample(sorted(_REPAIRS), settings.tries)
    chosen = max(drawn, key=lambda name: _tried(trial, name, settings))
    arms = {
        "untouched": Job(steps=settings.steps, judged=True),
        "null": Job(steps=settings.steps, judged=True, redraw=_REDRAW),
        settings.repair: Job(steps=settings.steps, judged=True, remedies=_REPAIRS[settings.repair]),
        f"by lot: {chosen}": Job(steps=settings.steps, judged=True, remedies=_REPAIRS[chosen]),
    }
    scores = {
        name: [_metric(trial, replace(job, seed=one)) for one in seeds]
        for name, job in arms.items()
    }
    control = scores["untouched"]
    found = {
        name: _compared(of, control, trial) for name, of in scores.items() if of is not control
    }
    null, repair, rival = found.values()
    return Evidence(
        points=(
            Point(
                says="gain of the repair over the untouched network, lower end of the 95 % "
                "interval",
                measured=repair.low,
                relation=Relation.AT_LEAST,
                limit=0.03,
            ),
            Point(
                says="the null arm counts as better by the same rule (1: yes)",
                measured=float(is_better(null)),
                relation=Relation.EXACTLY,
                limit=0.0,
            ),
            Point(
                says="largest difference that a single pair shows although nothing was repaired",
                measured=max(map(abs, null.differences), default=math.nan),
                relation=Relation.AT_LEAST,
                limit=0.01,
            ),
            Point(
                says=f"mean gain of the best of {settings.tries} repairs drawn by lot",
                measured=rival.mean,
                relation=Relation.AT_LEAST,
                limit=0.01,
            ),
        ),
        tables=(
            Table(
                title=f"accuracy on unseen samples, mean of {settings.pairs} seeds",
                columns=("arm", "accuracy", "gain", "95 % interval", "pairs won"),
                rows=tuple(_row(name, of, found.get(name)) for name, of in scores.items()),
                note="null: the untouched network with other initial weights. by lot: of "
                f"{', '.join(drawn)}, the one that did best on a seed of its own. Held fixed: "
                "samples, order of the batches, optimiser, learning rate and number of steps.",
            ),
        ),
        plots=(
            Curves(
                title="Difference to the untouched network, pair by pair",
                x_label="pair",
                y_label="accuracy gained",
                series=tuple(
                    Series(
                        name=name,
                        x=tuple(float(pair) for pair in range(1, settings.pairs + 1)),
                        y=one.differences,
                        dots=True,
                    )
                    for name, one in found.items()
                ),
            ),
        ),
    )


def _adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=0.003)


def _tried(trial: Experiment, name: str, settings: Settings) -> float:
    job = Job(remedies=_REPAIRS[name], steps=settings.steps, seed=settings.seed + _CHOOSING)
    score = execute(trial, job).validation
    return score if math.isfinite(score) else -math.inf


def _metric(trial: Experiment, job: Job) -> float:
    return execute(trial, job).metric


def _compared(scores: Sequence[float], control: Sequence[float], trial: Experiment) -> Comparison:
    return compare(
        scores,
        control,
        higher_is_better=True,
        worst=1.0 / CLASSES,
        samples=trial.endpoint.samples,
    )


def _row(name: str, scores: Sequence[float], one: Comparison | None) -> tuple[str | float, ...]:
    if one is None:
        return (name, fmean(scores), "-", "-", "-")
    won = sum(difference > 0 for difference in one.differences)
    interval = f"{one.low:+.3f} to {one.high:+.3f}"
    return (name, fmean(scores), f"{one.mean:+.3f}", interval, f"{won} of {len(one.differences)}")


LESSON = Lesson(
    name="proving",
    title="Pairs, a null arm and a rival prove a repair",
    claim=(
        "One training before and one after prove nothing, since two trainings that differ in "
        "nothing but luck differ too; pairs of seeds tell a repair from luck, and even repairs "
        "drawn by lot gain something."
    ),
    text="""
Somebody changes a network, trains it again, and gets two points more. Three things have to be ruled
out before that says anything about the change.

*Luck.* Other initial weights alone move the result. So both networks are trained from several
seeds, in pairs: the same seed gives the same batches in the same order to both. For each seed the
results are subtracted, d_i = treated_i - untouched_i, and the mean of the d_i gets an interval:

    mean(d) +- t(n - 1) * s(d) / sqrt(n)

with t from Student's distribution for n pairs. Where it contains zero, nothing is shown.

*The procedure.* A rule that is asked often enough says "better" at some time. So the same
procedure is run on a *null arm*: the untouched network once more, with other initial weights. If
that counts as better, the rule is at fault.

*Any change would have done.* A sick network is easily improved. The rival that counts is not the
untouched network alone but *random search of equal budget*: draw some repairs by lot, try each,
keep the best. A diagnosis that does no better than that was not needed.

And one rule holds for all of them: what chooses must not judge. The repair, the learning rate and
the rival are chosen on seeds and samples of their own, and judged on others. The best of several
noisy numbers is always too good.
""",
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "A null arm that counts as better, or a repair whose interval reaches down to zero. A "
        "repair that cannot help must fail this test: clipping the gradient cannot mend one that "
        "vanishes."
    ),
    counterexample={"repair": "clip-norm"},
    question=(
        "You try 20 repairs on one seed each, and the best is 3 points above the untouched "
        "network. Two trainings of the untouched network differ by 2 points in the mean. What have "
        "you shown?"
    ),
    answer=(
        "Nothing yet. The best of 20 lucky draws lies about that far above the mean even if no "
        "repair does anything. Train the winner and the untouched network again, on fresh seeds."
    ),
    sources=(
        SOURCES["student1908"],
        SOURCES["bouthillier2021"],
        SOURCES["bergstra2012"],
    ),
)
