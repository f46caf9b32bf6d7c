"""One thing to do around a call, and how it changes what goes in and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor, nn

from unvanish.treat.relay import Relay
from unvanish.treat.turns import Turns

FIRST: Final = ("input", "mean")
"""Names by which the first argument of a function may be given: `torch.normal` has a mean."""

_REFLECTED: Final = frozenset({"__rtruediv__", "__rdiv__"})


@dataclass(slots=True, kw_only=True, eq=False)
class Insertion:
    """One thing to do around a call.

    Attributes:
        name: The submodule that does it, a child of the module whose forward is shadowed; empty
            where nothing is computed.
        function: Name of the torch function in that forward that is meant, such as ``"sigmoid"``;
            empty for the module's own call.
        call: Which of its calls in one forward, from 0; None for every one.
        where: ``"before"`` changes the first argument, ``"after"`` the output; ``"instead"``
            computes the output from the first argument; ``"through"`` is called with (output,
            first argument) and gives another output; ``"remember"`` puts the first argument
            into the relay, ``"recall"`` combines the output with what is in it: the submodule
            is called with (output, remembered). A recall without a submodule uses that of the
            remember; ``"scope"`` bounds the life of what is carried by the module's call.
            ``"begin"`` lets `turns` begin anew.
        relay: For the last three.
        argument: Which argument of the function ``"before"`` changes, from 0: 1 is the weight of a
            linear layer or a convolution.
        element: Which of the tensors that a call returns ``"after"`` changes, from 0.
        turns: Which calls in a forward pass of the whole network are meant; None for every one.
        shared: Whether the end of a connection is also passed without one: a function that
            several places call.
        passes: Ends that what is remembered passes before it is recalled.
    """

    name: str
    where: str
    function: str = ""
    call: int | None = None
    relay: Relay | None = None
    shared: bool = False
    passes: int = 0
    argument: int = 0
    element: int = 0
    turns: Turns | None = None
    fired: int = 0
    """How often the call was met, so that an insertion nobody passes is noticed."""


def name_of(func: Callable[..., Any]) -> str:
    """Return what a torch function is called: that of reading ``x.data`` is ``"data"``."""
    name: str = getattr(func, "__name__", "")
    if name == "__get__":
        name = getattr(getattr(func, "__self__", None), "__name__", name)
    return name


def is_due(one: Insertion) -> bool:
    """Tell whether a call is one that is meant, and count it where calls are told apart."""
    return one.where != "begin" and (one.turns is None or one.turns.is_meant())


def on_main(output: Any, change: Callable[[Tensor], Any], element: int = 0) -> Any:
    """Change the main tensor of an output: itself, or one of a tuple or list.

    Args:
        output: What a call returned.
        change: What is done to the tensor.
        element: Which of several it is, from 0.
    """
    if isinstance(output, Tensor):
        return change(output)
    if not isinstance(output, tuple | list) or element >= len(output):
        return output
    if not isinstance(output[element], Tensor):
        return output
    rest = (*output[:element], change(output[element]), *output[element + 1 :])
    if isinstance(output, list):
        return list(rest)
    return type(output)(*rest) if hasattr(output, "_fields") else rest


def call_with(part: nn.Module, given: Any, output: Tensor) -> Any:
    """Call a module with an output and what it was computed from."""
    return part(output, given)


def first_of(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Return the first argument of a call, by place or by name."""
    return args[0] if args else next(iter(kwargs.values()))


def with_first(
    args: tuple[Any, ...], kwargs: dict[str, Any], change: Callable[[Any], Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Change the first argument, and every other that is the same tensor: attention(x, x, x)."""
    old = first_of(args, kwargs)
    new = change(old)
    return (
        tuple(new if one is old else one for one in args),
        {name: new if one is old else one for name, one in kwargs.items()},
    )


def with_nth(
    args: tuple[Any, ...], options: Mapping[str, Any], number: int, change: Callable[[Any], Any]
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Change one argument of a function; some may be given by their names.

    A call without such an argument is left as it is: ``x.normal_()`` beside `torch.normal`, and
    reading ``x.grad`` beside `torch.autograd.grad`.
    """
    if number < len(args):
        return (*args[:number], change(args[number]), *args[number + 1 :]), options
    name = next((one for one in ("other", "weight", "std", "create_graph") if one in options), "")
    return args, {**options, name: change(options[name])} if name else options


def place_of(raw: str, argument: int) -> int:
    """Return where an argument stands in a call: ``1 / x`` is called with the divisor first.

    Args:
        raw: What is called, as PyTorch names it.
        argument: Which argument it is as it is written, from 0.
    """
    return 0 if raw in _REFLECTED and argument == 1 else argument


def is_in_place(raw: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Tell whether a call writes into its first argument: ``x.relu_()``, ``inplace=True``."""
    if raw.startswith("__i") or (raw.endswith("_") and not raw.endswith("__")):
        return True
    return bool(kwargs.get("inplace")) or any(one is True for one in args[1:])
