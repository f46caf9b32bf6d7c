"""The sheet that everything is laid out on: width, glyphs, colours, wrapped lines.

Text is laid out first and painted last, so that the coloured output is the plain output
plus escape codes and nothing else.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from unvanish.show.words import clean, without_root

NARROWEST: Final = 48
WIDEST: Final = 96
_NARROW: Final = 76

# What reads badly in two halves: code in backticks, a call with its arguments, a count in
# parentheses, a per cent.
_WHOLE: Final = re.compile(r"`[^`]+`|[\w.]+\((?:[^()]|\([^()]*\))*\)|\([\d,]+ [\w.]+\)|[\d.]+ %")
_CODE: Final = re.compile(r"`([^`]+)`")

# Sixteen-colour names that stay legible on a light and on a dark background. Blue is
# missing on purpose: it vanishes on black. So is bright black: some themes draw it in
# the colour of the background.
STYLES: Final = {
    "error": "bold bright_red",
    "warning": "bold yellow",
    "note": "bold bright_blue",
    "help": "bold cyan",
    "clear": "bold green",
    "place": "bright_blue",
    "strong": "bold",
    "quiet": "dim",
    "starved": "bright_red",
    "weak": "yellow",
    "fine": "green",
}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The few signs that are not letters."""

    dot: str = "·"
    ellipsis: str = "…"
    fold: str = "⋮"
    yes: str = "✓"
    no: str = "✗"
    weak: str = "!"
    unknown: str = "?"
    none: str = "–"
    rule: str = "─"
    eighths: tuple[str, ...] = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█")
    folded_bar: str = "░"
    tick: str = "╷"
    axis: str = "╶"


