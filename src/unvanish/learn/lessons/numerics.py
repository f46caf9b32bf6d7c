"""Lesson: what float16 rounds to zero, loss scaling, and norms that read zero."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from unvanish.core.lessons import Curves, Evidence, Point, Relation, Scale, Series, Table
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES
from unvanish.learn.data import endless
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import accuracy, plain, started
from unvanish.learn.settings import number, seed, whole
from unvanish.observe import trace
from unvanish.treat import treat
from unvanish.zoo.data import clusters

Task = tuple[Tensor, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]

_CLASSES: Final = 10
_INPUTS: Final = 16
_TRAINED_DEPTH: Final = 6
_RATE: Final = 0.1
_BITS: Final = tuple(range(0, 51, 2))
_HALVES: Final = ("float16", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How small the gradients are."""

    loss_factor: float = number(1e-6, least=1e-9, most=1, meaning="what the loss is multiplied by")
    depth: int = whole(40, least=4, most=100, meaning="sigmoid layers before which norms are read")
    width: int = whole(32, least=8, most=128, meaning="units of a hidden layer")
    steps: int = whole(100, least=20, most=500, meaning="training steps")
    seed: int = seed()


def experiment(settings: Settings) -> Evidence:
    """Count zeros under float16, train with and without loss scaling, then read norms."""
    data, held_out = (
        clusters(1024, settings.seed + off, classes=_CLASSES) for off in (0, 1_000_000)
    )
    batch = data[0][:64], data[1][:64]

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return settings.loss_factor * cross_entropy(output.float(), target)

    def descent(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=_RATE / settings.loss_factor)

    fresh = plain(_TRAINED_DEPTH, width=settings.width, activation="tanh", inputs=_INPUTS)
    model = started(fresh, "xavier", batch, cross_entropy)
    options: dict[str, Any] = {"optimizer": descent, "autocast": "float16"}
    look = trace(model, batch, loss, batches=1, probe_steps=0, **options)
    scaled = treat(model, "loss-scaling", batch, loss, recording=look, **options)
    scaled_loss: Any = scaled.loss
    bits = math.log2(float(scaled.prescriptions[0].settings["scale"]))
    counts = [_count(model, batch, loss, 2.0**power) for power in _BITS]
    at_one, at_scale = (_count(model, batch, loss, scale)[0] for scale in (1.0, 2.0**bits))
    twins = [copy.deepcopy(model) for _ in range(3)]
    runs: dict[str, tuple[nn.Module, torch.optim.Optimizer, Loss, str]] = {
        "float32": (twins[0], descent(twins[0]), loss, ""),
        "bfloat16": (twins[1], descent(twins[1]), loss, "bfloat16"),
        "float16": (twins[2], descent(twins[2]), loss, "float16"),
        "float16, loss scaled": (
            scaled.model,
            scaled.optimizer or descent(scaled.model),
            scaled_loss,
            "float16",
        ),
    }
    learnt = {name: _trained(*run, data, held_out, settings) for name, run in runs.items()}
    first, read, exact, measured = _norms(settings, batch)
    layers = tuple(float(layer) for layer in range(1, settings.depth + 2))
    powers = tuple(float(power) for power in _BITS)
    return Evidence(
        points=(
            Point(
                says="part of the gradient that is zero in float16",
                measured=at_one,
                relation=Relation.AT_LEAST,
                limit=0.5,
            ),
            Point(
                says=f"the same with the loss multiplied by 2^{bits:.0f}",
                measured=at_scale,
                relation=Relation.AT_MOST,
                limit=0.05,
            ),
            Point(
                says="accuracy that the multiplied loss adds to training in float16",
                measured=learnt["float16, loss scaled"] - learnt["float16"],
                relation=Relation.AT_LEAST,
                limit=0.3,
            ),
            Point(
                says=f"norm that float32 reads at the first of {settings.depth} sigmoid layers",
                measured=first,
                relation=Relation.EXACTLY,
                limit=0.0,
            ),
            Point(
                says="decades by which a reading with a wider exponent misses that of float64",
                measured=abs(measured[0] - exact[0]),
                relation=Relation.AT_MOST,
                limit=0.05,
                unit="decades",
            ),
        ),
        tables=(
            Table(
                title=f"trained for {settings.steps} steps with a loss times "
                f"{settings.loss_factor:g}",
                columns=("gradients flow in", "accuracy"),
                rows=tuple(learnt.items()),
            ),
            Table(
                title="gradient entries too small for the type, foretold from one look",
                columns=("type", "part of them"),
                rows=tuple((name, _too_small(look, name)) for name in ("float32", *_HALVES)),
                note="Entries of the weights' gradients by their own size. More are lost on the "
                "way: each is a sum over the samples, whose parts are smaller still.",
            ),
        ),
        plots=(
            Curves(
                title="What float16 makes of the gradient at each scale of the loss",
                x_label="power of two that multiplies the loss",
                y_label="part of the entries",
                series=(
                    Series(name="zero", x=powers, y=tuple(one[0] for one in counts)),
                    Series(name="not finite", x=powers, y=tuple(one[1] for one in counts)),
                ),
            ),
            Curves(
                title=f"Gradient of each weight of {settings.depth} sigmoid layers",
                x_label="layer, from the input",
                y_label="norm",
                y_scale=Scale.DECADES,
                series=(
                    Series(name="norm in float32", x=layers, y=tuple(read), dots=True),
                    Series(name="wider exponent", x=layers, y=tuple(measured)),
                ),
            ),
        ),
        notes=(
            f"In float32 the norm of {sum(map(math.isinf, read))} of {len(read)} weights reads "
            "zero; the plot leaves them out.",
        ),
    )


