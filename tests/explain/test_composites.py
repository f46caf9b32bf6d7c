"""A function of every entry that is written in several steps is one step to the ledger."""

from __future__ import annotations

import pytest
import torch
from tests.explain.test_counterfactuals import chain, swapped
from torch import nn
from torch.nn import functional as F

from unvanish.core.counterfactuals import Counterfactual, Outcome, verdict
from unvanish.core.explanations import Explanation, Factor, Level, Term
from unvanish.core.records import Role
from unvanish.explain import explain
from unvanish.explain.composites import COMPOSITE, collapsed
from unvanish.observe import trace


class ByHand(nn.Module):
    """An activation that somebody wrote."""

    function = staticmethod(lambda x: x)

    def forward(self, x):
        return self.function(x)


def written(function):
    return type("Written", (ByHand,), {"function": staticmethod(function)})


def look(activation, **options):
    model, batch = chain(activation, **{"depth": 6, **options})
    return trace(model.double(), (batch[0].double(), batch[1]), F.cross_entropy, probe_steps=0)


def ops(recording):
    """Return the operations of what has been put together."""
    return {site.op for site in collapsed(recording).sites if site.function == COMPOSITE}


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        (nn.Softsign, "softsign"),
        (nn.Tanhshrink, "tanhshrink"),
        (written(lambda x: x * torch.sigmoid(x)), "silu"),
        (written(lambda x: 1 / (1 + torch.exp(-x))), "neg+exp+add+reciprocal"),
        (written(lambda x: x / (1 + x.pow(2)).sqrt()), "pow+add+sqrt+div"),
    ],
)
def test_its_steps_are_one(activation, name):
    recording = look(activation)
    assert ops(recording) == {name}
    found = explain(recording)
    assert found.residue == pytest.approx(0.0, abs=1e-9)
    factors = found.ledger.by_factor()
    assert Factor.INTERFERENCE not in factors
    assert Factor.BRANCH_ENERGY not in factors
    assert collapsed(collapsed(recording)).edges == collapsed(recording).edges


def test_a_function_by_hand_has_the_ledger_of_pytorchs_own():
    own, by_hand = (explain(look(one)) for one in (nn.SiLU, written(lambda x: x * x.sigmoid())))
    assert by_hand.ledger.log10_gain == pytest.approx(own.ledger.log10_gain, abs=1e-6)
    ones, others = own.ledger.by_factor(), by_hand.ledger.by_factor()
    assert others[Factor.SLOPE_CAP] == pytest.approx(ones[Factor.SLOPE_CAP], abs=1e-4)
    assert others[Factor.WEIGHT_SCALE] == pytest.approx(ones[Factor.WEIGHT_SCALE], abs=1e-6)
    assert by_hand.prediction.layers[0].predicted == pytest.approx(
        own.prediction.layers[0].predicted, abs=1e-6
    )


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + torch.relu(x),
        torch.tanh,
        lambda x: 0.5 * torch.tanh(2 * x),
        lambda x: x / x.pow(2).mean(-1, keepdim=True).add(1e-6).sqrt(),
    ],
)
def test_a_skip_a_scale_and_a_normalisation_are_none(function):
    recording = look(written(function))
    assert not ops(recording)


def test_a_sigmoid_by_hand_is_swapped_as_a_whole():
    by_name, found = swapped(*chain(written(lambda x: 1 / (1 + torch.exp(-x))), depth=10))
    assert verdict(found).startswith("other-steps: with the identity in place of 10 ")
    assert by_name["other-steps"].recovered == pytest.approx(
        by_name["other-steps"].predicted, abs=0.1
    )


def test_a_softmax_between_layers_is_swapped_and_one_in_an_attention_is_not():
    by_name, found = swapped(*chain(written(lambda x: x.softmax(-1)), depth=4))
    assert by_name["other-steps"].outcome in (Outcome.MOSTLY, Outcome.RESTORES)
    assert verdict(found).startswith("other-steps: with the identity in place of 4 softmax steps")

    class Attention(nn.Module):
        def forward(self, x):
            return torch.softmax(x @ x.mT, -1) @ x

    by_name, _ = swapped(*chain(Attention, depth=4))
    assert by_name["other-steps"].reason == "no step of a kind of its own lies on the way"


class Own(torch.autograd.Function):
    """A backward pass of the user's."""

    @staticmethod
    def forward(_, x):
        return x.tanh()

    @staticmethod
    def backward(_, grad):
        return grad * 0.1


def test_a_backward_pass_by_hand_is_swapped():
    by_name, found = swapped(*chain(written(Own.apply), depth=6))
    assert by_name["other-steps"].recovered == pytest.approx(6.0, abs=1e-6)
    assert verdict(found).startswith("other-steps: with the identity in place of 6 own steps, 6.0")


