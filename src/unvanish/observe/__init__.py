"""Look at one batch of a real network and change nothing: `trace` makes a `Recording`."""

from unvanish.observe.tracing import trace

__all__ = ["trace"]
