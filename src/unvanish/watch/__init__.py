"""Watch a training run: every layer, at almost no cost, without changing it.

`unvanish run` takes parts of this package before the script has imported torch, which may be
configured until then. So what needs torch is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unvanish.watch.observer import Watch, observe

__all__ = ["Watch", "observe"]

if not TYPE_CHECKING:  # else a type checker would take every misspelt name for a public one

    def __getattr__(name: str) -> object:
        """Load a public name and keep it."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from unvanish.watch import observer

        globals()[name] = getattr(observer, name)
        return globals()[name]
