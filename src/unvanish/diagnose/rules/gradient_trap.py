"""UV505: a known trap on the way through the network cuts the gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.incidents import Cut
from unvanish.core.records import Parameter, Recording, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.cuts import (
    are_a_target,
    cut_off,
    derivatives_of,
    draws_of,
    named,
    site_of,
    watched,
)
from unvanish.diagnose.traps import DERIVATIVE_HELP, DRAW, Trap, trap_of

_SMOOTH_WRITES: Final = frozenset(
    "clamp clamp_min clamp_max clip relu leaky_relu threshold tanh sigmoid exp log sqrt abs square "
    "pow add sub mul div neg masked_fill fill zero zeros dropout softmax".split()
)
"""Functions that have a derivative of their own: leaving it out is no estimator of anything."""


@final
@dataclass(frozen=True, kw_only=True)
class GradientTrap:
    """A known trap on the way through the network cuts the gradient, or bends it.

    ## What it measures
    Every call that the loss depends on is followed, with and without gradient, and each
    trainable parameter that reaches the loss but gets no gradient back is traced to the call
    where its gradient ends. Known traps are named: a reentrant checkpoint none of whose inputs
    asks for a gradient, `torch.no_grad()`, `.data`, a way through numpy or Python numbers,
    `torch.tensor(x)` and `nn.Parameter(x)` in forward, and a hand-written backward pass that
    returns None. The limit is zero parameters (`max_trapped_parameters`).

    `distribution.sample()` draws under `no_grad` what `rsample()` draws with a gradient. Where
    parameters make the distribution, and layers with trainable weights work on what was drawn,
    these parameters learn from the rest of the loss alone: a warning, although each has a
    gradient. An autoencoder then learns its prior and nothing of its data.

    `torch.autograd.grad` without `create_graph=True` gives a derivative that carries no gradient,
    and so do the functions of `torch.autograd.functional`. Where it was taken of what parameters
    compute, and its value comes to the loss, these parameters learn nothing from it: a warning. An
    equation is then never learnt, a gradient penalty is a constant.

    A write into a tensor that carries a gradient, behind autograd's back
    (`h.data.clamp_(0)`), cuts nothing: the gradient flows as if nothing had been written. How
    wrong it is then, a difference of the loss along the first step tells: over what the
    gradient predicts, it is 1 where the gradient is right. A ratio r bounds the cosine of the
    angle to the true gradient by r times the ratio of their norms. A write by a function that has
    a derivative of its own is a warning where r is below a quarter (`min_slope_ratio`), and a note
    above: ReLU by `.data` has r near 0.6 in 2 layers of width 64, which train, and below 0.1 in 8,
    which do not.

    A forward pass may also write into its parameters. What the optimiser changed is compared
    with what the next forward pass leaves of it: a warning below a tenth (`min_kept_fraction`),
    as where weights are replaced by their signs. A projection, such as a bound on a norm, keeps
    most of a step.

    ## Why it hurts
    The parameters behind the trap keep their first value for good, without an error. UV501
    lists them; this page is about the trap.

    ## When it stays silent
    On a plain `.detach()`, which says what it does, while UV501 reports what it cuts off. On
    operations that have no derivative, such as argmax, which are a matter of UV205. On
    calls that cut nothing: metrics and logging with `.item()`, stop-gradients beside a path
    that carries the gradient (straight-through, VQ-VAE, SimSiam), running statistics, EMA
    copies. On straight-through estimators by `.data`, which round or take signs. On what an
    installed library cuts off of its own, which UV501 notes. On teachers and target networks,
    known by the optimiser that does not hold them or, while none is known, by a living twin in
    another branch. On writes into parameters that keep the steps. On draws whose likelihood is
    computed, as that of an action in a policy gradient, on those that have no `rsample()`, on
    those that only the loss sees, as a target, and on those that a `.detach()` follows. On
    derivatives by weights, along which an inner step of a first-order method goes; on those that
    layers with weights are given, as in an adversarial example; on those behind a `sign()` or a
    `.detach()`; on those that only scale what carries a gradient, as in a surrogate; and on all in
    evaluation mode, where `create_graph=self.training` takes none.

    ## False alarms
    A backbone fed under `no_grad` on purpose, with parameters still marked trainable, looks
    trapped until the optimiser is given or `requires_grad_(False)` is called. Writing a
    quantised value into `.data` is a straight-through estimator of sorts, and trains. A forecast
    that is fed its own draws while it trains may be meant to have no gradient through them. A
    derivative that is meant as a constant target, without a `.detach()` that says so.

    ## What helps
    Each finding says what to write in place of the trap.

    ## Source
    Paszke and others (2019): gradients flow only along recorded operations. Chen and others
    (2016) for checkpointing. Kingma and Welling (2014) for draws with a gradient.
    """

    code: ClassVar[str] = "UV505"
    name: ClassVar[str] = "gradient-trap"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["paszke2019"],
        SOURCES["chen2016"],
        SOURCES["kingma2014"],
    )

    max_trapped_parameters: int = 0
    min_slope_ratio: float = 0.25
    min_kept_fraction: float = 0.1

    def examine(self, recording: Recording) -> Verdict:
        """Trace every parameter that is cut off to the call that cuts it."""
        if not recording.parameters:
            return NotMeasured("parameters, and which of them the gradient reaches")
        trainable = watched(recording)
        if not trainable:
            return NotApplicable("no parameter is trainable: all are frozen")
        findings = self._trapped(recording)
        findings += [self._drawn(recording, cut) for cut in draws_of(recording)]
        findings += [self._derived(recording, cut) for cut in derivatives_of(recording)]
        writes = [cut for cut in recording.cuts if cut.writes]
        if writes:
            findings.append(self._written(recording, writes))
        undone = [p for p in trainable if p.kept_fraction < self.min_kept_fraction]
        if undone:
            findings.append(self._undone(undone))
        if findings:
            return Found(tuple(findings))
        return Clear(summary=f"no known trap cuts off one of {len(trainable)} trainable parameters")

    def _trapped(self, recording: Recording) -> list[Finding]:
        cut = cut_off(recording)
        if len(cut) <= self.max_trapped_parameters or are_a_target(recording, cut):
            return []
        caught: dict[str, list[Parameter]] = {}
        places: dict[str, tuple[Trap, list[Site]]] = {}
        for parameter in cut:
            found = trap_of(recording, parameter)
            if found is None:
                continue
            trap, site = found
            caught.setdefault(trap.kind, []).append(parameter)
            sites = places.setdefault(trap.kind, (trap, []))[1]
            if site not in sites:
                sites.append(site)
        return [self._finding(*places[kind], caught[kind]) for kind in caught]

    def _finding(self, trap: Trap, sites: Sequence[Site], hit: Sequence[Parameter]) -> Finding:
        one = len(hit) == 1
        place = f" at {sites[0].source}" if sites[0].source else ""
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR,
            message=trap.does.format(
                op=_spoken(sites[0]),
                who=named(hit),
                end=named(hit).removesuffix(","),
                s="s" if one else "",
            ),
            sites=tuple(sites),
            parameters=tuple(p.name for p in hit),
            measured=float(len(hit)),
            expected=0.0,
            limit=float(self.max_trapped_parameters),
            unit="parameters",
            causes=(Cause.DETACHED_GRAPH,),
            notes=(f"the gradient ends{place or ' in ' + (sites[0].path or 'the model')}",),
            help=trap.help,
        )

    def _drawn(self, recording: Recording, draw: Cut) -> Finding:
        place = f" at {draw.source}" if draw.source else f" in {draw.path or 'the model'}"
        spoken = ".sample()" if draw.under == "sample" else "torch.normal() under torch.no_grad()"
        return self._half(
            recording,
            draw,
            does=f"{spoken}{place} draws without a gradient",
            learns=f"nothing from what {draw.feeds[0]} makes of the draw",
            notes=(
                f"the gradient ends{place}",
                "what gradient they get comes from the rest of the loss, such as a divergence from "
                "a prior, which alone takes everything out of the draw",
            ),
            help=DRAW.help,
        )

    def _derived(self, recording: Recording, derivative: Cut) -> Finding:
        place = f" at {derivative.source}" if derivative.source else " in the loss"
        module = "torch.autograd" if derivative.op == "grad" else "torch.autograd.functional"
        return self._half(
            recording,
            derivative,
            does=f"{module}.{derivative.op}{place} gives the loss a derivative without a gradient",
            learns="nothing from it",
            notes=(
                f"the gradient ends{place}",
                "what gradient there is comes from the rest of the loss: an equation that holds "
                "the derivative is not learnt, a penalty on it does nothing",
            ),
            help=DERIVATIVE_HELP,
        )

    def _half(
        self,
        recording: Recording,
        cut: Cut,
        *,
        does: str,
        learns: str,
        notes: tuple[str, ...],
        help: tuple[str, ...],
    ) -> Finding:
        """Return the finding on a call that keeps some of the gradient from parameters."""
        names = set(cut.parameters)
        hit = [p for p in watched(recording) if p.name in names and (p.has_grad or not cut.feeds)]
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message=f"{does}: {named(hit)} learn{'s' if len(hit) == 1 else ''} {learns}",
            sites=(site_of(cut),),
            parameters=tuple(p.name for p in hit),
            measured=float(len(hit)),
            expected=0.0,
            limit=float(self.max_trapped_parameters),
            unit="parameters",
            causes=(Cause.DETACHED_GRAPH,),
            notes=notes,
            help=help,
        )

    def _written(self, recording: Recording, writes: Sequence[Cut]) -> Finding:
        first = writes[0]
        place = f" at {first.source}" if first.source else f" in {first.path or 'the model'}"
        others = f", and {len(writes) - 1} more calls do" if len(writes) > 1 else ""
        ratio = recording.steps[0].slope_ratio if recording.steps else math.nan
        is_wrong = ratio < self.min_slope_ratio and all(c.op in _SMOOTH_WRITES for c in writes)
        finding = Finding(
            code=self.code,
            name=self.name,
            severity=Severity.NOTE,
            message=f"{first.op}{place} writes into a tensor behind autograd's back{others}",
            sites=tuple(map(site_of, writes)),
            measured=float(len(writes)),
            expected=0.0,
            limit=0.0,
            unit="writes",
            causes=(Cause.DETACHED_GRAPH,),
            notes=(
                "the gradient flows as if nothing had been written: right for a straight-through "
                "estimator, and wrong for a clamp, a mask or a scale",
            ),
            help=("write the step without .data and outside torch.no_grad(): h = h.clamp(min=0)",),
        )
        if not is_wrong:
            return finding
        return replace(
            finding,
            severity=Severity.WARNING,
            message=f"{finding.message}, and the gradient is not that of the loss",
            measured=ratio,
            expected=1.0,
            limit=self.min_slope_ratio,
            unit="of the slope that the gradient predicts",
            notes=(
                "the gradient flows as if nothing had been written: along the first step the loss "
                f"falls by {ratio:.2g} of what it predicts",
            ),
        )

    def _undone(self, undone: Sequence[Parameter]) -> Finding:
        most = max(p.kept_fraction for p in undone)
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message=f"the forward pass writes over {named(undone).removesuffix(',')}, and undoes "
            "what the optimiser changed",
            parameters=tuple(p.name for p in undone),
            measured=most,
            expected=1.0,
            limit=self.min_kept_fraction,
            unit="of the first step that is left after the next forward pass",
            causes=(Cause.DETACHED_GRAPH, Cause.PRECISION),
            notes=("steps that are too small to change what is written never add up",),
            help=(
                "leave the parameter as it is and compute with a copy: "
                "w = self.weight + (quantised - self.weight).detach()",
            ),
        )


def _spoken(site: Site) -> str:
    return f"nn.{site.op}()" if site.op == "Parameter" else site.op
