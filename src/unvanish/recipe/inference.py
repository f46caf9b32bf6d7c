"""Make a batch for a network that came without one, and say aloud what was assumed."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from unvanish.core.errors import BatchError
from unvanish.core.stack import Owner, owner_of
from unvanish.recipe.names import line_of
from unvanish.recipe.outputs import BATCH_SIZE, logits_of, random_code, target_code, width_of
from unvanish.recipe.suggest import command
from unvanish.recipe.trial import (
    Trial,
    first_layer,
    inputs_of,
    shapes_for,
    tried,
    vocabulary,
    working_shape,
)
from unvanish.recipe.usercode import Foreign, exception_line, is_out_of_memory, user_frames

_Shape = tuple[int, ...]


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

    model: nn.Module
    place: str
    target: str
    classes: int | None
    method: bool

    def help(self, shape: _Shape, trial: Trial) -> str:
        """Say how to give samples of a shape that was seen to work."""
        layer = trial.steps[0].layer if trial.steps else first_layer(self.model)[1]
        make = random_code(shape, vocabulary(layer))
        output = logits_of(trial.output)
        width = width_of(output)
        classes = self.classes if self.classes is not None and width is None else width
        goal = target_code(output, classes)
        if not self.target:
            return f"unvanish.checkup(model, ({make}, {goal}))"
        options = ["--input-shape", ",".join(map(str, shape))]
        options += ["--classes", str(classes)] if classes is not None else []
        line = command(self.target, *options)
        return f"{line}\n  or {self.write(f'return {make}, {goal}')}" if self.place else line

    def write(self, line: str) -> str:
        """Say where to put a ``batch()`` of one line."""
        if not self.target:
            return f"unvanish.checkup(model, {line.removeprefix('return ')})"
        if not self.place:
            return f"write in a file of your own: def batch(): {line}"
        return f"write in {self.place}: def batch({'self' if self.method else ''}): {line}"

    def search(self, shapes: Sequence[_Shape], not_this: _Shape | None = None) -> str:
        """Return the help for a shape that works, or ask for a batch where none was found."""
        found = working_shape(self.model, shapes, not_this=not_this)
        if found is not None:
            return self.help(*found)
        return self.write("return inputs, target") + "   as your training loop makes them"


def invent_batch(
    model: nn.Module,
    *,
    input_shape: Sequence[int] | None = None,
    classes: int | None = None,
    target: str = "",
    place: str = "",
    method: bool = False,
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
        place: The user's file or class, for the literal help; empty if it is not theirs.
        method: Whether `place` is a class.

    Returns:
        The batch and what was assumed.

    Raises:
        BatchError: If the shape cannot be told, or the network does not take it.
    """
    speaker = _Speaker(model, place, target, classes, method)
    name, layer = first_layer(model)
    if layer is None:
        raise BatchError(
            "the network has no parameters, so there is no gradient to look at",
            where=_class_line(model),
        )
    needed = _needed_inputs(model)
    if len(needed) > 1:
        parts = ", ".join(f'"{n}": {random_code(["..."])}' for n in needed)
        raise BatchError(
            f"there is no batch, and forward needs {len(needed)} inputs: {', '.join(needed)}",
            where=_class_line(model),
            help=speaker.write(f"return {{{parts}}}, target"),
        )
    fixed = tuple(input_shape) if input_shape is not None else None
    shape = fixed if fixed is not None else _shape_of(layer)
    if shape is None:
        raise BatchError(
            "there is no batch, and the shape of one sample cannot be told from the network",
            where=f"first layer {name}: {_short(layer)}",
            help=speaker.search(shapes_for(layer) or [(3, 224, 224)]),
        )
    if {"input_ids", "labels"} <= set(inspect.signature(model.forward).parameters):
        return _for_transformer(model, shape, layer, speaker)
    inputs = inputs_of((BATCH_SIZE, *shape), layer, model)
    trial = tried(model, inputs)
    if trial is not None and trial.error is not None and trial.steps:
        first = trial.steps[0]  # the layer that runs first need not be registered first
        better = fixed if fixed is not None else _shape_of(first.layer)
        if better and (better != shape or vocabulary(first.layer) != vocabulary(layer)):
            again = inputs_of((BATCH_SIZE, *better), first.layer, model)
            second = tried(model, again)
            if second is not None and second.error is None:
                name, layer, shape, inputs, trial = first.name, first.layer, better, again, second
    if trial is not None and trial.error is not None:
        raise _not_taken(shape, trial, trial.error, speaker)
    integers = vocabulary(layer)
    source = "" if fixed is not None else f", from the first layer {name}: {_short(layer)}"
    kind = f"integers below {integers}" if integers else "normal numbers"
    said = f"inputs are random {kind} of shape {tuple(inputs.shape)}{source}"
    goal, about = _target_for(trial.output if trial is not None else None, classes, shape, speaker)
    return Invented((inputs, goal.to(inputs.device)), (said, about))


