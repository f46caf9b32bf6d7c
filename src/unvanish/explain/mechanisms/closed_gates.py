"""Gates that are nearly shut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.explanations import Explanation
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.factors.gate import BOUNDED
from unvanish.explain.mechanisms.way import Way, between, counted, replaced


@final
@dataclass(frozen=True)
class ClosedGates:
    """What carries the signal is multiplied by gates well below one.

    ## What it predicts
    With each gate at one, what it multiplies passes whole: -log10 of the gate comes back each
    time. An LSTM whose forget bias is zero keeps a half a step. Where gated signals are added, as
    in an LSTM, a GRU or a highway, it is the one that carries the state whose gate is opened: of g
    and 1 - g, both cannot be one.

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
        found: list[tuple[int, int]] = []
        sums: dict[int, list[tuple[int, int]]] = {}
        for site in way.sites:
            if site.op != "mul":
                continue
            behind = way.producers(site)
            gates = [p for p in behind if recording.sites[p].gates]
            if len(gates) > 1:  # what is carried may be used nowhere else, too
                gates = [p for p in gates if recording.sites[p].op in BOUNDED]
            if len(behind) == 2 and len(gates) == 1:
                pair = (site.index, behind[1 - behind.index(gates[0])])
                found.append(pair)
                users = way.consumers.get(site.index, [])
                if len(users) == 1 and recording.sites[users[0]].op in ("add", "sub"):
                    sums.setdefault(users[0], []).append(pair)
        if not found:
            return NotApplicable("no gate multiplies a signal on the way")
        # Of the gates that share a sum, one carries what was there before: the others add to it.
        carried = [
            min(pairs, key=lambda pair: (recording.sites[pair[1]].depth, pair[1]))
            for pairs in sums.values()
        ]
        return between(
            Swap.GATE, f"{counted(len(carried or found), 'gate')} open", carried or found
        )

    def predicts(
        self,
        recording: Recording,  # noqa: ARG002
        explanation: Explanation,
        intervention: Intervention,
    ) -> float:
        """Return what the gates of the ledger's path took."""
        return replaced(explanation, intervention)
