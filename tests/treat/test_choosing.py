"""Which remedies are tried."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from unvanish.core.verdicts import NotApplicable
from unvanish.testing import recording_of
from unvanish.treat.choosing import fitting
from unvanish.treat.protocol import Case, Remedy


def remedy(name: str, assess: Any) -> Remedy:
    return cast(Remedy, SimpleNamespace(name=name, treats={"UV101"}, assess=assess))


def fails(_: Case) -> NotApplicable:
    raise IndexError("tuple index out of range")


def test_a_remedy_that_fails_is_named_and_the_others_go_on() -> None:
    case = cast(Case, SimpleNamespace(codes={"UV101"}, recording=recording_of("linear")))
    refuses = remedy("refuses", lambda _: NotApplicable("no layer"))
    found, refused = fitting([remedy("broken", fails), refuses], case, wanted=False)
    assert found == []
    assert refused["refuses"] == "no layer"
    assert "please report it: IndexError" in refused["broken"]
    with pytest.raises(IndexError):
        fitting([remedy("broken", fails)], case, wanted=True)
