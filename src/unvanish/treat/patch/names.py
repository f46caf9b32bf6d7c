"""What the names of a file stand for, and how to write a name of torch's in the file's style."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from typing import Final

_HOMES: Final = {
    "torch.nn.functional": "import torch.nn.functional as F",
    "torch.nn": "from torch import nn",
    "torch": "import torch",
}


class Names:
    """The imports of a file, and those that an edit adds.

    Args:
        tree: The file.

    Attributes:
        needed: Import statements to add.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.needed: list[str] = []
        self._aliases = {**dict(_starred(tree)), **dict(_imported(tree))}

    def meaning(self, node: ast.AST) -> str:
        """Return the dotted name an expression stands for, imports resolved; else ``""``."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        parts.append(self._aliases.get(node.id, node.id))
        return ".".join(reversed(parts))

    def spell(self, dotted: str) -> str:
        """Write a dotted name of torch's in the file's own style; import it where it must be.

        Args:
            dotted: Such as ``"torch.nn.BatchNorm1d"``.
        """
        home = max(
            (
                (len(meant), alias)
                for alias, meant in self._aliases.items()
                if dotted.startswith(f"{meant}.") or dotted == meant
            ),
            default=None,
        )
        if home is not None:
            alias = home[1]
            return alias + dotted[len(self._aliases[alias]) :]
        for module, line in _HOMES.items():
            if dotted.startswith(f"{module}."):
                self.need(line)
                alias = line.split()[-1]
                self._aliases[alias] = module
                return alias + dotted[len(module) :]
        module = dotted.rpartition(".")[0]
        self.need(f"import {module}")
        self._aliases[module.split(".")[0]] = module.split(".")[0]
        return dotted

    def need(self, line: str) -> None:
        """Add an import, once."""
        if line not in self.needed:
            self.needed.append(line)


def _starred(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the names of torch that are read and come with ``from torch.nn import *``."""
    read = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    own = {getattr(one, "name", "") for one in tree.body}
    for node in tree.body:
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        if not module.startswith("torch") or module not in sys.modules:
            continue
        if isinstance(node, ast.ImportFrom) and any(name.name == "*" for name in node.names):
            known = sys.modules[module]
            public = getattr(known, "__all__", None) or dir(known)
            yield from ((name, f"{module}.{name}") for name in sorted((read - own) & {*public}))


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.asname:
                    yield name.asname, name.name
                else:
                    root = name.name.split(".")[0]
                    yield root, root
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in node.names:
                yield name.asname or name.name, f"{node.module}.{name.name}"
