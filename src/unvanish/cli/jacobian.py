"""`unvanish jacobian`: size, spread and largest singular values of a network's Jacobian."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from unvanish.cli.screen import Screen, emit
from unvanish.cli.streams import stdout_set_aside
from unvanish.core.jacobians import JacobianEstimate
from unvanish.show.page import render_page
from unvanish.show.words import plural


@dataclass(frozen=True, kw_only=True)
class JacobianOptions:
    """The options of `unvanish jacobian`, named as on the command line."""

    target: str
    start: str = ""
    end: str = ""
    probes: int = 16
    top: int = 4
    seed: int = 0
    device: str | None = None
    input_shape: tuple[int, ...] | None = None
    classes: int | None = None


def run_jacobian(options: JacobianOptions, screen: Screen, *, as_json: bool) -> None:
    """Estimate the Jacobian of a target and write it to stdout."""
    from unvanish.observe.jacobian import jacobian
    from unvanish.recipe import load

    with stdout_set_aside():
        recipe = load(
            options.target,
            seed=options.seed,
            device=options.device,
            input_shape=options.input_shape,
            classes=options.classes,
        )
        with recipe.running():
            found = jacobian(
                recipe.model,
                recipe.batch,
                start=options.start,
                end=options.end,
                probes=options.probes,
                top=options.top,
                layers=True,
                seed=options.seed,
            )
    if as_json:
        emit(json.dumps(found.to_json(), indent=2, allow_nan=False))
        return
    emit(
        render_page(
            _page(found),
            code="Jacobian",
            name=options.target,
            width=screen.width,
            color=screen.color,
            ascii=screen.ascii,
        )
    )


def _page(found: JacobianEstimate) -> str:
    of = "of the whole batch, whose samples are coupled" if found.coupled else "of one sample"
    parts = [
        f"From {found.start or 'the input'} to {found.end or 'the output'}, {of}: "
        f"{found.inputs:,} {'entry' if found.inputs == 1 else 'entries'} in, "
        f"{found.outputs:,} out; "
        f"{plural(found.samples, 'sample')}, {plural(found.probes, 'random direction')}, "
        f"{found.dtype}."
    ]
    error = found.standard_error / found.rank_bound
    rows = [
        ("mean s^2", f"{found.mean_square:.4g}", f"+- {error:.1g}; 1 keeps the gradient's size"),
        ("spread", _number(found.spread), "variance of s^2 / mean^2; 0 is an isometry"),
        ("|J|^2 / out", f"{found.apjn:.4g}", "averaged partial Jacobian norm"),
    ]
    if found.singular_values:
        shown = ", ".join(f"{value:.4g}" for value in _means(found))
        rows.append(("largest s", shown, "mean over the samples"))
        rows.append(
            ("s_1 / rms s", _number(found.anisotropy), "of the sample with the largest; 1 at best")
        )
    parts.append("\n".join(f"    {name:13}{value:<12} {note}" for name, value, note in rows))
    if math.isnan(found.trace):
        parts.append("There are NaN or infinite numbers on the way: `unvanish check` says where.")
    elif found.trace == 0.0:
        parts.append("Nothing of the start reaches the end: `unvanish check` says where it ends.")
    if not found.singular_values and found.trace > 0.0 and not found.method:
        parts.append("No singular values: J u could not be computed, or --top is 0.")
    if found.layers:
        lines = [f"    {'from':28}{'entries':>9}{'|J|^2 / out':>13}"]
        lines += [
            f"    {row.layer:28.28}{row.size:>9}{row.apjn:>13.4g} +- {row.standard_error:.1g}"
            for row in found.layers
        ]
        parts += ["## From every layer to the end", "\n".join(lines)]
    parts += [
        "## Source",
        "Pennington, Schoenholz and Ganguli (2017) for the spread; Doshi, He and Gromov (2023) "
        "for the averaged partial Jacobian norm.",
    ]
    return "\n\n".join(parts)


def _means(found: JacobianEstimate) -> list[float]:
    """Return every singular value's mean over the samples."""
    columns = zip(*found.singular_values, strict=True)
    return [math.fsum(column) / len(column) for column in map(list, columns)]


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4g}"