def test_what_cannot_be_swapped_is_named_by_the_ledger():
    """GLU has half as many entries behind it as before it: no identity fits in its place."""
    leaf = Term(level=Level.FACTOR, name="x", log10_gain=-4.0, factor=Factor.OPERATING_POINT)
    step = Term(level=Level.OPERATION, name="l glu #1", log10_gain=-4.0, children=(leaf,))
    tree = Term(level=Level.NETWORK, name="l", log10_gain=-4.0, children=(step,))
    tried = (Counterfactual(mechanism="bias", what="none", before=-4.0, after=-3.9),)
    said = Explanation(target=0, name="l", ledger=tree).verdict_of(tried)
    assert said.endswith(
        "the ledger names the operating point of glu, -4.0 decades, which nothing was put in place "
        "of"
    )
    tried += (Counterfactual(mechanism="saturation", what="none", before=-4.0, after=-3.9),)
    assert "the ledger names" not in Explanation(target=0, name="l", ledger=tree).verdict_of(tried)


def test_a_parametrised_weight_has_a_scale_that_was_measured():
    model, batch = chain(nn.ReLU, depth=12)
    for part in model:
        if isinstance(part, nn.Linear):
            nn.utils.parametrizations.weight_norm(part)
    by_name, _ = swapped(model, batch)
    assert by_name["weights-too-small"].outcome is Outcome.RESTORES
    assert by_name["weights-too-small"].swap.runs_again
    recording = trace(model, batch, F.cross_entropy, probe_steps=0)
    first = explain(recording)
    assert first.prediction.layers
    sized = next(one for one in first.parameters if one.name.endswith("original0"))
    parts = sized.log10_backward + sized.log10_forward + sized.log10_coherence
    assert parts + sized.log10_parametrisation == pytest.approx(sized.log10_grad_norm, abs=1e-5)


def test_a_spectral_norm_leaves_no_parameter_to_scale():
    model, batch = chain(nn.ReLU, depth=12)
    for part in model:
        if isinstance(part, nn.Linear):
            nn.utils.parametrizations.spectral_norm(part)
    recording = trace(model, batch, F.cross_entropy, probe_steps=0)
    assert all(s.role is Role.WEIGHT for s in recording.sites if s.op == "mv")
    _, found = swapped(model, batch)
    weights = [one for one in found if one.mechanism == "weights-too-small"]
    assert [one.swap.runs_again for one in weights] == [False]
    assert weights[0].outcome is Outcome.RESTORES


class Contracted(nn.Module):
    """A kernel of four axes, two of which are summed over."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.w = nn.ParameterList(nn.Parameter(torch.randn(6, 6, 6, 6) * 0.05) for _ in range(8))
        self.head = nn.Linear(36, 4)

    def forward(self, x):
        x = x.view(-1, 6, 6)
        for w in self.w:
            x = torch.tanh(torch.einsum("bij,ijkl->bkl", x, w))
        return self.head(x.flatten(1))


def test_an_einsum_has_the_scale_that_was_measured():
    batch = torch.randn(64, 36), torch.arange(64) % 4
    by_name, _ = swapped(Contracted(), batch)
    assert "(sigma_w 0.298 to 1)" in by_name["weights-too-small"].what
    assert by_name["weights-too-small"].outcome is Outcome.RESTORES
    prediction = explain(trace(Contracted(), batch, F.cross_entropy, probe_steps=0)).prediction
    assert prediction.is_within


def test_dropout_that_makes_the_gradient_grow_is_named():
    torch.manual_seed(0)
    model, batch = chain(nn.ReLU, gain=2**0.5, depth=10)
    parts = []
    for part in model:
        parts += [part, nn.Dropout(0.9)] if isinstance(part, nn.ReLU) else [part]
    by_name, _ = swapped(nn.Sequential(*parts), batch)
    dropout = by_name["dropout"]
    assert dropout.before > 4.0
    assert dropout.outcome is Outcome.RESTORES


class Highway(nn.Module):
    """x = g tanh(W x) + (1 - g) x, with g near one."""

    def __init__(self, depth=12):
        super().__init__()
        torch.manual_seed(0)
        self.gates = nn.ModuleList(nn.Linear(32, 32) for _ in range(depth))
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(depth))
        self.head = nn.Linear(32, 4)
        for gate in self.gates:
            nn.init.constant_(gate.bias, 3.0)

    def forward(self, x):
        for gate, layer in zip(self.gates, self.layers, strict=True):
            g = torch.sigmoid(gate(x))
            x = g * torch.tanh(layer(x)) + (1 - g) * x
        return self.head(x)


def test_of_a_gate_and_one_minus_it_one_is_opened():
    batch = torch.randn(64, 32), torch.arange(64) % 4
    model = Highway()
    by_name, _ = swapped(model, batch)
    assert by_name["closed-gates"].what == "12 gates open"
    recording = trace(model, batch, F.cross_entropy, probe_steps=0)
    assert Factor.GATE in explain(recording).ledger.by_factor()


@pytest.mark.parametrize("activation", [nn.LogSigmoid, nn.RReLU])
def test_functions_under_another_name_have_an_operating_point(activation):
    factors = explain(look(activation)).ledger.by_factor()
    assert Factor.OPERATING_POINT in factors
    assert Factor.OTHER not in factors
