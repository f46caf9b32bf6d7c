"""Remember at which line of the user's code each module was built."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from torch import nn

from unvanish.core.places import SourceLine
from unvanish.core.stack import user_line

BuildLines = MutableMapping[nn.Module, SourceLine]


@contextmanager
def recording_builds(lines: BuildLines | None = None) -> Iterator[BuildLines]:
    """Note the user's line of every ``nn.Module`` that is constructed inside the block.

    ``nn.Module.__init__`` is replaced for the duration and put back whatever happens.

    Args:
        lines: Mapping to add to; a new weak one if None.

    Yields:
        The mapping. Its keys are weak: it keeps no module alive.
    """
    noted: BuildLines = WeakKeyDictionary() if lines is None else lines
    original: Callable[..., None] = nn.Module.__init__

    def noting_init(self: nn.Module, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)
        line = user_line(building=self)
        if line is not None:
            # A module with a hash of its own may not be hashable before it is complete.
            with contextlib.suppress(TypeError, AttributeError):
                noted[self] = line

    nn.Module.__init__ = noting_init  # type: ignore[method-assign]
    try:
        yield noted
    finally:
        nn.Module.__init__ = original  # type: ignore[method-assign]


def copy_lines(lines: BuildLines, original: nn.Module, copy: nn.Module) -> None:
    """Give the modules of a deep copy the lines of the modules they were copied from."""
    for old, new in zip(original.modules(), copy.modules(), strict=True):
        if old in lines:
            lines[new] = lines[old]
