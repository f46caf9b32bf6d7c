"""Names that are used elsewhere lead to the remedies that are meant."""

import pytest

from unvanish.core.errors import UnvanishError
from unvanish.treat.aliases import ALIASES
from unvanish.treat.registry import remedies, remedy_of

NAMES = {remedy.name for remedy in remedies()}


def test_every_alias_leads_to_a_remedy_and_is_none() -> None:
    assert {name for named in ALIASES.values() for name in named} <= NAMES
    assert not ALIASES.keys() & NAMES


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("kaiming", "the nearest is he"),
        ("Kaiming_Normal", "the nearest is he"),
        ("glorot", "the nearest is xavier"),
        ("BatchNorm", "the nearest is batch-norm"),
        ("layernorm", "the nearest are layer-norm, recurrent-layer-norm"),
        ("skip connection", "the nearest is residual"),
        ("clip", "the nearest are clip-norm, clip-value"),
        ("xaviar", "the nearest is xavier"),
        ("qqqq", ""),
    ],
)
def test_the_nearest_are_told(asked: str, said: str) -> None:
    with pytest.raises(UnvanishError, match="there is no remedy") as raised:
        remedy_of(asked)
    assert raised.value.where == said
