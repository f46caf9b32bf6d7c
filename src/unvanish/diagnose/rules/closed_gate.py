"""UV303: gates that are shut so far that nothing behind them learns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Role, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.core.wiring import Wiring
from unvanish.diagnose.routers import is_frozen, routers
from unvanish.diagnose.upstream import Upstream
from unvanish.diagnose.words import percent
from unvanish.theory.softmax import chance_spread

_GATE_OPS: Final = frozenset({"sigmoid", "hardsigmoid", "glu"})
_MOVING: Final = frozenset(
    "view transpose permute expand unsqueeze squeeze slice select getitem reshape flatten split "
    "unsafe_split chunk unbind to contiguous clone".split()
)
_NAMES: Final = {"lstm": ("input", "forget", "output"), "gru": ("reset", "update")}
_FEWEST_CALLS: Final = 4


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate: a single site, or the same gate at every step of a recurrence.

    Attributes:
        sites: Where it is computed.
        opening: Mean over the sites of the share that it lets through.
        keeps_memory: Whether it multiplies the state that one time step hands to the next.
        steps: Where it lets new things into the state, the number of steps that it does so at;
            its opening is then the sum over them. 0 for any other gate.
        source: The layer that computes it.
        name: What to call it.
        carries: Whether its complement multiplies other signal, as a highway layer's carry does.
        is_only_way: Whether the state that it lets new things into starts empty and is read as
            small as it is, so that whatever is learnt of the sequence passes here twice.
    """

    sites: tuple[Site, ...]
    opening: float
    keeps_memory: bool
    steps: int
    source: Site | None
    name: str
    carries: bool = False
    is_only_way: bool = False


