"""Run the rules over a watched run: one verdict a rule, never a crash, never silence."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from unvanish.core.findings import Diagnosis
from unvanish.core.glossary import RUN_GLOSSARY, LayerQuantity, StepQuantity
from unvanish.core.protocols import RunRule
from unvanish.core.registry import Collected, collect
from unvanish.core.runs import RunRecording
from unvanish.core.verdicts import NotMeasured, Verdict
from unvanish.diagnose.guarded import guarded
from unvanish.diagnose.running.bundles import fold
from unvanish.diagnose.running.rules import BUILTIN_RUN_RULES

GROUP = "unvanish.run_rules"

_log = logging.getLogger(__name__)


def all_run_rules() -> Collected[RunRule]:
    """Return the built-in rules on runs and those of other packages, in the order of the codes.

    Returns:
        The rules, and the plug-ins that could not be loaded with the reason.

    Raises:
        UnvanishError: If two rules claim one code.
    """
    found = collect(BUILTIN_RUN_RULES, group=GROUP, protocol=RunRule, key=lambda rule: rule.code)
    return Collected(tuple(sorted(found.members, key=lambda rule: rule.code)), found.broken)


def diagnose_run(run: RunRecording, *, rules: Sequence[RunRule] | None = None) -> Diagnosis:
    """Judge a watched run by every rule, whole or as far as it is.

    Args:
        run: What was watched.
        rules: Rules to run instead of the built-in and the installed ones.

    Returns:
        One verdict a rule, in the order of the codes, each finding marked with the root that it
        follows from. A rule that fails, a plug-in that does not load and a quantity that is
        missing all give `NotMeasured` with the reason.
    """
    pool = all_run_rules() if rules is None else Collected(tuple(rules))
    chosen = sorted(pool.members, key=lambda rule: rule.code)
    verdicts = fold(
        {rule.code: judge_run(rule, run) for rule in chosen}, every=run.conditions.every
    )
    names = {rule.code: rule.name for rule in chosen}
    for code, error in pool.broken.items():
        _log.warning("%s", error)
        verdicts[code] = NotMeasured(f"{error.what} ({error.where})")
        names[code] = "broken-plug-in"
    return Diagnosis(verdicts, names)


def judge_run(rule: RunRule, run: RunRecording) -> Verdict:
    """Let one rule judge a run, whatever the rule does.

    Args:
        rule: The rule.
        run: What was watched.

    Returns:
        The rule's own verdict, or `NotMeasured` where a quantity that it needs is missing or
        where it failed. A rule that does not apply says so even without measurements.
    """
    measured = {*run.by_layer, *run.by_step}
    missing = [q for q in (*LayerQuantity, *StepQuantity) if q in rule.needs - measured]
    return guarded(rule.code, lambda: rule.examine(run), _words(missing))


def _words(missing: Sequence[LayerQuantity | StepQuantity]) -> str:
    return "; ".join(f"{q.value.replace('_', ' ')} ({RUN_GLOSSARY[q].meaning})" for q in missing)
