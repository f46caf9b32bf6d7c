"""The loss: the user's own, the model's own, or one inferred from output and target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unvanish.core.errors import BatchError
from unvanish.observe.batch import Batch, main_output, own_loss

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
    else:
        name = loss_name(loss)
        function = getattr(F, loss, None) if isinstance(loss, str) else loss
        if function is None:
            raise BatchError(
                f"there is no loss named {loss!r} in torch.nn.functional",
                where="loss",
                help='use a name such as "cross_entropy" or "mse_loss", or a function',
            )
        candidate = main_output(output) if isinstance(loss, str) else output
        value = _call(function, candidate, batch.target, name)
    if not isinstance(value, Tensor):
        raise BatchError(
            f"the loss {name} returned {type(value).__name__}, not a tensor",
            where="loss",
            help="return the loss tensor itself, without .item() or float()",
        )
    if value.numel() != 1:
        raise BatchError(
            f"the loss {name} has shape {tuple(value.shape)}, it must be a single number",
            where="loss",
            help="reduce it: loss.mean()",
        )
    return value, name, said


def _call(function: LossFunction, output: Any, target: Any, name: str) -> Tensor:
    try:
        return function(output, target)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        out = main_output(output)
        shapes = ", ".join(
            f"{word} {tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}"
            for word, t in (("output", out), ("target", target))
            if isinstance(t, Tensor)
        )
        text = str(error).strip().splitlines()
        raise BatchError(
            f"the loss {name} does not fit: {text[0] if text else type(error).__name__}",
            where=shapes or "loss",
            help=_HELP,
        ) from error


def _infer(output: Any, batch: Batch) -> tuple[Tensor, str, str]:
    out = main_output(output)
    target = batch.target
    if out is None:
        if isinstance(output, Tensor) and output.is_floating_point() and output.ndim == 0:
            return output, "the model's output", "no loss was given: the model returns one number"
        raise BatchError(
            f"the model returned {type(output).__name__}, which holds no floating tensor",
            where="output",
            help=_HELP,
        )
    if isinstance(target, (int, float)):
        target = torch.as_tensor(target, device=out.device)
    if not isinstance(target, Tensor):
        raise BatchError(
            "there is no loss: the batch has no target and the output has no .loss",
            where=f"output {tuple(out.shape)}",
            help=_HELP,
        )
    function, name, kind = _choose(out, target)
    said = f"no loss was given: {name} was inferred from {kind}"
    return _call(function, out, target, name), name, said


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
            where="loss",
            help=_HELP,
        )
    return F.mse_loss(out, target.to(out.dtype))
