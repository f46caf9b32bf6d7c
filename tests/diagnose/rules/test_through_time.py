"""UV301: recurrences that forget, and those that only look as if they did."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import unvanish
from unvanish.core.conditions import DataTensor, RunContext
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.incidents import Truncation
from unvanish.core.places import SourceLine
from unvanish.core.records import Edge, Profile, Recording, Site
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.rules.through_time import VanishingThroughTime

examine = VanishingThroughTime().examine

LOSS, LAST = Quantity.LOG10_ACTIVATION_GRAD_RMS, Quantity.LOG10_LAST_STEP_GRAD_RMS


def recurrence(
    fed: Sequence[float],
    back: Sequence[float] | None = None,
    *,
    gated: bool = False,
    weights: str = "rnn.weight_hh_l0",
    start: int = 0,
) -> Recording:
    """Write down one recurrence: a matrix, an activation and, if gated, a product at each step."""
    ops = ("linear", "tanh", "mul") if gated else ("linear", "tanh")
    sites = []
    edges = []
    for k in range(len(fed)):
        for op in ops:
            at = start + len(sites)
            used = (weights,) if op == "linear" else ()
            sites.append(
                Site(index=at, path="rnn", op=op, call=k, depth=k + 1, weights=used, module="RNN")
            )
            if at > start:
                edges.append(Edge(at - 1, at, 0.0))
            if op == "mul":
                edges.append(Edge(at - 2, at, 0.0))
    calls = range(start, start + len(sites), len(ops))
    return Recording(
        sites=tuple(sites),
        edges=tuple(edges),
        profiles={
            LOSS: Profile(LOSS, dict(zip(calls, fed, strict=True))),
            LAST: Profile(LAST, dict(zip(calls, back or fed, strict=True))),
        },
        context=RunContext(loss="cross_entropy", loss_value=1.0),
    )


def falling(steps: int, decades: float) -> list[float]:
    """A gradient that loses as much at every step back."""
    return [-3.0 - decades * (steps - 1 - k) for k in range(steps)]


def only(verdict: Verdict) -> Finding:
    assert isinstance(verdict, Found), verdict
    (finding,) = verdict.findings
    return finding


@pytest.mark.parametrize(
    ("steps", "decades", "gated", "severity"),
    [
        (20, 0.25, False, None),  # 4.8 decades: rows of digits, character names
        (50, 0.25, False, Severity.NOTE),  # more than float32 sums keep, but not at half way
        (80, 0.25, False, Severity.WARNING),
        (400, 0.25, False, Severity.ERROR),
        (20, 0.2, True, None),
        (100, 0.2, True, Severity.NOTE),  # gates can open
        (200, 0.2, True, Severity.WARNING),
        (400, 0.2, True, Severity.ERROR),
    ],
)
def test_severity_where_the_loss_enters_at_the_end(
    steps: int, decades: float, gated: bool, severity: Severity | None
) -> None:
    verdict = examine(recurrence(falling(steps, decades), gated=gated))
    if severity is None:
        assert isinstance(verdict, Clear)
        assert verdict.margin == pytest.approx(24 * math.log10(2) - decades * (steps - 2))
        return
    finding = only(verdict)
    assert finding.severity is severity
    # The first call has no memory to read and does not count.
    assert finding.measured == pytest.approx(decades * (steps - 2))
    assert f"{int(3 / decades) + 1} of {steps} time steps" in finding.message


def telling(*, steps: int = 100, **errors: float) -> Recording:
    """A gated recurrence of 20 decades, and a sequence that tells of the target at some steps."""
    association = [errors.get("others", 0.0)] * steps
    for name, value in errors.items():
        if name != "others":
            association[int(name.removeprefix("step")) - 1] = value
    sequence = DataTensor(name="input", shape=(64, steps), association=tuple(association))
    return replace(recurrence(falling(100, 0.2), gated=True), data=(sequence,))


def test_an_answer_that_lies_out_of_reach_makes_it_a_warning() -> None:
    finding = only(examine(telling(step1=12.0)))
    assert finding.severity is Severity.WARNING
    assert finding.limit == pytest.approx(24 * math.log10(2))
    assert "step 1 of 100 tells of it, and no step that is heard does" in finding.notes[-1]
    assert "step 60 of 100" in only(examine(telling(step1=12.0, step60=6.0))).notes[-1]
    assert "pack_padded_sequence" in finding.help[0]
    read_on = only(examine(telling(step1=12.0, step100=-0.5)))
    assert "forget" in read_on.help[0] or "gate" in read_on.help[0]


@pytest.mark.parametrize(
    "errors",
    [
        {"step1": 4.0},  # nothing is sure
        {"step1": 12.0, "step99": 5.0},  # a late step tells of it, too
        {"step1": 12.0, "others": 1.0},  # and so do all of them together
        {"step80": 12.0},  # it is heard
        {"step1": 12.0, "steps": 50},  # another axis than that of the recurrence
    ],
)
def test_it_stays_a_note_where_the_answer_may_be_heard(errors: dict[str, Any]) -> None:
    assert only(examine(telling(**errors))).severity is Severity.NOTE


def test_a_loss_at_every_step_makes_it_a_note_that_says_how_far_the_memory_reaches() -> None:
    finding = only(examine(recurrence([-3.0] * 200, falling(200, 0.25))))
    assert finding.severity is Severity.NOTE
    assert "reaches 13 of 200 steps back" in finding.message
    assert "own loss" in finding.message


def test_a_gradient_that_grows_on_its_way_back_loses_nothing() -> None:
    verdict = examine(recurrence(falling(100, -0.3)))
    assert isinstance(verdict, Clear)
    assert verdict.margin == pytest.approx(24 * math.log10(2))


def test_steps_behind_the_last_that_the_loss_reads_are_padding() -> None:
    fed = [-2.0] * 60 + [-math.inf] * 40
    assert isinstance(examine(recurrence(fed, [-2.0] * 100)), Clear)


def test_an_exact_zero_is_the_greatest_loss() -> None:
    fed = [-math.inf] * 60 + falling(40, 0.9)
    finding = only(examine(recurrence(fed)))
    assert finding.severity is Severity.ERROR
    assert finding.measured == math.inf
    assert "all decades" in finding.message


def test_the_first_call_has_no_memory_to_read() -> None:
    """A gate that multiplies a state of zeros gets no gradient there."""
    fed = [-math.inf, *[-2.0] * 30]
    assert isinstance(examine(recurrence(fed)), Clear)


def test_a_second_direction_reads_what_the_first_has_forgotten() -> None:
    def both(steps: int) -> Verdict:
        there = recurrence(falling(steps, 0.25))
        back = recurrence(
            falling(steps, 0.25), weights="rnn.weight_hh_l0_reverse", start=len(there.sites)
        )
        return examine(
            Recording(
                sites=there.sites + back.sites,
                edges=there.edges + back.edges,
                profiles={
                    q: Profile(q, {**there[q].values, **back[q].values}) for q in (LOSS, LAST)
                },
            )
        )

    alone = examine(recurrence(falling(100, 0.25)))
    assert only(alone).severity is Severity.WARNING
    assert only(both(100)).severity is Severity.NOTE


def test_the_same_weights_over_two_sequences_are_two_recurrences() -> None:
    first = recurrence(falling(20, 0.25))
    second = recurrence(falling(20, 0.25), start=len(first.sites))
    later = tuple(replace(site, call=site.call + 20) for site in second.sites)
    together = Recording(
        sites=first.sites + later,
        profiles={q: Profile(q, {**first[q].values, **second[q].values}) for q in (LOSS, LAST)},
    )
    verdict = examine(together)
    assert isinstance(verdict, Clear)
    assert "20 time steps" in verdict.summary


def test_not_a_number_is_not_measured() -> None:
    assert isinstance(examine(recurrence([math.nan] * 30)), NotMeasured)


# Real networks.


class Reader(nn.Module):
    """A recurrent layer and a linear layer on what `read` makes of its output."""

    def __init__(self, rnn: nn.Module, read: Callable[[Tensor], Tensor], width: int = 16) -> None:
        super().__init__()
        self.rnn, self.read, self.head = rnn, read, nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.read(self.rnn(x)[0]))


def last(states: Tensor) -> Tensor:
    return states[:, -1]


def mean(states: Tensor) -> Tensor:
    return states.mean(1)


def check(model: nn.Module, steps: int, *, every_step: bool = False) -> Verdict:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    target = torch.randint(0, 4, (16, steps) if every_step else (16,))
    batch = (torch.randn(16, steps, 4), target)
    loss = (lambda o, y: nn.functional.cross_entropy(o.mT, y)) if every_step else None
    report = unvanish.checkup(model, batch, loss=loss, select=["UV301"], probe_steps=0)
    return report.diagnosis.verdicts["UV301"]


def rnn(kind: type[nn.RNNBase] = nn.RNN, **options: bool) -> nn.RNNBase:
    torch.manual_seed(0)
    return kind(4, 16, batch_first=True, **options)


def test_a_plain_rnn_over_a_hundred_steps_is_found() -> None:
    finding = only(check(Reader(rnn(), last), 100))
    assert finding.severity is Severity.WARNING
    assert finding.causes[0] is Cause.RECURRENCE
    assert "of 100 time steps" in finding.message
    assert any("weight_hh_l0" in line for line in finding.help)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_twenty_steps_are_few(kind: type[nn.RNNBase]) -> None:
    assert isinstance(check(Reader(rnn(kind), last), 20), Clear)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_fifty_steps_with_gates_are_no_more_than_a_note(kind: type[nn.RNNBase]) -> None:
    verdict = check(Reader(rnn(kind), last), 50)
    assert isinstance(verdict, Clear) or only(verdict).severity is Severity.NOTE


def test_an_lstm_over_two_hundred_steps_is_found_until_its_gates_start_open() -> None:
    model = Reader(rnn(nn.LSTM), last)
    finding = only(check(model, 200))
    assert finding.severity is Severity.WARNING
    hidden, memory = 16, math.log(200)
    assert f"bias_hh_l0[hidden:2 * hidden], {memory:.1f})" in finding.help[0]
    nn.init.constant_(model.rnn.bias_hh_l0[hidden : 2 * hidden], memory)  # taken literally
    assert isinstance(check(model, 200), Clear)


def test_a_mean_over_the_steps_feeds_every_step() -> None:
    finding = only(check(Reader(rnn(), mean), 100))
    assert finding.severity is Severity.NOTE


def test_a_loss_at_every_step_gets_a_note() -> None:
    finding = only(check(Reader(rnn(nn.GRU), lambda states: states), 60, every_step=True))
    assert finding.severity is Severity.NOTE
    assert "memory" in finding.message


class Loop(nn.Module):
    """A recurrence in plain linear layers; `gain` scales the recurrent matrix."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.enter, self.turn = nn.Linear(4, 16), nn.Linear(16, 16, bias=False)
        nn.init.orthogonal_(self.turn.weight, gain)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 16)
        for step in x.unbind(1):
            state = torch.tanh(self.enter(step) + self.turn(state))
        return self.head(state)


