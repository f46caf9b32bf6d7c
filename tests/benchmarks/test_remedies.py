"""The table of remedy by sickness: what counts as gone, what is offered, what takes too long."""

from __future__ import annotations

import json
import math
import signal
import time

import pytest
from benchmarks.remedies import OutOfTimeError, document, limited
from benchmarks.remedies_page import (
    Results,
    agreement,
    by_sickness,
    counts,
    digest,
    middle,
    written,
)

LOOK = {
    "flow": -9.0,
    "alike": 1.0,
    "milliseconds": 2.0,
    "kept_bytes": 100,
    "parameters": 10,
    "unjudged": [],
}


def look(findings, **other):
    return {**LOOK, "findings": findings, **other}


def pair(patient, remedy, offered, findings, **other):
    gone = {"UV101", "UV502"} - set(findings)
    return {
        "patient": patient,
        "remedy": remedy,
        "offered": offered,
        "gone": sorted(gone),
        "come": [],
        "after": look(findings, **other),
        "cpu_seconds": 0.1,
    }


@pytest.fixture
def found():
    rows = [
        {"patient": "one", "before": look(["UV101", "UV502"], flow=-math.inf)},
        pair(
            "one",
            "he",
            ["UV101"],
            [],
            flow=-1.0,
            first_layer=[-1.0, -1.1, 0.2],
            profile_gap=0.1,
            wide_alike=[0.9, 0.8],
        ),
        pair("one", "muon", ["UV101", "UV502"], ["UV101"]),
        {"patient": "one", "remedy": "lsuv", "offered": ["UV101"], "failed": "a | b"},
        {"patient": "one", "remedy": "chrono", "offered": [], "refused": "no LSTM"},
        {"patient": "one", "cpu_seconds": 3.0},
        {"patient": "three", "before": look(["UV101", "UV505"])},
        pair("three", "muon", ["UV101"], ["UV101", "UV505"]),
        {"patient": "two", "before": look([])},
        pair("two", "he", [], []),
    ]
    return json.loads(document("python -m benchmarks.remedies", rows))


def line(found, remedy):
    results = Results(found)
    row = next(row for row in by_sickness(results) if row[0] == remedy)
    return dict(zip(("name", "kind", "cured", "worse", *results.codes), row, strict=True))


def test_a_finding_that_a_remedy_is_not_offered_for_stands_in_brackets(found):
    assert line(found, "he") == {
        "name": "he",
        "kind": "initialisation",
        "cured": "1 of 1",
        "worse": "",
        "UV101": "1/1",
        "UV502": "(1/1)",
        "UV505": "",
    }


def test_what_failed_counts_against_the_remedy_and_what_does_not_fit_does_not(found):
    assert line(found, "lsuv")["cured"] == "0 of 1"
    assert line(found, "lsuv")["UV101"] == "0/1"
    assert all(row[0] != "chrono" for row in by_sickness(Results(found)))
    assert counts(found) == {"patients": 3, "sound": 1, "pairs": 5, "failed": 1}


def test_the_digest_names_what_helps_and_what_never_does(found):
    assert digest(found) == [
        ["UV101 vanishing-gradient", "2", "he 1/1", "muon 0/2"],  # lsuv came to nothing once
        ["UV502 frozen-early-layers", "1", "muon 1/1", ""],
        ["UV505 gradient-trap", "1", "none fits", ""],
    ]


def test_theory_is_compared_only_where_the_network_is_another_one(found):
    near = agreement(found)
    assert (near["treated"], near["told"], near["within"]) == (2, 1, 1)
    assert near["decades"] == pytest.approx(0.1)
    assert near["cosine"] == pytest.approx(0.1)


def test_a_true_zero_survives_the_file_and_the_page(found):
    assert found["rows"][0]["before"]["flow"] == "-inf"
    assert middle(["-inf", None, -1.0, "-inf"]) == -math.inf
    page = written(found)
    assert "none → -1.0" in page
    assert "a \\| b" in page


@pytest.mark.skipif(not hasattr(signal, "SIGPROF"), reason="this system has no such timer")
def test_a_pair_is_stopped_when_its_time_is_up():
    def busy():
        while True:
            time.process_time()

    with pytest.raises(OutOfTimeError), limited(0.05):
        busy()
    assert signal.getitimer(signal.ITIMER_PROF)[0] == 0.0
    with limited(5.0):
        pass
