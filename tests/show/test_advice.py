"""The ranking of what could be done: long names, and the steps of each weight."""

from __future__ import annotations

from unvanish.core.prescriptions import Advice, Option, Outlook
from unvanish.show.advice import advice_lines, fix_lines
from unvanish.show.sheet import Sheet

LONG = ("centre-and-unit-variance", "weight-standardisation")


def outlook(**changed: float) -> Outlook:
    return Outlook(flow_decades=-2.0, sample_cosine=0.5, milliseconds=1.0, saved_bytes=8, **changed)


def option(names: tuple[str, ...], after: Outlook) -> Option:
    return Option(remedies=names, outlook=after, cures=("UV101",), score=0.0)


def text(lines: list) -> list[str]:
    return [line.plain for line in lines]


def test_a_long_combination_is_told_in_full_on_two_lines() -> None:
    advice = Advice(before=outlook(), options=(option(LONG, outlook()), option(("he",), outlook())))
    lines = text(advice_lines(advice, Sheet(width=80)))
    row = next(i for i, line in enumerate(lines) if LONG[0] in line)
    assert lines[row].startswith(f"   1  {LONG[0]} ")
    assert lines[row].endswith("nothing")
    assert lines[row + 1] == f"      + {LONG[1]}"
    assert lines[row + 2].startswith("   2  he ")
    assert "…" not in "".join(lines)


def test_a_short_combination_stays_on_one_line() -> None:
    advice = Advice(before=outlook(), options=(option(("relu", "he"), outlook()),))
    assert any(line.startswith("   1  relu + he ") for line in text(advice_lines(advice, Sheet())))


def fixed(before: dict[str, float], after: dict[str, float], *, verbose: bool) -> str:
    chosen = option(("he",), Outlook(milliseconds=1.0, updates=after))
    advice = Advice(before=Outlook(milliseconds=1.0, updates=before), options=(chosen,))
    return "\n".join(text(fix_lines(advice, chosen, (), None, Sheet(width=90), verbose=verbose)))


def test_the_step_of_each_weight_is_told_when_asked() -> None:
    before, after = {"0.weight": 1e-12, "2.weight": 2e-3}, {"0.weight": 1e-3, "4.weight": 3e-3}
    assert "0.weight" not in fixed(before, after, verbose=False)
    said = fixed(before, after, verbose=True)
    assert "0.weight     none before, 1.0e-03 after" in said
    assert "4.weight      new before, 3.0e-03 after" in said


def test_of_many_weights_the_smallest_steps_are_told() -> None:
    after = {f"{i}.weight": 10.0 ** -(1 + i / 10) for i in range(30)}
    said = fixed({}, after, verbose=True)
    assert "29.weight" in said
    assert "23.weight" not in said
    assert "and 24 weights more: 5.0e-04 to 1.0e-01 after" in said


def drawn(before: dict[str, float], after: dict[str, float], **sheet: bool) -> list[str]:
    chosen = option(("he",), Outlook(milliseconds=1.0, flow_decades=0.0, profile=after))
    advice = Advice(before=Outlook(milliseconds=1.0, profile=before), options=(chosen,))
    laid = fix_lines(advice, chosen, (), None, Sheet(width=90, **sheet), verbose=True)
    return [
        line.plain.strip() for line in laid if "before  " in line.plain or "after  " in line.plain
    ]


def test_the_gradient_at_every_layer_is_drawn_on_one_scale() -> None:
    before = {"first": -7.0, "second": -3.5, "third": 0.0}
    after = {"first": 0.0, "second": -3.5, "third": 0.0}
    rows = drawn(before, after)
    assert rows[0] == "before  1.0e-07 ▁▅█ 1.0e+00"
    assert rows[1] == "after   1.0e+00 █▅█ 1.0e+00, worst 3.2e-04 at second"
    assert drawn(before, after, ascii=True)[0] == "before  1.0e-07 _=# 1.0e+00"


def test_what_ends_or_is_not_known_is_drawn_too() -> None:
    nan, inf = float("nan"), float("inf")
    rows = drawn({"a": -inf, "b": nan, "c": 0.0}, {"a": nan, "b": 2.0, "c": 0.0})
    assert rows[0] == f"before     zero {Sheet().glyphs.no} ▁ 1.0e+00"
    assert rows[1] == "after         ?  █▁ 1.0e+00, worst 1.0e+02 at b"
    assert drawn({}, {"a": 0.0}) == []


def test_of_many_layers_each_block_is_the_worst() -> None:
    profile = {f"layers.{i}": -8.0 if i == 500 else 0.0 for i in range(1000)}
    row = drawn(profile, profile)[0]
    assert row.count("█") == 23
    assert row.count("▁") == 1
    assert row.endswith("worst 1.0e-08 at layers.500")
