"""A run as a line of text and back, without losing a bit: for pipes, networks and journals."""

from __future__ import annotations

import json

from unvanish.core.packing import MalformedError, packer, unpacker
from unvanish.core.proofs import Run


def written(run: Run) -> str:
    """Return a run as one line of strict JSON.

    Args:
        run: Its numbers may be infinite or none at all.
    """
    return json.dumps(packer(Run)(run), allow_nan=False)


def read(line: str | bytes) -> Run:
    """Return the run that `written` wrote.

    Raises:
        MalformedError: If the line is none of its.
    """
    try:
        run: Run = unpacker(Run)(json.loads(line))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MalformedError(f"this is no run: {error}") from None
    return run
