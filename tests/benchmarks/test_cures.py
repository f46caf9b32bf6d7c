from __future__ import annotations

from benchmarks.cures import share

REACHED, MISSED = {"reached": True}, {"reached": False}


def test_a_share_is_of_the_patients_that_a_rival_was_tried_on():
    rows = [{"cure": REACHED, "by lot": MISSED}, {"cure": REACHED}, {"cure": MISSED}]
    assert share(rows, "by lot") == "0 of 1 (0.0 %)"
    assert share(rows[1:], "by lot") == ""


def test_a_patient_that_nothing_could_be_tried_on_counts_against_the_cure():
    assert share([{"cure": REACHED}, {"crash": "refused"}], "cure") == "1 of 2 (50.0 %)"
