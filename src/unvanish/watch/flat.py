"""Everything one sample brings, end to end in one tensor: one reduction, one transfer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unvanish.watch.sampling import widest

Layout = tuple[tuple[str, tuple[int, ...]], ...]
"""Name and shape of each piece, in the order in which they stand end to end."""

Reduce = Callable[[Tensor, Layout], Tensor]
"""Adds up what several processes have, given the flat tensor of sums and counts of this one."""


def alone(sums: Tensor, _layout: Layout) -> Tensor:
    """Return the sums of a single process as they are."""
    return sums


@dataclass(slots=True)
class Flat:
    """Pieces on their way from the device to numpy.

    Attributes:
        pieces: Name and tensor; names are unique.
    """

    pieces: dict[str, Tensor] = field(default_factory=dict)

    def put(self, name: str, piece: Tensor) -> None:
        """Add a piece."""
        self.pieces[name] = piece

    def fetch(self, reduce: Reduce = alone) -> dict[str, npt.NDArray[Any]]:
        """Return all pieces as arrays of float64, by one reduction and one transfer.

        Args:
            reduce: What adds up the sums of several processes.
        """
        if not self.pieces:
            return {}
        first = next(iter(self.pieces.values()))
        device, dtype = first.device, widest(first.device)
        layout = tuple((name, tuple(piece.shape)) for name, piece in self.pieces.items())
        whole = torch.cat([p.reshape(-1).to(device, dtype) for p in self.pieces.values()])
        numbers = reduce(whole, layout).cpu().numpy().astype(np.float64, copy=False)
        found = {}
        start = 0
        for name, shape in layout:
            size = int(np.prod(shape)) if shape else 1
            found[name] = numbers[start : start + size].reshape(shape)
            start += size
        return found
