"""Lesson: reading a run, and why a loss curve alone is not enough."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.lessons import Curves, Evidence, Point, Relation, Series, Table
from unvanish.core.runs import RunRecording
from unvanish.core.sources import SOURCES
from unvanish.diagnose.running import diagnose_run
from unvanish.learn.data import CLASSES, endless, shapes
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import fit, plain
from unvanish.learn.settings import number, seed, whole
from unvanish.watch import observe

_RATE = 1e-3
_HIGHEST = 3.0
"""Where the plot of the loss is cut off."""
_LENGTH = 3
"""Steps for which the learning rate is raised."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """An ordinary run, and what happens in the middle of it."""

    depth: int = whole(4, least=2, most=20, meaning="hidden layers, of ReLU")
    width: int = whole(64, least=16, most=256, meaning="units of a hidden layer")
    steps: int = whole(300, least=100, most=2000, meaning="training steps")
    spike: float = number(300.0, least=1, most=10_000, meaning="factor of the learning rate, once")
    every: int = whole(10, least=1, most=50, meaning="steps between two samples of the watch")
    seed: int = seed()


def experiment(settings: Settings) -> Evidence:
    """Watch a run whose learning rate is raised for three steps, and read the recording."""
    spiked = settings.steps // 2
    run, calm = _watched(settings, spiked), _watched(settings, None)
    diagnosis = diagnose_run(run)
    found = [finding for finding in diagnosis.findings if finding.severity.rank >= 1]
    nearest = min((abs(event.step - spiked) for event in run.events), default=math.inf)
    dead, before = _dead(run, run.last_step), _dead(run, spiked - 1)
    losses, calm_losses = dict(run.over(StepQuantity.LOSS)), dict(calm.over(StepQuantity.LOSS))
    end, calm_end = _tail(losses), _tail(calm_losses)
    return Evidence(
        points=(
            Point(
                says="rules that find something in the disturbed run",
                measured=float(len(found)),
                relation=Relation.AT_LEAST,
                limit=1.0,
            ),
            Point(
                says="steps between the disturbance and the nearest step that the recording names",
                measured=nearest,
                relation=Relation.AT_MOST,
                limit=float(_LENGTH),
                unit="steps",
            ),
            Point(
                says="share of all ReLU units that are dead at the end, less what it was before",
                measured=dead - before,
                relation=Relation.AT_LEAST,
                limit=0.2,
            ),
            Point(
                says="rules that find something in the same run without the disturbance",
                measured=float(sum(one.severity.rank >= 1 for one in diagnose_run(calm).findings)),
                relation=Relation.EXACTLY,
                limit=0.0,
            ),
        ),
        tables=(
            Table(
                title="what the watch says of the disturbed run",
                columns=("rule", "finding"),
                rows=tuple((finding.code, finding.message) for finding in diagnosis.findings)
                or (("-", "nothing"),),
            ),
            Table(
                title="the two runs at their end",
                columns=("run", "loss", "dead units"),
                rows=(
                    ("disturbed", end, f"{100 * dead:.0f} %"),
                    ("undisturbed", calm_end, f"{100 * _dead(calm, calm.last_step):.0f} %"),
                ),
                note=f"Knowing nothing gives a loss of ln {CLASSES} = {math.log(CLASSES):.3f}.",
            ),
        ),
        plots=(
            Curves(
                title="Share of dead ReLU units",
                x_label="step",
                y_label="share",
                series=(_dead_series(run, "disturbed"), _dead_series(calm, "undisturbed")),
            ),
            Curves(
                title="Loss, cut off at 3",
                x_label="step",
                y_label="cross-entropy",
                series=(
                    _loss_series(losses, "disturbed"),
                    _loss_series(calm_losses, "undisturbed"),
                ),
            ),
        ),
        notes=tuple(f"Step {event.step}: {event.text}." for event in run.events[:4] if event.text),
    )


def _watched(settings: Settings, spiked: int | None) -> RunRecording:
    """Train from the seed of the settings, and return the recording."""
    torch.manual_seed(settings.seed)
    model = plain(settings.depth, width=settings.width, activation="relu", outputs=CLASSES)
    optimizer = torch.optim.Adam(model.parameters(), _RATE)
    steps = range(spiked, spiked + _LENGTH) if spiked is not None else ()

    def set_rate(taken: int) -> None:
        for group in optimizer.param_groups:
            group["lr"] = _RATE * (settings.spike if taken in steps else 1.0)

    data = shapes(512, settings.seed)
    batches = endless(*data, size=64, steps=settings.steps, seed=settings.seed)
    with observe(model, optimizer, every=settings.every) as watch:
        fit(model, batches, optimizer=optimizer, each=set_rate)
    return watch.recording


def _dead(run: RunRecording, step: int) -> float:
    """Return the share of all ReLU units that are dead, at the last sample up to a step."""
    counted = []
    for layer in run.layers:
        upto = [
            share
            for at, share in run.series(LayerQuantity.DEAD_FRACTION, layer)
            if at <= step and math.isfinite(share)
        ]
        if upto:
            counted.append((upto[-1] * layer.units, layer.units))
    return sum(dead for dead, _ in counted) / max(1, sum(units for _, units in counted))


def _dead_series(run: RunRecording, name: str) -> Series:
    samples = sorted(
        {at for layer in run.layers for at, _ in run.series(LayerQuantity.DEAD_FRACTION, layer)}
    )
    return Series(
        name=name, x=tuple(map(float, samples)), y=tuple(_dead(run, step) for step in samples)
    )


def _loss_series(losses: dict[int, float], name: str) -> Series:
    every = max(1, len(losses) // 150)
    steps = sorted(losses)[::every]
    return Series(
        name=name,
        x=tuple(map(float, steps)),
        y=tuple(min(losses[step], _HIGHEST) for step in steps),
    )


def _tail(losses: dict[int, float]) -> float:
    last = sorted(losses)[-10:]
    return sum(losses[step] for step in last) / len(last)


LESSON = Lesson(
    name="monitoring",
    title="A run that sickens names the step itself",
    claim=(
        "A learning rate that is far too large for three steps kills ReLU units for good, and a "
        "watch of the layers finds that and names the step, while it leaves the same run without "
        "the disturbance in peace."
    ),
    text="""
