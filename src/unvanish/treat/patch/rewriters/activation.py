"""Write another activation function where one is called or made."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import Final

from unvanish.core.records import Site
from unvanish.treat.anatomy import activation_name
from unvanish.treat.patch.rewriters.choosing import refuse_chosen
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work


@dataclass(frozen=True, slots=True)
class Spelling:
    """How an activation is written.

    Attributes:
        module: Its class in torch.nn.
        function: The function's name in torch.nn.functional; empty where only a module can hold
            its parameter.
        is_torch: Whether it stands in torch too.
        arguments: Arguments after the tensor, or of the class.
    """

    module: str
    function: str = ""
    is_torch: bool = False
    arguments: str = ""


_NEW: Final = {
    "relu": Spelling("ReLU", "relu", is_torch=True),
    "leaky-relu": Spelling("LeakyReLU", "leaky_relu"),
    "prelu": Spelling("PReLU"),
    "elu": Spelling("ELU", "elu"),
    "selu": Spelling("SELU", "selu", is_torch=True),
    "gelu": Spelling("GELU", "gelu"),
    "silu": Spelling("SiLU", "silu"),
    "smooth-activation": Spelling("Tanh", "tanh", is_torch=True),
    "positive-output": Spelling("Softplus", "softplus"),
}
REMEDIES: Final = frozenset(_NEW)

_CLASSES: Final = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softsign": "Softsign",
    "hardtanh": "Hardtanh",
    "hardsigmoid": "Hardsigmoid",
    "relu": "ReLU",
    "relu6": "ReLU6",
    "leaky_relu": "LeakyReLU",
    "elu": "ELU",
    "selu": "SELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "mish": "Mish",
    "softplus": "Softplus",
    "hardswish": "Hardswish",
    "tanhshrink": "Tanhshrink",
}


def rewrite(work: Work) -> None:
    """Write the new function at every place of the receipt.

    Raises:
        NoSafeEditError: If a place is not found in the source, or the same code makes
            functions that stay.
    """
    new = _NEW[work.prescription.remedy]
    if "negative_slope" in work.prescription.settings:
        slope = work.prescription.settings["negative_slope"]
        new = replace(new, arguments=f"{slope:.6g}")
    exchanged = {(edit.place, edit.before) for edit in work.receipt.edits}
    done: set[int] = set()
    for site in work.recording.signal_sites():
        name = activation_name(site)
        if not name or not _is_exchanged(site, name, exchanged):
            continue
        kept = _other_use(work, site, name) if _is_module(site, name) else None
        if kept is not None:
            _write_use(work, site, kept, new)
            done.add(site.index)
            continue
        _refuse_mixed(work, site, name, exchanged)
        if _is_module(site, name):
            _write_module(work, site, name, new)
        else:
            _write_call(work.source(site.source), site, name, new)
        done.add(site.index)
    if not done:
        raise NoSafeEditError("none of the exchanged functions was found in the source")


def _is_exchanged(site: Site, name: str, exchanged: set[tuple[str, str]]) -> bool:
    known = {name, _CLASSES.get(name, name)}
    return any(place == site.path and before in known for place, before in exchanged)


def _is_module(site: Site, name: str) -> bool:
    return site.module == _CLASSES.get(name)


def _refuse_mixed(work: Work, site: Site, name: str, exchanged: set[tuple[str, str]]) -> None:
    """Refuse code that makes both functions that are exchanged and functions that stay."""
    is_module = _is_module(site, name)
    if is_module and work.makers(site).alone:
        return
    line = (site.built or site.source) if is_module else site.source
    for other in work.recording.signal_sites():
        if activation_name(other) != name or _is_module(other, name) is not is_module:
            continue
        where = (other.built or other.source) if is_module else other.source
        if where == line and not _is_exchanged(other, name, exchanged):
            raise NoSafeEditError(f"{line} also makes the {name} of {other.name}, which stays")


def _other_use(work: Work, site: Site, name: str) -> Site | None:
    """Return a call of the same module in which it has to stay what it is; None without one."""
    if work.prescription.remedy == "positive-output":
        return None
    return next(
        (one for one in work.sites(site.path, name) if one.is_output or one.gates),
        None,
    )


def _write_use(work: Work, site: Site, kept: Site, new: Spelling) -> None:
    """Write a function in the place of one call of a module that is called elsewhere too.

    Raises:
        NoSafeEditError: If the calls cannot be told apart, or the function needs a parameter.
    """
    if site.is_output or site.gates:
        return
    role = "makes the output" if kept.is_output else "is a gate"
    reason = NoSafeEditError(
        f"{site.path}, made at {site.built}, is one module for several calls, and the call that "
        f"{kept.source} runs {role} and has to stay: give the others a module of their own"
    )
    if site.source is None or site.source == kept.source or not new.function:
        raise reason
    source = work.source(site.source)
    leaf = site.path.rpartition(".")[2]
    calls = [
        call
        for call in source.nodes(ast.Call, site.source.line)
        if call.lineno == site.source.line
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == leaf
        and len(call.args) == 1
    ]
    if not calls:
        raise reason
    for call in calls:
        source.replace(call, _called(source, new, source.segment(call.args[0]), ""))


def _write_module(work: Work, site: Site, name: str, new: Spelling) -> None:
    line = site.built or site.source
    makers = work.makers(site)
    source = makers.source
    if makers.calls:
        refuse_chosen(source, makers.calls[0], name)
        made = f"{source.spell(f'torch.nn.{new.module}')}({new.arguments})"
        source.replace(makers.calls[0], made)
        return
    named = _references(source, {f"torch.nn.{_CLASSES[name]}"})
    if new.arguments or len(named) != 1:
        raise NoSafeEditError(f"{line} makes the {name} in a way that cannot be followed")
    refuse_chosen(source, named[0], name)
    source.replace(named[0], source.spell(f"torch.nn.{new.module}"))


def _write_call(source: Source, site: Site, name: str, new: Spelling) -> None:
    line = site.source
    assert line is not None
    if not new.function:
        raise NoSafeEditError(
            f"{line} calls {name} as a function, and {new.module} has a parameter to be kept"
        )
    functions = {f"torch.{name}", f"torch.{name}_", f"torch.nn.functional.{name}"}
    functions |= {f"torch.nn.functional.{name}_", f"torch.special.{name}"}
    for call in source.nodes(ast.Call, line.line):
        old = source.meaning(call.func)
        if old in functions and call.args:
            refuse_chosen(source, call, name)
            source.replace(call, _called(source, new, source.segment(call.args[0]), old))
            return
        if isinstance(call.func, ast.Attribute) and call.func.attr.rstrip("_") == name:
            refuse_chosen(source, call, name)
            given = source.segment(call.func.value)
            if new.is_torch and new.function == "relu":
                source.replace(call, f"{given}.relu()")
            else:
                source.replace(call, _called(source, new, given, ""))
            return
    named = _references(source, functions)
    if new.arguments or len(named) != 1:
        raise NoSafeEditError(f"{line} calls {name} in a way that cannot be followed")
    refuse_chosen(source, named[0], name)
    source.replace(named[0], source.spell(_home(new, source.meaning(named[0]))))


def _home(new: Spelling, old: str) -> str:
    """Return the dotted name, in the namespace that the old function was taken from."""
    if new.is_torch and not old.startswith("torch.nn"):
        return f"torch.{new.function}"
    return f"torch.nn.functional.{new.function}"


def _called(source: Source, new: Spelling, given: str, old: str) -> str:
    arguments = f"{given}, {new.arguments}" if new.arguments else given
    return f"{source.spell(_home(new, old))}({arguments})"


def _references(source: Source, wanted: set[str]) -> list[ast.expr]:
    """Return where one of some names is mentioned and not called."""
    found: list[ast.expr] = []
    for node in (*source.nodes(ast.Attribute), *source.nodes(ast.Name)):
        parent = source.parent(node)
        called = isinstance(parent, ast.Call) and parent.func is node
        inner = isinstance(parent, ast.Attribute)
        if source.meaning(node) in wanted and not called and not inner:
            found.append(node)
    return found
