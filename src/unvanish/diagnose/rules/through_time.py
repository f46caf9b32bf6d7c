"""UV301: the gradient does not reach back in time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Chart, Finding, Mark, Point, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.incidents import Truncation
from unvanish.core.operations import RECURRENT_FUNCTIONS
from unvanish.core.records import Recording, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotMeasured, Verdict
from unvanish.diagnose.time_loops import Loop, loops_of, recurrences, without_recurrence
from unvanish.diagnose.upstream import Upstream

_ROUNDED_AWAY: Final = 24 * math.log10(2)
_ORDINARY_GAIN: Final = 0.5
"""An ordinary start has rms(U) sqrt(width) = 0.58 (PyTorch's own) or 1 (orthogonal)."""


@final
@dataclass(frozen=True, kw_only=True)
class VanishingThroughTime:
    """The gradient does not reach back in time.

    ## What it measures
    A recurrence is found wherever the same weights are called again and again, each call fed
    by the one before and by input of its own: `nn.RNN`, `nn.LSTM` and `nn.GRU`, loops over
    cells, and loops written with plain linear layers; and wherever one line adds input to a
    state that fades by a factor, as in leaky integrators and diagonal state-space models. Two
    gradients are read at every time
    step: that of the loss, and one that enters at the last step alone, as random signs. Each
    is compared with the best-fed step, in decades.

    The first tells whether the early steps are trained at all. The second tells how far the
    memory reaches: a loss at every step feeds every step and hides that none of them is
    connected to what came long before. The memory is said to reach as far as 3 decades.
    That is the limit of UV101, and it is where short trainings ended: asked for the first
    of T random tokens, RNN, GRU and LSTM of 32 units (Adam at 3e-3, batches of 32, at most
    1,500 steps) learned the answer with up to 3.1 decades between first and last step, and
    never with 3.4 or more.

    Losing more than 7.2 decades (`max_lost_decades`) is worth a note. The weights of a
    recurrence are shared, their gradient is a sum over the steps, and 2^-24 = 10^-7.2 is
    where float32 rounds an addend away.

    It becomes a warning where the loss does not reach half of the steps: where the median
    step loses more than the limit. Without gates the limit is the same 7.2 decades.
    Such a recurrence stays as it is; at 30 steps it learned neither the first token, nor the
    first token among blanks, nor the adding problem. Nor did states that fade by a factor, fixed
    or learned, over 30 and 60 steps (Adam at 3e-3, batches of 64, 600 steps). Gates can open,
    where late steps teach them to: an LSTM learned the adding problem over 100 steps with 11
    decades lost at the median one, and not over 200 with 22. The limit of a gated recurrence
    is 16 decades (`max_lost_decades_if_gated`): 2^-53 is where a sum in float64 rounds the
    addend away, so that no other type would help. Half of the steps beyond 37.9 decades
    (`hopeless_lost_decades`), below the smallest normal number of float32, is an error.

    Fewer decades are a warning, too, where the batch shows that the answer lies out of reach. At
    each step of an input as long as the recurrence, |X^T Y|^2, of what it holds and of the
    target, is compared with independent samples. If a step that loses more than 7.2 decades
    depends on the target by 5 standard errors (`min_standard_errors`), one chance in three
    million, and none that loses less does by 4 (`max_standard_errors_heard`), nor all of them
    together by 3 (`max_heard_together`), then nothing that the gradient reaches is known to
    help: the first token is asked for, or the sequences end in padding and the last step is
    read. LSTM and GRU of 32 units with PyTorch's own start learned neither over 60 and 120
    steps, in 12 seconds of Adam at 5e-3 each (250 to 3,400 steps); they learned the majority of
    all tokens, the third to last, a class that every step shows, and a frequency, with 10 to 25
    decades lost, and these are notes.

    A state that is detached at every step leaves autograd no recurrence to show. It is found by
    the values: each call of the same weights depends on the one before, brings input of its
    own, and no gradient leads back. It is a warning where the loss does not reach half of the
    steps by another way, and a note where it does. A sequence that goes through `nn.GRU` and its
    kin in chunks, with the state detached in between, is a warning under the same condition: the
    loss is computed from the last chunks alone, so that the others teach nothing.

    ## Why it hurts
    What the early steps say cannot change the answer and cannot be learned. The weights'
    own gradients look healthy all the while, because the last steps feed them.

    ## When it stays silent
    When the loss reaches the early steps on any way: a mean over the steps, attention over
    them, a second direction that starts at the other end. On tied layers that turn one
    input over (equilibrium models, ODE solvers, ALBERT): that is depth, see UV101. On
    truncated backpropagation in chunks of several steps whose outputs all enter the loss.
    On running sums, which keep all that they took up.

    ## False alarms
    Where the last few steps hold the answer, a short memory is enough, and the finding is
    right but harmless; a GRU over 200 steps, 18.5 decades at the median one, learned the
    adding problem. Language models with a loss at every step train well with a memory of
    some ten steps: they get a note. Two loops of equal length side by side are given the
    benefit of the doubt, as if they read the sequence from both ends. A state that is detached
    at every step on purpose, with only the last step to learn from, is reported. So are many
    opaque layers laid over each other in a loop, where the front one is meant to hide the rest.

    ## What helps
    An LSTM or GRU whose gates start open for as long as the sequence is: a forget bias of
    ln T (chrono initialisation). A bias of 1 was enough to recall the first of 20 tokens and
    not of 30. For a plain RNN an orthogonal recurrent matrix. In any case a loss, a mean or
    attention over all steps. Clipping and a larger learning rate do not help.

    ## Source
    Hochreiter (1991) and Pascanu, Mikolov and Bengio (2013) for the phenomenon; Hochreiter
    and Schmidhuber (1997) for the adding problem; Tallec and Ollivier (2018) for gate biases
    from the sequence's length. The trainings named above were run for this rule, one seed
    each.
    """

    code: ClassVar[str] = "UV301"
    name: ClassVar[str] = "vanishing-through-time"
    needs: ClassVar[frozenset[Quantity]] = frozenset({Quantity.LOG10_ACTIVATION_GRAD_RMS})
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["hochreiter1991"],
        SOURCES["hochreiter1997"],
        SOURCES["pascanu2013"],
        SOURCES["tallec2018"],
    )

    max_lost_decades: float = _ROUNDED_AWAY
    max_lost_decades_if_gated: float = 53 * math.log10(2)
    hopeless_lost_decades: float = 126 * math.log10(2)
    reach_decades: float = 3.0
    min_standard_errors: float = 5.0
    max_standard_errors_heard: float = 4.0
    max_heard_together: float = 3.0

    def examine(self, recording: Recording) -> Verdict:
        """Judge how far back in time the gradient reaches."""
        verdict = self._examine(recording)
        if not recording.truncations:
            return verdict
        seen = verdict.findings if isinstance(verdict, Found) else ()
        cut = max(recording.truncations, key=lambda one: one.steps - one.trained_steps)
        found = (self._cut(recording, cut), *seen)
        return Found(tuple(sorted(found, key=lambda finding: -finding.severity.rank)))

    def _examine(self, recording: Recording) -> Verdict:
        repeated = recurrences(recording)
        if not repeated:
            return without_recurrence(recording)
        context = recording.context
        if context.loss and not math.isfinite(context.loss_value):
            return NotMeasured("a finite loss: see UV403")
        loops = loops_of(recording, repeated)
        if not loops:
            return NotMeasured("a gradient at the time steps that is a number")
        worst = max(loops, key=lambda loop: (self._severity(recording, loop), max(loop.lost)))
        severity = self._severity(recording, worst)
        if severity < 0:
            lost = max(max(loop.lost) for loop in loops)
            said = f"at most {max(lost, 0.0):.1f} decades are lost over {worst.steps} time steps"
            return Clear(self.max_lost_decades - max(lost, 0.0), "decades", said)
        return Found((self._finding(recording, worst, list(Severity)[severity]),))

    def _severity(self, recording: Recording, loop: Loop) -> int:
        """Rank a recurrence: -1 where there is nothing to say about it."""
        if not max(loop.lost) > self.max_lost_decades:
            return -1
        median = sorted(loop.lost)[(len(loop.lost) - 1) // 2]
        if not loop.starved:
            return Severity.NOTE.rank
        if median <= self._limit(loop):
            unheard = self._unheard(recording, loop) is not None
            return (Severity.WARNING if unheard else Severity.NOTE).rank
        hopeless = median > self.hopeless_lost_decades
        return (Severity.ERROR if hopeless else Severity.WARNING).rank

    def _unheard(self, recording: Recording, loop: Loop) -> int | None:
        """Return the step nearest to the gradient's reach that holds the answer, if all are out."""
        sequences = [d.association for d in recording.data if len(d.association) == loop.steps]
        if not loop.starved or not sequences:
            return None
        sure = [max(errors) for errors in zip(*sequences, strict=True)]
        lost = (loop.lost[0], *loop.lost)  # the first step has no call that reads a memory
        out = [k for k in range(loop.steps) if lost[k] > self.max_lost_decades]
        telling = [k for k in out if sure[k] >= self.min_standard_errors]
        heard = [sure[k] for k in range(loop.steps) if k not in out]
        together = sum(heard) / math.sqrt(len(heard))
        known = max(heard) > self.max_standard_errors_heard or together > self.max_heard_together
        if not telling or known:
            return None
        return min(telling, key=lambda k: lost[k])

    def _limit(self, loop: Loop) -> float:
        return self.max_lost_decades_if_gated if loop.gated else self.max_lost_decades

    def _finding(self, recording: Recording, loop: Loop, severity: Severity) -> Finding:
        reach = self._reach(loop)
        lost = max(loop.lost)
        place = loop.calls[0].path or loop.calls[0].op
        if loop.starved:
            message = (
                f"the gradient reaches {reach} of {loop.steps} time steps back in {place}: "
                f"{_decades(lost)} are lost on the way to the first"
            )
        else:
            message = (
                f"the memory of {place} reaches {reach} of {loop.steps} steps back; every step "
                "gets gradient from its own loss"
            )
        weak = [c for c, x in zip(loop.calls, loop.lost, strict=True) if x > self.reach_decades]
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity,
            message=message,
            sites=(loop.calls[0], *weak[-1:], loop.calls[-1]),
            measured=lost,
            expected=0.0,
            limit=self.max_lost_decades
            if severity is Severity.NOTE or self._unheard(recording, loop) is not None
            else self._limit(loop),
            unit="decades",
            causes=_causes(recording, loop),
            notes=tuple(self._notes(recording, loop, reach)),
            help=(*self._help_of_padding(recording, loop), *_help(loop)),
            chart=self._chart(loop),
        )

    def _cut(self, recording: Recording, cut: Truncation) -> Finding:
        place = cut.path or cut.op
        turn = "chunk" if cut.op in RECURRENT_FUNCTIONS else "step"
        of_time = f"{cut.steps} {'time ' if turn == 'step' else ''}{turn}s"
        others = len(recording.truncations) - 1
        where = f" at {cut.source}" if cut.source else ""
        untrained = cut.steps - cut.trained_steps
        starved = 2 * cut.trained_steps < cut.steps
        notes = [f"every weight gets a gradient, but none for what a {turn} hands to the next"]
        if others:
            notes.append(f"so it is with {others} more recurrent layer{'s' if others > 1 else ''}")
        if untrained:
            notes.append(f"{untrained} of {cut.steps} {turn}s get no gradient at all")
        else:
            notes.append("every step gets gradient from its own loss")
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING if starved else Severity.NOTE,
            message=f"the gradient reaches 1 of {of_time} back in {place}: {cut.cut}{where} cuts "
            f"it between all {turn}s",
            sites=(Site(index=-1, path=cut.path, op=cut.cut, source=cut.source),),
            parameters=cut.parameters,
            measured=math.inf,
            expected=0.0,
            limit=self.max_lost_decades,
            unit="decades",
            causes=(Cause.DETACHED_GRAPH, Cause.RECURRENCE),
            notes=tuple(notes),
            help=(
                "detach the state between sequences, or every so many steps, not at every step"
                if turn == "step"
                else "hand the state on as it is, or let every chunk answer for a loss of its own",
            ),
        )

    def _reach(self, loop: Loop) -> int:
        """Count the steps, from the best-fed one back, that lose at most 3 decades."""
        last = next(k for k in range(len(loop.lost) - 1, -1, -1) if loop.lost[k] == 0.0)
        reach = 0
        while reach <= last and loop.lost[last - reach] <= self.reach_decades:
            reach += 1
        return reach

    def _notes(self, recording: Recording, loop: Loop, reach: int) -> list[str]:
        notes = []
        if math.isfinite(max(loop.lost)):
            notes.append(
                f"a step further back costs {max(loop.lost) / max(1, len(loop.lost) - 1):.2f} "
                "decades on average"
            )
        if loop.starved:
            notes.append(
                f"the weights look well fed, because the last {reach} steps feed them; what "
                "the steps before say cannot be learned"
            )
        unheard = self._unheard(recording, loop)
        if unheard is not None:
            notes.append(
                f"what the target depends on in this batch lies out of reach: step {unheard + 1} "
                f"of {loop.steps} tells of it, and no step that is heard does"
            )
        gain = Upstream(recording).gain(loop.calls[-1])
        if loop.has_matrix and not loop.gated and 0.0 < gain < _ORDINARY_GAIN:
            notes.append(
                f"the recurrent weights shrink what they carry to {gain:.2f} per step; an "
                "orthogonal matrix keeps it"
            )
        return notes

    def _help_of_padding(self, recording: Recording, loop: Loop) -> tuple[str, ...]:
        """Say what to do where the last step holds the same for every sample."""
        last = [d.association[-1] for d in recording.data if len(d.association) == loop.steps]
        if self._unheard(recording, loop) is None or any(last):
            return ()
        return (
            "the sequences end in padding: read the last real step, "
            "output[torch.arange(len(output)), lengths - 1], or pack them with "
            "torch.nn.utils.rnn.pack_padded_sequence",
        )

    def _chart(self, loop: Loop) -> Chart:
        def mark(lost: float) -> Mark:
            return Mark.STARVED if lost > self.max_lost_decades else Mark.WEAK

        points = tuple(
            Point(
                f"step {k}",
                -lost if lost < math.inf else -math.inf,
                Mark.FINE if lost <= self.reach_decades else mark(lost),
            )
            for k, lost in enumerate(loop.lost, start=2)
        )
        return Chart("gradient at each time step, in decades against the best-fed one", points)


