"""Write the division of scores where their softmax is taken."""

from __future__ import annotations

import ast
from typing import Final

from unvanish.core.places import SourceLine
from unvanish.treat.patch.optimisers import spelt
from unvanish.treat.patch.removal import in_brackets
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work, same_line

REMEDIES: Final = frozenset({"attention-scale"})

_FUNCTIONS: Final = frozenset(
    {"softmax", "log_softmax", "scaled_dot_product_attention"}
    | {f"torch.{name}" for name in ("softmax", "log_softmax")}
    | {f"torch.special.{name}" for name in ("softmax", "log_softmax")}
    | {f"torch.nn.functional.{name}" for name in ("softmax", "log_softmax")}
    | {"torch.nn.functional.scaled_dot_product_attention"}
)
_METHODS: Final = frozenset({"softmax", "log_softmax"})


def rewrite(work: Work) -> None:
    """Divide what every softmax that was given a factor is taken of.

    Raises:
        NoSafeEditError: If it is weights that were scaled, or one line stands for several factors.
    """
    factors: dict[tuple[str, int], float] = {}
    lines: dict[tuple[str, int], SourceLine] = {}
    for edit in work.receipt.edits:
        if edit.before != "scores":
            raise NoSafeEditError(
                f"{edit.place} is to start smaller by a factor that was measured: what draws it "
                "is yours to choose"
            )
        if edit.source is None:
            raise NoSafeEditError("the line of a softmax was not seen")
        where = (edit.source.file, edit.source.line)
        factor = float(work.prescription.settings[edit.place])
        if abs(factors.setdefault(where, factor) / factor - 1.0) > 1e-6:
            raise NoSafeEditError(f"{edit.source} takes softmaxes that need different factors")
        lines[where] = edit.source
    for where, line in lines.items():
        _refuse_others(work, line)
        _divide(work, work.source(line), line, factors[where])


def _refuse_others(work: Work, line: SourceLine) -> None:
    """Refuse a line that takes softmaxes in other places of the network too."""
    treated = {edit.place for edit in work.receipt.edits}
    for site in work.recording.signal_sites():
        if "softmax" in site.op and same_line(site.source, line) and site.path not in treated:
            raise NoSafeEditError(f"{line} also takes the {site.op} of {site.name}, which stays")


def _divide(work: Work, source: Source, line: SourceLine, factor: float) -> None:
    given = [
        one
        for call in source.nodes(ast.Call, line.line)
        if call.lineno <= line.line <= (call.end_lineno or call.lineno)
        if (one := _given(work, source, call)) is not None
    ]
    if len(given) != 1:
        raise NoSafeEditError(f"line {line.line} takes {len(given) or 'no'} softmaxes")
    scores, brackets = given[0]
    text = f"{in_brackets(source, scores)} / {spelt(1.0 / factor, 6)}"
    start, end = source.span(scores)
    has_own = source.text[start - 1] == "(" and source.text[end : end + 1] == ")"
    source.replace(scores, f"({text})" if brackets and not has_own else text)


def _given(work: Work, source: Source, call: ast.Call) -> tuple[ast.expr, bool] | None:
    """Return what a softmax is taken of, and whether it needs brackets; None for another call."""
    if source.meaning(call.func) in _FUNCTIONS:
        told = [one.value for one in call.keywords if one.arg in ("input", "query")]
        return next(((one, False) for one in (*call.args[:1], *told)), None)
    if not isinstance(call.func, ast.Attribute):
        return None
    if call.func.attr in _METHODS and not _is_module(work, call):
        return call.func.value, True
    return (call.args[0], False) if call.args and _is_module(work, call) else None


def _is_module(work: Work, call: ast.Call) -> bool:
    """Tell whether ``self.NAME(...)`` calls a softmax that was given a factor."""
    names = {edit.place.rpartition(".")[2] for edit in work.receipt.edits}
    own = isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)
    return own and isinstance(call.func, ast.Attribute) and call.func.attr in names - {""}
