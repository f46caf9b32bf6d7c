"""The terminal text: compared as a whole, and held to the promises of its grammar."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable

import pytest
from rich.cells import cell_len
from tests.show.fixtures import CASES
from tests.show.parts import context, diagnosis, profile, sites, vanishing

from unvanish.core.findings import Diagnosis, Severity
from unvanish.core.records import Recording
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured
from unvanish.show.sheet import Sheet, paint, styled
from unvanish.show.terminal import render, wants_ascii, wants_color

WIDTHS = (48, 60, 80, 96)
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
Golden = Callable[[str, str], None]


def show(
    name: str,
    *,
    width: int = 80,
    color: bool = False,
    ascii: bool = False,
    verbose: bool = False,
) -> str:
    recording, found, target = CASES[name]()
    return render(
        recording,
        found,
        target=target,
        width=width,
        color=color,
        ascii=ascii,
        verbose=verbose,
        exit_code=1,
    )


@pytest.mark.parametrize("name", CASES)
def test_golden_at_80_columns(name: str, golden: Golden) -> None:
    golden(f"{name}.txt", show(name))


@pytest.mark.parametrize("width", [48, 60, 96])
@pytest.mark.parametrize("name", ["sick", "long_paths", "not_measured"])
def test_golden_at_other_widths(name: str, width: int, golden: Golden) -> None:
    golden(f"{name}_{width}.txt", show(name, width=width))


@pytest.mark.parametrize("name", ["sick", "hostile", "healthy"])
def test_golden_in_ascii(name: str, golden: Golden) -> None:
    text = show(name, ascii=True)
    assert text.isascii()
    golden(f"{name}_ascii.txt", text)


@pytest.mark.parametrize("name", ["sick", "healthy"])
def test_golden_with_every_rule(name: str, golden: Golden) -> None:
    golden(f"{name}_verbose.txt", show(name, verbose=True))


@pytest.mark.parametrize("ascii", [False, True])
@pytest.mark.parametrize("width", [*WIDTHS, 20, 300])
@pytest.mark.parametrize("name", CASES)
def test_no_line_is_too_wide_or_ends_in_a_space(name: str, width: int, *, ascii: bool) -> None:
    allowed = min(max(width, 48), 96)
    for line in show(name, width=width, ascii=ascii).splitlines():
        assert cell_len(line) <= allowed, line
        assert line == line.rstrip(), line


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", CASES)
def test_colour_adds_escape_codes_and_nothing_else(
    name: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")  # the caller decides, not the environment
    colored = show(name, width=width, color=True)
    assert ESCAPE.sub("", colored) == show(name, width=width)
    assert "\x1b[" in colored


@pytest.mark.parametrize("name", CASES)
def test_nothing_of_the_user_reaches_the_terminal_as_a_command(name: str) -> None:
    plain = show(name)
    assert all(character == "\n" or character.isprintable() for character in plain)
    plain.encode("utf-8")
    safe = "0 1 2 31 32 33 91 94 1;91 1;33 1;94 1;36 1;32".split()
    used = ESCAPE.findall(show(name, color=True))
    assert set(used) <= {f"\x1b[{code}m" for code in safe}


def test_markup_in_names_is_printed_literally() -> None:
    text = show("hostile")
    for literal in ("[bold]bold[/bold] :smile: \\x1b]0;title\\x07", "[dim]line[/dim]", "[i]guess"):
        assert literal in text
    assert "[dim]line[/dim]\\n\\x1b[2Jsecond line\\u2028third" in text
    assert "\\u202e" in text
    assert "\\udcff" in text


@pytest.mark.parametrize("name", CASES)
def test_the_last_line_counts_what_is_there(name: str) -> None:
    _, found, _ = CASES[name]()
    last = show(name).splitlines()[-1]
    for severity in Severity:
        there = sum(finding.severity is severity for finding in found.roots)
        said = re.search(rf"(\d+) {severity.value}s?\b", last)
        assert int(said[1] if said else 0) == there
    unseen = sum(isinstance(verdict, NotMeasured) for verdict in found.verdicts.values())
    said = re.search(r"(\d+) rules? not measured", last)
    assert int(said[1] if said else 0) == unseen
    assert last.endswith("exit 1")


@pytest.mark.parametrize("name", CASES)
def test_blocks_and_summary_add_up_to_the_counts(name: str) -> None:
    _, found, _ = CASES[name]()
    text = show(name)
    for severity in Severity:
        blocks = len(re.findall(rf"^{severity.value}\[", text, re.MULTILINE))
        more = re.search(rf"^and (\d+) more {severity.value}s?:", text, re.MULTILINE)
        there = sum(finding.severity is severity for finding in found.roots)
        assert blocks + int(more[1] if more else 0) == there


def test_what_follows_stands_below_its_root() -> None:
    text = show("sick")
    root, follows, next_root = (
        text.index(s) for s in ("error[UV101]", "follows: UV402", "[UV202]")
    )
    assert root < follows < next_root
    assert "note[UV402]" not in text
    assert "1 consequence" in text.splitlines()[-1]


@pytest.mark.parametrize("name", CASES)
def test_every_rule_that_found_nothing_has_its_line(name: str) -> None:
    _, found, _ = CASES[name]()
    lines = show(name, verbose=True).splitlines()
    for code, verdict in found.verdicts.items():
        glyph = {Clear: "✓", NotMeasured: "?", NotApplicable: "–"}.get(type(verdict))
        rows = [line for line in lines if line.startswith(f"{glyph} {code} ")]
        assert len(rows) == (glyph is not None)


def test_a_healthy_network_reads_clear_and_by_how_much_at_the_top() -> None:
    text = show("healthy")
    first = text.split("\n\n")[1]
    assert first == "✓ clear: 6 rules found nothing wrong; the nearest limit is 2.7 decades away"


@pytest.mark.parametrize("name", ["not_measured", "no_rules", "nothing_judged"])
def test_what_was_not_measured_never_looks_healthy(name: str) -> None:
    first = show(name).split("\n\n")[1]
    assert first.startswith("? ")
    assert "✓" not in first


def test_gaps_are_told_even_where_every_rule_is_clear() -> None:
    recording, _, _ = CASES["not_measured"]()
    text = render(recording, diagnosis(UV102=Clear(1.0, "decades", "fine")), target="x")
    assert "? not seen: rnn: cuDNN runs all time steps as one" in text


def test_findings_without_a_chart_or_with_an_empty_one() -> None:
    for chart in (None, profile(())):
        found = diagnosis(UV101=Found((vanishing(chart, ()),)))
        text = render(Recording(context=context()), found, target="x")
        assert "layer " not in text.split("size:")[0].split("error[")[1]


def test_a_blank_line_stands_before_the_size_with_and_without_a_chart() -> None:
    for chart in (None, profile((-9.0, 0.0))):
        found = diagnosis(UV101=Found((vanishing(chart, sites(2)),)))
        lines = render(Recording(context=context()), found, target="x").splitlines()
        size = next(i for i, line in enumerate(lines) if line.startswith("   size:"))
        assert lines[size - 1] == ""
        assert lines[size - 2] != ""


def test_a_step_of_the_root_module_is_named_by_what_it_does() -> None:
    calls = tuple(site for site in sites(9) if site.op == "sigmoid")
    for where, said in (
        (calls[7:], "  --> model.py:14  sigmoid, call 8"),
        (calls[:1], "  --> model.py:14  sigmoid"),
        (calls, "  --> model.py:14  sigmoid, 8 calls"),
        (sites(2), "  --> model.py:14  layers.0, layers.1  (2 linear, 1 sigmoid)"),
    ):
        finding = vanishing(None, where, message=f"{calls[7].name} is flat, like ({calls[0].name})")
        text = render(Recording(), diagnosis(UV101=Found((finding,))), target="x")
        assert f"{said}\n" in text
        assert "]: sigmoid, call 8 is flat, like (sigmoid)\n" in text
        assert "(root)" not in text


def test_no_gradient_at_all_is_said_in_words() -> None:
    assert "   size: no gradient arrives at all; limit 3 decades\n" in show("zero_gradient")
    grown = vanishing(profile((math.inf, 0.0)), sites(2), measured=math.inf)
    text = render(Recording(), diagnosis(UV101=Found((grown,))), target="x")
    assert "   size: infinitely many decades measured" in text


def test_a_class_that_pytorch_made_for_itself_is_not_counted() -> None:
    made = {"Linear": 2, "NonDynamicallyQuantizableLinear": 4}
    text = render(Recording(context=context(modules=made)), Diagnosis(), target="x")
    assert "x · 2 Linear · 117k params" in text


def test_a_call_and_a_per_cent_stay_on_one_line() -> None:
    call = "torch.nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')"
    for width in range(48, 97):
        text = show("sick", width=width)
        assert (call in text) == (width >= len("   help: ") + len(call))
        assert not re.search(r"^ *%", text, re.MULTILINE)


@pytest.mark.parametrize("width", [48, 55, 60, 67, 73, 74, 75, 80, 96])
def test_a_long_message_hangs_by_two_columns(width: int) -> None:
    for call in ("a(b, c)", "call(" + "x, " * 18 + "x)"):
        words = " ".join(["word"] * 13 + [call] * 2)
        finding = vanishing(
            None, (), message=words, measured=math.nan, causes=(), notes=(), help=()
        )
        text = render(Recording(), diagnosis(UV101=Found((finding,))), target="x", width=width)
        block = text.split("\n\n")[1].splitlines()
        assert all(re.match(r"  \S", line) for line in block[1:])
        assert " ".join(line.strip() for line in block) == f"error[UV101]: {words}"


def test_verdicts_stand_below_their_names_where_there_is_little_room() -> None:
    below = "✓ UV403 non-finite-values\n    clear: every value is finite\n"
    assert below in show("sick", width=75, verbose=True)
    beside = r"✓ UV403 non-finite-values +clear: every"
    assert re.search(beside, show("sick", width=76, verbose=True))


def test_the_exit_code_may_be_left_out() -> None:
    text = render(Recording(), Diagnosis(), target="x")
    assert text.endswith("0 errors, 0 warnings\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_needs_a_terminal_and_leave() -> None:
    assert wants_color(Terminal(), {})
    assert wants_color(Terminal(), {"NO_COLOR": ""})
    assert not wants_color(Terminal(), {"NO_COLOR": "1"})
    assert not wants_color(Terminal(), {"TERM": "dumb"})
    assert not wants_color(io.StringIO(), {})


@pytest.mark.parametrize(
    ("encoding", "answer"),
    [("utf-8", False), ("UTF8", False), ("ascii", True), ("latin-1", True), ("cp1252", True)],
)
def test_ascii_where_the_encoding_has_no_bars(encoding: str, *, answer: bool) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    assert wants_ascii(stream) is answer


def test_a_line_too_wide_would_be_noticed() -> None:
    """The width check above can fail: a line that no one wrapped is wider than its sheet."""
    text = paint([styled("x" * 90, "strong")], color=False)
    assert cell_len(text.splitlines()[0]) > Sheet.of(80).width
