"""UV403: values that are no longer numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording, Role, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotMeasured, Verdict
from unvanish.diagnose.neighbours import Neighbours
from unvanish.diagnose.number_format import (
    EXPONENTIALS,
    MASKS,
    Erasure,
    erasure_of,
    is_learned,
    is_of_a_saturated_output,
    is_undone,
)
from unvanish.diagnose.optimiser import is_floor_lost
from unvanish.diagnose.rules.input_scale import InputScale
from unvanish.diagnose.upstream import Upstream

_LOSSES: Final = frozenset({"binary_cross_entropy", "nll_loss", "cross_entropy", "kl_div"})
_AT_ZERO: Final = frozenset(
    {"log", "log2", "log10", "log1p", "sqrt", "rsqrt", "div", "true_divide", "reciprocal"}
    | {"pow", "norm", "vector_norm", "atan2", "acos", "asin"}
)
_SPREADS: Final = frozenset({"std", "var", "std_mean", "var_mean"})
_ROOT_OF_RANGE: Final = 1e15
"""Size of numbers whose squares stay far within float32."""

_OVERFLOWING: Final = 1e30
"""Size of weights whose product with ordinary data comes near the end of float32."""

_HELP_OF_SCALE: Final = (
    "standardise the input with the statistics of the training set: x = (x - mean) / std, one "
    "mean and std per feature",
)
_NOTES_OF_STEP: Final = {
    Cause.PRECISION: (
        "eps is zero in float16, and the square of a small gradient too: what is left is g / 0, or "
        "0 / 0",
    ),
    Cause.OPTIMISER_FLOOR: ("without eps, an entry whose gradient is zero is 0 / 0",),
}
_HELP_OF_STEP: Final = {
    Cause.PRECISION: (
        "keep the weights in float32 and let torch.autocast choose the format of each step, with "
        "torch.amp.GradScaler",
        "or raise eps: torch.optim.Adam(model.parameters(), lr=..., eps=1e-4)",
    ),
    Cause.OPTIMISER_FLOOR: (
        "give the optimiser an eps: torch.optim.Adam(model.parameters(), lr=..., eps=1e-8)",
    ),
    Cause.LEARNING_RATE: ("lower the learning rate until the first step stays in range",),
}


@dataclass(frozen=True, kw_only=True)
class _Trouble:
    """What is not finite, and where it begins."""

    message: str
    share: float
    sites: tuple[Site, ...] = ()
    parameters: tuple[str, ...] = ()
    fully_masked: Site | None = None
    erases: Site | None = None

    @property
    def op(self) -> str:
        return self.sites[0].op if self.sites else ""

    @property
    def in_loss(self) -> bool:
        return bool(self.sites) and self.sites[0].role is Role.LOSS


@final
@dataclass(frozen=True, kw_only=True)
class NonFinite:
    """A value of the forward or the backward pass is NaN or infinite.

    ## What it measures
    The share of NaN and infinite entries at every step. One such entry that reaches the
    loss is enough, so the limit is zero (`max_non_finite_fraction`): NaN times anything is
    NaN, and one NaN in the loss makes every gradient NaN. The rule names the first step in
    forward order from which the loss is poisoned; where that is finite it names the first
    step that the backward pass met.

    What is sick is a loss that is no number, or such a gradient of a parameter. While every
    gradient and the loss are finite, an optimiser steps as it should, and infinities on the
    way are taken for absorbed. Without a loss, the network's output stands in its place.

    One way of absorbing is to erase: a signal is divided by the root of its own squares, as a
    norm does, and the squares overflow, in float16 from 256 on. The quotient is of size one and
    comes out as x / infinity = 0, and so does its gradient. Where the typical row is erased,
    half of them or more (`min_erased_fraction_of_error`), it is an error, before that a note.
    Without the root, as in 1 / (1 + x^2), the zero is the right answer to within rounding.

    The cause is the number format where exact arithmetic would stay in range: in the logarithm
    of a sum of exponentials, in the share of one in others, at a zero that a product of small
    numbers has become. It is the loss where the zero in a logarithm is the answer of a function
    that has saturated (softmax, sigmoid, ReLU), and the data where a step meets a zero that no
    parameter had a part in. A standard deviation of finite numbers is NaN where it is taken of a
    single one, which n - 1 = 0 divides: a normalisation over the samples of a batch of one has
    nothing to normalise by. Elsewhere numbers grew too large on their way. That is the data's
    doing where it is too large by the measure of UV503 and the layers up to the exponential that
    makes the largest number, or else to the step that overflows, add no more than it brings in.

    An optimiser's first step, too, can make no number of finite weights and gradients: in weights
    of float16 an eps of 1e-8 is zero, and so is the square of a small gradient (UV401), and
    without an eps a gradient of zero is 0 / 0. It is seen on the copy that the probe steps train.
    Weights that stay finite and a loss that does not are the matter of UV404.

    ## Why it hurts
    After one optimiser step with such a gradient every weight is NaN, for good.

    ## When it stays silent
    Infinities that are absorbed: attention masks of minus infinity vanish in the softmax, and
    their gradient is zero; a pool never picks its padding; masked scores from which experts
    are only chosen pass on an index and no value; the score of a forbidden class is one that
    the loss never reads. A gradient that is infinite at a step and absorbed before it reaches
    a parameter, as that of a square root at zero by the ReLU before it, is a note. Steps that
    lead neither to the loss nor to the network's output do not count.

    ## False alarms
    A float16 loop with `torch.amp.GradScaler` meets infinite gradients now and then by
    design, skips the step and lowers the scale; a recording of just this step shows them.

    ## What helps
    An epsilon inside log, sqrt and division; `torch.logsumexp` and
    `binary_cross_entropy_with_logits` in place of exp and log by hand; bfloat16 in place of
    float16; a smaller initialisation or learning rate where values overflow; for an
    attention row in which everything is masked, leave one position open.

    ## Source
    Micikevicius and others (2018) for the range of float16; IEEE 754 for how NaN spreads.
    """

    code: ClassVar[str] = "UV403"
    name: ClassVar[str] = "non-finite"
    needs: ClassVar[frozenset[Quantity]] = frozenset({Quantity.NON_FINITE_FRACTION})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["micikevicius2018"],)

    max_non_finite_fraction: float = 0.0
    min_erased_fraction_of_error: float = 0.5

    def examine(self, recording: Recording) -> Verdict:
        """Look at the forward pass, the loss, the backward pass and the parameters."""
        forward = recording[Quantity.NON_FINITE_FRACTION]
        sick = [s for s in recording.sites if forward.get(s) > self.max_non_finite_fraction]
        absorbed = _is_absorbed(recording)
        trouble = self._in_backward(recording)
        if not absorbed:
            before = _in_forward(recording, sick) or _in_loss(recording)
            trouble = before or trouble or self._in_parameters(recording)
        erased = erasure_of(Neighbours(recording), sick) if absorbed else None
        found: list[Finding] = []
        if erased:
            found.append(self._of_erasure(recording, erased))
        elif trouble:
            finding = self._finding(recording, trouble)
            found.append(_of_no_harm(finding) if absorbed else finding)
        if absorbed and (broken := _broken_by_step(recording)):
            found.insert(0, self._of_step(recording, broken))
        if found:
            return Found(tuple(found))
        if not len(forward):
            return NotMeasured("share of NaN and infinite values at every step")
        within = f"; the infinities of {sick[0].name} are absorbed" if sick else ""
        return Clear(summary=f"every value that reaches the loss is finite{within}")

    def _in_backward(self, recording: Recording) -> _Trouble | None:
        profile = recording[Quantity.NON_FINITE_GRAD_FRACTION]
        met = [
            site
            for site in reversed(recording.sites)  # as the backward pass meets them
            if profile.get(site) > self.max_non_finite_fraction
        ]
        if not met:
            return None
        sender = _sender(recording, met[0], {site.index for site in met})
        sites = (sender, *met) if sender else tuple(met)
        message = f"the gradient is no longer finite from {sites[0].name} backwards"
        return _Trouble(message=message, share=profile[met[0]], sites=sites)

    def _in_parameters(self, recording: Recording) -> _Trouble | None:
        sick = [
            parameter
            for parameter in reversed(recording.parameters)
            if parameter.has_grad and parameter.non_finite_fraction > self.max_non_finite_fraction
        ]
        if not sick:
            return None
        more = f", and that of {len(sick) - 1} more parameters" if len(sick) > 1 else ""
        return _Trouble(
            message=f"the gradient of {sick[0].name} is not finite{more}",
            share=sick[0].non_finite_fraction,
            parameters=tuple(parameter.name for parameter in sick),
        )

    def _of_erasure(self, recording: Recording, erased: Erasure) -> Finding:
        trouble = _Trouble(
            message=f"{erased.origin.name} overflows, and {erased.quotient.name} is zero where it "
            "does",
            share=erased.share,
            sites=erased.steps,
            erases=erased.quotient,
        )
        finding = self._finding(recording, trouble)
        typical = erased.share >= self.min_erased_fraction_of_error
        return finding if typical else replace(finding, severity=Severity.NOTE)

    def _finding(self, recording: Recording, trouble: _Trouble) -> Finding:
        cause = _cause(recording, trouble)
        notes, lines = _notes(recording, trouble), _help(recording, cause, trouble)
        if cause is Cause.INPUT_SCALE and _is_out_of_scale(recording, trouble):
            notes, lines = _notes_of_scale(recording, trouble), _HELP_OF_SCALE
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR,
            message=trouble.message,
            sites=trouble.sites,
            parameters=trouble.parameters,
            measured=trouble.share,
            expected=0.0,
            limit=self.max_non_finite_fraction,
            unit="fraction of entries",
            causes=(cause,),
            notes=notes,
            help=lines,
        )

    def _of_step(self, recording: Recording, broken: Sequence[Parameter]) -> Finding:
        """Report that weights are no numbers after a step whose gradient is finite."""
        optimizer, held = recording.context.optimizer, _held(recording)
        name = optimizer.name if optimizer else "the optimiser"
        cause = Cause.LEARNING_RATE
        if is_floor_lost(recording):
            cause = Cause.PRECISION
        elif optimizer is not None and optimizer.eps == 0.0:
            cause = Cause.OPTIMISER_FLOOR
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR,
            message=f"the first step of {name} leaves weights that are no numbers, in "
            f"{len(broken)} of {len(held)} parameters",
            parameters=tuple(p.name for p in broken),
            measured=len(broken) / len(held),
            expected=0.0,
            limit=self.max_non_finite_fraction,
            unit="fraction of parameters",
            causes=(cause,),
            notes=(
                "loss and gradient are finite before it: NaN and infinity begin in the step itself",
                *_NOTES_OF_STEP.get(cause, ()),
            ),
            help=_HELP_OF_STEP[cause],
        )


def _of_no_harm(finding: Finding) -> Finding:
    """Turn a finding about a gradient that reaches no parameter into a note."""
    return replace(
        finding,
        severity=Severity.NOTE,
        notes=(
            *finding.notes,
            "a later step of the backward pass absorbs it: every parameter's gradient is finite",
        ),
    )


def _is_absorbed(recording: Recording) -> bool:
    """Tell whether the loss and every gradient are finite, whatever was met on the way."""
    fed = [p for p in recording.parameters if p.has_grad]
    return (
        bool(fed and recording.context.loss)
        and math.isfinite(recording.context.loss_value)
        and not any(p.non_finite_fraction or math.isnan(p.log10_grad_rms) for p in fed)
    )


def _in_forward(recording: Recording, sick: list[Site]) -> _Trouble | None:
    """Follow what is not finite from the end of the network back to where it begins.

    The way passes through steps whose values were not read, such as views, and ends at those
    that are finite.
    """
    share = recording[Quantity.NON_FINITE_FRACTION]
    arrived = recording[Quantity.NON_FINITE_GRAD_FRACTION]
    producers: dict[int, list[int]] = {}
    used = set()
    for edge in recording.edges:
        producers.setdefault(edge.consumer, []).append(edge.producer)
        used.add(edge.producer)
    last = max((site.index for site in recording.signal_sites()), default=-1)
    blind = not len(arrived)
    ends = [
        site
        for site in sick
        if site.index == last
        or ((blind or site.index in arrived) and (site.role is Role.LOSS or site.index not in used))
    ]
    if not recording.edges:
        ends = [site for site in ends if site.role is Role.LOSS or site.index == last]
    reached: set[int] = set()
    waiting = [site.index for site in ends]
    while waiting:
        index = waiting.pop()
        if index not in reached:
            reached.add(index)
            waiting.extend(p for p in producers.get(index, ()) if share.get(p) != 0.0)
    poisoned = tuple(site for site in sick if site.index in reached)
    if not poisoned:
        return None
    first = poisoned[0]
    origin = _unread(recording, producers, first) or first
    if origin is not first:
        poisoned = (origin, *poisoned)
    softmax = next((site for site in poisoned if "softmax" in site.op), None)
    masked = origin.op in MASKS or origin is softmax
    return _Trouble(
        message=f"the forward pass is no longer finite from {origin.name} on",
        share=share[first],
        sites=poisoned,
        fully_masked=softmax if masked else None,
    )


def _unread(
    recording: Recording, producers: Mapping[int, Sequence[int]], first: Site
) -> Site | None:
    """Return the step that can make no number of a finite one, if its values were not read.

    What is computed from parameters alone is not read, such as the logarithm of a product of
    scales.
    """
    share = recording[Quantity.NON_FINITE_FRACTION]
    waiting = [i for i in producers.get(first.index, ()) if math.isnan(share.get(i))]
    seen: set[int] = set()
    while waiting:
        index = waiting.pop()
        if index not in seen:
            seen.add(index)
            waiting.extend(i for i in producers.get(index, ()) if math.isnan(share.get(i)))
    able = [i for i in seen if recording.sites[i].op in _AT_ZERO | EXPONENTIALS]
    if first.op in _AT_ZERO | EXPONENTIALS or not able:
        return None
    return recording.sites[max(able)]


def _in_loss(recording: Recording) -> _Trouble | None:
    context = recording.context
    if not context.loss or math.isfinite(context.loss_value):
        return None  # without the name of a loss, nan means that none was taken
    site = next((s for s in reversed(recording.sites) if s.role is Role.LOSS), None)
    return _Trouble(
        message=f"the loss is {context.loss_value:g} while the network's output is finite",
        share=1.0,
        sites=(site,) if site else (),
    )


def _broken_by_step(recording: Recording) -> list[Parameter]:
    """Return the parameters that the optimiser's first step turned into no numbers.

    A change that was not measured is no number either, but has no learning rate.
    """
    return [
        p for p in _held(recording) if p.learning_rate >= 0.0 and not math.isfinite(p.update_ratio)
    ]


def _held(recording: Recording) -> list[Parameter]:
    """Return the finite parameters that the user's optimiser steps, but for those of zeros."""
    return [
        p for p in recording.parameters if p.in_optimizer and p.has_grad and 0.0 < p.rms < math.inf
    ]


