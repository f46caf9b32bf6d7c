"""A draw by `torch.normal` as noise that is scaled and shifted: the same numbers, a gradient."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F

import unvanish
from unvanish import trace
from unvanish.cli import main
from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose import diagnose
from unvanish.testing import check_remedy
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import Treated, case_of, treat

X = torch.randn(32, 6, generator=torch.Generator().manual_seed(0))
BATCH = (X, X)
Draw = Callable[[Tensor, Tensor], Tensor]

DRAWS: dict[str, Draw] = {
    "by place": lambda m, s: torch.normal(m, s),
    "by name": lambda m, s: torch.normal(mean=m, std=s),
    "by both": lambda m, s: torch.normal(m, std=s),
    "of one size": lambda m, s: torch.normal(m + s, 0.5),
    "around zero": lambda m, s: torch.normal(0.0, s + m.square()),
    "around zero by name": lambda m, s: torch.normal(mean=0.0, std=s + m.square()),
    "of many shapes": lambda m, s: torch.normal(m.unsqueeze(0), s),
}
WHOLE: dict[str, Draw] = {
    "of one size": lambda m, s: Normal(m + s, 0.5).rsample(),
    "around zero": lambda m, s: Normal(torch.zeros(()), s + m.square()).rsample(),
    "around zero by name": lambda m, s: Normal(torch.zeros(()), s + m.square()).rsample(),
    "of many shapes": lambda m, s: Normal(m.unsqueeze(0), s).rsample(),
}


class Coder(nn.Module):
    def __init__(self, draw: Draw, times: int = 1) -> None:
        super().__init__()
        self.body, self.mean, self.size = nn.Linear(6, 8), nn.Linear(8, 4), nn.Linear(8, 4)
        self.decode, self.last = nn.Linear(4, 8), nn.Linear(8, 6)
        self.draw, self.times = draw, times

    def forward(self, x: Tensor) -> Any:
        h = torch.tanh(self.body(x))
        mean, size = self.mean(h), F.softplus(self.size(h)) + 0.1
        x.new_empty(3).normal_()  # a draw of another kind
        out = torch.zeros_like(x)
        for _ in range(self.times):
            z = self.draw(mean, size).reshape(mean.shape)
            out = out + self.last(torch.tanh(self.decode(z)))
        return out, (mean.square() + size).sum(-1)


def loss(output: Any, target: Tensor) -> Tensor:
    return (F.mse_loss(output[0], target, reduction="none").sum(-1) + 0.1 * output[1]).mean()


def made(draw: Draw, times: int = 1) -> Coder:
    torch.manual_seed(0)
    return Coder(draw, times)


def ran(model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the output of one seeded pass, and every gradient."""
    model.zero_grad()
    torch.manual_seed(5)
    output = model(X)
    loss(output, X).backward()
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    return output[0].detach(), gradients


def given(model: nn.Module) -> Treated:
    found = remedy_of("reparameterise").assess(case_of(model, BATCH, loss))
    assert isinstance(found, Prescription), found
    return treat(model, found, BATCH, loss)


@pytest.mark.parametrize("name", DRAWS)
def test_the_values_stay_and_the_gradient_is_that_of_rsample(name: str) -> None:
    sick = made(DRAWS[name])
    whole = made(WHOLE.get(name, lambda m, s: Normal(m, s).rsample()))
    before = ran(sick)
    treated = given(sick)
    output, gradients = ran(treated.model)
    if name == "of one size":
        torch.testing.assert_close(output, before[0])
    else:
        assert torch.equal(output, before[0])
    for key, one in ran(whole)[1].items():
        assert torch.allclose(gradients[key], one, rtol=1e-4, atol=1e-5), key
    assert not torch.allclose(gradients["body.weight"], before[1]["body.weight"])
    treated.undo()
    for key, one in ran(treated.model)[1].items():
        assert torch.equal(one, before[1][key])


