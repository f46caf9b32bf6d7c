"""What docs/explain.md shows of the seven networks in docs/examples/contrasts.py."""

from __future__ import annotations

import re

from _cog import _block, _output, steady

_BEGINS = re.compile(r" ledger: | theory: |weights: |verdict: ")
_ENDS = re.compile(r"   note: |   help: |follows: |$")


def ledger(name: str, *, expect: int = 1) -> None:
    """Print the command that checks one network, and the ledger under its finding."""
    command = f"unvanish check docs/examples/contrasts.py:{name}"
    lines = steady(_output(command, expect)).splitlines()
    first = next(i for i, line in enumerate(lines) if re.match(r"(error|warning)\[", line))
    head = next(i for i in range(first, len(lines)) if "-->" in lines[i])
    start = next(i for i, line in enumerate(lines) if _BEGINS.match(line))
    stop = next(i for i in range(start, len(lines)) if _ENDS.match(lines[i]))
    _block("console", "\n".join([f"$ {command}", *lines[first:head], "…", *lines[start:stop]]))


def tree(name: str, *, expect: int = 0) -> None:
    """Print the command that explains one network in full, and the tree."""
    command = f"unvanish check docs/examples/contrasts.py:{name} --explain full"
    lines = steady(_output(command, expect)).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("ledger  "))
    stop = next(i for i in range(start, len(lines)) if lines[i].startswith(("note: ", "✓ found")))
    _block("console", "\n".join([f"$ {command}", "…", *lines[start:stop]]).rstrip())
