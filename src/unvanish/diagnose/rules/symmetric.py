"""UV104: units that start equal and stay equal, and zeros that never open."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, final

from unvanish.core.conditions import DataRole
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.core.wiring import Wiring
from unvanish.diagnose.optimiser import is_plain, is_pulled
from unvanish.diagnose.words import percent
from unvanish.diagnose.zero_factors import ShutFactor, shut_factors

_LAYERS: Final = frozenset({"linear", "matmul", "conv1d", "conv2d", "conv3d", "conv", "bilinear"})
_MOVED: Final = 2e-5
"""Relative change of a weight from which equal rows would be seen to part: ten times the
slack within which rows count as equal."""

_MIN_SIGNS: Final = 7
"""Signs that have to agree before equal steps of one length are no chance: 2^-7 < 1 %."""


@dataclass(frozen=True)
class _Layer:
    """A hidden layer and its weights, at the start and after the probe steps."""

    site: Site
    weight: Parameter
    later: Parameter | None
    bias: Parameter | None
    later_bias: Parameter | None
    pulled: bool

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes of the weight that the units may stand along: the second one in ``x @ W``.

        A square matrix does not tell whether it was turned before; units part from the first
        step on along the axis that is not theirs.
        """
        shape, features = self.weight.shape, (self.site.shape or (0,))[-1]
        if self.site.op != "matmul" or len(shape) != 2 or shape[1] != features:
            return (0,)
        return (0, 1) if shape[0] == features else (1,)

    def distinct(self, *, after_steps: bool = False) -> float:
        """Return the share of the units that differ."""
        weight = self.later if after_steps else self.weight
        if weight is None:
            return math.nan
        shares = (weight.distinct_fraction, weight.distinct_column_fraction)
        known = [shares[axis] for axis in self.axes if not math.isnan(shares[axis])]
        return min(known, default=math.nan)

    @property
    def has_moved(self) -> bool:
        """Whether the gradient changed the weights by more than rounding."""
        if self.later is None or not self.pulled:
            return False
        changed = abs(self.later.rms / self.weight.rms - 1.0)
        return max(changed, _or_zero(self.weight.update_ratio)) > _MOVED

    def is_equal(self, limit: float, *, after_steps: bool) -> bool:
        """Tell whether fewer than a share of the units differ, biases included."""
        bias = self.later_bias if after_steps else self.bias
        if not self.distinct(after_steps=after_steps) < limit:
            return False
        return bias is None or bias.rms == 0.0 or bias.distinct_fraction < limit

    @property
    def units(self) -> int:
        """Number of units."""
        return self.weight.shape[self.axes[-1]]


