"""Make a batch for a network that came without one, and say aloud what was assumed."""

from __future__ import annotations

import copy
import inspect
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

from unvanish.core.errors import BatchError
from unvanish.recipe.usercode import Foreign, exception_line, is_out_of_memory, user_frames

BATCH_SIZE: Final = 32


@dataclass(frozen=True, slots=True)
class Invented:
    """A batch of random numbers.

    Attributes:
        batch: ``(inputs, target)``, a dict, or the inputs alone.
        inferred: What was assumed, one sentence each.
    """

    batch: Foreign
    inferred: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Speaker:
    """Words the literal help for a target on the command line or a model in Python."""

    place: str
    target: str

    def help(self, shape: Sequence[object], *, integers: int | None, classes: int | None) -> str:
        shown = ", ".join(str(size) for size in shape)
        make = (
            f"torch.randint({integers}, ({BATCH_SIZE}, {shown}))"
            if integers
            else f"torch.randn({BATCH_SIZE}, {shown})"
        )
        labels = f"torch.randint({classes or 10}, ({BATCH_SIZE},))"
        if not self.target:
            return f"unvanish.checkup(model, ({make}, {labels}))"
        option = ",".join(str(size) for size in shape)
        return (
            f"unvanish check {self.target} --input-shape {option} --classes {classes or 10}\n"
            f"  or write in {self.place}: def batch(): return {make}, {labels}"
        )


def invent_batch(
    model: nn.Module,
    *,
    input_shape: Sequence[int] | None = None,
    classes: int | None = None,
    target: str = "",
    place: str = "",
) -> Invented:
    """Make a batch of random numbers that the network accepts.

    Normal inputs, or integers where the first layer is an embedding. The shape comes from
    `input_shape`, or from a first layer that leaves no choice. A trial run on a copy shows
    that the network takes it and which target fits its output.

    Args:
        model: The network; not touched. Draws from torch's global generator.
        input_shape: Shape of one sample, without the batch.
        classes: Number of classes of the random labels.
        target: The TARGET, for the literal help; empty for a model given in Python.
        place: The user's file, for the literal help.

    Returns:
        The batch and what was assumed.

    Raises:
        BatchError: If the shape cannot be told, or the network does not take it.
    """
    speaker = _Speaker(place, target)
    layer_name, layer = _first_layer(model)
    if layer is None:
        raise BatchError(
            "the network has no parameters, so there is no gradient to look at",
            where=type(model).__name__,
        )
    first = str(layer).splitlines()[0]
    integers = layer.num_embeddings if isinstance(layer, nn.Embedding | nn.EmbeddingBag) else None
    shape = tuple(input_shape) if input_shape is not None else _shape_of(layer)
    told = speaker.help(shape or _likely_shape(layer), integers=integers, classes=classes)
    if shape is None:
        raise BatchError(
            "there is no batch, and the shape of one sample cannot be told from the network",
            where=f"first layer {layer_name}: {first}",
            help=told,
        )
    if len(needed := _needed_inputs(model)) > 1:
        raise BatchError(
            f"there is no batch, and forward needs {len(needed)} inputs: {', '.join(needed)}",
            where=type(model).__name__,
            help="def batch(): return ("
            + ", ".join(f"torch.randn({BATCH_SIZE}, ...)" for _ in needed)
            + "), target",
        )
    full = (BATCH_SIZE, *shape)
    inputs = torch.randint(integers, full) if integers else torch.randn(full)
    weight = next(model.parameters(), None)
    if weight is not None:
        real = weight.is_floating_point() and inputs.is_floating_point()
        inputs = inputs.to(weight.device, weight.dtype if real else inputs.dtype)
    source = "" if input_shape is not None else f", from the first layer {layer_name}: {first}"
    kind = f"integers below {integers}" if integers else "normal numbers"
    said = f"inputs are random {kind} of shape {full}{source}"
    if {"input_ids", "labels"} <= set(inspect.signature(model.forward).parameters):
        return Invented({"input_ids": inputs, "labels": inputs.clone()}, (said, "labels = inputs"))
    output = _trial_output(model, inputs, full, told)
    goal, about = _target_for(output, classes, told)
    return Invented((inputs, goal.to(inputs.device)), (said, about))


