"""Run the rules over a recording: one verdict a rule, never a crash, never silence."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Sequence

from unvanish.core.errors import UnvanishError
from unvanish.core.findings import Diagnosis
from unvanish.core.glossary import GLOSSARY, Quantity
from unvanish.core.protocols import Rule
from unvanish.core.records import Recording
from unvanish.core.registry import Collected, collect
from unvanish.core.verdicts import NotMeasured, Verdict
from unvanish.diagnose.bundles import fold
from unvanish.diagnose.guarded import guarded
from unvanish.diagnose.rules import BUILTIN_RULES

GROUP = "unvanish.rules"

_log = logging.getLogger(__name__)


def all_rules() -> Collected[Rule]:
    """Return the built-in rules and those of other packages, in the order of the codes.

    Returns:
        The rules, and the plug-ins that could not be loaded with the reason.

    Raises:
        UnvanishError: If two rules claim one code.
    """
    found = collect(BUILTIN_RULES, group=GROUP, protocol=Rule, key=lambda rule: rule.code)
    return Collected(_in_order(found.members), found.broken)


def diagnose(
    recording: Recording,
    *,
    select: Sequence[str] | None = None,
    rules: Sequence[Rule] | None = None,
) -> Diagnosis:
    """Judge a recording by every rule, or by the selected ones.

    Args:
        recording: What was measured.
        select: Codes, names or beginnings of codes (``"UV1"`` is all of propagation);
            None is every rule.
        rules: Rules to run instead of the built-in and the installed ones.

    Returns:
        One verdict a rule, in the order of the codes, each finding marked with the root it
        follows from. A rule that fails, a plug-in that
        does not load and a quantity that is missing all give `NotMeasured` with the
        reason.

    Raises:
        UnvanishError: If `select` names a rule that does not exist, or two rules claim
            one code.
    """
    pool = all_rules() if rules is None else Collected(_in_order(rules))
    chosen = choose(pool.members, select, also=pool.broken)
    verdicts = fold({rule.code: judge(rule, recording) for rule in chosen})
    names = {rule.code: rule.name for rule in chosen}
    for code, error in pool.broken.items():
        if select is None or any(_selects(word, code, "") for word in select):
            _log.warning("%s", error)
            verdicts[code] = NotMeasured(f"{error.what} ({error.where})")
            names[code] = "broken-plug-in"
    return Diagnosis(verdicts, names)


def choose(
    rules: Sequence[Rule], select: Sequence[str] | None, *, also: Iterable[str] = ()
) -> tuple[Rule, ...]:
    """Pick the rules that a selection names.

    Args:
        rules: The rules to pick from.
        select: Codes, names or beginnings of codes; None is every rule.
        also: Further codes that may be named although no rule stands behind them.

    Returns:
        The picked rules, in their own order, each once.

    Raises:
        UnvanishError: If a word of the selection fits no rule; it names the nearest ones.
    """
    if select is None:
        return tuple(rules)
    known = [*((rule.code, rule.name) for rule in rules), *((code, "") for code in also)]
    for word in select:
        if not any(_selects(word, code, name) for code, name in known):
            raise _unknown(word, known)
    return tuple(r for r in rules if any(_selects(word, r.code, r.name) for word in select))


def judge(rule: Rule, recording: Recording) -> Verdict:
    """Let one rule judge a recording, whatever the rule does.

    Args:
        rule: The rule.
        recording: What was measured.

    Returns:
        The rule's own verdict, or `NotMeasured` where a quantity that it needs is missing
        or where it failed. A rule that does not apply says so even without measurements.
    """
    missing = [quantity for quantity in Quantity if quantity in rule.needs - recording.measured()]
    return guarded(rule.code, lambda: rule.examine(recording), _words(missing))


def _in_order(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple(sorted(rules, key=lambda rule: rule.code))


def _selects(word: str, code: str, name: str) -> bool:
    wanted = word.strip().casefold()
    return bool(wanted) and (code.casefold().startswith(wanted) or name.casefold() == wanted)


def _unknown(word: str, known: Sequence[tuple[str, str]]) -> UnvanishError:
    words = {text.casefold(): text for pair in known for text in pair if text}
    near = difflib.get_close_matches(word.casefold(), words, n=3, cutoff=0.5)
    codes = [words[text] for text in near] or sorted(code for code, _ in known)
    return UnvanishError(
        f"there is no rule {word!r}",
        help=("nearest: " if near else "the codes are: ") + ", ".join(codes),
    )


def _words(missing: Sequence[Quantity]) -> str:
    return "; ".join(f"{q.value.replace('_', ' ')} ({GLOSSARY[q].meaning})" for q in missing)
