"""What is remembered of a forward as long as it runs, thread by thread."""

from __future__ import annotations

from threading import get_ident
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor

from unvanish.core.errors import UnvanishError
from unvanish.treat.relay import Relay


class Scope(Protocol):
    """Follows tensors through one forward, as a torch-function mode does."""

    def expect(self, tensor: Tensor, setting: float, /) -> None:
        """Take note that what is made of a tensor is to have a gradient."""
        ...

    def __enter__(self) -> Any: ...

    def __exit__(self, *exception: Any) -> Any: ...


class Remembering(Relay):
    """Opens a scope for every forward, and forgets what it held when the forward ends.

    Attributes:
        opens: Makes a scope.
        what: What is given a gradient, such as ``"choice"``.
    """

    __slots__ = ("_scopes",)

    opens: ClassVar[type[Any]]
    what: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self._scopes: dict[int, list[Scope]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = type(self)()
        memo[id(self)] = twin
        return twin

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        return type(self), ()

    def enter(self) -> None:
        """Begin a forward."""
        scope: Scope = self.opens()
        scope.__enter__()
        self._scopes.setdefault(get_ident(), []).append(scope)

    def leave(self) -> None:
        """End it, and forget what was remembered."""
        scopes = self._scopes[get_ident()]
        scopes.pop().__exit__(None, None, None)
        if not scopes:
            del self._scopes[get_ident()]

    def expect(self, tensor: Tensor, setting: float) -> None:
        """Take note that what is made of a tensor is to have a gradient.

        Args:
            tensor: The scores that a choice is made by, or what is compared.
            setting: What the scope needs to know about it: a temperature, the width of a step.

        Raises:
            UnvanishError: If a part of the network is run again for its backward pass.
        """
        scopes = self._scopes.get(get_ident())
        if scopes:
            scopes[-1].expect(tensor, setting)
        elif torch._C._current_graph_task_id() != -1:
            raise UnvanishError(
                f"a {self.what} that was given a gradient stands in a checkpointed part of the "
                "network",
                help="leave the checkpoint out",
            )
