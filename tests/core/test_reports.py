"""A cure comes back from its file without losing a bit, and a damaged file says so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.show import cures

from unvanish.core.cures import Cure
from unvanish.core.errors import UnvanishError
from unvanish.core.packing import packer, unpacker
from unvanish.core.reports import decode_cure, encode_cure, holds_cure, load_cure, save_cure


def shown(thing: Cure) -> str:
    """Return everything a record holds; sets, whose order varies, in one order; nan like nan."""
    return re.sub(r"frozenset\(\{([^}]*)\}\)", lambda m: str(sorted(m[1].split(", "))), repr(thing))


@pytest.mark.parametrize("name", cures.EVERY)
def test_a_cure_comes_back(name: str, tmp_path: Path) -> None:
    cure = cures.EVERY[name]()
    save_cure(cure, tmp_path / "cure.json")
    assert shown(load_cure(tmp_path / "cure.json")) == shown(cure)
    assert holds_cure(tmp_path / "cure.json")


def test_a_subclass_is_saved_as_the_plain_record() -> None:
    class Larger(Cure):
        pass

    values = {name: getattr(cures.cure(), name) for name in Cure.__dataclass_fields__}
    assert shown(decode_cure(encode_cure(Larger(**values)))) == shown(cures.cure())


def damaged(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(encode_cure(cures.cure())))
    change(document)
    return document


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.pop("proof"), r"damaged: 'proof' is missing"),
        (lambda d: d.update(before=None), "damaged: before is no recording"),
        (lambda d: d.update(conclusion="splendid"), "damaged: 'splendid'"),
        (lambda d: d.update(seconds="long"), "damaged: 'long' is not a number"),
        (lambda d: d.update(schema=99), "written by a newer unvanish"),
        (lambda d: d.update(format="unvanish recording"), "this is not a cure of unvanish"),
        (lambda d: d["proof"].update(chosen="nobody"), "damaged: 'nobody' is missing"),
        (lambda d: d["proof"]["arms"].update(count=2), "does not have 2 values"),
        (lambda d: d["patch"].update(safety=1), "damaged: 1 is not a valid Safety"),
        (lambda d: d["before"].update(sites=3), "recording is damaged"),
    ],
)
def test_a_damaged_document_is_refused(
    change: Callable[[dict[str, Any]], object], said: str
) -> None:
    with pytest.raises(UnvanishError, match=said):
        decode_cure(damaged(change))


def test_a_file_that_is_no_cure(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for content in ("", "[1]", '{"format": "unvanish cure"', '{"a": 1}'):
        path.write_text(content)
        assert not holds_cure(path)
        with pytest.raises(UnvanishError, match=r"JSON|not a cure") as caught:
            load_cure(path)
        assert caught.value.where == str(path)
    with pytest.raises(UnvanishError, match="cannot be read: No such file"):
        load_cure(tmp_path / "gone.json")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnvanishError, match="cannot be read: it is not text"):
        load_cure(path)


def test_settings_keep_their_kind() -> None:
    advice = cures.advice()
    settings = advice.options[0].prescriptions[0].settings
    hint = type(advice)
    back = unpacker(hint)(json.loads(json.dumps(packer(hint)(advice))))
    assert back == advice
    kinds = {key: type(value) for key, value in back.options[0].prescriptions[0].settings.items()}
    assert kinds == {key: type(value) for key, value in settings.items()}


def test_the_chosen_arm_may_be_none() -> None:
    proof = replace(cures.proof(), chosen="")
    assert decode_cure(encode_cure(cures.cure(proof=proof))).proof == proof
