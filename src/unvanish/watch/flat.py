"""Everything one sample brings, end to end in one tensor: one transfer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unvanish.watch.sampling import widest
from unvanish.watch.taps import Reading, Tap, sums


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

    def fetch(self) -> dict[str, npt.NDArray[Any]]:
        """Return all pieces as arrays of float64, by one transfer."""
        if not self.pieces:
            return {}
        first = next(iter(self.pieces.values()))
        device, dtype = first.device, widest(first.device)
        whole = torch.cat([p.reshape(-1).to(device, dtype) for p in self.pieces.values()])
        numbers = whole.cpu().numpy().astype(np.float64, copy=False)
        found = {}
        start = 0
        for name, piece in self.pieces.items():
            found[name] = numbers[start : start + piece.numel()].reshape(piece.shape)
            start += piece.numel()
        return found


def put_taps(flat: Flat, readings: Sequence[Reading], taps: Sequence[Tap]) -> None:
    """Put what the taps read with the rest of one sample or several.

    Args:
        flat: The rest.
        readings: What all taps read, sample after sample; nothing brings zeros.
        taps: All taps, which tell what units were on in the last of the samples.
    """
    read = (h for each in readings for h in (*each.outputs, *each.grad_norms))
    first = next(read, None)
    if first is None:
        return
    flat.put("taps", sums(readings, first.device))
    on = [tap.on.to(first.device, torch.float32) for tap in taps if tap.on is not None]
    if on:
        flat.put("on", ~(torch.cat(on) <= 0.0))  # a unit that is no number is not off
