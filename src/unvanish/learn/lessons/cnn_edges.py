"""Lesson: the first layer of a deep convolutional network learns edges, or stays noise."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.lessons import Evidence, Picture, Pictures, Point, Relation, Table
from unvanish.core.sources import SOURCES
from unvanish.learn.data import endless
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import ACTIVATIONS, accuracy, fit, grad_by_layer
from unvanish.learn.settings import number, one_of, seed, whole
from unvanish.observe import trace

Task = tuple[Tensor, Tensor]

_SIDE: Final = 16
_DIRECTIONS: Final = 4
_TAPS: Final = 7
_SHOWN: Final = 4
_SICK: Final = "sigmoid"
_ANGLES: Final = 12
_WIDTHS: Final = (0.8, 1.2, 1.6, 2.2)
_LENGTHS: Final = (1.0, 2.0)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The network that is set beside one of sigmoids, and its training."""

    activation: str = one_of("relu", tuple(ACTIVATIONS), meaning="activation of the first network")
    depth: int = whole(8, least=2, most=16, meaning="convolutions")
    width: int = whole(12, least=5, most=32, meaning="channels")
    steps: int = whole(150, least=20, most=400, meaning="training steps")
    learning_rate: float = number(0.005, least=0.0001, most=0.1, meaning="learning rate of AdamW")
    weight_decay: float = number(1.0, least=0, most=5, meaning="weight decay of AdamW")
    seed: int = seed()


@dataclass(frozen=True, kw_only=True)
class _Learnt:
    """What became of one network.

    Attributes:
        before: Filters of the first layer before training.
        after: The same afterwards.
        lost: Decades that the gradient lost on the way to the first layer, before training.
        accuracy: On fresh images.
    """

    before: Tensor
    after: Tensor
    lost: float
    accuracy: float

    @property
    def turned(self) -> float:
        """Mean angle, in degrees, by which the filters turned."""
        before, after = (
            nn.functional.normalize(one.double().flatten(1)) for one in (self.before, self.after)
        )
        chords = (after - before).norm(dim=1)
        return float((chords / 2).clamp(max=1).asin().mul(2).rad2deg().mean())


def experiment(settings: Settings) -> Evidence:
    """Train two networks that differ in nothing but the activation, and look at their filters."""
    data = borders(1024, settings.seed)
    held_out = borders(512, settings.seed + 1_000_000)
    weights = torch.get_rng_state()
    learnt: dict[str, _Learnt] = {}
    for name in dict.fromkeys((settings.activation, _SICK)):
        torch.set_rng_state(weights)
        learnt[name] = _learn(name, data, held_out, settings)
    torch.set_rng_state(weights)
    frozen = _learn(settings.activation, data, held_out, settings, is_frozen=True)
    first, sick = learnt[settings.activation], learnt[_SICK]
    chance = float(_edge_likeness(torch.randn(1000, _TAPS, _TAPS)).mean())
    edges = {name: float(_edge_likeness(one.after).mean()) for name, one in learnt.items()}
    best = {name: _most_alike(one.after) for name, one in learnt.items()}
    return Evidence(
        points=(
            Point(
                says=f"likeness to an edge of the filters that the {settings.activation} network "
                "learns, against that of random filters",
                measured=edges[settings.activation] / chance,
                relation=Relation.AT_LEAST,
                limit=1.4,
                unit="times",
            ),
            Point(
                says=f"the same against the filters of the {_SICK} network",
                measured=edges[settings.activation] / edges[_SICK],
                relation=Relation.AT_LEAST,
                limit=1.25,
                unit="times",
            ),
            Point(
                says=f"gradient that the {_SICK} network loses on the way to the first layer, "
                "beyond what the other does",
                measured=sick.lost - first.lost,
                relation=Relation.AT_LEAST,
                limit=1.0,
                unit="decades",
            ),
            Point(
                says="accuracy that the first network is ahead by",
                measured=first.accuracy - sick.accuracy,
                relation=Relation.AT_LEAST,
                limit=0.1,
            ),
        ),
        tables=(
            Table(
                title="first layer, before and after training",
                columns=("network", "lost (decades)", "turned (degrees)", "edges", "accuracy"),
                rows=(
                    *(
                        (name, one.lost, one.turned, edges[name], one.accuracy)
                        for name, one in learnt.items()
                    ),
                    (
                        f"{settings.activation}, filters fixed",
                        frozen.lost,
                        frozen.turned,
                        float(_edge_likeness(frozen.after).mean()),
                        frozen.accuracy,
                    ),
                ),
                note="Edges: part of a filter's energy that the best edge or bar explains; "
                f"{chance:.3f} for random filters. Filters fixed: the first layer stays as it was "
                f"drawn, all others are trained. Chance has an accuracy of {1 / _DIRECTIONS:g}.",
            ),
        ),
        plots=(
            *(
                _pictures(f"{name} network: its best edges after training", one.after, best[name])
                for name, one in learnt.items()
            ),
            *(
                _pictures(f"{name} network: the same before training", one.before, best[name])
                for name, one in learnt.items()
            ),
            Pictures(
                title="images: which way does the border run?",
                images=tuple(
                    Picture(name=f"{45 * int(label)} degrees", rows=_rows(image[0]))
                    for image, label in zip(data[0][:3], data[1][:3], strict=True)
                ),
            ),
        ),
    )


