"""Try a network on made-up inputs, on a copy, and look for a shape that it takes."""

from __future__ import annotations

import copy
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import nn

from unvanish.recipe.usercode import Foreign, is_out_of_memory

_SIDES: Final = {
    1: (1000, 128, 16000, 64, 16),
    2: (224, 32, 28, 64, 128, 256, 96, 8, 16, 48, 299, 384, 512),
    3: (16, 32, 64, 112),
}
_SEARCH_SECONDS: Final = 8.0
_FEW: Final = 2


@dataclass(slots=True)
class Step:
    """A layer with parameters of its own that ran, and what went in and came out."""

    name: str
    layer: nn.Module
    given: tuple[int, ...] = ()
    gave: tuple[int, ...] = ()


@dataclass(slots=True)
class Trial:
    """One call of a copy of a network.

    Attributes:
        output: What it returned.
        error: What it raised; None where it returned.
        steps: The layers that ran, in order; the last one may not have come back.
        failed: The innermost layer that the exception passed through, and its name.
    """

    output: Foreign = None
    error: BaseException | None = None
    steps: list[Step] = field(default_factory=list)
    failed: Step | None = None


def tried(model: nn.Module, inputs: Foreign) -> Trial | None:
    """Call a copy of a network.

    Args:
        model: Not touched.
        inputs: One tensor, or a dict of keyword arguments.

    Returns:
        How it went; None where the network cannot be copied.
    """
    try:
        twin = copy.deepcopy(model)
    except Exception:
        return None
    trial = Trial()
    for name, module in twin.named_modules():
        if next(module.parameters(recurse=False), None) is not None:
            _watch(trial, name or "(root)", module)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            trial.output = twin(**inputs) if isinstance(inputs, dict) else twin(inputs)
    except (Exception, SystemExit) as error:
        trial.error = error
        trial.failed = _failed(error, twin)
    return trial


def _watch(trial: Trial, name: str, module: nn.Module) -> None:
    def enter(module: nn.Module, args: Any) -> None:
        trial.steps.append(Step(name, module, _shape_in(args)))

    def leave(module: nn.Module, _: Any, output: Any) -> None:
        step = next((s for s in reversed(trial.steps) if s.layer is module), None)
        if step is not None:
            step.gave = _shape_in((output,))

    module.register_forward_pre_hook(enter)
    module.register_forward_hook(leave)


def _shape_in(values: Foreign) -> tuple[int, ...]:
    for value in values:
        if isinstance(value, tuple | list):
            return _shape_in(value)
        if isinstance(value, torch.Tensor):
            return tuple(value.shape)
    return ()


def _failed(error: BaseException, model: nn.Module) -> Step | None:
    names = {id(module): name for name, module in model.named_modules()}
    frames = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    for module in reversed(frames):
        if isinstance(module, nn.Module) and names.get(id(module)):
            return Step(names[id(module)], module)
    return None


def working_shape(
    model: nn.Module, shapes: Sequence[tuple[int, ...]], *, not_this: tuple[int, ...] | None = None
) -> tuple[tuple[int, ...], Trial] | None:
    """Look for the shape of one sample that a network takes.

    Args:
        model: Not touched.
        shapes: To be tried first.
        not_this: Known not to fit.

    Returns:
        The shape and its trial; None where none was found in a few seconds.
    """
    until = time.monotonic() + _SEARCH_SECONDS
    waiting = list(shapes)
    done = {not_this}
    layer: nn.Module | None = first_layer(model)[1]
    expanded = False
    while waiting and time.monotonic() < until:
        shape = waiting.pop(0)
        if shape in done:
            continue
        done.add(shape)
        trial = tried(model, inputs_of((_FEW, *shape), layer, model))
        if trial is None or is_out_of_memory(trial.error):
            return None
        if trial.error is None:
            return shape, trial
        if not expanded and trial.steps:
            expanded = True
            layer = trial.steps[0].layer
            done = {not_this} if not_this != shape else done
            waiting = [*shapes_for(layer, not_this or ()), *waiting]
    return None


def first_layer(model: nn.Module) -> tuple[str, Foreign]:
    """Return the first registered layer that has parameters, and its name."""
    for name, module in model.named_modules():
        if next(module.parameters(recurse=False), None) is not None:
            return name or "(root)", module
    return "", None


def vocabulary(layer: object) -> int | None:
    """Return how many different integers a layer takes; None where it takes real numbers."""
    return layer.num_embeddings if isinstance(layer, nn.Embedding | nn.EmbeddingBag) else None


def inputs_of(full: tuple[int, ...], layer: object, model: nn.Module) -> torch.Tensor:
    """Draw inputs of a shape that fit the type of a network and its first layer."""
    integers = vocabulary(layer)
    inputs = torch.randint(integers, full) if integers else torch.randn(full)
    weight = next(model.parameters(), None)
    if weight is not None:
        real = weight.is_floating_point() and inputs.is_floating_point()
        inputs = inputs.to(weight.device, weight.dtype if real else inputs.dtype)
    return inputs


def shapes_for(layer: object, near: tuple[int, ...] = ()) -> list[tuple[int, ...]]:
    """Return shapes of one sample that a first layer could take, the likeliest first."""
    return list(dict.fromkeys(_shapes_for(layer, near)))


def _shapes_for(layer: object, near: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if isinstance(layer, nn.modules.conv._ConvNd):
        channels, dimensions = layer.in_channels or 3, len(layer.kernel_size)
        if len(near) == dimensions + 1:
            yield (channels, *near[1:])
        if dimensions == 3:
            yield (channels, 16, 112, 112)
        for side in _SIDES[dimensions]:
            yield (channels, *(side for _ in range(dimensions)))
    elif isinstance(layer, nn.RNNBase):
        yield (100, layer.input_size)
    elif isinstance(layer, nn.Embedding):
        yield from ((128,), (16,), (256,), (1,), ())
    elif isinstance(layer, nn.EmbeddingBag):
        yield (16,)
    elif isinstance(layer, nn.Linear) and layer.in_features > 0:
        if len(near) > 1:
            yield (*near[:-1], layer.in_features)
        yield from ((layer.in_features,), (16, layer.in_features))
    elif isinstance(layer, nn.LayerNorm):
        yield tuple(layer.normalized_shape)
    elif isinstance(layer, nn.BatchNorm1d) and layer.num_features:
        yield (layer.num_features,)
    elif isinstance(layer, nn.BatchNorm2d) and layer.num_features:
        yield (layer.num_features, 32, 32)
