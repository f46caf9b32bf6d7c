"""Lesson: more layers, worse training, shown by a paired trial."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import nn

from unvanish.core.depths import Twin
from unvanish.core.lessons import Curves, Evidence, Point, Relation, Series, Table
from unvanish.core.sources import SOURCES
from unvanish.learn.data import CLASSES, passes, shapes
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import ACTIVATIONS, STARTS, grad_by_layer, plain, started
from unvanish.learn.settings import number, one_of, seed, whole
from unvanish.learn.trials import experiment_of
from unvanish.observe import trace
from unvanish.prove.depth import depth_trial

_SHALLOW = 2
_PAIRS = 3


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The deep network; its shallow twin has two hidden layers and is else the same."""

    depth: int = whole(10, least=4, most=60, meaning="hidden layers of the deep network")
    width: int = whole(64, least=8, most=128, meaning="units of a hidden layer")
    activation: str = one_of("sigmoid", tuple(ACTIVATIONS), meaning="activation function")
    init: str = one_of("default", STARTS, meaning="initialisation")
    steps: int = whole(80, least=20, most=500, meaning="training steps of every run")
    learning_rate: float = number(0.01, least=1e-6, most=1, meaning="learning rate of Adam")
    seed: int = seed()


def experiment(settings: Settings) -> Evidence:
    """Train the network and its twins alike, seed by seed, and compare the training losses."""
    batch = shapes(512, settings.seed)

    def make() -> nn.Module:
        network = plain(
            settings.depth,
            width=settings.width,
            activation=settings.activation,
            outputs=CLASSES,
        )
        return started(network, settings.init, batch, "cross_entropy")

    found = depth_trial(
        experiment_of(
            make,
            passes(*batch, size=64),
            loss="cross_entropy",
            optimizer=lambda model: torch.optim.Adam(model.parameters(), settings.learning_rate),
            steps=settings.steps,
            seed=settings.seed,
        ),
        factors=(_SHALLOW / settings.depth, 0.5) if settings.depth > 2 * _SHALLOW else (0.5,),
        steps=settings.steps,
        seeds=tuple(settings.seed + pair for pair in range(_PAIRS)),
    )
    twins = sorted(found.twins, key=lambda twin: twin.factor)
    shallow, deep = twins[0], twins[-1]
    trained = [twin for twin in twins if twin.runs]
    apart = settings.depth - deep.blocks  # layers of another shape, which every twin has
    if shallow.comparison is None or not deep.runs:
        return Evidence(missing=found.said or "the twins could not be trained")
    lost = grad_by_layer(trace(make(), batch, "cross_entropy"))
    return Evidence(
        points=(
            Point(
                says="training loss of the deep network above that of the shallow one, lower end "
                f"of the {100 * shallow.comparison.confidence:.3g} % interval over pairs of seeds",
                measured=0.0 - shallow.comparison.high,
                relation=Relation.AT_LEAST,
                limit=0.1,
            ),
            Point(
                says="pairs of seeds in which the deep network ended higher, as a share",
                measured=_share(deep, shallow),
                relation=Relation.EXACTLY,
                limit=1.0,
            ),
            Point(
                says="decades of gradient lost on the way to the first layer of the deep network",
                measured=lost[-1] - lost[0],
                relation=Relation.AT_LEAST,
                limit=3.0,
                unit="decades",
            ),
        ),
        tables=(
            Table(
                title=f"training loss after {settings.steps} steps, {_PAIRS} seeds",
                columns=("hidden layers", "parameters", "lowest", "mean", "highest"),
                rows=tuple(
                    (twin.blocks + apart, twin.parameters, min(of), fmean(of), max(of))
                    for twin in trained
                    for of in [[float(loss) for loss in twin.losses.values()]]
                ),
                note=f"Knowing nothing gives ln {CLASSES} = {math.log(CLASSES):.3f}. "
                f"Held fixed: {'; '.join(found.held_fixed)}.",
            ),
        ),
        plots=(
            Curves(
                title="Training loss, mean over the seeds",
                x_label="step",
                y_label="cross-entropy",
                series=tuple(
                    _course(twin, f"{twin.blocks + apart} layers", settings.steps)
                    for twin in trained
                ),
            ),
        ),
        notes=(f"The trial says: {found.said}.",) if found.said else (),
    )


def _share(deep: Twin, shallow: Twin) -> float:
    """Return the share of seeds whose deep run ended higher, or without a result."""
    worse = [not deep.losses[seed] <= loss for seed, loss in shallow.losses.items()]
    return fmean(worse)


def _course(twin: Twin, name: str, steps: int) -> Series:
    columns = list(zip(*(run.losses for run in twin.runs), strict=False))
    at = [1 + (steps - 1) * place / max(1, len(columns) - 1) for place in range(len(columns))]
    return Series(name=name, x=tuple(at), y=tuple(fmean(column) for column in columns))


LESSON = Lesson(
    name="depth",
    title="More layers train worse, and it is not overfitting",
    claim=(
        "Of two plain sigmoid networks that differ in nothing but the number of layers, the deeper "
        "one ends at a higher training loss after equal training."
    ),
    text="""
A deep network can do whatever a shallow one does: its further layers only have to pass on what they
get. So, at its best weights, its training loss cannot be higher. If after equal training it is
higher all the same, the weights were not found. The fault lies with the training, not with what
the network could represent.

The comparison has to be fair to say that. Everything but the depth is held fixed: samples, order of
the batches, optimiser, learning rate, number of steps. And each depth is trained from several
seeds, in pairs, because a single run may be lucky. For each seed the difference

    d = loss(deep) - loss(shallow)

is taken, and the interval of the mean of d says what chance allows. Where it lies wholly above
zero, the deep network is worse.

It is the *training* loss that counts. On held-out samples a larger network may do worse because it
has learnt its samples by heart, which is overfitting. On the training samples themselves it cannot.
He and others called this degradation, and answered it with residual connections. In plain sigmoid
networks its reason is the gradient: the early layers get next to none of it, stay as they were
drawn, and hand on to the late layers a signal that hardly differs from sample to sample.
""",
    belief=(
        "A deeper network that does worse has overfitted. That is wrong where its training loss is "
        "the higher one, as here."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "An interval that includes zero or lies below it: then depth made no difference that "
        "could be told from chance, or helped."
    ),
    counterexample={"activation": "relu", "init": "he", "depth": 6},
    question=(
        "Somebody reports that 20 layers reach 91 % and 40 layers 88 % on the test set, from one "
        "run each, and concludes that the gradient vanishes. Which two numbers are missing?"
    ),
    answer=(
        "The training losses, since worse on test samples may be overfitting; and the spread over "
        "seeds, since three points may be luck. Then look at the gradient itself."
    ),
    sources=(SOURCES["he2016"], SOURCES["glorot2010"], SOURCES["student1908"]),
)
