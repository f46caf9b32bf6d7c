"""The terminal text as an SVG picture that needs nothing from elsewhere.

The picture is what `show.terminal` lays out, drawn by rich's recording console. It holds
no font, no script and no address: every viewer uses its own monospaced font, and each
piece of text is stretched to its columns, so that the bars stay aligned.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from unvanish.core.findings import Diagnosis
from unvanish.core.records import Recording
from unvanish.show.sheet import Sheet
from unvanish.show.terminal import compose

_GLYPH_WIDTH: Final = 0.602
"""Width of a glyph over its font size in Menlo and DejaVu Sans Mono."""

_FORMAT: Final = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono",
    "Liberation Mono", monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
  white-space: pre;
}}
.{unique_id}-title {{
  font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: 16px;
  opacity: 0.6;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


class Background(StrEnum):
    """Which terminal the picture imitates."""

    DARK = "dark"
    LIGHT = "light"


# Sixteen colours each: black, red, green, yellow, blue, magenta, cyan, white, then bright.
_DARK: Final = TerminalTheme(
    (22, 24, 29),
    (215, 219, 226),
    [
        (22, 24, 29), (224, 82, 82), (84, 174, 110), (222, 170, 74),
        (92, 148, 232), (188, 132, 224), (84, 184, 194), (215, 219, 226),
    ],
    [
        (110, 116, 128), (240, 98, 98), (104, 196, 130), (240, 192, 96),
        (120, 172, 246), (206, 154, 238), (106, 206, 214), (250, 251, 252),
    ],
)  # fmt: skip
_LIGHT: Final = TerminalTheme(
    (253, 253, 252),
    (36, 41, 47),
    [
        (36, 41, 47), (176, 32, 38), (38, 128, 62), (150, 98, 0),
        (20, 86, 190), (124, 58, 172), (0, 110, 122), (96, 102, 112),
    ],
    [
        (120, 126, 136), (200, 40, 46), (46, 144, 74), (166, 112, 8),
        (28, 100, 208), (140, 72, 190), (0, 124, 138), (36, 41, 47),
    ],
)  # fmt: skip
_THEMES: Final = {Background.DARK: _DARK, Background.LIGHT: _LIGHT}


def picture(
    recording: Recording,
    diagnosis: Diagnosis,
    *,
    target: str,
    title: str = "",
    width: int = 80,
    background: Background = Background.DARK,
    exit_code: int | None = None,
) -> str:
    """Draw the terminal text of a diagnosis.

    Args:
        recording: What was measured.
        diagnosis: What the rules said about it.
        target: What was checked, as the user named it.
        title: What stands in the title bar, such as the command.
        width: Columns; moved into the range from 48 to 96.
        background: Imitate a dark or a light terminal.
        exit_code: Exit code told in the last line; None to leave it out.

    Returns:
        An SVG document without fonts, scripts and links.
    """
    sheet = Sheet.of(width)
    lines = compose(recording, diagnosis, sheet, target=target, exit_code=exit_code)
    return draw(lines, width=sheet.width, title=title, background=background)


def draw(
    lines: Iterable[Text],
    *,
    width: int,
    title: str = "",
    background: Background = Background.DARK,
) -> str:
    """Draw lines that were laid out before; see `picture`."""
    console = Console(
        file=io.StringIO(),
        record=True,
        force_terminal=True,
        color_system="standard",
        legacy_windows=False,
        width=width,
        _environ={},
    )
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False, emoji=False)
    svg = console.export_svg(
        title=title,
        theme=_THEMES[background],
        code_format=_FORMAT,
        font_aspect_ratio=_GLYPH_WIDTH,
        unique_id="unvanish",
    )
    # Stretch the glyphs themselves: stretched gaps would leave seams in the bars.
    svg = svg.replace("textLength=", 'lengthAdjust="spacingAndGlyphs" textLength=')
    if background is Background.LIGHT:
        svg = svg.replace('stroke="rgba(255,255,255,0.35)"', 'stroke="rgba(0,0,0,0.2)"')
    return "".join(f"{line.rstrip()}\n" for line in svg.splitlines() if line.strip())
