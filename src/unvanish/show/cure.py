"""A cure as text: what ails the network, what was tried on it, what holds, what to write."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from rich.text import Text

from unvanish.core.cures import Cure
from unvanish.core.findings import Diagnosis, Severity
from unvanish.core.proofs import Conclusion, Harm, Proof
from unvanish.show.advice import advice_lines, change_lines, patch_lines
from unvanish.show.arms import Scale, arm_lines, arm_mean, scale_of
from unvanish.show.following import list_lines, next_lines
from unvanish.show.sheet import Lines, Sheet, join, paint, styled
from unvanish.show.terminal import flow, head_lines
from unvanish.show.words import duration, number, plural

_STYLES: Final = {
    Conclusion.CURED: "clear",
    Conclusion.IMPROVED: "clear",
    Conclusion.HEALTHY: "clear",
    Conclusion.HARMED: "error",
}
_MOST_NOTES: Final = 8
_AFTER_VERDICT: Final = 4
"""Place of the first block behind the verdict."""
_LONG: Final = 24
"""Lines behind the verdict from which it is told again at the end, where a terminal stops."""


def render_cure(
    cure: Cure,
    *,
    before: Diagnosis,
    rechecked: Diagnosis | None = None,
    width: int = 80,
    color: bool = False,
    ascii: bool = False,
    verbose: bool = False,
    exit_code: int | None = None,
    file: str = "",
) -> str:
    """Return the whole terminal text.

    Args:
        cure: What was found, tried and proven.
        before: What the rules say about the network as it is.
        rechecked: What they say about the network of the written files; None where none was.
        width: Columns; moved into the range from 48 to 96.
        color: Whether to write ANSI escape codes.
        ascii: Whether to write ASCII only.
        verbose: Whether everything that was tried, compared and held fixed is told.
        exit_code: Exit code of the command, told in the last line; None to leave it out.
        file: Where the report was saved; empty for nowhere.

    Returns:
        Lines no wider than the width, each ended by a newline.
    """
    sheet = Sheet.of(width, ascii=ascii)
    blocks = [
        _head(cure, sheet),
        _roots(before, sheet),
        _trial(cure, sheet, verbose=verbose),
        _verdict(cure, sheet),
        _harms(cure.proof, sheet, verbose=verbose),
        _small_print(cure, sheet, verbose=verbose),
        _change(cure, sheet, verbose=verbose),
        next_lines(cure, rechecked, sheet, file=file),
        [styled(f"exit {exit_code}", "strong")] if exit_code is not None else [],
    ]
    if sum(map(len, blocks[_AFTER_VERDICT:])) > _LONG:
        blocks.append(_verdict_again(cure, sheet))
    lines: Lines = []
    for block in filter(None, blocks):
        lines += [*([Text("")] if lines else []), *block]
    return paint(lines, color=color)


def _head(cure: Cure, sheet: Sheet) -> Lines:
    context = replace(cure.before.context, seconds=math.nan)
    lines = head_lines(context, sheet, target=cure.origin.target)
    proof = cure.proof
    items: list[str] = []
    if proof is not None and proof.arms:
        runs = sum(len(arm.runs) + len(arm.tries) for arm in proof.arms)
        items = [plural(proof.steps, "step"), f"{plural(len(proof.seeds), 'seed')}"]
        items.append(plural(runs, "run"))
        items.append(f"{proof.engine}, {proof.jobs} at once" if proof.jobs > 1 else proof.engine)
    if not math.isnan(cure.seconds):
        items.append(duration(cure.seconds))
    lead = styled("  trial of" if proof is not None else "  no trial", "")
    if proof is None:
        return lines + flow(lead, items, sheet)
    return lines + flow(join([lead, f" {items[0]}"]) if items else lead, items[1:], sheet)


def _roots(before: Diagnosis, sheet: Sheet) -> Lines:
    lines: Lines = []
    for root in before.roots:
        if root.severity is not Severity.NOTE:
            head = styled(f"{root.severity.value}[{root.code}]: ", root.severity.value)
            lines += sheet.paragraph(head, [sheet.prose(root.message, "strong")], hang=2)
    return lines


def _trial(cure: Cure, sheet: Sheet, *, verbose: bool) -> Lines:
    proof = cure.proof
    if proof is None:
        if cure.advice is None:
            return []
        return advice_lines(cure.advice, sheet, verbose=verbose)
    if cure.conclusion is Conclusion.HEALTHY and not verbose and len(proof.arms) < 2:
        return []
    lines = _endpoint(proof, sheet)
    table = arm_lines(proof, sheet, verbose=verbose)
    lines += [*([Text("")] if lines and table else []), *table]
    return lines + _untrained(cure, sheet, verbose=verbose)


def _endpoint(proof: Proof, sheet: Sheet) -> Lines:
    endpoint, scale = proof.endpoint, scale_of(proof)
    words = [endpoint.name]
    if not endpoint.higher_is_better:
        words[0] += " (lower is better)"
    if endpoint.samples:
        kept = "kept away from the training" if endpoint.held_out else "that are trained on as well"
        words[0] += f" on {plural(endpoint.samples, 'sample')} {kept}"
    if not math.isnan(endpoint.chance):
        words.append(f"{scale.value(endpoint.chance)} by the best constant answer")
    if endpoint.goal is not None:
        words.append(f"{scale.value(endpoint.goal)} counts as trained")
    rows = [sheet.prose("; ".join(words))]
    if endpoint.origin:
        rows.append(sheet.prose(endpoint.origin, "quiet"))
    return sheet.paragraph(styled(" judged: ", "strong"), rows)


def _untrained(cure: Cure, sheet: Sheet, *, verbose: bool) -> Lines:
    """Say what never came to a training run, because it failed on a copy or does not fit."""
    advice = cure.advice
    if advice is None or cure.conclusion is Conclusion.HEALTHY:
        return []
    failed = [option for option in advice.options if option.failed]
    if not verbose:
        counts = [f"{plural(len(failed), 'treatment')} failed on a copy"] if failed else []
        refused = plural(len(advice.refused), "remedy").replace("remedys", "remedies")
        verb = "does" if len(advice.refused) == 1 else "do"
        counts += [f"{refused} {verb} not fit this network"] if advice.refused else []
        if not counts:
            return []
        words = f"{', '.join(counts)}; -v says why"
        return sheet.paragraph(styled("untried: ", "strong"), [sheet.prose(words, "quiet")])
    said = [f"{option.name} failed on a copy: {option.failed}" for option in failed]
    said += [f"{name} does not fit: {why}" for name, why in advice.refused.items()]
    return list_lines("untried: ", said, sheet, style="quiet")


def _verdict(cure: Cure, sheet: Sheet) -> Lines:
    word = cure.conclusion.value
    style = _STYLES.get(cure.conclusion, "warning")
    is_partial = cure.proof is not None and cure.proof.is_partial
    lead = join([styled(word, style), ", as far as it came: " if is_partial else ": "])
    said, numbers = cure.said, ""
    if cure.proof is not None:
        numbers = _numbers(cure.proof, sheet)
        said = _without_numbers(said, cure.proof) if numbers else said
    lines = sheet.paragraph(lead, [sheet.prose(said, "strong")], hang=2)
    if numbers:
        lines += sheet.paragraph(Text("  "), [sheet.prose(numbers)])
    return lines


def _verdict_again(cure: Cure, sheet: Sheet) -> Lines:
    """Repeat the verdict in one line."""
    words = cure.conclusion.value
    if cure.proof is not None and (change := _before_and_after(cure.proof, ascii=sheet.ascii)):
        words += f": {change}"
    return [styled(words, _STYLES.get(cure.conclusion, "warning"))]


def _without_numbers(said: str, proof: Proof) -> str:
    """Return what a sentence says before its numbers, which follow in the units of the table."""
    return said.partition(f": {proof.endpoint.name} ")[0]


def _numbers(proof: Proof, sheet: Sheet) -> str:
    """Return control, treated, difference, interval and test in one line."""
    found, pair = proof.comparison, _before_and_after(proof, ascii=sheet.ascii)
    answer = proof.answer
    if found is None or answer is None or not pair or math.isnan(found.mean):
        return ""
    scale = scale_of(proof)
    unit = " decades" if found.in_decades else " points" if scale.per_cent else ""
    scale = Scale() if found.in_decades else scale
    interval = ""
    if math.isfinite(found.low):
        span = scale.span(found.low, found.high)
        interval = f", {100 * found.confidence:.4g} % interval {span}"
    count = len(found.differences)
    chance = found.p_corrected if math.isfinite(found.p_corrected) else found.p_value
    test = ""
    if math.isfinite(chance):
        pairs = plural(count, "pair")
        least = f", the least that {pairs} can give" if chance <= 2.0**-count * 1.001 else ""
        test = f"; exact p {chance:.2g}{least}"
    goal = ""
    if proof.endpoint.goal is not None:
        hits = sum(proof.endpoint.reached(value) for value in answer.metrics)
        goal = (
            f"; {hits} of {len(answer.metrics)} reach {scale_of(proof).value(proof.endpoint.goal)}"
        )
    return (
        f"{pair}: {scale.change(found.mean)}{unit}{interval}, "
        f"over {count} {'pair' if count == 1 else 'pairs'} of runs with equal seeds{test}{goal}"
    )


def _before_and_after(proof: Proof, *, ascii: bool) -> str:
    """Return the endpoint of control and answer; empty where one of the two is missing."""
    answer, control = proof.answer, next((arm for arm in proof.arms if arm.runs), None)
    if answer is None or control is None:
        return ""
    scale, arrow = scale_of(proof), "->" if ascii else "→"
    values = f"{scale.value(arm_mean(control))} {arrow} {scale.value(arm_mean(answer))}"
    return f"{proof.endpoint.name} {values}"


def _harms(proof: Proof | None, sheet: Sheet, *, verbose: bool) -> Lines:
    if proof is None or not proof.harms:
        return []
    worse = [harm for harm in proof.harms if harm.is_worse]
    lines: Lines = []
    shown = proof.harms if verbose else worse
    for harm in shown:
        lead = styled("   harm: ", "warning") if harm.is_worse else styled("   same: ", "quiet")
        lines += sheet.paragraph(lead, [sheet.prose(_harm(harm), "" if harm.is_worse else "quiet")])
    if not worse:
        more = "" if verbose else "; -v lists them"
        words = f"none in {plural(len(proof.harms), 'comparison')} beside the endpoint{more}"
        lines += sheet.paragraph(styled("   harm: ", "clear"), [sheet.prose(words)])
    return lines


def _harm(harm: Harm) -> str:
    if harm.said:
        return harm.said
    unit = f" {harm.unit}" if harm.unit else ""
    return f"{harm.name}: {number(harm.control)} before, {number(harm.treated)} after{unit}"


def _small_print(cure: Cure, sheet: Sheet, *, verbose: bool) -> Lines:
    """Lay out what a sceptical reader has to know: assumptions, data, what was held fixed."""
    proof = cure.proof
    notes = [*(proof.notes if proof is not None else ()), *cure.before.context.inferred]
    notes = list(dict.fromkeys(notes))
    shown = notes if verbose else notes[:_MOST_NOTES]
    lines = list_lines("   note: ", shown, sheet, lead="note")
    if len(shown) < len(notes):
        lines.append(styled(f"         and {len(notes) - len(shown)} more; -v lists them", "quiet"))
    if verbose and proof is not None and proof.held_fixed:
        lines += list_lines("  fixed: ", proof.held_fixed, sheet)
    return lines


def _change(cure: Cure, sheet: Sheet, *, verbose: bool) -> Lines:
    """Say what is changed, and show the edit of the source."""
    if not cure.is_changed:
        return []
    names = " + ".join(cure.remedies)
    rate = f"learning rate x{cure.rate_factor:g}" if cure.rate_factor != 1.0 else ""
    words = ", ".join(filter(None, (names, rate)))
    is_tried = cure.proof is not None
    title = "change" if is_tried else "change, not proven"
    lines = sheet.paragraph(
        join([styled(title, "clear" if is_tried else "warning"), ": "]),
        [sheet.prose(words, "strong")],
        hang=2,
    )
    for receipt in cure.receipts:
        lines += change_lines(receipt, sheet, verbose=verbose)
    return lines if cure.patch is None else lines + patch_lines(cure.patch, sheet)
