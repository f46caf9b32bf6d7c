"""Lesson: what remains hard once the gradient flows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

import torch

from unvanish.core.lessons import Curves, Evidence, Point, Relation, Scale, Series, Table
from unvanish.core.sources import SOURCES
from unvanish.learn.data import CLASSES, endless, shapes
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import accuracy, fit, plain, started
from unvanish.learn.settings import number, seed, whole

_SAMPLES = 2048
_SEEDS = 2
_OPTIMIZERS = {"gradient descent": torch.optim.SGD, "Adam": torch.optim.Adam}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A sound network, and the learning rates that both optimisers are tried at."""

    depth: int = whole(3, least=1, most=8, meaning="hidden layers, of ReLU with He's weights")
    width: int = whole(64, least=16, most=128, meaning="units of a hidden layer")
    steps: int = whole(150, least=50, most=400, meaning="training steps")
    shared_rate: float = number(
        0.001, least=1e-6, most=10, meaning="learning rate of the unfair comparison"
    )
    rates: int = whole(11, least=3, most=15, meaning="learning rates tried, from 1e-4 to 10")
    seed: int = seed()


def experiment(settings: Settings) -> Evidence:
    """Train both optimisers at every learning rate, from the same weights and batches."""
    rates = [10.0 ** (-4 + 5 * place / (settings.rates - 1)) for place in range(settings.rates)]
    found = {
        name: {rate: _scores(name, rate, settings) for rate in (*rates, settings.shared_rate)}
        for name in _OPTIMIZERS
    }
    best = {
        name: max(rates, key=lambda rate, of=scores: fmean(of[rate]))  # type: ignore[misc]
        for name, scores in found.items()
    }
    descent, adam = found["gradient descent"], found["Adam"]
    unfair = fmean(adam[settings.shared_rate]) - fmean(descent[settings.shared_rate])
    fair = fmean(adam[best["Adam"]]) - fmean(descent[best["gradient descent"]])
    beyond = [fmean(scores[rate]) for name, scores in found.items()
              for rate in rates if rate >= _CLIFF * best[name]]  # fmt: skip
    fall = min(fmean(found[name][best[name]]) for name in found) - min(beyond, default=math.nan)
    return Evidence(
        points=(
            Point(
                says=f"accuracy by which Adam is ahead where both have the rate "
                f"{settings.shared_rate:g}",
                measured=unfair,
                relation=Relation.AT_LEAST,
                limit=0.15,
            ),
            Point(
                says="difference where each has the best of the rates tried",
                measured=abs(fair),
                relation=Relation.AT_MOST,
                limit=0.1,
            ),
            Point(
                says="best rate of gradient descent over best rate of Adam",
                measured=best["gradient descent"] / best["Adam"],
                relation=Relation.AT_LEAST,
                limit=4.0,
            ),
            Point(
                says=f"accuracy lost at the worst rate that is {_CLIFF:g} times the best or more",
                measured=fall,
                relation=Relation.AT_LEAST,
                limit=0.15,
            ),
        ),
        tables=(
            Table(
                title=f"accuracy on unseen samples after {settings.steps} steps, mean of "
                f"{_SEEDS} seeds",
                columns=("learning rate", *_OPTIMIZERS),
                rows=tuple(
                    (f"{rate:.2g}", *(fmean(found[name][rate]) for name in _OPTIMIZERS))
                    for rate in rates
                ),
                note=f"Chance is {1 / CLASSES:g}. Held fixed: network, initial weights, samples, "
                "order of the batches and number of steps, seed by seed.",
            ),
        ),
        plots=(
            Curves(
                title="Accuracy against the learning rate",
                x_label="learning rate",
                y_label="accuracy on unseen samples",
                x_scale=Scale.DECADES,
                series=tuple(
                    Series(
                        name=name,
                        x=tuple(math.log10(rate) for rate in rates),
                        y=tuple(fmean(found[name][rate]) for rate in rates),
                    )
                    for name in _OPTIMIZERS
                ),
            ),
        ),
    )


_CLIFF = 10.0
"""Factor above the best learning rate from which training is expected to be worse."""


def _scores(name: str, rate: float, settings: Settings) -> list[float]:
    """Return the accuracy on unseen samples, of one training a seed."""
    scores = []
    for seed_ in range(settings.seed, settings.seed + _SEEDS):
        torch.manual_seed(seed_)
        batch = shapes(_SAMPLES, seed_)
        model = started(
            plain(settings.depth, width=settings.width, activation="relu", outputs=CLASSES),
            "he",
            batch,
            "cross_entropy",
        )
        optimizer = _OPTIMIZERS[name](model.parameters(), lr=rate)
        batches = endless(*batch, size=64, steps=settings.steps, seed=seed_)
        fit(model, batches, optimizer=optimizer)
        scores.append(accuracy(model, *shapes(_SAMPLES, seed_ + 1_000_000)))
    return scores


LESSON = Lesson(
    name="tuning",
    title="What remains hard: every arm wants its own rate",
    claim=(
        "At one shared learning rate Adam seems far better than gradient descent; with the best "
        "rate for each most of that lead is gone, and neither rate could have been used for the "
        "other."
    ),
    text="""
Once the gradient flows, a network can be trained. How well it ends depends on numbers that no
theory gives in advance. The learning rate is the first of them.

- It belongs to the *pair* of network and optimiser. Gradient descent moves a weight by the rate
  times the gradient; Adam moves it by about the rate itself. So the same number means different
  things, and the best ones may be orders of magnitude apart. Any change of the network, another
  initialisation, normalisation, residual connections, moves the best rate too.
- It lies near a cliff. Accuracy rises slowly with the rate, and beyond some value the training
  breaks down. For gradient descent near a minimum, that value is 2 / lambda_max, with lambda_max
  the largest curvature of the loss. But the curvature changes during training, often until it just
  fits the rate, so a measurement at the start gives the order of magnitude and not the value.
- It depends on the budget: a rate that is best after a hundred steps is not best after a hundred
  thousand.

From this follows a rule for comparisons. Two arms that are trained at the same learning rate
compare how well that rate suits each of them. A repair of a network has to be compared with an
untouched network that was given its own search over rates, of the same size.

What else remains: the schedule of the rate, the batch size, regularisation, the spread between
seeds, and whether a small experiment says anything about a large one. None of them shows in the
gradient of one batch.
""",
    belief=(
        "Adam needs no tuning. Its default rate is a good first guess; but most of what it seems "
        "to win over gradient descent at a shared rate is the rate."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "Adam well ahead also where each has its own best rate; or one rate that is best for both."
    ),
    counterexample={"shared_rate": 0.1},
    question=(
        "A paper adds a normalisation layer, keeps the learning rate of the baseline, and reports "
        "two points more accuracy. What would you ask its authors for?"
    ),
    answer=(
        "For the same search over learning rates with and without the layer, over several seeds. "
        "The baseline may gain as much from another rate as it did from the layer."
    ),
    sources=(SOURCES["choi2019"], SOURCES["cohen2021"], SOURCES["bouthillier2021"]),
)
