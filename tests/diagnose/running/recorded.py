"""Training runs from formulas: what a watch would have recorded, without training anything."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from unvanish.core.conditions import Optimizer
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import (
    LayerSeries,
    RunConditions,
    RunEvent,
    RunRecording,
    StepSeries,
    WatchedLayer,
)

EVERY = 50
DEPTH = 5
"""Linear layers; all but the last are followed by an activation."""

Curve = float | Callable[[int], float]
"""A number, or a function of the step."""

Field = Curve | Callable[[int, int], float]
"""The same, or a function of the number of a linear layer (or of the activation behind it) and the
step."""


def value_of(formula: Field, k: int, t: int) -> float:
    if not callable(formula):
        return formula
    return formula(k, t) if formula.__code__.co_argcount == 2 else formula(t)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A chain of linear layers with activations; every series is a formula over the step.

    A formula of None is a quantity that was not measured.
    """

    steps: int = 1000
    activation: str = "ReLU"
    loss: Curve | None = lambda t: 2.3 * math.exp(-t / 150) + 0.02
    noise: float = 0.05
    gradient: Field | None = -2.5
    weights: Field | None = -1.0
    update: Field | None = -3.0
    moved: Field | None = 1.0
    dead: Field | None = 0.05
    saturated: Field | None = 0.02
    underflow: Field | None = None
    cosine: Field | None = 0.4
    alignment: Field | None = 0.3
    norm: Curve | None = 0.0
    clipped: Curve | None = 0.0
    rate: Curve | None = 1e-3
    scale: Curve | None = None
    events: Sequence[RunEvent] = ()
    optimizer: str = "Adam"
    dtype: str = "float32"
    autocast: str = ""
    seed: int = 0

    @property
    def sampled(self) -> list[int]:
        first = [t for t in (0, 1, 2, 4, 8, 16, 32) if t < self.steps]
        return [*first, *range(EVERY, self.steps, EVERY)]

    @property
    def layers(self) -> tuple[WatchedLayer, ...]:
        made = []
        for k in range(DEPTH):
            made.append(
                WatchedLayer(
                    index=len(made),
                    path=f"layers.{len(made)}",
                    module="Linear",
                    parameters=("weight", "bias"),
                    size=4160,
                    optimizer=0,
                )
            )
            if k < DEPTH - 1:
                units = 64 if self.activation == "ReLU" else 0
                path = f"layers.{len(made)}"
                made.append(
                    WatchedLayer(index=len(made), path=path, module=self.activation, units=units)
                )
        return tuple(made)

    def recorded(self) -> RunRecording:
        on_weights = {
            LayerQuantity.LOG10_PARAM_GRAD_RMS: self.gradient,
            LayerQuantity.LOG10_PARAM_RMS: self.weights,
            LayerQuantity.LOG10_UPDATE_RATIO: self.update,
            LayerQuantity.MOVED_FRACTION: self.moved,
            LayerQuantity.GRAD_ALIGNMENT: self.alignment,
            LayerQuantity.SAMPLE_COSINE: self.cosine,
        }
        is_relu = self.activation == "ReLU"
        on_activations = {
            LayerQuantity.DEAD_FRACTION: self.dead if is_relu else None,
            LayerQuantity.SATURATED_FRACTION: None if is_relu else self.saturated,
            LayerQuantity.UNDERFLOW_FRACTION: self.underflow,
            LayerQuantity.ACTIVATION_RMS: 1.0,
        }
        by_layer = {
            quantity: self._field(quantity, field, module)
            for module, fields in (("Linear", on_weights), (self.activation, on_activations))
            for quantity, field in fields.items()
            if field is not None
        }
        curves = {
            StepQuantity.LOG10_GRAD_NORM: self.norm,
            StepQuantity.LOG10_CLIPPED_GRAD_NORM: self.clipped,
            StepQuantity.LEARNING_RATE: self.rate,
            StepQuantity.LOSS_SCALE: self.scale,
        }
        by_step = {
            quantity: StepSeries(
                quantity, tuple(self.sampled), [value_of(curve, 0, t) for t in self.sampled]
            )
            for quantity, curve in curves.items()
            if curve is not None
        }
        if self.loss is not None:
            draw = random.Random(self.seed)
            noisy = [
                value_of(self.loss, 0, t) * (1 + self.noise * draw.gauss(0, 1))
                for t in range(self.steps)
            ]
            by_step[StepQuantity.LOSS] = StepSeries(
                StepQuantity.LOSS, tuple(range(self.steps)), noisy
            )
        return RunRecording(
            conditions=RunConditions(
                target="train.py",
                every=EVERY,
                optimizers=(Optimizer(name=self.optimizer, lr=1e-3),),
                dtype=self.dtype,
                autocast=self.autocast,
                batch=32,
                versions={"unvanish": "0.1.0"},
            ),
            layers=self.layers,
            by_layer=by_layer,
            by_step=by_step,
            events=tuple(self.events),
            last_step=self.steps - 1,
            is_ended=True,
        )

    def _field(self, quantity: LayerQuantity, field: Field, module: str) -> LayerSeries:
        rows = []
        for t in self.sampled:
            row, k = [], -1
            for layer in self.layers:
                k += layer.module == "Linear"
                row.append(value_of(field, k, t) if layer.module == module else math.nan)
            rows.append(tuple(row))
        return LayerSeries(quantity, tuple(self.sampled), tuple(rows))


