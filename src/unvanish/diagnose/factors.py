"""Where the lost decades went: along the strongest path, operation by operation.

From a starved layer the path follows, at every step, the use that sends back most gradient.
What is lost along it is the sum over its edges, log10(contribution / gradient at the
consumer), and over its merges, so the parts add up to the whole.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from unvanish.core.findings import Cause
from unvanish.core.flow import Flow, Level
from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Recording, Role, Site
from unvanish.diagnose.propagation import structure

_HELP: Final = {
    Cause.ACTIVATION_SLOPE: (
        "replace {activation} by torch.nn.ReLU() and initialise with "
        "torch.nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')",
        "or keep {activation} and put a batch normalisation before each one; layer "
        "normalisation or Xavier alone does not cure a deep sigmoid network",
    ),
    Cause.SATURATION: (
        "bring the pre-activations back to unit scale: smaller weights, inputs with mean 0 "
        "and standard deviation 1, or a normalisation before {activation}",
    ),
    Cause.INIT_TOO_SMALL: (
        "initialise larger: torch.nn.init.kaiming_normal_(layer.weight, nonlinearity='relu') "
        "for ReLU, torch.nn.init.xavier_normal_(layer.weight) for tanh; PyTorch's default "
        "for nn.Linear has a third of the variance that tanh needs, a sixth of ReLU's",
        "or add skip connections: x = x + block(x)",
    ),
    Cause.POST_NORM: (
        "move the normalisation into the branch: x = x + block(norm(x)) instead of "
        "x = norm(x + block(x))",
    ),
    Cause.DEPTH_WITHOUT_SKIP: (
        "add skip connections, x = x + block(x), or take out the step that scales the signal "
        "down at every layer",
    ),
    Cause.BIAS: (
        "no sample switches these units on: start their biases at zero, "
        "torch.nn.init.zeros_(layer.bias), or use torch.nn.LeakyReLU()",
    ),
    Cause.DETACHED_GRAPH: (
        "let {activation} pass the gradient on: look at its arguments, at hooks on it, and at "
        "the backward pass where it is written by hand",
    ),
    Cause.ZERO_INIT: (
        "a weight on the only path is exactly zero and stays so: initialise it with "
        "torch.nn.init.normal_(layer.weight, std=1e-2)",
    ),
}


_WEIGHTS: Final = "the weights"


@dataclass(frozen=True, slots=True)
class LossFactors:
    """Where the lost decades went, and what follows from it."""

    causes: tuple[Cause, ...]
    notes: tuple[str, ...]
    help: tuple[str, ...]


@dataclass(slots=True)
class _Ledger:
    """Decades lost along one path, by the operation that lost them.

    Attributes:
        by_op: Operation to decades; weights of every layer stand under one name.
        counts: Operation to how often it stands on the path.
        caps: Activation to what its largest slope alone explains of its loss.
        others: Operation to decades, for steps that are no activation, weight or norm.
        saturated: Part that flat ends explain, on top of the cap.
        gated: Part that activations without flat ends lost, such as the half of a ReLU.
        norm: Part lost in normalisations.
        merges: Part gained (negative) or lost where paths join.
        activation: The activation that lost most.
    """

    by_op: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    counts: Counter[str] = field(default_factory=Counter)
    caps: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    others: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    saturated: float = 0.0
    gated: float = 0.0
    norm: float = 0.0
    merges: float = 0.0
    activation: str = "the activation"

    def ranked(self) -> list[tuple[str, float]]:
        """Return operations with the decades they lost, most first."""
        return sorted(self.by_op.items(), key=lambda item: -item[1])

    @property
    def cap(self) -> float:
        """Decades that the largest slopes of the activations alone explain."""
        return sum(self.caps.values())

    @property
    def other(self) -> float:
        """Decades lost in steps that are no activation, weight or norm."""
        return sum(self.others.values())


def loss_factors(recording: Recording, flow: Flow, worst: Level) -> LossFactors:
    """Say which operations lost the gradient on the way to a starved level.

    Args:
        recording: What was observed.
        flow: The flow that was judged.
        worst: The starved level.

    Returns:
        Causes, largest share first, with the sentences that go with them.
    """
    total = flow.lost(worst)
    if worst.log10_grad == -math.inf:
        cause, note, name = _why_zero(recording, worst)
        return LossFactors((cause, *structure(recording, flow)), (note,), _fill(cause, name))
    ledger = _walk(recording, flow, worst)
    shares = {
        Cause.ACTIVATION_SLOPE: ledger.cap,
        Cause.SATURATION: ledger.saturated,
        # A ReLU halves the energy by design; weights of critical size make up for it.
        Cause.INIT_TOO_SMALL: ledger.by_op[_WEIGHTS] + ledger.gated,
        Cause.POST_NORM: ledger.norm,
        Cause.DEPTH_WITHOUT_SKIP: ledger.other,
    }
    ranked = sorted(shares, key=lambda cause: -shares[cause])
    causes = [cause for cause in ranked if shares[cause] > 0.1 * total] or ranked[:1]
    causes += [cause for cause in structure(recording, flow) if cause not in causes]
    return LossFactors(
        tuple(causes), _notes(recording, ledger, total), _fill(causes[0], ledger.activation)
    )


def _walk(recording: Recording, flow: Flow, worst: Level) -> _Ledger:
    grads = recording[
        Quantity.LOG10_PROBE_GRAD_RMS
        if len(recording[Quantity.LOG10_PROBE_GRAD_RMS])
        else Quantity.LOG10_ACTIVATION_GRAD_RMS
    ]
    sites = recording.sites
    log10 = {i: v + 0.5 * math.log10(max(1, sites[i].size)) for i, v in grads.values.items()}
    uses: dict[int, list[Edge]] = {}
    for edge in recording.edges:
        if edge.consumer in log10 and sites[edge.consumer].role is Role.SIGNAL:
            uses.setdefault(edge.producer, []).append(edge)
    ledger = _Ledger()
    lost_by: dict[str, float] = defaultdict(float)
    here, end = worst.widest.index, flow.output.widest.index
    while here != end and uses.get(here):
        edge = max(uses[here], key=lambda e: log10[e.consumer] + e.log10_gain)
        sent = log10[edge.consumer] + edge.log10_gain
        if not math.isfinite(sent) or not math.isfinite(log10[here]):
            break
        ledger.merges += sent - log10[here]
        _book(recording, ledger, lost_by, sites[edge.consumer], -edge.log10_gain)
        here = edge.consumer
    if lost_by:
        ledger.activation = max(lost_by, key=lambda op: lost_by[op])
    return ledger


def _book(
    recording: Recording, ledger: _Ledger, lost_by: dict[str, float], site: Site, lost: float
) -> None:
    """Enter one step of the path under its kind."""
    slopes = recording[Quantity.SLOPE_RMS]
    if site in slopes and site.slope_cap > 0:
        cap = -math.log10(min(1.0, site.slope_cap))
        ledger.caps[site.op] += cap
        if site.can_saturate:
            ledger.saturated += lost - cap
        else:
            ledger.gated += lost - cap
        lost_by[site.op] += lost
        ledger.by_op[site.op] += lost
        ledger.counts[site.op] += 1
    elif site.weights and "norm" not in site.op:
        ledger.by_op[_WEIGHTS] += lost
        ledger.counts[_WEIGHTS] += 1
    else:
        if "norm" in site.op:
            ledger.norm += lost
        else:
            ledger.others[site.op] += lost
        ledger.by_op[site.op] += lost
        ledger.counts[site.op] += 1


def _notes(recording: Recording, ledger: _Ledger, total: float) -> tuple[str, ...]:
    parts = [
        f"{op} took {lost:.1f} (x{10 ** (-lost / ledger.counts[op]):.3g} each time)"
        for op, lost in ledger.ranked()
        if lost >= max(0.1, 0.05 * total)
    ]
    gains = [
        f"{op} gave back {-lost:.1f}"
        for op, lost in ledger.by_op.items()
        if -lost >= max(0.1, 0.05 * total)
    ]
    notes = []
    if parts:
        notes.append(f"of {total:.1f} decades lost, {', '.join(parts + gains)}")
    if ledger.cap > 0.5 * total:
        activation = max(ledger.caps, key=lambda op: ledger.caps[op])
        caps = {s.slope_cap for s in recording.sites if s.op == activation and s.slope_cap > 0.0}
        notes.append(
            f"{activation} never passes more than {max(caps):g} of the gradient, whatever "
            "the data: this is the network's design, not a bug in the loop"
        )
    if ledger.other > 0.5 * total and ledger.others:
        op = max(ledger.others, key=lambda op: ledger.others[op])
        place = next((str(s.source) for s in recording.sites if s.op == op and s.source), "")
        where = f" at {place}" if place else ""
        notes.append(f"{op}{where} scales the gradient down each time; weights are not the cause")
    return tuple(notes)


def _why_zero(recording: Recording, worst: Level) -> tuple[Cause, str, str]:
    """Find the step where a living gradient becomes exactly zero."""
    slopes = recording[Quantity.SLOPE_RMS]
    for site in reversed(recording.sites):
        if site.role is Role.SIGNAL and slopes.get(site) == 0.0 and site.depth >= worst.depth:
            if site.slope_cap == 0.0:
                note = f"{site.name} has slope zero everywhere and lets no gradient through"
                return Cause.ACTIVATION_SLOPE, note, site.op
            return Cause.BIAS, f"the slope of {site.name} is zero for every sample", site.op
    killer = _killer(recording)
    if killer is not None:
        where = f" at {killer.source}" if killer.source else ""
        passes = f"{killer.name}{where} passes no gradient on, though one arrives there"
        if killer.weights:
            zero = [p.name for p in recording.parameters if p.name in killer.weights and not p.rms]
            what = f"{zero[0]} is all zero and passes no gradient on" if zero else passes
            return Cause.ZERO_INIT, what, killer.op
        if killer.op == "mul":
            return Cause.ZERO_INIT, passes, killer.op
        if not math.isnan(killer.slope_cap):
            return Cause.ACTIVATION_SLOPE, passes, killer.op
        return Cause.DETACHED_GRAPH, passes, killer.op
    return (
        Cause.ZERO_INIT,
        f"the gradient at {worst.layer.name} is exactly zero even with exponents kept apart",
        "the activation",
    )


def _killer(recording: Recording) -> Site | None:
    """Return the last step in forward order that receives gradient and sends none on."""
    grads = recording[Quantity.LOG10_PROBE_GRAD_RMS]
    if not len(grads):
        grads = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    signal = {s.index for s in recording.signal_sites()}
    sends: dict[int, list[float]] = {}
    for edge in recording.edges:
        if edge.producer in signal and edge.consumer in signal:
            sends.setdefault(edge.consumer, []).append(edge.log10_gain)
    for index in sorted(sends, reverse=True):
        alive = math.isfinite(grads.get(index))
        if alive and all(gain == -math.inf for gain in sends[index]):
            return recording.sites[index]
    return None


def _fill(cause: Cause, activation: str) -> tuple[str, ...]:
    lines: Iterable[str] = _HELP.get(cause, ())
    return tuple(line.format(activation=activation) for line in lines)
