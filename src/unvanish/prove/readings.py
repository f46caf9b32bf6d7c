"""How the answer of a network is read: as classes, as yes or no, or through the loss alone.

What an output means is not written on it. It is found from the target, from the shapes, and by
asking the loss: answers that say the target must have a smaller loss than answers that say nothing,
and those a smaller one than, or at least another than, answers that say something else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from unvanish.observe.batch import Batch, main_output, map_tensors, own_loss
from unvanish.observe.loss import compute_loss

Loss = Callable[..., Any] | str | None

IGNORED: Final = -100
_SURE: Final = 8.0
"""Score of an answer that is sure."""
_ROUNDING: Final = 1e-3
_MOST: Final = 0.75
"""Share of the loss of empty answers that sure ones may keep, as with smoothed labels."""
_SMALL: Final = 0.05
"""The same for probabilities, which many a loss of another meaning would take too."""
_LAYOUTS: Final = ("second", "last", "shifted", "flat", "column", "soft")
_WITHOUT_EFFECT: Final = (
    "View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "Clone", "Alias", "Transpose",
    "Permute", "T", "ToCopy", "Select", "Slice", "Flatten", "Expand",
)  # fmt: skip
"""Operations that change no number, by the beginning of the name of their autograd node."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How outputs and targets are compared.

    Attributes:
        kind: ``"classes"``, ``"yes or no"`` or ``"loss"``.
        layout: Where the classes stand: ``"second"`` for (N, C, ...), ``"last"`` for
            (N, ..., C), ``"shifted"`` for (N, T, C) with each target one place on, ``"flat"``
            for (N T, C), ``"column"`` for a target of (N, 1, ...), ``"soft"`` for a target of
            the output's own shape.
        threshold: Output above which the answer is yes.
        ignored: Label that is left out.
    """

    kind: str
    layout: str = ""
    threshold: float = 0.0
    ignored: int = IGNORED

    def answers(self, output: Any, target: Any) -> tuple[Tensor, Tensor] | None:
        """Return what was answered and what is right, one number each.

        Args:
            output: As the network returned it.
            target: As the batch has it.

        Returns:
            Both, flat, without what is to be left out; None where they do not fit.
        """
        out = main_output(output)
        if out is None or not isinstance(target, Tensor):
            return None
        target = target.to(out.device)
        if self.kind == "yes or no":
            if out.numel() != target.numel():
                return None
            return (out.reshape(-1) > self.threshold).long(), target.reshape(-1).long()
        lined_up = _lined_up(self.layout, out, target)
        if lined_up is None:
            return None
        scores, labels = lined_up
        kept = labels != self.ignored
        return scores.argmax(dim=-1)[kept], labels[kept]

    def fits(self, target: Any) -> bool:
        """Tell whether a target is of the kind that is read in this way."""
        if self.kind == "yes or no":
            return isinstance(target, Tensor) and bool(((target == 0) | (target == 1)).all())
        if self.layout == "soft":
            return isinstance(target, Tensor) and target.ndim > 1 and _hot(target) is not None
        return True


def reading_of(output: Any, batch: Batch, loss: Loss) -> Reading:
    """Find out how the answers of a network are read.

    Args:
        output: What it returned for a batch, with the graph where the loss is inferred.
        batch: The batch.
        loss: What it is trained by.

    Returns:
        The reading; through the loss alone where nothing else is sure.
    """
    out, target = main_output(output), batch.target
    if out is None or not isinstance(target, Tensor) or out.is_complex() or target.is_complex():
        return Reading(kind="loss")
    target = target.to(out.device)
    ignored = int(getattr(loss, "ignore_index", IGNORED))
    found: list[tuple[float, Reading]] = []
    for layout in _LAYOUTS:
        lined_up = _lined_up(layout, out.detach(), target)
        if lined_up is None or not _are_classes(*lined_up, ignored):
            continue
        reading = Reading(kind="classes", layout=layout, ignored=ignored)
        if own_loss(output) is not None and loss is None:
            doubt = _distance(output, *lined_up, ignored)
        elif loss is None:
            doubt = 0.0 if _inferred_layout(out, target) == layout else math.inf
        else:
            doubt = _doubt(loss, output, batch, _class_answers(layout, out.detach(), target))
        if math.isfinite(doubt):
            found.append((doubt, reading))
    if found:
        return min(found, key=lambda each: each[0])[1]
    return _yes_or_no(output, out, target, batch, loss)


def ends_in(output: Any) -> str:
    """Return ``"Sigmoid"``, ``"Softmax"`` or ``"LogSoftmax"`` where an output comes out of one."""
    out = main_output(output)
    node = out.grad_fn if out is not None else None
    while node is not None:
        name = node.name()
        for function in ("Sigmoid", "Softmax", "LogSoftmax"):
            if name.startswith(function) and name.removeprefix(function)[:8] == "Backward":
                return function
        if not name.startswith(_WITHOUT_EFFECT) or not node.next_functions:
            return ""
        node = node.next_functions[0][0]
    return ""


def asked(loss: Loss, output: Any, batch: Batch) -> float:
    """Return what a loss says of an output; ``nan`` where it does not take it."""
    try:
        return float(compute_loss(loss, output, batch)[0].detach())
    except Exception:  # the loss is the user's, and the output is not what it was written for
        return math.nan


def replaced(output: Any, new: Tensor) -> Any:
    """Return an output with another tensor in the place of the one a loss looks at."""
    old = main_output(output)
    return map_tensors(output, lambda tensor: new if tensor is old else tensor)


def _lined_up(layout: str, out: Tensor, target: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return scores with the classes last, and the labels, both flat; None where it misfits."""
    scores: Tensor | None = None
    labels: Tensor | None = target
    if layout == "second" and out.ndim >= 2 and target.shape == (out.shape[0], *out.shape[2:]):
        scores = out.movedim(1, -1)
    elif layout == "last" and out.ndim >= 3 and target.shape == out.shape[:-1]:
        scores = out
    elif layout == "shifted" and out.ndim == 3 and target.shape == out.shape[:-1]:
        scores, labels = out[:, :-1], target[:, 1:]
    elif layout == "flat" and out.ndim == 2 and target.ndim > 1 and target.numel() == len(out):
        scores = out
    elif layout == "column" and target.shape == (*out.shape[:1], 1, *out.shape[2:]):
        scores = out.movedim(1, -1) if out.ndim > 2 else None
    elif layout == "soft" and target.shape == out.shape and out.ndim >= 2:
        scores, labels = out.movedim(1, -1), _hot(target)
    if scores is None or labels is None or scores.shape[-1] < 2 or not labels.numel():
        return None
    if labels.is_floating_point() or labels.dtype == torch.bool:
        return None
    return scores.reshape(-1, scores.shape[-1]), labels.reshape(-1).long()


