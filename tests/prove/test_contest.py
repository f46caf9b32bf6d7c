from __future__ import annotations

import math

from unvanish.core.prescriptions import Change, Option, Prescription
from unvanish.prove.contest import CONTROL, Entry, best_rates, beyond, final_rates, gains, ranked

RATES = (1.0, 0.1, 10.0)
SMALL = Entry(remedies=("he",), size=(0.0, 1.0, 3.0))
LARGE = Entry(remedies=("he", "batch-norm"), size=(0.0, 2.0, 11.0))


def scores(table):
    return lambda entry, rate: table.get((entry, rate), -math.inf)


def test_the_best_rate_of_each_entry_is_found():
    score = scores({(CONTROL, 1.0): 0.1, (SMALL, 0.1): 0.8, (SMALL, 1.0): 0.3})
    assert best_rates(dict.fromkeys([CONTROL, SMALL, LARGE], RATES), score) == {
        CONTROL: 1.0,
        SMALL: 0.1,
    }


def test_of_equal_rates_the_users_own_is_kept():
    score = scores({(SMALL, rate): 0.5 for rate in RATES})
    assert best_rates({SMALL: RATES}, score) == {SMALL: 1.0}


def test_the_sweep_goes_on_where_its_end_did_best_or_every_rate_diverged():
    at = {(CONTROL, 1.0): 0.1, (CONTROL, 0.1): 0.1, (CONTROL, 10.0): 0.3}
    assert beyond(CONTROL, RATES, scores(at)) == 100.0
    assert beyond(CONTROL, (*RATES, 100.0), scores(at | {(CONTROL, 100.0): 0.4})) == 1000.0
    assert beyond(CONTROL, (*RATES, 100.0), scores(at | {(CONTROL, 100.0): 0.2})) is None
    assert beyond(CONTROL, RATES, scores(at | {(CONTROL, 0.1): 0.5})) == 0.01
    assert beyond(CONTROL, RATES, scores(at | {(CONTROL, 1.0): 0.5})) is None
    assert beyond(CONTROL, RATES, scores({})) == 0.01


def test_the_sweep_ends_four_decades_off():
    rates = (1.0, 0.1, 10.0, 1e2, 1e3, 1e4)
    assert beyond(CONTROL, rates, scores({(CONTROL, 1e4): 1.0})) is None
    assert beyond(CONTROL, (1.0, 1e-4), scores({})) is None


def test_a_further_rate_lies_on_the_better_side():
    up = scores({(SMALL, 0.1): 0.2, (SMALL, 1.0): 0.9, (SMALL, 10.0): 0.8})
    down = scores({(SMALL, 0.1): 0.8, (SMALL, 1.0): 0.9})
    assert final_rates(SMALL, 1.0, RATES, up) == (1.0, 3.2)
    assert final_rates(SMALL, 1.0, RATES, down) == (1.0, 0.32)


def test_at_the_edge_of_the_sweep_a_rate_beyond_it_is_tried_too():
    low = scores({(CONTROL, 1.0): 0.1, (SMALL, 0.1): 0.9, (SMALL, 1.0): 0.2})
    high = scores({(CONTROL, 1.0): 0.1, (SMALL, 10.0): 0.9, (SMALL, 1.0): 0.2})
    assert final_rates(SMALL, 0.1, RATES, low) == (0.1, 0.32, 0.032)
    assert final_rates(SMALL, 10.0, RATES, high) == (10.0, 3.2, 32.0)


def test_the_smallest_change_among_the_good_ones_comes_first_and_the_best_second():
    table = {(CONTROL, 1.0): 0.1, (SMALL, 1.0): 0.94, (LARGE, 1.0): 0.95}
    assert ranked(list(table), scores(table)) == [(SMALL, 1.0), (LARGE, 1.0)]


def test_a_smaller_change_that_is_worse_does_not_come_first():
    table = {(CONTROL, 1.0): 0.1, (SMALL, 1.0): 0.8, (LARGE, 1.0): 0.95}
    assert ranked(list(table), scores(table))[0] == (LARGE, 1.0)