def dead_leaves(count: int, random: torch.Generator) -> Tensor:
    """Return images of discs that cover each other, of many sizes and greys from 0 to 1.

    Args:
        count: How many.
        random: Where the discs are drawn from.
    """
    places = torch.arange(_SIDE, dtype=torch.float32)
    images = torch.zeros(count, _SIDE, _SIDE)
    for _ in range(24):
        row, column = torch.rand(2, count, 1, 1, generator=random) * (_SIDE + 8) - 4
        share = torch.rand(count, 1, 1, generator=random)
        radius = 2.0 / torch.sqrt(1.0 - share * (1.0 - (2.0 / 8.0) ** 2))
        grey = torch.rand(count, 1, 1, generator=random)
        distance = (places[:, None] - row).square() + (places[None, :] - column).square()
        images = torch.where(distance <= radius.square(), grey, images)
    return images


def borders(count: int, seed: int) -> Task:
    """Return dead leaves of which a half plane is lighter or darker, and which way its border runs.

    Args:
        count: How many.
        seed: Seed of the drawing.
    """
    random = torch.Generator().manual_seed(seed)
    images = dead_leaves(count, random)
    labels = torch.randint(_DIRECTIONS, (count,), generator=random)
    angle = (labels * math.pi / _DIRECTIONS)[:, None, None]
    places = torch.arange(_SIDE) - (_SIDE - 1) / 2
    across = places[:, None] * angle.cos() + places[None, :] * angle.sin()
    shift = (torch.rand(count, 1, 1, generator=random) - 0.5) * _SIDE / 2
    sign = torch.randint(2, (count, 1, 1), generator=random) * 2 - 1
    images = images + 0.5 * sign * (across > shift)
    images = images + 0.05 * torch.randn(images.shape, generator=random)
    return ((images - images.mean()) / images.std())[:, None], labels