@final
@dataclass(frozen=True, kw_only=True)
class ClosedGate:
    """Gates are shut so far that nothing behind them learns.

    ## What it measures
    The mean of every gate: a sigmoid or hard sigmoid whose output is multiplied with other
    signal (highway networks, squeeze-and-excitation, GLU), and the gates inside LSTM and GRU,
    each over all time steps. What a gate g multiplies gets g times the gradient, and the gate
    itself learns through its slope g (1 - g), which is no larger.

    The limit is 0.001 (`min_opening`), the 3 decades of UV101. A gate that keeps the memory
    of a recurrence multiplies at every step; two steps lose 3 decades from 0.03 on
    (`min_opening_of_memory`, 10^-1.5). A gate is left alone if it is beyond its limit no
    longer after the probe steps.

    One gate often serves both ends of a memory: z keeps the old and 1 - z takes in the new
    (GRU, coupled gates). Nothing learns there either where it keeps too much. Over T steps a
    state takes up at most u = T times the mean of 1 - z, and this has to be 0.001.

    A state that starts at zero holds nothing but this. What is read from it is then u times as
    large, and so is the gradient that goes back, to the reading layer as to the cell: one step
    changes the answers u^2 times as much as with an open gate, while the output's own bias,
    which sets how large a learning rate may be, learns as before. At u = 0.01
    (`min_uptake`) 10^4 steps do what one would have done; below it is a warning, as an optimiser
    that rescales gradients makes up for one u of the two. Gates made for memories of T_max
    steps have 1 - z = 1 / T_max or, drawn as chrono initialisation does, ln(T_max) / T_max on
    average, so that u is T / T_max at least: 1 where T_max is the length of the sequence, and
    above the limit up to a memory of a hundred sequences. The limit stays at 0.001 where the
    state starts from other signal, as in a decoder or a message passing network, where other
    signal is added to it later, or where a normalisation brings it back to scale.

    Shut gates are an error in half of the layers that have any; the gates of one LSTM or GRU
    are one layer, since one shut gate shuts the cell.

    A router of experts is a gate as well: a softmax over as many choices as there are experts
    side by side. An expert is shut out when it gets less than a thousandth of an even share,
    averaged over the batch. Most of the experts shut out is a warning, all but one an error,
    and fewer are a note, since a batch may have no use for some. A router may also have
    chosen for good, each sample its own expert: more than half of its rows react to their
    scores less than a thousandth as strongly as an even one, as UV302 has it for attention.

    ## Why it hurts
    Behind a shut gate nothing learns, and the gate, whose slope is as small, does not open.

    ## When it stays silent
    Highway networks whose gates start at -1 to -4 (0.27 to 0.018) let enough through. Open
    gates, at 1, are fine: what they would hold back is passed on. Gates that are parameters
    (ReZero, LayerScale) are no activations and may start at zero. An expert that a batch did
    not happen to choose is not shut out as long as the router gives it some probability.

    ## False alarms
    A branch that was trained to be unused can be pruned and is reported all the same, as is a
    memory for far longer sequences than those it is shown. Gates at the network's output are
    answers and are not judged.

    ## What helps
    A bias of zero for the gate's layer, -1 to -3 for a highway gate, and of ln(number of
    steps) for the gate that keeps a memory. Input at unit scale where it is the input that
    drives the gate. For routers a loss that balances the load, and noise on the scores.

    ## Source
    Hochreiter and Schmidhuber (1997) for gates; Srivastava, Greff and Schmidhuber (2015) for
    the bias of highway gates; Shazeer and others (2017) for routers that favour few experts.
    """

    code: ClassVar[str] = "UV303"
    name: ClassVar[str] = "closed-gate"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["hochreiter1997"],
        SOURCES["srivastava2015"],
        SOURCES["shazeer2017"],
    )

    min_opening: float = 1e-3
    min_opening_of_memory: float = 10**-1.5
    min_uptake: float = 1e-2
    max_shut_fraction: float = 0.5
    max_frozen_fraction: float = 0.5
    min_share_of_chance_spread: float = 0.5

    def examine(self, recording: Recording) -> Verdict:
        """Judge the gates and the routers."""
        gates, unseen = _gates(recording)
        choosing = routers(Wiring(recording))
        if not gates and not choosing:
            if unseen is not None:
                return NotMeasured(f"how far the gate {unseen.name} is open")
            return NotApplicable("the network has no gates and no routed experts")
        found = []
        shut = self._stay_shut(recording, gates)
        if shut:
            found.append(self._shut(recording, shut, gates))
        for site in choosing:
            share = recording[Quantity.SHUT_FRACTION].get(site)
            if share > 0.0 and not _recovered(recording, site, share):
                found.append(self._left_out(recording, site, share))
            elif is_frozen(
                recording,
                site,
                share=self.max_frozen_fraction,
                of_chance=self.min_share_of_chance_spread,
            ):
                found.append(self._chosen(recording, site))
        if found:
            return Found(tuple(found))
        if not gates:
            return Clear(self.max_shut_fraction, "fraction of experts", "no expert is shut out")
        least = min(gates, key=lambda gate: gate.opening / self._limit(gate))
        return Clear(
            max(0.0, least.opening - self._limit(least)),
            "fraction let through",
            f"every gate lets at least {percent(least.opening, digits=1)} through",
        )

    def gates(self, recording: Recording) -> tuple[list[Gate], list[Gate]]:
        """Return every gate that was measured, and those that are shut and stay so."""
        gates, _ = _gates(recording)
        return gates, self._stay_shut(recording, gates)

    def _stay_shut(self, recording: Recording, gates: list[Gate]) -> list[Gate]:
        shut = [gate for gate in gates if gate.opening < self._limit(gate)]
        if shut and recording.later is not None:
            later, _ = _gates(recording.later)
            opened = {_key(gate) for gate in later if gate.opening >= self._limit(gate)}
            shut = [gate for gate in shut if _key(gate) not in opened]
        return shut

    def _limit(self, gate: Gate) -> float:
        if gate.keeps_memory:
            return self.min_opening_of_memory
        return self.min_uptake if gate.is_only_way else self.min_opening

    def _shut(self, recording: Recording, shut: list[Gate], gates: list[Gate]) -> Finding:
        worst = min(shut, key=lambda gate: gate.opening / self._limit(gate))
        causes, bias = _why_shut(recording, worst)
        others = f" ({len(shut)} of {len(gates)} gates are shut)" if len(shut) > 1 else ""
        passed = f"{100 * worst.opening:.2g} %" if worst.opening > 0.0 else "nothing"
        over = f" over {worst.steps} steps" if worst.steps else ""
        if worst.steps:
            why = (
                "it keeps the memory as it was, and what is new gets neither in nor a gradient; "
                "what it keeps and what it takes in sum to 1"
            )
        elif worst.keeps_memory:
            lost = -2 * math.log10(worst.opening) if worst.opening > 0.0 else math.inf
            why = (
                f"it multiplies the memory at every time step: after two steps {lost:.1f} decades "
                "of it and of its gradient are gone"
            )
        else:
            why = "what it multiplies and the gate itself keep no more than this of their gradient"
        notes = [why]
        if worst.is_only_way:
            notes.append(
                "the state starts at zero and holds no more than this, so that what is read from "
                "it and the gradient that goes back are both as small"
            )
        if recording.later is not None:
            notes.append("it is still shut after a few training steps on a copy")
        return Finding(
            code=self.code,
            name=self.name,
            severity=self._severity(shut, gates),
            message=f"{worst.name} is shut: it lets {passed} "
            f"{'of what is new in' if worst.steps else 'through'}{over}{others}",
            sites=tuple(gate.sites[0] for gate in shut),
            measured=worst.opening,
            expected=1.0 if worst.steps else 0.5,
            limit=self._limit(worst),
            unit="fraction let through",
            causes=causes,
            notes=tuple(notes),
            help=_help(worst, causes[0], bias),
        )

    def _severity(self, shut: list[Gate], gates: list[Gate]) -> Severity:
        """Return an error where half of the layers with gates let nothing learn behind them."""
        tight = [g for g in shut if not g.is_only_way or g.opening < self.min_opening]
        half = len({_place(gate) for gate in gates}) / 2
        return Severity.ERROR if len({_place(g) for g in tight}) >= half else Severity.WARNING

    def _left_out(self, recording: Recording, site: Site, share: float) -> Finding:
        experts = site.shape[-1]
        shut = round(share * experts)
        if share <= self.max_shut_fraction:
            severity = Severity.NOTE
        else:
            severity = Severity.ERROR if shut >= experts - 1 else Severity.WARNING
        biased = Upstream(recording).bias_rules(site)
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity,
            message=f"the router {site.name} shuts out {shut} of {experts} experts",
            sites=(site,),
            measured=share,
            expected=0.0,
            limit=self.max_shut_fraction,
            unit="fraction of experts",
            causes=(Cause.BIAS, Cause.SOFTMAX_SATURATION)
            if biased
            else (Cause.SOFTMAX_SATURATION,),
            notes=(
                "on average over the batch they get less than a thousandth of an even share, "
                "and so do their gradients and the router's own",
            ),
            help=(
                _SMALL_ROUTER,
                "add a loss that balances the experts: experts * (load * probability).sum()",
            ),
        )

    def _chosen(self, recording: Recording, site: Site) -> Finding:
        frozen = recording[Quantity.FROZEN_FRACTION][site]
        spread = recording[Quantity.SCORE_SPREAD][site]
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR if frozen > 0.9 else Severity.WARNING,
            message=f"the router {site.name} has chosen for good: {percent(frozen)} of its "
            "choices no longer react to their scores",
            sites=(site,),
            measured=frozen,
            expected=0.0,
            limit=self.max_frozen_fraction,
            unit="fraction of rows",
            causes=(Cause.SOFTMAX_SATURATION, Upstream(recording).why_large(site)),
            notes=(
                f"the scores of a sample lie {spread:.3g} apart (standard deviation); random "
                f"scores freeze half of the choices from {chance_spread(site.shape[-1]):.0f} on",
            ),
            help=(_SMALL_ROUTER,),
        )


