"""One rule's verdict, whatever the rule does."""

from __future__ import annotations

import logging
from collections.abc import Callable

from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict

_log = logging.getLogger(__name__)


def guarded(code: str, examine: Callable[[], object], missing: str) -> Verdict:
    """Let a rule judge, and never crash or stay silent.

    Args:
        code: Code of the rule, for the log.
        examine: The rule on what it judges.
        missing: What it needs and was not measured; empty where nothing is missing.

    Returns:
        The rule's own verdict, or `NotMeasured` where a quantity that it needs is missing or
        where it failed. A rule that does not apply says so even without measurements.
    """
    try:
        verdict = examine()
    except Exception as error:  # a plug-in may raise anything; the other rules go on
        if missing:
            return NotMeasured(missing)
        _log.exception("rule %s failed", code)
        return NotMeasured(f"the rule failed: {type(error).__name__}: {error}")
    if not isinstance(verdict, Clear | Found | NotApplicable | NotMeasured):
        return NotMeasured(f"the rule failed: it returned {type(verdict).__name__}, no verdict")
    if missing and isinstance(verdict, Clear | Found):
        return NotMeasured(missing)
    return verdict