def _sender(recording: Recording, first: Site, sick: set[int]) -> Site | None:
    """Return the step that received a finite gradient and sent NaN or infinity to `first`.

    The derivative that failed is the step's own: that of ``sqrt`` at zero, not that of the
    layer before it, at whose output the NaN is met.
    """
    senders = [
        edge.consumer
        for edge in recording.edges
        if edge.producer == first.index and edge.consumer not in sick
    ]
    return recording.sites[max(senders)] if senders else None


def _cause(recording: Recording, trouble: _Trouble) -> Cause:
    if trouble.fully_masked is not None:
        return Cause.SOFTMAX_SATURATION
    if "float16" in (recording.context.autocast, recording.context.dtype):
        return Cause.PRECISION
    if _broken_weights(recording, trouble):
        return Cause.LEARNING_RATE
    if trouble.op in _LOSSES:
        return Cause.LOSS_SATURATION
    if _is_undone(recording, trouble):
        return Cause.PRECISION
    if _is_out_of_scale(recording, trouble):
        return Cause.INPUT_SCALE
    if trouble.op in _AT_ZERO and trouble.erases is None:
        return _cause_at_zero(recording, trouble)
    if _is_spread_of_one(recording, trouble):
        return Cause.NO_NORMALISATION
    if _came_with_the_data(recording, trouble):
        return Cause.INPUT_SCALE
    if trouble.op in EXPONENTIALS and trouble.erases is None:
        return Upstream(recording).why_large(trouble.sites[0])
    return Cause.INIT_TOO_LARGE


