"""How a run went: its layers' samples, and from when to when something held."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Final

from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.records import Site
from unvanish.core.runs import EventKind, RunRecording, WatchedLayer

FEWEST_SAMPLES: Final = 3
"""What must hold in so many samples in a row to be more than a moment."""

_FIRST: Final = 64
_TURNS: Final = 8
"""A loss that changes its sign so often in the first steps is none that falls through zero."""

_SUPPLIED: Final = frozenset({"Embedding", "EmbeddingBag"})
"""Layers of which a batch touches few rows."""

_FROM_TO: Final = re.compile(r"from (?P<before>[\d.e+-]*\d) to (?P<after>[\d.e+-]*\d)$")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of samples in which something held, up to the last one.

    Attributes:
        step: The first sample that was not fine.
        sound: The last sample before it, which was; -1 where there is none.
        last: The last sample.
        samples: How many samples it held in.
    """

    step: int
    sound: int
    last: int
    samples: int

    @property
    def notes(self) -> tuple[str, ...]:
        """When it began, and in which samples it was seen."""
        return when(self.step, self.sound, self.last, self.samples)


def when(step: int, sound: int, last: int, samples: int) -> tuple[str, ...]:
    """Say when something began and in which samples it was seen.

    Args:
        step: The first sample that was not fine.
        sound: The last sound sample before it; -1 for none.
        last: The last sample looked at.
        samples: In how many samples it was seen.
    """
    seen = f"seen in {samples:,} sample{'s' if samples > 1 else ''}, to step {last:,}"
    if sound < 0:
        return (f"it is so from the first sample on, of step {step:,}; {seen}",)
    return (f"began at step {step:,} (last sound sample at step {sound:,}); {seen}",)


def lasting(samples: Sequence[tuple[int, bool]], *, least: int = FEWEST_SAMPLES) -> Stretch | None:
    """Return the stretch in which something holds that holds to the end of the run.

    A single sample in which it does not hold, between two in which it does, does not end it.

    Args:
        samples: Step, and whether it held there.
        least: In how many samples it has to hold.
    """
    if not samples or not samples[-1][1]:
        return None
    first = len(samples) - 1
    while first > 0 and (samples[first - 1][1] or (first > 1 and samples[first - 2][1])):
        first -= 1
    while not samples[first][1]:
        first += 1
    held = sum(holds for _, holds in samples[first:])
    if held < least:
        return None
    sound = samples[first - 1][0] if first else -1
    return Stretch(samples[first][0], sound, samples[-1][0], held)


def unsettled(samples: Sequence[tuple[int, bool]]) -> int:
    """Return since when something holds that holds at the end, in too few samples to be sure.

    Args:
        samples: Step, and whether it held there.

    Returns:
        The step; -1 where it does not hold at the end, holds in the last sample alone, or lasts.
    """
    if lasting(samples) is not None:
        return -1
    found = lasting(samples, least=FEWEST_SAMPLES - 1)
    return -1 if found is None else found.step


def end_of_numbers(run: RunRecording) -> int:
    """Return the first step from which on no loss is a number; past the end where there is none.

    What is measured there says nothing of the layers: a unit whose input is no number looks dead.
    """
    known = run.by_step.get(StepQuantity.LOSS)
    if known is None or not known.steps:
        return run.last_step + 1
    end = max(run.last_step, known.steps[-1]) + 1
    for step, value in zip(reversed(known.steps), reversed(known.values), strict=True):
        if math.isfinite(value):
            break
        end = step
    return end


def samples_of(
    run: RunRecording, quantity: LayerQuantity, layer: WatchedLayer
) -> list[tuple[int, float]]:
    """Return step and value of one layer, as long as the loss was a number."""
    end = end_of_numbers(run)
    return [(step, float(value)) for step, value in run.series(quantity, layer) if step < end]


def rows_of(run: RunRecording, quantity: LayerQuantity) -> dict[int, Mapping[int, float]]:
    """Return step to layer to value, as long as the loss was a number."""
    end = end_of_numbers(run)
    known = run.by_layer.get(quantity)
    if known is None:
        return {}
    return {
        step: {i: float(value) for i, value in enumerate(row) if not math.isnan(value)}
        for step, row in zip(known.steps, known.rows, strict=True)
        if step < end
    }


