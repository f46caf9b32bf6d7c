"""UV506: regression targets far from where the output starts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.conditions import DataTensor
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.comparisons import BINARY, REGRESSIONS, Comparison, comparisons
from unvanish.diagnose.neighbours import Neighbours
from unvanish.diagnose.upstream import Upstream

_CONSTANT: Final = 1e-6
_ERRORS: Final = REGRESSIONS | BINARY | {"cross_entropy", "nll_loss"}


@dataclass(frozen=True)
class _Reading:
    """One way in which a target is out of proportion to the output.

    Attributes:
        target: The target.
        output: The step that makes what it is compared with.
        kind: ``"offset"``, ``"size"`` or ``"term"``.
        ratio: How far from 1; 1 or more.
        beside: Of a term of the loss, the largest other one.
    """

    target: DataTensor
    output: Site
    kind: str
    ratio: float
    beside: Site | None = None


@final
@dataclass(frozen=True, kw_only=True)
class TargetScale:
    """A regression asks for numbers far from where the output starts.

    ## What it measures
    Where a regression (squared, absolute, Huber or smooth L1 error) compares the output with
    a target of the batch as it stands, two ratios: the offset m, the distance of the target's
    mean from the output's and from zero, whichever is smaller, in standard deviations of
    the target; and the size, sqrt(distance^2 + std^2) over the root mean square of the
    output, or over 1 where the output is smaller.

    An offset of m standard deviations makes the squared error 1 + m^2 times the variance that
    there is to explain. From sqrt(1000) = 31.6 (`max_offset`) three decades of the loss, the
    measure of UV101, are about one number, and it is a note. From 1000
    (`max_offset_of_note`), six decades, it is a warning. A target that is 1000 times
    (`max_size`) as large as the output is a note.

    Where the loss adds up several errors, those of several tasks, one that is 10^4 times as large
    as all others (`max_term`) has the steps to itself until it has come down to them. Under an
    optimiser whose steps do not grow with the error that is a warning.

    Either of the first two is a warning under an optimiser whose steps do not grow with the
    error (Adam, or clipped gradients), where the output cannot grow to the target in 1,000
    steps (`max_steps_of_note`), in which the networks below learned the same target at its own
    scale: the growth alone then takes as long as the task. In t steps of size r an m x n matrix
    moves by r t in every entry, all of one mind, which is r t sqrt(m n) as a factor. L such
    layers after an input of length |x| reach T at
    r t = (T sqrt(m_L) / (|x| prod sqrt(m n)))^(1/L), m_L the number of outputs: in 3 layers of 64
    units T = 10^5 takes 1,500 steps of 1e-3, in one layer of 8 inputs 10^4 takes a million. The
    layers count back to the last one whose input keeps no scale (after a normalisation or a bounded
    function). Where they are not known, 10^6 times (`max_size_of_note`) stands in. Where the
    optimiser was only assumed, it stays at a note.

    In the runs of `python -m benchmarks.scales` (Adam at 1e-3, 3 layers of 64 units, a smooth
    function of 8 inputs, one seed) an offset of 31.6 left R^2 = 0.32 after 1,000 steps and
    0.89 after 3,000, where no offset left 0.98 and 1.00; at 1,000 the error was still 700
    times the variance after 3,000. Without an offset a target of standard deviation 10^4 was
    learned late but learned (0.90), one of 10^5 by half; the count gives them 700 and 1,500
    steps. Over 10,000 steps on 256 samples the count of steps parted those that were learned in
    the end (1,400, 4,200 and 8,600 steps by the count), which are warned of, from those that
    were not (20,000, 30,000 and more).

    ## Why it hurts
    The network first has to find one number, and all its weights move for it: when it is
    found, the features are tuned to it and the steps are too large for the rest. An
    optimiser that takes steps of fixed size walks there at a fixed pace; gradient descent
    takes steps in proportion to the error and may be thrown out.

    ## When it stays silent
    On classification; on targets that the loss function transforms before it compares them;
    on a constant target, for which there is nothing to explain.

    ## False alarms
    An output layer whose bias starts at the mean of the target has no offset left, and is not
    reported. A deep network grows its output by many orders of magnitude once all layers
    move: a large target alone, without offset, is learned late but learned. One that takes a
    few thousand steps to grow and is given ten times as many gets there.

    ## What helps
    The remedy standardise-target: the last step answers in the units of the target, and the
    layers before it work at unit scale. Or standardise the target with the statistics of the
    training set and undo it in predictions; or start the bias of the last layer at the mean of
    the target.

    ## Source
    LeCun, Bottou, Orr and Müller (1998), section 4.5, on target values. The limits follow
    from the ratios as derived above.
    """

    code: ClassVar[str] = "UV506"
    name: ClassVar[str] = "target-scale"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["lecun1998"],)

    max_offset: float = 31.6
    max_offset_of_note: float = 1e3
    max_size: float = 1e3
    max_term: float = 1e4
    max_size_of_note: float = 1e6
    max_steps_of_note: float = 1e3

    def examine(self, recording: Recording) -> Verdict:
        """Judge every target that a regression compares with an output."""
        if not recording.data:
            if recording.context.batch_size:
                return NotMeasured("what the target holds")
            return NotApplicable("the batch holds no tensor")
        readings = list(_readings(recording))
        if not readings:
            return NotApplicable("no regression compares the output with a target as it stands")
        found = [r for r in readings if r.ratio > self._limit(r)]
        if found:
            worst = max(found, key=lambda r: (self._severity(recording, r).rank, r.ratio))
            return Found((self._finding(recording, worst),))
        nearest = max(readings, key=lambda r: r.ratio / self._limit(r))
        return Clear(
            math.log10(self._limit(nearest) / nearest.ratio),
            "decades",
            f"the {nearest.target.name} has mean {nearest.target.mean:.3g} and standard deviation "
            f"{nearest.target.std:.3g}, within reach of the output",
        )

    def _limit(self, reading: _Reading) -> float:
        limits = {"offset": self.max_offset, "size": self.max_size, "term": self.max_term}
        return limits[reading.kind]

    def _severity(self, recording: Recording, reading: _Reading) -> Severity:
        assumed = all(p.in_optimizer is None for p in recording.parameters)
        if reading.kind == "term":
            alone = _fixed_pace(recording) and not assumed
            return Severity.WARNING if alone else Severity.NOTE
        steps, apart = _steps_to_grow(recording, reading), reading.kind == "offset"
        most = self.max_offset_of_note if apart else self.max_size_of_note
        far = steps > self.max_steps_of_note if steps > 0.0 else reading.ratio > most
        hopeless = (far and _fixed_pace(recording)) or (apart and reading.ratio > most)
        return Severity.WARNING if hopeless and not assumed else Severity.NOTE

    def _finding(self, recording: Recording, reading: _Reading) -> Finding:
        target, output, ratio = reading.target, reading.output, reading.ratio
        apart = reading.kind == "offset"
        note = (
            f"its mean is {target.mean:.3g} and its standard deviation {target.std:.3g}: "
            f"{2 * math.log10(ratio):.1f} decades of the squared error are about one number"
            if apart
            else f"{output.name} has rms {recording[Quantity.ACTIVATION_RMS].get(output):.3g}, the "
            f"{target.name} has mean {target.mean:.3g} and standard deviation {target.std:.3g}"
        )
        message = f"the {target.name} is {ratio:.3g} times as large as the output"
        unit = "times the output"
        if apart:
            unit = "standard deviations"
            message = f"the {target.name} lies {ratio:.3g} of its {unit} away from the output"
        if reading.beside is not None:
            unit = f"times {reading.beside.op}"
            message = (
                f"the error against the {target.name} is {ratio:.2g} times {reading.beside.op}, "
                "which is added to it: no step is left for that"
            )
        return Finding(
            code=self.code,
            name=self.name,
            severity=self._severity(recording, reading),
            message=message,
            sites=(output,),
            parameters=output.weights,
            measured=ratio,
            expected=1.0,
            limit=self._limit(reading),
            unit=unit,
            causes=(Cause.INPUT_SCALE, Cause.LEARNING_RATE),
            notes=(note, *_growth(recording, reading), *_pace(recording)),
            help=(
                "standardise the target with the statistics of the training set: "
                "t = (t - mean) / std, and undo it in predictions",
                "or start the last bias at the mean of the target: "
                f"torch.nn.init.constant_(layer.bias, {target.mean:.3g})",
            ),
        )


def _readings(recording: Recording) -> Iterator[_Reading]:
    size, average = recording[Quantity.ACTIVATION_RMS], recording[Quantity.ACTIVATION_MEAN]
    neighbours = Neighbours(recording)
    for pair in comparisons(neighbours):
        target, output = pair.target, pair.value
        if target is not None and output.op == "cat":  # one of several heads, whichever it is
            heads = [s for s in neighbours.producers(output) if s.size == math.prod(target.shape)]
            output = max(heads, key=lambda head: size.get(head), default=output)
        if pair.name in BINARY or target is None or math.prod(target.shape) != output.size:
            continue
        rms, mean = size.get(output), average.get(output)
        if not target.std > _CONSTANT * abs(target.mean) or not rms >= 0.0:
            continue
        # Where the output lies far out and the target does not, the target is not at fault.
        apart = min(abs(target.mean - mean), abs(target.mean))
        largest = math.hypot(apart, target.std)
        yield _Reading(target, output, "offset", max(1.0, apart / target.std))
        yield _Reading(target, output, "size", max(1.0, largest / max(rms, 1.0)))
        beside = _largest_beside(neighbours, pair)
        if beside is not None:
            ratio = size.get(pair.site) / size[beside]
            yield _Reading(target, output, "term", max(1.0, ratio), beside)


def _largest_beside(neighbours: Neighbours, pair: Comparison) -> Site | None:
    """Return the largest of the errors that are added to one, as the error of another task."""
    size = neighbours.recording[Quantity.ACTIVATION_RMS]
    sums = [site for site in neighbours.consumers(pair.site) if site.op == "add"]
    terms = (
        term
        for total in sums
        for term in neighbours.producers(total)
        if term.index != pair.site.index and term.op in _ERRORS and size.get(term) > 0.0
    )
    return max(terms, key=lambda term: size[term], default=None)


def _steps_to_grow(recording: Recording, reading: _Reading) -> float:
    """Return the steps of fixed size in which an output can grow to its target, at the least.

    Args:
        recording: What was measured.
        reading: The target, and the output that is too small for it.

    Returns:
        A number of steps; nan where the layers or the learning rate are not known.
    """
    optimizer = recording.context.optimizer
    upstream = Upstream(recording)
    site: Site | None = reading.output
    length, last, factors = math.nan, 0, []
    while site is not None:
        weight = next((w for w in upstream.parameters(site) if len(w.shape) >= 2), None)
        bounded = site.can_saturate or "norm" in site.op or "softmax" in site.op
        if weight is not None:
            last = last or weight.shape[0]
            fan_in = weight.size / weight.shape[0]
            factors.append(math.sqrt(weight.size))
            length = upstream.rms(site) / upstream.gain(site) * math.sqrt(fan_in)
        elif bounded and factors:
            factors.extend([1.0] * bool(site.weights))
            break
        before = upstream.producers(site)
        site = before[0] if before else None
    if optimizer is None or not optimizer.lr or not factors or not length > 0.0:
        return math.nan
    # log10 throughout: the product of many layers may be no float.
    reach = math.log10(length) + sum(map(math.log10, factors)) - 0.5 * math.log10(last)
    target = math.log10(math.hypot(reading.target.mean, reading.target.std))
    return float(10 ** min(300.0, (target - reach) / len(factors))) / optimizer.lr


def _growth(recording: Recording, reading: _Reading) -> tuple[str, ...]:
    steps = math.nan if reading.beside else _steps_to_grow(recording, reading)
    if not 1.0 < steps < math.inf or not _fixed_pace(recording):
        return ()
    return (f"steps of fixed size take {steps:.1g} or more to let the output grow as far",)


def _fixed_pace(recording: Recording) -> bool:
    """Tell whether a larger error makes no larger steps."""
    optimizer = recording.context.optimizer
    if optimizer is None:
        return False
    return optimizer.clip_grad_norm is not None or "sgd" not in optimizer.name.casefold()


def _pace(recording: Recording) -> tuple[str, ...]:
    """Say what the probe steps did to the loss."""
    if not recording.steps:
        return ()
    step = recording.steps[0]
    fall = (step.loss_before - step.loss_after) / abs(step.loss_before or 1.0)
    if not math.isfinite(fall):
        return ()
    verb = "lowers" if fall >= 0 else "raises"
    return (f"a probe step {verb} the loss by {100 * abs(fall):.2g} %",)
