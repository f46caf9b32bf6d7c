"""UV205: steps whose derivative is zero wherever it exists."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.incidents import Cut, Lookup
from unvanish.core.records import Parameter, Recording, Role, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.cuts import named
from unvanish.diagnose.neighbours import Neighbours
from unvanish.diagnose.number_format import product_lost_to_zero
from unvanish.diagnose.sampled import DRAWS, DeafDraw, deaf_draws
from unvanish.diagnose.second_derivatives import flat_derivatives

_STEPS: Final = DRAWS | frozenset("sign sgn round floor ceil trunc fix div heaviside".split())
"""Functions of steps and of chance; ``div`` is one where it rounds."""

_CLAMPS: Final = frozenset("clamp clip clamp_min clamp_max minimum maximum".split())

_COMPARISONS: Final = frozenset(
    "gt lt ge le eq ne greater less greater_equal less_equal not_equal isclose".split()
)

_RANKINGS: Final = frozenset("topk sort max min kthvalue median mode cummax cummin".split())
"""Calls that give out values with a gradient, and indices without one."""

_CHOICES: Final = (
    _COMPARISONS
    | _RANKINGS
    | frozenset(
        "argmax argmin argsort long int short bool byte to type one_hot multinomial bucketize "
        "searchsorted nonzero logical_and logical_or logical_not logical_xor".split()
    )
)
"""Calls whose answer is an index or a truth value: no gradient comes out of them at all."""

_SELECTIONS: Final = frozenset("max min topk sort kthvalue mode median cummax cummin".split())
"""Calls that answer values with a gradient, and indices without one."""


_IN_LOGARITHMS: Final = (
    "compute in logarithms throughout: torch.logsumexp(log_a[:, :, None] + log_move, 1) in place "
    "of a @ move, and a sum of logarithms in place of a product",
    "or scale each step to a sum of 1 and add up the logarithms of the scales",
)


@final
@dataclass(frozen=True, kw_only=True)
class ZeroDerivative:
    """The only way back to a parameter leads through a step that passes no gradient.

    ## What it measures
    Two kinds of steps. Functions of steps (sign, round, floor, ceil, trunc, a rounded
    division), draws (torch.normal, torch.bernoulli, torch.poisson) and clamps whose every entry
    is out of range have a derivative of exactly zero: a gradient arrives and nothing leaves; so do
    a minimum and a maximum that always take the other number. Choices (argmax, the indices of
    topk, a comparison, a cast to integers, a multinomial draw) give out no gradient at all. Both
    are harmless where another way leads round them, so what is counted is the trainable parameters
    behind such a step that get an exact zero, or nothing, from the whole loss. The limit is none
    (`max_starved_parameters`): a derivative that is zero everywhere does not become another one by
    training.

    A clamp may hold a zero that is the number format's: a product of many probabilities is
    smaller than float32 can say, comes out as zero and is clamped away from there. Then the
    cause is the precision, and no other bound helps.

    A choice may also stand between the network's answer and the target: ranks, the class that
    was chosen, a comparison. What is only added to a loss leaves its gradient as it is, so where
    the target meets nothing else, and is then at most added to what carries the gradient, no
    gradient depends on it, and only penalties beside it are learned.

    A choice may also look up the rows of a table, as the nearest code of a codebook. Where what
    was compared with the rows is as long as they are, and layers with trainable weights work on
    them, an encoder learns nothing of what these layers make of its codes. It need not starve: a
    commitment term pulls what it makes towards the rows, until both are one point. It is found
    where no gradient from such a layer comes back to the encoder by any way, although the
    encoder has a gradient, and is a warning.

    A draw need not starve what it is drawn by either: an encoder whose code comes out of
    torch.normal(mean, std) still learns from the divergence of that code from its prior, and hears
    nothing of the reconstruction. A draw is a warning where layers with trainable weights work on
    it and get a gradient, and no way but through it leads from them back to parameters that it is
    drawn by.

    A derivative inside of the loss has a derivative of its own. That of a network of ReLUs is
    constant between its kinks, so what `torch.autograd.grad` returns the second time is zero and
    depends on no parameter: the residual of a differential equation of second order teaches such
    a network nothing, while its boundary terms go down. It is found where such a result gets a
    gradient and passes none on to any parameter, and is a warning. First derivatives, as of a
    gradient penalty, depend on the weights and are none of this.

    ## Why it hurts
    The parameters behind the step keep their first values, without an error and without a
    word; what follows the step learns from random features.

    ## When it stays silent
    On straight-through estimators, by `x + (x.round() - x).detach()` or by a function with a
    backward pass of its own, on `x.sign() * x.abs().sqrt()`, and wherever else the parameters are
    reached some other way (the gate of a mixture of experts, the straight-through copy of a
    codebook, Gumbel-softmax, the likelihood of what was chosen); on rows that are chosen by data or
    by networks that are frozen or run under `no_grad`, and on those that only the loss sees, or a
    layer behind a `.detach()`; on steps that only data, constants and frozen parameters pass; on
    clamps inside the loss, where a margin that is kept is a zero on purpose. On draws that reach
    the loss without a layer between, on those whose likelihood is computed, as that of an action,
    on dropout by hand, on the samples of a Boltzmann machine, whose weights stand on both sides,
    and on noise where another call of the same layers sees what it was drawn by.

    ## False alarms
    Parameters that another method trains (evolution, a running average) while they ask for a
    gradient are counted, unless the optimiser is known and leaves them out. A target network whose
    twin learns is left out too. A network that is fed the word it finds likeliest, by an embedding
    that is its output layer too, may be meant to have no gradient through it. A clamp may be out of
    range on this batch alone. Of two networks that learn from each other's draws, as those of wake
    and sleep do, neither is meant to hear the other.

    ## What helps
    A straight-through estimator: forward the hard value, backward the soft one; for a codebook the
    gradient of the rows, handed on to what they were compared with. Or a soft step: a sigmoid or a
    softmax with a temperature, Gumbel-softmax for a choice, a score function estimator (REINFORCE)
    for a draw; `mean + std * torch.randn_like(std)` for a normal one.

    ## Source
    Bengio, Léonard and Courville (2013) on steps without a gradient and the straight-through
    estimator; van den Oord, Vinyals and Kavukcuoglu (2017), section 3.2, on codebooks; Kingma and
    Welling (2014), section 2.4, on draws.
    """

    code: ClassVar[str] = "UV205"
    name: ClassVar[str] = "zero-derivative"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["bengio2013"],
        SOURCES["oord2017"],
        SOURCES["kingma2014"],
    )

    max_starved_parameters: int = 0

    def examine(self, recording: Recording) -> Verdict:
        """Judge every step without a derivative by what it leaves behind."""
        arrived = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
        steps = [
            site
            for site in recording.sites
            if site.op in _STEPS or (site.op in _CLAMPS and site.role is not Role.LOSS)
        ]
        choices = [
            cut
            for cut in recording.cuts
            if cut.op in _CHOICES or (cut.op in _SELECTIONS and not cut.under)
        ]
        if steps and not len(arrived):
            return NotMeasured(f"the gradient that arrives at {steps[0].name}")
        walls = [site for site in steps if arrived.get(site) > -math.inf]
        starving = _Starving(recording)
        starved = [(site, starving.behind(site)) for site in reversed(walls)]
        starved += [(_place(cut), starving.cut_off_by(cut)) for cut in choices]
        neighbours = Neighbours(recording)
        findings = [self._finding(neighbours, group) for group in _by_operation(starved)]
        if blinding := [cut for cut in choices if cut.blinds]:
            findings.append(self._blind(blinding))
        looked_up = [
            (one, hit) for one in recording.lookups if (hit := _taught_beside(one, recording))
        ]
        findings += [self._looked_up(one, hit) for one, hit in looked_up]
        said = {site for finding in findings for site in finding.sites}
        findings += [self._drawn(one) for one in deaf_draws(recording) if one.sites[0] not in said]
        flat = list(flat_derivatives(neighbours))
        if flat:
            findings.append(self._flat(flat))
        if any(finding.measured > self.max_starved_parameters for finding in findings):
            return Found(tuple(findings))
        if not walls and not choices and not recording.lookups:
            return NotApplicable(
                "no step has a derivative of zero, as round has, and no choice is made"
            )
        return Clear(
            summary="every parameter behind a step without a derivative is reached another way",
        )

    def _flat(self, flat: Sequence[tuple[Site, str]]) -> Finding:
        site, function = flat[0]
        place = f" at {site.source}" if site.source else ""
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message=f"what torch.autograd.grad returns{place} depends on no parameter: the second "
            f"derivative of {function} is zero",
            sites=tuple(site for site, _ in flat),
            measured=float(len(flat)),
            expected=0.0,
            limit=0.0,
            unit="derivatives in the loss that no parameter has a part in",
            causes=(Cause.ACTIVATION_SLOPE, Cause.DETACHED_GRAPH),
            notes=(
                f"a network of {function} is linear between its kinks: its second derivative is "
                "zero wherever the parameters go, so the part of the loss that is made of it "
                "teaches nothing",
            ),
            help=(
                f"take a smooth activation in place of {function}: torch.nn.Tanh(), "
                "torch.nn.SiLU(), torch.nn.Softplus() or a sine",
            ),
        )

    def _looked_up(self, rows: Lookup, hit: Sequence[Parameter]) -> Finding:
        place = f" at {rows.source}" if rows.source else f" in {rows.path or 'the model'}"
        table = f" of {rows.table[0]}" if rows.table else ""
        one = len(hit) == 1
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message=f"the rows{table} that {rows.op} chooses{place} hand no gradient back: "
            f"{named(hit)} learn{'s' if one else ''} nothing from what {rows.feeds[0]} makes of "
            "them",
            sites=(Site(index=-1, path=rows.path, op=rows.op, source=rows.source),),
            parameters=tuple(parameter.name for parameter in hit),
            measured=float(len(hit)),
            expected=0.0,
            limit=float(self.max_starved_parameters),
            unit="parameters",
            causes=(Cause.DETACHED_GRAPH,),
            notes=(
                "what gradient they get comes from the rest of the loss, such as a commitment "
                "term, which alone draws all codes together",
            ),
            help=(
                "hand the gradient of the rows z_q on to what they were compared with: give the "
                "layers z_e + (z_q - z_e).detach(), and the loss z_q itself",
                "where the loss has no term for the rows, give the layers "
                "z_q + (z_e - z_e.detach())",
            ),
        )

    def _drawn(self, draw: DeafDraw) -> Finding:
        site = draw.sites[0]
        place = f"at {site.source}" if site.source else f"in {site.path or 'the model'}"
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message=f"torch.{site.op}() {place} has a derivative of zero: {named(draw.deaf)} "
            f"learn{'s' if len(draw.deaf) == 1 else ''} nothing from what {draw.feeds[0]} makes of "
            "the draw",
            sites=draw.sites,
            parameters=tuple(parameter.name for parameter in draw.deaf),
            measured=float(len(draw.deaf)),
            expected=0.0,
            limit=float(self.max_starved_parameters),
            unit="parameters",
            causes=(Cause.DETACHED_GRAPH,),
            notes=(
                "what gradient they get comes from the rest of the loss, such as a divergence from "
                "a prior, which alone takes everything out of the draw",
            ),
            help=_help(site),
        )

    def _blind(self, cuts: Sequence[Cut]) -> Finding:
        nearest = _place(cuts[-1])
        spoken = "a comparison" if nearest.op in _COMPARISONS else nearest.op
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR,
            message=f"the loss compares the target with what {spoken} gives out, which has no "
            "gradient: nothing that is learned depends on the target",
            sites=tuple(dict.fromkeys(map(_place, reversed(cuts)))),
            measured=1.0,
            expected=0.0,
            limit=0.0,
            unit="share of the target that no gradient depends on",
            causes=(Cause.DETACHED_GRAPH, Cause.ACTIVATION_SLOPE),
            notes=(
                "the gradient that is left belongs to the rest of the loss, such as a penalty on "
                "the size of the outputs",
            ),
            help=_help(nearest),
        )

    def _finding(self, neighbours: Neighbours, group: Mapping[Site, list[Parameter]]) -> Finding:
        site = next(iter(group))
        lost = product_lost_to_zero(neighbours, site) if site.op in _CLAMPS else None
        names = tuple(dict.fromkeys(p.name for starved in group.values() for p in starved))
        is_choice = site.index < 0
        hard = "clamps every entry" if site.op in _CLAMPS else "has a derivative of zero"
        what = "gives out no gradient" if is_choice else hard
        spoken = "a comparison" if site.op in _COMPARISONS else site.op
        spoken = f"the index from {site.op}" if is_choice and site.op in _RANKINGS else spoken
        if is_choice and site.op in _SELECTIONS:
            spoken = f"the index of {site.op}"
        place = f"in {site.path or 'the model'}"
        if len(group) > 1:
            place += f" and {len(group) - 1} more places"
        behind = (
            f"{names[0]} has no other way to learn"
            if len(names) == 1
            else f"{names[0]} and {len(names) - 1} more parameters have no other way to learn"
        )
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR,
            message=f"{spoken}, {place}, {what}, and {behind}"
            if len(group) > 1
            else f"{spoken} {place} {what}, and {behind}",
            sites=tuple(group),
            parameters=names,
            measured=float(len(names)),
            expected=0.0,
            limit=float(self.max_starved_parameters),
            unit="parameters",
            causes=_causes(is_choice=is_choice, is_lost=lost is not None),
            notes=(
                f"what it is given is zero: {lost.name} multiplies numbers that are too small "
                "for the number format, and rounds to zero",
            )
            if lost
            else ("every entry lies outside of the clamp's range on this batch",)
            if site.op in _CLAMPS
            else ("training cannot mend it: the derivative is zero wherever the parameters go",),
            help=_IN_LOGARITHMS if lost else _help(site),
        )


def _causes(*, is_choice: bool, is_lost: bool) -> tuple[Cause, ...]:
    if is_lost:
        return (Cause.PRECISION, Cause.ACTIVATION_SLOPE)
    return (Cause.DETACHED_GRAPH if is_choice else Cause.ACTIVATION_SLOPE,)


@dataclass(frozen=True)
class _Starving:
    """The trainable parameters that get an exact zero from the loss, or nothing."""

    recording: Recording

    def behind(self, wall: Site) -> list[Parameter]:
        """Return the parameters with an exact zero whose way to the loss leads through a step."""
        neighbours = Neighbours(self.recording)
        if any(edge.log10_gain > -math.inf for edge in neighbours.edges_into(wall)):
            return []
        arrived = self.recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
        stack, seen = [wall], {wall.index}
        while stack:
            for site in neighbours.producers(stack.pop()):
                if site.index not in seen and arrived.get(site) == -math.inf:
                    seen.add(site.index)
                    stack.append(site)
        names = {name for i in seen - {wall.index} for name in self.recording.sites[i].weights}
        return [
            parameter
            for parameter in self.recording.parameters
            if _is_watched(parameter)
            and parameter.has_grad
            and parameter.log10_grad_rms == -math.inf
            and (parameter.name in names or any(use.site in seen for use in parameter.uses))
        ]

    def cut_off_by(self, cut: Cut) -> list[Parameter]:
        """Return the parameters without a gradient whose values pass a choice."""
        names = set(cut.parameters)
        return [
            parameter
            for parameter in self.recording.parameters
            if parameter.name in names
            and _is_watched(parameter)
            and parameter.feeds_loss
            and not parameter.has_grad
            and not parameter.left_out_by
            and not self._has_a_living_twin(parameter)
        ]

    def _has_a_living_twin(self, parameter: Parameter) -> bool:
        """Tell whether another branch learns the same parameter, as behind a target network."""
        branch, _, inner = parameter.name.partition(".")
        return parameter.in_optimizer is None and any(
            other.has_grad
            and other.shape == parameter.shape
            and other.name.partition(".")[2] == inner
            and other.name.partition(".")[0] != branch
            and "." in inner
            for other in self.recording.parameters
        )


def _taught_beside(rows: Lookup, recording: Recording) -> list[Parameter]:
    """Return the encoder's parameters, where they learn and layers that can learn use the rows."""
    by_name = {parameter.name: parameter for parameter in recording.parameters}
    if not any(name in by_name and _is_watched(by_name[name]) for name in rows.feeds):
        return []
    names = set(rows.parameters)
    return [
        one
        for one in recording.parameters
        if one.name in names and _is_watched(one) and one.has_grad
    ]


