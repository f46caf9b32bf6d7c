"""Open gate: the bias of a gate that is pinned shut goes where the signal can be carried."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch
from torch import Tensor

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Parameter
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose.rules.closed_gate import ClosedGate, Gate
from unvanish.observe.copies import copied
from unvanish.observe.tracing import trace
from unvanish.theory.recurrent import carrying_bias
from unvanish.treat.gates import Scores, scores_of
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.recurrent import Cell, cells_of, set_gate
from unvanish.treat.surgery import Surgery

_POSITIONS: Final = {"input": 0, "reset": 0, "forget": 1, "update": 1, "output": 3}
"""Where a gate stands among those that a cell of `torch.nn` stacks."""
_GATE: Final = "gate "
_MEMORY: Final = frozenset({"forget", "update"})
_LEAST_CARRY: Final = 1.0
"""The smallest bias towards carrying, that of a highway layer of its own."""
_MOST_TRIED: Final = 24
"""Biases that are tried for one gate."""
_SHUT: Final = 0.1
"""Share of what it is to let through below which a unit of a gate is set."""


@dataclass(frozen=True, slots=True)
class _Opening:
    """One bias to set.

    Attributes:
        name: Its name.
        value: What its entries become.
        entries: Which, as ``"48:96"``; a number for the position in a cell of `torch.nn`.
    """

    name: str
    value: float
    entries: str

    @property
    def said(self) -> str:
        """What a prescription's settings say."""
        return f"{self.entries} = {self.value:g}"


