"""The terminal text of one look at a network: what, where, why, what to do, counts.

The grammar is rustc's: ``error[CODE]: what``, ``--> where``, ``note`` says why, ``help``
says what to do, the last line counts. What is printed without colour is letter for
letter what is printed with it.
"""

from __future__ import annotations

import codecs
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, TextIO

from rich.text import Text

from unvanish.core.conditions import RunContext
from unvanish.core.explanations import Explanation
from unvanish.core.findings import Diagnosis, Finding, Severity
from unvanish.core.prescriptions import Advice
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotMeasured
from unvanish.show.advice import advice_lines
from unvanish.show.findings import all_findings
from unvanish.show.ledger import ledger_lines
from unvanish.show.sheet import Lines, Sheet, join, paint, styled
from unvanish.show.tree import tree_lines
from unvanish.show.verdicts import gap_lines, headline, verdict_lines
from unvanish.show.words import duration, plural, short_count

_MOST_CLASSES: Final = 3
# A part of MultiheadAttention that PyTorch made for itself; nobody wrote it.
_NOT_THE_USERS: Final = frozenset({"NonDynamicallyQuantizableLinear"})


def render(
    recording: Recording,
    diagnosis: Diagnosis,
    *,
    target: str,
    width: int = 80,
    color: bool = False,
    ascii: bool = False,
    verbose: bool = False,
    exit_code: int | None = None,
    explanation: Explanation | None = None,
    whole_ledger: bool = False,
    advice: Advice | None = None,
) -> str:
    """Return the whole terminal text.

    Args:
        recording: What was measured.
        diagnosis: What the rules said about it.
        target: What was checked, as the user named it.
        width: Columns; moved into the range from 48 to 96.
        color: Whether to write ANSI escape codes; see `wants_color`.
        ascii: Whether to write ASCII only; see `wants_ascii`.
        verbose: Whether every rule that found nothing says what it measured, and whether a
            whole ledger writes every one of equal blocks.
        exit_code: Exit code of the command, told in the last line; None to leave it out.
        explanation: The ledger that stands under the finding it explains; None to leave it out.
        whole_ledger: Whether the whole tree of the ledger follows the findings.
        advice: What could be done, tried on a copy; None to leave it out.

    Returns:
        Lines no wider than the width, without trailing spaces, each ended by a newline.
    """
    sheet = Sheet.of(width, ascii=ascii)
    return paint(
        compose(
            recording,
            diagnosis,
            sheet,
            target=target,
            verbose=verbose,
            exit_code=exit_code,
            explanation=explanation,
            whole_ledger=whole_ledger,
            advice=advice,
        ),
        color=color,
    )


def compose(
    recording: Recording,
    diagnosis: Diagnosis,
    sheet: Sheet,
    *,
    target: str,
    verbose: bool = False,
    exit_code: int | None = None,
    explanation: Explanation | None = None,
    whole_ledger: bool = False,
    advice: Advice | None = None,
) -> Lines:
    """Lay out the whole text; the arguments are those of `render`."""
    context = recording.context
    ledgers: dict[str, Lines] = {}
    tree: Lines = []
    if explanation is not None:
        explained = next((f for f in diagnosis.findings if f.code == explanation.code), None)
        if explained is not None:
            ledgers[explained.code] = ledger_lines(
                explanation, recording, sheet, explained, whole_tree=whole_ledger
            )
        if whole_ledger:
            alone = not ledgers.get(explanation.code)
            tree = tree_lines(explanation, recording, sheet, verbose=verbose, alone=alone)
    blocks = [
        head_lines(context, sheet, target=target),
        headline(diagnosis, sheet),
        *all_findings(diagnosis.findings, sheet, ledgers),
        advice_lines(advice, sheet, target=target, verbose=verbose) if advice is not None else [],
        tree,
        _inferred(context, sheet),
        [*gap_lines(recording.gaps, sheet), *verdict_lines(diagnosis, sheet, verbose=verbose)],
        learn_lines(diagnosis, sheet),
        count_lines(diagnosis, sheet, exit_code),
    ]
    lines: Lines = []
    for block in filter(None, blocks):
        lines += [*([Text("")] if lines else []), *block]
    for line in lines:
        line.rstrip()
    return lines


def head_lines(context: RunContext, sheet: Sheet, *, target: str) -> Lines:
    """Say what was looked at and how: target, layers, size, batches, device, time."""
    version = context.versions.get("unvanish", "")
    items = [target, _classes(context.modules)]
    if context.parameters:
        items.append(f"{short_count(context.parameters)} params")
    items.append(_batches(context))
    if context.probe_steps:
        items.append(plural(context.probe_steps, "probe step"))
    if context.dtype != "float32":
        items.append(context.dtype)
    if context.autocast:
        items.append(f"autocast {context.autocast}")
    if not context.training:
        items.append("eval mode")
    if context.grad_dtype != context.dtype:
        items.append(f"gradients in {_grad_dtype(context.grad_dtype)}")
    items.append(context.device)
    if context.seconds == context.seconds:
        items.append(duration(context.seconds))
    return flow(styled(f"unvanish {version}".rstrip(), "strong"), filter(None, items), sheet)