def _decades(lost: float) -> str:
    return f"{lost:.1f} decades" if math.isfinite(lost) else "all decades that a float holds"


def _causes(recording: Recording, loop: Loop) -> tuple[Cause, ...]:
    """Name the recurrence, and what makes a single step lose gradient."""
    if loop.gated or not loop.has_matrix:
        return (Cause.RECURRENCE,)
    inside = [
        site
        for site in recording.signal_sites()
        if loop.calls[0].index < site.index < loop.calls[-1].index
        and (site.can_saturate or site.slope_cap < 1.0)
    ]
    gain = Upstream(recording).gain(loop.calls[-1])
    flat = [recording[Quantity.SATURATED_FRACTION].get(site) for site in inside]
    if any(share > 0.5 for share in flat):  # the limit of UV201
        return (Cause.RECURRENCE, Cause.SATURATION)
    if gain < _ORDINARY_GAIN:
        return (Cause.INIT_TOO_SMALL, Cause.RECURRENCE)
    if any(site.slope_cap < 1.0 for site in inside):
        return (Cause.RECURRENCE, Cause.ACTIVATION_SLOPE)
    return (Cause.RECURRENCE, Cause.INIT_TOO_SMALL) if gain < 1.0 else (Cause.RECURRENCE,)


def _help(loop: Loop) -> tuple[str, ...]:
    every_step = (
        "or let the loss see every step: output.mean(dim=1) or attention in place of output[:, -1]"
    )
    last = (every_step,) if loop.starved else ()
    if loop.gated:
        bias = math.log(loop.steps)
        name = next((n for n in loop.calls[0].weights if "bias_hh" in n), "")
        start = (
            f"start the gates that keep the memory open: torch.nn.init.constant_({name}"
            f"[hidden:2 * hidden], {bias:.1f})"
            if name  # the second quarter of an LSTM's bias and the second third of a GRU's
            else "start the gate that keeps the memory open for the whole sequence, with a bias "
            f"of ln(number of steps) = {bias:.1f}"
        )
        return (start, *last)
    if not loop.has_matrix:
        return (
            f"let the state fade more slowly: a factor of 1 - 1 / steps = {1 - 1 / loop.steps:.3g} "
            "per step leaves a third of it at the end",
            *last,
        )
    return (
        "use torch.nn.LSTM, with a forget bias of ln(number of steps), in place of a plain RNN",
        f"or an orthogonal recurrent matrix: torch.nn.init.orthogonal_({loop.calls[0].weights[0]})",
        *last,
    )
