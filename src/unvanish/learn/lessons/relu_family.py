"""Lesson: how ReLU units die, how they are brought back, and what their relatives do instead."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from unvanish.core.glossary import Quantity
from unvanish.core.lessons import Curves, Evidence, Point, Relation, Series, Table
from unvanish.core.sources import SOURCES
from unvanish.learn.data import CLASSES, endless, shapes
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import accuracy, drawn, fit, plain, running_mean
from unvanish.learn.settings import number, seed, whole
from unvanish.observe import trace
from unvanish.treat import treat
from unvanish.treat.refusals import CannotTreatError, NoEffectError

_SHOCK: Final = 20
"""Steps with too large a learning rate."""
_EVERY: Final = 4
_BATCH: Final = 64
_SMOOTH: Final = 15

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A small network, and what kills its units."""

    bias: float = number(-4.0, least=-20.0, most=0.0, meaning="bias of every hidden unit")
    depth: int = whole(3, least=1, most=8, meaning="hidden layers")
    width: int = whole(64, least=8, most=256, meaning="units of a hidden layer")
    steps: int = whole(120, least=20, most=1000, meaning="training steps")
    learning_rate: float = number(0.003, least=1e-5, most=0.03, meaning="learning rate of Adam")
    large_rate: float = number(0.1, least=1e-4, most=1.0, meaning="learning rate that kills units")
    seed: int = seed()


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One network after its training.

    Attributes:
        before: Share of units that were dead before it.
        after: Share that is dead after it.
        moved: Weights of units that were dead before it and that it has changed.
        accuracy: On fresh samples.
        losses: Of every step.
    """

    before: float
    after: float
    moved: int
    accuracy: float
    losses: tuple[float, ...]


def experiment(settings: Settings) -> Evidence:
    """Kill units by too large a rate and by biases; train what is left, and its relatives."""
    batch, fresh = shapes(1024, settings.seed), shapes(1024, settings.seed + 1_000_000)
    state = torch.get_rng_state()

    def network(activation: str, bias: float) -> nn.Module:
        torch.set_rng_state(state)  # the same draws for every network
        made = plain(settings.depth, width=settings.width, activation=activation, outputs=CLASSES)
        model = drawn(made, "he")
        for layer in _hidden(model):
            nn.init.constant_(layer.bias, bias)
        return model

    shocked, usual = (
        _dying(network("relu", 0.0), batch, rate, settings)
        for rate in (settings.large_rate, settings.learning_rate)
    )
    silent = network("relu", settings.bias)
    arms = {
        "ReLU": _trained(silent, batch, fresh, settings),
        "ReLU revived": _trained(_revived(silent, batch), batch, fresh, settings),
        "LeakyReLU": _trained(network("leaky-relu", settings.bias), batch, fresh, settings),
        "PReLU": _trained(network("prelu", settings.bias), batch, fresh, settings),
        "ELU": _trained(network("elu", settings.bias), batch, fresh, settings),
        "ReLU, bias 0": _trained(network("relu", 0.0), batch, fresh, settings),
    }
    got = {name: arm.accuracy for name, arm in arms.items()}
    return Evidence(
        points=(
            Point(
                says=f"share of units dead after {_SHOCK} steps with too large a learning rate",
                measured=shocked[-1],
                relation=Relation.AT_LEAST,
                limit=0.1,
            ),
            Point(
                says="weights of dead ReLUs that the whole training moved by one bit or more",
                measured=float(arms["ReLU"].moved) if arms["ReLU"].before else float("nan"),
                relation=Relation.EXACTLY,
                limit=0.0,
            ),
            Point(
                says="accuracy that reviving the dead units wins, after the same training",
                measured=got["ReLU revived"] - got["ReLU"],
                relation=Relation.AT_LEAST,
                limit=0.15,
            ),
            Point(
                says="accuracy that ELU wins over ReLU, from the same biases",
                measured=got["ELU"] - got["ReLU"],
                relation=Relation.AT_LEAST,
                limit=0.15,
            ),
            Point(
                says="accuracy of LeakyReLU as a share of the revived network's",
                measured=got["LeakyReLU"] / got["ReLU revived"],
                relation=Relation.AT_MOST,
                limit=0.9,
            ),
        ),
        tables=(
            Table(
                title=f"from biases of {settings.bias:g}, {settings.steps} steps of Adam",
                columns=("network", "dead before (%)", "dead after (%)", "accuracy (%)"),
                rows=tuple(
                    (name, 100 * arm.before, 100 * arm.after, 100 * arm.accuracy)
                    for name, arm in arms.items()
                ),
                note=f"Chance is {100 / CLASSES:g} %. Dead: slope 0 on each of {len(batch[0])} "
                "samples.",
            ),
        ),
        plots=(
            Curves(
                title="Loss in training",
                x_label="step",
                y_label=f"loss, mean of {_SMOOTH} steps",
                series=tuple(_curve(name, arm.losses) for name, arm in arms.items()),
            ),
            Curves(
                title="Units die where the learning rate is too large",
                x_label="step",
                y_label="share of dead units",
                series=tuple(
                    Series(
                        name=f"learning rate {rate:g}",
                        x=tuple(float(_EVERY * at) for at in range(len(shares))),
                        y=tuple(shares),
                    )
                    for rate, shares in (
                        (settings.large_rate, shocked),
                        (settings.learning_rate, usual),
                    )
                ),
            ),
        ),
    )


def _hidden(model: nn.Module) -> list[nn.Linear]:
    return [layer for layer in model.modules() if isinstance(layer, nn.Linear)][:-1]


def _dead_by_layer(model: nn.Module, batch: Batch) -> list[float]:
    """Return the share of dead units of every hidden layer."""
    look = trace(model, batch, "cross_entropy", batches=1, probe_steps=0)
    profile = look[Quantity.DEAD_FRACTION]
    return [profile.get(site) for site in look.signal_sites() if site in profile]


def _dead(model: nn.Module, batch: Batch) -> float:
    shares = _dead_by_layer(model, batch)
    return sum(shares) / len(shares) if shares else 0.0


def _dying(model: nn.Module, batch: Batch, rate: float, settings: Settings) -> list[float]:
    """Train for a few steps and count the dead on the way."""
    shares = [_dead(model, batch)]

    def count(step: int) -> None:
        if step % _EVERY == 0:
            shares.append(_dead(model, batch))

    fit(
        model,
        endless(*batch, size=_BATCH, steps=_SHOCK, seed=settings.seed),
        optimizer=torch.optim.Adam(model.parameters(), lr=rate),
        each=count,
    )
    return shares


def _revived(model: nn.Module, batch: Batch) -> nn.Module:
    try:
        return treat(model, "revive-dead-units", batch, "cross_entropy").model
    except (CannotTreatError, NoEffectError):
        return model  # none is dead


def _trained(model: nn.Module, batch: Batch, fresh: Batch, settings: Settings) -> Arm:
    """Train a copy, and see what became of the units that were dead before."""
    twin = copy.deepcopy(model)
    before = _dead(model, batch)
    silent = _silent_rows(model, batch[0])
    losses = fit(
        twin,
        endless(*batch, size=_BATCH, steps=settings.steps, seed=settings.seed),
        optimizer=torch.optim.Adam(twin.parameters(), lr=settings.learning_rate),
    )
    moved = sum(
        int((old.weight[rows] != new.weight[rows]).sum())
        for old, new, rows in zip(_hidden(model), _hidden(twin), silent, strict=True)
    )
    return Arm(
        before=before,
        after=_dead(twin, batch),
        moved=moved,
        accuracy=accuracy(twin, *fresh),
        losses=tuple(losses),
    )


def _silent_rows(model: nn.Module, inputs: Tensor) -> list[Tensor]:
    """Say of every hidden unit whether its output is 0 on all samples."""
    found, signal = [], inputs
    with torch.no_grad():
        for layer in model.children():
            signal = layer(signal)
            if not isinstance(layer, nn.Linear):
                found.append((signal == 0).all(dim=0))
    return found


def _curve(name: str, losses: tuple[float, ...]) -> Series:
    steps, means = running_mean(losses, _SMOOTH)
    return Series(name=name, x=steps, y=means)


LESSON = Lesson(
    name="relu-family",
    title="ReLU units die, and can be brought back",
    claim=(
        "Too large a learning rate kills ReLU units, and where no layer before them learns, not "
        "one bit of their weights moves again. A raised bias brings them back. A relative with a "
        "slope below zero lives through the same, though with a slope of 0.01 it recovers slowly."
    ),
    text="""
