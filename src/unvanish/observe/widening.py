"""Run a float64 copy of a model although its code asks for a narrower type.

Norms, rotary embeddings and time embeddings often say ``x.float()``. In a copy whose
parameters are float64 such a cast makes the next layer fail, so it is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_WIDER: Final = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.complex64: torch.complex128,
}
_CASTS: Final = frozenset({"float", "half", "bfloat16", "cfloat"})
_TO_OTHER: Final = frozenset({"type", "type_as", "to"})
_READINGS: Final = frozenset({"__get__", "set_default_dtype"})


class _Widening(TorchFunctionMode):
    """Replace every narrower type that a call asks for."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in _READINGS:
            return func(*args, **kwargs)
        if name in _CASTS and isinstance(args[0], Tensor):
            return args[0].to(torch.complex128 if name == "cfloat" else torch.float64)
        if any(isinstance(value, torch.dtype) for value in (*args, *kwargs.values())):
            args = tuple(_wider(value) for value in args)
            kwargs = {key: _wider(value) for key, value in kwargs.items()}
        output = func(*args, **kwargs)
        if name in _TO_OTHER and isinstance(output, Tensor) and output.dtype in _WIDER:
            return output.to(_WIDER[output.dtype])  # x.to(other)
        return output


def _wider(value: Any) -> Any:
    return _WIDER.get(value, value) if isinstance(value, torch.dtype) else value


@contextmanager
def widened() -> Iterator[None]:
    """Run a block in which float64 is the narrowest floating type that code can ask for."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _Widening():
            yield
    finally:
        torch.set_default_dtype(before)