A network that is sound at its first step can sicken later: a bad batch, a learning rate that was
raised too fast, a resumed run with a forgotten warm-up. The loss says *that* something happened, as
a jump. It does not say what is broken now, or whether waiting will help. For that one needs a few
numbers of every layer, over time:

- the *gradient* of the parameters: does it still arrive, and at which layers?
- the *step relative to the weights*, |change of w| / |w|: about 1e-3 is usual; 1 means that a
  single step replaced the weights.
- the share of *dead units*: ReLU units that answer zero to every sample. Their slope is zero, so
  no gradient reaches their weights, and no later step can bring them back unless the layers before
  them still learn.
- the share of *saturated* outputs of bounded functions.

These need not be looked at in every step. A sample each ten or fifty steps finds the step to within
that distance, and the loss, which costs nothing, gives it exactly.

Reading a run means asking in this order: is the loss a number? Did it jump, and did it come back?
Do all layers still move? Are units dying, layer by layer? Only where all of that is sound is it
time to think about the learning rate's schedule, the data, or the size of the network.
""",
    belief=(
        "After a spike of the loss, wait: it will come down again. It comes down where the weights "
        "were only thrown off. Where units died, it comes down to what the dead ones leave over."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "A disturbed run in which nothing is found, or in which the step that is named is not the "
        "one of the disturbance; or a finding in the run that nothing disturbed."
    ),
    counterexample={"spike": 1.0},
    question=(
        "Two runs spike at step 500. Afterwards the loss of both is twice what it was. In one of "
        "them 2 % of the units are dead, in the other 60 %. Which of them do you restart from the "
        "last checkpoint?"
    ),
    answer=(
        "The second. The first has all it needs to recover; in the second, more than half of the "
        "units cannot be reached by any gradient, and only a restart or new weights for those "
        "units brings them back."
    ),
    sources=(SOURCES["lu2020"], SOURCES["cohen2021"]),
)
