"""UV203: outputs stuck at an end of their function, where the loss finds no slope."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Role, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.neighbours import Neighbours
from unvanish.diagnose.upstream import Upstream
from unvanish.diagnose.words import percent

_FUNCTIONS: Final = frozenset({"sigmoid", "tanh", "softmax", "hardtanh", "hardsigmoid"})
_PRODUCTS: Final = frozenset("mul matmul bmm baddbmm einsum".split())
_BETTER_LOSS: Final = {
    "sigmoid": "let the loss take the scores: remove the sigmoid and use "
    "binary_cross_entropy_with_logits, whose gradient stays where the output is sure and wrong",
    "softmax": "let the loss take the scores: remove the softmax and use cross_entropy, whose "
    "gradient stays where the output is sure and wrong",
}
_BOUNDED: Final = (
    "make the last layer's answers smaller: torch.nn.init.uniform_(layer.weight, -3e-3, 3e-3), a "
    "normalisation before it, or a penalty on its output"
)
_GAN: Final = "for a generator, minimise -log D(G(z)) in place of log(1 - D(G(z)))"


@final
@dataclass(frozen=True, kw_only=True)
class SaturatedOutput:
    """The output is sure, wrong, and cannot be told so.

    ## What it measures
    At every sigmoid, tanh, softmax, hardtanh and hardsigmoid that shapes the output or opens
    the loss, and every log-softmax, log-sigmoid and softplus of the loss, three things, where
    most of its entries are flat (slope below a tenth of the largest, as in UV201):

    - the share of the error, (dL/dy)^2, on flat entries that gradient descent would take
      back towards the centre; the limit is one half (`max_stuck_fraction`);
    - the loss gradient at the inputs of those entries against what it would be, in a second
      forward pass, were the output undecided (input +-1/2, where the function has a slope);
      the limit is 3 decades (`max_lost_decades`), a thousandth, as in UV101, for three quarters
      of the entries, weighed by that gradient squared: the few next to the slope do not speak
      for the rest, and pass at most half of the amplitude there could be;
    - whether the loss would be lower with one undecided answer for all samples: the mean
      input of each unit, kept within 1/2, 1, 2 or 3 of the centre, whichever is best.

    All three have to hold. Gain below a hundredth of the loss (`min_gain`) is a note: the rest
    comes from other outputs, by which the network trains. Where each sample's loss reads one
    answer only, and that is nearly always the one given now (`max_own_answers`, 3/4), a
    policy's own rollout is at hand: then the answers have to be worse than a guess by 3
    standard errors (`clearly_wrong_worth`), since a baseline leaves only noise of either sign.

    A loss may hide the error from the function itself: the ratio of PPO is exp(-z) for an
    action that the policy has dropped, `Categorical(probs=...)` and focal losses clamp p, the
    mean of |p - t| is as large for a random answer as for none. So the undecided output is
    also asked what the loss would have it say, -dL/dz' of each sample. Its product with what
    the output says now is positive in the mean for answers that are right, and zero for those
    of a guess, whatever the mean of the advantages. An output is stuck if the gradient of
    three quarters of all entries is lost, at most 3/4 of what the loss asks is about its own
    answers, and the mean is below 2 standard errors (`max_worth_of_a_guess`); or below -3
    whatever is asked. Binary cross entropy entry by entry is looked at in the same way.

    A sigmoid with a squared error at z = -10 and target 1 has the
    gradient y (1 - y) (y - 1) = 4.5e-5, and 0.12 or more on the sloped part: 3.4 decades.
    With binary cross entropy the gradient is y - 1 in either place.

    ## Why it hurts
    The loss sees the error and the function passes none of it on. Entries that are sure and
    wrong stay so, and the smaller the gradient the longer. A warning up to 6 decades
    (`hopeless_lost_decades`), where an optimiser that rescales gradients can still get out; an
    error beyond.

    ## When it stays silent
    On confidence that is right: a converged network wants further in, and what it tells its
    samples apart by is worth more than its mistakes. On a sure policy with nothing but its own
    actions and advantages around zero: converged and collapsed look alike. On cross entropy
    with scores, whose gradient is as large at the ends. On hidden activations, which UV201
    looks after, and on what only weighs other signals: gates, routers, attention.

    ## False alarms
    A target between the ends (label smoothing) that a squared error overshot can look stuck,
    but only where one answer for all would do better. The first batch alone is tried. A converged
    policy given random actions and advantages is wrong as far as the batch can tell.

    ## What helps
    A loss with a logarithm that undoes the exponential of the output: cross entropy on scores,
    the non-saturating loss for a generator. For a policy with tanh: smaller last weights,
    scaled states, a penalty on the pre-activation.

    ## Source
    Goodfellow and others (2014), section 3, on log(1 - D(G(z))); LeCun, Bottou, Orr and Müller
    (1998), section 4.5, on outputs at the ends of a sigmoid. The trial is ours.
    """

    code: ClassVar[str] = "UV203"
    name: ClassVar[str] = "saturated-output"
    needs: ClassVar[frozenset[Quantity]] = frozenset({Quantity.STUCK_FRACTION})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["goodfellow2014"], SOURCES["lecun1998"])

    max_stuck_fraction: float = 0.5
    max_lost_decades: float = 3.0
    hopeless_lost_decades: float = 6.0
    max_worth_of_a_guess: float = 2.0
    clearly_wrong_worth: float = -3.0
    max_own_answers: float = 0.75
    min_gain: float = 0.01

    def examine(self, recording: Recording) -> Verdict:
        """Judge the activation functions that shape the output."""
        share = recording[Quantity.STUCK_FRACTION]
        neighbours = Neighbours(recording)
        measured = [
            site
            for site in recording.sites
            if share.get(site) >= 0.0
            and not neighbours.only_multiplies(site, _PRODUCTS, data=False)
        ]
        if not measured:
            return _unmeasured(neighbours)
        stuck = [site for site in measured if share[site] > self.max_stuck_fraction]
        sick = {
            site: decades for site in measured if (decades := self._lost(recording, site)) > 0.0
        }
        if sick:
            worst_first = sorted(sick, key=lambda site: -sick[site])
            loud = [site for site in worst_first if not self._is_minor(recording, site)]
            chosen = loud or worst_first
            return Found((self._finding(recording, chosen, sick[chosen[0]], minor=not loud),))
        lost = {site: -recording[Quantity.LOG10_STUCK_GRAD_RATIO].get(site) for site in stuck}
        if any(math.isnan(lost[site]) for site in stuck):
            return NotMeasured("what gradient the stuck output would have on the sloped part")
        if stuck:
            worst = max(stuck, key=lambda site: lost[site])
            return Clear(
                max(0.0, self.max_lost_decades - lost[worst]),
                "decades",
                f"the loss moves {worst.name} from the end of its function, or does well there",
            )
        worst = max(measured, key=lambda site: share[site])
        return Clear(
            self.max_stuck_fraction - share[worst],
            "fraction of the error",
            f"{percent(share[worst])} of the error at {worst.name} is stuck on the flat part",
        )

    def _lost(self, recording: Recording, site: Site) -> float:
        """Return the decades that a stuck output has lost; 0 for any other."""
        lost = [0.0]
        if self._costs(recording, site):
            lost.append(-recording[Quantity.LOG10_STUCK_GRAD_RATIO].get(site))
        if self._guesses(recording, site):
            lost.append(-recording[Quantity.LOG10_ANSWER_GRAD_RATIO].get(site))
        return max((d for d in lost if d > self.max_lost_decades), default=0.0)

    def _costs(self, recording: Recording, site: Site) -> bool:
        """Tell whether the loss wants a stuck output out, and would be lower were it undecided."""
        if not recording[Quantity.STUCK_FRACTION][site] > self.max_stuck_fraction:
            return False
        if not recording[Quantity.UNDECIDED_GAIN].get(site) > 0.0:
            return False
        own = recording[Quantity.OWN_ANSWER_FRACTION].get(site) > self.max_own_answers
        worth = recording[Quantity.ANSWER_WORTH].get(site)
        return not (own and worth > self.clearly_wrong_worth)

    def _guesses(self, recording: Recording, site: Site) -> bool:
        """Tell whether other answers are tried on an output, and its own are worth no more."""
        others = recording[Quantity.OWN_ANSWER_FRACTION].get(site) < self.max_own_answers
        worth = recording[Quantity.ANSWER_WORTH].get(site)
        return worth < (self.max_worth_of_a_guess if others else self.clearly_wrong_worth)

    def _is_minor(self, recording: Recording, site: Site) -> bool:
        """Tell whether next to nothing of the whole loss is this output's."""
        gain = recording[Quantity.UNDECIDED_GAIN].get(site)
        return gain < self.min_gain and not self._guesses(recording, site)

    def _finding(
        self, recording: Recording, sites: list[Site], lost: float, *, minor: bool
    ) -> Finding:
        site = sites[0]
        why = Upstream(recording).why_large(site)
        much = f"{lost:.1f} decades of the gradient" if lost < math.inf else "all gradients"
        who = f"{site.name} and {len(sites) - 1} more are" if len(sites) > 1 else f"{site.name} is"
        severity = Severity.ERROR if lost > self.hopeless_lost_decades else Severity.WARNING
        if self._costs(recording, site):
            share = recording[Quantity.STUCK_FRACTION][site]
            notes = [
                f"{percent(share)} of the error sits on flat entries that gradient descent would "
                "take back to the sloped part",
                "one undecided answer for all samples would have a lower loss",
            ]
        else:
            own = recording[Quantity.OWN_ANSWER_FRACTION].get(site)
            worth = recording[Quantity.ANSWER_WORTH][site]
            notes = [
                "what the loss would tell an undecided output agrees with the answers it gives "
                f"now no more than with a guess: {worth:.1f} standard errors"
            ]
            if own < self.max_own_answers:
                notes.append(f"{percent(1.0 - own)} of it is about other answers than those")
        helps = [_BETTER_LOSS.get(site.op, _BOUNDED)]
        if site.op == "sigmoid":
            helps.append(_GAN)
        if site.op == "softmax":
            helps.append(_BOUNDED)
        if minor:
            notes.append(
                "the rest of the loss comes from elsewhere: less than "
                f"{percent(self.min_gain)} of it is to be had here"
            )
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.NOTE if minor else severity,
            message=f"{who} stuck at an end of the range: {much} that could bring it back are "
            "lost there",
            sites=tuple(sites),
            measured=lost,
            expected=0.0,
            limit=self.max_lost_decades,
            unit="decades",
            causes=(Cause.LOSS_SATURATION, Cause.SATURATION, why),
            notes=tuple(notes),
            help=tuple(dict.fromkeys(helps)),
        )


def _unmeasured(neighbours: Neighbours) -> Verdict:
    recording = neighbours.recording
    arrived = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    outputs = [
        site
        for site in recording.sites
        if site.op in _FUNCTIONS
        and site.op == site.function
        and not site.gates
        and (site.is_output or site.role is Role.LOSS)
        and (not len(arrived) or arrived.get(site) > -math.inf)
        and not neighbours.only_multiplies(site, _PRODUCTS, data=False)
    ]
    if outputs:
        return NotMeasured(f"whether {outputs[0].name} is stuck at an end of its range")
    return NotApplicable("no function with flat ends shapes the output")
