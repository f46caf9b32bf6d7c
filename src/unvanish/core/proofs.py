"""What a trial is made of: the runs asked for, what they came to, and what follows. No torch.

A `Job` asks for one training run, a `Run` is its result. Runs of one treatment over several
seeds make an `Arm`. A `Proof` compares the arms on the one endpoint that was declared before the
first of them was started.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from unvanish.core.prescriptions import Outlook


class Conclusion(StrEnum):
    """What a trial comes to."""

    CURED = "cured"
    """The control does not learn, the treated network does."""

    IMPROVED = "improved"
    """The treated network is better than the control beyond doubt; both learn, or neither."""

    NO_EFFECT = "no-effect"
    """Nothing that was tried makes a difference that could be told from chance."""

    HARMED = "harmed"
    """What was to be tried makes the network worse."""

    INCONCLUSIVE = "inconclusive"
    """The runs there are do not decide it."""

    HEALTHY = "healthy"
    """The control learns as it is: nothing is to be done."""

    CANNOT = "cannot"
    """It could not be tried, and the reason is said."""


class Role(StrEnum):
    """What an arm is for."""

    CONTROL = "control"
    """The network as it is, trained anew."""

    NULL = "null"
    """The control once more with other initial weights: how far chance alone goes."""

    CANDIDATE = "candidate"
    """Something that may be the answer."""

    RANDOM = "random"
    """A fitting remedy drawn by lot: what any change at all would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What the arms are judged by, declared before the first run.

    Attributes:
        name: ``"accuracy"``, ``"loss"``, or the name of the user's metric.
        higher_is_better: Its direction.
        goal: Value that counts as trained; None where nobody said.
        chance: Value of the best constant answer; ``nan`` where it is not known.
        untrained: Value of the network before its training; ``nan`` where it was not asked.
        samples: How many samples it is measured on; 0 where the user's metric does not say.
        held_out: Whether the training never sees these samples, as far as can be told.
        origin: One sentence: where it comes from.
    """

    name: str
    higher_is_better: bool = True
    goal: float | None = None
    chance: float = math.nan
    untrained: float = math.nan
    samples: int = 0
    held_out: bool = True
    origin: str = ""

    @property
    def floor(self) -> float:
        """What shows no learning: chance, else the value before the training."""
        return self.untrained if math.isnan(self.chance) else self.chance

    def better(self, a: float, b: float) -> bool:
        """Tell whether `a` is better than `b`; a number is better than none."""
        if math.isnan(a) or math.isnan(b):
            return not math.isnan(a)
        return a > b if self.higher_is_better else a < b

    def reached(self, value: float) -> bool:
        """Tell whether a value is at the goal or beyond; without a goal none is."""
        if self.goal is None or math.isnan(value):
            return False
        return value >= self.goal if self.higher_is_better else value <= self.goal


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training run that is asked for. Two jobs that are equal give the same run.

    Attributes:
        remedies: Names, in the order in which they are applied; empty for the network as it is.
        rate_factor: What the learning rates are multiplied by after the treatment.
        seed: Seed of the initial weights, the order of the batches and everything random.
        steps: Optimiser steps.
        redraw: Added to the seed of the initial weights alone; the null arm differs from the
            control by it.
        depth: What the number of repeated blocks is multiplied by.
        judged: Whether the endpoint is measured at the end; the validation part always is.
        checkpoints: Further steps after which the endpoint is measured.
        examined: Whether the trained network is looked at as `unvanish check` does.
    """

    remedies: tuple[str, ...] = ()
    rate_factor: float = 1.0
    seed: int = 0
    steps: int = 100
    redraw: int = 0
    depth: float = 1.0
    judged: bool = False
    checkpoints: tuple[int, ...] = ()
    examined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one training run came to.

    Attributes:
        job: What was asked for.
        metric: The endpoint after the last step; ``nan`` where it diverged, failed or was not
            asked for.
        metrics_at: Step of each checkpoint, as text, to the endpoint there.
        validation: Score on the validation part, the higher the better; ``nan`` where it
            diverged or failed.
        losses: Training loss at evenly spaced steps, the first and the last among them, each the
            mean over the steps since the one before.
        loss_steps: The steps that `losses` belong to.
        steps: Steps taken.
        seconds: Time of the steps alone, without set-up and evaluation.
        peak_bytes: What one forward pass keeps for the backward pass, or the peak on a GPU.
        parameters: Number of trainable parameters.
        diverged: Why the run counts as diverged; empty where it does not.
        failed: Why there is no result; empty where there is one.
        learning_rate: Largest learning rate among the groups of the optimiser, at the start.
        end: The trained network in a few numbers, where it was examined.
    """

    job: Job
    metric: float = math.nan
    metrics_at: Mapping[str, float] = field(default_factory=dict)
    validation: float = math.nan
    losses: tuple[float, ...] = ()
    loss_steps: tuple[int, ...] = ()
    steps: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0
    parameters: int = 0
    diverged: str = ""
    failed: str = ""
    learning_rate: float = math.nan
    end: Outlook | None = None

    @property
    def training_loss(self) -> float:
        """Loss over the last steps; ``nan`` where there were none."""
        return self.losses[-1] if self.losses else math.nan

    @property
    def milliseconds_per_step(self) -> float:
        """Time of one step; ``nan`` where none was taken."""
        return 1000.0 * self.seconds / self.steps if self.steps else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Paired differences between two arms, seed by seed.

    Attributes:
        differences: Treated minus control on each seed that both have, positive where the
            treated network is better, whatever the direction of the endpoint.
        mean: Their mean.
        low: Lower end of the confidence interval of the mean.
        high: Upper end.
        confidence: What the interval covers, such as 0.95.
        p_value: Exact sign-flip permutation test, one-sided: how often chance alone would do as
            well. With n seeds it cannot be below 2^-n.
        p_corrected: The same, corrected for the number of arms that were compared.
        superiority: How often a treated network beats a control, over all pairs of seeds; a tie
            counts half. 0.5 is chance, 1 is always.
        in_decades: Whether all of these are of the logarithms to base 10 of an error that spans
            more than a decade over the seeds of one arm.
        trifle: A mean difference up to this is too small to count, whatever its interval.
    """

    differences: tuple[float, ...] = ()
    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    confidence: float = 0.95
    p_value: float = math.nan
    p_corrected: float = math.nan
    superiority: float = math.nan
    trifle: float = 0.0
    in_decades: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """One way in which a treatment could do harm, and whether it did.

    Attributes:
        name: ``"time per step"``, ``"dead units"`` and the like.
        control: Value of the control.
        treated: Value of the treated network.
        unit: Of both; empty for a plain number.
        is_worse: Whether that is a harm, rather than a difference.
        said: One sentence for a person.
    """

    name: str
    control: float = math.nan
    treated: float = math.nan
    unit: str = ""
    is_worse: bool = False
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One treatment over several seeds.

    Attributes:
        name: ``"control"``, ``"he + relu"``, ``"he + relu, rate x0.1"``.
        role: What it is for.
        remedies: Names of what was applied.
        rate_factor: What the learning rate was multiplied by.
        runs: The judged runs, in the order of the seeds; empty for an arm that was dropped.
        tries: The shorter runs in which its rate was chosen, or it was dropped.
        comparison: Against the control; None for the control, and without runs in common.
        fate: ``"chosen"``, ``"control"``, ``"beaten"``, ``"dropped"``, ``"failed"``,
            ``"compared"`` or ``"not run"``.
        why: Why that is its fate, in a sentence.
    """

    name: str
    role: Role = Role.CANDIDATE
    remedies: tuple[str, ...] = ()
    rate_factor: float = 1.0
    runs: tuple[Run, ...] = ()
    tries: tuple[Run, ...] = ()
    comparison: Comparison | None = None
    fate: str = ""
    why: str = ""

    @property
    def metrics(self) -> tuple[float, ...]:
        """The endpoint of every judged run; ``nan`` where one diverged or failed."""
        return tuple(run.metric for run in self.runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A trial with everything it rests on.

    Attributes:
        endpoint: What the arms were judged by.
        conclusion: What follows.
        said: The conclusion in a sentence or two.
        chosen: Name of the arm that is the answer; empty where none is.
        arms: All arms, the control first.
        comparison: The chosen arm, or the best, against the control; None without one.
        harms: What was compared beside the endpoint.
        steps: Optimiser steps of every judged run.
        seeds: Seeds of the judged runs.
        engine: What ran them.
        jobs: Number of processes.
        seconds: Wall time of the trial.
        held_fixed: What was the same in all arms, one sentence each.
        notes: What a sceptical reader has to know, one sentence each.
        is_partial: Whether it was stopped before its end.
    """

    endpoint: Endpoint
    conclusion: Conclusion
    said: str = ""
    chosen: str = ""
    arms: tuple[Arm, ...] = ()
    comparison: Comparison | None = None
    harms: tuple[Harm, ...] = ()
    steps: int = 0
    seeds: tuple[int, ...] = ()
    engine: str = ""
    jobs: int = 1
    seconds: float = math.nan
    held_fixed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    is_partial: bool = False

    def arm(self, name: str) -> Arm:
        """Return the arm of a name.

        Raises:
            KeyError: If there is none.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)

    @property
    def answer(self) -> Arm | None:
        """The arm that is the answer; None where none is."""
        return self.arm(self.chosen) if self.chosen else None


def name_of(remedies: Sequence[str], rate_factor: float = 1.0) -> str:
    """Return what an arm with these remedies and this learning rate is called.

    Args:
        remedies: Names; none for the control.
        rate_factor: What the learning rate is multiplied by.
    """
    rate = "" if rate_factor == 1.0 else f"rate x{rate_factor:g}"
    return ", ".join(part for part in (" + ".join(remedies), rate) if part) or "control"
