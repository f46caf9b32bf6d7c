"""Write another option of an optimiser where the optimiser is made."""

from __future__ import annotations

import ast
import inspect
from typing import Final

from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work

_OPTIONS: Final = {
    "lower-epsilon": ("eps", "epsilon"),
    "curvature-learning-rate": ("lr", "learning_rate"),
    "learning-rate-range": ("lr", "learning_rate"),
    "weight-decay-off": ("weight_decay", "weight_decay"),
}
REMEDIES: Final = frozenset(_OPTIONS)


def rewrite(work: Work) -> None:
    """Write the option into the call that makes the optimiser.

    Raises:
        NoSafeEditError: If that call is not in the file of the network, or stands there twice.
    """
    keyword, setting = _OPTIONS[work.prescription.remedy]
    settings = work.prescription.settings
    value = settings.get(keyword, settings.get(setting, 0.0 if keyword == "weight_decay" else None))
    if not isinstance(value, int | float):
        raise NoSafeEditError(f"the prescription says no {keyword}")
    optimizer = work.recording.context.optimizer
    name = optimizer.name if optimizer is not None else ""
    makers = {f"torch.optim.{name}", f"pytorch_optimizer.{name}"}
    maker = inspect.unwrap(work.optimizer) if callable(work.optimizer) else None
    code = getattr(maker, "__code__", None)
    scopes: list[tuple[Source, ast.AST]]
    if code is not None:
        source = work.open(code.co_filename)
        made = (ast.FunctionDef, ast.Lambda)
        found_at = [f for kind in made for f in source.nodes(kind, code.co_firstlineno)]
        scopes = [(source, f) for f in found_at[:1]]
    else:
        scopes = [(source, source.tree) for source in _files(work)]
    found = [
        (source, call)
        for source, scope in scopes
        for call in ast.walk(scope)
        if isinstance(call, ast.Call) and source.meaning(call.func) in makers
    ]
    if len(found) != 1:
        many = "is made more than once" if found else "is not made in the network's own files"
        raise NoSafeEditError(f"the optimiser {name} {many}".replace("  ", " "))
    _write(*found[0], keyword, value)


def _files(work: Work) -> list[Source]:
    """Return the user's files that the network was seen in."""
    files: dict[str, None] = {}
    for site in work.recording.sites:
        for line in (site.source, site.built):
            if line is not None:
                files.setdefault(line.file)
    sources = []
    for file in files:
        try:
            sources.append(work.open(file))
        except NoSafeEditError:
            continue
    return sources


def _write(source: Source, call: ast.Call, keyword: str, value: float) -> None:
    text = f"{value:.3g}"
    for given in call.keywords:
        if given.arg == keyword:
            source.replace(given.value, text)
            return
    if keyword == "lr" and len(call.args) > 1:
        source.replace(call.args[1], text)
        return
    if any(given.arg is None for given in call.keywords):
        raise NoSafeEditError(f"line {call.lineno} takes its options from elsewhere")
    last = (call.keywords[-1].value if call.keywords else None) or (
        call.args[-1] if call.args else None
    )
    if last is None:
        raise NoSafeEditError(f"line {call.lineno} has no arguments")
    source.insert_after(last, f", {keyword}={text}")
