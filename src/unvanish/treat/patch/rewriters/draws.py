"""Write `mean + std * noise` where `torch.normal` draws."""

from __future__ import annotations

import ast
from typing import Final

from unvanish.core.places import SourceLine
from unvanish.treat.patch.removal import in_brackets
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work

REMEDIES: Final = frozenset({"reparameterise"})

_NORMAL: Final = "torch.normal"
_MOMENTS: Final = ("mean", "std")


def rewrite(work: Work) -> None:
    """Exchange every call of `torch.normal` in the lines that the prescription names.

    Raises:
        NoSafeEditError: If a line calls it in a way that is not followed.
    """
    settings = work.prescription.settings
    lines, wholes = (str(settings[key]).split(", ") for key in ("lines", "noise"))
    for told, whole in zip(lines, wholes, strict=True):
        file, _, number = told.rpartition(":")
        source = work.source(SourceLine(file, int(number)))
        calls = [
            call
            for call in source.nodes(ast.Call, int(number))
            if source.meaning(call.func) == _NORMAL
        ]
        if not calls:
            raise NoSafeEditError(f"{told} draws in a way that cannot be followed")
        for call in calls:
            _exchange(source, call, whole)


def _exchange(source: Source, call: ast.Call, wholes: str) -> None:
    """Write a mean and noise of unit size for one draw.

    Args:
        source: The file.
        call: The draw.
        wholes: The arguments that have its shape, such as ``"std or mean"``.

    Raises:
        NoSafeEditError: If it is given more, or what has its shape would be computed twice.
    """
    given: dict[str | None, ast.expr] = dict(zip(_MOMENTS, call.args, strict=False))
    given.update({one.arg: one.value for one in call.keywords})
    starred = any(isinstance(one, ast.Starred) for one in call.args)
    if set(given) != set(_MOMENTS) or len(call.args) > len(_MOMENTS) or starred:
        raise NoSafeEditError(
            f"line {call.lineno}: torch.normal is not given a mean and a standard deviation alone"
        )
    like = [given[name] for name in wholes.split(" or ") if name in given]
    simple = [one for one in like if isinstance(one, ast.Name | ast.Attribute)]
    if not simple:
        raise NoSafeEditError(
            f"line {call.lineno}: nothing that torch.normal is given has the shape of the draw"
            if not like
            else f"line {call.lineno}: give what torch.normal is given a name, since its shape is "
            "asked for once more"
        )
    mean, std = given["mean"], given["std"]
    noise = f"{source.spell('torch.randn_like')}({source.segment(simple[0])})"
    text = f"{in_brackets(source, std)} * {noise}"
    if not (isinstance(mean, ast.Constant) and mean.value == 0):
        text = f"{in_brackets(source, mean)} + {text}"
    holder = source.parent(call)
    alone = isinstance(holder, ast.Return | ast.Assign | ast.Tuple | ast.keyword)
    in_call = isinstance(holder, ast.Call) and call in holder.args
    source.replace(call, text if alone or in_call else f"({text})")
