"""How the remedies are written into source, one kind of edit a file."""

from collections.abc import Callable
from typing import Final

from unvanish.treat.patch.rewriters import (
    activation,
    attention,
    balance,
    batch_first,
    cell,
    data,
    draws,
    ending,
    exponent,
    gates,
    gradient,
    graph,
    loss,
    memory,
    momentum,
    normalisation,
    norms_out,
    optimiser,
    path,
    precision,
    shapes,
    singularity,
    start,
    symmetry,
    target,
    transformer,
)
from unvanish.treat.patch.work import Work

REWRITERS: Final[dict[str, Callable[[Work], None]]] = {
    name: module.rewrite
    for module in (
        activation,
        attention,
        balance,
        batch_first,
        cell,
        data,
        draws,
        ending,
        exponent,
        gates,
        gradient,
        graph,
        loss,
        memory,
        momentum,
        normalisation,
        norms_out,
        optimiser,
        path,
        precision,
        shapes,
        singularity,
        start,
        symmetry,
        target,
        transformer,
    )
    for name in module.REMEDIES
}
"""Name of a remedy to what writes it; a remedy that is not here is given as a snippet."""