def run_of(**formulas: object) -> RunRecording:
    """Return a run that is healthy but for the formulas given."""
    return Run(**formulas).recorded()  # type: ignore[arg-type]


def learned(t: int) -> float:
    """Fall from 2.3 to 0.02 within some hundred steps."""
    return 2.3 * math.exp(-t / 60) + 0.02


HEALTHY = {
    "a plain run": run_of(),
    "a converged run": run_of(
        # The loss and all that follows from it shrink by four decades, for most of the run.
        steps=3000,
        loss=lambda t: 2.3 * 10.0 ** -min(4.0, t / 200),
        gradient=lambda t: -2.5 - min(4.0, t / 200),
        norm=lambda t: -min(4.0, t / 200),
        clipped=lambda t: -min(4.0, t / 200),
        update=lambda t: -3.0 - min(4.0, t / 200),
        moved=lambda t: 1.0 if t < 2000 else 0.0,
        alignment=0.99,
    ),
    "a noisy run": run_of(
        # Batches of one sample: losses scatter by as much as they are, gradients hardly agree.
        steps=3000,
        loss=lambda t: 2.3 * math.exp(-t / 800) + 0.3,
        noise=0.6,
        alignment=lambda k, t: 0.4 * math.sin(7.0 * t + k),
        norm=lambda t: 0.8 * math.sin(3.0 * t),
        clipped=lambda t: 0.8 * math.sin(3.0 * t),
    ),
    "at the noise of its data": run_of(
        steps=2000,
        loss=lambda t: 1.0 + 3.0 * math.exp(-t / 40),
        noise=0.25,
        alignment=lambda t: 0.2 * math.sin(5.0 * t),
    ),
    "negative losses": run_of(loss=lambda t: -2.5 + 3.0 * math.exp(-t / 100), noise=0.02),
    "a tiny loss": run_of(
        loss=lambda t: 1e-9 * (2.3 * math.exp(-t / 150) + 0.02),
        gradient=-11.5,
        norm=-9.0,
        clipped=-9.0,
    ),
    "tanh, sure at last": run_of(activation="Tanh", saturated=lambda t: min(0.7, t / 1000)),
    "a gradient clipped now and then": run_of(
        norm=lambda t: 0.5 * math.sin(t), clipped=lambda t: min(0.0, 0.5 * math.sin(t))
    ),
    "always clipped, by three": run_of(norm=0.5, clipped=0.0),
    "a warm-up that goes on": run_of(
        steps=150,
        loss=2.3,
        rate=lambda t: 1e-9 * (t + 1),
        update=-9.0,
    ),
    "sparse from the start": run_of(dead=0.6),
    "float16 with a scaler": run_of(
        autocast="float16",
        underflow=0.6,
        scale=lambda t: 65536.0 / 4 if t > 10 else 65536.0,
    ),
}
"""Runs on which every rule has to be silent."""
