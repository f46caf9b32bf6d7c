"""Dropout: how much of a signal it takes away, and the network without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

_FUNCTIONS: Final[frozenset[Callable[..., Any]]] = frozenset(
    {
        F.dropout,
        F.dropout1d,
        F.dropout2d,
        F.dropout3d,
        F.alpha_dropout,
        F.feature_alpha_dropout,
        torch.dropout,
        torch.alpha_dropout,
        torch.feature_dropout,
        torch.feature_alpha_dropout,
    }
)
_SIGNATURE: Final = ("input", "p", "training")
_DEFAULT: Final = 0.5


class WithoutDropout(TorchFunctionMode):
    """Within this block nothing is dropped.

    Attributes:
        largest: The largest share of a signal that would have been dropped so far; 0 for none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0.0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Hand on what a dropout was given; call everything else."""
        if func not in _FUNCTIONS:
            return func(*args, **(kwargs or {}))
        given = {**dict(zip(_SIGNATURE, args, strict=False)), **(kwargs or {})}
        if given.get("training", True):
            self.largest = max(self.largest, float(given.get("p", _DEFAULT)))
        return given["input"]