def _backward(model: nn.Module, batch: Task, loss: Loss, autocast: str) -> None:
    with torch.autocast(
        "cpu", dtype=getattr(torch, autocast or "bfloat16"), enabled=bool(autocast)
    ):
        value = loss(model(batch[0]), batch[1])
    value.backward()


def _count(model: nn.Module, batch: Task, loss: Loss, scale: float) -> tuple[float, float]:
    """Return which parts of the weights' gradient are zero and not finite, under float16."""
    twin = copy.deepcopy(model)
    _backward(twin, batch, lambda output, target: scale * loss(output, target), "float16")
    grads = [one.grad for one in twin.parameters() if one.ndim == 2 and one.grad is not None]
    flat = torch.cat([one.flatten() for one in grads])
    return float((flat == 0).double().mean()), float((~flat.isfinite()).double().mean())


def _trained(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    autocast: str,
    data: Task,
    held_out: Task,
    settings: Settings,
) -> float:
    for batch in endless(*data, size=64, steps=settings.steps, seed=settings.seed):
        optimizer.zero_grad()
        _backward(model, batch, loss, autocast)
        optimizer.step()
    return accuracy(model, *held_out)


def _too_small(look: Recording, name: str) -> float:
    """Return the part of all entries that one look says this type cannot hold."""
    weights = [one for one in look.parameters if len(one.shape) == 2]
    total = sum(math.prod(one.shape) for one in weights)
    return sum(one.underflow_fraction[name] * math.prod(one.shape) for one in weights) / total


def _norms(settings: Settings, batch: Task) -> tuple[float, list[float], list[float], list[float]]:
    """Read the gradient of a deep sigmoid network's weights in three ways.

    Returns:
        What float32 reads at the first weight; then, as base-10 logarithms, what it reads at
        every weight, what a backward pass in float64 gives, and what a look in float32 measures.
    """
    deep = plain(settings.depth, width=settings.width, inputs=_INPUTS)
    look = trace(deep, batch, "cross_entropy", batches=1, probe_steps=0)
    wide = [
        one.log10_grad_rms + math.log10(math.prod(one.shape)) / 2
        for one in look.parameters
        if len(one.shape) == 2
    ]
    exact = copy.deepcopy(deep).double()
    _backward(exact, (batch[0].double(), batch[1]), cross_entropy, "")
    _backward(deep, batch, cross_entropy, "")
    read, sure = (
        [float(one.grad.norm()) for one in model.parameters() if one.grad is not None]
        for model in (deep, exact)
    )
    return read[0], _logs(read[::2]), _logs(sure[::2]), wide


def _logs(values: list[float]) -> list[float]:
    return [math.log10(value) if value else -math.inf for value in values]


LESSON = Lesson(
    name="numerics",
    title="Zero in float16 is not zero, nor is a norm of zero",
    claim=(
        "Float16 rounds small gradients to zero and the weights stand still, though the gradient "
        "is there; multiplying the loss brings it back. In float32 a norm can read exactly zero "
        "where the gradient is not, and a wider exponent still measures it."
    ),
    text="""
A floating-point number has an exponent, and that has an end. What is smaller than the smallest
number of the type becomes zero: underflow.

    smallest number   float16 6.0e-8   bfloat16 9.2e-41   float32 1.4e-45
    largest number    float16 65504    bfloat16 3.4e38    float32 3.4e38

In float16 every entry below 3.0e-8, half of the smallest number, is rounded to zero. Gradients get
there easily: the mean over many samples or pixels divides each by their number, and a term of the
loss may have a small factor. Nothing warns. The loss is fine, the weights do not move. To lose
a part of the entries does little harm, since those that stay are the largest; when all are gone,
nothing is left to learn from.

The chain rule is linear: multiply the loss by S, and every gradient on the way is multiplied by S.
*Loss scaling* lets the gradient flow as S times itself in float16, and divides by S in float32
before the step. S has a window. Too small, and entries are lost at the bottom; too large, and they
overflow to infinity at the top. Therefore S is adapted while training: halved after an overflow,
doubled after many steps without. Bfloat16 has the exponent of float32 and needs none of this, at
the price of three bits of precision.

Float32 has its own floor, and *norms* meet it first. A norm squares its entries: 1e-23 squared is
1e-46, less than any float32, so a norm can read exactly zero where no entry is zero. A gradient
that reads "zero" is therefore no proof that nothing arrives. Measuring takes sums in float64, or an
exponent carried beside the numbers, which has no floor at all.
""",
    belief=(
        '"The gradient norm of the layer is 0, so it is dead": not before it is known in which '
        "type the norm was taken."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "Float16 that keeps half of the entries of a gradient of this size; a scaled loss that "
        "does not bring the training back; a norm in float32 of the first of forty sigmoid layers "
        "that is not zero; or a wider reading that disagrees with float64."
    ),
    counterexample={"loss_factor": 3e-6},
    question=(
        "Entries of a gradient are about 1e-9, the largest 1e-6. Which powers of two can multiply "
        "the loss, so that 1e-9 stays well above 6e-8 and 1e-6 below 65504?"
    ),
    answer=(
        "S = 2^10 brings 1e-9 to 1e-6; from S = 2^36 on, 1e-6 overflows. Any S from about 2^10 to "
        "2^35."
    ),
    sources=(SOURCES["micikevicius2018"], SOURCES["kalamkar2019"]),
)
