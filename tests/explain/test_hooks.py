"""Hooks on the gradient have a factor and a mechanism of their own, and no step pays for them."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unvanish.core.counterfactuals import answered, verdict
from unvanish.core.explanations import Factor
from unvanish.core.glossary import Quantity
from unvanish.core.interventions import Question
from unvanish.explain import explain, explain_site, propose
from unvanish.observe import trace
from unvanish.observe.interventions import intervene
from unvanish.show.tree import weight_words

BATCH = torch.randn(64, 32, generator=torch.Generator().manual_seed(1)), torch.arange(64) % 4


class Chain(nn.Module):
    """Eight layers with tanh, and a hook on the output of each."""

    def __init__(self, hook=None, *, around=False):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(8))
        self.head = nn.Linear(32, 4)
        self.hook, self.around = hook, around

    def forward(self, x):
        for layer in self.layers:
            y = torch.tanh(layer(x))
            if self.hook is not None:
                y.register_hook(self.hook)
            x = y + x if self.around else y
        return self.head(x)


def look(model):
    return trace(model, BATCH, F.cross_entropy, probe_steps=0)


def swapped(model):
    recording = look(model)
    question = Question(target=next(s.index for s in recording.signal_sites() if s.weights))
    proposals = propose(recording, question)
    wanted = [one.intervention for one in proposals if one.intervention is not None]
    measured = intervene(model, BATCH, wanted, question, recording=recording, loss=F.cross_entropy)
    return answered(proposals, measured)


def scaled(grad):
    return grad * 0.1


def in_place(grad):
    grad.mul_(0.1)


@pytest.mark.parametrize("hook", [scaled, in_place])
def test_a_hook_on_a_tensor_is_a_factor_of_its_own(hook):
    plain, hooked = (explain(look(Chain(one))) for one in (None, hook))
    factors, without = hooked.ledger.by_factor(), plain.ledger.by_factor()
    assert factors.pop(Factor.HOOK) == pytest.approx(-8.0, abs=1e-5)
    assert hooked.residue == pytest.approx(0.0, abs=1e-9)
    for factor, decades in factors.items():
        assert decades == pytest.approx(without[factor], abs=1e-4)
    assert "a hook on the gradient" in hooked.prediction.reason


def test_a_hook_where_branches_meet_is_no_interference():
    plain, hooked = (explain(look(Chain(one, around=True))) for one in (None, lambda g: g * 0.999))
    factors, without = hooked.ledger.by_factor(), plain.ledger.by_factor()
    assert factors[Factor.INTERFERENCE] == pytest.approx(without[Factor.INTERFERENCE], abs=0.02)
    assert hooked.residue == pytest.approx(0.0, abs=1e-9)


def test_a_hook_that_reads_leaves_no_trace():
    seen = []
    recording = look(Chain(seen.append))
    assert seen
    assert not recording[Quantity.LOG10_HOOK_GAIN].values
    assert Factor.HOOK not in explain(recording).ledger.by_factor()


@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_a_hook_on_a_module_is_one_too():
    torch.manual_seed(0)
    model = nn.Sequential(
        *[part for _ in range(6) for part in (nn.Linear(32, 32), nn.Tanh())], nn.Linear(32, 4)
    )
    for part in model:
        if isinstance(part, nn.Tanh):
            part.register_full_backward_hook(lambda _, grads, __: (grads[0] * 0.1,))
    assert explain(look(model)).ledger.by_factor()[Factor.HOOK] == pytest.approx(-6.0, abs=1e-4)
    said = verdict(swapped(model))
    assert said.startswith("gradient-hooks: with 6 hooks on the gradient taken out, 6.")


def test_the_swap_takes_the_hooks_out_and_leaves_them_in_for_its_rivals():
    found = {one.mechanism: one for one in swapped(Chain(scaled))}
    hooks, weights = found["gradient-hooks"], found["weights-too-small"]
    assert hooks.recovered == pytest.approx(8.0, abs=1e-6)
    assert hooks.predicted == pytest.approx(8.0, abs=1e-4)
    assert weights.before == hooks.before < -9.0


def test_no_verdict_where_a_copy_does_otherwise_than_the_network():
    """A hook may do something else to every gradient: its ratio is no constant."""
    found = swapped(Chain(lambda g: g * 1e-3 if g.norm() < 1.0 else g))
    reasons = {one.reason for one in found if one.what}
    assert verdict(found) == ""
    assert any("something that is not in the copy acts on it" in reason for reason in reasons)


def test_a_hook_on_a_parameter_is_no_disagreement_of_the_samples():
    plain, model = Chain(), Chain()
    for parameter in model.parameters():
        parameter.register_hook(lambda g: g * 1e-6)
    without, found = (explain_site(look(one), 0).parameters for one in (plain, model))
    for one, other in zip(found, without, strict=True):
        assert one.log10_hook == pytest.approx(-6.0, abs=1e-5)
        assert one.log10_coherence == pytest.approx(other.log10_coherence, abs=1e-5)
        assert "times a hook on it, 1.0e-06" in weight_words(one)
