"""UV204: an output and a loss that were not made for each other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.conditions import DataTensor
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Role, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.comparisons import BINARY, REGRESSIONS, Comparison, comparisons
from unvanish.diagnose.contracts import loss_calls
from unvanish.diagnose.neighbours import VIEWS, Neighbours
from unvanish.diagnose.optimiser import trained
from unvanish.diagnose.reach import RANGES, Reach, classes_of, reach_of

_PROBABILITIES: Final = frozenset({"softmax", "sigmoid", "hardsigmoid"})
_LAYERS: Final = frozenset({"linear", "conv", "conv1d", "conv2d", "conv3d", "bilinear"})
_RECTIFIERS: Final = frozenset("relu relu6 leaky_relu elu gelu silu softplus".split())
_CLIPPED: Final = frozenset({"relu", "relu6"})
"""Functions that answer zero, without a slope, to everything below it."""

_LINEAR: Final = VIEWS | {"neg", "mean", "sum"}
_COMPARED: Final = "comparisons for each output"
_ROUNDING: Final = 1e-3
"""How far targets that were meant to lie in 0 … 1 may miss it."""


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """What one output can reach under its loss, by one number.

    Attributes:
        output: The step whose values the loss reads.
        loss: The loss.
        measured: What is judged; ``nan`` where the pair fits.
        expected: The number of a pair that fits.
        limit: Beyond it, as seen from what is expected, the pair is wrong.
        unit: Unit of the three.
        message: What is wrong.
        note: Why it matters.
        help: What to do.
        severity: How bad it is.
    """

    output: Site
    loss: Site
    measured: float = math.nan
    expected: float = 1.0
    limit: float = math.nan
    unit: str = "probability"
    message: str = ""
    note: str = ""
    help: tuple[str, ...] = ()
    severity: Severity = Severity.WARNING

    @property
    def wrong(self) -> bool:
        """Whether the number lies beyond its limit."""
        if self.expected > self.limit:
            return self.measured < self.limit
        return self.measured > self.limit


@final
@dataclass(frozen=True, kw_only=True)
class OutputLossPair:
    """The network's last step and its loss do not belong together.

    ## What it measures
    Whether the loss can be satisfied at all, read off the operations between the last layer
    and the loss.

    Cross entropy wants scores over the whole line. Fed from a function whose values span R
    (1 for softmax and sigmoid, 2 for tanh, times any constant factor), the right class of C
    gets at most p = 1 / (1 + (C - 1) exp(-R)), and the loss never falls below -ln p: with a
    softmax before it, 0.23 and 1.46 at 10 classes. Binary cross entropy with logits over
    [lo, hi] leaves sigma(hi) to the positives and sigma(-lo) to the negatives: a sigmoid
    before it cannot give a negative less than one half. The limit is 0.9
    (`min_best_probability`).

    Cosines times a factor s span R = 2 s, and are as a rule meant: contrastive losses and
    classifiers by angle divide them by a temperature. Half of it, at a few hundred samples, leaves
    0.37 of a guess's loss and trains; they are a warning where more than 0.7 of it stays
    (`max_share_of_cosines`), as where they are multiplied by the temperature in place of divided,
    or go to thousands of classes without a factor. A factor that is learned counts where it is
    below 1: it has a long way to go.

    ReLU bounds the scores on one side only, so that the loss can fall as far as it likes; but a
    class whose score is cut off has no gradient. One that scores zero on every sample, of 32 or
    more (`min_samples`), is a warning: a class that would score above zero on a tenth of them
    is left out of 32 by chance once in 29 times. Of 56 pairs of runs on digits, wine and iris,
    with a ReLU on the scores and without (MLPs, CNN, one layer; Adam and SGD; 300 steps), 36
    began with such a class. 35 of them ended with 0.33 to 0.78 of the samples right, where the
    same network without the ReLU had 0.88 or more; one got as far. Of the 20 others 16 had at
    least 0.89 right, and four of a single layer on ten classes 0.48 to 0.57: these are not found.

    `nll_loss` wants logarithms of probabilities. Of probabilities it is the negative
    probability itself, whose gradient is that of cross entropy times p, one C-th at a guess;
    of raw scores it has no lower end.

    The other losses of torch ask as much of their arguments. `kl_div` and `ctc_loss` want
    logarithms of probabilities, and `kl_div` is told of a target in logarithms by
    `log_target`. `poisson_nll_loss` takes the exponential of its input, so that after ReLU,
    softplus or exp no rate is below 1: too much for counts of less in the mean. The margin
    losses (`soft_margin_loss`, `hinge_embedding_loss`, `cosine_embedding_loss`,
    `margin_ranking_loss`, and ``relu(1 - y * score)`` by hand) want labels of -1 and 1: at 0
    they are constant, so those samples have no gradient, and the others push all outputs to
    one side. `multilabel_margin_loss` wants indices of classes.

    A regression target must lie where the output can go. No variable on an interval has a
    mean outside of it, or a standard deviation above half its width: beyond
    (`max_half_widths`, 1) the target is out of reach. After ReLU, softplus or exp a quarter
    of negative targets (`max_negative_fraction`) is too many. Binary cross entropy is
    bounded below for targets in 0 … 1 only.

    A softmax over one class is 1 whatever the network says. One over the N samples gives the
    right one of C classes C / N in the mean at most. A loss that broadcasts outputs of shape
    (n, 1) against targets of shape (n,) compares all with all.

    Cross entropy, and any other of these errors, has a lower end and no upper one. A loss that
    is nothing but its negative has no lower end.

    ## Why it hurts
    The rest of the loss that cannot be removed pushes on every sample, also on those that are
    right, and a second squashing function multiplies its own small slope into every gradient:
    1/C at the start of a double softmax, nothing once it is sure of itself, right or wrong.

    ## When it stays silent
    On a softmax inside the network (attention, gates); on logarithms of probabilities, also
    twice (log-softmax does not change its own output); on scores that are scaled up by enough
    or by a learned factor; on softmax with a squared error; on targets that the loss function
    transforms before it compares them; on a negative error that is one term among others, that
    an optimiser with `maximize=True` climbs, that is weighed by rewards, or that a frozen network
    answers to an adversary.

    ## False alarms
    A negative error that is meant, to make a network unlearn what it knows, is warned of.
    A second softmax is a poor but working loss for few classes, so the finding is a warning.
    It is a note where less than a third of a guess's loss stays (`max_share_of_note`), such as
    with tanh before 2 classes, and an error where three decades of gradient are lost in the
    output's function alone (`max_lost_decades`).

    ## What helps
    Leave out the function at the end, and let the loss apply its own: `cross_entropy` and
    `binary_cross_entropy_with_logits` take raw scores. For a regression, no function at the
    end, or targets scaled into its range.

    ## Source
    Bridle (1990) for softmax with the logarithmic score; LeCun, Bottou, Orr and Müller (1998),
    section 4.5, for targets within reach of the output's function; Wang, Xiang, Cheng and Yuille
    (2017), proposition 2, for cosines. The bounds are derived above.
    """

    code: ClassVar[str] = "UV204"
    name: ClassVar[str] = "output-loss-mismatch"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["bridle1990"],
        SOURCES["lecun1998"],
        SOURCES["wang2017"],
    )

    min_best_probability: float = 0.9
    max_half_widths: float = 1.0
    max_negative_fraction: float = 0.25
    max_share_of_note: float = 1 / 3
    max_lost_decades: float = 3.0
    max_share_of_cosines: float = 0.7
    min_samples: int = 32

    def examine(self, recording: Recording) -> Verdict:
        """Judge every output together with the loss that reads it."""
        if not recording.sites or (len(recording.sites) > 1 and not recording.edges):
            return NotMeasured("which operation feeds which, up to the loss")
        neighbours = Neighbours(recording)
        pairs = [
            *self._scores(neighbours),
            *self._likelihoods(neighbours),
            *_calls(neighbours),
            *self._comparisons(neighbours),
            *self._constants(neighbours),
            *self._over_samples(neighbours),
            *self._upside_down(neighbours),
        ]
        if not pairs:
            return NotApplicable("no loss was seen that asks for one kind of output")
        wrong = [pair for pair in pairs if pair.wrong]
        if wrong:
            kinds: dict[tuple[str, str, str], list[_Pair]] = {}
            for pair in wrong:
                kinds.setdefault((pair.output.op, _name(pair.loss), pair.unit), []).append(pair)
            return Found(tuple(self._finding(neighbours, *same) for same in kinds.values()))
        return Clear(summary=f"{_name(pairs[0].loss)} can be satisfied by what it is given")

    def _scores(self, neighbours: Neighbours) -> Iterator[_Pair]:
        """Judge what is turned into probabilities of classes by the loss."""
        for loss in neighbours.recording.sites:
            reach = (
                reach_of(neighbours, loss, shifts=True)
                if loss.op == "log_softmax" and _at_the_end(loss)
                else None
            )
            if reach is None:
                continue
            classes = classes_of(neighbours, loss, reach.site)
            if reach.site.op in _CLIPPED and classes > 1:
                yield self._clipped(neighbours, loss, reach, classes)
            if not math.isfinite(reach.width) or classes < 2:
                yield _Pair(output=reach.site, loss=loss)
                continue
            best = 1.0 / (1.0 + (classes - 1) * math.exp(-reach.width))
            if reach.is_cosine:
                yield self._cosines(loss, reach, classes, best)
                continue
            mild = -math.log(best) < self.max_share_of_note * math.log(classes)
            yield _Pair(
                output=reach.site,
                loss=loss,
                measured=best,
                limit=self.min_best_probability,
                message=f"{reach.site.name} comes before {_name(loss)}: the right one of {classes} "
                f"classes gets a probability of {best:.2g} at most",
                note=f"the loss cannot fall below {-math.log(best):.3g}, where a guess among "
                f"{classes} classes has {math.log(classes):.3g}",
                help=_take_away(reach.site, "cross_entropy"),
                severity=Severity.NOTE if mild else Severity.WARNING,
            )

    def _cosines(self, loss: Site, reach: Reach, classes: int, best: float) -> _Pair:
        """Judge cosines, whose differences are small unless they are divided by a temperature."""
        least, guess = -math.log(best), math.log(classes)
        return _Pair(
            output=reach.site,
            loss=loss,
            measured=least / guess,
            expected=0.0,
            limit=self.max_share_of_cosines,
            unit="of a guess's loss",
            message=f"the scores of {_name(loss)} are cosines times {reach.high:.2g}: the right "
            f"one of {classes} gets a probability of {best:.2g} at most",
            note=f"the loss cannot fall below {least:.3g}, where a guess among {classes} has "
            f"{guess:.3g}, and its gradient stays that of a guess",
            help=(
                f"divide the cosines by a temperature, such as 0.07: a factor of "
                f"{1.0 / 0.07:.0f} in place of {reach.high:.2g}",
            ),
        )

    def _clipped(self, neighbours: Neighbours, loss: Site, reach: Reach, classes: int) -> _Pair:
        """Judge scores of classes that cannot fall below zero, and have no slope there."""
        recording, output = neighbours.recording, reach.site
        dead = recording[Quantity.DEAD_FRACTION].get(output)
        silent = round(dead * classes) if dead > 0.0 else 0
        samples = recording.context.batch_size * recording.context.batches
        if silent == 0 or samples < self.min_samples:
            return _Pair(output=output, loss=loss)
        return _Pair(
            output=output,
            loss=loss,
            measured=dead,
            expected=0.0,
            limit=0.0,
            unit="fraction of the classes",
            message=f"{output.name} comes before {_name(loss)}: {silent} of {classes} classes "
            f"score{'s' if silent == 1 else ''} exactly zero on every sample",
            note="where a score is cut off the loss has no slope: such a class is not learned, "
            "and is predicted only where all others are cut off too",
            help=_take_away(output, "cross_entropy"),
        )

    def _likelihoods(self, neighbours: Neighbours) -> Iterator[_Pair]:
        """Judge what is taken for logarithms of probabilities."""
        for loss in neighbours.recording.sites:
            output = neighbours.source(loss) if loss.op.startswith("nll_loss") else None
            if output is None:
                continue
            if output.op in _PROBABILITIES:
                share = 1.0 / classes_of(neighbours, loss, output)
                yield _Pair(
                    output=output,
                    loss=loss,
                    measured=share,
                    limit=self.min_best_probability,
                    unit="share of the gradient of cross entropy",
                    message=f"nll_loss wants logarithms, {output.name} gives it probabilities",
                    note="its gradient is that of cross entropy times the probability of the "
                    f"right class: {share:.2g} at a guess, and nothing where the network is "
                    "sure and wrong",
                    help=(
                        "use torch.nn.LogSoftmax(dim=1) in place of the softmax",
                        "or remove it and use torch.nn.functional.cross_entropy",
                    ),
                )
            elif (
                (output.op in _LAYERS and output.weights)
                or output.function in _LAYERS  # one over steps is several
                or output.op in _RECTIFIERS
            ):
                yield _Pair(
                    output=output,
                    loss=loss,
                    measured=0.0,
                    limit=0.5,
                    unit="share of outputs that are logarithms of probabilities",
                    message=f"nll_loss wants logarithms of probabilities, {output.name} gives it "
                    "raw scores",
                    note="nothing holds the scores together, so the loss has no lower end",
                    help=("use torch.nn.functional.cross_entropy, which takes raw scores",),
                    severity=Severity.ERROR,
                )
            else:
                yield _Pair(output=output, loss=loss)

    def _comparisons(self, neighbours: Neighbours) -> Iterator[_Pair]:
        """Judge what is compared with a target number by number."""
        for pair in comparisons(neighbours):
            yield _Pair(output=pair.value, loss=pair.site)
            reach = reach_of(neighbours, pair.site)
            if pair.name == "binary_cross_entropy" and pair.value.op == "sigmoid":
                reach = reach_of(neighbours, pair.value)
            elif pair.name == "binary_cross_entropy":
                reach = None
            if reach is not None and pair.name in BINARY:
                yield self._yes_and_no(pair, reach)
            if pair.target is None:
                continue
            yield _broadcast(neighbours, pair, pair.target)
            if pair.name in BINARY:
                yield _unbounded(pair, pair.target)
            elif reach is not None and reach.site.op in RANGES:
                yield self._target(pair, reach, pair.target)

    def _yes_and_no(self, pair: Comparison, reach: Reach) -> _Pair:
        """Judge what is turned into a probability of yes and no by the loss."""
        yes, no = _sigmoid(reach.high), _sigmoid(-reach.low)
        best = min(yes, no)
        which = "any answer" if yes == no else "a yes" if yes < no else "a no"
        return _Pair(
            output=reach.site,
            loss=pair.site,
            measured=best,
            limit=self.min_best_probability,
            message=f"{reach.site.name} comes before {pair.name}: {which} gets a probability of "
            f"{best:.2g} at most",
            note=f"the loss of such a sample cannot fall below {-math.log(best):.3g}, where a "
            "guess has 0.693",
            help=_take_away(reach.site, "binary_cross_entropy_with_logits"),
        )

    def _target(self, pair: Comparison, reach: Reach, target: DataTensor) -> _Pair:
        """Compare the range of the output's function with where the target lies."""
        if math.isfinite(reach.width):
            half = reach.width / 2
            # Targets at both ends, such as 0 and 1, meet the bound up to rounding.
            measured = round(max(abs(target.mean - (reach.low + half)), target.std) / half, 6)
            limit, unit = self.max_half_widths, "half-widths of the output's range"
            answers = f"between {reach.low:.3g} and {reach.high:.3g}"
        else:
            below = target.negative_fraction
            measured = below if reach.high == math.inf else 1.0 - below
            limit, unit = self.max_negative_fraction, "fraction of the target"
            answers = "not below 0" if reach.high == math.inf else "not above 0"
        return _Pair(
            output=reach.site,
            loss=pair.site,
            measured=measured,
            expected=0.0,
            limit=limit,
            unit=unit,
            message=f"{reach.site.name} lets the output answer {answers}, but the {target.name} "
            f"has mean {target.mean:.3g} and standard deviation {target.std:.3g}",
            note="what the output cannot reach pushes it against the end of its range, where its "
            "function is flat",
            help=(
                f"remove the {reach.site.op} from the output: a regression needs no function there",
                "or scale the target into its range",
            ),
        )

    def _constants(self, neighbours: Neighbours) -> Iterator[_Pair]:
        """Judge softmaxes over one class, which are constant."""
        mean = neighbours.recording[Quantity.ACTIVATION_MEAN]
        learning = [p for p in neighbours.recording.parameters if p.requires_grad and p.has_grad]
        nothing = all(p.log10_grad_rms == -math.inf for p in learning)
        for site in neighbours.recording.sites:
            edges = neighbours.edges_into(site) if _at_the_end(site) else []
            if not edges or any(edge.log10_gain > -math.inf for edge in edges):
                continue
            one = site.op == "softmax" and mean.get(site) == 1.0
            if one or (site.op == "log_softmax" and classes_of(neighbours, site, site) == 1):
                yield _Pair(
                    output=site,
                    loss=site,
                    measured=0.0,
                    limit=10**-self.max_lost_decades,
                    unit="share of the gradient",
                    message=f"{_name(site)} runs over one class: it is constant whatever the "
                    "network says",
                    note="no gradient leaves it",
                    help=(
                        "for two classes give the network two outputs, or one with "
                        "binary_cross_entropy_with_logits",
                        "or check the dimension: torch.softmax(x, dim=1) for (batch, classes)",
                    ),
                    severity=Severity.ERROR if nothing else Severity.NOTE,
                )

    def _over_samples(self, neighbours: Neighbours) -> Iterator[_Pair]:
        """Judge softmaxes over the batch, in which samples compete for one class."""
        mean = neighbours.recording[Quantity.ACTIVATION_MEAN]
        for site in neighbours.recording.sites:
            if site.op != "softmax" or not site.is_output or len(site.shape) != 2:
                continue
            samples, classes = site.shape
            over = mean.get(site) * samples
            if neighbours.only_multiplies(site, ("mul", "matmul", "bmm", "einsum"), data=False):
                continue  # attention over a set
            if samples > classes > 1 and abs(over - 1.0) < _ROUNDING:
                yield _Pair(
                    output=site,
                    loss=site,
                    measured=classes / samples,
                    limit=self.min_best_probability,
                    message=f"{site.name} runs over the {samples} samples: they share each of "
                    f"{classes} classes, and the right one of a sample gets "
                    f"{classes / samples:.2g} in the mean at most",
                    note="what one sample gains another loses, and a batch of another size means "
                    "another network",
                    help=("choose the dimension of the classes: torch.softmax(x, dim=1)",),
                )

    def _upside_down(self, neighbours: Neighbours) -> Iterator[_Pair]:
        """Judge a loss that is nothing but an error with its sign turned."""
        recording = neighbours.recording
        ends = [s for s in recording.sites if s.role is Role.LOSS and not neighbours.consumers(s)]
        climbs = any(step.predicted_change > 0.0 for step in recording.steps)
        if len(ends) != 1 or not recording.context.loss_value < 0.0 or climbs:
            return
        loss, signs = ends[0], 0
        while loss.op in _LINEAR and len(before := neighbours.producers(loss)) == 1:
            signs += loss.op == "neg"
            loss = before[0]
        output = neighbours.source(loss)
        is_error = loss.op in REGRESSIONS | BINARY or loss.op.startswith("nll_loss")
        if signs % 2 == 0 or not is_error or output is None:
            return
        learn = {p.name for p in trained(recording)}
        layers = [s for s in recording.signal_sites() if s.op in _LAYERS or s.weights]
        if not layers or not learn & set(layers[-1].weights):
            return  # an adversary that looks for the input, or for what feeds another network
        yield _Pair(
            output=output,
            loss=loss,
            measured=-1.0,
            limit=0.0,
            unit="times the error",
            message=f"the loss is {_name(loss)} with its sign turned: training makes the error "
            "larger",
            note="an error has no upper end, so the loss has no lower one: the outputs grow "
            "without bound, away from the target",
            help=(
                f"take the minus away: loss = {_name(loss)}(output, target)",
                "where the error is meant to grow, to unlearn or against an adversary, bound it: "
                "stop at the loss of a guess",
            ),
        )

    def _finding(self, neighbours: Neighbours, pair: _Pair, *others: _Pair) -> Finding:
        edges = neighbours.edges_into(pair.output)
        lost = -max((edge.log10_gain for edge in edges), default=0.0)
        crushed = pair.output.op in RANGES and self.max_lost_decades <= lost < math.inf
        notes = [pair.note]
        if others:
            notes.append(f"{len(others)} more outputs are paired in the same way")
        if crushed:
            notes.append(f"{lost:.1f} decades of the gradient are lost in {pair.output.name} alone")
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR if crushed else pair.severity,
            message=pair.message,
            sites=tuple(dict.fromkeys(s for p in (pair, *others) for s in (p.output, p.loss))),
            measured=pair.measured,
            expected=pair.expected,
            limit=pair.limit,
            unit=pair.unit,
            causes=(Cause.LOSS_SATURATION,),
            notes=tuple(notes),
            help=pair.help,
        )


