"""Carry gate: gates that hand a signal on start so open that it survives all steps or layers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch

from unvanish.core.errors import UnvanishError
from unvanish.core.glossary import Quantity
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Recording, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.core.wiring import Wiring
from unvanish.diagnose.rules.closed_gate import ClosedGate, Gate
from unvanish.observe.copies import copied
from unvanish.observe.tracing import trace
from unvanish.theory.recurrent import carrying_bias
from unvanish.treat.gates import Shifted, scores_of
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.recurrent import cells_of
from unvanish.treat.remedies.open_gate import candidates, read_openings, set_entries, written
from unvanish.treat.surgery import Surgery

_LEAST: Final = 1.0
"""The smallest bias towards carrying, that of a highway layer of its own."""
_FEWEST: Final = 3
"""Steps or layers from which what is carried can fade."""
_GAIN: Final = 1.0
"""Decades that a bias has to win for the gradient between the first gate and the last."""
_MOST_PARTS: Final = 4
"""Gates that one sigmoid may make at once."""
_AS_GOOD: Final = 0.5
"""Decades within which two ways to open a gate are equally good."""


@dataclass(frozen=True, slots=True)
class _Chain:
    """Gates through which one signal is handed on.

    Attributes:
        name: What to call it.
        gates: One gate for each layer, or the one of a recurrence.
        length: How many layers or steps.
    """

    name: str
    gates: tuple[Gate, ...]
    length: int


@dataclass(frozen=True, slots=True)
class _Opening:
    """What to set.

    Attributes:
        settings: Name of a bias to entries and value.
        decades: What the gradient then loses between the last gate and the first.
        entries: How many entries are set.
    """

    settings: dict[str, str]
    decades: float
    entries: int


@final
@dataclass(frozen=True, kw_only=True)
class CarryGate:
    r"""Set the bias of gates that hand a signal on, so that it survives all steps or layers.

    ## When to use
    A highway network, an LSTM or a GRU that is written out by hand and whose gradient fades on its
    way (UV101, UV301), although no single gate is shut: a gate of 0.5 leaves 10^-12 of what it
    carries over 40 steps.

    ## What it changes
    The entries of a bias that belong to the gate that carries, and nothing else. It starts where
    what is carried falls by e over all n steps or layers: sigmoid(b)^n = 1 / e, about b = ln n.
    Which of several gates that one layer makes is the one that carries, and whether it is opened by
    b or by -b, is found by trying them on a copy: where the gradient arrives best at the first.

    ## What it costs
    What was learnt in these entries.

    ## Settings
    For each bias which of its entries get what: ``0:32 = 3.68``.

    ## Where we differ
    Gers and others and Srivastava and others choose one number by hand, 1 or -1 to -4. Here it
    follows from the number of steps or layers.

    ## Composes with
    Any initialisation of weights. Not with open-gate, forget-bias, chrono, gated-cell and
    lstm-cell, which set the same biases.

    ## Evidence
    `unvanish cure` on two files of benchmarks/outside_cures/beta, means of five seeds of 200 steps,
    at rates chosen alike: highway.py, 30 layers whose transform gates start at 3, reaches an
    accuracy of 1.00 (0.63 untreated, as is chance), the gradient loses 0.0 decades between its last
    gate and its first (23.9); ticket_lstm.py, a written-out LSTM over 40 steps whose gates start at
    -1.5, 1.00 (0.26; chance 0.25), and the gradient loses 1.4 decades (26.6).

    ## Source
    Gers, Schmidhuber and Cummins (2000); Srivastava, Greff and Schmidhuber (2015), section 2.2;
    Tallec and Ollivier (2018), section 2.
    """

    name: ClassVar[str] = "carry-gate"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV103", "UV301", "UV303"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["gers2000"],
        SOURCES["srivastava2015"],
        SOURCES["tallec2018"],
    )
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset(
        {"open-gate", "forget-bias", "chrono", "gated-cell", "lstm-cell"}
    )

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network in which a signal fades through gates that a bias can open."""
        chains = list(_chains(case))
        if not chains:
            return NotApplicable("no gate that is written out carries a signal on")
        settings: dict[str, str] = {}
        said = why = ""
        for chain in chains:
            before = _faded(case.recording, chain)
            if before < _GAIN:
                said = said or f"{chain.name} hands its gradient on: {before:.1f} decades are lost"
                continue
            best = _best(case, chain)
            if best is None or best.decades > before - _GAIN:
                said = f"no trained bias lets the gradient through {chain.name}"
                continue
            settings |= best.settings
            why = why or (
                f"through {chain.name} the gradient loses {before:.1f} decades, and "
                f"{max(0.0, best.decades):.1f} with the bias that fits {chain.length} of them"
            )
        if not settings:
            return NotApplicable(said)
        return Prescription(
            remedy=self.name,
            why=why,
            change=self.change,
            keeps=self.keeps,
            settings=settings,
            places=tuple(settings),
            cost="what these biases have learnt",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Set the entries."""
        for name in prescription.places:
            for entries, value in read_openings(str(prescription.settings[name])):
                set_entries(patient.surgery, name, value, entries)


def _chains(case: Case) -> Iterator[_Chain]:
    """Yield the gates through which a signal is handed on, the ready-made cells left out."""
    gates, _ = ClosedGate().gates(case.recording)
    ready = {cell.weight for cell in cells_of(case)}
    own = [g for g in gates if g.source is None or not ready.intersection(g.source.weights)]
    layers = [g for g in own if g.carries and len(g.sites) == 1]
    if len(layers) >= _FEWEST:
        layers.sort(key=lambda gate: gate.sites[0].depth)
        yield _Chain(f"{len(layers)} layers with gates", tuple(layers), len(layers))
    seen: set[int] = set()
    for gate in own:
        first = gate.sites[0].index
        # A gate may stand there twice: for the old that it keeps and the new that it takes in.
        if len(gate.sites) >= _FEWEST and (gate.keeps_memory or gate.carries) and first not in seen:
            seen.add(first)
            yield _Chain(f"{len(gate.sites)} steps of {gate.name}", (gate,), len(gate.sites))


def _faded(recording: Recording, chain: _Chain) -> float:
    """Return the decades that the gradient loses between the last gate and the first."""
    gradient = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    wanted = [_key(site) for gate in chain.gates for site in gate.sites]
    by_key = {_key(site): site for site in recording.sites}
    sites = sorted((by_key[key] for key in wanted if key in by_key), key=lambda site: site.depth)
    known = [gradient.get(site) for site in sites]
    if len(known) < _FEWEST or not math.isfinite(max(known)):
        return math.nan
    return max(known[-1], max(known)) - known[0]


def _key(site: Site) -> tuple[str, str, int]:
    return site.path, site.op, site.call


def _best(case: Case, chain: _Chain) -> _Opening | None:
    """Try every way to open a chain of gates on a copy, and return the best."""
    known = {name: p.detach() for name, p in case.model.named_parameters(remove_duplicate=False)}
    biases = [
        (gate, scores.bias, scores.mean)
        for gate in chain.gates
        if (scores := scores_of(case.model, case.batch, gate.sites, names=candidates(case, gate)))
        is not None
        and scores.bias is not None
    ]
    if len(biases) < max(1, len(chain.gates) // 2):
        return None
    size = max(_LEAST, carrying_bias(chain.length))
    parts = _parts(Wiring(case.recording), chain.gates[0].sites[0])
    found = []
    for part in range(parts):
        for target in (size, -size):
            settings: dict[str, str] = {}
            count = 0
            for _, bias, mean in biases:
                units = len(mean) // parts
                inside = (bias.units >= part * units) & (bias.units < (part + 1) * units)
                chosen = bias.entries[inside]
                if not len(chosen):
                    continue
                value = _value(bias, inside, mean, known[bias.name], target)
                one = f"{written(chosen.cpu())} = {value:g}"
                settings[bias.name] = "; ".join(filter(None, (settings.get(bias.name), one)))
                count += len(chosen)
            decades = _tried(case, chain, settings) if settings else math.nan
            if not math.isnan(decades):
                found.append(_Opening(settings, decades, count))
    if not found:
        return None
    least = min(one.decades for one in found)
    return min((o for o in found if o.decades <= least + _AS_GOOD), key=lambda o: o.entries)


def _value(
    bias: Shifted,
    inside: torch.Tensor,
    mean: torch.Tensor,
    own: torch.Tensor,
    target: float,
) -> float:
    """Return the value of entries with which the gate is given the target on average."""
    held = own.cpu().double().flatten()[bias.entries[inside].cpu()] * bias.factor
    added = float((mean.cpu()[bias.units[inside].cpu()] - held).median())
    return round((target - (added if abs(added) > 1.0 else 0.0)) / bias.factor, 3)


def _tried(case: Case, chain: _Chain, settings: dict[str, str]) -> float:
    """Return what the gradient loses in a copy with these biases; ``nan`` where nobody can say."""
    twin = copied(case.model)
    surgery = Surgery(twin)
    for name, said in settings.items():
        for entries, value in read_openings(said):
            set_entries(surgery, name, value, entries)
    try:
        return _faded(trace(twin, case.batch, case.loss, batches=1, probe_steps=0), chain)
    except UnvanishError:
        return math.nan


def _parts(wiring: Wiring, gate: Site) -> int:
    """Return how many gates a sigmoid makes at once, by the size of what they multiply."""
    waiting: Sequence[Site] = wiring.consumers(gate)
    seen = {gate.index}
    while waiting:
        further: list[Site] = []
        for site in waiting:
            if site.op == "mul" and site.size:
                parts = round(gate.size / site.size)
                return parts if parts <= _MOST_PARTS and parts * site.size == gate.size else 1
            if site.index not in seen and len(wiring.producers(site)) == 1:
                seen.add(site.index)
                further += wiring.consumers(site)
        waiting = further
    return 1
