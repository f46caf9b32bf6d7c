"""`unvanish theory`: what mean-field theory says of an activation, and of all of them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from unvanish.cli.screen import Screen
from unvanish.core.errors import UnvanishError
from unvanish.show.map import TRAINABLE, draw_map, edge_said, map_lines
from unvanish.show.page import render_page
from unvanish.theory.activations import ACTIVATIONS, Activation, activation
from unvanish.theory.criticality import critical_point, half_stable_point
from unvanish.theory.initialisation import Initialisation, initialisation
from unvanish.theory.landscape import Landscape, landscape
from unvanish.theory.mean_field import MeanField, gradient_profile, mean_field
from unvanish.theory.normalisation import chi_batch_norm, chi_layer_norm
from unvanish.theory.residual import plain_block, pre_norm_blocks
from unvanish.theory.shaping import deep_kernel_shape, tailored_slope
from unvanish.theory.spectrum import jacobian_spectrum

# Xavier, LeCun and orthogonal weights have the same variance in square layers.
_SHOWN: Final = ("default", "xavier", "he", "critical")
_COLUMNS: Final = 97
_VANISHED: Final = -3.0
_EXPLODED: Final = 3.0


def theory_page(
    name: str, init: str | None, depth: int, width: int, screen: Screen, *, as_json: bool
) -> str:
    """Return what theory says of one activation.

    Args:
        name: Name of the activation.
        init: Only this initialisation; all of them by default.
        depth: Layers over which the gradient is followed.
        width: Units of a layer; the biases of PyTorch's default depend on it.
        screen: Where it will be shown.
        as_json: Whether to return JSON.

    Raises:
        UnvanishError: If the activation is not known.
    """
    phi = _known(name)
    rows = [_row(phi, start, depth) for start in _initialisations(phi, init, width)]
    if as_json:
        return json.dumps(_document(phi, rows, depth), indent=2, allow_nan=False) + "\n"
    return render_page(
        _page(phi, rows, depth),
        code=phi.name,
        name="in theory",
        width=screen.width,
        color=screen.color,
        ascii=screen.ascii,
    )


def theory_map(depth: int, width: int, screen: Screen, *, as_json: bool) -> str:
    """Return the map of every activation under every initialisation.

    Args:
        depth: Layers over which the gradient is followed.
        width: Units of a layer.
        screen: Where it will be shown.
        as_json: Whether to return JSON.
    """
    names = [name for name in ACTIVATIONS if name != "identity"]
    decades = {
        name: {
            start.name: _profile(activation(name), start, depth)[0]
            for start in _initialisations(activation(name), None, width)
        }
        for name in names
    }
    if as_json:
        return json.dumps({"depth": depth, "width": width, "log10_gain": decades}, indent=2) + "\n"
    lines = [f"{'':16}" + "".join(f"{init:>11}" for init in _SHOWN)]
    for name in names:
        cells = (_marked(decades[name].get(init)) for init in _SHOWN)
        lines.append(f"{name:16}" + "".join(f"{cell:>11}" for cell in cells))
    table = "\n".join(f"    {line}" for line in lines)
    text = (
        f"Decades by which the gradient changes on its way down {depth} plain layers of "
        f"{width} units. Below -3 it has vanished (v), above +3 exploded (^).\n\n{table}\n\n"
        "`unvanish theory tanh` shows one activation, `--depth` changes the number of layers. "
        "Skips and normalisations are not in this map."
    )
    return render_page(
        text,
        code="activation x initialisation",
        name=f"over {depth} layers",
        width=screen.width,
        color=screen.color,
        ascii=screen.ascii,
    )


def theory_picture(
    names: Sequence[str],
    depth: int,
    width: int,
    screen: Screen,
    *,
    format_: str,
    output: Path | None = None,
) -> str:
    """Return the map over depth and weight scale: characters, JSON or a picture.

    Args:
        names: Activations; empty for all.
        depth: Layers of the deepest network.
        width: Units of a layer.
        screen: Where it will be shown.
        format_: ``"text"``, ``"json"`` or ``"svg"``.
        output: Where to write it; None to return it.

    Returns:
        What to print: the map, or where it was written.

    Raises:
        UnvanishError: If an activation is not known or the file cannot be written.
    """
    chosen = [_known(name) for name in names] or [
        phi for name, phi in ACTIVATIONS.items() if name != "identity"
    ]
    columns = min(_COLUMNS, screen.width - 26) if format_ == "text" else _COLUMNS
    maps = [landscape(phi, depth, columns=columns, width=width) for phi in chosen]
    if format_ == "svg":
        text = draw_map(maps)
    elif format_ == "json":
        documents = [{**asdict(one), "edge": _plain(one.edge)} for one in maps]
        for document in documents:
            document["edge_length"] = _plain(document["edge_length"])
        text = json.dumps({"depth": depth, "maps": documents}, indent=1, allow_nan=False) + "\n"
    else:
        text = _map_page(maps, screen)
    if output is None:
        return text
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UnvanishError(
            f"the file cannot be written: {error.strerror}", where=str(output)
        ) from error
    return f"wrote {output}\n"


def _map_page(maps: Sequence[Landscape], screen: Screen) -> str:
    rows = "\n".join(f"    {line}" for line in map_lines(maps))
    depth = maps[0].depth
    what = (
        f"over {depth} layers"
        if len(maps) > 1
        else f"over 1 to {depth} layers; {edge_said(maps[0])}"
    )
    return render_page(
        f"What is left of the gradient {what}, by the scale of the weights sigma_w, for data of "
        f"unit variance.\n\n{rows}\n\n"
        f". trains: less than {TRAINABLE:.1f} decades, six depth scales. v V vanishes, by up to 6 "
        "and by more; ^ A explodes. | is the edge of chaos, the critical weights. PyTorch's "
        "default is sigma_w = 0.577, Xavier, LeCun and orthogonal 1, He 1.414.\n\n"
        "`unvanish theory --map --format svg --output map.svg` draws it.",
        code=maps[0].activation if len(maps) == 1 else "activation x weight scale",
        name="in theory",
        width=screen.width,
        color=screen.color,
        ascii=screen.ascii,
    )


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _known(name: str) -> Activation:
    try:
        return activation(name)
    except ValueError as error:
        raise UnvanishError(str(error), help="unvanish theory   lists all of them") from error


def _initialisations(phi: Activation, init: str | None, width: int) -> list[Initialisation]:
    found = []
    for name in _SHOWN if init is None else (init,):
        try:
            found.append(initialisation(name, phi, n_in=width))
        except ValueError as error:
            if init is not None:
                raise UnvanishError(str(error), help=f"unvanish theory {phi.name}") from error
    return found


_Row = tuple[Initialisation, MeanField, list[float]]


def _row(phi: Activation, start: Initialisation, depth: int) -> _Row:
    field = mean_field(phi, start.sigma_w2, start.sigma_b2, start.q)
    return start, field, _profile(phi, start, depth)


def _profile(phi: Activation, start: Initialisation, depth: int) -> list[float]:
    return gradient_profile(phi, start.sigma_w2, depth, start.sigma_b2, start.q)


def _page(phi: Activation, rows: list[_Row], depth: int) -> str:
    cap = f"Its slope is at most {phi.slope_cap:.4g}"
    if math.isfinite(phi.slope_cap_at) and not phi.is_homogeneous:
        cap += f", at {phi.slope_cap_at:.4g}"
    parts = [f"{cap}. A layer is W phi(z) + b, wide, with random weights."]
    over = f"over {depth}"
    room = max(10, len(over) + 1)
    header = (
        f"{'':11}{'sigma_w':>9}{'length':>9}{'a layer':>9}{over:>{room}}{'trains to':>11}  phase"
    )
    table = [header]
    for start, field, profile in rows:
        table.append(
            f"{start.name:11}{math.sqrt(start.sigma_w2):>9.4g}{_short(field.q):>9}"
            f"{_factor_a_layer(profile):>9.4f}{_decades(profile[0]):>{room}}"
            f"{_layers(field.trainable_depth):>11}  {_phase(field)}"
        )
    parts += ["## Plain layers", "\n".join(f"    {line}" for line in table)]
    parts.append(
        "length: variance the pre-activations settle at. a layer: factor of the gradient's norm. "
        f"over {depth}: decades over {depth} layers. trains to: six depth scales xi_c, in layers. "
        "default is PyTorch's. LeCun and orthogonal weights are as xavier in square layers."
    )
    scales = [
        f"{'':11}{'chi_1':>9}{'chi_q':>9}{'c*':>9}{'xi_q':>9}{'xi_c':>9}{'xi_grad':>9}",
        *(
            f"{start.name:11}"
            + "".join(
                f"{_scale(value):>9}"
                for value in (
                    field.chi_1,
                    field.chi_q,
                    field.c,
                    field.xi_q,
                    field.xi_c,
                    field.xi_grad,
                )
            )
            for start, field, _ in rows
        ),
    ]
    parts += ["## Maps and depth scales", "\n".join(f"    {line}" for line in scales)]
    parts.append(
        "chi_1, chi_q: slopes of the correlation map at 1 and of the length map where the length "
        "settles. c*: cosine that two inputs run into. xi_q, xi_c, xi_grad: layers over which the "
        "length, the cosine and the gradient's energy come nearer by a factor of e."
    )
    parts += ["## Critical initialisation", _critical(phi)]
    parts += ["## With a normalisation before the activation", _normalised(phi, depth)]
    parts += ["## With skips", _residual(phi, depth)]
    parts += ["## Shaped for a deep plain network", _shaped(phi, depth)]
    parts += [
        "## Source",
        "Poole et al. (2016); Schoenholz et al. (2017); Yang et al. (2019) for BatchNorm; "
        "Martens et al. (2021) and Zhang et al. (2022) for the shaping.",
    ]
    return "\n\n".join(parts)


def _factor_a_layer(profile: list[float]) -> float:
    factor: float = 10.0 ** (profile[0] / (len(profile) - 1))
    return factor


def _critical(phi: Activation) -> str:
    point = critical_point(phi)
    stable = half_stable_point(phi) if point is None else None
    if point is not None:
        said = f"sigma_w = {point.gain:.5g} without bias: weights of variance "
        said += f"{point.sigma_w2:.5g} / n_in."
        if point.q > 10:
            said += f" It stands at the length {point.q:.3g}, deep in saturation: of little use."
        elif not phi.is_homogeneous:
            biased = critical_point(phi, 0.05)
            if biased:
                said += f" With a bias of variance 0.05, sigma_w = {biased.gain:.5g}."
        return said
    if stable is not None:
        return (
            f"sigma_w = {stable.gain:.5g} with a bias of variance {stable.sigma_b2:.4g}; without "
            "bias there is none."
        )
    return "There is none: no weights and biases keep the gradient's size. Normalise, or shape it."


def _normalised(phi: Activation, depth: int) -> str:
    lines = []
    for name, chi in (("BatchNorm", chi_batch_norm(phi)), ("LayerNorm", chi_layer_norm(phi))):
        factor = math.sqrt(chi)
        lines.append(
            f"- {name}: {factor:.4f} a layer, {_decades(depth * math.log10(factor))} decades over "
            f"{depth}, whatever the weights"
        )
    return "\n".join(lines)


def _residual(phi: Activation, depth: int) -> str:
    chi = mean_field(phi, 1.0).chi_1 if not phi.is_homogeneous else 1.0
    blocks = pre_norm_blocks(phi, 1.0, depth)
    whole = sum(math.log10(b) for b in blocks)
    scaled = depth * math.log10(plain_block(max(chi, 1e-12), 1 / math.sqrt(depth)))
    return (
        f"- x + W phi(LayerNorm(x)), sigma_w = 1: {_decades(whole)} decades over {depth} blocks, "
        f"{blocks[0]:.3f} in the first and {blocks[-1]:.3f} in the last\n"
        f"- a branch scaled by 1/sqrt({depth}): {_decades(scaled)} decades"
    )


def _shaped(phi: Activation, depth: int) -> str:
    if phi.is_homogeneous:
        try:
            slope, scale = tailored_slope(depth)
        except ValueError as error:
            return f"TAT: {error}."
        return (
            f"TAT for {depth} layers: LeakyReLU with slope {slope:.5f} below zero, times "
            f"{scale:.5f}."
        )
    try:
        shape = deep_kernel_shape(phi, depth)
    except ValueError as error:
        return f"DKS: {error}."
    return (
        f"DKS for {depth} layers: {shape.output_scale:.5f} * ({phi.name}("
        f"{shape.input_scale:.5f} * x {_signed(shape.input_shift)}) "
        f"{_signed(shape.output_shift)}). It can be folded into the weights."
    )


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'} {abs(value):.5f}"


def _short(value: float) -> str:
    return "grows" if math.isinf(value) else "dies out" if value == 0 else f"{value:.3g}"


def _scale(value: float) -> str:
    if math.isnan(value):
        return "-"
    return "any" if math.isinf(value) or value > 1e6 else f"{value:.3g}"


def _decades(value: float) -> str:
    return f"{value:+.1f}" if abs(value) >= 0.05 else "0.0"


def _layers(value: float) -> str:
    return "any" if math.isinf(value) or value > 1e6 else f"{value:.0f}"


def _marked(value: float | None) -> str:
    if value is None:
        return "-"
    sign = " v" if value < _VANISHED else " ^" if value > _EXPLODED else "  "
    return f"{_decades(value)}{sign}"


def _phase(field: MeanField) -> str:
    return {"ordered": "vanishing", "chaotic": "exploding"}.get(field.phase, field.phase)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _document(phi: Activation, rows: list[_Row], depth: int) -> dict[str, Any]:
    point = critical_point(phi) or half_stable_point(phi)
    return {
        "activation": phi.name,
        "slope_cap": phi.slope_cap,
        "depth": depth,
        "critical": None
        if point is None
        else {"sigma_w2": point.sigma_w2, "sigma_b2": point.sigma_b2, "q": point.q},
        "chi_batch_norm": chi_batch_norm(phi),
        "chi_layer_norm": chi_layer_norm(phi),
        "initialisations": [
            {
                "name": start.name,
                "sigma_w2": start.sigma_w2,
                "sigma_b2": start.sigma_b2,
                "q": _finite(field.q),
                "c": _finite(field.c),
                "chi_1": field.chi_1,
                "chi_q": field.chi_q,
                "xi_q": _finite(field.xi_q),
                "xi_c": _finite(field.xi_c),
                "xi_grad": _finite(field.xi_grad),
                "phase": field.phase,
                "log10_gain": profile,
                "jacobian_spread": jacobian_spectrum(
                    phi,
                    min(max(field.q, 0.0), 1e8),
                    start.sigma_w2,
                    depth,
                    orthogonal=start.name == "orthogonal",
                ).spread,
            }
            for start, field, profile in rows
        ],
    }
