"""From a recording to verdicts: the rules, one a file, and what runs them."""

from unvanish.diagnose.run import all_rules, choose, diagnose, judge

__all__ = ["all_rules", "choose", "diagnose", "judge"]