def _for_transformer(model: nn.Module, shape: _Shape, layer: object, speaker: _Speaker) -> Invented:
    """Make the keywords of a model in the style of Hugging Face."""
    ids = inputs_of((BATCH_SIZE, *shape), layer, model)
    said = f"input_ids are random integers below {vocabulary(layer)} of shape {tuple(ids.shape)}"
    names = inspect.signature(model.forward).parameters
    trial = tried(model, {"input_ids": ids})
    output = logits_of(trial.output) if trial is not None and trial.error is None else None
    width = width_of(output)
    per_token = isinstance(output, torch.Tensor) and output.ndim == 3
    if trial is None or (per_token and width is not None and width >= (vocabulary(layer) or 0)):
        labels, about = ids.clone(), "labels = input_ids"
    elif width is not None and isinstance(output, torch.Tensor):
        labels = torch.randint(width, tuple(output.shape[:-1])).to(ids.device)
        about = f"labels are random, of {width} classes, the width of the output"
    else:
        labels, about = ids.clone(), "labels = input_ids"
    batch = {"input_ids": ids, "labels": labels}
    final = tried(model, batch) if trial is not None else None
    if final is not None and final.error is not None:
        if is_out_of_memory(final.error):
            raise final.error
        code = {"input_ids": random_code(shape, vocabulary(layer) or 1000)}
        if "attention_mask" in names:
            code["attention_mask"] = f"torch.ones({', '.join(map(str, ids.shape))}).long()"
        code |= {n: random_code(["..."]) for n in _needed_inputs(model) if n not in code}
        code["labels"] = f"torch.randint({speaker.classes or width or 2}, ({BATCH_SIZE},))"
        parts = ", ".join(f'"{key}": {value}' for key, value in code.items())
        raise BatchError(
            f"the network does not take input_ids and labels alone: {exception_line(final.error)}",
            where=_where(final),
            help=speaker.write(f"return {{{parts}}}"),
        ) from final.error
    return Invented(batch, (said, about))


def _not_taken(shape: _Shape, trial: Trial, error: BaseException, speaker: _Speaker) -> Exception:
    if is_out_of_memory(error) and isinstance(error, Exception):
        return error
    first = trial.steps[0].layer if trial.steps else first_layer(speaker.model)[1]
    made = BatchError(
        f"the network does not take an input of shape {(BATCH_SIZE, *shape)}: "
        f"{exception_line(error)}",
        where=_where(trial),
        help="",
    )
    shapes = shapes_for(first, shape)
    if trial.failed is not None:
        shapes += shapes_for(trial.failed.layer, shape)
    found = working_shape(speaker.model, shapes, not_this=shape)
    if found is not None:
        made.help = speaker.help(*found)
    elif clash := _clash(trial):
        made.help = clash
    else:
        made.help = speaker.write("return inputs, target") + "   as your training loop makes them"
    made.__cause__ = error
    return made


