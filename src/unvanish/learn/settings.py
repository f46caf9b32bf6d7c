"""The settings of a lesson: the fields of a frozen dataclass that know their legal range."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from unvanish.core.errors import UnvanishError
from unvanish.core.lessons import Option, Value

_LEGAL: Final = "legal"
_MANY: Final = 1e5
"""Numbers from which every digit is shown."""

S = TypeVar("S")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Legal:
    """What a setting may be.

    Attributes:
        kind: ``int``, ``float`` or ``str``.
        least: Smallest number.
        most: Largest number.
        choices: The words, where it is one.
        meaning: What it sets.
    """

    kind: type[int] | type[float] | type[str]
    least: float = -math.inf
    most: float = math.inf
    choices: tuple[str, ...] = ()
    meaning: str

    def said(self) -> str:
        """Return the legal range in words."""
        if self.choices:
            return ", ".join(self.choices)
        most = f"{self.most:g}" if abs(self.most) < _MANY else f"{self.most:.0f}"
        return f"{self.least:g} to {most}"


def whole(default: int, *, least: int, most: int, meaning: str) -> Any:
    """Return a field for a whole number.

    Args:
        default: What it is where nobody says otherwise.
        least: Smallest legal number.
        most: Largest legal number; what still runs in half a minute.
        meaning: What it sets, in a few words.
    """
    legal = _Legal(kind=int, least=least, most=most, meaning=meaning)
    return dataclasses.field(default=default, metadata={_LEGAL: legal})


def number(default: float, *, least: float, most: float, meaning: str) -> Any:
    """Return a field for a number.

    Args:
        default: What it is where nobody says otherwise.
        least: Smallest legal number.
        most: Largest legal number.
        meaning: What it sets, in a few words.
    """
    legal = _Legal(kind=float, least=least, most=most, meaning=meaning)
    return dataclasses.field(default=default, metadata={_LEGAL: legal})


def one_of(default: str, choices: Sequence[str], *, meaning: str) -> Any:
    """Return a field for one word out of several.

    Args:
        default: What it is where nobody says otherwise.
        choices: The legal words.
        meaning: What it sets, in a few words.
    """
    legal = _Legal(kind=str, choices=tuple(choices), meaning=meaning)
    return dataclasses.field(default=default, metadata={_LEGAL: legal})


def seed() -> Any:
    """Return the field for the seed of everything random."""
    return whole(0, least=0, most=999_999, meaning="seed of everything random")


def filled(settings: type[S], given: Mapping[str, object], *, lesson: str) -> S:
    """Make settings from words or numbers.

    Args:
        settings: The dataclass of the lesson.
        given: Name to value; hyphens stand for underscores, and a number may be a word.
        lesson: Name of the lesson, for the message.

    Returns:
        The settings; what was not given has its default.

    Raises:
        UnvanishError: If a name is not known or a value is not legal.
    """
    fields = _fields(settings)
    values: dict[str, Value] = {}
    for word, value in given.items():
        name = word.replace("-", "_")
        if name not in fields:
            raise _unknown(word, tuple(fields), lesson)
        values[name] = _read(name, value, fields[name], lesson)
    return settings(**values)


def options(settings: object) -> tuple[Option, ...]:
    """Describe settings, as `LessonRun` holds them.

    Args:
        settings: An instance of a lesson's dataclass.
    """
    kind = type(settings)
    default = kind()
    return tuple(
        Option(
            name=name,
            value=getattr(settings, name),
            default=getattr(default, name),
            legal=legal.said(),
            meaning=legal.meaning,
        )
        for name, legal in _fields(kind).items()
    )


def _fields(settings: type[Any]) -> dict[str, _Legal]:
    return {one.name: one.metadata[_LEGAL] for one in dataclasses.fields(settings)}


def _read(name: str, value: object, legal: _Legal, lesson: str) -> Value:
    wanted = f"--{name.replace('_', '-')} of the lesson {lesson}"
    if legal.kind is str:
        word = str(value).replace("_", "-").casefold()
        if word in legal.choices:
            return word
        near = difflib.get_close_matches(word, legal.choices, 1) or legal.choices[:1]
        raise UnvanishError(
            f"{wanted} can be {legal.said()}, and not {value}",
            help=f"unvanish learn {lesson} --{name.replace('_', '-')} {near[0]}",
        )
    try:
        read = float(str(value))
    except ValueError:
        read = math.nan
    is_whole = legal.kind is float or read == int(read) if math.isfinite(read) else False
    if isinstance(value, bool) or not is_whole or not legal.least <= read <= legal.most:
        kind = "a whole number" if legal.kind is int else "a number"
        middle = int(min(max(read, legal.least), legal.most)) if math.isfinite(read) else None
        shown = middle if middle is not None and middle >= legal.least else f"{legal.least:g}"
        raise UnvanishError(
            f"{wanted} takes {kind}, {legal.said()}, and not {value}",
            help=f"unvanish learn {lesson} --{name.replace('_', '-')} {shown}",
        )
    return int(read) if legal.kind is int else read


def _unknown(word: str, known: tuple[str, ...], lesson: str) -> UnvanishError:
    words = [name.replace("_", "-") for name in known]
    near = difflib.get_close_matches(word.replace("_", "-"), words, 1) or words[:1]
    listed = ", ".join(f"--{name}" for name in words)
    return UnvanishError(
        f"the lesson {lesson} has no setting --{word}; it has {listed}",
        help=f"unvanish learn {lesson} --{near[0]} VALUE",
    )