def _is_watched(parameter: Parameter) -> bool:
    return parameter.requires_grad and parameter.in_optimizer is not False


def _place(cut: Cut) -> Site:
    return Site(index=-1, path=cut.path, op=cut.op, source=cut.source)


def _by_operation(
    starved: Iterable[tuple[Site, list[Parameter]]],
) -> list[dict[Site, list[Parameter]]]:
    """Collect the places by operation; a parameter counts for the first place it is behind."""
    named: set[str] = set()
    groups: dict[tuple[str, bool], dict[Site, list[Parameter]]] = {}
    for site, parameters in starved:
        new = [p for p in parameters if p.name not in named]
        if new:
            named.update(p.name for p in new)
            groups.setdefault((site.op, site.index < 0), {})[site] = new
    return list(groups.values())


def _help(site: Site) -> tuple[str, ...]:
    if site.op in ("argsort", "sort", "searchsorted", "bucketize"):
        return (
            "compare the values themselves: a correlation of values, or a loss on pairs, such as "
            "torch.nn.functional.margin_ranking_loss",
            "or use soft ranks: torch.sigmoid((x[:, None] - x) / temperature).sum(0)",
        )
    if site.op in _CLAMPS:
        return (
            "choose bounds that the values can meet, or scale the values into them",
            "or use a smooth bound, such as torch.tanh or torch.sigmoid",
        )
    if site.op == "normal":
        return (
            "use mean + std * torch.randn_like(std) in place of torch.normal(mean, std): the same "
            "numbers, with the gradient of both",
            "where the draw is an action, put its log_prob() into the loss",
        )
    if site.op == "poisson":
        return (
            "use a score function estimator: loss = (log_prob * reward.detach()).mean()",
            "or hand the gradient on to the rate: y = rate + (sample - rate).detach()",
        )
    if site.op in ("bernoulli", "multinomial"):
        return (
            "use torch.nn.functional.gumbel_softmax(logits, hard=True), or a straight-through "
            "estimator: y = p + (sample - p).detach()",
            "or a score function estimator: loss = (log_prob * reward.detach()).mean()",
        )
    if site.op in ("argmax", "argmin", "one_hot") or site.op in _SELECTIONS:
        return (
            "use torch.nn.functional.gumbel_softmax(logits, hard=True), or a softmax in place of "
            "the choice",
            "or let the chosen value carry the score: y = expert(x) * gate",
        )
    return (
        f"use a straight-through estimator: y = x + ({site.op}(x) - x).detach()",
        "or a soft step: torch.sigmoid(x / temperature)",
    )