@final
@dataclass(frozen=True, kw_only=True)
class SymmetricOrZeroInit:
    """Units start equal and stay equal, or zeros shut a path for ever.

    ## What it measures
    Two starts that no training repairs.

    Equal units: the share of a hidden layer's units whose incoming weights differ from those
    of every earlier unit. Units with equal weights, equal biases and equal outgoing weights
    compute the same, receive the same gradient and take the same step. Whether they really
    stay equal is seen after the probe steps on a copy: rows that then still agree to 2e-6 of
    the largest entry, though the gradient moved them ten times as far or more, are equal for
    good. What weight decay alone moves stays equal in any case, and is no evidence. It is a
    finding where fewer than half of the units differ (`min_distinct_fraction`), the typical
    unit being a copy, and an error where this is so in half of the hidden layers or more.

    Where the weights of the units agree and their biases do not, as under `constant_` beside
    PyTorch's own biases, the units part, and slowly: all of them read one number of what comes in.
    That is a warning. Four layers of 64 units on digits with 0.05 throughout answer 28 % right
    after 300 steps of Adam, and 92 % from a start at random.

    Whole layers can be copies as well, such as experts or the members of an ensemble: three or
    more weights, side by side at one depth, that hold the same numbers, and still do (to 2e-6)
    after steps that moved them a hundred times as far. They are worth one; what is left may
    train, and it is a warning.

    So can the parts of a parameter that no layer multiplies with: the centres and widths of a
    mixture, prototypes, slots. They are reported where all rows are equal, and still are after
    steps that moved them. A mixture of three Gaussians with equal centres, fitted to four
    standardised measurements of flowers, came down to a loss of 5.67 in 400 steps, which is what
    a single Gaussian has; with random centres it reached 2.81. The first steps of Adam and its kin
    have one length whatever the gradient and show its sign alone, so that rows may agree by
    chance: k rows of d numbers once in 2^(d (k - 1)). There at least 7 signs have to agree, over
    parameters of as many rows together. Rows of a single number count only where all of them
    meet the same signal, as the centres of a mixture do and a scale for each head does not.

    Zeros that never open: a step that receives gradient and passes none on, because a
    parameter in it is zero throughout, while trainable parameters before it get exactly no
    gradient; or because both factors are signals that zeros of their own make zero, as queries
    and keys that both start at zero do. If that zero is trained and gets gradient, the first
    step opens it. If it gets none, what it is multiplied with is zero too: each factor waits
    for the other, and that is an error. If it is frozen, the branch before it is shut on
    purpose or by mistake, and that is a warning. Behind a head of zeros no gradient shows any of
    this at the start; there the second look counts, when the head has opened.

    ## Why it hurts
    A layer whose n units are equal has the power of one unit. Two factors that are both zero
    have products and gradients of zero: the loss does not fall, or falls by the last bias
    alone, and no number is ever strange.

    ## When it stays silent
    When equal units part within the probe steps (a zero-initialised head, depthwise kernels
    that start alike, dropout); when only one of two factors is zero (ReZero, LoRA with B = 0,
    a zero gamma at the end of a residual branch); on frozen weights, on embeddings, on the
    output layer, on vectors such as the ones of a normalisation, and on rows that are zero; on
    parts that no gradient reaches, as a scale of scores does not where a window holds one token.

    ## False alarms
    A branch that is kept shut by a frozen gate in a first stage of training is reported.
    Weights that are used in no step with a known name, such as those of an `einsum`, are not
    judged for equal units.

    ## What helps
    Random weights in every layer but the last, such as
    torch.nn.init.kaiming_normal_(layer.weight), and a seed where runs have to repeat. Of two
    factors start one at zero and the other at random.

    ## Source
    Saxe, McClelland and Ganguli (2014) for the saddle at zero of a product of matrices; Hu
    and others (2022) for the start of LoRA. The symmetry argument needs no source.
    """

    code: ClassVar[str] = "UV104"
    name: ClassVar[str] = "symmetric-or-zero-init"
    needs: ClassVar[frozenset[Quantity]] = frozenset({Quantity.LOG10_ACTIVATION_GRAD_RMS})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["saxe2014"], SOURCES["hu2022"])

    min_distinct_fraction: float = 0.5

    def examine(self, recording: Recording) -> Verdict:
        """Judge the units of every hidden layer, and every zero on the way."""
        trained = [p for p in recording.parameters if p.requires_grad and len(p.shape) > 1]
        if recording.sites and recording.parameters and not trained:
            return NotApplicable("no weight matrix is trained")
        if not recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]:
            return NotMeasured("the gradient at each step")
        layers = list(_hidden(recording))
        shut = [*shut_factors(recording), *_shut_behind_zeros(recording)]
        suspects = [
            one for one in layers if one.is_equal(self.min_distinct_fraction, after_steps=False)
        ]
        equal = [
            one
            for one in suspects
            if one.has_moved and one.is_equal(self.min_distinct_fraction, after_steps=True)
        ]
        findings = [
            *self._zero(recording, [one for one in shut if not one.frozen]),
            *self._symmetric(equal, layers),
            *self._shifted([one for one in layers if one not in suspects]),
            *self._copied(recording, trained),
            *self._parts(recording, trained),
            *self._frozen([one for one in shut if one.frozen]),
        ]
        if findings:
            return Found(tuple(findings))
        return self._clear(layers, suspects)

    def _clear(self, layers: Sequence[_Layer], suspects: Sequence[_Layer]) -> Verdict:
        unknown = [one for one in suspects if not one.has_moved]
        if unknown:
            return NotMeasured(
                f"whether the units of {unknown[0].site.name}, which start equal, part: bring an "
                "optimiser whose first steps move them, and probe_steps=3"
            )
        known = [
            one.distinct()
            for one in layers
            if one not in suspects and not math.isnan(one.distinct())
        ]
        if layers and not known and not suspects:
            return NotMeasured("whether the units of a layer differ")
        if suspects:
            named = suspects[0].site.name
            return Clear(
                summary=f"the units of {named} start equal and part within a few optimiser steps"
            )
        if not known:
            return Clear(summary="no zero keeps the gradient from any layer")
        least = min(known)
        return Clear(
            max(0.0, least - self.min_distinct_fraction),
            "fraction of units",
            f"{percent(least)} or more of the units of every hidden layer differ, and no zero "
            "shuts a path",
        )

    def _symmetric(self, equal: Sequence[_Layer], layers: Sequence[_Layer]) -> Iterator[Finding]:
        if not equal:
            return
        worst = min(equal, key=lambda one: _after(one) * one.units)
        left = max(1, round(_after(worst) * worst.units))
        others = f", and so do those of {len(equal) - 1} more layers" if len(equal) > 1 else ""
        yield self._finding(
            Severity.ERROR if 2 * len(equal) >= len(layers) else Severity.WARNING,
            f"the {worst.units} units of {worst.site.name} start equal and stay equal, worth "
            f"{left}{others}",
            sites=tuple(one.site for one in equal),
            parameters=tuple(one.weight.name for one in equal),
            measured=_after(worst),
            expected=1.0,
            limit=self.min_distinct_fraction,
            unit="fraction of units",
            notes=(
                "equal units receive equal gradients; after the probe steps "
                f"{percent(_after(worst), digits=1)} of them differ from all earlier ones",
            ),
            help=(
                "draw the weights at random: torch.nn.init.kaiming_normal_(layer.weight), and "
                "torch.manual_seed(0) where runs have to repeat",
            ),
        )

    def _shifted(self, layers: Sequence[_Layer]) -> Iterator[Finding]:
        shifted = [one for one in layers if one.distinct() < self.min_distinct_fraction]
        if not shifted:
            return
        worst = min(shifted, key=lambda one: one.distinct() * one.units)
        others = f", and so do those of {len(shifted) - 1} more layers" if len(shifted) > 1 else ""
        yield self._finding(
            Severity.WARNING,
            f"the {worst.units} units of {worst.site.name} read the same of what comes in, and "
            f"differ by their biases alone{others}",
            sites=tuple(one.site for one in shifted),
            parameters=tuple(one.weight.name for one in shifted),
            measured=worst.distinct(),
            expected=1.0,
            limit=self.min_distinct_fraction,
            unit="fraction of units",
            notes=(
                "whatever comes in leaves as one number for each sample; steps part the units, and "
                "first have to undo what they have in common",
            ),
            help=("draw the weights at random: torch.nn.init.kaiming_normal_(layer.weight)",),
        )

    def _copied(self, recording: Recording, trained: Sequence[Parameter]) -> Iterator[Finding]:
        groups = [
            group
            for group in _copies(recording, trained)
            if 1 / len(group) < self.min_distinct_fraction
        ]
        if not groups:
            return
        largest = max(groups, key=len)
        names = tuple(p.name for group in groups for p in group)
        others = f", and so do {len(names) - len(largest)} more" if len(groups) > 1 else ""
        users = (s for s in recording.signal_sites() if not set(names).isdisjoint(s.weights))
        yield self._finding(
            Severity.WARNING,
            f"the {len(largest)} weights {largest[0].name} to {largest[-1].name} start equal and "
            f"stay equal, worth 1{others}",
            sites=tuple(users),
            parameters=names,
            measured=1 / len(largest),
            expected=1.0,
            limit=self.min_distinct_fraction,
            unit="fraction of weights",
            notes=("copies that read the same input receive the same gradient, and never part",),
            help=(
                "draw each at random: build a new layer instead of copy.deepcopy(layer), or call "
                "reset_parameters() on every copy",
            ),
        )

    def _parts(self, recording: Recording, trained: Sequence[Parameter]) -> Iterator[Finding]:
        alike = [
            (p, share)
            for p, share in _equal_parts(recording, trained)
            if share < self.min_distinct_fraction
        ]
        equal = _beyond_chance(recording, alike)
        if not equal:
            return
        worst, share = max(equal, key=lambda one: one[0].shape[0])
        is_all = not any(site.weights and _is_layer(site) for site in recording.signal_sites())
        others = f", and so do those of {len(equal) - 1} more" if len(equal) > 1 else ""
        yield self._finding(
            Severity.ERROR if is_all else Severity.WARNING,
            f"the {worst.shape[0]} rows of {worst.name} start equal and stay equal, worth "
            f"{max(1, round(share * worst.shape[0]))}{others}",
            sites=tuple(
                recording.sites[i]
                for i in sorted({use.site for p, _ in equal for use in p.uses})
                if i < len(recording.sites)
            ),
            parameters=tuple(p.name for p, _ in equal),
            measured=share,
            expected=1.0,
            limit=self.min_distinct_fraction,
            unit="fraction of rows",
            notes=(
                "components that are equal answer alike, receive equal gradients and take equal "
                "steps: the probe steps moved them and they did not part",
            ),
            help=(
                f"draw the rows at random: torch.nn.init.normal_({worst.name}), or start them at "
                "different samples of the data",
            ),
        )

    def _zero(self, recording: Recording, shut: Sequence[ShutFactor]) -> Iterator[Finding]:
        if not shut:
            return
        zeros, starved = _names(one.zeros for one in shut), _names(one.starved for one in shut)
        held_back = f", and {len(starved)} parameters before it stay as they are" if starved else ""
        yield self._finding(
            Severity.ERROR,
            f"{zeros[0]} is zero and so is what it is multiplied with: neither gets a gradient"
            f"{held_back}",
            sites=tuple(one.site for one in shut),
            parameters=(*zeros, *starved),
            measured=float(len(starved) or len(zeros)),
            expected=0.0,
            limit=0.0,
            unit="parameters",
            notes=(
                "the gradient of a product is one factor times the gradient of the product; where "
                "both are zero, both gradients are",
            ),
            help=(
                "start one of the two at random: torch.nn.init.normal_("
                f"{_partner(shut) or _other_factor(recording, starved, zeros) or zeros[-1]}, "
                "std=0.02)",
            ),
        )

    def _frozen(self, shut: Sequence[ShutFactor]) -> Iterator[Finding]:
        if not shut:
            return
        zeros, starved = _names(one.zeros for one in shut), _names(one.starved for one in shut)
        yield self._finding(
            Severity.WARNING,
            f"{zeros[0]} is zero and frozen, and shuts the only way to {len(starved)} trainable "
            "parameters",
            sites=tuple(one.site for one in shut),
            parameters=(*zeros, *starved),
            measured=float(len(starved)),
            expected=0.0,
            limit=0.0,
            unit="parameters",
            notes=(f"{starved[0]} gets exactly no gradient, and a frozen zero never opens",),
            help=(
                f"let it train: {zeros[0]}.requires_grad_(True), or start it at one",
                "where the branch is meant to be shut, freeze what stands before it too",
            ),
        )

    def _finding(self, severity: Severity, message: str, **parts: object) -> Finding:
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity,
            message=message,
            causes=(Cause.ZERO_INIT,),
            **parts,  # type: ignore[arg-type]
        )