_SMALL_ROUTER: Final = (
    "start the router small: torch.nn.init.normal_(router.weight, std=0.02), with a bias of zero"
)


def _place(gate: Gate) -> tuple[object, ...]:
    """Return the cell or layer a gate belongs to: one shut gate of a cell shuts the cell."""
    first = gate.sites[0]
    return (first.path,) if first.function.removesuffix("_cell") in _NAMES else (first.index,)


def _key(gate: Gate) -> tuple[str, str, int, int, int]:
    first = gate.sites[0]
    return first.path, first.op, first.call, len(gate.sites), gate.steps


def _recovered(recording: Recording, site: Site, share: float) -> bool:
    """Tell whether fewer experts are shut out after the probe steps."""
    if recording.later is None:
        return False
    for one in recording.later.sites:
        if (one.path, one.op, one.call) == (site.path, site.op, site.call):
            return recording.later[Quantity.SHUT_FRACTION].get(one, share) < share
    return False


def _why_shut(recording: Recording, gate: Gate) -> tuple[tuple[Cause, ...], str]:
    """Blame the constant that is added where it makes up what shuts the gate.

    Samples and units that differ leave some of a gate's values open. A gate that is shut on
    average is shut by what enters it on average, which a bias adds, or a number in the code, or
    the weights, if what they multiply is large or has a mean.

    Returns:
        The causes, and the name of the largest bias or a word for it.
    """
    if gate.source is None:
        return (Cause.SATURATION,), "bias"
    upstream, wiring, last = Upstream(recording), Wiring(recording), gate.sites[-1]
    layers = _added_up(wiring, last) or [gate.source]
    biases = {p.name: p for site in layers if (p := upstream.bias(site)) is not None}
    half = _size(recording, wiring, gate, layers) / 2
    # A cell keeps the biases of up to four gates in one vector: its rms is half of one gate's.
    if biases and 2 * sum(p.rms for p in biases.values()) >= half:
        return (Cause.BIAS, Cause.SATURATION), max(biases.values(), key=lambda p: p.rms).name
    if _written_constant(wiring, last) >= half:
        return (Cause.BIAS, Cause.SATURATION), "bias"
    return (upstream.why_large(last), Cause.SATURATION), "bias"


