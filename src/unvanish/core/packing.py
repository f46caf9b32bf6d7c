"""Turn records into JSON values and back, led by nothing but their type hints.

`codec` builds the documents; this module knows numbers, tuples, mappings and dataclasses.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from unvanish.core.findings import Finding

_F = TypeVar("_F", bound=Callable[..., Any])

_NAMED: Final = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def _remembered(function: _F) -> _F:
    """Call a function once for every type; its own signature stays."""
    return cast("_F", lru_cache(maxsize=512)(function))


class MalformedError(Exception):
    """A value departs from the layout; `codec` turns it into one clear error."""


def number_out(value: float) -> float | str:
    """Return a number as JSON allows it."""
    return value if math.isfinite(value) else str(float(value))


def number_in(raw: object) -> float:
    """Return the number that `number_out` wrote."""
    if type(raw) is float or type(raw) is int:
        return float(raw)
    if isinstance(raw, str) and raw in _NAMED:
        return _NAMED[raw]
    raise MalformedError(f"{raw!r} is not a number")


def exactly(kind: type[Any]) -> Callable[[Any], Any]:
    """Return a function that passes values of this very type and refuses others."""

    def check(raw: Any) -> Any:
        if type(raw) is not kind:
            raise MalformedError(f"{raw!r} is not of type {kind.__name__}")
        return raw

    return check


@_remembered
def hints_of(cls: type[Any]) -> tuple[tuple[Field[Any], Any], ...]:
    """Return the fields of a dataclass with their types."""
    # `Found` names `Finding` for the type checker only; here it must resolve.
    hints = get_type_hints(cls, localns={"Finding": Finding})
    return tuple((field, hints[field.name]) for field in fields(cls))


@_remembered
def packer(hint: Any) -> Callable[[Any], Any]:
    """Return the function that turns values of a type into JSON values."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is float:
        return number_out
    if hint in (int, str, bool):
        return hint if hint is not str else str.__str__
    if isinstance(hint, type) and issubclass(hint, Enum):
        return lambda value: value.value
    if is_dataclass(hint) and isinstance(hint, type):
        members = [(field.name, packer(kind)) for field, kind in hints_of(hint)]
        return lambda value: {name: pack(getattr(value, name)) for name, pack in members}
    if origin in (Union, types.UnionType):
        if _are_scalars(args):
            return _scalar_out
        (inner,) = (packer(arg) for arg in args if arg is not type(None))
        return lambda value: None if value is None else inner(value)
    if origin is frozenset:
        member = packer(args[0])
        return lambda values: sorted(member(value) for value in values)
    if origin is tuple:
        if is_dataclass(args[0]) and args[-1] is Ellipsis:
            return lambda rows: _columns_out(args[0], rows)
        item = packer(args[0])
        return lambda values: [item(value) for value in values]
    if origin is Mapping:
        item = packer(args[1])
        return lambda mapping: {key: item(value) for key, value in mapping.items()}
    raise TypeError(f"no JSON form for {hint}")