def _is_spread_of_one(recording: Recording, trouble: _Trouble) -> bool:
    """Tell whether a standard deviation of ordinary numbers is none: it was taken of one alone."""
    if trouble.op not in _SPREADS or trouble.erases is not None:
        return False
    before = Neighbours(recording).producers(trouble.sites[0])
    size = recording[Quantity.ACTIVATION_RMS]
    return bool(before) and all(size.get(site, 0.0) < _ROOT_OF_RANGE for site in before)


def _is_undone(recording: Recording, trouble: _Trouble) -> bool:
    """Tell whether what overflows is an exponential that the formula takes back."""
    exponential = trouble.op in EXPONENTIALS and trouble.erases is None
    return exponential and is_undone(Neighbours(recording), trouble.sites[0])


def _cause_at_zero(recording: Recording, trouble: _Trouble) -> Cause:
    """Say why a step met a zero it cannot take.

    A logarithm met the 0 or 1 of a function that has saturated, or the data held the zero that
    no layer had a part in. Any other zero is one that exact arithmetic would not have, or whose
    slope it could take: it is lost to the number format.
    """
    site, neighbours = trouble.sites[0], Neighbours(recording)
    if site.op.startswith("log") and is_of_a_saturated_output(neighbours, site):
        return Cause.LOSS_SATURATION
    is_value = recording[Quantity.NON_FINITE_FRACTION].get(site) != 0.0
    if is_value and not trouble.in_loss and recording.edges and not is_learned(neighbours, site):
        return Cause.INPUT_SCALE
    return Cause.PRECISION


