"""Functions that make parts of a network, and the one among them that makes all of it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping, Sequence, Set
from types import FunctionType, ModuleType

from unvanish.core.places import SourceLine
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work

Place = tuple[Source, ast.stmt]
"""A statement and its file."""


def builder_among(
    work: Work, built: Sequence[SourceLine], container: str
) -> list[tuple[Source, ast.FunctionDef]]:
    """Return the function that makes a network out of what other functions make.

    It makes a container, by itself or by what it calls all of the layers, and no other function
    that does so too calls it.

    Args:
        work: The remedy.
        built: The lines that make the layers.
        container: Dotted name of the network's class.

    Returns:
        The function and its file; nothing where no function, or more than one, is it.
    """
    lines = {(work.source(line), line.line) for line in built}
    named = _named(_files(work, {source for source, _ in lines}))
    found: dict[ast.FunctionDef, tuple[Source, list[Place]]] = {}
    for place in (one for places in named.values() for one in places):
        source, function = place
        if not isinstance(function, ast.FunctionDef) or not _returns(source, function, container):
            continue
        made = _makes(place, named)
        if all(any(_holds(one, at, line) for one in made) for at, line in lines):
            found[function] = source, made
    outermost = [
        (source, function)
        for function, (source, _) in found.items()
        if not any(
            (source, function) in made
            for other, (_, made) in found.items()
            if other is not function
        )
    ]
    return outermost if len(outermost) == 1 else []


def _files(work: Work, sources: Set[Source]) -> list[Source]:
    """Return some files with those of the user's that use their functions."""
    found = sorted(sources, key=lambda one: str(one.path))
    names = {str(one.path.resolve()) for one in found}
    users = [one for one in list(sys.modules.values()) if _uses(one, names)]
    for module in users:
        try:
            source = work.open(str(module.__file__))
        except NoSafeEditError:  # a library's
            continue
        if source not in found:
            found.append(source)
    return found


def _uses(module: ModuleType, files: Set[str]) -> bool:
    """Tell whether a module has the name of a function, or of a module, of some files."""
    if type(module) is not ModuleType or not isinstance(module.__dict__.get("__file__"), str):
        return False
    return any(  # what only says that it is a function may do anything when asked
        (type(one) is FunctionType and one.__code__.co_filename in files)
        or (type(one) is ModuleType and one.__dict__.get("__file__") in files)
        for one in list(module.__dict__.values())
    )


def _named(sources: Sequence[Source]) -> dict[str, list[Place]]:
    """Return the functions of some files by name, and what stands for one: a lambda, a table."""
    named: dict[str, list[Place]] = {}
    for source in sources:
        for function in source.nodes(ast.FunctionDef):
            named.setdefault(function.name, []).append((source, function))
        for one in source.tree.body:
            for target in one.targets if isinstance(one, ast.Assign) else ():
                if isinstance(target, ast.Name):
                    named.setdefault(target.id, []).append((source, one))
    return named


def _makes(place: Place, named: Mapping[str, list[Place]]) -> list[Place]:
    """Return a statement with those that it mentions by name, and those that they mention."""
    made = [place]
    for _, statement in made:
        for node in ast.walk(statement):
            name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
            made += [one for one in named.get(name, ()) if one not in made]
    return made


def _holds(place: Place, source: Source, line: int) -> bool:
    at, statement = place
    return at is source and statement.lineno <= line <= (statement.end_lineno or 0)


def _returns(source: Source, function: ast.FunctionDef, container: str) -> bool:
    """Tell whether a function ends by returning a new container."""
    last = function.body[-1]
    value = last.value if isinstance(last, ast.Return) else None
    values = [value]
    if isinstance(value, ast.Name):
        values = [
            one.value
            for one in ast.walk(function)
            if isinstance(one, ast.Assign)
            and any(isinstance(t, ast.Name) and t.id == value.id for t in one.targets)
        ]
    return any(isinstance(v, ast.Call) and source.meaning(v.func) == container for v in values)
