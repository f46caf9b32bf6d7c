"""UV402: gradients too small for the number format they flow in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.optimiser import floor_of
from unvanish.diagnose.words import percent

_SMALLEST: Final = {"float16": "3.0e-08", "bfloat16": "4.6e-41", "float32": "7.0e-46"}
"""Half of the smallest subnormal: what rounds to zero."""

_LOG10_FLOAT64_FLOOR: Final = -323.6

_ROUNDING: Final = frozenset(
    {"Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "SGD"}
)
"""Optimisers of PyTorch, which add a step to the weight in the weight's own format."""

_NARROW: Final = frozenset({"float16", "bfloat16"})

_BY_HAND: Final = (
    "compute in float32: leave out the casts of the forward to float16",
    "or cast to bfloat16, which has the range of float32",
    "or scale the loss: scaler = torch.amp.GradScaler(); scaler.scale(loss).backward()",
)

_HELP: Final = {
    "float16": (
        "scale the loss: scaler = torch.amp.GradScaler(); scaler.scale(loss).backward()",
        "or use bfloat16, which has the range of float32: "
        "torch.autocast(device_type, dtype=torch.bfloat16)",
    ),
    "other": (
        "this is not a trouble of precision alone, since a gradient this small trains nothing: "
        "`unvanish explain UV101` says how to keep it from vanishing",
    ),
}


