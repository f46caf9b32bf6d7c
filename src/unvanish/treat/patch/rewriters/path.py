"""Write residual connections: around calls in a forward, or around modules in a list."""

from __future__ import annotations

import ast
from typing import Final

from unvanish.core.records import Site
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work

REMEDIES: Final = frozenset({"residual"})

_CLASS: Final = '''

class Residual(nn.Module):
    """Adds what goes in to what comes out."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.layers(x)
'''


def rewrite(work: Work) -> None:
    """Write ``x = x + f(x)`` where a forward says ``x = f(x)``.

    Raises:
        NoSafeEditError: If a connection's block is no such statement.
    """
    ends = {edit.place for edit in work.receipt.edits}
    sites = [s for s in work.recording.signal_sites() if s.path in ends and s.source is not None]
    statements: dict[tuple[str, int], tuple[Source, ast.Assign]] = {}
    for edit in work.receipt.edits:
        if "identity" not in edit.after and "plain" not in edit.after:
            raise NoSafeEditError(
                f"the connection to {edit.place} is more than a sum: {edit.after}"
            )
    for site in sites:
        source = work.source(site.source)
        statement = _assignment(source, site)
        if statement is not None:
            statements[(str(source.path), statement.lineno)] = (source, statement)
    if not statements:
        raise NoSafeEditError("no statement of the form x = f(x) makes the blocks")
    for source, statement in statements.values():
        target = statement.targets[0]
        assert isinstance(target, ast.Name)
        source.replace(statement.value, f"{target.id} + {source.segment(statement.value)}")


def _assignment(source: Source, site: Site) -> ast.Assign | None:
    """Return the statement ``x = f(x)`` that runs a site, where it is one."""
    assert site.source is not None
    for statement in source.nodes(ast.Assign, site.source.line):
        target = statement.targets[0]
        names = {n.id for n in ast.walk(statement.value) if isinstance(n, ast.Name)}
        if len(statement.targets) == 1 and isinstance(target, ast.Name) and target.id in names:
            return statement
    return None