@final
@dataclass(frozen=True, kw_only=True)
class OpenGate:
    r"""Set the bias of a gate that is pinned shut to where it lets enough through.

    ## When to use
    A finding of UV303: a highway layer, a GLU, a squeeze-and-excitation or a written-out or
    ready-made LSTM or GRU whose gate is shut, so that what it multiplies gets no gradient, nor
    does the gate.

    ## What it changes
    The entries of the gate's bias that belong to shut units, and nothing else; which ones, autograd
    says. A gate that carries over n steps or layers starts where a carried signal falls by e over
    all of them: sigmoid(b)^n = 1 / e, so b = -ln(e^(1/n) - 1), about ln n. For a highway layer n is
    the number of such layers and the transform gate gets -b; for a memory n is the number of time
    steps. A gate that multiplies and carries nothing starts half open, at 0. What the gate's input
    adds on average is taken off where it adds more than 1.

    ## What it costs
    What was learnt in these entries.

    ## Settings
    For each bias which of its entries get what: ``48:96 = 3.7``, or ``gate 1 = 3.7`` for the second
    of the gates that a cell of torch.nn stacks.

    ## Where we differ
    Srivastava and others start highway layers at -1 to -3 and say that deeper ones want less; the
    rule gives -1 for up to three layers, -2.2 for 10 and -3.9 for 50. Tallec and Ollivier draw the
    memory's bias from ln of 1 to n; here it is one number, and only what is shut gets it.

    ## Composes with
    Any initialisation of weights. Not with forget-bias, chrono, gated-cell and lstm-cell, which
    set the same biases.

    ## Evidence
    `unvanish cure` on three patients of the zoo, means of five seeds, each trained for its own
    number of steps at rates chosen alike: ten highway layers at -10 reach an accuracy of 0.98 (0.53
    untreated), a GRU written out with its update gate at -6 1.00 (0.24, chance 0.25), an LSTM with
    a forget bias of -5 1.00 (0.29).

    ## Source
    Srivastava, Greff and Schmidhuber (2015), section 2.2; Gers, Schmidhuber and Cummins (2000);
    Tallec and Ollivier (2018), section 2.
    """

    name: ClassVar[str] = "open-gate"
    treats: ClassVar[frozenset[str]] = frozenset({"UV303"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["srivastava2015"],
        SOURCES["gers2000"],
        SOURCES["tallec2018"],
    )
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset(
        {"carry-gate", "forget-bias", "chrono", "gated-cell", "lstm-cell"}
    )

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network with a gate that a bias can open."""
        gates, shut = ClosedGate().gates(case.recording)
        if not shut:
            least = min((gate.opening for gate in gates), default=math.nan)
            return NotApplicable(
                f"every gate is open, the least by {least:.2g}" if gates else "it has no gates"
            )
        layers = len({site.depth for gate in gates if gate.carries for site in gate.sites})
        by_gate = [(gate.name, list(_openings(case, gate, layers))) for gate in shut]
        openings = list(dict.fromkeys(one for _, found in by_gate for one in found))
        if not openings:
            return NotApplicable(f"no trained bias shifts {shut[0].name}")
        still = _still_shut(case, openings, {name for name, found in by_gate if found})
        if still:
            return NotApplicable(f"{still} stays shut with another bias: what feeds it shuts it")
        worst = min(shut, key=lambda gate: gate.opening)
        settings: dict[str, str] = {}
        for one in openings:  # one bias may be that of several gates
            settings[one.name] = "; ".join(filter(None, (settings.get(one.name), one.said)))
        return Prescription(
            remedy=self.name,
            why=f"{worst.name} lets {100 * worst.opening:.2g} % through, and {len(settings)} "
            f"{'biases open' if len(settings) > 1 else 'bias opens'} what is shut",
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
                if entries.startswith(_GATE):
                    set_gate(patient, name, int(entries.removeprefix(_GATE)), value)
                else:
                    set_entries(patient.surgery, name, value, entries)


def read_openings(said: str) -> Iterator[tuple[str, float]]:
    """Yield which entries of a bias get which value, as a prescription's settings say it.

    Args:
        said: Such as ``"48:96 = 3.7"``, several with semicolons between them.
    """
    for part in said.split("; "):
        entries, _, value = part.partition(" = ")
        yield entries, float(value)


def _openings(case: Case, gate: Gate, layers: int) -> Iterator[_Opening]:
    """Yield what opens a gate; nothing where no bias does."""
    own = gate.source.weights if gate.source is not None else ()
    cell = next((one for one in cells_of(case) if one.weight in own), None)
    if cell is not None:
        yield from _of_cell(gate, cell)
        return
    names = list(candidates(case, gate))
    scores = scores_of(case.model, case.batch, gate.sites, names=names)
    if scores is not None and scores.bias is not None:
        yield from _of_bias(gate, scores, layers, case)


def _of_cell(gate: Gate, cell: Cell) -> Iterator[_Opening]:
    """Yield the opening of a gate of `torch.nn`."""
    word = gate.name.removeprefix("the ").partition(" ")[0]
    if word in _POSITIONS and cell.bias_ih and cell.bias_hh:
        keeps = carrying_bias(max(1, cell.steps or len(gate.sites))) if word in _MEMORY else 0.0
        value = max(_LEAST_CARRY, keeps) if word in _MEMORY else 0.0
        yield _Opening(cell.bias_ih, round(value, 3), f"{_GATE}{_POSITIONS[word]}")


def _of_bias(gate: Gate, scores: Scores, layers: int, case: Case) -> Iterator[_Opening]:
    """Yield the opening of a gate that is written out."""
    assert scores.bias is not None
    low = bool(scores.opening.min() < 1.0 - scores.opening.max())
    target = _target(gate, layers, low=low)
    passed = scores.opening if low else 1.0 - scores.opening
    wanted = torch.sigmoid(torch.tensor(target if low else -target)).item()
    units, entries = scores.bias.units.cpu(), scores.bias.entries.cpu()
    chosen = (passed.cpu() < _SHUT * wanted)[units]
    if not chosen.any():
        return
    own = dict(case.model.named_parameters(remove_duplicate=False))[scores.bias.name]
    bias = own.detach().cpu().double().flatten()[entries[chosen]] * scores.bias.factor
    added = float((scores.mean.cpu()[units[chosen]] - bias).median())
    value = (target - (added if abs(added) > 1.0 else 0.0)) / scores.bias.factor
    yield _Opening(scores.bias.name, round(value, 3), written(entries[chosen]))


def _target(gate: Gate, layers: int, *, low: bool) -> float:
    """Return what is to enter a gate: its size from theory, its sign from how it is used."""
    if gate.keeps_memory or gate.steps:
        carry = max(_LEAST_CARRY, carrying_bias(len(gate.sites)))
        return carry if low == gate.keeps_memory else -carry
    return -max(_LEAST_CARRY, carrying_bias(layers)) if gate.carries else 0.0


def candidates(case: Case, gate: Gate) -> Iterator[str]:
    """Yield the names of what may be the gate's bias, the likeliest first.

    Args:
        case: The network.
        gate: The gate.
    """
    own = set(gate.source.weights) if gate.source is not None else set()
    inside = {gate.source.path if gate.source is not None else "", gate.sites[0].path}

    def distance(parameter: Parameter) -> int:
        if parameter.name in own:
            return 0
        return 1 if parameter.name.rpartition(".")[0] in inside else 2

    trained = [p for p in case.recording.parameters if p.requires_grad and p.used]
    flat = [p for p in trained if math.prod(p.shape) == max(p.shape, default=1)]
    yield from (p.name for p in sorted(flat, key=distance)[:_MOST_TRIED])


def _still_shut(case: Case, openings: list[_Opening], gates: set[str]) -> str:
    """Return the name of a gate that is shut on a copy with its new bias; empty for none."""
    written = [one for one in openings if not one.entries.startswith(_GATE)]
    if not written:
        return ""
    twin = copied(case.model)
    surgery = Surgery(twin)
    for one in written:
        set_entries(surgery, one.name, one.value, one.entries)
    _, shut = ClosedGate().gates(trace(twin, case.batch, case.loss, batches=1, probe_steps=0))
    return next((gate.name for gate in shut if gate.name in gates), "")


def set_entries(surgery: Surgery, name: str, value: float, entries: str) -> None:
    """Give a value to some entries of a bias.

    Args:
        surgery: Of the network.
        name: Name of the bias.
        value: What its entries become.
        entries: Which, as `written` writes them.
    """
    values = surgery.weight_of(name).clone()
    flat = values.reshape(-1)
    for part in entries.split(","):
        start, _, stop = part.partition(":")
        flat[int(start) : int(stop)] = value
    surgery.set_values(name, flat.reshape(values.shape))


def written(entries: Tensor) -> str:
    """Write positions as ranges: ``"0:3,5:6"``.

    Args:
        entries: The positions.
    """
    parts: list[list[int]] = []
    for entry in sorted(entries.tolist()):
        if parts and parts[-1][1] == entry:
            parts[-1][1] += 1
        else:
            parts.append([entry, entry + 1])
    return ",".join(f"{start}:{stop}" for start, stop in parts)