def _hidden(recording: Recording) -> Iterator[_Layer]:
    """Yield the layers before the output layer whose weights are trained, each weight once."""
    now = {name: p for p in recording.parameters for name in (p.name, *p.aliases)}
    then = {p.name: p for p in recording.later.parameters} if recording.later is not None else {}
    seen: set[str] = set()
    for site in recording.signal_sites():
        if site.op not in _LAYERS or site.is_output:
            continue
        own = [now[name] for name in site.weights if name in now]
        weight = max((p for p in own if len(p.shape) > 1), key=lambda p: p.size, default=None)
        if weight is None or weight.name in seen or not weight.requires_grad:
            continue
        depthwise = len(weight.shape) > 2 and weight.shape[1] == 1
        if depthwise or weight.shape[0] < 2 or not weight.rms > 0.0:
            continue
        seen.add(weight.name)
        bias = next((p for p in own if len(p.shape) == 1), None)
        later = then.get(weight.name)
        yield _Layer(
            site,
            weight,
            later,
            bias,
            then.get(bias.name) if bias is not None else None,
            is_pulled(recording, weight, later, least=_MOVED),
        )


def _shut_behind_zeros(recording: Recording) -> list[ShutFactor]:
    """Find what the second look alone shows: zeros behind another that opened meanwhile.

    Behind a head of zeros nothing gets a gradient at the start, and no step can be told from
    another.
    """
    if recording.later is None:
        return []
    known = {p.name for p in recording.parameters if p.log10_grad_rms == -math.inf}
    here = {(one.path, one.op, one.call): one for one in recording.sites}
    found = []
    for one in shut_factors(recording.later):
        site = here.get((one.site.path, one.site.op, one.site.call))
        silent = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS].get(site) if site else 0.0
        if site is not None and silent == -math.inf and known.issuperset(one.zeros):
            found.append(replace(one, site=site))
    return found


