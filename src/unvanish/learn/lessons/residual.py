"""Lesson: connections past the layers, from thirty of them to a thousand."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from unvanish.core.lessons import Curves, Evidence, Point, Relation, Scale, Series, Table
from unvanish.core.sources import SOURCES
from unvanish.learn.data import CLASSES, endless, shapes
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import ACTIVATIONS, accuracy, fit, running_mean
from unvanish.learn.settings import number, one_of, seed, whole
from unvanish.theory.residual import plain_block

_DEPTHS: Final = (10, 30, 100, 300, 1000)
_SAMPLES: Final = 16
_FEATURES: Final = 64
_BATCH: Final = 64
_LAST: Final = 10
"""Steps over which losses are averaged."""

_PLAIN: Final = "plain"
_SUM: Final = "x + F(x)"
_SCALED: Final = "x + F(x) / sqrt(L)"
_ZERO: Final = "x + a F(x), a = 0"
_KINDS: Final = (_PLAIN, _SUM, _SCALED, _ZERO)

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How deep, and how to train."""

    depth: int = whole(30, least=4, most=1000, meaning="blocks of the networks that are trained")
    deepest: int = whole(1000, least=30, most=1000, meaning="blocks of the deepest look")
    activation: str = one_of("relu", tuple(ACTIVATIONS), meaning="activation function")
    width: int = whole(32, least=8, most=64, meaning="units of a layer")
    steps: int = whole(60, least=20, most=100, meaning="training steps")
    learning_rate: float = number(0.003, least=1e-6, most=0.03, meaning="learning rate of Adam")
    seed: int = seed()