def test_the_control_at_another_rate_is_the_smallest_change():
    table = {(CONTROL, 1.0): 0.1, (CONTROL, 0.1): 0.95, (SMALL, 1.0): 0.95}
    assert ranked(list(table), scores(table))[0] == (CONTROL, 0.1)


def test_a_rate_that_is_far_off_is_a_larger_change_than_one_remedy():
    table = {(CONTROL, 1.0): 0.1, (CONTROL, 1e3): 0.95, (LARGE, 1.0): 0.95}
    assert ranked(list(table), scores(table))[0] == (CONTROL, 1e3)
    table[SMALL, 1.0] = 0.95
    assert ranked(list(table), scores(table))[0] == (SMALL, 1.0)
    table[CONTROL, 10.0] = 0.96
    assert ranked(list(table), scores(table))[0] == (CONTROL, 10.0)


def test_the_control_as_it_is_never_comes_into_question():
    table = {(CONTROL, 1.0): 0.9, (SMALL, 1.0): 0.2}
    assert ranked(list(table), scores(table)) == [(SMALL, 1.0)]


def test_the_users_own_rate_is_kept_where_it_is_as_good():
    table = {(CONTROL, 1.0): 0.1, (SMALL, 1.0): 0.94, (SMALL, 0.1): 0.95}
    assert ranked(list(table), scores(table)) == [(SMALL, 1.0)]


def test_the_users_own_rate_gets_a_full_run_where_it_came_close():
    near = {(CONTROL, 1.0): 0.1, (SMALL, 0.1): 0.9, (SMALL, 1.0): 0.85}
    assert final_rates(SMALL, 0.1, RATES, scores(near)) == (0.1, 0.32, 0.032, 1.0)
    far = {(CONTROL, 1.0): 0.1, (SMALL, 0.1): 0.9, (SMALL, 1.0): 0.3}
    assert 1.0 not in final_rates(SMALL, 0.1, RATES, scores(far))


def test_each_entry_comes_once_at_its_best_rate():
    table = {(CONTROL, 1.0): 0.1, (SMALL, 1.0): 0.5, (SMALL, 0.1): 0.9}
    assert ranked(list(table), scores(table)) == [(SMALL, 0.1)]


def test_entries_that_never_came_through_are_left_out():
    table = {(CONTROL, 1.0): 0.1, (SMALL, 1.0): -math.inf}
    assert ranked(list(table), scores(table)) == []


def test_a_control_that_diverges_is_the_floor_of_nobody():
    table = {(CONTROL, 1.0): -math.inf, (SMALL, 1.0): 0.5, (LARGE, 1.0): 0.9}
    assert ranked(list(table), scores(table))[0] == (LARGE, 1.0)


def test_the_size_of_an_entry_is_what_cannot_be_written_then_remedies_then_what_they_touch():
    def option(*changes, written=True):
        return Option(
            remedies=tuple(change.value for change in changes),
            prescriptions=tuple(Prescription(remedy="r", why="w", change=c) for c in changes),
            can_be_written=written,
        )

    start = Entry.of(option(Change.INITIALISATION))
    norm = Entry.of(option(Change.NORMALISATION))
    both = Entry.of(option(Change.INITIALISATION, Change.ACTIVATION))
    assert CONTROL.size < start.size < norm.size < both.size
    assert both.size < Entry.of(option(Change.INITIALISATION, written=False)).size


def test_a_control_at_another_rate_is_worth_a_proof_only_where_it_gains_something():
    table = {(CONTROL, 1.0): 0.1, (CONTROL, 0.1): 0.12, (CONTROL, 10.0): 0.4, (SMALL, 1.0): 0.9}
    assert not gains((CONTROL, 0.1), (SMALL, 1.0), scores(table))
    assert gains((CONTROL, 10.0), (SMALL, 1.0), scores(table))
    assert not gains((CONTROL, 10.0), (SMALL, 0.1), scores(table))
