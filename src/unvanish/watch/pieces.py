"""Which piece of a tensor this process holds, as the tensor itself says. Nobody is asked."""

from __future__ import annotations

import zlib
from typing import Final

from torch import Tensor, nn

from unvanish.watch.parts import Cuts
from unvanish.watch.sampling import local

_PLAIN: Final = (Tensor, nn.Parameter)

Piece = tuple[Cuts, str]
"""Which piece of a parameter is here, and what those who hold the others have in common."""


def piece_of(tensor: Tensor) -> Piece:
    """Return which piece of a tensor this process holds: of a plain one, the whole."""
    if type(tensor) in _PLAIN:
        return (), ""
    mesh, placements = getattr(tensor, "device_mesh", None), getattr(tensor, "placements", ())
    here = None if mesh is None else mesh.get_coordinate()
    if mesh is None or here is None:
        return (), ""
    cuts = tuple(
        (mesh.size(axis), here[axis])
        for axis, placement in enumerate(placements)
        if not placement.is_replicate() and not placement.is_partial()
    )
    return cuts, f"{zlib.crc32(str(mesh.mesh.tolist()).encode()):08x}"


def cuts_along(tensor: Tensor, axis: int) -> Cuts:
    """Return into how many pieces a tensor is cut along one of its axes, and which is here.

    Args:
        tensor: Any tensor.
        axis: From 0, or from the end.
    """
    if type(tensor) in _PLAIN or not tensor.ndim:
        return ()
    mesh, placements = getattr(tensor, "device_mesh", None), getattr(tensor, "placements", ())
    here = None if mesh is None else mesh.get_coordinate()
    if mesh is None or here is None:
        return ()
    return tuple(
        (mesh.size(number), here[number])
        for number, placement in enumerate(placements)
        if getattr(placement, "dim", None) is not None
        and placement.dim % tensor.ndim == axis % tensor.ndim
    )


def is_cut(tensor: Tensor) -> bool:
    """Tell whether this process holds pieces of samples, and not some whole ones.

    Args:
        tensor: Dimension 0 is the batch.
    """
    if type(tensor) in _PLAIN:
        return False
    dims = (getattr(placement, "dim", None) for placement in getattr(tensor, "placements", ()))
    return any(dim is not None and dim % tensor.ndim != 0 for dim in dims)


def is_unfinished(tensor: Tensor) -> bool:
    """Tell whether this process holds but an addend of a tensor, to be summed up later."""
    if type(tensor) in _PLAIN:
        return False
    return any(placement.is_partial() for placement in getattr(tensor, "placements", ()))


def whole_loss(loss: Tensor) -> Tensor:
    """Return a loss as a plain tensor; of an addend, so many times it as there are of them.

    The mean over the processes is then the loss, for an addend as for a copy.
    """
    if type(loss) in _PLAIN:
        return loss
    times = 1
    for axis, placement in enumerate(getattr(loss, "placements", ())):
        if placement.is_partial("sum"):
            times *= loss.device_mesh.size(axis)  # type: ignore[attr-defined]
    plain = local(loss)
    return plain * times if times > 1 else plain
