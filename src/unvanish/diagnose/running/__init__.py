"""Rules on a watched training run: no torch, only numbers over steps."""

from unvanish.diagnose.running.judging import all_run_rules, diagnose_run, judge_run

__all__ = ["all_run_rules", "diagnose_run", "judge_run"]
