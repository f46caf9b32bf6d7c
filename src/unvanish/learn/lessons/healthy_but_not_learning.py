"""Lesson: a gradient that arrives everywhere, and a network that learns nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from unvanish.core.glossary import Quantity
from unvanish.core.lessons import Curves, Evidence, Point, Relation, Series, Table
from unvanish.core.sources import SOURCES
from unvanish.learn.data import CLASSES, endless, shapes
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import accuracy, fit, grad_by_layer, plain, started
from unvanish.learn.settings import number, seed, whole
from unvanish.observe import trace

_SHALLOW = 3
_SAMPLES = 2048
_EVERY = 10
"""Steps that the plot draws as one."""
_CHANCE = 1.0 / CLASSES
_GAP = 0.15
"""Accuracy above chance that still counts as having learnt nothing."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Four trainings: a sound one, and three that fail for three reasons."""

    depth: int = whole(60, least=3, most=150, meaning="hidden layers of the deep network")
    width: int = whole(64, least=16, most=128, meaning="units of a hidden layer")
    steps: int = whole(300, least=50, most=500, meaning="training steps")
    learning_rate: float = number(0.2, least=1e-6, most=1, meaning="of gradient descent")
    tiny_rate: float = number(1e-6, least=0, most=1, meaning="the same in the slow training")
    seed: int = seed()


@dataclass(frozen=True, slots=True)
class _Arm:
    """One training.

    Attributes:
        name: What is special about it.
        decades: Gradient at the first layer against the last, before the training.
        cosine: Mean cosine of two samples' signals behind the last hidden layer.
        seen: Accuracy on the samples and labels that it was trained on.
        unseen: Accuracy on further samples.
        losses: Loss of every step.
    """

    name: str
    decades: float
    cosine: float
    seen: float
    unseen: float
    losses: list[float]


def experiment(settings: Settings) -> Evidence:
    """Look at the gradient of four networks, then train them."""
    inputs, labels = shapes(_SAMPLES, settings.seed)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(settings.seed))
    rate, tiny = settings.learning_rate, settings.tiny_rate
    arms = (
        _trained("sound", settings, _SHALLOW, inputs, labels, rate),
        _trained("labels shuffled", settings, _SHALLOW, inputs, labels[order], rate),
        _trained("learning rate tiny", settings, _SHALLOW, inputs, labels, tiny),
        max(
            (
                _trained(f"{settings.depth} layers", settings, settings.depth, inputs, labels, slow)
                for slow in (rate / 10, rate / 100)
            ),
            key=lambda arm: arm.unseen,
        ),
    )
    sound, *others = arms
    deep = others[-1]
    return Evidence(
        points=(
            Point(
                says="most decades by which the gradients of first and last layer differ, of all "
                "four networks before their training",
                measured=max(abs(arm.decades) for arm in arms),
                relation=Relation.AT_MOST,
                limit=2.0,
                unit="decades",
            ),
            Point(
                says="accuracy of the sound training on unseen samples",
                measured=sound.unseen,
                relation=Relation.AT_LEAST,
                limit=2 * _CHANCE,
            ),
            Point(
                says="highest accuracy of the other three on unseen samples; chance is "
                f"{_CHANCE:g}",
                measured=max(arm.unseen for arm in others),
                relation=Relation.AT_MOST,
                limit=_CHANCE + _GAP,
            ),
            Point(
                says="cosine between two samples' signals behind the deep network's last layer",
                measured=deep.cosine,
                relation=Relation.AT_LEAST,
                limit=0.9,
            ),
        ),
        tables=(
            Table(
                title=f"before and after {settings.steps} steps of gradient descent",
                columns=("training", "gradient", "cosine", "loss", "seen", "unseen"),
                rows=tuple(
                    (
                        arm.name,
                        f"1e{-arm.decades:+.1f}",
                        arm.cosine,
                        arm.losses[-1],
                        f"{100 * arm.seen:.0f} %",
                        f"{100 * arm.unseen:.0f} %",
                    )
                    for arm in arms
                ),
                note="gradient: of the first layer against the last, before the training. cosine: "
                "of two samples behind the last hidden layer, 1 where they cannot be told apart. "
                "seen and unseen: accuracy on the samples it was trained on, and on others. The "
                "deep network has the better of a tenth and a hundredth of the learning rate: at "
                "the whole rate most of its trainings end in nan.",
            ),
        ),
        plots=(
            Curves(
                title=f"Training loss, mean of {_EVERY} steps",
                x_label="step",
                y_label="cross-entropy",
                series=tuple(
                    Series(
                        name=arm.name,
                        x=tuple(float(step) for step in range(1, len(arm.losses) + 1, _EVERY)),
                        y=tuple(
                            min(fmean(arm.losses[at : at + _EVERY]), 2.0)
                            for at in range(0, len(arm.losses), _EVERY)
                        ),
                    )
                    for arm in arms
                ),
            ),
        ),
    )