def test_a_loop_by_hand_is_found_with_its_small_weights() -> None:
    finding = only(check(Loop(0.2), 40))
    assert finding.severity is Severity.WARNING
    assert finding.causes == (Cause.INIT_TOO_SMALL, Cause.RECURRENCE)
    assert finding.sites[0].path == "turn"
    assert isinstance(check(Loop(1.0), 40), Clear)


def test_large_recurrent_weights_are_no_matter_of_forgetting() -> None:
    assert isinstance(check(Loop(3.0), 40), Clear)


class Tied(nn.Module):
    """One layer, applied again and again to the same input: depth, not time."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.turn, self.head = nn.Linear(4, 16), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        given = self.enter(x[:, 0])
        state = torch.zeros_like(given)
        for _ in range(60):
            state = torch.tanh(given + self.turn(state))
        return self.head(state)


def test_an_equilibrium_model_has_no_time() -> None:
    assert isinstance(check(Tied(), 5), NotApplicable)


def cut_loop(trained_steps: int) -> Recording:
    """A cell of 20 steps whose state is detached at every one of them."""
    cut = Truncation(
        op="gru_cell",
        path="cell",
        cut="detach",
        source=SourceLine("model.py", 7),
        parameters=("cell.weight_ih", "cell.weight_hh"),
        steps=20,
        trained_steps=trained_steps,
    )
    return Recording(truncations=(cut,))


@pytest.mark.parametrize(
    ("trained_steps", "severity"),
    [(1, Severity.WARNING), (9, Severity.WARNING), (10, Severity.NOTE), (20, Severity.NOTE)],
)
def test_a_state_detached_at_every_step(trained_steps: int, severity: Severity) -> None:
    finding = only(examine(cut_loop(trained_steps)))
    assert finding.severity is severity
    assert finding.causes[0] is Cause.DETACHED_GRAPH
    assert finding.message == (
        "the gradient reaches 1 of 20 time steps back in cell: detach at model.py:7 cuts it "
        "between all steps"
    )
    assert finding.sites[0].index == -1


def test_chunks_are_called_chunks() -> None:
    (cut,) = cut_loop(1).truncations
    finding = only(examine(Recording(truncations=(replace(cut, op="gru", path="rnn", steps=4),))))
    assert finding.message == (
        "the gradient reaches 1 of 4 chunks back in rnn: detach at model.py:7 cuts it between all "
        "chunks"
    )
    assert "3 of 4 chunks get no gradient at all" in finding.notes


def test_the_worse_of_a_cut_and_a_forgetful_loop_comes_first() -> None:
    forgetful = recurrence(falling(400, 0.25))
    verdict = examine(replace(forgetful, truncations=cut_loop(20).truncations))
    assert isinstance(verdict, Found)
    assert [finding.severity for finding in verdict.findings] == [Severity.ERROR, Severity.NOTE]


def test_cells_whose_calls_hang_together_out_of_sight_are_not_measured() -> None:
    def cells(depths: Sequence[int]) -> Recording:
        sites = tuple(
            Site(index=i, path="cell", op="linear", function="gru_cell", depth=d, weights=("w",))
            for i, d in enumerate(depths)
        )
        probe = Quantity.LOG10_PROBE_GRAD_RMS
        return Recording(sites=sites, profiles={probe: Profile(probe, {0: -1.0})})

    assert isinstance(examine(cells([1, 1, 1, 1])), NotMeasured)
    assert isinstance(examine(cells([1, 2, 3, 4])), NotApplicable)  # fed by nothing new: depth
    assert isinstance(examine(cells([1, 1, 1])), NotApplicable)


def test_a_loop_that_detaches_its_state_is_found_and_a_loss_at_every_step_is_a_note() -> None:
    class Forgetful(nn.Module):
        def __init__(self, *, every_step: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.every_step = every_step
            self.cell, self.head = nn.GRUCell(4, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            state, states = torch.zeros(len(x), 8), []
            for step in x.unbind(1):
                state = self.cell(step, state.detach())
                states.append(state)
            return self.head(torch.stack(states).mean(0) if self.every_step else state)

    torch.manual_seed(0)
    batch = torch.randn(8, 12, 4), torch.randint(0, 3, (8,))
    for every_step, severity in ((False, Severity.WARNING), (True, Severity.NOTE)):
        report = unvanish.checkup(Forgetful(every_step=every_step), batch, select=["UV301"])
        assert only(report.diagnosis.verdicts["UV301"]).severity is severity


class Leaky(nn.Module):
    """A state that fades by a factor, with the last step or all of them to learn from."""

    def __init__(self, keep: float, *, learned: bool = False, every_step: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.enter, self.head = nn.Linear(4, 16), nn.Linear(16, 4)
        keeps = torch.logit(torch.full((16,), keep))
        self.keep = nn.Parameter(keeps, requires_grad=learned)
        self.every_step = every_step

    def forward(self, x: Tensor) -> Tensor:
        keep, state, seen = torch.sigmoid(self.keep), torch.zeros(len(x), 16), []
        for step in self.enter(x).unbind(1):
            state = keep * state + step
            seen.append(state)
        return self.head(torch.stack(seen).mean(0) if self.every_step else state)


@pytest.mark.parametrize("learned", [False, True])
def test_a_state_that_fades_fast_is_found_and_one_that_fades_slowly_is_fine(learned: bool) -> None:
    finding = only(check(Leaky(0.5, learned=learned), 60))
    assert finding.severity is Severity.WARNING
    assert finding.causes == (Cause.RECURRENCE,)
    assert finding.measured == pytest.approx(58 * math.log10(2), abs=0.3)
    assert "1 - 1 / steps = 0.983" in finding.help[0]
    assert isinstance(check(Leaky(0.98, learned=learned), 60), Clear)
    assert only(check(Leaky(0.5, learned=learned, every_step=True), 60)).severity is Severity.NOTE


def test_fading_states_of_all_speeds_remember_by_the_slowest() -> None:
    net = Leaky(0.5, learned=True)
    with torch.no_grad():
        net.keep.copy_(torch.logit(torch.linspace(0.05, 0.99, 16)))
    assert isinstance(check(net, 60), Clear)


def test_two_fading_states_on_two_lines_are_told_apart() -> None:
    class Two(Leaky):
        def forward(self, x: Tensor) -> Tensor:
            fast, slow = torch.zeros(len(x), 16), torch.zeros(len(x), 16)
            for step in self.enter(x).unbind(1):
                fast = 0.5 * fast + step
                slow = 0.98 * slow + fast
            return self.head(slow)

    assert isinstance(check(Two(0.5), 60), Found)  # the fast one forgets, the slow one does not
    assert only(check(Two(0.5), 60)).severity is Severity.NOTE