def _size(recording: Recording, wiring: Wiring, gate: Gate, layers: Sequence[Site]) -> float:
    """Return the size of what enters a gate, and how far from zero it has to lie at least.

    Inside a cell nothing of it is measured but the data that enter the first layer.
    """
    upstream = Upstream(recording)
    before = wiring.producers(gate.sites[-1])
    measured = max((upstream.rms(site) for site in before), default=0.0)
    data = recording[Quantity.INPUT_RMS]
    brought = [data[site] * upstream.gain(site) for site in layers if site in data]
    distance = -math.log(gate.opening / max(1, gate.steps)) if gate.opening > 0.0 else 3.0
    return max(distance, measured, *(size for size in brought if size > 0.0))


def _added_up(wiring: Wiring, gate: Site) -> list[Site]:
    """Return the layers and the biases whose sum enters a gate."""
    found: dict[int, Site] = {}
    stack = wiring.producers(gate)
    seen = {site.index for site in stack}
    while stack:
        site = stack.pop()
        if site.weights:
            found[site.index] = site
        if site.op in ("add", "sub") or (not site.weights and site.op in _MOVING):
            fresh = [one for one in wiring.producers(site) if one.index not in seen]
            seen.update(one.index for one in fresh)
            stack.extend(fresh)
    return list(found.values())


def _written_constant(wiring: Wiring, gate: Site) -> float:
    """Return the size of a number that the code adds before a gate, 0 where there is none."""
    means = wiring.recording[Quantity.ACTIVATION_MEAN]
    before, total = wiring.producers(gate), 0.0
    while len(before) == 1 and not before[0].weights and before[0].op in ("add", "sub", *_MOVING):
        site, before = before[0], wiring.producers(before[0])
        if site.op in ("add", "sub") and len(before) == 1:
            shift = means.get(site) - means.get(before[0])
            total += 0.0 if math.isnan(shift) else shift
    return abs(total)


def _help(gate: Gate, cause: Cause, bias: str) -> tuple[str, ...]:
    if gate.steps:
        return (
            f"start the gate with a bias of ln(steps) = {math.log(gate.steps):.1f} and no more: "
            "it then takes in 1 / steps of what is new at every step",
        )
    if gate.keeps_memory:
        return (
            "start the gate that keeps the memory open: in torch.nn.LSTM and torch.nn.GRU "
            "torch.nn.init.constant_(rnn.bias_hh_l0[hidden:2 * hidden], math.log(steps))",
        )
    if cause is Cause.INPUT_SCALE:
        return ("scale the input to mean 0 and standard deviation 1 per feature",)
    if cause is Cause.INIT_TOO_LARGE:
        weight = next(iter(gate.source.weights), "weight") if gate.source else "weight"
        return (f"initialise the gate's layer smaller: torch.nn.init.xavier_normal_({weight})",)
    return (
        f"start the gate's bias at zero: torch.nn.init.zeros_({bias}); at -1 to -3 in a highway "
        "network",
    )


