"""Forget bias: gates that keep the memory start open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.theory.recurrent import time_constant
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.recurrent import MEMORY, cells_of, memory_bias, set_gate


@final
@dataclass(frozen=True, kw_only=True)
class ForgetBias:
    r"""Start the gate that keeps a memory open: a positive forget bias.

    ## When to use
    An LSTM or GRU whose gradient fades over the time steps. PyTorch starts every bias around
    zero, so that the gate is half open and the state fades by half a step.

    ## What it changes
    The bias of the forget gate of an LSTM, of the update gate of a GRU (PyTorch has
    h' = (1 - z) n + z h, so that z keeps). PyTorch adds two biases: one becomes the value, the
    other zero. All else stays.

    ## What it costs
    What was learnt in these biases. A gate that keeps forgets late: a GRU takes in 1 - z.

    ## Settings
    `bias`: the least of 1, 2 and 3 with which sigmoid(bias)^T, what is left over the T steps
    of the batch, is 10^-3 or more: 1 up to 22 steps, 2 up to 54, and 3 beyond.

    ## Where we differ
    The papers use 1 for any length; Gers and others set it without a rule.

    ## Composes with
    orthogonal-recurrence. Not with chrono, which sets the same biases, nor with gated-cell and
    lstm-cell, which bring this bias along.

    ## Evidence
    A gradient that enters at the last of 101 steps, 64 units, three seeds, random inputs: from
    there to the first step an LSTM loses 19.3 to 20.3 decades as PyTorch starts it and 1.3 to 1.5
    with a bias of 3, a GRU 18.3 to 19.9 and 3.6. The first of 60 tokens, 500 steps of Adam at
    3e-3: a GRU of 32 units recalls it always, and at chance without.

    ## Source
    Gers, Schmidhuber and Cummins (2000); Jozefowicz, Zaremba and Sutskever (2015), section 5.
    """

    name: ClassVar[str] = "forget-bias"
    treats: ClassVar[frozenset[str]] = frozenset({"UV301", "UV303"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["gers2000"], SOURCES["jozefowicz2015"])
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset({"chrono", "gated-cell", "lstm-cell"})

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit any LSTM or GRU of `torch.nn` with biases."""
        gated = [cell for cell in cells_of(case) if cell.gates > 1]
        if not gated:
            return NotApplicable("no nn.LSTM, nn.GRU or cell of theirs runs in it")
        biased = [cell for cell in gated if cell.bias_ih and cell.bias_hh]
        if not biased:
            return NotApplicable(f"{gated[0].path or 'the network'} was made with bias=False")
        steps = max(cell.steps for cell in biased)
        bias = memory_bias(steps)
        return Prescription(
            remedy=self.name,
            why=f"{len(biased)} gates keep a memory over {steps} steps; with a bias of {bias:g} "
            f"it lasts about {time_constant(bias):.0f}",
            change=self.change,
            keeps=self.keeps,
            settings={"bias": bias},
            places=tuple(cell.bias_ih for cell in biased),
            cost="what these biases have learnt",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Set the bias of every gate that keeps a memory."""
        bias = float(prescription.settings["bias"])
        for place in prescription.places:
            set_gate(patient, place, MEMORY, bias)
