"""How a tensor gets from where a connection begins to where it ends, and no further."""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import get_ident
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Carried:
    """A tensor on its way, and what combines it at the end where the end does not say."""

    value: Tensor
    part: nn.Module | None
    passes: int = 0
    """Ends to pass before it is taken."""


class Relay:
    """Carries a tensor from where a connection begins to where it ends.

    What is carried lives no longer than the call it belongs to, however that call ends: every
    call of the module around both ends opens a frame of its own. Threads do not meet, and neither
    a copy nor a file takes a tensor along.
    """

    __slots__ = ("_frames", "_open")

    def __init__(self) -> None:
        self._frames: dict[int, list[Carried | None]] = {}
        self._open: dict[int, int] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Relay:
        twin = Relay()
        memo[id(self)] = twin
        return twin

    def __reduce__(self) -> tuple[type[Relay], tuple[()]]:
        return Relay, ()

    @property
    def is_open(self) -> bool:
        """Whether a call around both ends is running in this thread."""
        return self._open.get(get_ident(), 0) > 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is carried, in any thread."""
        return not any(one is not None for frames in self._frames.values() for one in frames)

    def enter(self) -> None:
        """Begin a call around both ends."""
        thread = get_ident()
        opened = self._open.get(thread, 0)
        if not opened:
            self._frames.pop(thread, None)
        self._frames.setdefault(thread, []).append(None)
        self._open[thread] = opened + 1

    def leave(self) -> None:
        """End that call and let go of what it left behind."""
        thread = get_ident()
        self._frames[thread].pop()
        self._open[thread] -= 1
        if not self._open[thread]:
            del self._open[thread], self._frames[thread]

    def put(self, value: Tensor, part: nn.Module | None = None, passes: int = 0) -> None:
        """Carry a tensor, in the place of what was carried in this call.

        Args:
            value: What to carry.
            part: What combines it where the connection ends, if the end does not say.
            passes: Ends to pass before it is taken.
        """
        frames = self._frames.setdefault(get_ident(), [])
        if self.is_open:
            frames[-1] = Carried(value, part, passes)
        else:
            frames[:] = [Carried(value, part, passes)]

    def take(self) -> Carried | None:
        """Return what is carried and let go of it; None where nothing is."""
        thread = get_ident()
        frames = self._frames.get(thread)
        if not frames:
            return None
        carried = frames[-1]
        if carried is not None and carried.passes:
            frames[-1] = replace(carried, passes=carried.passes - 1)
            return None
        if self.is_open:
            frames[-1] = None
        else:
            del self._frames[thread]
        return carried