def flow(first: Text, items: Sequence[str] | filter[str], sheet: Sheet) -> Lines:
    """Set items side by side, going on to the next line only between two of them.

    Args:
        first: What stands before them.
        items: Words that are kept whole.
        sheet: Where to lay them out.

    Returns:
        Lines.
    """
    dot = f" {sheet.glyphs.dot} "
    lines: Lines = []
    line = first
    for item in items:
        shown = sheet.elide(item, sheet.width - 2)
        if line.cell_len + len(dot) + Text(shown).cell_len > sheet.width:
            lines.append(line)
            line = Text("  ")
        else:
            line.append_text(styled(dot, "quiet"))
        line.append(shown)
    return [*lines, line]


def _classes(modules: Mapping[str, int]) -> str:
    """Return ``"30 Linear, 29 Sigmoid"``, the commonest first, the others in one number."""
    shown = [item for item in modules.items() if item[0] not in _NOT_THE_USERS]
    common = sorted(shown, key=lambda item: -item[1])
    words = [f"{count:,} {name}" for name, count in common[:_MOST_CLASSES]]
    others = sum(count for _, count in common[_MOST_CLASSES:])
    return ", ".join([*words, *([f"{others:,} other"] if others else [])])


def _batches(context: RunContext) -> str:
    count = f"{context.batches:,} batch" + ("" if context.batches == 1 else "es")
    return f"{count} of {context.batch_size:,}" if context.batch_size else count


def _grad_dtype(name: str) -> str:
    return "float64 with extended exponents" if name == "extended" else name


def _inferred(context: RunContext, sheet: Sheet) -> Lines:
    lines: Lines = []
    for sentence in context.inferred:
        lines += sheet.paragraph(styled("note: ", "note"), [sheet.prose(sentence)])
    return lines


def learn_lines(diagnosis: Diagnosis, sheet: Sheet) -> Lines:
    """Name the pages to read: those of the findings, else those that were not judged."""
    codes = list(dict.fromkeys(finding.code for finding in diagnosis.roots))
    if not codes:
        codes = [c for c, v in diagnosis.verdicts.items() if isinstance(v, NotMeasured)]
    if not codes:
        return []
    others = f"   also {', '.join(codes[1:])}" if len(codes) > 1 else ""
    command = sheet.text(f"unvanish explain {codes[0]}", "strong")
    body = join([command, sheet.text(others, "quiet")])
    return sheet.paragraph(styled("learn   ", "quiet"), [body])


def count_severities(findings: Sequence[Finding]) -> dict[Severity, int]:
    """Return how many findings there are of each severity."""
    counts = Counter(finding.severity for finding in findings)
    return {severity: counts[severity] for severity in reversed(Severity)}


def count_lines(diagnosis: Diagnosis, sheet: Sheet, exit_code: int | None) -> Lines:
    """Count errors, warnings, what follows from them and what was not measured, in one line."""
    counts = count_severities(diagnosis.roots)
    words = [plural(counts[Severity.ERROR], "error"), plural(counts[Severity.WARNING], "warning")]
    if counts[Severity.NOTE]:
        words.append(plural(counts[Severity.NOTE], "note"))
    parts = [", ".join(words)]
    followers = len(diagnosis.findings) - len(diagnosis.roots)
    if followers:
        parts.append(plural(followers, "consequence"))
    unseen = sum(isinstance(verdict, NotMeasured) for verdict in diagnosis.verdicts.values())
    if unseen:
        parts.append(f"{plural(unseen, 'rule')} not measured")
    if exit_code is not None:
        parts.append(f"exit {exit_code}")
    return sheet.paragraph(Text(), [styled(f" {sheet.glyphs.dot} ".join(parts), "strong")], hang=2)


def wants_color(stream: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    """Tell whether to colour what goes to a stream: only a terminal, never with NO_COLOR."""
    environment = os.environ if environment is None else environment
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    return stream.isatty()


def wants_ascii(stream: TextIO) -> bool:
    """Tell whether a stream's encoding cannot hold the signs of the charts."""
    encoding = getattr(stream, "encoding", None) or "ascii"
    try:
        "▏█⋮░✓✗…·".encode(codecs.lookup(encoding).name)
    except (LookupError, UnicodeEncodeError):
        return True
    return False
