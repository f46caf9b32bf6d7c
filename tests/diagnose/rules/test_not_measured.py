"""UV901: gaps are said aloud."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Severity
from unvanish.core.glossary import Quantity
from unvanish.core.incidents import Gap
from unvanish.core.records import Recording
from unvanish.core.verdicts import Clear, Found, NotMeasured
from unvanish.diagnose.rules.not_measured import CouldNotMeasure
from unvanish.observe import trace
from unvanish.testing import recording_of

examine = CouldNotMeasure().examine


def look(*gaps: Gap, gradient: bool = True) -> Recording:
    profiles = {Quantity.LOG10_ACTIVATION_GRAD_RMS: [-1.0, -1.0]} if gradient else {}
    return recording_of("lstm", "linear", profiles=profiles, gaps=gaps)


def only(verdict):
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    return finding


def test_no_gaps_is_clear():
    assert examine(look()) == Clear(summary="everything that was looked for was seen")


def test_a_gap_is_a_note_while_the_rest_was_judged():
    finding = only(examine(look(Gap("the inside of LSTM", "it is one step", 0))))
    assert finding.severity is Severity.NOTE
    assert finding.message == "the inside of LSTM could not be measured: it is one step"
    assert finding.sites[0].op == "lstm"


def test_each_reason_is_said_once():
    gaps = [Gap("the inside of LSTM", "it is one step", 0)] * 3 + [Gap("the probe", "it failed")]
    finding = only(examine(look(*gaps)))
    assert finding.measured == 4.0
    assert finding.message.endswith("(1 more could not)")
    assert finding.notes == ("the probe could not be measured: it failed",)


def test_without_the_gradient_over_depth_it_is_a_warning():
    assert only(examine(look(gradient=False))).severity is Severity.WARNING
    gap = Gap("the gradient over depth", "the backward pass raised")
    finding = only(examine(look(gap, gradient=False)))
    assert finding.severity is Severity.WARNING
    assert finding.measured == 1.0
    assert only(examine(look(gap))).severity is Severity.WARNING
    gap = Gap("gradients below the range of the measured type", "a copy could not be probed")
    assert only(examine(look(gap))).severity is Severity.WARNING


def test_an_empty_recording_is_not_measured():
    assert isinstance(examine(Recording()), NotMeasured)


class Layers(nn.Module):
    """Layers by hand on a table that no code can be seen to hold."""

    def __init__(self, *, bends: bool = True, depth: int = 3) -> None:
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(torch.randn(6, 6)) for _ in range(depth))
        self.bends = bends

    def forward(self, rows: Tensor) -> Tensor:
        h = next(_tables())
        for weight in self.weights:
            h = torch.tanh(h @ weight) if self.bends else h @ weight
        return h[rows]


class Generated(nn.Module):
    """Most weights are made of a code, and multiply the data."""

    def __init__(self) -> None:
        super().__init__()
        self.code = nn.Parameter(torch.randn(6, 4))
        self.a, self.b = nn.Parameter(torch.randn(4, 8)), nn.Parameter(torch.randn(8, 6))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x @ (torch.tanh(self.code @ self.a) @ self.b))


class Table:
    """Shows its rows to nobody but who asks for them."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))


TABLE = Table()


def _tables() -> Iterator[Tensor]:
    yield TABLE.rows


def test_layers_that_no_data_was_seen_to_feed_are_a_warning():
    batch = torch.arange(8), torch.randint(0, 3, (8,))
    finding = only(examine(trace(Layers(), batch, probe_steps=0)))
    assert finding.severity is Severity.WARNING
    assert "3 of 3 weights are multiplied with nothing that was recognised" in finding.message


def test_a_factorisation_and_generated_weights_are_no_such_layers():
    classes = torch.randint(0, 3, (8,))
    for net, batch in (
        (Layers(bends=False), (torch.arange(8), classes)),
        (Generated(), (torch.randn(8, 6), classes)),
    ):
        assert isinstance(examine(trace(net, batch, probe_steps=1)), Clear)
