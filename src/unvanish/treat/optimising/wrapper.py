"""A treatment around any optimiser: what happens to the gradient, or to the step, in `step()`.

PyTorch's own hooks on optimisers are lost by `copy.deepcopy` and by pickling. This is an optimiser
of its own that shares the groups and the state of the one it stands around, so that schedulers,
gradient scalers, checkpoints and copies go on as before.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

_OWN_STATE: Final = "unvanish"
"""Key of a state dict under which treatments keep what they remember."""


@dataclass(frozen=True, slots=True)
class Gradient:
    """The gradient of one parameter, to be changed in place.

    Attributes:
        parameter: The parameter.
        values: Its gradient's stored numbers, real: of a sparse gradient the touched rows.
    """

    parameter: Tensor
    values: Tensor


class Treatment:
    """What is done around one step of an optimiser; by itself nothing.

    Attributes:
        changes_gradients: Whether `treat` changes any gradient.
    """

    changes_gradients: bool = False

    def treat(self, gradients: list[Gradient]) -> None:
        """Change the gradients in place; the parameters' own ``.grad`` stays as it was."""

    def before(self, optimizer: torch.optim.Optimizer) -> None:
        """Act before the optimiser's step."""

    def after(self, optimizer: torch.optim.Optimizer) -> None:
        """Act after it, also where it failed."""

    def state(self) -> dict[str, Any]:
        """Return what is remembered from step to step."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up what was remembered."""


class TreatedOptimizer(torch.optim.Optimizer):
    """An optimiser with a treatment around its steps.

    Groups, state and defaults are those of the optimiser inside, and hooks are registered there.
    While a step runs, ``.grad`` holds the treated gradient; before and after it the loss's own,
    so that what reads or accumulates gradients is not misled.

    Args:
        inner: The optimiser that takes the steps.
        treatment: What is done around them.
    """

    def __init__(self, inner: torch.optim.Optimizer, treatment: Treatment) -> None:
        # Not the constructor of the base: groups, state and hooks are those of `inner`.
        self.inner = inner
        self.treatment = treatment
        self._own: list[tuple[Tensor, Tensor | None]] = []

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Groups of the optimiser inside."""
        return self.inner.param_groups

    @param_groups.setter
    def param_groups(self, groups: list[dict[str, Any]]) -> None:
        self.inner.param_groups = groups

    @property
    def state(self) -> Any:
        """State of the optimiser inside."""
        return self.inner.state

    @state.setter
    def state(self, state: Any) -> None:
        self.inner.state = state

    @property
    def defaults(self) -> dict[str, Any]:
        """Defaults of the optimiser inside."""
        return self.inner.defaults

    @defaults.setter
    def defaults(self, defaults: dict[str, Any]) -> None:
        self.inner.defaults = defaults

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step with treated gradients.

        Args:
            closure: Evaluates the loss anew and returns it; its gradient is treated each time.
        """
        treated = None if closure is None else self._treated(closure)
        self.treatment.before(self.inner)
        try:
            if treated is None:
                self._treat()
                return self.inner.step()
            return self.inner.step(treated)
        finally:
            self._put_back()
            self.treatment.after(self.inner)

    def _treated(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        def evaluate() -> Any:
            self._put_back()
            loss = closure()
            self._treat()
            return loss

        return evaluate

    @torch.no_grad()
    def _treat(self) -> None:
        if not self.treatment.changes_gradients:
            return
        found: list[Gradient] = []
        for parameter in self._parameters():
            own = parameter.grad
            if own is None:
                continue
            self._own.append((parameter, own))
            twin = own.detach()
            twin = twin.coalesce().clone() if twin.layout is torch.sparse_coo else twin.clone()
            parameter.grad = twin
            values = twin._values() if twin.layout is torch.sparse_coo else twin
            values = torch.view_as_real(values) if values.is_complex() else values
            found.append(Gradient(parameter, values))
        self.treatment.treat(found)

    def _put_back(self) -> None:
        while self._own:
            parameter, own = self._own.pop()
            parameter.grad = own

    def _parameters(self) -> Iterator[nn.Parameter]:
        for group in self.inner.param_groups:
            yield from group["params"]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Take the gradients off."""
        self.inner.zero_grad(set_to_none)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group to the optimiser inside."""
        self.inner.add_param_group(param_group)

    def state_dict(self) -> dict[str, Any]:
        """Return the state dict of the optimiser inside, with what treatments remember.

        The plain optimiser can load it too.
        """
        state: dict[str, Any] = self.inner.state_dict()
        own = self.treatment.state()
        if own:
            kept = state.get(_OWN_STATE, {})
            state[_OWN_STATE] = {**kept, type(self.treatment).__name__: own}
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state dict of this optimiser, or of the plain one inside."""
        self.inner.load_state_dict(state_dict)
        own = state_dict.get(_OWN_STATE, {}).get(type(self.treatment).__name__)
        if own is not None:
            self.treatment.load(own)

    def register_step_pre_hook(self, hook: Any) -> Any:
        """Register a hook on the optimiser inside: it sees treated gradients."""
        return self.inner.register_step_pre_hook(hook)

    def register_step_post_hook(self, hook: Any) -> Any:
        """Register a hook on the optimiser inside."""
        return self.inner.register_step_post_hook(hook)

    def register_state_dict_pre_hook(self, hook: Any, prepend: bool = False) -> Any:
        """Register a hook on the optimiser inside."""
        return self.inner.register_state_dict_pre_hook(hook, prepend)

    def register_state_dict_post_hook(self, hook: Any, prepend: bool = False) -> Any:
        """Register a hook on the optimiser inside."""
        return self.inner.register_state_dict_post_hook(hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Any, prepend: bool = False) -> Any:
        """Register a hook on the optimiser inside."""
        return self.inner.register_load_state_dict_pre_hook(hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Any, prepend: bool = False) -> Any:
        """Register a hook on the optimiser inside."""
        return self.inner.register_load_state_dict_post_hook(hook, prepend)

    def __getstate__(self) -> dict[str, Any]:
        return {"inner": self.inner, "treatment": self.treatment}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["inner"], state["treatment"])  # type: ignore[misc]

    def __deepcopy__(self, memo: dict[int, Any]) -> TreatedOptimizer:
        inner = copy.deepcopy(self.inner, memo)
        for name, value in vars(self.inner).items():  # LBFGS keeps more than it pickles
            if name not in vars(inner) and not callable(value):
                setattr(inner, name, copy.deepcopy(value, memo))
        twin = type(self)(inner, copy.deepcopy(self.treatment, memo))
        memo[id(self)] = twin
        return twin

    def __repr__(self) -> str:
        return f"{self.treatment!r} around {self.inner!r}"


class TreatedClosureOptimizer(TreatedOptimizer):
    """The same around an optimiser that cannot step without a closure, as LBFGS."""

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Take one step with treated gradients.

        Args:
            closure: Evaluates the loss anew and returns it; its gradient is treated each time.
        """
        return super().step(closure)


def treated(inner: torch.optim.Optimizer, treatment: Treatment) -> TreatedOptimizer:
    """Put a treatment around an optimiser.

    Args:
        inner: The optimiser; it goes on to hold groups and state.
        treatment: What is done around its steps.
    """
    needs = inspect.signature(type(inner).step).parameters.get("closure")
    if needs is not None and needs.default is inspect.Parameter.empty:
        return TreatedClosureOptimizer(inner, treatment)
    return TreatedOptimizer(inner, treatment)
