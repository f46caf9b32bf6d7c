"""Several optimisers, each for some of the parameters, that act as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


class Together(torch.optim.Optimizer):
    """Steps several optimisers as one, with one list of groups and one state.

    The last one takes what the others cannot: groups that are added later, and parameters of
    more or fewer than two axes that come to stand in a group of Muon.

    Args:
        members: Optimisers over different parameters.
    """

    def __init__(self, members: Sequence[torch.optim.Optimizer]) -> None:
        # Not the constructor of the base: groups and state are those of the members.
        super().__setstate__({"members": tuple(members), "defaults": dict(members[-1].defaults)})
        for member in self.members[1:]:
            self.members[0].state.update(member.state)
            member.state = self.members[0].state

    members: tuple[torch.optim.Optimizer, ...]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Groups of all members, in order."""
        return [group for member in self.members for group in member.param_groups]

    @param_groups.setter
    def param_groups(self, groups: list[dict[str, Any]]) -> None:
        for member in self.members:
            count = len(member.param_groups)
            member.param_groups, groups = groups[:count], groups[count:]

    @property
    def state(self) -> Any:
        """The state that all members share."""
        return self.members[0].state

    @state.setter
    def state(self, state: Any) -> None:
        for member in self.members:
            member.state = state

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step of every member."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._sort()
        for member in self.members:
            member.step()
        return loss

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group to the last member."""
        self.members[-1].add_param_group(param_group)

    def _sort(self) -> None:
        """Hand on to the last member what Muon refuses."""
        for member in self.members:
            if type(member).__name__ != "Muon":
                continue
            for group in member.param_groups:
                refused: list[Tensor] = [p for p in group["params"] if p.ndim != 2]
                if refused:
                    group["params"] = [p for p in group["params"] if p.ndim == 2]
                    last = self.members[-1].param_groups[-1]
                    last["params"] = [*last["params"], *refused]

    def __getstate__(self) -> dict[str, Any]:
        return {"members": self.members}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "members" in state:
            self.__init__(state["members"])  # type: ignore[misc]
            return
        groups = list(state["param_groups"])
        for member in self.members:
            count = len(member.param_groups)
            member.__setstate__({"state": state["state"], "param_groups": groups[:count]})
            groups = groups[count:]

    def __repr__(self) -> str:
        return " together with ".join(repr(member) for member in self.members)
