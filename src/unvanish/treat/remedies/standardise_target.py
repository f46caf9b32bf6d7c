"""A last step that answers in the units of the target, behind layers that work at unit scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.ending import append_to_end
from unvanish.treat.gains import EXCHANGES, STARTS
from unvanish.treat.out_of_scale import Answer, judged, regressions, slopes
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.unstandardising import Unstandardise


@final
@dataclass(frozen=True, kw_only=True)
class StandardiseTarget:
    """Let the layers work at unit scale, and answer in the units of the target behind them.

    ## When to use
    A regression whose target is far from where the output starts (UV506): prices in dollars,
    temperatures in kelvins, drifts in microvolts. The network spends its training on two numbers,
    plain gradient descent is thrown out by the first gradient, and among several losses that are
    added up the one in the largest units drowns all others.

    ## What it changes
    Behind the step whose output is compared with the target, y = mean + deviation z is computed,
    with mean and deviation of the target as buffers. The network goes on answering in your units:
    metric, loss and deployment stay. The gradient that z gets is that of standardised targets; see
    "Where we differ". Weights stay. Of several outputs each that is out of scale gets its own.

    ## What it costs
    One multiplication and addition of the answers. What the network has learnt is off. The
    derivative of the answer by the input, which a map of saliency or a penalty of your own may ask
    for, is weighted as the gradient is; a network whose loss is seen to ask for it is refused.

    ## Settings
    samples: how many numbers of a feature the statistics were taken from. ``<output> gradient``:
    ``"standardised"``, or ``"own"`` where the backward pass multiplies by the deviation as the
    forward pass does.

    ## Where we differ
    Standardising the target itself changes the loss that you read, your metric, and what the
    network answers. Here loss values stay in your units, and gradients are those of the
    standardised problem: the backward pass multiplies by g(1) / g(deviation), not by the deviation,
    where g(e) is the gradient that your loss has of an answer which misses by e. The loss is asked
    for it on the batch: 1 / deviation for the squared error, 1 for the absolute one, between them
    for Huber's. A loss that cannot be asked is taken for the squared error where it is that or a
    difference by hand, else for the absolute one. So the printed loss and the steps are in other
    units: a line search sees a gradient that is not the loss's, and a weight decay or a clipping
    limit acts as it would on standardised targets. It is no choice of yours, since the plain chain
    rule makes the gradient deviation^2 times too large, except where the loss is weighted for the
    units already, so that a miss by one deviation costs nearer to 1 than a miss by one unit: there
    the gradient is left as it is.

    Columns of one kind (deviations within 31.6 of the median one) get one deviation, each its own
    mean; indicators of zeros and ones are left alone, and columns that are mostly zero are not
    shifted. The statistics are those of one batch; those of the training set are better, and the
    last layer learns the rest. Behind a function that answers nothing negative, such as softplus,
    answers are multiplied by the root mean square of the target, and not shifted; behind one that
    answers between bounds they stay.

    ## Composes with
    Every other remedy; it comes last of those that settle how large an answer is. It is not
    combined with output-scale, which does the same by the last weights.

    ## Evidence
    `python -m benchmarks.cures_outside --corpus gamma --only housing_multitask`: held-out accuracy
    of the second task, 500 steps of Adam 1e-3 in the judge's own loop, seeds 0 to 2: 0.93, 0.93,
    0.93 (0.50 before, its goal is 0.82), with the statistics of the first batch of 64. A hidden
    layer of tanh with prices of 250,000 dollars under SGD 0.1 learns, and untreated has no finite
    loss after a few steps (tests/treat/remedies/test_standardise_target.py).

    ## Source
    LeCun, Bottou, Orr and Müller (1998), section 4.5, on target values.
    """

    name: ClassVar[str] = "standardise-target"
    treats: ClassVar[frozenset[str]] = frozenset({"UV506"})
    change: ClassVar[Change] = Change.LOSS
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["lecun1998"],)
    after: ClassVar[frozenset[str]] = (
        EXCHANGES
        | STARTS
        | {"lsuv", "centre-and-unit-variance", "jacobian-tuning", "standardise-input"}
        | {"drop-norm", "drop-inner-softmax", "positive-output"}
    )
    excludes: ClassVar[frozenset[str]] = frozenset({"output-scale"})

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a regression whose target is far from where the output starts."""
        pairs = regressions(case)
        if not pairs:
            return NotApplicable("no regression compares the output with a target as it stands")
        seen = [judged(case, pair) for pair in pairs]
        answers = [one for one in seen if isinstance(one, Answer)]
        if not answers:
            return NotApplicable(next(one for one in seen if isinstance(one, str)))
        settings: dict[str, float | str | bool] = {
            "samples": min(one.wanted.numel() // one.own.mean.numel() for one in answers)
        }
        for one in answers:
            is_standardised = slopes(case, one)[1]
            settings[f"{one.pair.value.name} gradient"] = (
                "standardised" if is_standardised else "own"
            )
        first = answers[0]
        assert first.pair.target is not None
        return Prescription(
            remedy=self.name,
            why=f"the {first.pair.target.name} that {first.pair.value.name} is compared with "
            f"{first.said}",
            change=self.change,
            keeps=self.keeps,
            settings=settings,
            places=tuple(dict.fromkeys(one.pair.value.path for one in answers)),
            cost="loss values stay in your units, gradients are those of standardised targets",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put the units of the target behind the outputs.

        Raises:
            CannotTreatError: If no target is out of scale any more.
        """
        pairs = [one for one in regressions(patient) if one.value.path in prescription.places]
        answers = [one for pair in pairs if isinstance(one := judged(patient, pair), Answer)]
        if not answers:
            raise CannotTreatError("no target is out of scale with its output any more")
        parts = []
        for one in answers:
            slope = slopes(patient, one)[0].float().flatten()
            mean, deviation = one.own.mean.float(), one.own.deviation.float()
            parts.append(Unstandardise(mean, deviation, slope, one.axis or -1))
        for one, part in zip(answers, parts, strict=True):
            append_to_end(patient, one.pair.value, part, _words(one))
        patient.notes.append(
            f"the statistics come from one batch, {prescription.settings['samples']} numbers a "
            "feature: put those of the training set into the buffers mean and deviation"
        )


def _words(one: Answer) -> str:
    """Say what stands behind an output now."""
    mean, deviation = one.own.mean, one.own.deviation
    if mean.numel() == 1:
        return f"{float(mean):.4g} + {float(deviation):.4g} z"
    return f"mean + deviation z for {mean.numel()} outputs"