def _clash(trial: Trial) -> str:
    """Name two layers of which the second does not take what the first gives."""
    if len(trial.steps) < 2:
        return ""
    *before, last = trial.steps
    if not last.given or last.gave:
        return ""
    layer, wants = last.layer, None
    if isinstance(layer, nn.Linear):
        wants, word, has = layer.in_features, "features", last.given[-1]
    elif isinstance(layer, nn.modules.conv._ConvNd) and len(last.given) > 1:
        wants, word, has = layer.in_channels, "channels", last.given[1]
    if wants is None or wants == has:
        return ""
    return (
        f"make them agree: after {before[-1].name} there are {has} {word}, "
        f"{last.name} takes {wants}"
    )


def _where(trial: Trial) -> str:
    failed = f"{trial.failed.name}: {_short(trial.failed.layer)}" if trial.failed else ""
    frames = user_frames(trial.error) if trial.error is not None else ""
    return "\n".join(filter(None, (failed, frames)))


def _short(layer: object) -> str:
    return str(layer).splitlines()[0]


def _class_line(model: nn.Module) -> str:
    """Return where the class of a network is written, if that is the user's file."""
    code = getattr(type(model).forward, "__code__", None)
    is_users = code is not None and owner_of(code.co_filename) is Owner.USER
    return line_of(type(model)) if is_users else ""


def _shape_of(layer: object) -> _Shape | None:
    if isinstance(layer, nn.Linear) and layer.in_features > 0:
        return (layer.in_features,)
    return None


def _needed_inputs(model: nn.Module) -> list[str]:
    parameters = inspect.signature(model.forward).parameters.values()
    return [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}
    ]


def _target_for(
    output: Foreign, classes: int | None, sample: _Shape, speaker: _Speaker
) -> tuple[torch.Tensor, str]:
    output = logits_of(output)
    options = ["--input-shape", ",".join(map(str, sample))]
    if not isinstance(output, torch.Tensor):
        if classes is not None:
            return torch.randint(classes, (BATCH_SIZE,)), f"labels are random, of {classes} classes"
        raise BatchError(
            f"there is no target, and none can be told from an output of {type(output).__name__}",
            help=speaker.write(f"return {random_code(sample)}, target"),
        )
    shape = tuple(output.shape)
    if shape and shape[0] % BATCH_SIZE:
        raise BatchError(
            f"the output has lost the batch dimension: of {BATCH_SIZE} samples it gives "
            f"the shape {shape}",
            where=_class_line(speaker.model),
            help="let forward keep dimension 0, one row a sample: "
            "x.flatten(1) and x.mean(dim=1) keep it, x.flatten() and x.mean(dim=0) do not",
        )
    if classes is None:
        if len(shape) == 2 and shape[1] > 1:
            classes = shape[1]
            about = f"labels are random, of {classes} classes, the width of the output"
            return torch.randint(classes, shape[:1]), about
        if len(shape) <= 2 and output.is_floating_point():
            return torch.randn(shape), f"the target is random numbers of shape {shape}"
        width = width_of(output)
        if width is not None and speaker.target:
            help = command(speaker.target, *options, "--classes", str(width))
        else:
            help = speaker.write(f"return {random_code(sample)}, {target_code(output, width)}")
        raise BatchError(
            f"there is no target, and an output of shape {shape} does not tell which", help=help
        )
    about = f"labels are random, of {classes} classes"
    if len(shape) >= 3 and shape[1] == classes:  # (N, classes, H, W): a label at every place
        return torch.randint(classes, (shape[0], *shape[2:])), about
    if len(shape) >= 2 and shape[-1] == classes:
        return torch.randint(classes, shape[:-1]), about
    if len(shape) >= 2:
        width = width_of(output)
        chosen = [*options, "--classes", str(width)] if width is not None else options
        raise BatchError(
            f"--classes {classes} does not fit the output, which is of shape {shape}",
            help=command(speaker.target, *chosen)
            if speaker.target
            else speaker.write(f"return {random_code(sample)}, {target_code(output, width)}"),
        )
    return torch.randint(classes, shape[:1]), about
