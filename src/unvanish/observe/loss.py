"""The loss: the user's own, the model's own, or one inferred from output and target."""

from __future__ import annotations

import difflib
import re
import traceback
from collections.abc import Callable, Generator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unvanish.core.errors import BatchError
from unvanish.core.places import SourceLine
from unvanish.core.stack import Owner, display_path, owner_of
from unvanish.observe.batch import Batch, main_output, output_said, own_loss

LossFunction = Callable[[Any, Any], Tensor]
_HELP = "write def loss(output, target): ... in the recipe, or pass loss=... to checkup()"


def loss_name(loss: Any) -> str:
    """Return the loss by the name a person would use."""
    if isinstance(loss, str):
        return loss
    name = getattr(loss, "__name__", "")
    return name if name and name != "<lambda>" else type(loss).__name__ if not name else "loss"


def compute_loss(
    loss: LossFunction | str | None, output: Any, batch: Batch
) -> tuple[Tensor, str, str]:
    """Reduce a model's output to one number.

    Args:
        loss: Callable ``loss(output, target)``, the name of a function of
            `torch.nn.functional`, or None to use the model's own loss or infer one.
        output: What the model returned.
        batch: The batch that gave it.

    Returns:
        The loss as a tensor of one element, its name, and, where it was inferred, a
        sentence that says so (else an empty text).

    Raises:
        BatchError: If there is no loss, or it does not fit the output and the target.
    """
    said = ""
    if loss is None:
        mine = own_loss(output)
        if mine is not None:
            return mine, "the model's own loss", ""
        value, name, said = _infer(output, batch)
        spoken, where = f"the loss {name}", ""
    else:
        name = loss_name(loss)
        function = getattr(F, loss, None) if isinstance(loss, str) else loss
        if function is None:
            raise BatchError(
                f"there is no loss named {loss!r} in torch.nn.functional",
                help=f'loss = "{_nearest_loss(str(loss))}"',
            )
        candidate = main_output(output) if isinstance(loss, str) else output
        if isinstance(loss, str) and (about := output_said(output)):
            said = f"the loss is {name}: {about}"
        where = _user_place(function)
        spoken = f"{name}()" if where else f"the loss {name}"
        value = _call(function, candidate, batch.target, spoken)
    if not isinstance(value, Tensor):
        raise BatchError(
            f"{spoken} returned {type(value).__name__}, not a tensor",
            where=where,
            help="return the loss tensor itself, without .item() or float()",
        )
    if value.is_complex():
        raise BatchError(
            f"{spoken} returned a complex number, which cannot be minimised",
            where=where,
            help="return a real one: loss.abs() or loss.real",
        )
    if value.numel() != 1:
        raise BatchError(
            f"{spoken} has shape {tuple(value.shape)}, it must be a single number"
            if not spoken.endswith("()")
            else f"{spoken} returned shape {tuple(value.shape)}, it must be a single number",
            where=where,
            help="reduce it: loss.mean()",
        )
    return value, name, said


def refuse_backward(loss: Tensor, called: Mapping[Any, SourceLine | None]) -> None:
    """Refuse a loss whose backward pass the user's own code has run already.

    Args:
        loss: The loss.
        called: Autograd nodes at which ``backward()`` was called, with the user's line.

    Raises:
        BatchError: If the loss, or what it is one step away from, is among them.
    """
    if loss.grad_fn is None or not called:
        return
    for node in (loss.grad_fn, *(n for n, _ in loss.grad_fn.next_functions)):
        if node in called:
            raise BatchError(
                "the loss calls backward() itself",
                where=str(called[node] or ""),
                help="return the loss without calling loss.backward(): the backward pass is "
                "what is looked at",
            )


def _nearest_loss(name: str) -> str:
    """Return the function of `torch.nn.functional` that a name was meant for."""
    words = [w for w in dir(F) if w.endswith("_loss") or "cross_entropy" in w or w == "kl_div"]
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    snake = snake.replace("bce", "binary_cross_entropy").replace("criterion", "loss")
    short = snake.removesuffix("_loss")
    for guess in (snake, short, f"{short}_loss"):
        if guess in words:
            return guess
    return next(iter(difflib.get_close_matches(short, words, n=1, cutoff=0.4)), "cross_entropy")


def _call(function: LossFunction, output: Any, target: Any, spoken: str) -> Tensor:
    try:
        return function(output, target)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        out = main_output(output)
        shapes = " and ".join(
            f"{word} {tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}"
            for word, t in (("the output", out), ("the target", target))
            if isinstance(t, Tensor)
        )
        text = str(error).strip().splitlines()
        reason = text[0].rstrip(".") if text else type(error).__name__
        raise BatchError(
            _labels_said(out, target)
            or f"{spoken} does not fit{' ' + shapes if shapes else ''}: {reason}",
            where=_user_line(error),
            help=_fitting(out, target),
        ) from error


def _labels_said(out: Tensor | None, target: Any) -> str:
    """Say which labels lie outside of the classes; empty where none does."""
    if out is None or out.ndim < 2 or not isinstance(target, Tensor):
        return ""
    if target.is_floating_point() or target.is_complex() or target.dtype == torch.bool:
        return ""
    count = out.shape[-1] if _classes_last(out, target) else out.shape[1]
    wrong = target[(target >= count) | ((target < 0) & (target != -100))]
    if not wrong.numel():
        return ""
    return f"labels must lie in 0 … {count - 1}, the batch has {int(wrong.flatten()[0])}"


