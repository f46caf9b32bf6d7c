"""How far a watched run is, on stderr, without getting in the way of what the script writes.

On a terminal the status stands at the right edge of the line the cursor is on, and the cursor stays
where it is: what the script writes next begins where it would have begun. Elsewhere it is a line of
its own, at growing intervals.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from unvanish.cli.screen import complain, plain

_AGAIN: Final = 0.25
_FIRST, _LONGEST = 10.0, 600.0
_NARROWEST: Final = 60


class LiveLine:
    """Says now and then at which step a run is.

    Args:
        quiet: Whether to say nothing at all.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._process = os.getpid()
        self._is_quiet = quiet
        self._is_live = _can_steer()
        self._began = time.monotonic()
        self._next = self._began + (0.0 if self._is_live else _FIRST)
        self._interval = _FIRST
        self._last: tuple[int, float] | None = None
        self._is_shown = False

    def show(self, step: int, values: Mapping[str, Any]) -> None:
        """Tell of a sample, unless that was done a moment ago.

        Args:
            step: The step that was sampled.
            values: What is known of it, by the name of the quantity.
        """
        now = time.monotonic()
        self._last = self._last or (step, now)
        if self._is_quiet or now < self._next or os.getpid() != self._process:
            return
        text = self._text(step, values, now, *self._last)
        self._last = (step, now)
        if self._is_live:
            self._next = now + _AGAIN
            self._draw(text)
        else:
            self._next = now + self._interval
            self._interval = min(2 * self._interval, _LONGEST)
            complain(f"unvanish: {text}")

    def clear(self) -> None:
        """Take the status away, where it can be."""
        if self._is_shown and os.getpid() == self._process:
            self._is_shown = False
            _steer("\x1b[K")

    def _text(
        self, step: int, values: Mapping[str, Any], now: float, last: int, then: float
    ) -> str:
        parts = [f"step {step:,}"]
        loss = values.get("loss", math.nan)
        if isinstance(loss, int | float) and not math.isnan(loss):
            parts.append(f"loss {loss:.4g}")
        if step > last and now > then:
            parts.append(f"{(step - last) / (now - then):.3g} steps/s")
        return " · ".join(parts)

    def _draw(self, text: str) -> None:
        columns = shutil.get_terminal_size((80, 24)).columns
        if columns < _NARROWEST:
            return
        text = plain(text)
        encoding = getattr(sys.stderr, "encoding", None) or "ascii"
        text = text.encode(encoding, "replace").decode(encoding)
        self._is_shown = True
        _steer(f"\x1b7\x1b[{columns - len(text)}G\x1b[K\x1b[2m{text}\x1b[22m\x1b8")


def _can_steer() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def _steer(codes: str) -> None:
    try:
        sys.stderr.write(codes)
        sys.stderr.flush()
    except (OSError, ValueError):
        return