def _gates(recording: Recording) -> tuple[list[Gate], Site | None]:
    """Return every gate that was measured, and one that was not."""
    wiring = Wiring(recording)
    means = recording[Quantity.GATE_MEAN]
    groups: dict[tuple[object, ...], list[Site]] = {}
    sources: dict[int, Site | None] = {}
    unseen = None
    for site in recording.signal_sites():
        if site.op not in _GATE_OPS or site.is_output:
            continue
        if not means.get(site) >= 0.0:
            unseen = site if site.gates or site.op == "glu" else unseen
            continue
        source = sources[site.index] = wiring.source(site)
        key = (site.path, site.op, source.weights) if source is not None else (site.index,)
        groups.setdefault(key, []).append(site)
    found = [gate for sites in groups.values() for gate in _one_by_one(wiring, sites, sources)]
    return found, unseen


def _one_by_one(
    wiring: Wiring, sites: list[Site], sources: Mapping[int, Site | None]
) -> Iterator[Gate]:
    """Take the steps of a recurrence apart into its gates, each over all steps."""
    calls = {source.index: source for s in sites if (source := sources[s.index]) is not None}
    steps = len(calls)
    recurrent = (
        steps >= _FEWEST_CALLS
        and len({source.depth for source in calls.values()}) == steps
        and len(sites) % steps == 0
    )
    period = len(sites) // steps if recurrent else len(sites)
    for k in range(period):
        column = tuple(sites[k::period])
        first = column[0]
        source = sources[first.index]
        names = _NAMES.get(first.function.removesuffix("_cell"), ())
        inside = recurrent and len(names) == period
        name = f"the {names[k]} gate of {first.path}" if inside else f"the gate {first.name}"
        carries = _carries(wiring, first)
        for opening, keeps_memory, taken in _openings(wiring, column, recurrent=recurrent):
            alone = taken > 0 and _is_only_way(wiring, column)
            yield Gate(column, opening, keeps_memory, taken, source, name, carries, alone)


def _openings(
    wiring: Wiring, column: tuple[Site, ...], *, recurrent: bool
) -> Iterator[tuple[float, bool, int]]:
    """Yield how far a gate is open, whether it keeps a memory, and the steps it takes in at.

    None for what is no gate; two for one that keeps the old and takes in the new.
    """
    profile = wiring.recording[Quantity.GATE_MEAN]
    if column[0].op == "glu":
        yield sum(profile[site] for site in column) / len(column), False, 0
        return
    plain: list[float] = []
    reverse: list[float] = []
    memory: list[float] = []
    taken: list[float] = []
    for site in column:
        for product, opening, complement in _uses(wiring, site):
            passed = 1.0 - opening if complement else opening
            kept = _kept(wiring, product, site, passed) if recurrent else math.nan
            if not math.isnan(kept):
                memory.append(kept)
                taken.append(1.0 - kept)
            elif recurrent and _carries_memory(wiring, product, site):
                memory.append(passed)
            else:
                (reverse if complement else plain).append(passed)
    if memory:
        yield _mean(memory), True, 0
        taken = taken or plain + reverse
        if taken:
            yield min(1.0, len(column) * _mean(taken)), False, len(column)
    elif plain:
        yield _mean(plain), False, 0


def _is_only_way(wiring: Wiring, column: tuple[Site, ...]) -> bool:
    """Tell whether a state holds nothing but what its gate took in, and is read as it is.

    It starts as a constant; later no other signal is added to it, and no normalisation brings
    it back to scale.
    """
    if any(_keeps_signal(wiring, product, column[0]) for product, _, _ in _uses(wiring, column[0])):
        return False
    totals = [
        {
            total.index: total
            for product, _, _ in _uses(wiring, site)
            for total in wiring.consumers(product)
            if total.op == "add"
        }
        for site in column
    ]
    if not totals[-1]:
        return False
    made = _after(wiring, {index: site for step in totals for index, site in step.items()})
    return not any(
        "norm" in site.op
        or (site.op in ("add", "sub") and any(p.index not in made for p in wiring.producers(site)))
        for index, site in _after(wiring, totals[-1]).items()
        if index not in totals[-1]
    )


