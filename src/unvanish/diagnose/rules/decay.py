"""UV406: weight decay that takes the weights away faster than the gradient can turn them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.conditions import RESCALES_DECAY, Optimizer, ShortTraining
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.optimiser import embeddings, is_given, median, trained

_AS_IT_IS: Final = frozenset({"SGD", "ASGD", "AdamW", "Lion"})
"""Optimisers whose step takes learning rate x decay of every weight, whatever the gradient."""

_USUAL: Final = {"SGD": "5e-4", "ASGD": "5e-4", "AdamW": "0.01 to 0.1"}


@final
@dataclass(frozen=True, kw_only=True)
class WeightDecay:
    """Weight decay takes the weights away faster than the gradient can turn them.

    ## What it measures
    A copy takes one step with the user's optimiser. The step is split for every weight matrix:
    decay of strength d at a learning rate of lr shortens the weights w by the share lr d; what
    is at right angles to them is the gradient's, a share u of their size.

    The gradient of a matrix is nearly of one direction: that of what has to be told apart. The
    length |w| of an m x n matrix is spread over r = min(m, n) directions, so one of them has
    the length |w| / sqrt(r) on average, and decay takes lr d |w| / sqrt(r) of it. Where that is
    more than the whole of the gradient's u |w|, no direction can grow, and the layer shrinks:

    R = lr d / (u sqrt(r)) > 1 (`max_ratio`).

    R does not change with the scale of the loss, the data or the weights. For Adam and its kin
    that add the decay to the gradient before they rescale it, R = d |w| / (|g| sqrt(r)) of the
    gradient g; small weights soon win there, so the smallest R of all matrices counts, for
    others the median.

    R is large too where the gradient is small because all is learned. So it counts only where
    the decay acts at once: where its time, 1 / (lr d) steps, or (1 - momentum) / (lr d), is
    below 300 steps (`max_steps`); for Adam and its kin |w| / lr, since no step of theirs is
    longer than the learning rate. The usual 5e-4 at SGD's rate of 0.1 with momentum 0.9 has
    2,000 steps, 0.1 at AdamW's 1e-3 has 10,000, and the 1 of the runs that show grokking 1,000.

    One batch does not tell what many have in common, nor the first gradient what is left of it
    once decay has made the weights small. So two copies take 60 steps on the probe batches, one
    of them without decay: under an optimiser of Adam's kin that holds a matrix or an embedding
    for which d |w| is more than a tenth of |g|, where the decay acts at once; under others where
    the decay's time is below these 60 steps. It is a warning where the one with decay keeps seven
    tenths of its first loss (`min_share_left`), and that is more than 1.3 times the loss of the
    other (`max_share`). Decay is meant to keep a network from learning samples by heart, but not
    from learning. Two networks of other people, at 1.4 and 1.7, and 24 settings of Adam on digits
    (an MLP, a CNN with BatchNorm, a GRU; decays from 0.001 to 0.1) set these limits: the five
    that are warned of end at accuracies of 0.07, 0.07, 0.08, 0.75 and 0.92 after 20 epochs, where
    a decay of 0.001 gives 0.95 to 0.98; one at 0.09 that learns little without decay either is
    missed. Where the copy of Adam's kin without decay keeps 0.97 of its first loss
    (`min_share_beside`), something else holds the network back, and an R beyond its limit is a
    note.

    SGD and AdamW have the same limits. Of 60 settings on a table of 20 features (an MLP, one with
    BatchNorm, a residual one with LayerNorm; decays from 5e-4 to 1 under SGD at three rates, from
    0.1 to 100 under AdamW; 400 steps each) the 16 that the trial warns of end at accuracies of
    0.25 to 0.69, where the smallest decay gives 0.91 to 0.97.

    In 177 runs (five MLPs of two to six layers, with and without a normalisation, a wide MLP, a
    CNN with BatchNorm and a small ViT, with decays from 1e-4 to 100 under SGD, AdamW and Adam,
    250 to 400 steps each) every run beyond the limit kept at least three quarters of its first
    loss. They did not set the limit; some of the runs below it learned no more than that.

    ## Why it hurts
    In a network without normalisation the gradient of each layer is proportional to the
    weights of all others, so it shrinks along with them: the network goes to zero, where its
    gradient is zero too, and its answer is the same for all samples.

    ## When it stays silent
    Without weight decay, without an optimiser of the user's, on optimisers whose decay is not
    known, on parameter groups that have none, on embeddings, of which a batch touches few rows.

    ## False alarms
    None is known. A decay this large for its own sake, to make a network forget, would be one.

    ## What helps
    A smaller decay: 5e-4 for SGD, 0.01 to 0.1 for AdamW. What is usual for AdamW is far too
    much for SGD and Adam, where it is added to the gradient.

    ## Source
    Krogh and Hertz (1991) for decay as a pull on the directions that the data leaves alone;
    Loshchilov and Hutter (2019) for the decoupled form. The limit is derived above.
    """

    code: ClassVar[str] = "UV406"
    name: ClassVar[str] = "weight-decay"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["krogh1991"], SOURCES["loshchilov2019"])

    max_ratio: float = 1.0
    max_steps: float = 300.0
    max_share: float = 1.3
    min_share_left: float = 0.7
    min_share_beside: float = 0.97

    def examine(self, recording: Recording) -> Verdict:
        """Compare what decay takes of every matrix in the first step with what the rest adds."""
        optimizer = recording.context.optimizer
        if not recording.parameters:
            return NotMeasured("the optimiser's updates")
        if optimizer is None or not is_given(recording):
            return NotApplicable("no optimiser was given")
        if not optimizer.weight_decay:
            return NotApplicable("the optimiser has no weight decay")
        if optimizer.name not in _AS_IT_IS | RESCALES_DECAY:
            return NotApplicable(f"how {optimizer.name} decays the weights is not known")
        looked_up = embeddings(recording)
        held = [p for p in trained(recording) if len(p.shape) >= 2 and p.rms > 0.0]
        run = recording.training
        if run is not None and self._holds_back(run) and _time(held, optimizer) < self.max_steps:
            return Found((self._of_training(recording, optimizer, held, run),))
        matrices = [p for p in held if p.name not in looked_up]
        if not matrices:
            return NotApplicable("the optimiser trains no matrix")
        if all(math.isnan(p.turn_ratio) for p in matrices):
            return NotMeasured("the optimiser's updates")
        ratios = {p.name: _ratio(p, optimizer) for p in matrices}
        judged = {name: ratio for name, ratio in ratios.items() if ratio >= 0.0}
        if not judged:
            return NotApplicable("decay takes no part in the steps of the matrices")
        weakest = optimizer.name in RESCALES_DECAY
        ratio = min(judged.values()) if weakest else median(judged.values())
        time = _time(matrices, optimizer)
        if ratio > self.max_ratio and time < self.max_steps:
            return Found((self._finding(recording, optimizer, judged, ratio, time),))
        return Clear(
            max(0.0, math.log10(self.max_ratio / ratio)) if ratio > 0.0 else math.inf,
            "decades",
            f"decay takes {ratio:.2g} of what the gradient gives a direction, over {time:.2g} "
            "steps",
        )

    def _holds_back(self, run: ShortTraining) -> bool:
        """Tell whether much less is learnt with the decay than without it."""
        if not math.isfinite(run.loss_after) or not run.loss_undecayed >= 0.0:
            return False
        stays = run.loss_after > self.min_share_left * run.loss_before
        return stays and run.loss_after > self.max_share * run.loss_undecayed

    def _of_training(
        self,
        recording: Recording,
        optimizer: Optimizer,
        held: list[Parameter],
        run: ShortTraining,
    ) -> Finding:
        decay, names = optimizer.weight_decay or 0.0, {p.name for p in held}
        rescaled, lower = optimizer.name in RESCALES_DECAY, f"{0.01 * decay:.1g}"
        what = (
            f"outweighs the gradient, to which {optimizer.name} adds it"
            if rescaled
            else "takes the weights away before the gradient can turn them"
        )
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message=f"a weight decay of {decay:g} {what}: {run.steps} steps leave a loss of "
            f"{run.loss_after:.3g}, and {run.loss_undecayed:.3g} without it",
            sites=tuple(s for s in recording.signal_sites() if set(s.weights) & names),
            parameters=tuple(sorted(names)),
            measured=run.loss_after / run.loss_undecayed if run.loss_undecayed else math.inf,
            expected=1.0,
            limit=self.max_share,
            unit="of the loss without decay",
            causes=(Cause.WEIGHT_DECAY,),
            notes=(
                "for a step that is rescaled, decay counts as much as the gradient does, however "
                "small both are"
                if rescaled
                else _alone(optimizer, _time(held, optimizer)),
            ),
            help=(
                f"leave it to AdamW, which keeps the two apart, or lower it to {lower}"
                if rescaled
                else f"lower it to {lower} or less; usual for {optimizer.name} is "
                f"{_usual(optimizer)}",
            ),
        )

    def _finding(
        self,
        recording: Recording,
        optimizer: Optimizer,
        ratios: Mapping[str, float],
        ratio: float,
        time: float,
    ) -> Finding:
        decay = optimizer.weight_decay or 0.0
        run = recording.training if optimizer.name in RESCALES_DECAY else None
        is_beside = run is not None and run.loss_undecayed > self.min_share_beside * run.loss_before
        held = [name for name, one in ratios.items() if one > self.max_ratio]
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.NOTE if is_beside else Severity.WARNING,
            message=f"a weight decay of {decay:g} takes {ratio:.2g} times as much of a direction "
            "as the gradient gives it: the weights shrink to nothing",
            sites=tuple(s for s in recording.signal_sites() if set(s.weights) & set(held)),
            parameters=tuple(held),
            measured=ratio,
            expected=0.0,
            limit=self.max_ratio,
            unit="of the gradient's share",
            causes=(Cause.WEIGHT_DECAY,),
            notes=(
                _alone(optimizer, time),
                *(("without it 60 steps on the batches at hand learn nothing either",) * is_beside),
            ),
            help=(
                f"lower it to {min(decay, 0.1 * decay / ratio):.1g} or less; usual for "
                f"{optimizer.name} is {_usual(optimizer)}",
            ),
        )


def _alone(optimizer: Optimizer, time: float) -> str:
    """Say how long the weights would last if nothing but decay changed them."""
    steps = max(1, round(time))
    return (
        f"at a learning rate of {optimizer.lr or 0.0:g} decay alone leaves a third of the weights "
        f"after {steps} step{'s' if steps > 1 else ''}"
    )


def _usual(optimizer: Optimizer) -> str:
    """Return a weight decay that is usual for an optimiser."""
    return _USUAL.get(optimizer.name, "1e-4")


def _ratio(parameter: Parameter, optimizer: Optimizer) -> float:
    """Return what decay takes of an average direction, over what the gradient gives it.

    Returns:
        The ratio; ``nan`` where the step does not shorten the weights as decay would.
    """
    directions = math.sqrt(min(parameter.shape[0], parameter.size // parameter.shape[0]))
    turn, grad = parameter.turn_ratio, parameter.log10_grad_rms
    if not (turn > 0.0 and math.isfinite(parameter.update_ratio) and math.isfinite(grad)):
        return math.nan
    along = math.sqrt(max(0.0, parameter.update_ratio**2 - turn**2))
    decay = optimizer.weight_decay or 0.0
    if optimizer.name in RESCALES_DECAY:
        pull = math.log10(decay * parameter.rms) - grad
        return 10.0 ** min(pull, 300.0) / directions if along > turn else 0.0
    share = parameter.learning_rate * decay
    if not along <= 2.0 * share:
        return 0.0  # the gradient itself lengthens or shortens the weights more
    return (share if along >= 0.5 * share else 0.0) / (turn * directions)


def _time(matrices: list[Parameter], optimizer: Optimizer) -> float:
    """Return after how many steps decay alone has left a third of the weights."""
    decay, momentum = optimizer.weight_decay or 0.0, optimizer.momentum or 0.0
    rates = [p.learning_rate for p in matrices if p.learning_rate > 0.0]
    if optimizer.name in RESCALES_DECAY:  # a step is as long as the learning rate, decay or not
        return median(p.rms / p.learning_rate for p in matrices if p.learning_rate > 0.0)
    slowed = 1.0 - min(momentum, 0.99) if optimizer.name in ("SGD", "ASGD") else 1.0
    return slowed / (median(rates) * decay) if rates and decay > 0.0 else math.inf
