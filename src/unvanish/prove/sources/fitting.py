"""Bring samples into the shape that a network takes, by trying it on a copy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.errors import BatchError
from unvanish.observe.batch import main_output
from unvanish.prove.sources.files import Samples
from unvanish.recipe.outputs import width_of
from unvanish.recipe.trial import first_layer, tried, vocabulary
from unvanish.recipe.usercode import exception_line

_FEW: Final = 3
_SIDES: Final = (32, 28, 64, 224)


def fitted(
    samples: Samples, model: nn.Module, loss: Callable[..., Any] | str | None = None
) -> Samples:
    """Return samples as a network takes them.

    Args:
        samples: Inputs as they were read.
        model: The network; called on copies in several shapes, flat ones and images first.
        loss: Decides whether the target of one output is an integer.

    Returns:
        The samples in the first shape that gives one row of answers for each sample.

    Raises:
        BatchError: If no shape does, or the outputs do not fit the targets.
    """
    inputs = _of_type(samples.inputs, model)
    best: tuple[int, Tensor, Tensor, str] | None = None
    error: BaseException | None = None
    for given, said in _shapes(inputs, samples):
        trial = tried(model, given[:_FEW])
        if trial is None:
            best = (0, given, torch.empty(0), said)
            break
        error = error or trial.error
        out = main_output(trial.output) if trial.error is None else None
        if out is None or out.shape[:1] != (min(_FEW, len(given)),):
            continue
        rank = 0 if out.ndim <= 2 or out.shape == given[:_FEW].shape else 1
        if best is None or rank < best[0]:
            best = (rank, given, out, said)
        if rank == 0:
            break
    if best is None:
        shape = tuple(samples.inputs.shape[1:])
        reason = f": {exception_line(error)}" if error is not None else ""
        raise BatchError(
            f"the network takes samples of {samples.origin} in no shape; they are {shape}{reason}",
            help=f"begin the network with nn.Flatten(), nn.Linear({math.prod(shape)}, ...), "
            "or shape the samples yourself: --data module:function",
        )
    _, given, out, said = best
    shaped = replace(samples, inputs=given, notes=(*samples.notes, *([said] if said else [])))
    return _targets_for(shaped, out, loss)


def _of_type(inputs: Tensor, model: nn.Module) -> Tensor:
    """Return inputs in the number format of a network, integers for an embedding."""
    if vocabulary(first_layer(model)[1]) is not None:
        return inputs.long() if not inputs.is_floating_point() else inputs
    weight = next((p for p in model.parameters() if p.is_floating_point()), None)
    kind = weight.dtype if weight is not None else torch.float32
    return inputs.to(kind)


def _shapes(inputs: Tensor, samples: Samples) -> Iterator[tuple[Tensor, str]]:
    """Yield the inputs in one shape after the other, and what to say of the odder ones."""
    shape = tuple(inputs.shape[1:])
    if len(shape) <= 1:
        yield inputs, ""
        yield inputs.unsqueeze(1), ""
        yield inputs.unsqueeze(2), f"each sample of {samples.origin} is read as a sequence"
        side = math.isqrt(shape[0]) if shape else 0
        if side * side == (shape or (0,))[0] and side > 2 and inputs.is_floating_point():
            square = inputs.reshape(-1, 1, side, side)
            yield square, f"each sample of {samples.origin} is read as a {side}x{side} image"
        return
    is_plane = len(shape) == 2
    images = inputs.unsqueeze(1) if is_plane else inputs
    if len(shape) == 3 and shape[-1] in {1, 3, 4} and shape[0] not in {1, 3, 4}:
        images = inputs.movedim(-1, 1).contiguous()
    if not samples.is_image:
        yield inputs, ""
    yield inputs.flatten(1), ""
    yield images, ""
    if is_plane:
        yield inputs, f"each line of {samples.origin} is read as a step of a sequence"
        yield inputs.transpose(1, 2).contiguous(), "each column is read as a step of a sequence"
    yield inputs.flatten(1).unsqueeze(2), "each number is read as a step of a sequence"
    yield inputs.flatten(1).unsqueeze(1), ""
    if samples.is_image:
        yield from _resized(images, samples.origin)


def _resized(images: Tensor, origin: str) -> Iterator[tuple[Tensor, str]]:
    for side in (images.shape[-1], *_SIDES):
        few = images[:_FEW]
        for channels in (images.shape[1], 3):
            if side == images.shape[-1] and channels == images.shape[1]:
                continue
            if channels != images.shape[1] and images.shape[1] != 1:
                continue
            if few.shape[0] * channels * side * side * len(images) > 1 << 31:
                continue
            new = images
            if side != images.shape[-1]:
                new = nn.functional.interpolate(new, size=(side, side), mode="bilinear")
            new = new.expand(-1, channels, -1, -1)
            yield new, f"the images of {origin} were brought to {channels}x{side}x{side}"


def _targets_for(samples: Samples, out: Tensor, loss: Callable[..., Any] | str | None) -> Samples:
    """Bring the targets, and which samples are kept, in line with the outputs."""
    if not out.numel():
        return samples
    width = width_of(out) if out.ndim > 1 else 1
    width = 1 if width is None else width
    few = samples.inputs[:_FEW]
    if out.shape == few.shape and few.is_floating_point() and width > max(samples.classes, 1):
        note = "the outputs have the shape of the inputs: each input is its own target"
        return replace(samples, targets=samples.inputs, classes=0, notes=(*samples.notes, note))
    if not samples.classes:
        return _real(samples, out)
    if width >= samples.classes:
        return samples
    if width == 1 and samples.classes > 2 and not samples.is_image:
        targets = samples.targets.double()
        targets = (targets - targets.mean()) / targets.std(correction=0)
        note = "the network has one output, so that the classes are read as numbers"
        return _real(
            replace(samples, targets=targets, classes=0, notes=(*samples.notes, note)), out
        )
    kept = max(width, 2)
    notes = samples.notes
    if kept < samples.classes:
        notes += (
            f"the network has {width} output{'s' if width > 1 else ''}: of the "
            f"{samples.classes} classes of {samples.origin} the first {kept} were kept; "
            f"for all of them, end it in {samples.classes} outputs",
        )
    rows = samples.targets < kept
    targets = samples.targets[rows]
    if width == 1 and loss is not None:
        targets = targets.to(out.dtype).reshape(-1, *out.shape[1:])
    return replace(samples, inputs=samples.inputs[rows], targets=targets, classes=kept, notes=notes)


def _real(samples: Samples, out: Tensor) -> Samples:
    """Give targets of real numbers the shape of the outputs.

    Raises:
        BatchError: If they are more or fewer numbers than the outputs.
    """
    wanted = math.prod(out.shape[1:])
    has = math.prod(samples.targets.shape[1:])
    if wanted != has:
        raise BatchError(
            f"the network has {wanted} outputs, and a target of {samples.origin} is {has} "
            f"number{'s' if has > 1 else ''}",
            help=f"end the network in {has} output{'s' if has > 1 else ''}: nn.Linear(..., {has})",
        )
    targets = samples.targets.reshape(-1, *out.shape[1:]).to(out.dtype)
    return replace(samples, targets=targets)
