"""`unvanish depth`: a network beside shallower and deeper ones of its kind."""

from __future__ import annotations

import json
from dataclasses import dataclass

import click

from unvanish.cli.check import held_back
from unvanish.cli.screen import Screen, emit
from unvanish.cli.streams import stdout_set_aside
from unvanish.core.cures import Origin
from unvanish.core.depths import Depth, Trend

EXIT_CODES = {
    Trend.BETTER: 0,
    Trend.SAME: 0,
    Trend.WORSE: 1,
    Trend.INCONCLUSIVE: 3,
    Trend.CANNOT: 3,
}
"""What the command ends with."""


@dataclass(frozen=True, kw_only=True)
class DepthOptions:
    """The options of `unvanish depth`, named as on the command line."""

    target: str
    factors: tuple[float, ...] = (0.25, 0.5)
    steps: int = 200
    seeds: int = 3
    data: str = ""
    engine: str = "local"
    jobs: int | None = None
    seed: int = 0
    device: str | None = None
    input_shape: tuple[int, ...] | None = None
    classes: int | None = None


def factors_of(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[float, ...]:
    """Read ``0.25,0.5``, or say how factors are written."""
    try:
        factors = tuple(float(word) for word in (value or "").split(",") if word.strip())
    except ValueError:
        factors = ()
    if not factors or any(not 0.0 < f < 1000.0 or f == 1.0 for f in factors):
        raise click.BadParameter(
            f"{value!r} are no factors; write what the depth is multiplied by: 0.25,0.5",
            ctx,
            param,
        )
    return factors


def run_depth(options: DepthOptions, screen: Screen, *, as_json: bool) -> int:
    """Make the trial, write it to stdout, and return the exit code."""
    from unvanish.show.depth import depth_json, depth_text

    with held_back(say=not as_json), stdout_set_aside():
        found = _tried(options)
    if as_json:
        emit(json.dumps(depth_json(found), indent=2, allow_nan=False))
    else:
        emit(depth_text(found, width=screen.width, color=screen.color, ascii=screen.ascii))
    return EXIT_CODES[found.trend]


def _tried(options: DepthOptions) -> Depth:
    from unvanish.curing.loading import experiment_from, reloaded
    from unvanish.prove.depth import depth_trial
    from unvanish.prove.engines import engine_of

    origin = Origin(
        target=options.target,
        seed=options.seed,
        data=options.data,
        input_shape=options.input_shape or (),
        classes=options.classes or 0,
        device=options.device or "",
        steps=options.steps,
    )
    engine = engine_of(options.engine, options.jobs)
    try:
        experiment = experiment_from(origin, reloaded(origin))
        return depth_trial(
            experiment,
            factors=options.factors,
            steps=options.steps,
            seeds=tuple(options.seed + k for k in range(options.seeds)),
            engine=engine,
        )
    finally:
        engine.close()