def _fitting(out: Tensor | None, target: Any) -> str:
    """Return what to change so that a loss fits its output and target."""
    if out is None or not isinstance(target, Tensor):
        return _HELP
    if _labels_said(out, target):
        low = int(target[target != -100].min())
        count = out.shape[-1] if _classes_last(out, target) else out.shape[1]
        high = int(target.max())
        if low > 0 and high - low < count:
            return f"let them begin at 0: target - {low}"
        if low < 0:
            return f"labels to be left out are -100: target[target == {low}] = -100"
        return f"give the last layer {high + 1} outputs"
    if out.ndim and target.ndim == 0:
        return "return a batch of samples, and as many targets: shapes (samples, ...), (samples,)"
    if out.ndim and target.ndim and out.shape[0] != target.shape[0]:
        return f"return as many targets as inputs: {out.shape[0]} samples, {target.shape[0]} labels"
    if target.is_floating_point() and target.ndim < out.ndim:
        return "labels of classes are integers: return inputs, target.long()"
    if not target.is_floating_point() and target.shape == out.shape:
        return "this loss compares real numbers: return inputs, target.float()"
    return _HELP


def _user_place(function: object) -> str:
    """Return where the user wrote a function; empty where it is not theirs."""
    code = getattr(function, "__code__", None)
    if code is None or owner_of(code.co_filename) is not Owner.USER:
        return ""
    return f"{display_path(code.co_filename)}:{code.co_firstlineno}"


def _user_line(error: BaseException) -> str:
    """Return the innermost line of the user's on the way to an exception."""
    frames = traceback.extract_tb(error.__traceback__)
    users = [f for f in frames if owner_of(f.filename) is Owner.USER]
    return f"{display_path(users[-1].filename)}:{users[-1].lineno}" if users else ""


def _infer(output: Any, batch: Batch) -> tuple[Tensor, str, str]:
    out = main_output(output)
    target = batch.target
    if isinstance(output, Tensor) and not (output.is_floating_point() or output.is_complex()):
        kind = str(output.dtype).removeprefix("torch.")
        raise BatchError(
            f"the model returned a tensor of {kind}, which has no gradient",
            help="return the scores themselves, without argmax, long or round",
        )
    if out is None:
        if isinstance(output, Tensor) and output.is_floating_point() and output.ndim == 0:
            return output, "the model's output", "no loss was given: the model returns one number"
        raise BatchError(
            f"the model returned {type(output).__name__}, which holds no floating tensor",
            help="return tensors: a yield makes forward a generator"
            if isinstance(output, Generator)
            else _HELP,
        )
    if isinstance(target, (int, float)):
        target = torch.as_tensor(target, device=out.device)
    if not isinstance(target, Tensor):
        raise BatchError(
            "there is no loss: the batch has no target and the output has no .loss; "
            f"its shape is {tuple(out.shape)}",
            help=_HELP,
        )
    function, name, kind = _choose(out, target)
    if (function in {_cross_entropy, _nll}) and (outside := _labels_said(out, target)):
        # Before the call: on a GPU it would end the process.
        raise BatchError(outside, help=_fitting(out, target))
    said = f"no loss was given: {name} was inferred from {kind}"
    if about := output_said(output):
        said = f"{said}; {about}"
    return _call(function, out, target, f"the loss {name}"), name, said


def _choose(out: Tensor, target: Tensor) -> tuple[LossFunction, str, str]:
    last = out.grad_fn.name() if out.grad_fn is not None else ""
    if not (target.is_floating_point() or target.is_complex()):
        if out.ndim <= 1 or (out.shape == target.shape) or out.shape[1:] == (1,):
            return _binary, "binary_cross_entropy_with_logits", "one output and an integer target"
        if last.startswith("LogSoftmax"):
            return _nll, "nll_loss", "a log-softmax output and an integer target"
        return _cross_entropy, "cross_entropy", "an integer target"
    if last.startswith("Sigmoid") and bool(((target >= 0) & (target <= 1)).all()):
        return (
            lambda o, t: F.binary_cross_entropy(o, t.reshape(o.shape)),
            "binary_cross_entropy",
            "a sigmoid output and a target in [0, 1]",
        )
    return _mse, "mse_loss", "a floating target"


def _binary(out: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(out, target.reshape(out.shape).to(out.dtype))


def _classes_last(out: Tensor, target: Tensor) -> bool:
    """Tell (batch, time, classes) logits from (batch, classes, positions)."""
    return out.ndim > 2 and out.shape[:-1] == target.shape


def _cross_entropy(out: Tensor, target: Tensor) -> Tensor:
    if _classes_last(out, target):
        return F.cross_entropy(out.flatten(0, -2), target.flatten())
    return F.cross_entropy(out, target.long())


def _nll(out: Tensor, target: Tensor) -> Tensor:
    if _classes_last(out, target):
        return F.nll_loss(out.flatten(0, -2), target.flatten())
    return F.nll_loss(out, target.long())


def _mse(out: Tensor, target: Tensor) -> Tensor:
    if out.is_complex():
        return (out - target).abs().square().mean()
    if out.shape != target.shape and out.numel() == target.numel():
        target = target.reshape(out.shape)
    if out.shape != target.shape:
        raise BatchError(
            f"output and target have different shapes, {tuple(out.shape)} and "
            f"{tuple(target.shape)}",
            help=f"return a target of shape {tuple(out.shape)} from batch(), or {_HELP}",
        )
    return F.mse_loss(out, target.to(out.dtype))
