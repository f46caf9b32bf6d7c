"""Reattach in a loop: the calls of one line pass the gradient, however many, and others do not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unvanish import trace
from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose import diagnose
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import Treated, case_of, treat

Step = Callable[[Any, Tensor, int, int], Tensor]
LABELS = torch.randint(0, 3, (8,), generator=torch.Generator().manual_seed(1))


def sequences(steps: int) -> tuple[Tensor, Tensor]:
    return torch.randn(8, steps, 4, generator=torch.Generator().manual_seed(0)), LABELS


class Loop(nn.Module):
    """A recurrent network that takes its steps by hand."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cell, self.head = nn.GRUCell(4, 8), nn.Linear(8, 3)
        self.guess = nn.Linear(8, 8)
        self.step = step
        self.trace: list[Tensor] = []
        self.gaps: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.trace, self.gaps = [], [x.new_zeros(())]
        state = x.new_zeros(len(x), 8)
        for t in range(x.shape[1]):
            state = self.step(self, self.cell(x[:, t], state), t, x.shape[1])
        gap: Tensor = torch.stack(self.gaps).sum()
        return self.head(state) + gap * self.head.bias


def logs_and_cuts_but_the_last(own: Any, state: Tensor, t: int, steps: int) -> Tensor:
    state = state.detach() if t < steps - 1 else state
    own.trace.append(state.detach().mean(0))
    return state


def logs_and_cuts(own: Any, state: Tensor, t: int, steps: int) -> Tensor:
    own.trace.append(state.detach().mean(0))
    if t < steps - 1:
        state = state.detach()
    return state


def logs_and_reads_data(own: Any, state: Tensor, t: int, steps: int) -> Tensor:
    own.trace.append(state.data.mean(0))
    return state.data if t < steps - 1 else state


def logs(own: Any, state: Tensor, *_: int) -> Tensor:
    own.trace.append(state.detach().mean(0))
    return state


def cuts_and_foretells(own: Any, state: Tensor, t: int, steps: int) -> Tensor:
    own.gaps.append(F.mse_loss(own.guess(state), state.tanh().detach()))
    return state.detach() if t < steps - 1 else state


def foretells(own: Any, state: Tensor, *_: int) -> Tensor:
    own.gaps.append(F.mse_loss(own.guess(state), state.tanh().detach()))
    return state


def foretells_both_ways(own: Any, state: Tensor, *_: int) -> Tensor:
    own.gaps.append(F.mse_loss(own.guess(state), state.tanh()))
    return state


def asked(model: nn.Module, batch: Any) -> Any:
    return remedy_of("reattach").assess(case_of(model, batch, None))


def given(model: nn.Module, batch: Any) -> Treated:
    found = asked(model, batch)
    assert isinstance(found, Prescription), found
    return treat(model, found, batch, None)


def gradients(model: nn.Module, batch: Any) -> dict[str, Tensor]:
    model.zero_grad()
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        torch.allclose(one[name], other[name], rtol=1e-5, atol=1e-7) for name in one
    )


def codes(model: nn.Module, batch: Any) -> set[str]:
    recording = trace(model, batch, None, batches=1, probe_steps=0)
    return {finding.code for finding in diagnose(recording).findings}


@pytest.mark.parametrize("steps", [5, 24, 60])
@pytest.mark.parametrize("cuts", [logs_and_cuts_but_the_last, logs_and_cuts, logs_and_reads_data])
def test_one_line_passes_the_gradient_and_the_line_that_logs_does_not(
    cuts: Step, steps: int
) -> None:
    sick, whole, batch = Loop(cuts), Loop(logs), sequences(steps)
    treated = given(sick, batch)
    assert torch.equal(treated.model(batch[0]), sick(batch[0]))
    assert len(treated.receipts[0].edits) == 1
    assert codes(treated.model, batch) == codes(whole, batch)
    for other in (2, steps, 2 * steps + 3):
        assert same(gradients(treated.model, sequences(other)), gradients(whole, sequences(other)))
        logged: list[Tensor] = treated.model.trace
        assert len(logged) == other
        assert not any(one.requires_grad for one in logged)
    treated.undo()
    assert same(gradients(treated.model, batch), gradients(sick, batch))


def test_a_target_without_a_gradient_in_another_line_keeps_its_cut() -> None:
    sick, whole = Loop(cuts_and_foretells), Loop(foretells)
    batch = sequences(24)
    treated = given(sick, batch)
    assert str(treated.prescriptions[0].settings["lines"]).count(":") == 1
    for steps in (24, 33):
        found = gradients(treated.model, sequences(steps))
        assert same(found, gradients(whole, sequences(steps)))
        assert not same(found, gradients(Loop(foretells_both_ways), sequences(steps)))