def _network(activation: str, settings: Settings) -> nn.Sequential:
    act, width = ACTIVATIONS[activation], settings.width
    first = nn.Conv2d(1, width, _TAPS, padding=_TAPS // 2)
    layers: list[nn.Module] = [first, act(), nn.AvgPool2d(2)]
    for _ in range(settings.depth - 1):
        layers += [nn.Conv2d(width, width, 3, padding=1), act()]
    return nn.Sequential(*layers, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(width * 16, _DIRECTIONS))


def _learn(
    activation: str, data: Task, held_out: Task, settings: Settings, *, is_frozen: bool = False
) -> _Learnt:
    model = _network(activation, settings)
    look: Any = trace(
        model, (data[0][:32], data[1][:32]), "cross_entropy", batches=1, probe_steps=0
    )
    decades = grad_by_layer(look, op="conv2d")
    first = model[0]
    assert isinstance(first, nn.Conv2d)
    before = copy.deepcopy(first.weight.detach()[:, 0])
    first.requires_grad_(not is_frozen)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    batches = endless(*data, size=32, steps=settings.steps, seed=settings.seed)
    fit(model, batches, optimizer=optimizer)
    return _Learnt(
        before=before,
        after=first.weight.detach()[:, 0],
        lost=decades[-1] - decades[0],
        accuracy=accuracy(model, *held_out),
    )


def _edge_likeness(filters: Tensor) -> Tensor:
    """Return, for each filter, the part of its energy that the best edge or bar explains."""
    flat = filters.flatten(1)
    flat = nn.functional.normalize(flat - flat.mean(dim=1, keepdim=True), dim=1)
    shares: Tensor = (flat @ _oriented().T).square().amax(dim=1)
    return shares


def _oriented() -> Tensor:
    """Return edges and bars, smooth like a Gaussian, in all directions and some sizes."""
    places = torch.arange(_TAPS, dtype=torch.float32) - _TAPS // 2
    found = []
    for step in range(_ANGLES):
        angle = math.pi * step / _ANGLES
        across = places[:, None] * math.cos(angle) + places[None, :] * math.sin(angle)
        along = places[None, :] * math.cos(angle) - places[:, None] * math.sin(angle)
        for size in _WIDTHS:
            for length in _LENGTHS:
                window = (-(across**2 + (along / length) ** 2) / (2 * size**2)).exp()
                found += [across * window, (1 - (across / size) ** 2) * window]
    bank = torch.stack(found).flatten(1)
    return nn.functional.normalize(bank - bank.mean(dim=1, keepdim=True), dim=1)


def _most_alike(filters: Tensor) -> list[int]:
    order: list[int] = _edge_likeness(filters).argsort(descending=True).tolist()
    return order[:_SHOWN]


def _pictures(title: str, filters: Tensor, which: list[int]) -> Pictures:
    """Return filters without their mean, which no edge has."""
    likeness = _edge_likeness(filters)
    return Pictures(
        title=title,
        images=tuple(
            Picture(
                name=f"{100 * float(likeness[at]):.0f} % edge",
                rows=_rows(filters[at] - filters[at].mean()),
            )
            for at in which
        ),
    )


def _rows(image: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in image.tolist())


LESSON = Lesson(
    name="cnn-edges",
    title="First filters become edges, or stay noise",
    claim=(
        "The first layer of a deep convolutional network learns oriented edges and bars where a "
        "gradient reaches it. Where the gradient vanishes on the way, its filters stay near "
        "what they were drawn as: noise."
    ),
    text="""
The first layer of a network that sees images meets the pixels. Trained on photographs, its filters
nearly always come to look like edges and bars in all directions, whatever the task. The reason lies
in the images: things cover each other, so that neighbouring pixels are alike except along borders,
and a border is what tells two places apart.

*Dead leaves* are the simplest images of that kind: discs of random size and grey, each covering
those that lie below. Here a half plane of such an image is made lighter or darker, and the network
has to say which of four ways its border runs.

A filter w counts as an edge in so far as one smooth, oriented edge or bar e explains its energy:

    likeness = max over e of  (w . e)^2 / (|w|^2 |e|^2)

over twelve directions and some sizes. Noise has a likeness, too, since the best of many always fits
a little; that of random filters is the measure to compare with.

The gradient of the first filters has passed all later layers. With sigmoids it loses more at every
one of them. Adam divides by what is left, and still moves the filters: but by then it is much the
same for all images, and what it adds is no edge. Look at the pictures, not only at the loss: a
first layer that still looks like television noise after training is a sign that nothing has reached
it. Weight decay serves the eye here: it takes away the noise that the filters began with.
""",
    belief=(
        '"The first layer hardly matters, since random features will do" is half true: the table '
        "has the same network with its first filters kept as drawn. With few layers (`--depth 2`) "
        "it names as many images right; with eight it does so with seed 0, and stays at chance "
        "with the seeds 1 and 2."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "Filters of an eight-layer ReLU network that are hardly more like edges than random ones "
        "after training, or than those of the same network with sigmoids."
    ),
    counterexample={"activation": "sigmoid"},
    question=(
        "Two networks reach the same training loss. The first filters of one are smooth edges, "
        "those of the other look as they did at the start. Which one will gain more from a better "
        "initialisation?"
    ),
    answer=(
        "More likely the second, since its first layer has not been trained yet. But only a "
        "training tells: later layers can make up for random first filters, as the table shows."
    ),
    sources=(
        SOURCES["krizhevsky2012"],
        SOURCES["olshausen1996"],
        SOURCES["lee2001"],
    ),
)
