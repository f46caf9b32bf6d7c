"""Where the code that builds a network loads values that were learnt before."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Final

from unvanish.treat.patch.source import NoSafeEditError, Source

_LOADS: Final = frozenset(
    {
        "load_state_dict",
        "load_state_dict_from_url",
        "load_from_checkpoint",
        "load_checkpoint",
        "load_model",
        "load_weights",
        "load_pretrained",
        "from_pretrained",
    }
)
"""Calls that give a network what was learnt, whatever they are called on."""

_SETTINGS: Final = re.compile("(?i)config|token|processor")
"""What ``from_pretrained`` is called on where it gives no weights."""

_READS: Final = frozenset(
    {"torch.load", "torch.hub.load", "torch.jit.load", "safetensors.torch.load_file", "numpy.load"}
)
"""Calls that read values, or a whole network, from elsewhere."""


def load_in(source: Source, block: Sequence[ast.stmt], network: str) -> ast.stmt | None:
    """Return the first statement that gives a network what was learnt; None where none does.

    Args:
        source: The file.
        block: The statements that build the network.
        network: What the network is called there.

    Raises:
        NoSafeEditError: If layers are made in or behind that statement: nothing can be written
            that draws them anew and leaves alone what was loaded.
    """
    read: set[str] = set()
    for number, statement in enumerate(block):
        if not (_loads(source, statement) or read & _names(statement)):
            continue
        kept = _kept(statement)
        if kept and kept != network:  # values that a statement further down puts to use
            read.add(kept)
            continue
        late = next((one for one in block[number:] if _makes(one, network)), None)
        if late is not None:
            raise NoSafeEditError(
                f"line {statement.lineno} loads what was learnt, and line {late.lineno} makes a "
                "part of the network: what is written behind it would undo the load"
            )
        if not source.begins_line(statement):
            raise NoSafeEditError(f"line {statement.lineno} loads what was learnt, and does more")
        return statement
    return None


def _loads(source: Source, node: ast.AST, seen: set[str] | None = None) -> bool:
    """Tell whether code loads what was learnt, by itself or in what it calls of the same file."""
    seen = set() if seen is None else seen
    for call in (one for one in ast.walk(node) if isinstance(one, ast.Call)):
        func = call.func
        name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        if name == "from_pretrained" and _SETTINGS.search(ast.unparse(func)):
            continue
        if name in _LOADS or source.meaning(func) in _READS or any(map(_is_on, call.keywords)):
            return True
        near = func.value if isinstance(func, ast.Attribute) else func
        if name in seen or not isinstance(near, ast.Name):
            continue
        seen.add(name)
        if any(_loads(source, one, seen) for one in _bodies(source, name)):
            return True
    return False


def _bodies(source: Source, name: str) -> Iterator[ast.AST]:
    """Yield what runs when a name of the file is called: a function, or the making of a class."""
    if name == "__init__":
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            yield node
        elif isinstance(node, ast.ClassDef) and node.name == name:
            yield from (
                one
                for one in node.body
                if isinstance(one, ast.FunctionDef) and one.name == "__init__"
            )


def _is_on(keyword: ast.keyword) -> bool:
    """Tell whether an argument is ``pretrained=True`` or ``weights="DEFAULT"``."""
    value = keyword.value
    if keyword.arg == "pretrained":
        return isinstance(value, ast.Constant) and value.value is True
    if keyword.arg != "weights":
        return False
    if isinstance(value, ast.Constant):
        return isinstance(value.value, str)
    return isinstance(value, ast.Attribute) and "Weights" in ast.unparse(value)


def _kept(statement: ast.stmt) -> str:
    """Return the one name that a statement gives a value; empty for another statement."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        return target.id if isinstance(target, ast.Name) else ""
    return ""


def _makes(statement: ast.stmt, network: str) -> bool:
    """Tell whether a statement gives the network a part that a call makes."""
    called: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Assign) and any(isinstance(n, ast.Call) for n in ast.walk(node)):
            if any(_is_of(target, network) for target in node.targets):
                return True
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called.add(node.func.attr)
    return not called.isdisjoint(("add_module", "register_module", "append", "extend"))


def _is_of(target: ast.expr, network: str) -> bool:
    """Tell whether something is the network itself, or an attribute of its own."""
    if isinstance(target, ast.Attribute):
        target = target.value
    return isinstance(target, ast.Name) and target.id == network


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
