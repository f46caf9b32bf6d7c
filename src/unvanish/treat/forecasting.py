"""What theory says of the gradient in a network whose layers are normalised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from unvanish.core.records import Recording, Role
from unvanish.core.wiring import Wiring
from unvanish.theory.activations import Activation
from unvanish.theory.normalisation import chi_batch_norm, chi_layer_norm
from unvanish.treat.anatomy import Layer, theory_of
from unvanish.treat.protocol import Case


@dataclass(frozen=True, slots=True)
class Forecast:
    """What theory says of the gradient in a normalised network.

    Attributes:
        decades: Change on the way from the output to the input that passes the fewest
            normalised layers; positive where it grows.
        layers: Number of these layers.
        function: Name of the function that changes it most.
        factor: Factor by which a layer with that function changes the gradient.
    """

    decades: float
    layers: int
    function: str
    factor: float


def useless(case: Case, layers: Sequence[Layer], limit: float, name: str) -> str:
    """Say why a normalisation over units cannot cure a network; empty where it may.

    Args:
        case: The network.
        layers: The layers to be normalised.
        limit: Decades that the gradient may change all the same.
        name: What the normalisation is called.
    """
    seen = forecast(case, layers, over_batch=False)
    if abs(seen.decades) <= limit:
        return ""
    way = "lose" if seen.decades < 0 else "gain"
    said = (
        f"{name} before {seen.function} passes on {seen.factor:.3g} of a gradient a layer, "
        f"whatever the weights are: {seen.layers} layers {way} {abs(seen.decades):.1f} decades"
    )
    if seen.decades > 0:
        return said
    return (
        f"{said}. It takes away the mean over units, and the mean that each unit has of its own "
        f"after the {seen.function} stays; batch-norm and weight-standardisation take that away"
    )


def forecast(case: Case, layers: Sequence[Layer], *, over_batch: bool) -> Forecast:
    """Return the change of the gradient over the layers that no skip connection leads around.

    Args:
        case: The network.
        layers: The layers that are normalised.
        over_batch: Whether each unit loses its own mean, as in BatchNorm, rather than all
            units of a layer their common one.
    """
    steps: dict[str, tuple[float, str]] = {}
    for layer in layers:
        phi = theory_of(layer, case.model) if layer.activation else None
        if phi is not None:
            steps[layer.weight] = (_decades(phi, over_batch=over_batch), layer.activation)
    change, passed = _least_change(case.anatomy.recording, steps)
    worst = max((steps[name] for name in passed), key=lambda step: abs(step[0]), default=(0.0, ""))
    return Forecast(change, len(passed), worst[1], 10.0 ** worst[0])


def _decades(phi: Activation, *, over_batch: bool) -> float:
    chi = chi_batch_norm(phi) if over_batch else chi_layer_norm(phi)
    return 0.5 * math.log10(chi)


def _least_change(
    recording: Recording, steps: dict[str, tuple[float, str]]
) -> tuple[float, tuple[str, ...]]:
    """Return the least change among the ways to each output, for the worst output."""
    wiring = Wiring(recording)
    best: dict[int, tuple[float, tuple[str, ...]]] = {}
    for site in recording.signal_sites():
        before = [best[one.index] for one in wiring.producers(site) if one.index in best]
        change, passed = min(before, key=lambda way: abs(way[0]), default=(0.0, ()))
        own = next((name for name in site.weights if name in steps), "")
        if own:
            change, passed = change + steps[own][0], (*passed, own)
        best[site.index] = (change, passed)
    ends = [
        best[site.index]
        for site in recording.signal_sites()
        if all(one.role is not Role.SIGNAL for one in wiring.consumers(site))
    ]
    return max(ends, key=lambda way: abs(way[0]), default=(0.0, ()))
