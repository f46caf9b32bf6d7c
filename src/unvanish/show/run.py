"""The terminal text of a watched run: the loss, the layers first and last, what is wrong, when."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from unvanish.core.findings import Diagnosis, Severity
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import EventKind, RunRecording, WatchedLayer
from unvanish.show.findings import all_findings
from unvanish.show.sheet import Lines, Sheet, join, paint, styled
from unvanish.show.spark import spark_lines
from unvanish.show.terminal import count_lines, flow, learn_lines
from unvanish.show.verdicts import headline, verdict_lines
from unvanish.show.words import duration, plural, short_count

_MOST_LAYERS: Final = 14
_MOST_EVENTS: Final = 4
_NARROW: Final = 60
"""Columns below which there is room for two columns of numbers and not for three."""

_SHARES: Final = (LayerQuantity.DEAD_FRACTION, LayerQuantity.SATURATED_FRACTION)


def run_text(
    run: RunRecording,
    diagnosis: Diagnosis,
    *,
    width: int | None = None,
    color: bool = False,
    ascii: bool = False,
    verbose: bool = False,
    exit_code: int | None = None,
) -> str:
    """Return the whole terminal text of a run, whole or as far as it is.

    Args:
        run: What was watched.
        diagnosis: What the rules said about it.
        width: Columns, moved into the range from 48 to 96; as wide as the terminal if None.
        color: Whether to write ANSI escape codes.
        ascii: Whether to write ASCII only.
        verbose: Whether every layer is shown, and every rule that found nothing says what it
            measured.
        exit_code: Exit code of the command, told in the last line; None to leave it out.

    Returns:
        Lines no wider than the width, without trailing spaces, each ended by a newline.
    """
    columns = shutil.get_terminal_size((80, 24)).columns if width is None else width
    sheet = Sheet.of(columns, ascii=ascii)
    marks = [(f.step, f.code) for f in diagnosis.roots if f.step >= 0]
    blocks = [
        _head(run, sheet),
        headline(diagnosis, sheet),
        spark_lines("loss", run.over(StepQuantity.LOSS), sheet, marks=marks),
        _layers(run, diagnosis, sheet, verbose=verbose),
        *all_findings(diagnosis.findings, sheet),
        _events(run, sheet),
        [*_unseen(run, sheet), *verdict_lines(diagnosis, sheet, verbose=verbose)],
        learn_lines(diagnosis, sheet),
        count_lines(diagnosis, sheet, exit_code),
    ]
    lines: Lines = []
    for block in filter(None, blocks):
        lines += [*([Text("")] if lines else []), *block]
    for line in lines:
        line.rstrip()
    return paint(lines, color=color)


def _head(run: RunRecording, sheet: Sheet) -> Lines:
    """Say what was watched: script, steps, optimisers, device, how it ended."""
    conditions = run.conditions
    steps = run.last_step + 1
    sampled = len({step for series in run.by_layer.values() for step in series.steps})
    items = [conditions.target, f"{plural(steps, 'step')}, {sampled:,} sampled"]
    weights = sum(layer.size for layer in run.layers)
    if run.layers:
        items.append(f"{plural(len(run.layers), 'layer')}, {short_count(weights)} params")
    items += [str(optimizer) for optimizer in conditions.optimizers]
    if conditions.batch:
        items.append(f"batches of {conditions.batch:,}")
    items += [conditions.dtype] if conditions.dtype != "float32" else []
    items += [f"autocast {conditions.autocast}"] if conditions.autocast else []
    if conditions.world_size > 1:
        items.append(f"{conditions.world_size} processes {conditions.strategy}".rstrip())
    items.append(conditions.device)
    seconds = run.over(StepQuantity.SECONDS)
    items += [duration(seconds[-1][1])] if seconds and math.isfinite(seconds[-1][1]) else []
    items += [] if run.is_ended else ["goes on, or was killed"]
    version = conditions.versions.get("unvanish", "")
    return flow(styled(f"unvanish {version}".rstrip(), "strong"), filter(None, items), sheet)


@dataclass(frozen=True, slots=True)
class _Row:
    """One layer of the table, laid out."""

    layer: WatchedLayer
    mark: str
    cells: tuple[str, ...]


def _layers(run: RunRecording, diagnosis: Diagnosis, sheet: Sheet, *, verbose: bool) -> Lines:
    """Lay out the layers: gradient, step and lost units, at the first sample and at the last."""
    marks = _marks(diagnosis, sheet)
    rows = [
        _Row(layer, marks.get(layer.path, ""), cells)
        for layer in run.layers
        if any(cells := _cells(run, layer, sheet))
    ]
    if not rows:
        return []
    shown = rows if verbose else _chosen(rows)
    titles = ("log10 gradient", "log10 step/w", "units lost")
    kept = [i for i in range(3) if any(row.cells[i] for row in shown)]
    if sheet.width < _NARROW and len(kept) == 3:
        kept.remove(1)
    widths = [max(len(titles[i]), *(len(row.cells[i]) for row in shown)) for i in kept]
    room = sheet.width - 4 - sum(width + 2 for width in widths)
    names = sheet.elide_alike([row.layer.name for row in shown], max(8, room))
    width = max(len("layer"), *(Text(name).cell_len for name in names))
    head = "    " + "layer".ljust(width)
    head += "".join(
        f"  {title:>{w}}" for title, w in zip((titles[i] for i in kept), widths, strict=True)
    )
    lines = [styled(head, "quiet")]
    for name, row in zip(names, shown, strict=True):
        pad = " " * (width - Text(name).cell_len)
        values = "".join(f"  {row.cells[i]:>{w}}" for i, w in zip(kept, widths, strict=True))
        style = {sheet.glyphs.no: "starved", sheet.glyphs.weak: "weak"}.get(row.mark, "")
        lines.append(join(["  ", styled(row.mark or " ", style), " ", name, pad, values]))
    note = "first sample to last"
    if len(shown) < len(rows):
        note += f"; {plural(len(rows) - len(shown), 'more layer')}, -v shows all"
    lines += sheet.paragraph(Text("    "), [styled(note, "quiet")])
    return lines


def _marks(diagnosis: Diagnosis, sheet: Sheet) -> dict[str, str]:
    marks: dict[str, str] = {}
    for finding in sorted(diagnosis.findings, key=lambda one: one.severity.rank):
        if finding.severity is not Severity.NOTE:
            glyph = sheet.glyphs.no if finding.severity is Severity.ERROR else sheet.glyphs.weak
            marks |= {site.path: glyph for site in finding.sites}
    return marks


def _chosen(rows: Sequence[_Row]) -> Sequence[_Row]:
    """Return the rows to show where there are many: first, last, marked ones, evenly spread."""
    if len(rows) <= _MOST_LAYERS:
        return rows
    last = len(rows) - 1
    marked = [i for i, row in enumerate(rows) if row.mark]
    wanted = {0, last}
    for pool, room in ((marked, _MOST_LAYERS * 2 // 3), (range(len(rows)), _MOST_LAYERS)):
        spread = (
            {pool[i * (len(pool) - 1) // max(1, room - 1)] for i in range(room)} if pool else ()
        )
        for i in sorted(spread):
            if len(wanted) < room:
                wanted.add(i)
    return [rows[i] for i in sorted(wanted)]


def _cells(run: RunRecording, layer: WatchedLayer, sheet: Sheet) -> tuple[str, ...]:
    gradient = run.series(LayerQuantity.LOG10_ACTIVATION_GRAD_RMS, layer) or run.series(
        LayerQuantity.LOG10_PARAM_GRAD_RMS, layer
    )
    step = run.series(LayerQuantity.LOG10_UPDATE_RATIO, layer) if layer.parameters else []
    return (
        _span(gradient, _decades, sheet),
        _span(step, _decades, sheet),
        _lost(run, layer, sheet),
    )


def _lost(run: RunRecording, layer: WatchedLayer, sheet: Sheet) -> str:
    known = [run.series(quantity, layer) for quantity in _SHARES]
    worst = max((one for one in known if one), key=lambda one: one[-1][1], default=[])
    cell = _span(worst, lambda share: f"{100.0 * share:.0f}", sheet)
    return f"{cell} %" if cell else ""


def _decades(value: float) -> str:
    if math.isinf(value):
        return "zero" if value < 0 else "inf"
    return f"{value:.1f}"


def _span(samples: Sequence[tuple[int, float]], said: Callable[[float], str], sheet: Sheet) -> str:
    if not samples:
        return ""
    arrow = "->" if sheet.ascii else "→"
    return f"{said(samples[0][1])} {arrow} {said(samples[-1][1])}"


def _events(run: RunRecording, sheet: Sheet) -> Lines:
    """Name what happened on the way; steps that a scaler left out are counted."""
    lines: Lines = []
    quiet = {EventKind.SKIPPED, EventKind.NOT_MEASURED}
    told = [event for event in run.events if event.kind not in quiet]
    for event in told[:_MOST_EVENTS]:
        lead = styled(f"step {event.step:,}: ", "strong")
        lines += sheet.paragraph(lead, [sheet.prose(event.text)], hang=2)
    if len(told) > _MOST_EVENTS:
        counts = Counter(event.kind.value for event in told[_MOST_EVENTS:])
        words = ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
        lines += sheet.paragraph(Text(), [styled(f"and later: {words}", "quiet")], hang=2)
    skipped = [event.step for event in run.events if event.kind is EventKind.SKIPPED]
    if skipped:
        words = f"{plural(len(skipped), 'step')} left out by the loss scaler, the last at step "
        lines += sheet.paragraph(Text(), [sheet.text(f"{words}{skipped[-1]:,}")], hang=2)
    return lines


def _unseen(run: RunRecording, sheet: Sheet) -> Lines:
    """Say what was not measured in this run, and why."""
    lead = styled(f"{sheet.glyphs.unknown} not seen: ", "warning")
    sentences = list(run.conditions.unwatched)
    sentences += [
        f"from step {event.step:,} on: {event.text}"
        for event in run.events
        if event.kind is EventKind.NOT_MEASURED
    ]
    return [
        line
        for sentence in dict.fromkeys(sentences)
        for line in sheet.paragraph(lead.copy(), [sheet.prose(sentence)], hang=2)
    ]
