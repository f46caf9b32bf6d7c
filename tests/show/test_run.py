"""The terminal text of a run: the loss, the layers, what is wrong and since when."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from tests.diagnose.running.recorded import HEALTHY, learned, run_of

from unvanish.core.runs import EventKind, RunEvent, RunRecording, WatchedLayer
from unvanish.diagnose.running import diagnose_run
from unvanish.show.run import run_text
from unvanish.show.sheet import Sheet
from unvanish.show.spark import spark_lines

WIDTHS = (48, 60, 80, 96)
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
RATE = RunEvent(step=300, kind=EventKind.RATE, text="the learning rate rose from 0.001 to 1")

RUNS = {
    "healthy": HEALTHY["a plain run"],
    "spiked": run_of(
        loss=lambda t: 6.0 if t >= 301 else learned(t),
        update=lambda t: 1.0 if t == 300 else -3.0,
        gradient=lambda k, t: -2.5 if t <= 300 or k == 4 else -math.inf,
        dead=lambda t: 1.0 if t >= 650 else 0.05,
        events=(RATE,),
    ),
    "lost": run_of(loss=lambda t: math.nan if t >= 700 else learned(t)),
    "nothing": RunRecording(),
    "one step": run_of(steps=1),
    "hostile": replace(
        run_of(steps=200),
        layers=tuple(
            WatchedLayer(index=i, path=f"a\x1b[31m.很长的名字.{'x' * 60}.{i}", module="Linear")
            for i in range(9)
        ),
        events=(RunEvent(step=3, kind=EventKind.STOPPED, text="Bad\nthing\x07" * 9),),
        is_ended=False,
    ),
}


def text(name: str, **options: object) -> str:
    run = RUNS[name]
    return run_text(run, diagnose_run(run), **options)  # type: ignore[arg-type]


def line_with(words: str, page: str) -> str:
    return next(line for line in page.splitlines() if words in line)


@pytest.mark.parametrize("ascii", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", RUNS)
def test_it_fits_and_is_clean(name: str, width: int, ascii: bool) -> None:
    page = text(name, width=width, ascii=ascii)
    assert page.endswith("\n")
    for line in page.splitlines():
        assert cell_len(line) <= width, line
        assert line == line.rstrip()
        assert line.isprintable()
    assert page.isascii() or not ascii


@pytest.mark.parametrize("name", RUNS)
def test_colour_adds_nothing_but_escape_codes(name: str) -> None:
    assert ESCAPE.sub("", text(name, width=80, color=True)) == text(name, width=80)


def test_the_root_is_told_with_its_step() -> None:
    page = text("spiked", width=80)
    assert "error[UV611]" in page
    assert "^ UV611 at step 300" in page
    assert "began at step 300 (last sound sample at step 250)" in page
    assert page.count("follows: ") == 5
    assert "step 300: the learning rate rose from 0.001 to 1" in page
    assert page.rstrip().endswith("1 error, 0 warnings · 5 consequences")


def test_the_mark_stands_below_the_jump() -> None:
    page = text("spiked", width=80).splitlines()
    row = next(line for line in page if line.startswith("  loss"))
    mark = next(line for line in page if "UV611 at step" in line)
    blocks = row[mark.index("^") - 1 : mark.index("^") + 2]
    assert blocks[-1] == "█"
    assert blocks[0] != "█"


def test_layers_stand_first_and_last() -> None:
    page = text("spiked", width=80)
    assert line_with("layers.0 ", page).split() == [
        *("✗", "layers.0", "-2.5", "→", "zero", "-3.0", "→", "-3.0")
    ]
    assert line_with("layers.1 ", page).split() == ["✗", "layers.1", "5", "→", "100", "%"]


def test_a_loss_that_is_no_number_is_crossed_out() -> None:
    page = text("lost", width=80)
    assert line_with("  loss", page).endswith("✗✗ nan")
    assert "the loss is no number from step 700 to the end" in page


def test_a_healthy_run_says_so_in_one_line() -> None:
    page = text("healthy", width=80)
    assert "✓ clear: " in page
    assert "finding" not in page
    assert page.rstrip().endswith("0 errors, 0 warnings")


def test_many_layers_are_shown_in_part_and_marked_ones_first() -> None:
    run = run_of(steps=200)
    many = [replace(run.layers[0], index=i, path=f"layers.{i}") for i in range(400)]
    series = {
        quantity: replace(known, rows=tuple((known.rows[0][0],) * 400 for _ in known.steps))
        for quantity, known in run.by_layer.items()
    }
    run = replace(run, layers=tuple(many), by_layer=series)
    page = run_text(run, diagnose_run(run), width=80)
    assert "386 more layers, -v shows all" in page
    assert len([line for line in page.splitlines() if "layers." in line]) == 14
    every = run_text(run, diagnose_run(run), width=80, verbose=True)
    assert len([line for line in every.splitlines() if "  layers." in line]) == 400


def test_what_was_not_seen_is_said() -> None:
    run = run_of(steps=200)
    unwatched = "the inside of a compiled model: its hooks are not called"
    event = RunEvent(step=50, kind=EventKind.NOT_MEASURED, text="activations: a hook failed")
    conditions = replace(run.conditions, unwatched=(unwatched,))
    run = replace(run, conditions=conditions, events=(event,), is_ended=False)
    page = " ".join(run_text(run, diagnose_run(run), width=80).split())
    assert f"? not seen: {unwatched}" in page
    assert "? not seen: from step 50 on: activations: a hook failed" in page
    assert "goes on, or was killed" in page


def test_skipped_steps_are_counted() -> None:
    events = [RunEvent(step=s, kind=EventKind.SKIPPED, text="skipped") for s in (1, 2, 90)]
    run = run_of(steps=200, events=events)
    page = run_text(run, diagnose_run(run), width=80)
    assert "3 steps left out by the loss scaler, the last at step 90" in page


def test_a_spark_line_rises_with_its_values() -> None:
    row, axis = spark_lines("loss", [(t, float(t)) for t in range(101)], Sheet.of(60))
    assert "▁▁" in row.plain
    assert row.plain.rstrip().endswith("██ 100")
    assert axis.plain.split()[0] == "0"
    assert axis.plain.split()[-1] == "100"


def test_a_wide_range_is_drawn_on_a_logarithmic_axis() -> None:
    row, _ = spark_lines("loss", [(t, 10.0 ** (-t / 20)) for t in range(101)], Sheet.of(60))
    assert row.plain.startswith("  loss, log")
    flat, _ = spark_lines("loss", [(t, -1.0) for t in range(101)], Sheet.of(60))
    assert "▁" in flat.plain
    assert spark_lines("loss", [], Sheet.of(60)) == []