def _copies(recording: Recording, trained: Sequence[Parameter]) -> list[list[Parameter]]:
    """Return the sets of weights that hold the same numbers, before and after the probe steps."""
    if recording.later is None:
        return []
    then = {p.name: p for p in recording.later.parameters}
    layers = (site for site in recording.signal_sites() if site.op in _LAYERS)
    depth = {name: site.depth for site in layers for name in site.weights}
    groups: list[list[Parameter]] = []
    for one in trained:
        if not (one.update_ratio > 10 * _MOVED and one.name in then and one.name in depth):
            continue
        if not is_pulled(recording, one, then[one.name], least=10 * _MOVED):
            continue
        for group in groups:
            first = group[0]
            side_by_side = depth[one.name] == depth[first.name]
            equal = side_by_side and _is_copy(one, first)
            if equal and _is_copy(then[one.name], then[first.name]):
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


def _equal_parts(
    recording: Recording, trained: Sequence[Parameter]
) -> Iterator[tuple[Parameter, float]]:
    """Yield parameters outside of layers whose rows are equal before and after the probe steps.

    Such are the centres of a mixture, prototypes, slots. The rows of a layer are its units, those
    of an embedding are looked up one by one, and those of an output layer belong to a target each.
    """
    if recording.later is None:
        return
    then = {p.name: p for p in recording.later.parameters}
    layers = {name for site in recording.sites if _is_layer(site) for name in site.weights}
    for one in trained:
        after = then.get(one.name)
        if after is None or layers & {one.name, *one.aliases} or not one.uses:
            continue
        alike = one.rms == 0.0 or one.distinct_fraction <= 1.0 / one.shape[0]
        changed = abs(after.rms - one.rms) / max(after.rms, one.rms, 1e-300)
        moved = max(changed, _or_zero(one.update_ratio)) > _MOVED
        moved = moved and is_pulled(recording, one, after, least=_MOVED)
        if alike and moved and after.distinct_fraction <= 1.0 / one.shape[0] + 1e-9:
            yield one, after.distinct_fraction