@pytest.mark.parametrize("step", [logs, foretells])
def test_a_loop_that_cuts_nothing_of_its_state_is_left_alone(step: Step) -> None:
    found = asked(Loop(step), sequences(24))
    assert isinstance(found, NotApplicable)
    assert "reaches every" in found.reason


def test_the_line_is_known_in_copies_and_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = sequences(24)
    treated = given(Loop(logs_and_cuts_but_the_last), batch)
    monkeypatch.chdir(tmp_path)
    again = copy.deepcopy(treated.model)
    assert same(gradients(again, batch), gradients(Loop(logs), batch))


class Blocks(nn.Module):
    """A cell whose every step a checkpoint runs again."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.inner = Loop(step)

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.inner, x, use_reentrant=False)  # type: ignore[no-any-return]


def test_what_a_checkpoint_runs_again_is_told_by_its_line_as_well() -> None:
    batch = sequences(24)
    treated = given(Blocks(logs_and_cuts_but_the_last), batch)
    assert same(gradients(treated.model, batch), gradients(Blocks(logs), batch))


def bare(own: Any, x: Tensor) -> Tensor:
    for layer in own.layers:
        with torch.no_grad():
            own.sizes.append(x.abs().mean())
        with torch.no_grad():
            x = torch.tanh(layer(x))
    return x


def kept(own: Any, x: Tensor) -> Tensor:
    for layer in own.layers:
        with torch.no_grad():
            own.sizes.append(x.abs().mean())
        x = torch.tanh(layer(x))
    return x


def stepped(own: Any, x: Tensor) -> Tensor:
    for layer in own.layers:
        x = torch.tanh(layer(x)).detach()
        x = x + (x.mul(4.0).round().div(4.0) - x).detach()
    return x


def stepped_through(own: Any, x: Tensor) -> Tensor:
    for layer in own.layers:
        x = torch.tanh(layer(x))
        x = x + (x.mul(4.0).round().div(4.0) - x).detach()
    return x


class Deep(nn.Module):
    """A network of twelve layers, run by a function."""

    def __init__(self, run: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(12))
        self.head = nn.Linear(6, 3)
        self.run = run
        self.sizes: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.sizes = []
        return self.head(self.run(self, x))


@pytest.mark.parametrize(("cuts", "passes"), [(bare, kept), (stepped, stepped_through)])
def test_every_layer_of_a_deep_network_gets_its_gradient(
    cuts: Callable[[Any, Tensor], Tensor], passes: Callable[[Any, Tensor], Tensor]
) -> None:
    batch = (torch.randn(8, 6, generator=torch.Generator().manual_seed(0)), LABELS)
    sick = Deep(cuts)
    assert set(gradients(sick, batch)) == {"head.weight", "head.bias"}
    treated = given(sick, batch)
    assert same(gradients(treated.model, batch), gradients(Deep(passes), batch))
    sizes: list[Tensor] = treated.model.sizes
    assert not any(one.requires_grad for one in sizes)


class Draws(nn.Module):
    """A network that draws a code ten times, and as often draws noise beside it."""

    def __init__(self, *, whole: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.size, self.last = nn.Linear(6, 4), nn.Linear(6, 4), nn.Linear(4, 6)
        self.whole = whole

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, size = self.body(x), F.softplus(self.size(x))
        q = torch.distributions.Normal(mean, size)
        out = torch.zeros_like(x)
        for _ in range(10):
            noise = torch.distributions.Normal(mean, size).sample().tanh().sign().mean()
            z = q.rsample() if self.whole else q.sample()
            out = out + self.last(torch.tanh(z)) + 0.0 * noise
        return out, mean.square().mean() + size.mean()


def test_draws_of_one_line_are_told_from_those_of_another() -> None:
    def loss(output: Any, target: Tensor) -> Tensor:
        return F.mse_loss(output[0], target) + 0.1 * output[1]

    x = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    sick, whole = Draws(whole=False), Draws(whole=True)
    found = remedy_of("reattach").assess(case_of(sick, (x, x), loss))
    assert isinstance(found, Prescription), found
    treated = treat(sick, found, (x, x), loss)
    results = []
    for model in (treated.model, whole):
        torch.manual_seed(3)
        value = loss(model(x), x)
        results.append((value, torch.autograd.grad(value, list(model.parameters()))))
    assert torch.allclose(results[0][0], results[1][0])
    assert all(
        torch.allclose(a, b, atol=1e-6) for a, b in zip(*(r[1] for r in results), strict=True)
    )