def is_broadcast(finding: Finding) -> bool:
    """Tell whether a finding of this rule is about outputs that are compared with all targets.

    Args:
        finding: The finding.
    """
    return finding.code == OutputLossPair.code and finding.unit == _COMPARED


def _calls(neighbours: Neighbours) -> Iterator[_Pair]:
    """Judge the calls of torch's other losses by what each asks of its arguments."""
    for call in loss_calls(neighbours):
        breach = call.breach
        if breach is None:
            yield _Pair(output=call.output, loss=call.site)
            continue
        yield _Pair(
            output=call.output,
            loss=call.site,
            measured=breach.measured,
            expected=0.0,
            limit=breach.limit,
            unit=breach.unit,
            message=breach.message,
            note=breach.note,
            help=breach.help,
            severity=breach.severity,
        )


def _broadcast(neighbours: Neighbours, pair: Comparison, target: DataTensor) -> _Pair:
    """Judge whether a loss compares each output with its own target."""
    alone = max(pair.value.size, math.prod(target.shape), 1)
    compared = max((site.size for site in neighbours.producers(pair.site)), default=alone)
    if pair.name == "difference":
        # Written by hand it may be meant, such as one target against many quantiles.
        column = len(target.shape) == 1 and pair.value.shape == (*target.shape, 1)
        compared = pair.site.size if column else alone
    return _Pair(
        output=pair.value,
        loss=pair.site,
        measured=compared / alone,
        limit=1.0,
        unit=_COMPARED,
        message=f"{pair.name} compares every output with every target: their shapes are "
        f"{pair.value.shape} and {target.shape}",
        note="each output is drawn to the mean of all targets, whatever its input",
        help=("give both one shape: loss(output, target.reshape(output.shape))",),
    )


def _unbounded(pair: Comparison, target: DataTensor) -> _Pair:
    """Judge whether binary cross entropy has a lower end at these targets."""
    return _Pair(
        output=pair.value,
        loss=pair.site,
        measured=max(-target.low, target.high - 1.0),
        expected=0.0,
        limit=_ROUNDING,
        unit="outside of 0 … 1",
        message=f"{pair.name} wants targets in 0 … 1, the {target.name} goes from {target.low:g} "
        f"to {target.high:g}",
        note="beyond 0 and 1 the loss has no lower end: the output grows without bound",
        help=("map the target to 0 … 1: target = (target > 0).float() for classes -1 and 1",),
    )


def _at_the_end(site: Site) -> bool:
    return site.is_output or site.role is Role.LOSS


def _name(loss: Site) -> str:
    """Return a loss as its user called it."""
    return loss.function or loss.op


def _sigmoid(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z)) if z > -700.0 else 1e-300


def _take_away(output: Site, loss: str) -> tuple[str, ...]:
    return (
        f"remove the {output.op} from the output: {loss} takes raw scores and applies its own",
        f"where the {output.op} is wanted for predictions, apply it to them, outside of the loss",
    )