def trained_groups(run: RunRecording) -> list[list[WatchedLayer]]:
    """Return the layers that an optimiser moves, those of one model and one optimiser together.

    Embeddings are left out: a batch touches few of their rows.
    """
    groups: dict[tuple[str, int], list[WatchedLayer]] = defaultdict(list)
    for layer in run.layers:
        if layer.parameters and layer.optimizer >= 0 and layer.module not in _SUPPLIED:
            groups[model_of(layer), layer.optimizer].append(layer)
    return list(groups.values())


def model_of(layer: WatchedLayer) -> str:
    """Return the name of the model that a layer belongs to; empty where there is one model."""
    return layer.path.split("/", 1)[0] if "/" in layer.path else ""


def plays_losses(run: RunRecording) -> bool:
    """Tell whether several models have optimisers of their own, as in adversarial training.

    Their losses come in turns and are played against each other: none of them has to fall.
    """
    trained = [layer for layer in run.layers if layer.optimizer >= 0 and layer.parameters]
    return len({model_of(one) for one in trained}) > 1 < len({one.optimizer for one in trained})


def need_not_fall(run: RunRecording) -> str:
    """Say why the loss of a run need not fall; empty where it should.

    A network that is asked for answers from step to step, and on other inputs each time, learns
    from what comes of them: a step changes what the next loss is about. A loss that changes its
    sign again and again from the beginning is a surrogate, whose gradient alone means something:
    policy gradients and critics have such losses.
    """
    if plays_losses(run):
        return "several models are trained, and their losses need not fall"
    if answers_itself(run):
        return (
            "between its steps the network is asked for answers that it does not learn from, as an "
            "agent is that acts: the loss need not fall"
        )
    first = [value for _, value in run.over(StepQuantity.LOSS)[:_FIRST] if value]
    if sum(a < 0.0 < b or b < 0.0 < a for a, b in pairwise(first)) >= _TURNS:
        return (
            "the loss changes its sign from step to step, as a surrogate's does: it need not fall"
        )
    return ""


def answers_itself(run: RunRecording) -> bool:
    """Tell whether a network that trains is asked for answers between most of its steps.

    Steps 1 and 2 have to be among them: with an epoch of several steps, what is asked at its end is
    no part of the training.
    """
    answers = [(step, bool(count)) for step, count in run.over(StepQuantity.ANSWERS) if step]
    asked = {step for step, is_asked in answers if is_asked}
    return {1, 2} <= asked and 2 * len(asked) > len(answers)


def elasticities(run: RunRecording) -> dict[int, dict[int, float]]:
    """Return step to layer to log10(|dL/dw| |w|), norms over the whole layer.

    That is how much the loss could change for a relative change of the layer's weights. It does
    not depend on the size of a layer's output, and in a network of layers that scale their input
    it is much the same in all of them.
    """
    grads = rows_of(run, LayerQuantity.LOG10_PARAM_GRAD_RMS)
    sizes = rows_of(run, LayerQuantity.LOG10_PARAM_RMS)
    count = {layer.index: math.log10(max(layer.size, 1)) for layer in run.layers}
    return {
        step: {
            i: grad + sizes[step][i] + count.get(i, 0.0)
            for i, grad in row.items()
            if i in sizes.get(step, {}) and math.isfinite(sizes[step][i])
        }
        for step, row in grads.items()
    }


def early_shortfall(
    layers: Sequence[WatchedLayer], values: Mapping[int, float], decades: float
) -> list[WatchedLayer]:
    """Return the layers from the input side on that all stand far below those behind them.

    Args:
        layers: In forward order.
        values: Layer to decades.
        decades: How far below the median of all later layers each has to stand.
    """
    known = [layer for layer in layers if layer.index in values]
    best: list[WatchedLayer] = []
    top = -math.inf
    highest = max((values[layer.index] for layer in known), default=-math.inf)
    for count in range(1, len(known)):
        top = max(top, values[known[count - 1].index])
        if top > highest - decades:
            break
        later = [values[layer.index] for layer in known[count:]]
        if top <= median(later) - decades and math.isfinite(median(later)):
            best = known[:count]
    return best


