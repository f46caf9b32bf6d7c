"""What runs are judged by, and what candidates are chosen by."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.errors import BatchError, UnvanishError
from unvanish.core.proofs import Endpoint
from unvanish.observe.batch import as_batch, main_output
from unvanish.observe.guard import untouched
from unvanish.observe.loss import compute_loss, loss_name
from unvanish.prove.asking import accuracy, answer, calm, mean_loss, reading_on
from unvanish.prove.metrics import METRIC_HELP, metric_value, metric_wants_batches
from unvanish.prove.partition import Partition
from unvanish.prove.readings import (
    Loss,
    Reading,
    asked,
    ends_in,
    majority,
    replaced,
)
from unvanish.recipe.usercode import reported
from unvanish.treat.balancing import BalancedLoss
from unvanish.treat.guarding import GuardedLoss, GuardedModule
from unvanish.treat.judges import Judge
from unvanish.treat.losses import Replacement
from unvanish.treat.matching import MatchedLoss
from unvanish.treat.precision import ScaledLoss

__all__ = ["bounds_of", "endpoint_of", "measure", "metric_wants_batches", "score"]

if TYPE_CHECKING:
    from unvanish.prove.experiment import Experiment, Subject

_TIE: Final = 0.01
"""What a small loss adds to an accuracy at most, so that equal accuracies are told apart."""
_ALIKE: Final = 1e-4


_SAME: Final = 0.99
"""Share of the commonest answer from which a share of right answers shows nothing."""


def endpoint_of(
    model: nn.Module,
    partition: Partition,
    loss: Loss,
    *,
    metric: Callable[..., Any] | None = None,
    goal: float | None = None,
    higher_is_better: bool = True,
    autocast: str = "",
    judge: Judge | None = None,
) -> Endpoint:
    """Settle what the runs of a trial are judged by, before the first of them.

    Args:
        model: The network before training; left as it was.
        partition: The data; its held-out part is judged on.
        loss: As the network is trained.
        metric: The user's own, which is called once here, so that a mistake in it shows now.
        goal: Value that counts as trained.
        higher_is_better: Direction of `metric`.
        autocast: ``"bfloat16"``, ``"float16"`` or ``""``.
        judge: What stands for the loss where networks are compared, if not the loss itself.

    Returns:
        The endpoint: the metric, else accuracy where the target says classes, else what stands for
        the loss, else the loss.
    """
    with untouched(model, seed=0):
        model.eval()
        if metric is not None:
            return _of_metric(metric, model, partition, goal, higher_is_better, autocast)
        try:
            with reported(
                "the network, asked in evaluation mode,", kind=BatchError, help=METRIC_HELP
            ):
                return _inferred(model, partition, loss, goal, autocast, judge)
        except BatchError as error:
            raise BatchError(
                f"there is no metric, and the network cannot be judged by its loss: {error.what}",
                where=error.where,
                help=METRIC_HELP,
            ) from error


def measure(experiment: Experiment, subject: Subject) -> float:
    """Return the endpoint of a trained network.

    Args:
        experiment: What it was trained as.
        subject: The network, in evaluation mode.

    Returns:
        The value; ``nan`` where the network answers with something that is no number.
    """
    if experiment.metric is not None:
        return metric_value(
            experiment.metric, subject.model, experiment.partition, subject.autocast
        )
    return _on(experiment, subject, experiment.partition.held_out, experiment.endpoint.name)


def score(experiment: Experiment, subject: Subject) -> float:
    """Return how good a network is on the part that is chosen by, the higher the better.

    Args:
        experiment: What it was trained as.
        subject: The network, in evaluation mode.

    Returns:
        The accuracy and a little for a small loss, where the target says classes. Else minus
        the loss of the network as it was. The user's metric where a remedy has changed the loss
        and the old one does not take the new answers, since the values of two losses cannot be
        compared, and where the network gives no loss in evaluation mode; without a metric minus
        the loss that it is trained by.
    """
    try:
        return _score(experiment, subject)
    except Exception:
        if experiment.metric is None:
            raise
    return _by_metric(experiment, subject)


def bounds_of(experiment: Experiment) -> tuple[float, float]:
    """Return what the score on the part to choose by means, where somebody can say.

    Args:
        experiment: What is trained on what.

    Returns:
        In the units of `score`, what the best constant answer gives, and from where on a network
        counts as one that learns: half the way from there to perfect, for the share of right
        answers or for a squared error; without a metric, the user's goal. ``nan`` where nobody can
        say.
    """
    endpoint, batches = experiment.endpoint, experiment.partition.validation
    goal = endpoint.goal if experiment.metric is None else None
    model = experiment.model if experiment.model is not None else experiment.make(0)
    surroundings = experiment.surroundings() if experiment.surroundings else nullcontext()
    chance = perfect = math.nan
    try:
        with surroundings, untouched(model, seed=0):
            model.eval()
            reading = reading_on(model, batches, experiment.loss, experiment.autocast)
            if reading.kind == "loss":
                error = _chance_of_loss(model, batches, experiment.judged_loss, experiment.autocast)
                chance, perfect = (-error, 0.0) if error > 0.0 else (math.nan, math.nan)
            elif labels := _labels(model, batches, reading, experiment.autocast):
                chance, perfect = majority(labels), 1.0
    except Exception:  # a network that cannot be asked is judged by what it is trained by
        chance = perfect = math.nan
    if goal is not None:
        return chance, goal if endpoint.higher_is_better else -goal
    return chance, (chance + perfect) / 2.0


def _score(experiment: Experiment, subject: Subject) -> float:
    batches = experiment.partition.validation
    if _before(experiment, subject).kind != "loss":
        right = _accuracy(experiment, subject, batches)
        value = mean_loss(subject.model, batches, subject.loss, subject.autocast)
        return right + (_TIE / (1.0 + max(value, 0.0)) if math.isfinite(value) else 0.0)
    judged = _comparable(experiment, subject)
    if judged is not None:
        loss, change = judged
        return -mean_loss(subject.model, batches, loss, subject.autocast, change)
    if experiment.metric is not None:
        return _by_metric(experiment, subject)
    return -mean_loss(subject.model, batches, subject.loss, subject.autocast)


def _by_metric(experiment: Experiment, subject: Subject) -> float:
    value = measure(experiment, subject)
    return value if experiment.endpoint.higher_is_better else -value


def _of_metric(
    metric: Callable[..., Any],
    model: nn.Module,
    partition: Partition,
    goal: float | None,
    higher_is_better: bool,
    autocast: str,
) -> Endpoint:
    untrained = metric_value(metric, model, partition, autocast)
    by_batch = metric_wants_batches(metric)
    name = getattr(inspect.unwrap(getattr(metric, "func", metric)), "__name__", "")
    name = name or type(metric).__name__
    return Endpoint(
        name=name if name != "<lambda>" else "metric",
        higher_is_better=higher_is_better,
        goal=goal,
        untrained=untrained,
        samples=partition.samples if by_batch else 0,
        held_out=not (by_batch and partition.held_out_is_seen),
        origin=f"{name}(output, target) of the recipe, on {_part(partition)}"
        if by_batch
        else f"{name}(model) of the recipe, on whatever data it takes",
    )


def _inferred(
    model: nn.Module,
    partition: Partition,
    loss: Loss,
    goal: float | None,
    autocast: str,
    judge: Judge | None,
) -> Endpoint:
    batches = partition.held_out
    reading = reading_on(model, batches, loss, autocast)
    held_out = not partition.held_out_is_seen
    labels = [] if reading.kind == "loss" else _labels(model, batches, reading, autocast)
    if not labels or majority(labels) >= _SAME:
        mean_loss(model, batches[:1], loss, autocast)  # one that cannot be asked shows now
        if judge is not None:
            return Endpoint(
                name=judge.name,
                higher_is_better=False,
                goal=goal,
                samples=partition.samples,
                held_out=held_out,
                chance=_chance_of_loss(model, batches, judge, autocast),
                origin=f"no metric was given: {judge.said}, on {_part(partition)}",
            )
        called = _spoken(loss, model, batches, autocast)
        said = "the loss" if called == "loss" else f"the loss {called}"
        return Endpoint(
            name="loss",
            higher_is_better=False,
            goal=goal,
            chance=_chance_of_loss(model, batches, loss, autocast),
            samples=partition.samples,
            held_out=held_out,
            origin=f"no metric was given: {said} on {_part(partition)}",
        )
    said = (
        "the share of right classes" if reading.kind == "classes" else "the share of right answers"
    )
    return Endpoint(
        name="accuracy",
        goal=goal,
        chance=majority(labels),
        samples=sum(each.numel() for each in labels),
        held_out=held_out,
        origin=f"no metric was given: {said} on {_part(partition)}",
    )


def _part(partition: Partition) -> str:
    if partition.held_out_is_seen:
        return "samples that it is trained on as well"
    return "samples that the training never sees"


def _spoken(loss: Loss, model: nn.Module, batches: Sequence[Any], autocast: str) -> str:
    if loss is not None:
        return loss_name(loss)
    output, batch = answer(model, batches[0], autocast, with_gradients=True)
    return compute_loss(None, output, batch)[1]


def _labels(
    model: nn.Module, batches: Sequence[Any], reading: Reading, autocast: str
) -> list[Tensor]:
    found = []
    for raw in batches:
        output, batch = answer(model, raw, autocast)
        answers = reading.answers(output, batch.target)
        found += [answers[1].cpu()] if answers is not None else []
    return found


def _on(experiment: Experiment, subject: Subject, batches: Sequence[Any], name: str) -> float:
    """Return an inferred endpoint of a network on some batches."""
    if name == "accuracy":
        return _accuracy(experiment, subject, batches)
    judged = _comparable(experiment, subject)
    if judged is None:
        raise UnvanishError(
            f"the treatment has changed the loss to {loss_name(subject.loss)}, whose values cannot "
            "be compared with those before",
            help=METRIC_HELP,
        )
    loss, change = judged
    return mean_loss(subject.model, batches, loss, subject.autocast, change)


def _before(experiment: Experiment, subject: Subject) -> Reading:
    """Return how the network as it was is read: all arms must be scored in one way."""
    model = experiment.model if experiment.model is not None else subject.model
    with untouched(model, seed=0):
        model.eval()
        batches = experiment.partition.validation
        return reading_on(model, batches, experiment.loss, experiment.autocast)


def _accuracy(experiment: Experiment, subject: Subject, batches: Sequence[Any]) -> float:
    """Return the share of right answers, which a remedy may have made scores of probabilities."""
    reading = reading_on(subject.model, batches, subject.loss, subject.autocast)
    if reading.kind == "loss":
        reading = _before(experiment, subject)
    return accuracy(subject.model, batches, reading, subject.autocast)


def _chance_of_loss(model: nn.Module, batches: Sequence[Any], loss: Loss, autocast: str) -> float:
    """Return the squared error of the mean target where the loss is the squared error."""
    output, batch = answer(model, batches[0], autocast, with_gradients=True)
    out, target = main_output(output), batch.target
    if out is None or not isinstance(target, Tensor) or out.numel() != target.numel():
        return math.nan
    random = torch.Generator().manual_seed(0)
    other = torch.randn(out.shape, generator=random, dtype=torch.float32).to(out.device, out.dtype)
    wanted = target.to(out.device, out.dtype).reshape(out.shape)
    for guess in (out.detach(), other):
        error = float((guess - wanted).abs().square().mean())
        value = asked(calm(loss), replaced(output, guess) if loss is not None else guess, batch)
        if not abs(error - value) <= _ALIKE * max(abs(error), 1e-12):
            return math.nan
    every = torch.cat([as_batch(raw, model).target.detach().double().cpu() for raw in batches])
    return float((every - every.mean(dim=0)).square().mean())


def _comparable(
    experiment: Experiment, subject: Subject
) -> tuple[Loss, Callable[[Any], Any] | None] | None:
    """Return the loss of the network as it was, and what it takes the new answers through."""
    loss = subject.loss
    while isinstance(loss, ScaledLoss | BalancedLoss | MatchedLoss):
        loss = loss.loss
    judged = experiment.judged_loss
    if loss is experiment.loss or (isinstance(loss, str) and loss == experiment.loss):
        return judged, None
    if isinstance(loss, GuardedLoss | GuardedModule):
        # The same loss, but for entries at which it has no value.
        if loss.loss is not experiment.loss:
            return None
        return (loss if experiment.judge is None else replace(experiment.judge, loss=loss)), None
    if not isinstance(loss, Replacement):
        return None
    before, after = _end(experiment, experiment.model), _end(experiment, subject.model)
    if before == after:
        return judged, None
    if after or before not in {"Sigmoid", "Softmax"}:
        return None
    axis = loss.axis

    def through(output: Any) -> Any:
        main = main_output(output)
        if main is None:
            return output
        new = main.sigmoid() if before == "Sigmoid" else main.softmax(axis)
        return replaced(output, new)

    return judged, through


def _end(experiment: Experiment, model: nn.Module | None) -> str:
    """Return the function that a network's answers come out of."""
    if model is None:
        model = experiment.make(0)
    with untouched(model, seed=0):
        model.eval()
        raw = experiment.partition.validation[0]
        return ends_in(answer(model, raw, experiment.autocast, with_gradients=True)[0])