def _came_with_the_data(recording: Recording, trouble: _Trouble) -> bool:
    """Tell whether the batch holds it, or the first sick step reads data with ordinary weights."""
    if any(tensor.non_finite for tensor in recording.data):
        return True
    origin = trouble.sites[0] if trouble.sites else None
    if origin is None or not origin.weights:
        return False
    feeds = [edge.producer for edge in recording.edges if edge.consumer == origin.index]
    largest = max((p.rms for p in recording.parameters if p.name in origin.weights), default=0.0)
    inner = any(recording.sites[index].role is not Role.WEIGHT for index in feeds)
    return not inner and bool(recording.edges) and largest < _OVERFLOWING


def _is_out_of_scale(recording: Recording, trouble: _Trouble) -> bool:
    """Tell whether numbers overflow since the data that they are computed from is too large.

    UV503 says which data is. It is the cause where the layers on the way add no more than the
    data brings in, as in `Upstream.why_large`: on the way to the exponential that makes the
    largest number, or without one to the step that overflows.
    """
    if not trouble.sites or trouble.erases is not None:
        return False
    neighbours, origin = Neighbours(recording), trouble.sites[0]
    if origin.op not in EXPONENTIALS and not _given(neighbours, origin) > _ROOT_OF_RANGE:
        return False
    before = _behind(neighbours, origin)
    scale = _scale_of_data(recording, before)
    size = recording[Quantity.ACTIVATION_RMS]
    grown = [site for site in before if site.op in EXPONENTIALS and size.get(site) > scale**2]
    step = max(grown, key=lambda site: size[site], default=origin)
    return 0.0 < _given(neighbours, step) < scale**2


