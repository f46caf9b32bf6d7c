"""Whether ``torch.compile`` has a hand in a model.

A hook that comes after compilation is not called, or makes it start anew, with other rounding. So
nothing is hooked where a model, a part of it, or a function that may call it was compiled.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer


class Compilation:
    """Remembers the answer for as long as nothing else is compiled."""

    def __init__(self) -> None:
        self._key: tuple[int, ...] = ()
        self._concerns = False

    def concerns(self, models: Sequence[nn.Module]) -> bool:
        """Tell whether anything that was given to ``torch.compile`` may call one of these models.

        Compiled modules concern the models that they share a module with; compiled steps of an
        optimiser concern none; of any other function nobody knows what it is handed.

        Args:
            models: The models.
        """
        frames = sys.modules.get("torch._dynamo.eval_frame")
        if frames is None:
            return False
        key = (len(frames.cached_backends), *map(id, models))  # it grows with every compilation
        if key != self._key:
            own = {id(module): module for model in models for module in model.modules()}
            self._key = key
            self._concerns = any(map(_is_compiled, own.values())) or (
                any(callable(each) for each in frames.cached_backends.values())
                and any(_may_call(target, own.keys()) for target in _targets())
            )
        return self._concerns


def _is_compiled(module: nn.Module) -> bool:
    compiled = vars(module).get("_compiled_call_impl") is not None
    return compiled or type(module).__name__ == "OptimizedModule"


def _may_call(target: Any, own: Any) -> bool:
    """Tell whether something compiled may call one of some modules, given by their identities."""
    if isinstance(target, nn.Module):
        return any(id(module) in own for module in target.modules())
    return not isinstance(target, Optimizer)


def _targets() -> Iterator[Any]:
    """Yield what is compiled: modules, objects whose methods are, and functions."""
    for each in gc.get_objects():
        kind = type(each)
        if issubclass(kind, nn.Module):
            if _is_compiled(each):
                yield each
        elif kind is _FUNCTION and "_torchdynamo_orig_callable" in each.__dict__:
            original = each.__dict__["_torchdynamo_orig_callable"]
            owner = getattr(original, "__self__", original)
            if not _is_torchs(each, original, owner):
                yield owner


def _is_torchs(wrapper: Callable[..., Any], original: Any, owner: Any) -> bool:
    """Tell whether a wrapper keeps something from being compiled, or is part of torch itself."""
    if wrapper.__dict__.get("_torchdynamo_disable"):
        return True
    home = str(getattr(original, "__module__", ""))
    return owner is original and home.partition(".")[0] == "torch"


_FUNCTION = type(_is_torchs)
