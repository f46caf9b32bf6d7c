"""Recordings and diagnoses come back from JSON without losing a bit."""

from __future__ import annotations

import json
import math
import random
import time
from dataclasses import replace

import pytest

from unvanish.core.codec import (
    decode_diagnosis,
    decode_recording,
    encode_diagnosis,
    encode_recording,
    from_text,
    load,
    save,
    to_text,
)
from unvanish.core.conditions import Optimizer, RunContext
from unvanish.core.errors import UnvanishError
from unvanish.core.findings import Cause, Chart, Diagnosis, Finding, Mark, Point, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.incidents import Gap
from unvanish.core.places import SourceLine
from unvanish.core.records import SCHEMA, Edge, Parameter, Profile, Recording, Role, Site, Use
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured
from unvanish.testing import recording_of

NUMBERS = [0.0, -0.0, 1.0, -850.25, 0.1 + 0.2, 5e-324, 1.7e308, math.inf, -math.inf, math.nan]


def random_recording(seed: int, *, nested: bool = True) -> Recording:
    """Make a recording in which every field takes ordinary and extreme values."""
    rng = random.Random(seed)
    count = rng.randint(0, 40)
    number = lambda: rng.choice([*NUMBERS, rng.gauss(0, 1), rng.gauss(0, 1) * 1e-200])  # noqa: E731
    flag = lambda: rng.random() < 0.5  # noqa: E731
    word = lambda: rng.choice(["", "layers.3", "größe ∂L", 'quo"te', "nan", "inf"])  # noqa: E731
    line = lambda: SourceLine(word(), rng.randint(1, 999), word()) if flag() else None  # noqa: E731
    sites = tuple(
        Site(
            index=index,
            path=word(),
            op=word(),
            call=rng.randint(0, 3),
            depth=rng.randint(0, 9),
            role=rng.choice(list(Role)),
            size=rng.randint(1, 2**40),
            shape=tuple(rng.randint(1, 9) for _ in range(rng.randint(0, 4))),
            module=word(),
            function=word(),
            source=line(),
            built=line(),
            weights=tuple(word() for _ in range(rng.randint(0, 2))),
            is_output=flag(),
            gates=flag(),
            can_saturate=flag(),
            slope_cap=number(),
            opaque=flag(),
        )
        for index in range(count)
    )
    place = lambda: rng.randrange(count)  # noqa: E731
    some = range(count and rng.randint(0, 60))
    return Recording(
        sites=sites,
        edges=tuple(Edge(place(), place(), number(), number()) for _ in some),
        profiles={
            quantity: Profile(quantity, {index: number() for index in range(count) if flag()})
            for quantity in rng.sample(list(Quantity), rng.randint(0, len(Quantity)))
        },
        parameters=tuple(
            Parameter(
                name=word(),
                aliases=(word(),) if flag() else (),
                shape=(3, 4),
                requires_grad=flag(),
                in_optimizer=rng.choice([None, True, False]),
                rms=number(),
                log10_grad_rms=number(),
                underflow_fraction={"float16": number()} if flag() else {},
                uses=tuple(Use(place(), number()) for _ in range(2)) if count else (),
                update_ratio=number(),
            )
            for _ in range(rng.randint(0, 5))
        ),
        context=RunContext(
            seed=rng.randint(0, 2**60),
            autocast=word(),
            loss_value=number(),
            optimizer=Optimizer(name="AdamW", lr=number(), betas=(0.9, number()))
            if flag()
            else None,
            modules={"Linear": 30} if flag() else {},
            inferred=(word(),),
            versions={"torch": "2.13.0"},
        ),
        gaps=(Gap(word(), word(), place() if count and flag() else None),),
        later=random_recording(seed + 1000, nested=False) if nested and flag() else None,
    )


@pytest.mark.parametrize("seed", range(60))
def test_a_recording_round_trips_exactly(seed):
    recording = random_recording(seed)
    text = to_text(encode_recording(recording))
    # `repr` tells nan from nan-free, 0.0 from -0.0, tuples from lists, 1 from 1.0.
    assert repr(decode_recording(from_text(text))) == repr(recording)
    assert to_text(encode_recording(decode_recording(from_text(text)))) == text


def test_a_diagnosis_round_trips_exactly():
    finding = Finding(
        code="UV101",
        name="vanishing-gradient",
        severity=Severity.ERROR,
        message="the gradient vanishes",
        sites=(Site(index=3, path="a", op="tanh", source=SourceLine("m.py", 7)),),
        parameters=("a.weight",),
        measured=math.inf,
        causes=(Cause.ACTIVATION_SLOPE, Cause.BIAS),
        notes=("one",),
        chart=Chart("title", (Point("a", -math.inf, Mark.STARVED, "x"),), "factor"),
    )
    diagnosis = Diagnosis(
        {
            "UV101": Found((finding, replace(finding, chart=None))),
            "UV102": Clear(),
            "UV201": NotApplicable("no activation"),
            "UV202": NotMeasured("dead fraction"),
        },
        {"UV101": "vanishing-gradient"},
    )
    text = to_text(encode_diagnosis(diagnosis))
    assert repr(decode_diagnosis(from_text(text))) == repr(diagnosis)


