"""Watched runs for the tests of whatever reads one."""

from __future__ import annotations

import math
from pathlib import Path

from unvanish.core.conditions import Optimizer
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.places import SourceLine
from unvanish.core.runfile import RunWriter
from unvanish.core.runs import EventKind, RunConditions, RunEvent, WatchedLayer

CONDITIONS = RunConditions(
    target="train.py --epochs 3",
    every=2,
    optimizers=(
        Optimizer(name="AdamW", lr=1e-3, betas=(0.9, 0.999), foreign=((3, 4), (2,))),
        Optimizer(name="SGD", momentum=0.9),
    ),
    device="cuda",
    autocast="bfloat16",
    batch=32,
    world_size=2,
    strategy="DDP",
    versions={"torch": "2.13.0"},
    unwatched=("activations: the model is compiled",),
)
LAYERS = (
    WatchedLayer(
        index=0,
        path="generator/layers.0",
        module="Linear",
        parameters=("weight", "bias"),
        size=72,
        units=8,
        optimizer=1,
        built=SourceLine("net.py", 12, "__init__"),
    ),
    WatchedLayer(index=1, path="generator", function="relu", units=8),
    WatchedLayer(index=2, path="generator/head, last", module="Linear", parameters=("weight",)),
)
NOT_MEASURED = math.nan
GRADIENTS = {
    0: (-2.5, -1.25, 0.0),
    2: (-math.inf, NOT_MEASURED, math.inf),
    4: (-0.5, -0.75, -3.0),
}
LOSSES = [(0, 2.302585092994046), (1, 1.75), (2, math.nan), (3, math.inf), (4, 1.5)]
EVENTS = (
    RunEvent(step=2, kind=EventKind.NON_FINITE, text="the loss is nan"),
    RunEvent(
        step=3, kind=EventKind.SKIPPED, text='the scaler left "it" out, and\nwent on', layer=2
    ),
)


def fill(writer: RunWriter) -> RunWriter:
    """Write a small run that has one of everything."""
    writer.conditions(CONDITIONS)
    writer.layers(LAYERS)
    for step, row in GRADIENTS.items():
        writer.sample(step, {LayerQuantity.LOG10_PARAM_GRAD_RMS: row})
    writer.sample(4, {LayerQuantity.DEAD_FRACTION: (NOT_MEASURED, 0.25)})
    writer.steps(StepQuantity.LOSS, LOSSES)
    writer.steps(StepQuantity.SECONDS, [(0, 0.0), (2, 0.5), (4, 1.0)])
    writer.steps(StepQuantity.LEARNING_RATE, [(0, 1e-3)])
    for event in EVENTS:
        writer.event(event)
    return writer


def small_run(path: Path, *, ended: bool = True) -> Path:
    """Make the file of a small run."""
    fill(RunWriter(path)).close(ended=ended)
    return path