_ASCII: Final = Glyphs(
    dot="|",
    ellipsis="...",
    fold=":",
    yes="+",
    no="x",
    none="-",
    rule="-",
    eighths=("", "", "", "", "#", "#", "#", "#", "#"),
    folded_bar="=",
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """How wide the output is and which characters it may use.

    Attributes:
        width: Columns; use `Sheet.of` to keep it between 48 and 96.
        ascii: Whether the stream can show ASCII only.
    """

    width: int = 80
    ascii: bool = False

    @classmethod
    def of(cls, width: int, *, ascii: bool = False) -> Sheet:
        """Make a sheet, its width moved into the range that reads well."""
        return cls(min(max(width, NARROWEST), WIDEST), ascii)

    @property
    def narrow(self) -> bool:
        """Whether columns side by side would leave too little room for sentences."""
        return self.width < _NARROW

    @property
    def glyphs(self) -> Glyphs:
        """The signs that this sheet can show."""
        return _ASCII if self.ascii else Glyphs()

    def text(self, words: str, style: str = "") -> Text:
        """Return one line of somebody else's words, made safe to print."""
        return styled(clean(words, ascii=self.ascii), style)

    def prose(self, words: str, style: str = "", *, ticks: bool = True) -> Text:
        """Return a sentence; what stands in backticks is set strong.

        Args:
            words: A sentence of a rule, a recipe or a page. It is one line: a line break
                in it can only come from a name, and is escaped as in every name.
            style: Style of the whole sentence.
            ticks: Whether to show the backticks too, for readers who see no bold type.

        Returns:
            The sentence, safe to print.
        """
        line = self.text(without_root(words).rstrip(" "), style)
        if ticks:
            line.highlight_regex(_CODE, STYLES["strong"])
            return line
        result = Text()
        for index, piece in enumerate(_CODE.split(line.plain)):
            result.append_text(styled(piece, "strong" if index % 2 else style))
        return result

    def elide(self, words: str, width: int) -> str:
        """Shorten a name from its middle, keeping more of the end than of the beginning."""
        words = clean(words, ascii=self.ascii)
        if cell_len(words) <= width:
            return words
        dots = self.glyphs.ellipsis
        room = max(width - cell_len(dots), 2)
        head = set_cell_size(words, room // 3).rstrip()
        tail = words
        while cell_len(tail) > room - cell_len(head):
            tail = tail[1:]
        return f"{head}{dots}{tail}"

    def elide_alike(self, names: Sequence[str], width: int) -> list[str]:
        """Shorten names that are much alike without losing the part that tells them apart."""
        names = [clean(name, ascii=self.ascii) for name in names]
        if all(cell_len(name) <= width for name in names) or len(set(names)) < 2:
            return [self.elide(name, width) for name in names]
        shared = _shared_start(names)
        dots = self.glyphs.ellipsis
        room = width - 2 * cell_len(dots)
        start = names[0].rfind(".", 0, max(names[0].rfind(".", 0, shared), 0)) + 1
        start = max(start, shared - room // 2)
        result = []
        for name in names:
            if cell_len(name) <= width:
                result.append(name)
                continue
            head = dots if start else ""
            window = name[start:]
            if cell_len(window) > width - cell_len(head):
                window = set_cell_size(window, width - cell_len(head) - cell_len(dots)) + dots
            result.append(head + window)
        return result

    def paragraph(self, lead: Text, passage: Iterable[Text], *, hang: int | None = None) -> Lines:
        """Wrap a passage behind a lead, further lines indented to a hanging column.

        Args:
            lead: What stands before the first word, such as ``"   note: "``.
            passage: Lines that must stay apart; each one's own indent is kept.
            hang: Column of the further lines; the width of the lead if None.

        Returns:
            Lines no wider than the sheet.
        """
        hang = lead.cell_len if hang is None else hang
        lines: Lines = []
        for line in passage:
            inner = len(line.plain) - len(line.plain.lstrip())
            own = hang + min(inner, self.width // 3)
            first = lead.copy() if not lines else Text(" " * hang)
            first.append(" " * (own - hang))
            body = line[inner:] if inner else line
            for piece in _wrap(body, self.width - first.cell_len, self.width - own):
                lines.append(first + piece)
                first = Text(" " * own)
        return [_trimmed(line) for line in lines or [lead]]


Lines = list[Text]


def _trimmed(line: Text) -> Text:
    line.rstrip()
    return line


def _wrap(line: Text, first_width: int, width: int) -> Iterable[Text]:
    """Yield pieces of a line: broken at spaces, and inside a word only if it is too long.

    A call, a piece of code and a per cent that fit on a line of their own stay whole.
    """
    room = max(first_width, 1)
    while line.cell_len > room:
        cut = _cells_to_index(line.plain, room)
        space, begins_whole = _last_break(line.plain, cut, width)
        if space > 0 and line.plain[:space].strip():
            cut = space
        elif room == first_width < (width if begins_whole else width // 2):
            cut = 0
        else:
            cut = _seam(line.plain, cut)
        yield _trimmed(line[:cut])
        line = line[cut:]
        line = line[len(line.plain) - len(line.plain.lstrip()) :]
        room = max(width, 1)
    yield _trimmed(line)


def _last_break(words: str, cut: int, width: int) -> tuple[int, bool]:
    """Return the last space before a cut, and whether a whole begins the line and goes beyond."""
    held = [found.span() for found in _WHOLE.finditer(words) if cell_len(found[0]) <= width]
    space = words.rfind(" ", 0, cut + 1)
    while space > 0 and any(start < space < end for start, end in held):
        space = words.rfind(" ", 0, space)
    return space, any(start == 0 and end > cut for start, end in held)


def _seam(words: str, cut: int) -> int:
    """Return where to break a word that is too long: after a sign of a path or a call."""
    seams = [index + 1 for index in range(cut // 2, cut) if words[index] in "/\\(,._"]
    return seams[-1] if seams else cut


def _shared_start(names: Sequence[str]) -> int:
    """Return how many characters all names have in common at their beginning."""
    first, last = min(names), max(names)
    pairs = enumerate(zip(first, last, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(first), len(last)))


def _cells_to_index(words: str, cells: int) -> int:
    used = 0
    for index, character in enumerate(words):
        used += cell_len(character)
        if used > cells:
            return max(index, 1)
    return len(words)


def join(parts: Iterable[Text | str]) -> Text:
    """Put pieces of a line together, keeping their styles."""
    line = Text()
    for part in parts:
        line.append(part) if isinstance(part, str) else line.append_text(part)
    return line


def styled(words: str, style: str) -> Text:
    """Return our own words in one of the named styles."""
    return Text().append(words, STYLES.get(style, style) or None)


def paint(lines: Iterable[Text], *, color: bool) -> str:
    """Turn laid-out lines into text, with or without escape codes.

    Args:
        lines: Laid-out lines.
        color: Whether to write ANSI escape codes.

    Returns:
        The lines, each ended by a newline.
    """
    if not color:
        return "".join(f"{line.plain}\n" for line in lines)
    console = Console(
        file=io.StringIO(),
        force_terminal=True,
        color_system="standard",
        legacy_windows=False,
        no_color=False,
        width=WIDEST * 10,
        _environ={},
    )
    with console.capture() as capture:
        for line in lines:
            console.print(line, soft_wrap=True, highlight=False, markup=False, emoji=False)
    return capture.get()
