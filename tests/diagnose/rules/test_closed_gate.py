"""UV303: gates that are shut, gates that are only narrow, and routers with a favourite."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import unvanish
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Parameter, Recording, Role, Site
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.rules.closed_gate import ClosedGate
from unvanish.testing import recording_of

examine = ClosedGate().examine


def highway(opening: float | None, *, bias: float = 0.0, later: float | None = None) -> Recording:
    """linear - sigmoid - mul - linear, where the product also uses the input."""
    recording = recording_of(
        "linear",
        "linear",
        "sigmoid",
        "mul",
        "linear",
        profiles={Quantity.GATE_MEAN: [None, None, opening, None, None]},
        parameters=[Parameter(name="layers.1.bias", shape=(64,), rms=abs(bias))],
        later=None if later is None else highway(later),
    )
    return replace(recording, edges=(*recording.edges, Edge(0, 3, 0.0)))


def only(verdict: Verdict) -> Finding:
    assert isinstance(verdict, Found), verdict
    (finding,) = verdict.findings
    return finding


@pytest.mark.parametrize("opening", [0.5, 0.018, 1.0, 1.1e-3])
def test_a_narrow_gate_and_an_open_one_are_fine(opening: float) -> None:
    verdict = examine(highway(opening))
    assert isinstance(verdict, Clear)
    assert verdict.margin == pytest.approx(opening - 1e-3)


def test_a_shut_gate_is_found_with_its_bias() -> None:
    finding = only(examine(highway(4.5e-5, bias=-10.0)))
    assert finding.severity is Severity.ERROR
    assert finding.causes == (Cause.BIAS, Cause.SATURATION)
    assert "layers.1.bias" in finding.help[0]
    assert "0.0045 %" in finding.message
    assert only(examine(highway(4.5e-5))).causes[0] is Cause.INIT_TOO_LARGE
    assert "nothing" in only(examine(highway(0.0))).message


def test_a_gate_that_opens_within_the_probe_steps_is_fine() -> None:
    assert isinstance(examine(highway(5e-4, later=2e-3)), Clear)
    assert "still shut" in " ".join(only(examine(highway(5e-4, later=5e-4))).notes)


def test_what_is_no_gate() -> None:
    """A sigmoid that multiplies nothing, one that multiplies a constant, one at the output."""
    profiles = {Quantity.GATE_MEAN: [None, 1e-6, None]}
    assert isinstance(
        examine(recording_of("linear", "sigmoid", "linear", profiles=profiles)), NotApplicable
    )
    assert isinstance(
        examine(recording_of("linear", "sigmoid", "mul", profiles=profiles)), NotApplicable
    )
    recording = highway(1e-6)
    sites = list(recording.sites)
    sites[2] = replace(sites[2], is_output=True)
    assert isinstance(examine(replace(recording, sites=tuple(sites))), NotApplicable)
    sites[2] = replace(sites[2], is_output=False, role=Role.LOSS)
    assert isinstance(examine(replace(recording, sites=tuple(sites))), NotApplicable)


def test_a_gate_that_was_not_seen_is_not_measured() -> None:
    recording = highway(None)
    sites = list(recording.sites)
    sites[2] = replace(sites[2], gates=True)
    assert isinstance(examine(replace(recording, sites=tuple(sites))), NotMeasured)


def router(share: float, *, later: float | None = None, experts: int = 8) -> Recording:
    choose = Site(index=0, path="moe.gate", op="softmax", shape=(64, experts), depth=1)
    parameters = [
        Parameter(name=f"moe.experts.{k}.{name}", shape=shape)
        for k in range(8)
        for name, shape in (("weight", (16, 16)), ("bias", (16,)))
    ]
    return recording_of(
        "linear",
        choose,
        "mul",
        "linear",
        profiles={Quantity.SHUT_FRACTION: [None, share, None, None]},
        parameters=parameters,
        later=None if later is None else router(later),
    )


@pytest.mark.parametrize(
    ("shut", "severity"),
    [(0, None), (2, Severity.NOTE), (4, Severity.NOTE), (5, Severity.WARNING), (7, Severity.ERROR)],
)
def test_a_router_with_favourites(shut: int, severity: Severity | None) -> None:
    verdict = examine(router(shut / 8))
    if severity is None:
        assert isinstance(verdict, Clear)
    else:
        assert only(verdict).severity is severity
        assert f"{shut} of 8 experts" in only(verdict).message


def test_experts_that_come_back_are_fine() -> None:
    assert isinstance(examine(router(7 / 8, later=0.0)), Clear)


def test_a_softmax_over_something_else_is_no_router() -> None:
    assert isinstance(examine(router(0.9, experts=10)), NotApplicable)


# Real networks.


def check(model: nn.Module, x: Tensor, code: str = "UV303") -> Verdict:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    batch = x, torch.randint(0, 4, (len(x),))
    return unvanish.checkup(model, batch, select=[code]).diagnosis.verdicts[code]


class Highway(nn.Module):
    def __init__(self, bias: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.turns = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))
        self.gates = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))
        self.head = nn.Linear(16, 4)
        for gate in self.gates:
            nn.init.constant_(gate.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        for turn, gate in zip(self.turns, self.gates, strict=True):
            g = torch.sigmoid(gate(x))
            x = g * torch.relu(turn(x)) + (1 - g) * x
        return self.head(x)


@pytest.mark.parametrize("bias", [-1.0, -2.0, -4.0, 4.0])
def test_highway_networks_start_narrow_by_design(bias: float) -> None:
    assert isinstance(check(Highway(bias), torch.randn(32, 16)), Clear)


def test_a_highway_that_is_shut_is_found() -> None:
    finding = only(check(Highway(-10.0), torch.randn(32, 16)))
    assert finding.causes[0] is Cause.BIAS
    assert len(finding.sites) == 4


class Last(nn.Module):
    """A recurrent layer whose bias holds `value` in the rows of one gate."""

    def __init__(self, kind: type[nn.RNNBase], gate: int, value: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.head = kind(4, 16, batch_first=True), nn.Linear(16, 4)
        with torch.no_grad():
            self.rnn.bias_hh_l0.zero_()
            self.rnn.bias_ih_l0[16 * gate : 16 * (gate + 1)] = value

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


@pytest.mark.parametrize(
    ("kind", "gate", "value", "name"),
    [
        (nn.LSTM, 1, -5.0, "forget"),
        (nn.LSTM, 0, -10.0, "input"),
        (nn.LSTM, 3, -10.0, "output"),
        (nn.GRU, 1, -5.0, "update"),
    ],
)
def test_the_gates_inside_a_recurrent_layer_have_names(
    kind: type[nn.RNNBase], gate: int, value: float, name: str
) -> None:
    finding = only(check(Last(kind, gate, value), torch.randn(16, 12, 4)))
    assert f"the {name} gate of rnn is shut" in finding.message
    assert finding.severity is Severity.ERROR  # one shut gate of three shuts the cell
    assert finding.causes[0] is Cause.BIAS


@pytest.mark.parametrize(
    ("kind", "gate", "value"),
    [
        (nn.LSTM, 1, 0.0),
        (nn.LSTM, 1, 5.0),
        (nn.LSTM, 0, -math.log(200)),  # chrono initialisation shuts the input gate this far
        (nn.GRU, 1, 5.0),
    ],
)
def test_open_gates_and_chrono_initialisation_are_fine(
    kind: type[nn.RNNBase], gate: int, value: float
) -> None:
    assert isinstance(check(Last(kind, gate, value), torch.randn(16, 12, 4)), Clear)


@pytest.mark.parametrize("layers", [1, 2])
def test_biases_that_shut_a_gate_together_are_the_cause(layers: int) -> None:
    torch.manual_seed(0)
    model = nn.LSTM(4, 16, num_layers=layers, batch_first=True)
    for name, parameter in model.named_parameters():
        if name.endswith("_l0") and name.startswith("bias"):
            with torch.no_grad():
                parameter.zero_()[16:32] = -2.0
    finding = only(check(Read(model), torch.randn(16, 12, 4)))
    assert finding.causes == (Cause.BIAS, Cause.SATURATION)


class Read(nn.Module):
    """Scores of the last state of a recurrent layer."""

    def __init__(self, rnn: nn.RNNBase) -> None:
        super().__init__()
        self.rnn, self.head = rnn, nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


class Shifted(nn.Module):
    """A gate whose input is shifted by its bias, by a number in the code, or by its weights."""

    def __init__(self, by: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.by, self.turn, self.gate = by, nn.Linear(16, 16), nn.Linear(16, 16)
        self.head = nn.Linear(16, 4)
        with torch.no_grad():
            if by == "bias":
                self.gate.bias.fill_(-9.0)
            if by == "weight":
                self.gate.weight.abs_().mul_(-8.0)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.gate(x) - 9.0 if self.by == "code" else self.gate(x)
        return self.head(torch.sigmoid(scores) * torch.relu(self.turn(x)))


@pytest.mark.parametrize(
    ("by", "cause"),
    [("bias", Cause.BIAS), ("code", Cause.BIAS), ("weight", Cause.INIT_TOO_LARGE)],
)
def test_the_cause_is_what_makes_up_the_gate_s_input(by: str, cause: Cause) -> None:
    finding = only(check(Shifted(by), 1.0 + 0.3 * torch.randn(32, 16)))
    assert finding.causes[0] is cause


class TwoGatesAtOnce(nn.Module):
    """A gated unit that computes reset and update gate in one layer and takes them apart."""

    def __init__(self, update: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.gates, self.new = nn.Linear(20, 32), nn.Linear(20, 16)
        self.head = nn.Linear(16, 4)
        nn.init.constant_(self.gates.bias[16:], update)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(len(x), 16)
        for step in x.unbind(1):
            r, z = torch.sigmoid(self.gates(torch.cat([step, h], 1))).chunk(2, 1)
            h = z * h + (1 - z) * torch.tanh(self.new(torch.cat([step, r * h], 1)))
        return self.head(h)


def test_of_gates_computed_at_once_the_least_open_counts() -> None:
    finding = only(check(TwoGatesAtOnce(-6.0), torch.randn(16, 12, 4)))
    assert finding.measured < 0.01
    assert isinstance(check(TwoGatesAtOnce(2.0), torch.randn(16, 12, 4)), Clear)


class Blend(nn.Module):
    """A state that one gate keeps and renews at once, in each of the ways to write this down."""

    def __init__(self, form: str, keep: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.form = form
        self.gate, self.new = nn.Linear(20, 16), nn.Linear(20, 16)
        self.head = nn.Linear(16, 4)
        nn.init.constant_(self.gate.bias, keep if form.startswith("g * h") else -keep)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(len(x), 16)
        for step in x.unbind(1):
            seen = torch.cat([step, h], 1)
            g, n = torch.sigmoid(self.gate(seen)), torch.tanh(self.new(seen))
            h = {
                "g * h + (1 - g) * n": lambda h=h, g=g, n=n: g * h + (1 - g) * n,
                "g * h + ... in one product": lambda h=h, g=g, n=n: n + g * (h - n),
                "(1 - g) * h + g * n": lambda h=h, g=g, n=n: (1 - g) * h + g * n,
                "h + g * (n - h)": lambda h=h, g=g, n=n: h + g * (n - h),
            }[self.form]()
        return self.head(h)


@pytest.mark.parametrize(
    "form",
    [
        "g * h + (1 - g) * n",
        "g * h + ... in one product",
        "(1 - g) * h + g * n",
        "h + g * (n - h)",
    ],
)
def test_a_gate_that_keeps_and_renews_may_do_neither_too_much(form: str) -> None:
    x = torch.randn(16, 20, 4)
    assert isinstance(check(Blend(form, 0.0), x), Clear)
    assert isinstance(check(Blend(form, 4.6), x), Clear)  # a hundred steps of memory
    forgets, closed = only(check(Blend(form, -5.0), x)), only(check(Blend(form, 14.0), x))
    assert forgets.measured == pytest.approx(1 / (1 + math.exp(5)), rel=0.5)
    assert "of what is new" not in forgets.message
    assert closed.measured == pytest.approx(20 / (1 + math.exp(14)), rel=0.5)
    assert "of what is new in over 20 steps" in closed.message
    assert closed.causes[0] is Cause.BIAS
    assert "ln(steps) = 3.0" in closed.help[0]


def test_a_gru_that_keeps_everything_takes_nothing_in() -> None:
    finding = only(check(Last(nn.GRU, 1, 20.0), torch.randn(16, 20, 4)))
    assert (
        finding.message
        == "the update gate of rnn is shut: it lets nothing of what is new in over 20 steps"
    )
    assert finding.severity is Severity.ERROR


@pytest.mark.parametrize(("value", "steps"), [(8.0, 8), (9.0, 20), (10.0, 100)])
def test_a_state_that_starts_empty_and_takes_in_below_a_hundredth(value: float, steps: int) -> None:
    finding = only(check(Last(nn.GRU, 1, value), torch.randn(16, steps, 4)))
    assert finding.severity is Severity.WARNING
    assert finding.measured == pytest.approx(steps / (1 + math.exp(value)), rel=0.2)
    assert finding.limit == 1e-2
    assert finding.causes == (Cause.BIAS, Cause.SATURATION)
    assert "the state starts at zero" in " ".join(finding.notes)


@pytest.mark.parametrize(
    ("value", "steps"),
    [
        (1.0, 4),
        (5.0, 4),
        (5.0, 300),
        (math.log(8), 8),
        (math.log(800), 20),  # chrono initialisation for forty times the length that is shown
        (8.0, 300),
    ],
)
def test_long_memories_that_take_enough_in_are_fine(value: float, steps: int) -> None:
    assert isinstance(check(Last(nn.GRU, 1, value), torch.randn(8, steps, 4)), Clear)


def test_chrono_initialisation_of_a_gru_is_fine() -> None:
    model = Last(nn.GRU, 1, 0.0)
    with torch.no_grad():
        model.rnn.bias_ih_l0[16:32] = torch.empty(16).uniform_(1, 783).log()
    assert isinstance(check(model, torch.randn(8, 8, 4)), Clear)


class Raw(nn.Module):
    """A gated unit of bare tensors; what comes before and after the recurrence varies."""

    def __init__(self, keep: float, *, start: str = "zeros", end: str = "") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.start, self.end = start, end
        self.w_gate, self.w_new = (nn.Parameter(torch.randn(20, 16) / 5) for _ in range(2))
        self.b = nn.Parameter(torch.full((16,), keep))
        self.before, self.norm, self.head = nn.Linear(4, 16), nn.LayerNorm(16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.before(x.mean(1)) if self.start == "signal" else x.new_zeros(len(x), 16)
        for step in x.unbind(1):
            seen = torch.cat([step, h], 1)
            z = torch.sigmoid(seen @ self.w_gate + self.b)
            h = z * h + (1 - z) * torch.tanh(seen @ self.w_new)
        if self.end == "norm":
            h = self.norm(h)
        return self.head(h + self.before(x[:, 0]) if self.end == "added to" else h)


def test_a_cell_of_bare_tensors_that_writes_next_to_nothing() -> None:
    finding = only(check(Raw(8.0), torch.randn(16, 8, 4)))
    assert finding.severity is Severity.WARNING
    assert finding.causes[0] is Cause.BIAS
    assert "of what is new in over 8 steps" in finding.message
    assert only(check(Raw(12.0), torch.randn(16, 8, 4))).severity is Severity.ERROR


@pytest.mark.parametrize("change", [{"start": "signal"}, {"end": "norm"}, {"end": "added to"}])
def test_a_state_that_holds_more_or_is_brought_back_to_scale(change: dict[str, str]) -> None:
    """What is learnt of the sequence then passes the gate once, and a thousandth will do."""
    assert isinstance(check(Raw(8.0, **change), torch.randn(16, 8, 4)), Clear)
    assert only(check(Raw(12.0, **change), torch.randn(16, 8, 4))).limit == 1e-3


class Experts(nn.Module):
    def __init__(self, favour: float, scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.router = nn.Linear(16, 4)
        self.experts = nn.ModuleList(nn.Linear(16, 4) for _ in range(4))
        with torch.no_grad():
            self.router.bias[0] = favour
            self.router.weight *= scale

    def forward(self, x: Tensor) -> Tensor:
        best, chosen = self.router(x).softmax(-1).max(-1)
        out = torch.zeros(len(x), 4)
        for k, expert in enumerate(self.experts):
            (rows,) = (chosen == k).nonzero(as_tuple=True)
            if len(rows):
                out = out.index_add(0, rows, expert(x[rows]) * best[rows, None])
        return out


def test_a_router_that_knows_one_expert_is_found() -> None:
    assert isinstance(check(Experts(0.0), torch.randn(64, 16)), Clear)
    finding = only(check(Experts(30.0), torch.randn(64, 16)))
    assert finding.severity is Severity.ERROR
    assert "3 of 4 experts" in finding.message


def test_a_router_with_huge_weights_has_chosen_for_good() -> None:
    finding = only(check(Experts(0.0, scale=100.0), torch.randn(64, 16)))
    assert finding.causes == (Cause.SOFTMAX_SATURATION, Cause.INIT_TOO_LARGE)
    assert "chosen for good" in finding.message


def test_gates_that_are_parameters_are_left_to_others() -> None:
    class ReZero(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Linear(16, 16), nn.Linear(16, 4)
            self.gate = nn.Parameter(torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x + self.gate * torch.relu(self.layer(x)))

    assert isinstance(check(ReZero(), torch.randn(32, 16)), NotApplicable)