def _first_layer(model: nn.Module) -> tuple[str, Foreign]:
    for name, module in model.named_modules():
        if next(module.parameters(recurse=False), None) is not None:
            return name or "(root)", module
    return "", None


def _shape_of(layer: object) -> tuple[int, ...] | None:
    if isinstance(layer, nn.Linear) and layer.in_features > 0:
        return (layer.in_features,)
    return None


def _likely_shape(layer: object) -> tuple[object, ...]:
    """Return a shape for the literal help; only an example."""
    if isinstance(layer, nn.modules.conv._ConvNd):
        sizes = {1: (1000,), 2: (224, 224), 3: (16, 112, 112)}
        return (layer.in_channels or 3, *sizes[len(layer.kernel_size)])
    if isinstance(layer, nn.RNNBase):
        return (100, layer.input_size)
    if isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        return (128,)
    if isinstance(layer, nn.LayerNorm):
        return layer.normalized_shape
    if isinstance(layer, nn.BatchNorm1d) and layer.num_features:
        return (layer.num_features,)
    return (3, 224, 224)


def _needed_inputs(model: nn.Module) -> list[str]:
    parameters = inspect.signature(model.forward).parameters.values()
    return [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}
    ]


def _trial_output(
    model: nn.Module, inputs: torch.Tensor, shape: tuple[int, ...], told: str
) -> Foreign:
    try:
        trial = copy.deepcopy(model)
    except Exception:
        trial = None  # cannot be copied; the real run will tell whether the shape fits
    if trial is None:
        return None
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            return trial(inputs)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise BatchError(
            f"the network does not take an input of shape {shape}: {exception_line(error)}",
            where="\n".join(filter(None, (_layer_of(error, trial), user_frames(error)))),
            help=f"if samples have another shape, say so:\n  {told}",
        ) from error


def _layer_of(error: Exception, model: nn.Module) -> str:
    """Return the innermost layer that an exception passed through."""
    names = {id(module): name for name, module in model.named_modules()}
    frames = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    for module in reversed(frames):
        if names.get(id(module)):
            return f"{names[id(module)]}: {str(module).splitlines()[0]}"
    return ""


def _target_for(output: Foreign, classes: int | None, told: str) -> tuple[torch.Tensor, str]:
    if isinstance(output, Mapping) and "logits" in output:
        output = output["logits"]
    output = getattr(output, "logits", output)
    if isinstance(output, tuple | list) and output and isinstance(output[0], torch.Tensor):
        output = output[0]
    if not isinstance(output, torch.Tensor):
        if classes is not None:
            return torch.randint(classes, (BATCH_SIZE,)), f"labels are random, of {classes} classes"
        raise BatchError(
            f"there is no target, and none can be told from an output of {type(output).__name__}",
            help=told,
        )
    shape = tuple(output.shape)
    if classes is None:
        if len(shape) == 2 and shape[1] > 1:
            classes = shape[1]
            about = f"labels are random, of {classes} classes, the width of the output"
            return torch.randint(classes, shape[:1]), about
        if len(shape) <= 2 and output.is_floating_point():
            return torch.randn(shape), f"the target is random numbers of shape {shape}"
        raise BatchError(
            f"there is no target, and an output of shape {shape} does not tell which", help=told
        )
    about = f"labels are random, of {classes} classes"
    if len(shape) >= 3 and shape[1] == classes:  # (N, classes, H, W): a label at every place
        return torch.randint(classes, (shape[0], *shape[2:])), about
    if len(shape) >= 2 and shape[-1] == classes:
        return torch.randint(classes, shape[:-1]), about
    if len(shape) >= 2:
        raise BatchError(
            f"--classes {classes} does not fit the output, which is of shape {shape}",
            help=f"--classes {shape[-1]}",
        )
    return torch.randint(classes, shape[:1]), about