def _hot(target: Tensor) -> Tensor | None:
    """Return which class each target says with a single one among zeros."""
    is_one, is_zero = target == 1, target == 0
    if not bool((is_one | is_zero).all()) or not bool((is_one.sum(dim=1) == 1).all()):
        return None
    return is_one.long().argmax(dim=1)


def _are_classes(scores: Tensor, labels: Tensor, ignored: int) -> bool:
    kept = labels[labels != ignored]
    return bool(kept.numel() and (kept >= 0).all() and (kept < scores.shape[-1]).all())


def _inferred_layout(out: Tensor, target: Tensor) -> str:
    """Return the layout that an inferred loss takes an integer target in."""
    if target.is_floating_point() or target.dtype == torch.bool:
        return "soft"
    if target.shape == out.shape:
        return ""
    return "last" if out.ndim > 2 and target.shape == out.shape[:-1] else "second"


def _distance(output: Any, scores: Tensor, labels: Tensor, ignored: int) -> float:
    """Return how far the cross-entropy of a layout is from the network's own loss."""
    mine = own_loss(output)
    if mine is None:
        return math.inf
    value = float(F.cross_entropy(scores.float(), labels, ignore_index=ignored))
    away = abs(value - float(mine.detach())) / max(abs(value), 1e-6)
    return away if away < _ROUNDING else math.inf


