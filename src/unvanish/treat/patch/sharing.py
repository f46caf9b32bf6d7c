"""Code that an edit changes and that more than one network is made of."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from unvanish.core.places import SourceLine
from unvanish.core.records import Recording
from unvanish.recipe import Recipe
from unvanish.treat.patch.optimisers import number_of
from unvanish.treat.patch.source import Source

Definition = ast.FunctionDef | ast.ClassDef


def shared(sources: Iterable[Source], before: Recipe, look: Recording) -> tuple[str, ...]:
    """Say what else an edit changes: other networks of the file, and callers of a default.

    Args:
        sources: The edited files.
        before: The network as it was.
        look: What was seen of it.

    Returns:
        One sentence for each piece of code that others use too.
    """
    lines = list(before.built.values())
    lines += [line for site in look.sites for line in (site.source, site.built) if line is not None]
    kinds = {type(module).__name__ for module in before.model.modules()}
    root = next((line for one, line in before.built.items() if one is before.model), None)
    found: list[str] = []
    for source in sources:
        if not source.is_changed:
            continue
        own = {
            one.name
            for one in _definitions(source)
            if one.name in kinds or any(_holds(source, one, line) for line in lines)
        }
        roots = {type(before.model).__name__}
        if root is not None:
            roots |= {d.name for d in _definitions(source) if _holds(source, d, root)}
        found += _others(source, own, roots)
        found += _defaults(source, own - roots)
    return tuple(dict.fromkeys(found))


def _others(source: Source, own: set[str], roots: set[str]) -> Iterator[str]:
    """Yield a sentence for each edited name of a file that other networks are made with."""
    for name, is_root in _edited(source, own, roots):
        users = _heirs(source, name) if is_root else _users(source, name, roots)
        others = [user for user in users if user.name not in own]
        if others:
            listed = ", ".join(f"{user.name} (line {user.lineno})" for user in others)
            uses = "uses" if len(others) == 1 else "use"
            yield f"{name} is edited, and {listed} {uses} it too and will change with it"


def _edited(source: Source, own: set[str], roots: set[str]) -> Iterator[tuple[str, bool]]:
    """Yield the names of a file whose meaning is edited, and whether they are the network's."""
    for statement in source.edited():
        if isinstance(statement, Definition):
            if statement.name in own:
                yield statement.name, statement.name in roots
        elif isinstance(statement, ast.Assign) and number_of(statement.value) is None:
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    yield target.id, False


def _users(source: Source, name: str, roots: set[str]) -> list[Definition]:
    """Return what uses a name, or what uses such a user; the network itself leads no further."""
    names = [name]
    found: dict[int, Definition] = {}
    while names:
        wanted = names.pop()
        for one in _definitions(source):
            if one.name in roots or one.lineno in found or one.name in (name, wanted):
                continue
            if any(n.id == wanted for n in ast.walk(one) if isinstance(n, ast.Name)):
                found[one.lineno] = one
                names.append(one.name)
    return [found[line] for line in sorted(found)]


def _heirs(source: Source, name: str) -> list[Definition]:
    """Return the classes that inherit from one."""
    return [
        one
        for one in _definitions(source)
        if isinstance(one, ast.ClassDef) and name in map(source.meaning, one.bases)
    ]


def _defaults(source: Source, names: set[str]) -> Iterator[str]:
    """Yield a sentence for each function whose default is edited."""
    for one in source.nodes(ast.FunctionDef):
        holder = source.around(one, ast.ClassDef)
        outer = holder if holder is not None else one
        given = [*one.args.defaults, *(d for d in one.args.kw_defaults if d is not None)]
        if outer.name in names and any(map(source.is_edited, given)):
            yield (
                f"line {one.lineno} has another default: every call of {outer.name} that does not "
                "say it gets the new one"
            )


def _definitions(source: Source) -> list[Definition]:
    return [one for one in source.tree.body if isinstance(one, Definition)]


def _holds(source: Source, definition: Definition, line: SourceLine) -> bool:
    is_here = Path(line.file).resolve() == Path(source.path).resolve()
    return is_here and definition.lineno <= line.line <= (definition.end_lineno or 0)
