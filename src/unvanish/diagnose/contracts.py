"""What the losses of torch ask of their arguments, and calls that give them something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from unvanish.core.conditions import DataRole, DataTensor
from unvanish.core.findings import Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Role, Site
from unvanish.diagnose.neighbours import VIEWS, Neighbours

NO_LOGARITHMS: Final = "share of outputs that are no logarithms of probabilities"
"""Unit of a finding about outputs over steps that should be logarithms of probabilities."""

_PROBABILITIES: Final = frozenset({"softmax", "sigmoid", "hardsigmoid"})
_SCORES: Final = frozenset(
    "linear conv conv1d conv2d conv3d bilinear relu relu6 leaky_relu elu gelu silu softplus".split()
)
_LAYERS: Final = frozenset({"linear", "conv", "conv1d", "conv2d", "conv3d"})
_NEVER_NEGATIVE: Final = _PROBABILITIES | {"relu", "relu6", "softplus", "exp"}
_OF_SEVERAL: Final = frozenset({"cosine_embedding_loss", "margin_ranking_loss"})
"""Losses that compare outputs with each other; what is asked of the labels is the same."""

_HINGES: Final = frozenset({"relu", "clamp", "clamp_min", "maximum"})
_SIDES: Final = (
    "give labels of -1 and 1: target = 2 * target - 1",
    "or, for labels of 0 and 1, use binary_cross_entropy_with_logits",
)


@dataclass(frozen=True, kw_only=True)
class Breach:
    """An argument that a loss does not ask for.

    Attributes:
        measured: What is judged.
        limit: What it must not exceed.
        unit: Unit of both.
        message: What is wrong.
        note: Why it matters.
        help: What to do.
        severity: How bad it is.
    """

    measured: float
    limit: float = 0.0
    unit: str
    message: str
    note: str
    help: tuple[str, ...]
    severity: Severity = Severity.WARNING


@dataclass(frozen=True, kw_only=True)
class LossCall:
    """One call of a loss of torch.

    Attributes:
        name: What was called: ``"kl_div"``.
        site: Its last step.
        output: The step that made what it judges, past steps that only move numbers; the last
            one where it compares several.
        first: The operations that read it, inside of the call.
        target: The target, where it stands in the batch as it enters the call.
        breach: What it was given and does not ask for; None where it got what it wants.
        finite: Whether a number came out.
    """

    name: str
    site: Site
    output: Site
    first: frozenset[str] = frozenset()
    target: DataTensor | None = None
    breach: Breach | None = None
    finite: bool = True


def loss_calls(neighbours: Neighbours) -> Iterator[LossCall]:
    """Yield every call of a loss whose arguments are known, judged, in forward order.

    Args:
        neighbours: The graph of a recording.

    Yields:
        The calls, whether or not they are given what they want.
    """
    targets = {
        tensor.site: tensor
        for tensor in reversed(neighbours.recording.data)
        if tensor.role is DataRole.TARGET and tensor.site is not None
    }
    mean = neighbours.recording[Quantity.ACTIVATION_MEAN]
    for last in neighbours.recording.sites:
        judge = _CONTRACTS.get(name := last.function or last.op)
        if judge is None or any((s.function or s.op) == name for s in neighbours.consumers(last)):
            continue
        found = _argument(neighbours, last, name)
        if found is not None:
            output, first = found
            call = LossCall(
                name=name,
                site=last,
                output=output,
                first=first,
                target=targets.get(last.index),
                finite=abs(mean.get(last, 0.0)) < float("inf"),
            )
            yield replace(call, breach=judge(call))
    for index, target in targets.items():
        if 0 <= index < len(neighbours.recording.sites):
            hinge = _hinge(neighbours, neighbours.recording.sites[index], target)
            if hinge is not None:
                yield replace(hinge, breach=_sides(hinge))


def _argument(neighbours: Neighbours, last: Site, name: str) -> tuple[Site, frozenset[str]] | None:
    """Return the step a call reads and what reads it first; None where it may read several."""
    inside, waiting = {last.index: last}, [last]
    given: dict[int, Site] = {}
    first: set[str] = set()
    while waiting:
        site = waiting.pop()
        for before in neighbours.producers(site):
            if (before.function or before.op) != name:
                given[before.index] = before
                first.add(site.op)
            elif before.index not in inside:
                inside[before.index] = before
                waiting.append(before)
    if not given or (len(given) > 1 and name not in _OF_SEVERAL):
        return None
    output = given[max(given)]
    if output.role is Role.WEIGHT:
        return None
    made = output if output.op not in VIEWS or output.weights else neighbours.source(output)
    return (made, frozenset(first)) if made is not None else None


def _hinge(neighbours: Neighbours, product: Site, target: DataTensor) -> LossCall | None:
    """Return a margin loss written by hand, ``relu(1 - y * score)``; None where it is none.

    Nothing but the product may read the score: else a label of 0 may be one of two terms.
    """
    if product.op != "mul" or product.role is not Role.LOSS:
        return None
    step, output = product, product
    while (before := neighbours.producers(output)) and (output is product or output.op in VIEWS):
        if len(before) != 1 or len(neighbours.consumers(before[0])) != 1:
            return None
        output = before[0]
    for wanted in (frozenset({"sub", "add"}), _HINGES):
        while [s.op for s in neighbours.consumers(step)] == ["neg"]:
            (step,) = neighbours.consumers(step)
        after = neighbours.consumers(step)
        if len(after) != 1 or after[0].op not in wanted:
            return None
        if len(neighbours.producers(after[0])) != 1:
            return None
        step = after[0]
    if output is product:
        return None
    return LossCall(name="the margin loss", site=step, output=output, target=target)


def _log_probabilities(call: LossCall) -> Breach | None:
    """Judge what has to be logarithms of probabilities."""
    raw = bool({call.output.op, call.output.function} & _SCORES)  # a layer over steps is several
    if not raw and call.output.op not in _PROBABILITIES:
        return None
    what = "raw scores" if raw else "probabilities"
    return Breach(
        measured=1.0,
        unit=NO_LOGARITHMS,
        message=f"{call.name} wants logarithms of probabilities, {call.output.name} gives it "
        f"{what}",
        note="nothing holds the scores together, so the loss has no lower end"
        if raw
        else "without the logarithm no answer is punished by more than its own size: the best one "
        "is all weight on the likeliest class, whatever the target says of the others",
        help=(
            "use torch.nn.functional.log_softmax(scores, dim=-1)",
            "the logarithm of a softmax is the same and rounds to -inf",
        ),
        severity=Severity.ERROR if raw else Severity.WARNING,
    )


def _divergence(call: LossCall) -> Breach | None:
    """Judge both arguments of the Kullback-Leibler divergence."""
    if (breach := _log_probabilities(call)) is not None or call.target is None:
        return breach
    in_logarithms = call.first == {"sub"}
    target = call.target
    if in_logarithms and target.low >= 0.0 and target.high > 0.0:
        given, wanted, help = "probabilities", "their logarithms", "leave out log_target=True"
    elif not in_logarithms and target.low < 0.0 and target.high <= 0.0:
        given, wanted, help = "logarithms", "probabilities", "pass log_target=True"
    else:
        return None
    return Breach(
        measured=max(target.high, -target.low),
        unit="largest target on the wrong side of 0",
        message=f"kl_div is given {given} for a target and takes them for {wanted}",
        note="the weights that it gives the classes are not those of the target",
        help=(help, "or bring the target into that form"),
    )


def _counts(call: LossCall) -> Breach | None:
    """Judge whether a rate of counts is given as a rate or as its logarithm."""
    if "exp" in call.first:
        usual = call.target.mean if call.target is not None else float("inf")
        if call.output.op not in _NEVER_NEGATIVE or not usual < 1.0:
            return None
        return Breach(
            measured=1.0,
            limit=usual,
            unit="smallest rate the output can answer",
            message=f"{call.name} takes the exponential of its input, which {call.output.name} "
            f"keeps from falling below 0: no rate below 1, for counts of {usual:.3g} in the mean",
            note="the logarithm of a small rate is negative, and the network cannot say it",
            help=(
                "pass log_input=False where the network answers the rate itself",
                f"or remove the {call.output.op} and let the network answer its logarithm",
            ),
        )
    if not {call.output.op, call.output.function} & _LAYERS or call.finite:
        return None
    return Breach(
        measured=1.0,
        unit="share of outputs that are no rates",
        message=f"{call.name} with log_input=False takes the logarithm of its input, and "
        f"{call.output.name} gives it raw scores",
        note="the logarithm of a negative number is no number",
        help=(
            "leave out log_input=False: the raw score is the logarithm of the rate",
            "or make a rate of it: torch.nn.functional.softplus(score)",
        ),
        severity=Severity.ERROR,
    )


def _sides(call: LossCall) -> Breach | None:
    """Judge labels that have to be -1 and 1."""
    target = call.target
    if target is None or target.low != 0.0 or target.high > 1.0:
        return None
    share = 1.0 - target.mean
    return Breach(
        measured=share,
        unit="share of the labels that are 0",
        message=f"{call.name} wants labels of -1 and 1, the {target.name} has 0 and "
        f"{target.high:g}",
        note="a sample whose label is 0 has no gradient, and the others push every output to "
        "their side",
        help=_SIDES,
    )


def _indices(call: LossCall) -> Breach | None:
    """Judge the lists of class indices that `multilabel_margin_loss` wants."""
    target = call.target
    wide = target is not None and bool(target.shape) and target.shape[-1] > 2
    if target is None or not wide or (target.low, target.high) != (0.0, 1.0):
        return None
    return Breach(
        measured=target.mean,
        unit="mean of the target",
        message=f"{call.name} wants the indices of the classes, closed by -1, the {target.name} "
        "has a 0 or a 1 for each class",
        note="0 and 1 are taken for the first and the second class",
        help=("for a 0 or a 1 for each class use multilabel_soft_margin_loss",),
    )


def _raw_scores(call: LossCall) -> Breach | None:
    """Judge what a loss is going to squash by itself."""
    if call.output.op not in _PROBABILITIES:
        return None
    return Breach(
        measured=0.5,
        unit="largest probability of a no that is missed",
        message=f"{call.output.name} comes before {call.name}, which applies a sigmoid of its own",
        note="a sigmoid of numbers in 0 … 1 never says no: it stays above one half",
        help=(f"remove the {call.output.op} from the output: {call.name} takes raw scores",),
    )


_CONTRACTS: Final[Mapping[str, Callable[[LossCall], Breach | None]]] = {
    "kl_div": _divergence,
    "ctc_loss": _log_probabilities,
    "poisson_nll_loss": _counts,
    "soft_margin_loss": _sides,
    "hinge_embedding_loss": _sides,
    "cosine_embedding_loss": _sides,
    "margin_ranking_loss": _sides,
    "multilabel_margin_loss": _indices,
    "multilabel_soft_margin_loss": _raw_scores,
}
"""Losses of torch by what judges their arguments; cross entropy and the regressions have their
own page of reasons in UV204."""
