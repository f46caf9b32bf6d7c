"""What a loss is, found by asking it, and losses that keep a gradient where the output is sure.

A loss is the user's own function. It is recognised by its answers: if it gives a constant times the
squared error for outputs of every kind, it is the squared error, whatever stands in its lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.errors import UnvanishError
from unvanish.core.stack import Owner, display_path, owner_of
from unvanish.observe.batch import (
    Batch,
    call_model,
    main_output,
    map_tensors,
    own_loss,
    tensors_in,
)
from unvanish.observe.copies import copied
from unvanish.observe.guard import seed_everything, untouched
from unvanish.observe.look import Conditions, running
from unvanish.observe.loss import compute_loss, loss_name
from unvanish.treat.protocol import Case

Loss = Callable[..., Any] | str | None
Form = Callable[[Tensor, Tensor], Tensor]
"""A loss as the mean over all entries: ``form(scores, target)``."""

_ROUNDING: Final = 1e-4
_DRAWS: Final = 3
_INSIDE: Final = 3.0
"""Scores are drawn within it, where no form is at the end of its range."""


@dataclass(frozen=True, slots=True)
class Known:
    """A loss that was recognised.

    Attributes:
        form: Name of the form.
        factor: What its mean over the entries is multiplied by; that of the sum where it sums.
        sums: Whether it sums over the entries rather than takes their mean.
    """

    form: str
    factor: float
    sums: bool


def recognised(
    case: Case, forms: Mapping[str, Form], answer: Callable[[Tensor], Tensor]
) -> Known | None:
    """Return which of several forms a case's loss is, up to a constant factor.

    Args:
        case: The network; it stays as it is.
        forms: Name to form, each a function of scores and target.
        answer: What the network answers for scores, such as their sigmoid.

    Returns:
        The form; None where it is none of these, or the network computes its own loss.
    """
    output = output_of(case)
    main = None if output is None else main_output(output)
    if output is None or main is None or own_loss(output) is not None:
        return None
    generator = torch.Generator().manual_seed(0)
    asked = []
    for _ in range(_DRAWS):
        drawn = _INSIDE * (2.0 * torch.rand(main.shape, generator=generator) - 1.0)
        asked.append(drawn.to(main.device, torch.float32))
    # A loss may hold centres or running means of its own, or draw random numbers.
    loss = copied(case.loss) if isinstance(case.loss, nn.Module) else case.loss
    with untouched(case.model, seed=0):
        for name, form in forms.items():
            found = _as_form(loss, case.batch.target, form, asked, answer, output, main)
            if found is not None:
                return Known(name, *found)
    return None


def output_of(case: Case) -> Any:
    """Return what a network answers on the case's batch; None where it cannot be run."""
    context = case.recording.context
    device = next((p.device for p in case.model.parameters()), torch.device("cpu"))
    conditions = Conditions(case.loss, context.seed, context.autocast, {})
    with untouched(case.model, seed=context.seed), running(conditions, device):
        return map_tensors(call_model(case.model, case.batch.inputs), torch.Tensor.detach)


def spoken(loss: Loss) -> str:
    """Return a loss as the subject of a sentence."""
    if loss is None:
        return "the loss that was inferred"
    name = loss_name(loss)
    return "the loss" if name in ("loss", "the loss") else f"the loss {name}"


def line_of(loss: Loss) -> str:
    """Return where a user wrote a loss: ``" at train.py:12"``; empty where it is not theirs."""
    function = loss if hasattr(loss, "__code__") else getattr(loss, "forward", None)
    code = getattr(function, "__code__", None)
    if code is None or owner_of(code.co_filename) is not Owner.USER:
        return ""
    return f" at {display_path(code.co_filename)}:{code.co_firstlineno}"