def _trained(
    name: str, settings: Settings, depth: int, inputs: Tensor, labels: Tensor, rate: float
) -> _Arm:
    torch.manual_seed(settings.seed)
    batch = (inputs, labels)
    model = started(
        plain(depth, width=settings.width, activation="relu", outputs=CLASSES),
        "he",
        batch,
        "cross_entropy",
    )
    look = trace(model, batch, "cross_entropy")
    decades = grad_by_layer(look)
    cosine = look[Quantity.SAMPLE_COSINE]
    known = [cosine[site] for site in look.signal_sites() if site in cosine]
    optimizer = torch.optim.SGD(model.parameters(), rate)
    batches = endless(inputs, labels, size=64, steps=settings.steps, seed=settings.seed)
    losses = fit(model, batches, optimizer=optimizer)
    return _Arm(
        name,
        decades[-1] - decades[0],
        known[-2] if len(known) > 1 else math.nan,
        accuracy(model, inputs, labels),
        accuracy(model, *shapes(_SAMPLES, settings.seed + 1_000_000)),
        losses,
    )


LESSON = Lesson(
    name="healthy-but-not-learning",
    title="A sound gradient is needed, and it is not enough",
    claim=(
        "A network can pass a gradient of about the same size to every layer and still learn "
        "nothing: because the labels carry nothing, because the steps are too small, or because "
        "the network has forgotten its input on the way."
    ),
    text="""
The size of the gradient at each layer says whether a layer *can* be told anything. It does not say
whether what it is told is of use. Three ways in which all layers get a gradient and nothing is
learnt:

1. *The gradient points nowhere.* With shuffled labels the loss falls, slowly, as the network
   learns its samples by heart. On samples that it has not seen it stays at chance. No look at the
   network can find that: it is a fault of the data.
2. *The step is too small.* Gradient times learning rate is what moves a weight. The size of that
   step against the weight, |change of w| / |w|, tells; the gradient alone does not.
3. *The signal is the same for all samples.* With He's weights a plain ReLU network keeps the size
   of signal and gradient through any depth. But the angle between two samples' signals shrinks from
   layer to layer: their cosine runs towards 1, and the last layer cannot tell a disc from a cross.
   The gradient then says the same to all weights for every sample: become better at the average.

So a diagnosis needs at least three axes: how large the gradient is, how large a step it makes, and
whether signals and gradients still differ from sample to sample. Even then, a network that passes
every one of these tests may fail to learn. Only training it shows that it learns.
""",
    belief=(
        "He initialisation solves vanishing gradients in ReLU networks, so they can be of any "
        "depth. It keeps the gradient's size. What it does not keep is the difference between "
        "samples, and without that the size is worth nothing."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "One of the three networks learning all the same, or one of the four having a gradient "
        "that differs by more than two decades between its first and its last layer: then it was "
        "the gradient's size after all."
    ),
    counterexample={"tiny_rate": 0.2},
    question=(
        "The loss of your network falls from 1.39 to 0.05 in training and held-out accuracy stays "
        "at chance. All gradients are of the same size. Do you look for a vanishing gradient?"
    ),
    answer=(
        "No. It learns, by heart. Look at the labels, at how the held-out samples differ from the "
        "others, and at the number of samples against the number of weights."
    ),
    sources=(SOURCES["zhang2017"], SOURCES["schoenholz2017"], SOURCES["he2015"]),
)