@final
@dataclass(frozen=True, kw_only=True)
class PrecisionUnderflow:
    """Gradients are too small for the number format they flow in.

    ## What it measures
    Per parameter, the share of non-zero gradient entries that round to zero in the format
    the gradient flows in: the autocast type where there is one, the parameters' type
    otherwise. Where the forward pass itself casts to 16 bits, and every way from the loss to a
    wider parameter leads through them, the entries are counted that are zero in the types of
    the run and not in float64. An entry rounds to zero below half of the smallest subnormal:
    3.0e-8 in float16, 4.6e-41 in bfloat16, 7.0e-46 in float32, 2.5e-324 in float64. Entries that
    are exactly zero in exact arithmetic (dead units, rows that the batch did not touch) do not
    count.

    The limit is one tenth (`max_underflow_fraction`). If the logarithm of the entries is
    normal with the spread of one decade that is common in practice, a tenth is lost when
    the median is 1.3 decades above the format's floor; one more decade of shrinkage loses
    four tenths. It is an error when half of the weights are hit
    (`min_weight_share_of_error`), by number of tensors or by number of entries.

    Where the weights themselves are of 16 bits, a step is lost that is less than half the
    distance to the next number, 2^-9 of the weight in bfloat16. The share of the entries with
    a gradient that the first step changed is counted. Adam and its kin never take a longer step
    than the first, so what does not move then never will: the limit is half of the entries
    (`min_moved_fraction_if_rescaled`). The steps of gradient descent grow with the gradient, and
    by 1 / (1 - momentum) in time, and its limit is a tenth over that (`min_moved_fraction`). A
    network of four layers on digits, in bfloat16 throughout, ended after 300 steps with a loss
    of 0.25 where all entries moved (0.25 in float32), and of 2.28 where a quarter did (1.84 in
    float32). It is a warning where half of the weights are hit.

    ## Why it hurts
    A lost entry is a zero, and zeros are lost in every step: the optimiser sees a sparser,
    biased gradient. No optimiser setting brings it back.

    ## When it stays silent
    Biases and the scales and shifts of norms, which have one dimension, are not judged
    while there are weights: their gradient may be zero by symmetry (a bias before
    BatchNorm, the key bias of attention), and where it is truly lost its weight is too.
    Parameters without a gradient are UV501's matter. A cast beside a way that stays in float32,
    as in a branch of its own, takes no gradient from what both reach. Lost steps are judged where
    the user's own optimiser holds the short weights themselves, not float32 copies of them.

    ## False alarms
    A converged network has small gradients, and losing them costs nothing. Loss scaling
    that the recording does not know about (a `GradScaler` in the training loop) cures what
    is reported here. A rate that a warm-up has not raised yet rounds away without harm; it is
    not judged where PyTorch's scheduler is attached. Gates that start at zero have an exact
    zero, which does not count. An optimiser that keeps what was rounded away (Kahan summation)
    trains all the same; only PyTorch's own, by name, are judged for lost steps.

    ## What helps
    For float16: loss scaling with `torch.amp.GradScaler`, or bfloat16; without the casts of the
    forward where it makes them itself. For bfloat16 and
    float32 a gradient this small is not a matter of the format alone: see UV101.

    ## Source
    Micikevicius and others (2018), section 3.2, on loss scaling. The limit follows from the
    normal spread as derived above.
    """

    code: ClassVar[str] = "UV402"
    name: ClassVar[str] = "precision-underflow"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["micikevicius2018"],)

    max_underflow_fraction: float = 0.1
    min_moved_fraction: float = 0.1
    min_moved_fraction_if_rescaled: float = 0.5
    min_weight_share_of_error: float = 0.5

    def examine(self, recording: Recording) -> Verdict:
        """Judge the weights in the format that their gradients flow in."""
        dtype = recording.context.autocast or recording.context.dtype
        trained = [p for p in recording.parameters if p.requires_grad and p.has_grad]
        if not trained:
            if recording.parameters:
                return NotApplicable("no parameter has a gradient")
            return NotMeasured("gradients of the parameters")
        judged = [p for p in trained if len(p.shape) >= 2] or trained
        flows = {p.name: _flows_in(p, dtype) for p in judged}
        lost = {p.name: _lost(p, flows[p.name], dtype) for p in judged}
        seen = [p for p in judged if lost[p.name] >= 0.0]
        if not seen:
            if all(p.log10_grad_rms == -math.inf for p in judged):
                return NotApplicable("every gradient is exactly zero, so nothing is left to lose")
            return NotMeasured(f"share of gradient entries that are too small for {dtype}")
        hit = [p for p in seen if lost[p.name] > self.max_underflow_fraction]
        if hit:
            return Found((self._finding(recording, flows, lost, seen, hit),))
        still = self._rounded_away(recording, judged)
        if still:
            return Found((self._of_steps(recording, judged, still),))
        worst = max(seen, key=lambda p: lost[p.name])
        flow = flows[worst.name]
        at_most = (
            f"{flow} loses at most {percent(lost[worst.name], digits=1)} of a weight's "
            "gradient entries"
            if lost[worst.name] >= 5e-4
            else f"{flow} loses no gradient"
        )
        return Clear(
            self.max_underflow_fraction - lost[worst.name],
            "fraction of gradient entries",
            f"{at_most}{self._elsewhere(seen, flow)}",
        )

    def _rounded_away(self, recording: Recording, judged: list[Parameter]) -> list[Parameter]:
        """Return the weights most of whose entries no step moves, most of them first."""
        optimizer = recording.context.optimizer
        if optimizer is None or optimizer.name not in _ROUNDING:
            return []
        if (optimizer.initial_lr or 0.0) > (optimizer.lr or 0.0):
            return []  # a warm-up may raise it
        coasting = 1.0 / (1.0 - min(optimizer.momentum or 0.0, 0.99))
        limit = self.min_moved_fraction / coasting
        if floor_of(optimizer) is not None:
            limit = self.min_moved_fraction_if_rescaled
        still = [
            p for p in judged if p.moved_fraction < limit and p.in_optimizer and p.learning_rate
        ]
        return sorted(still, key=lambda p: p.moved_fraction)

    def _of_steps(
        self, recording: Recording, judged: list[Parameter], still: list[Parameter]
    ) -> Finding:
        dtype, optimizer = recording.context.dtype, recording.context.optimizer
        most = len(still) >= self.min_weight_share_of_error * len(judged)
        others = f", and of {len(still) - 1} more of {len(judged)} weights" * (len(still) > 1)
        rescaled = floor_of(optimizer) is not None
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING if most else Severity.NOTE,
            message=f"{dtype} rounds the step away for "
            f"{percent(1.0 - still[0].moved_fraction)} of the entries of {still[0].name}{others}",
            parameters=tuple(p.name for p in still),
            measured=still[0].moved_fraction,
            expected=1.0,
            limit=self.min_moved_fraction_if_rescaled if rescaled else self.min_moved_fraction,
            unit="fraction of entries that move",
            causes=(Cause.PRECISION,),
            notes=(
                f"the gradient is there, but a step of {optimizer} is less than half the distance "
                f"to the next number of {dtype}",
            ),
            help=(
                "keep the weights in float32 and compute in bfloat16: "
                "torch.autocast(device_type, dtype=torch.bfloat16)",
                "or take an optimiser with float32 copies of the weights, or with stochastic "
                "rounding",
            ),
        )

    def _elsewhere(self, seen: list[Parameter], dtype: str) -> str:
        """Say in which smaller format the gradient would underflow, and where first."""
        parts = []
        for other in ("float16", "bfloat16"):
            hit = [p for p in seen if _too_small(p, other) > self.max_underflow_fraction]
            if other != dtype and hit:
                parts.append(
                    f"{other} would lose {percent(_too_small(hit[0], other))} of {hit[0].name}"
                )
        return "".join(f"; {part}" for part in parts)

    def _finding(
        self,
        recording: Recording,
        flows: Mapping[str, str],
        lost: Mapping[str, float],
        seen: list[Parameter],
        hit: list[Parameter],
    ) -> Finding:
        ranked = sorted(hit, key=lambda p: -lost[p.name])
        tensors = len(hit) / len(seen)
        entries = sum(p.size for p in hit) / max(sum(p.size for p in seen), 1)
        is_error = max(tensors, entries) >= self.min_weight_share_of_error
        measured, dtype = lost[ranked[0].name], flows[ranked[0].name]
        others = f", and of {len(hit) - 1} more of {len(seen)} weights" if len(hit) > 1 else ""
        own = recording.context.autocast or recording.context.dtype
        by_hand = [p for p in ranked if flows[p.name] != own]
        notes = [f"{dtype} rounds to zero whatever is below {_SMALLEST.get(dtype, '2.5e-324')}"]
        if dtype != own:
            notes.insert(0, f"the weights are {own}, and the forward pass casts to {dtype}")
        help_ = _HELP.get(dtype, _HELP["other"])
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR if is_error else Severity.WARNING,
            message=f"{dtype} rounds {percent(measured)} of the gradient entries of "
            f"{ranked[0].name} to zero{others}",
            sites=_first_uses(recording, {p.name for p in by_hand}),
            parameters=tuple(p.name for p in ranked),
            measured=measured,
            expected=0.0,
            limit=self.max_underflow_fraction,
            unit="fraction of gradient entries",
            causes=(Cause.PRECISION,),
            notes=tuple(notes),
            help=_BY_HAND if dtype == "float16" and dtype != own else help_,
        )


def _flows_in(parameter: Parameter, dtype: str) -> str:
    """Name the format of a parameter's gradient, given that of the run."""
    return parameter.carried_in if parameter.carried_in and dtype not in _NARROW else dtype


def _first_uses(recording: Recording, names: set[str]) -> tuple[Site, ...]:
    """Return the first step that uses each of some parameters, in forward order."""
    found = []
    for site in recording.signal_sites():
        if not names.isdisjoint(site.weights):
            names = names.difference(site.weights)
            found.append(site)
    return tuple(found)


def _lost(parameter: Parameter, flow: str, dtype: str) -> float:
    """Return the share of a parameter's gradient entries that its format loses, or nan."""
    if flow != dtype and not math.isnan(parameter.lost_fraction):
        return parameter.lost_fraction
    return _too_small(parameter, flow)


def _too_small(parameter: Parameter, dtype: str) -> float:
    """Return the share of a parameter's gradient entries that a format loses, or nan."""
    if dtype == "float64":
        log10 = parameter.log10_grad_rms
        if math.isnan(log10) or log10 == -math.inf:
            return math.nan
        return 1.0 if log10 < _LOG10_FLOAT64_FLOOR else 0.0
    return parameter.underflow_fraction.get(dtype, math.nan)