def test_the_text_is_strict_json_and_numbers_that_json_lacks_are_words():
    recording = recording_of("linear", profiles={Quantity.LOG10_ACTIVATION_GRAD_RMS: [-math.inf]})
    document = json.loads(
        to_text(encode_recording(recording)), parse_constant=lambda word: pytest.fail(word)
    )
    assert document["profiles"]["log10_activation_grad_rms"] == {"sites": [0], "values": ["-inf"]}
    assert document["schema"] == SCHEMA


def test_save_and_load(tmp_path):
    recording = recording_of("linear", "tanh", "linear")
    save(recording, tmp_path / "run.json")
    assert repr(load(tmp_path / "run.json")) == repr(recording)


def test_a_recording_of_thirty_thousand_sites_is_small_and_loads_fast(tmp_path):
    source = SourceLine("model.py", 14, "forward")
    steps = [
        Site(index=0, path=f"layers.{i}", op="tanh", shape=(256, 64), source=source)
        for i in range(30_000)
    ]
    big = recording_of(
        *steps, profiles={Quantity.LOG10_ACTIVATION_GRAD_RMS: [-i / 7 for i in range(30_000)]}
    )
    save(big, tmp_path / "big.json")
    assert (tmp_path / "big.json").stat().st_size < 4e6
    start = time.process_time()
    loaded = load(tmp_path / "big.json")
    assert time.process_time() - start < 3.0
    assert loaded.sites == big.sites
    assert loaded.edges == big.edges


def test_a_newer_schema_is_refused_by_name():
    document = encode_recording(recording_of("linear")) | {"schema": SCHEMA + 1}
    with pytest.raises(UnvanishError, match="written by a newer unvanish: its schema is 2"):
        decode_recording(document)
    diagnosis = encode_diagnosis(Diagnosis()) | {"schema": SCHEMA + 1}
    with pytest.raises(UnvanishError, match="the diagnosis was written by a newer unvanish"):
        decode_diagnosis(diagnosis)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "something else"}, "not a recording of unvanish"),
        ({"schema": "1"}, "no valid schema number, but '1'"),
        ({"sites": {"count": 1}}, "damaged: 'index' is missing"),
        (
            {"sites": {"count": 1, "index": [5], "path": ["a"], "op": ["b"]}},
            "not numbered in order",
        ),
        ({"sites": {"count": 0, "colour": []}}, "Site has no field 'colour'"),
        ({"edges": {"count": 1, "producer": [0], "consumer": [9], "log10_gain": [0]}}, "outside"),
        ({"edges": {"count": 2, "producer": [0], "consumer": [0], "log10_gain": [0]}}, "2 values"),
        ({"profiles": {"slope_rms": {"sites": [0], "values": ["big"]}}}, "'big' is not a number"),
        ({"profiles": {"colour": {"sites": [], "values": []}}}, "'colour' is not a valid Quantity"),
        ({"gaps": 3}, "3 is not of type dict"),
        ({"context": {"seed": 1.5}}, "1.5 is not of type int"),
    ],
)
def test_a_damaged_recording_is_refused_with_the_reason(change, message):
    document = encode_recording(recording_of("linear")) | change
    with pytest.raises(UnvanishError, match=message):
        decode_recording(document)


def test_a_damaged_diagnosis_is_refused_with_the_reason():
    document = encode_diagnosis(Diagnosis()) | {"verdicts": {"UV101": {"kind": "fine"}}}
    with pytest.raises(UnvanishError, match="the diagnosis is damaged: 'fine' is missing"):
        decode_diagnosis(document)
    with pytest.raises(UnvanishError, match="not a diagnosis of unvanish"):
        decode_diagnosis({})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ('{"a": NaN}', "the bare word NaN is not JSON"),
        ("[1]", "not a recording or a diagnosis"),
    ],
)
def test_text_that_is_no_document_is_refused(text, message, tmp_path):
    with pytest.raises(UnvanishError, match=message):
        from_text(text)
    (tmp_path / "bad.json").write_text(text, encoding="utf-8")
    with pytest.raises(UnvanishError, match=r"(?s)bad\.json"):
        load(tmp_path / "bad.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UnvanishError, match=r"cannot be read: No such file"):
        load(tmp_path / "gone.json")
    (tmp_path / "model.pt").write_bytes(b"\x80\x02\xff")
    with pytest.raises(UnvanishError, match=r"cannot be read: it is not text"):
        load(tmp_path / "model.pt")
