"""Write the momentum of a normalisation where it is made."""

from __future__ import annotations

import ast
from typing import Final

from unvanish.treat.patch.optimisers import spelt
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Makers, Work, same_line

REMEDIES: Final = frozenset({"running-statistics"})
_OPTION: Final = "momentum"
_PLACE: Final = 2
"""Where ``momentum`` stands among the arguments: number of features, eps, momentum."""


def rewrite(work: Work) -> None:
    """Set the keyword in every call that makes one of the normalisations.

    Raises:
        NoSafeEditError: If one is not made by a call of torch.nn, its call does not show where its
            momentum comes from, or its line makes others that stay.
    """
    value = spelt(float(work.prescription.settings[_OPTION]))
    sites = [work.recording.sites[one.site] for one in work.recording.running_statistics]
    done: set[ast.AST] = set()
    for site in sites:
        if site.path not in work.prescription.places:
            continue
        makers = work.makers(site)
        calls = _calls(makers)
        if not calls:
            raise NoSafeEditError(
                f"line {makers.line} makes {site.name} in a way that is not followed: write "
                f"{_OPTION}={value} there"
            )
        for other in sites:
            stays = other.path not in work.prescription.places
            if stays and not makers.alone and same_line(site.built, other.built):
                raise NoSafeEditError(f"line {makers.line} also makes {other.name}, which stays")
        for call in calls:
            target = _target(makers.source, call, value)
            if target not in done:
                done.add(target)
                _set(makers.source, target, value)


def _calls(makers: Makers) -> list[ast.Call]:
    """Return the calls to edit: the one that makes this module, or all that its line begins."""
    begun = [call for call in makers.calls if call.lineno == makers.line]
    return [*makers.calls[:1]] if makers.alone or not begun else begun


def _target(source: Source, call: ast.Call, value: str) -> ast.Call | ast.Dict:
    """Return what says the momentum: the call itself, or a dictionary that is spread into it.

    Raises:
        NoSafeEditError: If what is spread into the call is no dictionary in the file.
    """
    by_hand = f"write {_OPTION}={value} where line {call.lineno} takes its options from"
    if any(isinstance(one, ast.Starred) for one in call.args):
        raise NoSafeEditError(by_hand)
    if any(one.arg == _OPTION for one in call.keywords):
        return call
    for one in call.keywords:
        if one.arg is None:
            spread = _dictionary(source, one.value)
            if spread is None:
                raise NoSafeEditError(by_hand)
            if _said(spread) is not None:
                return spread
    return call


def _dictionary(source: Source, node: ast.expr) -> ast.Call | ast.Dict | None:
    """Return the dictionary that is written out, or that a name of the file is once given."""
    if isinstance(node, ast.Name):
        given = [
            one.value
            for one in source.nodes(ast.Assign)
            if any(isinstance(t, ast.Name) and t.id == node.id for t in one.targets)
        ]
        if len(given) != 1:
            return None
        node = given[0]
    is_called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    if is_called and node.func.id == "dict" and not node.args:  # type: ignore[attr-defined]
        return node if all(one.arg for one in node.keywords) else None  # type: ignore[attr-defined,return-value]
    return node if isinstance(node, ast.Dict) and None not in node.keys else None


def _said(target: ast.Call | ast.Dict) -> ast.expr | None:
    """Return the expression that says the momentum; None where nothing does."""
    if isinstance(target, ast.Call):
        return next((one.value for one in target.keywords if one.arg == _OPTION), None)
    keys = zip(target.keys, target.values, strict=True)
    return next((v for k, v in keys if isinstance(k, ast.Constant) and k.value == _OPTION), None)


def _set(source: Source, target: ast.Call | ast.Dict, value: str) -> None:
    said = _said(target)
    if said is None and isinstance(target, ast.Call) and len(target.args) > _PLACE:
        said = target.args[_PLACE]
    if said is not None:
        source.replace(said, value)
        return
    assert isinstance(target, ast.Call)
    given = [*target.args, *(one.value for one in target.keywords)]
    if not given:
        raise NoSafeEditError(f"line {target.lineno} makes a normalisation without arguments")
    last = max(given, key=lambda one: (one.end_lineno or 0, one.end_col_offset or 0))
    source.insert_after(last, f", {_OPTION}={value}")