def _class_answers(layout: str, out: Tensor, target: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield sure, empty and wrong answers, as scores, logarithms and probabilities."""
    lined_up = _lined_up(layout, out, target)
    if lined_up is None:
        return
    scores, labels = lined_up
    labels = labels.clamp(0, scores.shape[-1] - 1)
    right = _SURE * F.one_hot(labels, scores.shape[-1]).to(out.dtype)
    each = (right, torch.zeros_like(right), right.roll(1, dims=-1))
    for form in (_same, _logarithms, _probabilities):
        yield tuple(_put_back(layout, form(answer), out) for answer in each)


def _same(scores: Tensor) -> Tensor:
    return scores


def _logarithms(scores: Tensor) -> Tensor:
    return scores.log_softmax(dim=-1)


def _probabilities(scores: Tensor) -> Tensor:
    return scores.softmax(dim=-1)


def _put_back(layout: str, scores: Tensor, out: Tensor) -> Tensor:
    """Bring flat scores into the shape of an output."""
    if layout == "shifted":
        whole = torch.zeros_like(out)
        whole[:, :-1] = scores.reshape(out.shape[0], out.shape[1] - 1, out.shape[2])
        return whole
    if layout in {"second", "column", "soft"}:
        return scores.reshape(out.movedim(1, -1).shape).movedim(-1, 1).contiguous()
    return scores.reshape(out.shape)


def _doubt(loss: Loss, output: Any, batch: Batch, forms: Iterator[tuple[Tensor, ...]]) -> float:
    """Return how much of the loss of empty answers sure ones keep; infinite where they say no."""
    least = math.inf
    for sure, empty, wrong in forms:
        right = asked(loss, replaced(output, sure), batch)
        nothing = asked(loss, replaced(output, empty), batch)
        other = asked(loss, replaced(output, wrong), batch)
        gained, lost = nothing - right, other - right
        small = _ROUNDING * max(abs(nothing), abs(right), abs(other))
        if math.isfinite(gained) and gained > small and (lost > small or math.isnan(other)):
            least = min(least, right / nothing if nothing > 0 else 0.0)
    return least


def _yes_or_no(output: Any, out: Tensor, target: Tensor, batch: Batch, loss: Loss) -> Reading:
    """Read an output as yes or no, where every target is 0 or 1 and the loss agrees."""
    is_pair = out.numel() == target.numel() and target.numel() > 0
    if not is_pair or not bool(((target == 0) | (target == 1)).all()):
        return Reading(kind="loss")
    end = ends_in(output)
    if loss is None:
        if own_loss(output) is not None:
            return Reading(kind="loss")
        is_logit = not target.is_floating_point() and end != "Sigmoid"
        return Reading(kind="yes or no", threshold=0.0 if is_logit else 0.5)
    wanted = target.reshape(out.shape).to(out.dtype)
    scores = _SURE * (2 * wanted - 1)
    logits = (scores, torch.zeros_like(scores), -scores)
    if _doubt(loss, output, batch, iter([logits])) < _MOST:
        return Reading(kind="yes or no", threshold=0.5 if end == "Sigmoid" else 0.0)
    parts = tuple(part.sigmoid() for part in logits)
    if _doubt(loss, output, batch, iter([parts])) < _SMALL:
        return Reading(kind="yes or no", threshold=0.5)
    return Reading(kind="loss")


def majority(labels: Sequence[Tensor]) -> float:
    """Return the share of the most frequent label."""
    every = torch.cat([each.reshape(-1) for each in labels])
    return float(every.unique(return_counts=True)[1].max()) / len(every) if len(every) else math.nan