@_remembered
def unpacker(hint: Any) -> Callable[[Any], Any]:
    """Return the function that turns JSON values back into values of a type."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is float:
        return number_in
    if hint in (int, str, bool):
        return exactly(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if is_dataclass(hint) and isinstance(hint, type):
        return lambda raw: _record_in(hint, raw)
    if origin in (Union, types.UnionType):
        if _are_scalars(args):
            return _scalar_in
        (inner,) = (unpacker(arg) for arg in args if arg is not type(None))
        return lambda raw: None if raw is None else inner(raw)
    if origin is frozenset:
        member = unpacker(args[0])
        return lambda raw: frozenset(member(value) for value in exactly(list)(raw))
    if origin is tuple:
        if is_dataclass(args[0]) and args[-1] is Ellipsis:
            return lambda raw: _columns_in(args[0], raw)
        item, length = unpacker(args[0]), None if args[-1] is Ellipsis else len(args)
        return lambda raw: _tuple_in(item, length, raw)
    if origin is Mapping:
        item = unpacker(args[1])
        return lambda raw: {key: item(value) for key, value in exactly(dict)(raw).items()}
    raise TypeError(f"no JSON form for {hint}")


def _are_scalars(args: Sequence[Any]) -> bool:
    """Whether a union is one of numbers and text, such as the settings of a remedy hold."""
    return len(args) > 1 and set(args) <= {int, float, str, bool}


def _scalar_out(value: Any) -> Any:
    return value if isinstance(value, str | bool | int) else number_out(value)


def _scalar_in(raw: Any) -> Any:
    if type(raw) in (bool, int):
        return raw
    return raw if isinstance(raw, str) and raw not in _NAMED else number_in(raw)


def _record_in(cls: type[Any], raw: Any) -> Any:
    members = {field.name: kind for field, kind in hints_of(cls)}
    unknown = sorted(set(exactly(dict)(raw)) - set(members))
    if unknown:
        raise MalformedError(f"{cls.__name__} has no field {unknown[0]!r}")
    return cls(**{name: unpacker(members[name])(value) for name, value in raw.items()})


def _tuple_in(item: Callable[[Any], Any], length: int | None, raw: Any) -> tuple[Any, ...]:
    values = tuple(item(value) for value in exactly(list)(raw))
    if length is not None and len(values) != length:
        raise MalformedError(f"{raw!r} does not have {length} entries")
    return values


# --- tuples of records, by columns ---------------------------------------------------


def _columns_out(cls: type[Any], rows: Sequence[Any]) -> dict[str, Any]:
    columns: dict[str, Any] = {"count": len(rows)}
    for field, kind in hints_of(cls):
        values = [getattr(row, field.name) for row in rows]
        default = _default(field)
        if rows and not all(_same(value, default) for value in values):
            columns[field.name] = _column_out(kind, values)
    return columns


def _columns_in(cls: type[Any], raw: Any) -> tuple[Any, ...]:
    count = exactly(int)(exactly(dict)(raw)["count"])
    names = {field.name for field, _ in hints_of(cls)}
    unknown = sorted(set(raw) - names - {"count"})
    if unknown:
        raise MalformedError(f"{cls.__name__} has no field {unknown[0]!r}")
    columns = []
    for field, kind in hints_of(cls):
        if field.name in raw:
            column = _column_in(kind, raw[field.name])
        elif (default := _default(field)) is not MISSING:
            column = [default] * count
        elif count:
            raise KeyError(field.name)
        else:
            column = []
        if len(column) != count:
            raise MalformedError(f"{cls.__name__}.{field.name} does not have {count} values")
        columns.append(column)
    keys = [field.name for field, _ in hints_of(cls)]
    return tuple(cls(**dict(zip(keys, row, strict=True))) for row in zip(*columns, strict=True))


def _column_out(kind: Any, values: list[Any]) -> Any:
    pack = packer(kind)
    if kind in (int, bool) or _holds_floats(kind):
        return [pack(value) for value in values]
    distinct = dict.fromkeys(values)
    if 2 * len(distinct) > len(values):
        return [pack(value) for value in values]
    at = {value: position for position, value in enumerate(distinct)}
    return {"of": [pack(value) for value in distinct], "at": [at[value] for value in values]}


def _column_in(kind: Any, raw: Any) -> list[Any]:
    unpack = unpacker(kind)
    if isinstance(raw, list):
        return [unpack(value) for value in raw]
    palette = [unpack(value) for value in exactly(dict)(raw)["of"]]
    if not all(type(at) is int and 0 <= at < len(palette) for at in raw["at"]):
        raise MalformedError("a palette is too short")
    return [palette[at] for at in raw["at"]]


@_remembered
def _holds_floats(kind: Any) -> bool:
    """Whether a value of this type may hold floats, of which two may be equal but differ."""
    if is_dataclass(kind) and isinstance(kind, type):
        return any(_holds_floats(inner) for _, inner in hints_of(kind))
    return kind is float or any(_holds_floats(arg) for arg in get_args(kind))


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def _same(value: Any, default: Any) -> bool:
    """Whether a value is the default, bit for bit."""
    if isinstance(value, float) and isinstance(default, float):
        return value.hex() == default.hex()
    return bool(value == default)


def plain(value: Any) -> Any:
    """Turn records, mappings and collections into JSON values, one way.

    Args:
        value: Dataclasses, mappings with text as keys, tuples, lists, sets, enumerations,
            numbers and text, nested in any way. Sets come out sorted, NaN as None.
    """
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(plain(inner) for inner in value)
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return None if math.isnan(value) else number_out(value)
    return value