@pytest.mark.parametrize("times", [3, 12])
def test_every_draw_of_a_loop_passes_its_gradient(times: int) -> None:
    gradients = ran(given(made(torch.normal, times)).model)[1]
    for key, one in ran(made(lambda m, s: Normal(m, s).rsample(), times))[1].items():
        assert torch.allclose(gradients[key], one, rtol=1e-4, atol=1e-5), key


def test_the_finding_is_gone_and_the_line_is_told() -> None:
    treated = given(made(lambda m, s: torch.normal(m, s)))
    assert [one.after for one in treated.receipts[0].edits] == ["mean + std * noise"]
    assert "test_reparameterise.py:" in treated.receipts[0].notes[0]
    assert treated.prescriptions[0].settings["noise"] == "std or mean"
    seen = trace(treated.model, BATCH, loss, batches=1, probe_steps=0)
    assert "UV205" not in {one.code for one in diagnose(seen).findings}


def test_evaluation_and_copies_draw_as_before() -> None:
    sick = made(torch.normal)
    model = copy.deepcopy(given(sick).model).eval()
    with torch.no_grad():
        torch.manual_seed(5)
        output, _ = model(X[:3])
        torch.manual_seed(5)
        assert torch.equal(output, sick(X[:3])[0])


def test_the_contract_is_kept() -> None:
    check_remedy(
        remedy_of("reparameterise"),
        lambda: Coder(torch.normal),
        BATCH,
        loss,
        unfit=[(nn.Linear(6, 6), BATCH)],
    )


def test_a_draw_in_the_loss_is_said_to_be_out_of_reach() -> None:
    decode = nn.Linear(4, 6)

    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.decode = nn.Linear(6, 4), decode

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x)

    def judged(code: Tensor, target: Tensor) -> Tensor:
        made = decode(torch.normal(code, 0.5))
        return F.mse_loss(made, target) + 0.1 * code.square().mean()

    said = remedy_of("reparameterise").assess(case_of(Halves(), BATCH, judged))
    assert isinstance(said, NotApplicable)
    assert "cannot be met in a forward" in said.reason


def test_an_action_is_left_as_it_is_drawn() -> None:
    class Policy(Coder):
        def forward(self, x: Tensor) -> Any:
            h = torch.tanh(self.body(x))
            mean, size = self.mean(h), F.softplus(self.size(h)) + 0.1
            action = torch.normal(mean, size)
            value = self.last(torch.tanh(self.decode(action)))
            likelihood = -0.5 * ((action.detach() - mean) / size).square() - size.log()
            surprise = ((action - mean) / size).square().sum(-1)
            return value, surprise - likelihood.sum(-1)

    said = remedy_of("reparameterise").assess(case_of(Policy(torch.normal), BATCH, loss))
    assert isinstance(said, NotApplicable)
    assert "no torch.normal" in said.reason


def test_a_bernoulli_code_gets_its_gradient_straight_through() -> None:
    sick = made(lambda m, s: torch.bernoulli(torch.sigmoid(m * s)))
    before = ran(sick)
    treated = treat(sick, "straight-through", BATCH, loss)
    output, gradients = ran(treated.model)
    assert torch.equal(output, before[0])
    straight = made(lambda m, s: (p := torch.sigmoid(m * s)) + (torch.bernoulli(p) - p).detach())
    for key, one in ran(straight)[1].items():
        assert torch.allclose(gradients[key], one, rtol=1e-4, atol=1e-5), key
    assert not torch.allclose(gradients["mean.weight"], before[1]["mean.weight"])


SPECTRA = Path(__file__).parents[3] / "benchmarks/outside_cures/iota/raman_vae.py"


def test_the_draw_of_a_code_is_found_first_and_its_remedy_is_offered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["check", str(SPECTRA), "--color", "never"])
    told = capsys.readouterr().out
    assert told.index("warning[UV205]: torch.normal()") < told.index("follows: UV101")
    assert "1  reparameterise" in told


def test_the_draw_of_a_code_is_edited() -> None:
    patch = unvanish.fix(str(SPECTRA), remedy="reparameterise").patch
    assert patch is not None
    assert patch.agrees
    assert "+        return mean + std * torch.randn_like(std)" in list(patch.files[0].diff())