def _as_form(
    loss: Loss,
    target: Any,
    form: Form,
    asked: list[Tensor],
    answer: Callable[[Tensor], Tensor],
    output: Any,
    main: Tensor,
) -> tuple[float, bool] | None:
    """Return the factor of a form, and whether the loss sums; None where it is another."""
    factors = [_factor(loss, form, scores, target, answer, output, main) for scores in asked]
    if any(f is None or abs(f - factors[0]) > _ROUNDING * abs(f) for f in factors):  # type: ignore[operator]
        return None
    factor = factors[0]
    assert factor is not None
    half = main.shape[0] // 2 if main.ndim else 0
    if factor == 0.0 or not half:
        return None if factor == 0.0 else (factor, False)

    def part(tensor: Tensor) -> Tensor:
        whole = tensor.ndim and tensor.shape[0] == main.shape[0]
        return tensor[:half] if whole else tensor

    smaller = _factor(
        loss,
        form,
        asked[0][:half],
        map_tensors(target, part),
        answer,
        map_tensors(output, lambda t: main[:half] if t is main else part(t)),
        None,
    )
    share = half / main.shape[0]
    if smaller is not None and abs(smaller - factor) <= _ROUNDING * abs(factor):
        return factor, False
    if smaller is not None and abs(smaller - share * factor) <= _ROUNDING * abs(factor):
        return factor / main.numel(), True
    return None


def _factor(
    loss: Loss,
    form: Form,
    scores: Tensor,
    target: Any,
    answer: Callable[[Tensor], Tensor],
    output: Any,
    main: Tensor | None,
) -> float | None:
    """Return the loss over the form; None where they cannot be compared."""
    old = main if main is not None else main_output(output)
    seed_everything(0)
    with torch.enable_grad():
        given = answer(scores.clone().requires_grad_())
        if old is not None:
            given = given.to(old.dtype)
        whole = given if output is old else map_tensors(output, lambda t: given if t is old else t)
        if not any(tensor is given for tensor in tensors_in(whole)):
            return None
        try:
            said = compute_loss(loss, whole, Batch(None, target))[0]
            own = form(scores, _of(target, scores))
        except (UnvanishError, RuntimeError, ValueError, TypeError, IndexError, AttributeError):
            return None
    value, expected = float(said.detach()), float(own)
    ratio = value / expected if expected else float("nan")
    return ratio if abs(ratio) < float("inf") else None


def _of(target: Any, scores: Tensor) -> Tensor:
    """Return a target as numbers of the shape of the scores; the scores where there is none."""
    if target is None:
        return scores
    if not isinstance(target, Tensor) or target.numel() != scores.numel():
        raise ValueError("the target is of another shape")
    return target.to(scores.dtype).reshape(scores.shape)


@dataclass(frozen=True, eq=False)
class Replacement:
    """A loss in the place of one that was recognised: ``loss(output, target)``.

    Attributes:
        kind: ``"binary_cross_entropy_with_logits"``, ``"cross_entropy"``,
            ``"non_saturating"`` or ``"non_saturating_probabilities"``.
        factor: What it is multiplied by.
        sums: Whether it sums over the entries rather than takes their mean.
        axis: Axis over the classes, for cross entropy.
    """

    kind: str
    factor: float = 1.0
    sums: bool = False
    axis: int = 1

    @property
    def __name__(self) -> str:
        return self.kind

    def __call__(self, output: Any, target: Any = None) -> Tensor:
        """Return the loss of what a network answers."""
        answers = main_output(output)
        if answers is None:
            raise UnvanishError("the network's output holds no tensor of real numbers")
        each = self._each(answers, target)
        value: Tensor = each.sum() if self.sums else each.mean()
        return self.factor * value

    def _each(self, answers: Tensor, target: Any) -> Tensor:
        if self.kind == "non_saturating":
            return -F.logsigmoid(answers)
        if self.kind == "non_saturating_probabilities":
            return -torch.log(answers.clamp_min(torch.finfo(answers.dtype).tiny))
        wanted: Tensor = target.to(answers.dtype).reshape(answers.shape)
        if self.kind == "cross_entropy":
            return -(wanted * torch.log_softmax(answers, self.axis)).sum(self.axis)
        return F.binary_cross_entropy_with_logits(answers, wanted, reduction="none")