def shortfall(
    layers: Sequence[WatchedLayer], early: Iterable[WatchedLayer], values: Mapping[int, float]
) -> float:
    """Return how many decades the least of some early layers stand below the later median."""
    starved = {layer.index for layer in early}
    later = [
        values[one.index] for one in layers if one.index in values and one.index not in starved
    ]
    least = [values[index] for index in starved if index in values]
    return median(later) - min(least) if later and least else math.nan


def while_true(
    run: RunRecording,
    quantity: LayerQuantity,
    layer: WatchedLayer,
    holds: Callable[[float], bool],
) -> Stretch | None:
    """Return the stretch to the end of the run in which something holds of one layer."""
    return lasting([(step, holds(value)) for step, value in samples_of(run, quantity, layer)])


def sites_of(layers: Iterable[WatchedLayer]) -> tuple[Site, ...]:
    """Return layers as the places of a finding."""
    return tuple(
        Site(
            index=layer.index,
            path=layer.path,
            op=layer.function or layer.module.casefold() or "layer",
            module=layer.module,
            function=layer.function,
            built=layer.built,
            weights=tuple(f"{layer.path}.{name}" for name in layer.parameters),
        )
        for layer in layers
    )


def named(layers: Sequence[WatchedLayer], *, most: int = 3) -> str:
    """Name layers in half a sentence: ``layers.0, layers.2 and 5 more``."""
    words = ", ".join(layer.name for layer in layers[:most])
    if words[:1].isdigit():
        words = f"layer {words}" if len(layers) == 1 else f"layers {words}"
    return words + (f" and {len(layers) - most:,} more" if len(layers) > most else "")


def neighbours(steps: Iterable[int], step: int) -> tuple[int, int]:
    """Return the samples on both sides of a step, itself included; -1 where there is none."""
    known = list(steps)
    return (
        max((s for s in known if s <= step), default=-1),
        min((s for s in known if s >= step), default=-1),
    )


def rate_rises(run: RunRecording) -> list[tuple[int, float, float]]:
    """Return step, rate before and rate after wherever the learning rate was more than doubled.

    Between two samples it is an event that tells.
    """
    rates = [(step, rate) for step, rate in run.over(StepQuantity.LEARNING_RATE) if rate > 0.0]
    known = [(step, before, after) for (_, before), (step, after) in pairwise(rates)]
    for step, text in rate_events(run):
        if told := _FROM_TO.search(text):
            known.append((step, float(told["before"]), float(told["after"])))
    return sorted(rise for rise in known if rise[2] > 2.0 * rise[1] > 0.0)


def rate_events(run: RunRecording) -> list[tuple[int, str]]:
    """Return step and words of every change of the learning rate that was noticed."""
    return [(event.step, event.text) for event in run.events if event.kind is EventKind.RATE]


def jump_steps(run: RunRecording) -> list[int]:
    """Return the steps at which the loss jumped while the run was watched."""
    return [event.step for event in run.events if event.kind is EventKind.JUMPED]


def since_jump(run: RunRecording, stretch: Stretch) -> Stretch:
    """Return a stretch that begins where the loss jumped, if that was since the last sound sample.

    The loss is known at every step, so it tells what lies between two samples.
    """
    jumps = [step for step in jump_steps(run) if stretch.sound < step <= stretch.step]
    if stretch.sound < 0 or not jumps:
        return stretch
    return replace(stretch, step=jumps[-1])


def climbed(losses: Sequence[tuple[int, float]]) -> bool:
    """Tell whether the loss stands no lower at the end than in the middle of the run."""
    values = [value for _, value in losses if math.isfinite(value)]
    part = max(1, len(values) // 8)
    middle = len(values) // 2
    return bool(values) and median(values[-part:]) >= median(values[max(0, middle - part) :][:part])


def sees_activations(run: RunRecording) -> bool:
    """Tell whether anything was measured of what the layers answer.

    Where nothing was, as within a compiled model, no rule may say that there are no activations.
    """
    return LayerQuantity.ACTIVATION_RMS in run.by_layer


def is_hidden(run: RunRecording, layer: WatchedLayer) -> bool:
    """Tell whether a layer with weights of the same model comes after this one."""
    return any(
        other.parameters and model_of(other) == model_of(layer)
        for other in run.layers[layer.index + 1 :]
    )