def _after(wiring: Wiring, sites: Mapping[int, Site]) -> dict[int, Site]:
    """Return some sites and the signal that is computed from them."""
    found, stack = dict(sites), list(sites.values())
    while stack:
        for site in wiring.consumers(stack.pop()):
            if site.index not in found and site.role is Role.SIGNAL:
                found[site.index] = site
                stack.append(site)
    return found


def _keeps_signal(wiring: Wiring, product: Site, gate: Site) -> bool:
    """Tell whether a product takes over a signal that was there before the gate."""
    kept = _kept(wiring, product, gate, 0.0)
    return not math.isnan(kept) or _carries_memory(wiring, product, gate)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _kept(wiring: Wiring, product: Site, gate: Site, opening: float) -> float:
    """Return the share of the state that a blend g (a - b) + b keeps; ``nan`` for no blend."""
    apart = [site for site in wiring.producers(product) if site.op in ("sub", "rsub")]
    for ends in (wiring.producers(site) for site in apart):
        for total in wiring.consumers(product):
            added = {site.index for site in wiring.producers(total)}
            if total.op != "add" or len(ends) != 2:
                continue
            start = [site for site in ends if site.index in added]
            old = [site for site in ends if site.depth < gate.depth]
            if len(start) == len(old) == 1:
                return 1.0 - opening if start == old else opening
    return math.nan


def _uses(wiring: Wiring, gate: Site) -> Iterator[tuple[Site, float, bool]]:
    """Yield the products with other signal, how far the gate is open, and whether reversed.

    Several gates may be computed at once and taken apart; the least open one then counts.
    """
    profile = wiring.recording[Quantity.GATE_MEAN]
    stack = [(gate, profile[gate], False)]
    seen = {gate.index}
    while stack:
        site, opening, complement = stack.pop()
        for consumer in wiring.consumers(site):
            if consumer.index in seen:
                continue
            seen.add(consumer.index)
            alone = len(wiring.producers(consumer)) == 1
            if consumer.op == "mul" and not alone:
                yield consumer, opening, complement
            elif alone and consumer.op in _MOVING:
                stack.append((consumer, profile.get(consumer, opening), complement))
            elif alone and consumer.op in ("sub", "rsub"):
                stack.append((consumer, opening, not complement))


def _carries(wiring: Wiring, gate: Site) -> bool:
    """Tell whether what a gate leaves is carried on: t a + (1 - t) b, or t (a - b) + b."""
    stack, seen = [gate], {gate.index}
    while stack:
        for consumer in wiring.consumers(stack.pop()):
            alone = len(wiring.producers(consumer)) == 1 and consumer.index not in seen
            seen.add(consumer.index)
            if alone and consumer.op in _MOVING:
                stack.append(consumer)
            elif alone and consumer.op in ("sub", "rsub"):
                if any(after.op == "mul" for after in wiring.consumers(consumer)):
                    return True
            elif consumer.op == "mul" and _is_blend(wiring, consumer):
                return True
    return False


def _is_blend(wiring: Wiring, product: Site) -> bool:
    """Tell whether one end of the difference that a gate multiplies is added to the product."""
    apart = [site for site in wiring.producers(product) if site.op in ("sub", "rsub")]
    ends = {end.index for site in apart for end in wiring.producers(site)}
    return any(
        total.op == "add" and any(one.index in ends for one in wiring.producers(total))
        for total in wiring.consumers(product)
    )


def _carries_memory(wiring: Wiring, product: Site, gate: Site) -> bool:
    """Tell whether a product takes over state of an earlier step as it is."""
    after = wiring.consumers(product)
    if not after or not all(site.op in ("add", "sub") for site in after):
        return False
    stack = wiring.producers(product)
    seen = {site.index for site in stack}
    while stack:
        site = stack.pop()
        if site.depth < gate.depth:
            return True
        if site.op in _MOVING or site.op in ("sub", "neg"):
            fresh = [one for one in wiring.producers(site) if one.index not in seen]
            seen.update(one.index for one in fresh)
            stack.extend(fresh)
    return False
