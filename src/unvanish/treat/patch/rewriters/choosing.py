"""Code that chooses a function by its name: what stands there has to stay what it is called."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from unvanish.treat.patch.source import NoSafeEditError, Source

_SHORTEST: Final = 3
"""Letters of the shortest word that can stand for a function: ``"sig"``."""


def refuse_chosen(source: Source, node: ast.AST, function: str) -> None:
    """Refuse to edit what a name in the source is the promise of.

    Args:
        source: The file.
        node: What is to be replaced.
        function: What it computes, such as ``"leaky_relu"``.

    Raises:
        NoSafeEditError: If it is chosen by a word that names the function: by the key of a
            mapping, or by a comparison.
    """
    for word in _words(source, node):
        if _is_name_of(word, function):
            raise NoSafeEditError(
                f"line {getattr(node, 'lineno', '?')} is what the name {word!r} stands for: choose "
                "another function where that name is given"
            )


def _words(source: Source, node: ast.AST) -> Iterator[str]:
    """Yield the words by which the source comes to a node, the nearest first."""
    inner, holder = node, source.parent(node)
    while holder is not None:
        if isinstance(holder, ast.Dict):
            keys = [k for k, v in zip(holder.keys, holder.values, strict=True) if v is inner]
            yield from (text for key in keys if key is not None for text in _texts(key))
        elif isinstance(holder, ast.keyword) and _is_mapping(source, holder):
            yield holder.arg or ""
        elif isinstance(holder, ast.If | ast.IfExp):
            if inner is not holder.test:
                yield from _texts(holder.test)
        elif isinstance(holder, ast.match_case):
            yield from _texts(holder.pattern)
        inner, holder = holder, source.parent(holder)


def _is_mapping(source: Source, keyword: ast.keyword) -> bool:
    """Tell whether an argument is one of ``dict(sigmoid=nn.Sigmoid)``."""
    call = source.parent(keyword)
    return isinstance(call, ast.Call) and source.meaning(call.func) == "dict"


def _texts(node: ast.AST) -> list[str]:
    return [
        one.value
        for one in ast.walk(node)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]


def _is_name_of(word: str, function: str) -> bool:
    one, other = (re.sub("[^a-z0-9]", "", text.lower()) for text in (word, function))
    return len(one) >= _SHORTEST and (other.startswith(one) or one.startswith(other))
