"""Settings: read from words and numbers, refused with the literal call to make."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from unvanish.core.errors import UnvanishError
from unvanish.learn.settings import filled, number, one_of, options, seed, whole


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Some settings."""

    depth: int = whole(3, least=1, most=9, meaning="layers")
    learning_rate: float = number(0.1, least=0.001, most=10, meaning="rate")
    init: str = one_of("he", ("he", "unit-variance"), meaning="start")
    seed: int = seed()


def test_words_and_numbers_are_read() -> None:
    given = {"depth": "5", "learning-rate": "1e-2", "init": "Unit_Variance", "seed": 7}
    assert filled(Settings, given, lesson="x") == Settings(
        depth=5, learning_rate=0.01, init="unit-variance", seed=7
    )
    assert filled(Settings, {"depth": 4.0}, lesson="x").depth == 4


@pytest.mark.parametrize(
    ("given", "said", "helped"),
    [
        ({"depth": 0}, "takes a whole number, 1 to 9, and not 0", "--depth 1"),
        ({"depth": True}, "takes a whole number", "--depth 1"),
        ({"depth": 2.5}, "takes a whole number", "--depth 2"),
        ({"learning_rate": "inf"}, "takes a number, 0.001 to 10, and not inf", "--learning-rate"),
        ({"learning_rate": 0.0}, "takes a number", "--learning-rate 0.001"),
        ({"init": "hee"}, "can be he, unit-variance, and not hee", "--init he"),
        ({"dpeth": 3}, "has no setting --dpeth", "--depth VALUE"),
    ],
)
def test_what_is_not_legal_is_refused(given: dict[str, object], said: str, helped: str) -> None:
    with pytest.raises(UnvanishError, match=said) as caught:
        filled(Settings, given, lesson="x")
    assert helped in caught.value.help


def test_options_know_value_default_and_range() -> None:
    depth, rate, init, last = options(Settings(depth=5))
    assert (depth.value, depth.default, depth.legal, depth.meaning) == (5, 3, "1 to 9", "layers")
    assert rate.legal == "0.001 to 10"
    assert init.legal == "he, unit-variance"
    assert last.legal == "0 to 999999"