def _beyond_chance(
    recording: Recording, equal: Sequence[tuple[Parameter, float]]
) -> list[tuple[Parameter, float]]:
    """Keep the parameters whose rows cannot have stayed equal by chance.

    The first steps of Adam and its kin are as long for every gradient and show its sign alone.
    k rows of d numbers then take equal steps by chance once in 2^(d (k - 1)). Single numbers
    that each scale a signal of their own often have one sign, and do not count.
    """
    optimizer = recording.context.optimizer
    if optimizer is None or is_plain(optimizer):
        return list(equal)
    wiring = Wiring(recording)
    signs: Counter[int] = Counter()
    for one, _ in equal:
        rows, numbers = one.shape[0], one.size // one.shape[0]
        if numbers > 1 or _meet_one_signal(wiring, one):
            signs[rows] += numbers * (rows - 1)
    return [(one, share) for one, share in equal if signs[one.shape[0]] >= _MIN_SIGNS]


def _meet_one_signal(wiring: Wiring, parameter: Parameter) -> bool:
    """Tell whether all rows meet the same signal, so that what they make is as often as large."""
    inputs = [math.prod(d.shape) for d in wiring.recording.data if d.role is DataRole.INPUT]
    sites = wiring.recording.sites
    for site in (sites[use.site] for use in parameter.uses if use.site < len(sites)):
        met = [one.size for one in wiring.producers(site)] or inputs
        if not met or site.size < max(met) * parameter.shape[0]:
            return False
    return True


def _is_layer(site: Site) -> bool:
    """Tell whether the parameters of a site are a layer's, recurrent and normalising ones too."""
    words = ("norm", "embedding", "lstm", "gru", "rnn", "prelu")
    return site.op in _LAYERS or any(word in site.op for word in words)


def _is_copy(one: Parameter, other: Parameter) -> bool:
    """Tell whether two weights hold the same numbers, up to a tenth of what counts as moved."""
    near = 0.1 * _MOVED
    return (
        one.shape == other.shape
        and abs(one.fingerprint - other.fingerprint) <= near
        and abs(one.rms - other.rms) <= near * one.rms
    )


def _after(layer: _Layer) -> float:
    """Return the share of the units that differ after the probe steps."""
    return layer.distinct(after_steps=True)


def _partner(shut: Sequence[ShutFactor]) -> str:
    """Return a zero that the first zeros are multiplied with; empty where none is known."""
    return next((name for one in shut for name in one.partners), "")


def _other_factor(recording: Recording, starved: Sequence[str], zeros: Sequence[str]) -> str:
    """Return the last matrix of zeros that stands before the zeros, or else the first matrix."""
    before = {*starved}.difference(zeros)
    matrices = [p for p in recording.parameters if p.name in before and len(p.shape) > 1]
    empty = [p.name for p in matrices if p.rms == 0.0]
    return empty[-1] if empty else next((p.name for p in matrices), "")


def _names(groups: Iterator[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group))


def _or_zero(value: float) -> float:
    return value if math.isfinite(value) else 0.0
