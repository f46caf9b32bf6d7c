"""Functions of the user's own: a `torch.autograd.Function`, and the backward pass of its calls.

What is computed is a matter of the class, and a class is shared by every network of a process.
A call, though, has a context of its own, which stands in the graph and is asked for its gradient.
As long as a treated forward runs, the classes hand out contexts that can be told another answer;
when it ends they are as they were. What a call was told stays with that call.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import torch
from torch import Tensor
from torch.autograd import Function

_ANSWER: Final = "_unvanish_answer"
"""Name of the attribute of a context that holds the answer it was told."""
_NOT_THE_USERS: Final = ("torch.", "unvanish.treat.", "unvanish.observe.")
"""Beginnings of the modules whose functions have the backward pass that they are to have."""

Grads = tuple[Tensor | None, ...]


class Answer(Protocol):
    """What a call passes back in the place of what its class says."""

    def __call__(self, own: Callable[[], Grads], grads: Grads) -> Grads:
        """Return the gradient by each input.

        Args:
            own: What the user's backward pass returns for these gradients.
            grads: The gradient by each output.
        """
        ...


class Follower(Protocol):
    """Is told of the calls of a user's functions."""

    def met(
        self, function: type[Function], context: Any, inputs: tuple[Any, ...], output: Any
    ) -> Answer | None:
        """Take note of a call, and say what it is to pass back; None for what it does anyhow.

        Args:
            function: The user's class.
            context: The context of this call.
            inputs: What it was given.
            output: What it returned.
        """
        ...


@dataclass(slots=True)
class _Cover:
    """A class that hands out other contexts: for how many forwards, and what it had of its own."""

    users: int
    had: dict[str, Any]
    put: tuple[str, ...]


_LOCK: Final = threading.RLock()
_COVERS: Final[dict[type[Function], _Cover]] = {}


class _Open(threading.local):
    """The followers of one thread, the innermost last."""

    def __init__(self) -> None:
        self.followers: list[Follower] = []


_OPEN: Final = _Open()


def users_functions() -> Iterator[type[Function]]:
    """Yield every class of a user's or a library's that has a backward pass of its own."""
    seen: set[type[Function]] = set()
    waiting = list(Function.__subclasses__())
    while waiting:
        function = waiting.pop()
        if function in seen:
            continue
        seen.add(function)
        waiting += function.__subclasses__()
        if not f"{function.__module__}.".startswith(_NOT_THE_USERS):
            yield function


class Named:
    """The classes of some names, found again where a user defines one anew.

    Args:
        names: Qualified names in their modules.
    """

    __slots__ = ("_found", "_known", "_names")

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._known = -1
        self._found: tuple[weakref.ref[type[Function]], ...] = ()

    def __call__(self) -> tuple[type[Function], ...]:
        """Return the classes that there are now."""
        known = len(Function.__subclasses__())
        found = tuple(function for one in self._found if (function := one()) is not None)
        if known != self._known or len(found) < len(self._found):
            found = tuple(one for one in users_functions() if one.__qualname__ in self._names)
            self._known, self._found = known, tuple(weakref.ref(one) for one in found)
        return found


def begin(follower: Follower, functions: Sequence[type[Function]]) -> None:
    """Tell a follower of the calls in this thread, until `end`.

    Args:
        follower: Who is told; those that were told before are not, until then.
        functions: The classes.
    """
    with _LOCK:
        for function in functions:
            if function in _COVERS:
                _COVERS[function].users += 1
            else:
                _COVERS[function] = _cover(function)
    _OPEN.followers.append(follower)


def end(functions: Sequence[type[Function]]) -> None:
    """Tell the innermost follower no more, and leave the classes as they were.

    Args:
        functions: The classes it began with.
    """
    _OPEN.followers.pop()
    with _LOCK:
        for function in functions:
            cover = _COVERS[function]
            cover.users -= 1
            if not cover.users:
                del _COVERS[function]
                for name in cover.put:
                    if name in cover.had:
                        setattr(function, name, cover.had[name])
                    else:
                        delattr(function, name)


def _cover(function: type[Function]) -> _Cover:
    """Let a class hand out contexts that can be told an answer, and tell of its calls."""
    kind: Any = function
    if kind.setup_context is Function.setup_context:
        put = {"forward": _telling(kind, kind.forward)}
    else:
        put = {"setup_context": _telling_later(kind, kind.setup_context)}
    put["_backward_cls"] = _told(kind._backward_cls)
    had = {name: vars(function)[name] for name in put if name in vars(function)}
    for name, value in put.items():
        setattr(function, name, value)
    return _Cover(1, had, tuple(put))


def _telling(function: Any, forward: Callable[..., Any]) -> Any:
    @functools.wraps(forward)
    def told(context: Any, *inputs: Any) -> Any:
        output = forward(context, *inputs)
        _tell(function, context, inputs, output)
        return output

    return staticmethod(told)


def _telling_later(function: Any, setup: Callable[..., Any]) -> Any:
    @functools.wraps(setup)
    def told(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        setup(ctx, inputs, output)
        _tell(function, ctx, inputs, output)

    return staticmethod(told)


def _tell(function: Any, context: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Tell the innermost follower of a call; not of one that a class makes of its base."""
    called: Any = getattr(type(context), "_forward_cls", None)
    if not _OPEN.followers or called is not function:
        return
    with torch._C.DisableTorchFunction():
        answer = _OPEN.followers[-1].met(called, context, inputs, output)
    if answer is not None:
        setattr(context, _ANSWER, answer)


def _told(kind: Any) -> Any:
    """Return the class of a function's contexts, with an ear for another answer."""

    def apply(self: Any, *grads: Tensor | None) -> Any:
        answer: Answer | None = getattr(self, _ANSWER, None)
        if answer is None:
            return kind.apply(self, *grads)

        def own() -> Grads:
            found = kind.apply(self, *grads)
            return found if isinstance(found, tuple) else (found,)

        return answer(own, grads)

    def apply_boxed(self: Any, grads: list[Tensor | None]) -> Any:
        if getattr(self, _ANSWER, None) is None:
            return kind.apply_boxed(self, grads)
        return apply(self, *grads)

    return type(kind.__name__, (kind,), {"apply": apply, "apply_boxed": apply_boxed})
