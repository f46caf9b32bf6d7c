"""Gates that are nearly shut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.explanations import Explanation
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.mechanisms.way import BOUNDED, Way, between, counted, replaced


@final
@dataclass(frozen=True)
class ClosedGates:
    """What carries the signal is multiplied by gates well below one.

    ## What it predicts
    With each gate at one, what it multiplies passes whole: -log10 of the gate comes back each
    time. An LSTM whose forget bias is zero keeps a half a step.

    ## How it differs from its rivals
    The gate's own slope stays as it is, so that only the way past it opens. `recurrence` replaces
    the whole step, with all that is in it.

    ## Source
    Tallec and Ollivier (2018); Srivastava, Greff and Schmidhuber (2015).
    """

    name: ClassVar[str] = "closed-gates"
    bypasses: ClassVar[bool] = False

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Let what each gate multiplies pass as if the gate were one."""
        way = Way(recording, question)
        found = []
        for site in way.sites:
            if site.op != "mul":
                continue
            behind = way.producers(site)
            gates = [p for p in behind if recording.sites[p].gates]
            if len(gates) > 1:  # what is carried may be used nowhere else, too
                gates = [p for p in gates if recording.sites[p].op in BOUNDED]
            if len(behind) == 2 and len(gates) == 1:
                found.append((site.index, behind[1 - behind.index(gates[0])]))
        if not found:
            return NotApplicable("no gate multiplies a signal on the way")
        return between(Swap.GATE, f"{counted(len(found), 'gate')} open", found)

    def predicts(
        self,
        recording: Recording,  # noqa: ARG002
        explanation: Explanation,
        intervention: Intervention,
    ) -> float:
        """Return what the gates of the ledger's path took."""
        return replaced(explanation, intervention)