A ReLU hands on all of the gradient or none. A unit whose pre-activation is below zero for *every*
sample is dead: its output is 0, its slope is 0, and so is the gradient of its weights,

    dL/dw = sum over samples of phi'(z) * dL/dh * x = 0

Nothing that follows the gradient can move it again: what momentum still carries runs out, and
weight decay only shrinks it. It can return only if its inputs change, that is, if the layers before
it still learn. In the first layer, or behind a layer that is dead as a whole, it cannot.

Zeros alone are no death: a healthy ReLU is silent for about half of the samples, for another half
than its neighbour. Units die by one step that was too large and left a bias far below zero, by
inputs far from mean zero, or by chance in narrow layers.

The relatives differ in the slope below zero:

    LeakyReLU   0.01
    PReLU       a, learnt with the weights, from 0.25
    ELU         exp(z), so that outputs end at -1

With these no unit is cut off as a whole. But a slope of 0.01 is two decades for each layer in which
all units are below zero, so LeakyReLU heals slowly. PReLU starts with 0.25. ELU's slope at z = -4
is hardly larger than 0.01, but its outputs near -1 give the next layer something to work with.

A dead unit can be revived and stay a ReLU: take the median of its pre-activations, which is below
zero, off its bias, and it is heard on half of the data. That mends the cause only if the learning
rate is lower from then on.
""",
    belief=(
        "LeakyReLU is said to solve dying ReLUs. It keeps every unit alive, as the table shows "
        "(none dead); but from the same biases it has made up only part of the lost accuracy when "
        "the revived ReLU network is nearly done."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "A weight of a dead unit that moves, a network of ReLUs that learns as much dead as "
        "revived, or a LeakyReLU network that recovers as fast as the revived one."
    ),
    counterexample={"bias": 0.0},
    question=(
        "In a layer 40 % of all outputs are exactly zero. Are 40 % of its units dead, and what "
        "would you look at to find out?"
    ),
    answer=(
        "Not at all likely: a healthy ReLU layer has about half of its outputs at zero. Ask for "
        "each unit whether it is zero on every sample of a large batch; only these are dead."
    ),
    sources=(
        SOURCES["nair2010"],
        SOURCES["maas2013"],
        SOURCES["he2015"],
        SOURCES["clevert2016"],
        SOURCES["lu2020"],
    ),
)