def _notes_of_scale(recording: Recording, trouble: _Trouble) -> tuple[str, ...]:
    neighbours, origin = Neighbours(recording), trouble.sites[0]
    scale = _scale_of_data(recording, _behind(neighbours, origin))
    return (
        f"the data enters the network with rms {scale:.3g}, where layers are made for about 1: "
        "see UV503",
        f"the input of {origin.name} has rms {_given(neighbours, origin):.3g}",
    )


def _scale_of_data(recording: Recording, sites: Sequence[Site]) -> float:
    """Return the largest rms of data that enters some sites, where UV503 finds it too large."""
    verdict = InputScale().examine(recording)
    found = verdict.findings if isinstance(verdict, Found) else ()
    fed = {site.index for finding in found for site in finding.sites}
    entering = recording[Quantity.INPUT_RMS]
    scale = max((entering.get(site, 0.0) for site in sites if site.index in fed), default=0.0)
    return scale if scale > InputScale.max_ratio else 0.0


def _given(neighbours: Neighbours, site: Site) -> float:
    """Return the largest finite rms of what a step works on; 0 where none was measured."""
    size = neighbours.recording[Quantity.ACTIVATION_RMS]
    sources = [one if one in size else neighbours.source(one) for one in neighbours.producers(site)]
    known = [size.get(one, 0.0) for one in sources if one is not None]
    return max((value for value in known if value < math.inf), default=0.0)


def _behind(neighbours: Neighbours, site: Site) -> list[Site]:
    """Return a step and all that it is computed from."""
    waiting, found = [site], {site.index: site}
    while waiting:
        for producer in neighbours.producers(waiting.pop()):
            if producer.index not in found:
                found[producer.index] = producer
                waiting.append(producer)
    return list(found.values())


def _broken_weights(recording: Recording, trouble: _Trouble) -> list[str]:
    """Return the weights of the first sick step that hold NaN or infinity themselves."""
    names = set(trouble.sites[0].weights) if trouble.sites else set()
    return [p.name for p in recording.parameters if p.name in names and not math.isfinite(p.rms)]


