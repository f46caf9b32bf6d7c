"""The command that is running, as errors name it."""

from __future__ import annotations

import pytest

from unvanish.core.verbs import run_as, running_verb


def test_a_block_runs_as_its_command_and_no_longer() -> None:
    assert running_verb() == "check"
    with run_as("fix"):
        assert running_verb() == "fix"
        with run_as("cure"):
            assert running_verb() == "cure"
        assert running_verb() == "fix"
    assert running_verb() == "check"


def test_a_block_that_fails_is_left() -> None:
    with pytest.raises(ValueError, match="no"), run_as("fix"):
        raise ValueError("no")
    assert running_verb() == "check"
