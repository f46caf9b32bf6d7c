"""Translators of a forward that would leave out what was inserted: they are refused by name."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import FrameType
from typing import Any, Final

from torch import nn

from unvanish.treat.refusals import CannotTreatError

_SCRIPT: Final = "torch._jit_internal"
"""Module of PyTorch in which `torch.jit.script` asks for the source of a forward."""
_KEPT: Final = (
    "write the treatment into the source first: unvanish fix FILE --write; or translate with "
    "torch.export.export(model, (inputs,)) or torch.jit.trace(model, inputs), which run the network"
)


def refuse_script(asking: FrameType, module: nn.Module) -> None:
    """Refuse `torch.jit.script`, which compiles the source of a class.

    Args:
        asking: Frame that asks for what a compiler of source needs.
        module: The treated module.

    Raises:
        CannotTreatError: If it is that frame.
    """
    if asking.f_globals.get("__name__") == _SCRIPT:
        _refuse("torch.jit.script compiles the source of a class", module)


def refuse_symbols(asking: FrameType, module: nn.Module) -> None:
    """Refuse `torch.fx.symbolic_trace`, which runs the forward of a network's class.

    Args:
        asking: Frame that asks for the name of a module.
        module: The treated module.

    Raises:
        CannotTreatError: If a tracer asks, before it begins.
    """
    fx = sys.modules.get("torch.fx")
    if fx is not None and isinstance(asking.f_locals.get("self"), fx.Tracer):
        _refuse("torch.fx.symbolic_trace runs the forward of a class", module)


def refuse_proxies(args: Iterable[Any], kwargs: Mapping[str, Any], module: nn.Module) -> None:
    """Refuse the symbols of a tracer in the place of tensors.

    Args:
        args: What the forward of a treated module was given.
        kwargs: The same by name.
        module: The treated module.

    Raises:
        CannotTreatError: If there is one.
    """
    fx = sys.modules.get("torch.fx")
    if fx is not None and any(isinstance(one, fx.Proxy) for one in (*args, *kwargs.values())):
        _refuse("torch.fx.symbolic_trace passes symbols in the place of tensors", module)


def _refuse(why: str, module: nn.Module) -> None:
    raise CannotTreatError(
        f"{why}, and would leave out what a treatment put between its calls",
        where=type(module).__name__,
        help=_KEPT,
    )
