"""Numbers, counts and the user's own text as words that are safe to print."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Final

_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_LARGEST_WITH_MANTISSA: Final = 300.0
_ROOT_STEP: Final = re.compile(r"\(root\) (?P<op>[^\s(),;:]+)(?: #(?P<nth>\d+))?")

_ASCII: Final = str.maketrans(
    {
        "…": "...",
        "·": "|",
        "–": "-",
        "—": "-",
        "−": "-",
        "×": "x",
        "⊙": "*",
        "→": "->",
        "≤": "<=",
        "≥": ">=",
        "≈": "~",
        "±": "+-",
        "‖": "|",
        "∂": "d",
        "√": "sqrt",
        "‘": "'",
        "’": "'",
        "“": '"',
        "”": '"',
        "²": "^2",
        "α": "alpha",
        "β": "beta",
        "γ": "gamma",
        "δ": "delta",
        "ε": "eps",
        "ξ": "xi",
        "σ": "sigma",
        "φ": "phi",
        "χ": "chi",
        "\N{NO-BREAK SPACE}": " ",
    }
)


def clean(text: str, *, ascii: bool = False) -> str:
    r"""Make any text safe for one line of a terminal.

    Control characters, direction marks, line separators and lone surrogates come out as
    the escape that Python would write for them, so that a name can neither move the
    cursor nor hide a part of itself. Everything else is kept as it is.

    Args:
        text: Whatever a model, a file name or an exception message holds.
        ascii: Whether to write common signs in ASCII and to escape all others.

    Returns:
        The text without anything that a terminal would act on.

    Example:
        >>> clean("layer\x1b[31m")
        'layer\\x1b[31m'
    """
    if ascii:
        text = text.translate(_ASCII)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_safe(character, ascii=ascii) for character in text)


def _safe(character: str, *, ascii: bool) -> str:
    if unicodedata.category(character) in _UNSAFE or (ascii and not character.isascii()):
        return character.encode("unicode_escape").decode("ascii")
    return character


def without_root(words: str) -> str:
    """Name the steps that run in the root module by what they do, as a person would.

    Example:
        >>> without_root("the slope of (root) tanh #7 is zero")
        'the slope of tanh, call 8 is zero'
    """
    return _ROOT_STEP.sub(
        lambda step: step["op"] + (f", call {int(step['nth']) + 1:,}" if step["nth"] else ""),
        words,
    )


def plural(count: int, noun: str) -> str:
    """Return a count with its noun, such as ``"1 layer"`` or ``"10,000 layers"``.

    Args:
        count: Any whole number.
        noun: The singular; nouns that take ``-s`` only.

    Returns:
        The count with thousands separators and the noun in the right number.
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def short_count(count: int) -> str:
    """Return a count in three or four characters, such as ``"117k"`` or ``"1.2M"``."""
    value = float(count)
    for suffix in ("", "k", "M", "G"):
        if value < 999.5:
            if not suffix or value >= 9.95:
                return f"{value:.0f}{suffix}"
            return f"{value:.1f}{suffix}"
        value /= 1000
    return f"{value:.1f}T"


def number(value: float) -> str:
    """Return a measured number with at most three digits that matter.

    Args:
        value: Any float; infinities and NaN are said in words.

    Returns:
        Plain notation between 1e-3 and 1e5, scientific notation beyond.
    """
    if math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinity"
    size = abs(value)
    if value == 0 or 1e-3 <= size < 999.5:
        return f"{value:.3g}"
    if 999.5 <= size < 1e5:
        return f"{value:,.0f}"
    return f"{value:.1e}"


def quantity(value: float, unit: str) -> str:
    """Return a number with its unit; fractions are said in per cent.

    Example:
        >>> quantity(0.42, "fraction of units")
        '42 % of units'
    """
    if unit.startswith("fraction") and math.isfinite(value):
        return f"{bare(value, unit)}{unit.removeprefix('fraction')}"
    if unit and math.isinf(value):
        return f"infinitely many {unit}"
    return f"{bare(value, unit)} {unit}".rstrip()


def bare(value: float, unit: str) -> str:
    """Return a number as `quantity` does, where its unit has been said before."""
    if unit.startswith("fraction") and math.isfinite(value):
        return f"{number(100 * value)} %"
    return number(value)


def power(log10: float) -> str:
    """Return ``10 ** log10`` as text, also where no float can hold it.

    Args:
        log10: Logarithm to base 10; ``-inf`` is an exact zero.

    Returns:
        ``"3.1e-26"``; beyond 300 decades the power alone, ``"1e-857"``; ``"zero"``,
        ``"inf"`` or ``"?"`` where there is no such number.
    """
    if math.isnan(log10):
        return "?"
    if math.isinf(log10):
        return "zero" if log10 < 0 else "inf"
    if abs(log10) >= _LARGEST_WITH_MANTISSA:
        return f"1e{round(log10):+d}"
    exponent = math.floor(log10)
    mantissa = round(10 ** (log10 - exponent), 1)
    if mantissa >= 10:
        mantissa, exponent = 1.0, exponent + 1
    return f"{mantissa:.1f}e{exponent:+03d}"


def duration(seconds: float) -> str:
    """Return a wall time as a person would say it: ``"0.4 s"``, ``"3 min 5 s"``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
