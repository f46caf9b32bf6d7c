"""Whether a network is too deep to train: the network beside twins that differ in depth alone.

A deeper network can do all that a shallower one does, its further blocks passing on what they
get. Where it nevertheless ends at a higher *training* loss after equal training, that is not
overfitting but the degradation that He and others (2016) showed, and a gradient that dies on its
way is its commonest reason. Held-out data say nothing here: a smaller network may well do better
on those.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from statistics import fmean, median
from typing import Final

from torch import nn

from unvanish.core.depths import Depth, Stack, Trend, Twin
from unvanish.core.errors import UnvanishError
from unvanish.core.proofs import Comparison, Job, Run
from unvanish.prove.concluding import FEWEST
from unvanish.prove.engines.inline import Inline
from unvanish.prove.engines.protocol import Engine
from unvanish.prove.experiment import Experiment
from unvanish.prove.sentences import interval
from unvanish.prove.statistics import RELATIVE, compare, could_matter, is_better, is_worse
from unvanish.prove.twins import FACTORS, blocks_of, chained, deepen, twins

__all__ = ["FACTORS", "depth_trial", "twins"]

STEPS: Final = 200
"""Optimiser steps of every run, where nobody says otherwise."""
SEEDS: Final = 3
"""Seeds of every twin, where nobody says otherwise."""
_LEARNED: Final = 0.95
"""Share of the loss at the start that a network has to get below, of all depths at least one."""
_HELD_FIXED: Final = (
    "samples and order of the batches, seed by seed",
    "seeds of the initial weights, of dropout and of the batches",
    "number of steps, batch size, loss, optimiser and learning rate",
    "everything in the network but the number of its repeated blocks",
)
_NOTES: Final = (
    "the training loss is compared, as the mean over the last steps, with dropout where the "
    "network has it; a loss above where it began counts as that",
    "the learning rate is the same at every depth: a deeper network may want a smaller one",
    "initial weights are drawn as the code draws them for its own depth",
)


def depth_trial(
    experiment: Experiment,
    *,
    factors: Sequence[float] = FACTORS,
    steps: int = STEPS,
    seeds: int | Sequence[int] = SEEDS,
    engine: Engine | None = None,
    progress: Callable[[Run], None] | None = None,
) -> Depth:
    """Train a network and its twins of other depths alike, and compare their training losses.

    Args:
        experiment: What is trained on what.
        factors: What the number of blocks is multiplied by.
        steps: Optimiser steps of every run.
        seeds: How many, or which.
        engine: Runs the jobs; None for this process.
        progress: Called after every run.

    Returns:
        The losses, the paired comparisons, and what follows. What could not be made or trained
        stands in it with its reason.

    Raises:
        UnvanishError: If a factor, the steps or the seeds are none.
    """
    start = time.monotonic()
    chosen = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    _checked(factors, steps, chosen)
    around = experiment.surroundings() if experiment.surroundings is not None else nullcontext()
    with around:
        try:
            stacks, plan = _planned(experiment, factors, chosen[0])
        except UnvanishError as error:
            return Depth(target=experiment.target, trend=Trend.CANNOT, said=error.what)
    trained = {twin.factor: twin for twin in plan if not twin.refused}
    runs = _ran(experiment, trained, steps, chosen, engine or Inline(), progress)
    level = median(
        [run.losses[0] for run in runs[1.0] if run.losses and math.isfinite(run.losses[0])]
        or [math.nan]
    )
    pairs = sum(1 for factor in trained if factor != 1.0)
    told = [
        replace(
            twin,
            runs=runs.get(twin.factor, ()),
            parameters=max((run.parameters for run in runs.get(twin.factor, ())), default=0),
        )
        for twin in plan
    ]
    own = next(twin for twin in told if twin.factor == 1.0)
    confidence = 1.0 - 0.05 / max(1, pairs)
    told = [
        replace(twin, comparison=_compared(own, twin, level, confidence))
        if twin.factor != 1.0 and twin.runs
        else twin
        for twin in told
    ]
    compared = [twin for twin in told if twin.comparison is not None]
    trend, said = _concluded(own, compared, level)
    return Depth(
        target=experiment.target,
        trend=trend,
        said=said,
        stacks=stacks,
        twins=tuple(told),
        steps=steps,
        seeds=chosen,
        start=level,
        held_fixed=_HELD_FIXED,
        notes=_NOTES,
        seconds=time.monotonic() - start,
    )


def _checked(factors: Sequence[float], steps: int, seeds: Sequence[int]) -> None:
    help_ = "unvanish depth net.py --factors 0.25,0.5 --steps 200 --seeds 3"
    wrong = [f for f in factors if not 0.0 < f < math.inf or f == 1.0]
    if wrong or not factors:
        what = f"{wrong[0]:g} is no factor of another depth" if wrong else "there are no factors"
        raise UnvanishError(what, help=help_)
    if steps < 1 or not seeds or len(set(seeds)) < len(seeds):
        raise UnvanishError("a trial takes a step and seeds that differ", help=help_)


def _planned(
    experiment: Experiment, factors: Sequence[float], seed: int
) -> tuple[tuple[Stack, ...], list[Twin]]:
    """Make every twin once, and return what can be made, the shallowest first."""
    batch = experiment.partition.first

    def made() -> nn.Module:
        return experiment.make(seed).train()

    runs = chained(made(), batch, seed)
    stacks = tuple(run.told(made()) for run in runs)
    plan = {blocks_of(runs): Twin(factor=1.0, blocks=blocks_of(runs))}
    refused = []
    for factor in dict.fromkeys(factors):
        try:
            count = deepen(made(), factor, make=experiment.make, batch=batch, seed=seed)
        except UnvanishError as error:
            refused.append(Twin(factor=factor, refused=error.what))
            continue
        if count in plan:
            said = f"it comes to {count} blocks as well"
            refused.append(Twin(factor=factor, blocks=count, refused=said))
        else:
            plan[count] = Twin(factor=factor, blocks=count)
    if len(plan) == 1:
        raise UnvanishError("; ".join(twin.refused for twin in refused))
    return stacks, [*(plan[count] for count in sorted(plan)), *refused]


def _ran(
    experiment: Experiment,
    factors: Iterable[float],
    steps: int,
    seeds: Sequence[int],
    engine: Engine,
    progress: Callable[[Run], None] | None,
) -> dict[float, tuple[Run, ...]]:
    jobs = [Job(seed=seed, steps=steps, depth=factor) for seed in seeds for factor in factors]
    ended: dict[Job, Run] = {}
    with closing(engine.run(experiment, jobs)) as runs:
        for run in runs:
            ended[run.job] = run
            if progress is not None:
                progress(run)
    return {
        factor: tuple(ended[job] for job in jobs if job.depth == factor and job in ended)
        for factor in {job.depth for job in jobs}
    }


def _compared(own: Twin, twin: Twin, level: float, confidence: float) -> Comparison:
    """Compare the deeper of two networks with the shallower."""
    deep, shallow = (own, twin) if own.blocks > twin.blocks else (twin, own)
    broken = {run.job.seed for run in (*own.runs, *twin.runs) if run.failed}
    seeds = [seed for seed in deep.losses if seed in shallow.losses and seed not in broken]
    result = compare(
        [min(level, deep.losses[seed]) for seed in seeds],
        [min(level, shallow.losses[seed]) for seed in seeds],
        higher_is_better=False,
        confidence=confidence,
        worst=level,
    )
    return replace(result, trifle=max(result.trifle, RELATIVE * abs(level)))


def _concluded(own: Twin, compared: Sequence[Twin], level: float) -> tuple[Trend, str]:
    failed = next((run.failed for twin in (own, *compared) for run in twin.runs if run.failed), "")
    pairs = [(twin, twin.comparison) for twin in compared if twin.comparison is not None]
    decided = [(t, c) for t, c in pairs if len(c.differences) >= FEWEST]
    worse = [(t, c) for t, c in decided if is_worse(c)]
    better = [(t, c) for t, c in decided if is_better(c)]
    if worse:
        twin, comparison = min(worse, key=lambda pair: pair[1].mean)
        return Trend.WORSE, _said(own, twin, comparison, "higher")
    if not decided:
        few = min((len(c.differences) for _, c in pairs), default=0)
        said = f"{few} seeds can be compared, and it takes {FEWEST}"
        return Trend.INCONCLUSIVE, said + (f"; {failed}" if failed else "")
    if all(_mean(twin) > _LEARNED * level for twin in (own, *compared)):
        return Trend.INCONCLUSIVE, (
            f"none of them learns in these steps: the training loss begins at {level:.3g} and ends "
            f"at {_listed(own, compared)}; more steps or fewer blocks may tell more"
        )
    open_ = [
        (t, c)
        for t, c in decided
        if (could_matter(c) and not is_better(c)) or could_matter(_turned(c))
    ]
    if better and not any(could_matter(_turned(c)) for _, c in open_):
        twin, comparison = max(better, key=lambda pair: pair[1].mean)
        return Trend.BETTER, _said(own, twin, comparison, "lower")
    if open_:
        twin, comparison = max(open_, key=lambda pair: abs(pair[1].mean))
        word = "lower" if comparison.mean > 0 else "higher"
        tail = "; it could be chance, and more seeds may decide it"
        return Trend.INCONCLUSIVE, _said(own, twin, comparison, word) + tail
    said = f"the training loss ends alike: {_listed(own, compared)}"
    return Trend.SAME, said


def _listed(own: Twin, compared: Sequence[Twin]) -> str:
    return ", ".join(f"{_mean(t):.3g} with {t.blocks} blocks" for t in (own, *compared))


def _turned(comparison: Comparison) -> Comparison:
    """Return the comparison the other way round, as far as `could_matter` reads it."""
    return replace(comparison, mean=-comparison.mean, superiority=1.0 - comparison.superiority)


def _said(own: Twin, twin: Twin, comparison: Comparison, word: str) -> str:
    deep, shallow = (own, twin) if own.blocks > twin.blocks else (twin, own)
    return (
        f"with {deep.blocks} blocks the training loss ends {word} than with {shallow.blocks}: "
        f"{_mean(deep):.3g} and {_mean(shallow):.3g}, a difference of {interval(comparison)}"
    )


def _mean(twin: Twin) -> float:
    known = [value for value in twin.losses.values() if math.isfinite(value)]
    return fmean(known) if known else math.nan