def _notes(recording: Recording, trouble: _Trouble) -> tuple[str, ...]:
    if trouble.fully_masked is not None:
        masks = trouble.sites[0]
        if masks is trouble.fully_masked:
            return (f"{masks.name} gives NaN for a row in which everything is masked",)
        return (
            f"{masks.name} masks with minus infinity, and {trouble.fully_masked.name} "
            "gives NaN for a row in which everything is masked",
        )
    if trouble.erases is not None:
        return (
            f"{trouble.erases.name} divides a signal by the root of its own squares: where they "
            "are infinite both the quotient and its gradient are zero",
        )
    if _is_spread_of_one(recording, trouble):
        samples = recording.context.batch_size
        batch = ", and the batch holds one sample" if samples == 1 else ""
        return (f"{trouble.op} of a single number divides by n - 1 = 0{batch}",)
    if trouble.op in _AT_ZERO:
        return (f"{trouble.op} or its slope is not finite at zero or below it",)
    broken = _broken_weights(recording, trouble)
    if broken:
        return (f"{broken[0]} itself holds NaN or infinity: training diverged before",)
    if not trouble.sites:
        return ()
    before = [
        recording[Quantity.ACTIVATION_RMS].get(edge.producer)
        for edge in recording.edges
        if edge.consumer == trouble.sites[0].index
    ]
    sizes = [size for size in before if math.isfinite(size)]
    sick = next((tensor for tensor in recording.data if tensor.non_finite), None)
    if sick is not None:
        count = math.prod(sick.shape)
        return (
            f"the {sick.name} of the batch holds {sick.non_finite} NaN or infinite values of "
            f"{count}",
        )
    if _came_with_the_data(recording, trouble):
        return (f"what {trouble.sites[0].name} is given is not finite: it came with the data",)
    return (f"its input has rms {max(sizes):.3g}",) if sizes else ()


def _help(recording: Recording, cause: Cause, trouble: _Trouble) -> tuple[str, ...]:
    if trouble.fully_masked is not None:
        return ("leave at least one position of every row unmasked",)
    if trouble.erases is not None and cause is Cause.PRECISION:
        return (
            "take the norm in float32: x.float().pow(2).mean(-1, keepdim=True)",
            "or use bfloat16, which has the range of float32",
        )
    if _is_spread_of_one(recording, trouble):
        return (
            "normalise over the features of a sample, not over samples: x.std(-1, keepdim=True), "
            "or torch.nn.LayerNorm(features)",
            "or give batches of several samples: DataLoader(dataset, batch_size=32, "
            "drop_last=True)",
        )
    if _is_undone(recording, trouble):
        return (
            "leave the formula to functions that subtract the largest number first: torch.softmax, "
            "torch.logsumexp, torch.nn.functional.cross_entropy, logsigmoid",
        )
    if trouble.op.startswith("log") and cause is Cause.PRECISION:
        return (
            "compute in logarithms throughout: a sum of logarithms in place of the logarithm of a "
            "product, torch.logsumexp in place of the logarithm of a sum of exponentials, "
            "torch.nn.functional.logsigmoid in place of the logarithm of a sigmoid",
            "or keep its input away from zero: x.clamp_min(1e-8)",
        )
    if trouble.op in _AT_ZERO and cause is not Cause.LOSS_SATURATION:
        return ("keep its input away from zero: x.clamp_min(1e-8), or add an epsilon",)
    if cause is Cause.INPUT_SCALE and trouble.op in EXPONENTIALS:
        return ("scale the input to mean 0 and standard deviation 1 per feature",)
    if cause is Cause.BIAS:
        return ("start the biases of the layer before it at zero",)
    if cause is Cause.INPUT_SCALE:
        return (
            "look at the data first: torch.isfinite(x).all() must be True; then for a division by "
            "zero, or a logarithm of it, in the preprocessing",
        )
    if cause is Cause.PRECISION:
        return (
            "use bfloat16, which has the range of float32: "
            "torch.autocast(device_type, dtype=torch.bfloat16)",
        )
    if cause is Cause.LEARNING_RATE:
        return ("go back to a checkpoint from before, and lower the learning rate",)
    if cause is Cause.LOSS_SATURATION:
        return (
            "compute the loss from logits: torch.nn.functional.cross_entropy or "
            "binary_cross_entropy_with_logits, without softmax, sigmoid or log before it",
        )
    return (
        "initialise smaller: torch.nn.init.xavier_normal_(layer.weight)",
        "or lower the learning rate if this happens in training",
    )
