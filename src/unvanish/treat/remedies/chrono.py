"""Chrono initialisation: memories of every length up to that of the sequence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch
from torch import Tensor

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.theory.recurrent import chrono_bias
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.recurrent import MEMORY, cells_of, set_gates, units_of

_INPUT: Final = 0
"""Position of an LSTM's input gate."""
_LSTM: Final = 4
"""Number of an LSTM's gates."""
_SHORTEST: Final = 4


@final
@dataclass(frozen=True, kw_only=True)
class Chrono:
    r"""Give the units of a gated layer memories of every length up to the sequence's.

    ## When to use
    An LSTM or GRU over long sequences, some tens of steps and more, whose gradient fades over
    the time steps.

    ## What it changes
    Each unit draws a time u even on (1, T - 1). LSTM: the forget bias becomes ln u and the input
    bias -ln u. GRU: the update bias becomes ln u, since PyTorch has h' = (1 - z) n + z h, so that
    what is taken in shrinks by itself. Of the two biases that PyTorch adds, one becomes the
    value and the other zero. All else stays.

    ## What it costs
    What was learnt in these biases. Units with a long memory take in little at each step.

    ## Settings
    `longest`: T, the number of steps that the batch has. Raise it where real sequences are
    longer than those of the batch.

    ## Where we differ
    Nothing for the LSTM. The paper writes the GRU's gate the other way round and negates it.

    ## Composes with
    gated-cell or lstm-cell, which is made first; orthogonal-recurrence. Not with forget-bias, which
    sets the same biases.

    ## Evidence
    A gradient that enters at the last of 101 steps, 64 units, three seeds, random inputs: from
    there to the first step an LSTM loses 19.3 to 20.3 decades as PyTorch starts it and 3.1 so, a
    GRU 18.3 to 19.9 and 3.0. The first of 60 tokens, 500 steps of Adam at 3e-3, two seeds: an
    LSTM of 32 units recalls 70 % and 77 % of 8 tokens (11 % and 13 % without, 23 % and 18 % with
    forget-bias), a GRU all.

    ## Source
    Tallec and Ollivier (2018), section 2.2 and equation 16.
    """

    name: ClassVar[str] = "chrono"
    treats: ClassVar[frozenset[str]] = frozenset({"UV301", "UV303"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["tallec2018"],)
    after: ClassVar[frozenset[str]] = frozenset({"gated-cell", "lstm-cell"})
    excludes: ClassVar[frozenset[str]] = frozenset({"forget-bias"})

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit any LSTM or GRU of `torch.nn` with biases that runs for some steps."""
        gated = [cell for cell in cells_of(case) if cell.gates > 1]
        if not gated:
            return NotApplicable("no nn.LSTM, nn.GRU or cell of theirs runs in it")
        biased = [cell for cell in gated if cell.bias_ih and cell.bias_hh]
        if not biased:
            return NotApplicable(f"{gated[0].path or 'the network'} was made with bias=False")
        steps = max(cell.steps for cell in biased)
        if steps < _SHORTEST:
            return NotApplicable(f"its longest sequence has {steps} steps; it takes {_SHORTEST}")
        return Prescription(
            remedy=self.name,
            why=f"{len(biased)} gates keep a memory over {steps} steps",
            change=self.change,
            keeps=self.keeps,
            settings={"longest": float(steps)},
            places=tuple(cell.bias_ih for cell in biased),
            cost="what these biases have learnt",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Draw the bias of every gate that keeps, and of every gate that takes in."""
        least, most = chrono_bias(int(prescription.settings["longest"]))
        for place in prescription.places:
            stacked = patient.surgery.weight_of(place)
            units = units_of(patient, place)
            times = torch.empty_like(stacked[:units]).uniform_(math.exp(least), math.exp(most))
            gates: dict[int, Tensor | float] = {MEMORY: times.log()}
            if stacked.numel() == _LSTM * units:
                gates[_INPUT] = -times.log()
            set_gates(patient, place, gates)
