"""Which causes lost the decades, read off the exact ledger.

`explain` follows the strongest path and says for every operation on it how many decades it
took, so that the parts add up to the whole. Here those between the output layer and a starved
level are sorted by what can be done about them.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from unvanish.core.explanations import Factor, Term
from unvanish.core.findings import Cause
from unvanish.core.flow import Flow, Level
from unvanish.core.glossary import Quantity
from unvanish.core.records import Profile, Recording, Role, Site
from unvanish.diagnose.neighbours import VIEWS
from unvanish.diagnose.propagation import structure
from unvanish.explain.composites import collapsed
from unvanish.explain.ledger import operations_of

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
_NO_SHARE: Final = 0.1
"""Share of the decades below which the weights are no cause."""
_HOOK: Final = "a hook on the gradient"

_SILENT: Final = "a silent step"
_HELP_SILENT: Final = (
    "bring what it reads to its threshold: a lower threshold, larger weights, or inputs of the "
    "scale that the threshold was made for",
    "or give it a slope that is never zero, such as 1 / (1 + |v|)^2 in place of a window",
)
_KEEPING_ZERO: Final = VIEWS | frozenset({"mul", "mean", "sum", "div", "stack", "cat"})


@dataclass(frozen=True, slots=True)
class LossFactors:
    """Where the lost decades went, and what follows from it.

    Attributes:
        causes: Largest share first.
        summary: The decades of every operation in one sentence; where nothing arrives, what
            stops it. Beside the ledger itself it would say the same twice.
        notes: What else is to be said of them.
        help: What to do about the largest share.
    """

    causes: tuple[Cause, ...]
    summary: str
    notes: tuple[str, ...]
    help: tuple[str, ...]


@dataclass(slots=True)
class _Bill:
    """Decades lost along one path, by the operation that lost them.

    Attributes:
        by_op: Operation to decades; weights of every layer stand under one name.
        counts: Operation to how often it stands on the path.
        caps: Activation to what its largest slope alone explains of its loss.
        activations: Activation to all that it lost.
        others: Operation to decades, for steps that are no activation, weight or norm.
        saturated: Part that flat ends explain, on top of the cap.
        gated: Part that activations without flat ends lost, such as the half of a ReLU.
        norm: Part lost in normalisations behind the sum of skip and branch.
    """

    by_op: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    counts: Counter[str] = field(default_factory=Counter)
    caps: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    activations: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    others: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    saturated: float = 0.0
    gated: float = 0.0
    norm: float = 0.0

    def ranked(self) -> list[tuple[str, float]]:
        """Return operations with the decades they lost, most first."""
        return sorted(self.by_op.items(), key=lambda item: -item[1])

    @property
    def activation(self) -> str:
        """The activation that lost most."""
        return max(self.activations, key=lambda op: self.activations[op], default="the activation")

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
        cause, summary, name = _why_zero(recording, worst)
        causes = (cause, *structure(recording, flow))
        return LossFactors(causes, summary, (), _fill(cause, name))
    bill = _bill(recording, worst.widest, flow.output.widest)
    shares = {
        Cause.ACTIVATION_SLOPE: bill.cap,
        Cause.SATURATION: bill.saturated,
        # A ReLU halves the energy by design; weights of critical size make up for it.
        Cause.INIT_TOO_SMALL: bill.by_op[_WEIGHTS] + bill.gated,
        Cause.POST_NORM: bill.norm,
        Cause.DEPTH_WITHOUT_SKIP: bill.other,
    }
    ranked = sorted(shares, key=lambda cause: -shares[cause])
    found = [cause for cause in ranked if shares[cause] > 0.1 * total] or ranked[:1]
    found += [cause for cause in structure(recording, flow) if cause not in found]
    return LossFactors(
        tuple(found),
        _summary(bill, total),
        tuple(_notes(recording, bill, total)),
        _fill(found[0], bill.activation),
    )


def _bill(recording: Recording, bottom: Site, top: Site) -> _Bill:
    """Sort the operations of the ledger between two sites."""
    bill = _Bill()
    recording = collapsed(recording)
    behind = _behind_sums(recording)
    for term in _operations(_judged(recording), bottom, top):
        if math.isfinite(term.log10_gain):
            _enter(bill, recording.sites[term.sites[0]], term, behind)
    return bill


def _operations(recording: Recording, bottom: Site, top: Site) -> list[Term]:
    """Return the operations on the strongest path between two sites, or to the output."""
    if bottom not in recording[Quantity.LOG10_LEDGER_GRAD_NORM]:
        return []
    path = operations_of(recording, bottom.index)
    start = next((i for i, term in enumerate(path) if term.sites[0] == top.index), 0)
    return path[start:]


def _judged(recording: Recording) -> Recording:
    """Return a recording whose ledger is that of the gradient the flow was read from.

    Random signs at the output take the way through the whole network, where the loss may have
    a shorter one: the divergence of an autoencoder, an auxiliary head.
    """
    grads = recording[Quantity.LOG10_PROBE_GRAD_RMS]
    if not len(grads):
        grads = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    sites = recording.sites
    norms = {i: v + 0.5 * math.log10(max(1, sites[i].size)) for i, v in grads.values.items()}
    ledger = Profile(Quantity.LOG10_LEDGER_GRAD_NORM, norms)
    return replace(recording, profiles={**recording.profiles, ledger.quantity: ledger})


def _behind_sums(recording: Recording) -> set[int]:
    """Return the steps that work on the sum of two signals, as a norm behind a skip does."""
    signals: Counter[int] = Counter()
    for edge in recording.edges:
        if recording.sites[edge.producer].role is Role.SIGNAL:
            signals[edge.consumer] += 1
    sums = {i for i, n in signals.items() if n > 1 and recording.sites[i].op in ("add", "iadd")}
    return {edge.consumer for edge in recording.edges if edge.producer in sums}


def _enter(bill: _Bill, site: Site, term: Term, behind_sums: set[int]) -> None:
    """Enter one operation under its kind."""
    lost = -term.log10_gain
    caps = [leaf.log10_gain for leaf in term.children if leaf.factor is Factor.SLOPE_CAP]
    if any(leaf.factor is Factor.HOOK for leaf in term.children):
        op = _HOOK
        bill.others[op] += lost
    elif caps:
        cap = max(0.0, -caps[0])
        bill.caps[site.op] += cap
        bill.activations[site.op] += lost
        if site.can_saturate:
            bill.saturated += lost - cap
        else:
            bill.gated += lost - cap
        op = site.op
    elif site.weights and "norm" not in site.op:
        op = _WEIGHTS
    else:
        op = site.op
        if "norm" in op and site.index in behind_sums:
            bill.norm += lost
        else:
            bill.others[op] += lost
    bill.by_op[op] += lost
    bill.counts[op] += 1


def _summary(bill: _Bill, total: float) -> str:
    """Say in a sentence which operations took the decades."""
    least = max(0.1, 0.05 * total)
    parts = [
        f"{op} took {lost:.1f} (x{10 ** (-lost / bill.counts[op]):.3g} each time)"
        for op, lost in bill.ranked()
        if lost >= least
    ]
    gains = [f"{op} gave back {-lost:.1f}" for op, lost in bill.by_op.items() if -lost >= least]
    return f"of {total:.1f} decades lost, {', '.join(parts + gains)}" if parts else ""


def _notes(recording: Recording, bill: _Bill, total: float) -> Iterator[str]:
    """Say what the bill means: a design that cannot do better, a step that only scales."""
    if bill.cap > 0.5 * total:
        activation = max(bill.caps, key=lambda op: bill.caps[op])
        caps = {s.slope_cap for s in recording.sites if s.op == activation and s.slope_cap > 0.0}
        most = f"more than {max(caps):g}" if caps else "all"
        yield (
            f"{activation} never passes {most} of the gradient, whatever "
            "the data: this is the network's design, not a bug in the loop"
        )
    if bill.other > 0.5 * total and bill.others:
        op = max(bill.others, key=lambda op: bill.others[op])
        sites = collapsed(recording).sites
        place = next((str(s.source) for s in sites if s.op == op and s.source), "")
        where = f" at {place}" if place else ""
        innocent = bill.by_op[_WEIGHTS] < _NO_SHARE * total
        also = "; weights are not the cause" if innocent else ", and the weights do as well"
        yield f"{op}{where} scales the gradient down each time{also}"


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
        if "dropout" not in killer.op and _is_silent(recording, killer):
            silent = (
                f"{killer.name}{where} answers 0 to every sample: what it reads lies where its "
                "slope is zero, as far below a threshold"
            )
            return Cause.ACTIVATION_SLOPE, silent, _SILENT
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


def _is_silent(recording: Recording, step: Site) -> bool:
    """Tell whether a step answers nothing but zeros.

    A function with a backward pass of the user's own is not measured itself; what is made of
    it alone is.
    """
    size = recording[Quantity.ACTIVATION_RMS]
    if step in size:
        return size[step] == 0.0
    before: dict[int, set[int]] = {}
    for edge in recording.edges:
        before.setdefault(edge.consumer, set()).add(edge.producer)
    made, sizes = {step.index}, []
    for site in recording.sites[step.index + 1 :]:
        own = before.get(site.index, set())
        alike = {recording.sites[i].op == step.op for i in own - made} <= {True}
        if own & made and alike and site.op in _KEEPING_ZERO:
            made.add(site.index)
            sizes.append(size.get(site))
    return any(value == 0.0 for value in sizes) and not any(value > 0.0 for value in sizes)


def _fill(cause: Cause, activation: str) -> tuple[str, ...]:
    if activation == _SILENT:
        return _HELP_SILENT
    lines: Iterable[str] = _HELP.get(cause, ())
    return tuple(line.format(activation=activation) for line in lines)