class Block(nn.Module):
    """A residual block, x + a W phi(x), with a number `a` that is trained."""

    def __init__(self, linear: nn.Linear, function: nn.Module, start: float) -> None:
        super().__init__()
        self.linear = linear
        self.function = function
        self.scale = nn.Parameter(torch.tensor(start, dtype=linear.weight.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Return the input plus what the branch makes of it."""
        out: Tensor = x + self.scale * self.linear(self.function(x))
        return out


def experiment(settings: Settings) -> Evidence:
    """Send a gradient back through deeper and deeper networks, and train some."""
    linears = _linears(settings.deepest, settings.width, torch.float64)
    gained = {kind: _gained(_blocks(kind, linears, settings), settings) for kind in _KINDS}
    depths = (*(one for one in _DEPTHS if one < settings.deepest), settings.deepest)
    batch, fresh = shapes(1024, settings.seed), shapes(1024, settings.seed + 1_000_000)
    linears = _linears(settings.depth, settings.width, torch.float32)
    first, last = nn.Linear(_FEATURES, settings.width), nn.Linear(settings.width, CLASSES)
    losses, right = {}, {}
    for kind in _KINDS:
        blocks = nn.Sequential(first, *_blocks(kind, linears, settings), last)
        model = copy.deepcopy(blocks)  # the same weights for every kind
        losses[kind] = _trained(model, batch, settings)
        right[kind] = accuracy(model, *fresh)
    end = {kind: _at_the_end(values) for kind, values in losses.items()}
    smooth = {kind: running_mean(values, _LAST) for kind, values in losses.items()}
    passed = tuple(float(at) for at in range(settings.deepest + 1))
    return Evidence(
        points=(
            Point(
                says=f"decades by which the gradient changes in {settings.deepest} blocks that "
                "start at zero",
                measured=abs(gained[_ZERO][-1]),
                relation=Relation.EXACTLY,
                limit=0.0,
                unit="decades",
            ),
            Point(
                says=f"decades by which it grows in {settings.deepest} blocks scaled by "
                "1 / sqrt(L), up or down",
                measured=abs(gained[_SCALED][-1]),
                relation=Relation.AT_MOST,
                limit=1.0,
                unit="decades",
            ),
            Point(
                says="decades by which it grows in a block x + F(x) at full strength, beside "
                "log10 of sqrt(2)",
                measured=gained[_SUM][-1] / settings.deepest,
                relation=Relation.ABOUT,
                limit=math.log10(plain_block(1.0)),
                unit="decades a block",
                tolerance=0.3,
            ),
            Point(
                says=f"decades that it loses in {settings.deepest} plain layers",
                measured=-gained[_PLAIN][-1],
                relation=Relation.AT_LEAST,
                limit=3.0,
                unit="decades",
            ),
            Point(
                says="loss after training with blocks scaled by 1 / sqrt(L), as a share of the "
                "best of plain ones, full ones and guessing",
                measured=end[_SCALED] / min(end[_PLAIN], end[_SUM], math.log(CLASSES)),
                relation=Relation.AT_MOST,
                limit=0.95,
            ),
        ),
        tables=(
            Table(
                title="decades by which a random gradient has grown after so many blocks",
                columns=("blocks", *_KINDS),
                rows=tuple(
                    (depth, *(f"{gained[kind][depth]:+.2f}" for kind in _KINDS)) for depth in depths
                ),
            ),
            Table(
                title=f"{settings.depth} blocks, {settings.steps} steps of Adam",
                columns=("block", "loss", "accuracy (%)"),
                rows=tuple((kind, end[kind], 100 * right[kind]) for kind in _KINDS),
                note=f"Guessing has a loss of {math.log(CLASSES):.3f} and {100 / CLASSES:g} %.",
            ),
        ),
        plots=(
            Curves(
                title="A gradient on its way back",
                x_label="blocks passed, from the last",
                y_label="gradient (norm)",
                y_scale=Scale.DECADES,
                series=tuple(Series(name=kind, x=passed, y=gained[kind]) for kind in _KINDS),
            ),
            Curves(
                title=f"Loss in training, {settings.depth} blocks, without the full sums",
                x_label="step",
                y_label=f"loss, mean of {_LAST} steps",
                series=tuple(
                    Series(name=kind, x=x, y=y) for kind, (x, y) in smooth.items() if kind != _SUM
                ),
            ),
        ),
    )


def _linears(count: int, width: int, dtype: torch.dtype) -> list[nn.Linear]:
    """Return layers with He's weights."""
    layers = [nn.Linear(width, width, bias=False, dtype=dtype) for _ in range(count)]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layers


def _blocks(kind: str, linears: list[nn.Linear], settings: Settings) -> list[nn.Module]:
    """Make blocks of one kind from the same layers."""
    functions = [ACTIVATIONS[settings.activation]().to(one.weight.dtype) for one in linears]
    if kind == _PLAIN:
        return [nn.Sequential(*pair) for pair in zip(functions, linears, strict=True)]
    start = {_SUM: 1.0, _SCALED: len(linears) ** -0.5, _ZERO: 0.0}[kind]
    return [Block(*pair, start) for pair in zip(linears, functions, strict=True)]


def _gained(blocks: list[nn.Module], settings: Settings) -> tuple[float, ...]:
    """Send a random gradient back through blocks; return its growth after each, in decades.

    In float64, which holds what a thousand full blocks make of it.
    """
    shape = (_SAMPLES, settings.width)
    stream = [torch.randn(shape, dtype=torch.float64, requires_grad=True)]
    for block in blocks:
        stream.append(block(stream[-1]))
    back = torch.randn(shape, dtype=torch.float64)
    arrived = torch.autograd.grad(stream[-1], stream, back)
    start = _log10_norm(back)
    return tuple(_log10_norm(one) - start for one in reversed(arrived))


def _log10_norm(values: Tensor) -> float:
    """Return log10 of a norm without squaring what is very large or small."""
    largest = float(values.abs().max())
    if not 0.0 < largest < math.inf:
        return -math.inf if largest == 0.0 else math.nan
    return math.log10(largest) + math.log10(float((values / largest).norm()))


def _trained(model: nn.Module, batch: Batch, settings: Settings) -> list[float]:
    return fit(
        model,
        endless(*batch, size=_BATCH, steps=settings.steps, seed=settings.seed),
        optimizer=torch.optim.Adam(model.parameters(), lr=settings.learning_rate),
    )


def _at_the_end(losses: list[float]) -> float:
    """Return the mean of the last losses; infinite where the training broke down."""
    mean = sum(losses[-_LAST:]) / len(losses[-_LAST:])
    return mean if math.isfinite(mean) else math.inf


LESSON = Lesson(
    name="residual",
    title="Skips carry a gradient through a thousand layers",
    claim=(
        "A residual block whose branch starts at zero hands the gradient on unchanged, to the last "
        "bit, at any depth; scaled by one over the root of the depth it nearly does. Unscaled, the "
        "gradient explodes instead of vanishing, and plain layers lose it even with He's weights."
    ),
    text="""
A residual block adds what it computes to what it gets. Backwards the identity contributes a 1:

    y = x + F(x)        dL/dx = dL/dy + J_F^T dL/dy

The first term reaches every block without a factor, so the gradient has a way that depth does not
narrow. But the second term is added. For a random branch the two are nearly perpendicular and their
energies add, with chi the energy factor of the branch:

    |dL/dx|^2 = (1 + chi) |dL/dy|^2

With He's weights chi = 1. Every block doubles the energy, forward and backward, and a thousand of
them make an amplitude of 2^500 = 10^150, in narrow layers less. Skips alone turn vanishing into
exploding. Three ways out:

- Normalise the branch (BatchNorm, LayerNorm). The stream grows by a constant amount a block, so
  each branch weighs less and less beside it, and the growth is polynomial.

- Scale the branch by a = 1 / sqrt(L) for L blocks. Then the whole chain has

    (1 + chi / L)^(L/2) < e^(chi/2)       0.22 decades for chi = 1

- Start the branch at zero: a trained number a = 0 before it (ReZero, SkipInit), or a last matrix of
  zeros (Fixup). The network starts as the identity, and the gradient passes unchanged. Branches
  come in one step later, as training asks for them, so that the first steps teach little.

The plain network has nothing to fall back on. He's weights keep the *mean* energy, but each
finite layer multiplies by a random factor around 1, and products of such factors shrink typically:
the narrower the layers, the faster. To see a thousand blocks trained:
`unvanish learn residual --depth 1000 --steps 30 --learning-rate 0.0005`.
""",
    belief=(
        "Skip connections are said to cure vanishing gradients as such. With He's weights and no "
        "normalisation the sum x + F(x) makes them explode by a factor of up to 1.4 a block; what "
        "cures is a branch that is small at the start. The first table has both."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "A chain of blocks that start at zero and change the gradient, a chain of full blocks that "
        "does not make it grow by a factor of sqrt(2) each, or a full or plain chain that learns "
        "as fast as scaled blocks."
    ),
    counterexample={"width": 64, "deepest": 30},
    question=(
        "In a ReZero network all branches are multiplied by 0 at the start. Why do the weights "
        "inside get any gradient at all?"
    ),
    answer=(
        "In the first step they do not: it is proportional to a = 0. But dL/da = dL/dy * F(x) is "
        "not 0, so a moves in the first step, and from the second on the weights have a gradient."
    ),
    sources=(
        SOURCES["he2016"],
        SOURCES["bachlechner2021"],
        SOURCES["zhang2019"],
        SOURCES["de2020"],
        SOURCES["hayou2021"],
    ),
)
