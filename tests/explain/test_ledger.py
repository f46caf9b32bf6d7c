"""The ledger adds up, and names the factor that is to blame."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import unvanish
from unvanish.core.errors import UnvanishError
from unvanish.core.explanations import Factor, Level, Term, total
from unvanish.core.findings import Cause
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.diagnose import diagnose
from unvanish.explain import explain, explain_site, parameter_terms
from unvanish.explain.dominators import dominators
from unvanish.observe import trace
from unvanish.zoo.patient import patients


def recorded(model, inputs, targets=None):
    target = torch.randint(4, inputs.shape[:1]) if targets is None else targets
    return trace(model, (inputs, target), loss=F.cross_entropy, probe_steps=0)


def plain(activation, *, gain=None, depth=10, width=128):
    torch.manual_seed(0)
    layers = []
    for _ in range(depth):
        linear = nn.Linear(width, width)
        if gain is not None:
            nn.init.normal_(linear.weight, std=gain / math.sqrt(width))
            nn.init.zeros_(linear.bias)
        layers += [linear, activation()]
    model = nn.Sequential(*layers, nn.Linear(width, 4)).double()
    return recorded(model, torch.randn(64, width).double())


def factors(recording):
    signal = explain(recording).ledger.by_factor()
    signal.pop(Factor.LOSS)
    return signal


def test_a_sigmoid_is_condemned_by_its_cap():
    found = factors(plain(nn.Sigmoid))
    assert found[Factor.SLOPE_CAP] == pytest.approx(10 * math.log10(0.25))
    assert -0.2 < found[Factor.OPERATING_POINT] < -0.05
    # ten layers of PyTorch's default lie behind the first: sigma_w^2 = 1/3
    assert found[Factor.WEIGHT_SCALE] == pytest.approx(10 * 0.5 * math.log10(1 / 3), abs=0.05)
    assert abs(found[Factor.ALIGNMENT]) < 0.3
    assert next(iter(found)) is Factor.SLOPE_CAP


def test_tanh_with_the_default_is_condemned_by_its_weights():
    found = factors(plain(nn.Tanh))
    assert found[Factor.SLOPE_CAP] == 0.0
    assert next(iter(found)) is Factor.WEIGHT_SCALE


def test_tanh_with_large_weights_saturates_and_explodes():
    found = factors(plain(nn.Tanh, gain=4.0))
    assert found[Factor.OPERATING_POINT] < -3.0
    assert found[Factor.WEIGHT_SCALE] == pytest.approx(
        9 * math.log10(4.0) + 0.5 * math.log10(1 / 3), abs=0.05
    )


def test_relu_with_xavier_loses_signal_and_gradient_alike():
    """The gradients of the weights are flat, although both factors of each vanish."""
    recording = plain(nn.ReLU, gain=1.0, depth=20)
    names = [p.name for p in recording.parameters if p.name.endswith("weight")]
    first, last = (parameter_terms(recording, name) for name in (names[0], names[-2]))
    assert first.log10_backward < last.log10_backward - 2.0
    assert last.log10_forward < first.log10_forward - 2.0
    assert abs(first.log10_grad_norm - last.log10_grad_norm) < 0.5
    for terms in (first, last):
        summed = terms.log10_backward + terms.log10_forward + terms.log10_coherence
        assert summed == pytest.approx(terms.log10_grad_norm, abs=1e-12)
        assert terms.log10_coherence <= 1e-6


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(16), nn.Linear(16, 32), nn.Linear(32, 16)

    def forward(self, x):
        return x + self.down(F.relu(self.up(self.norm(x))))


def test_residual_blocks_are_folded_and_say_how_branches_meet():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), *[Block() for _ in range(5)], nn.Linear(16, 4))
    explanation = explain(recorded(model, torch.randn(32, 8)))
    (group,) = [t for t in explanation.ledger.children if t.level is Level.GROUP]
    assert group.name.startswith("5 x ") or group.name.startswith("4 x ")
    (merge,) = [t for t in group.children[0].children if t.level is Level.MERGE]
    assert math.fsum(share for _, share in merge.shares) == pytest.approx(1.0)
    assert {leaf.factor for leaf in merge.children} == {Factor.BRANCH_ENERGY, Factor.INTERFERENCE}
    assert merge.children[0].log10_gain > 0.0


@pytest.mark.parametrize(
    "name",
    [
        "deep_sigmoid",
        "gcn_two_layers",
        "unet_segmentation",
        "char_lstm_100_steps",
        "post_norm_encoder_6_layers",
        "lora_on_attention",
        "deep_equilibrium",
        "flow_unbounded_scale",
        "binary_weights",
        "actor_critic_shared_trunk",
        "log_of_zero",
    ],
)
def test_the_terms_add_up_everywhere(name):
    _check_ledgers(_zoo(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", patients())
def test_the_terms_add_up_on_the_whole_zoo(name):
    _check_ledgers(_zoo(name))


def _check_ledgers(recording: Recording):
    norms = recording[Quantity.LOG10_LEDGER_GRAD_NORM]
    places = [i for i in norms.values if not math.isnan(norms[i])]
    for site in places[:: max(1, len(places) // 25)]:
        explanation = explain_site(recording, site)
        if math.isnan(explanation.ledger.log10_gain):
            continue
        assert abs(explanation.residue) < 1e-9
        _check_sums(explanation.ledger)


def _zoo(name):
    from unvanish.recipe import load

    return unvanish.checkup(load(f"zoo:{name}", seed=0), seed=0, select=["UV101"]).recording


def _check_sums(term: Term):
    if term.children:
        summed = total([child.log10_gain for child in term.children])
        assert summed == pytest.approx(term.log10_gain, abs=1e-9)
    for child in term.children:
        _check_sums(child)


def test_a_gradient_below_float32_is_explained_too():
    torch.manual_seed(0)
    layers = [layer for _ in range(120) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
    explanation = explain(recorded(nn.Sequential(*layers, nn.Linear(16, 4)), torch.randn(8, 16)))
    assert explanation.ledger.log10_gain < -90.0
    assert abs(explanation.residue) < 1e-9


def test_an_exact_zero_is_put_down_to_one_operation():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
    nn.init.zeros_(model[2].weight)
    explanation = explain(recorded(model, torch.randn(16, 8)))
    assert explanation.ledger.log10_gain == -math.inf
    assert explanation.residue == 0.0
    (guilty,) = [leaf for leaf in explanation.ledger.leaves() if leaf.log10_gain == -math.inf]
    assert guilty.factor is Factor.WEIGHT_SCALE


def test_nothing_measured_is_said():
    with pytest.raises(UnvanishError, match="no gradient was measured"):
        explain(Recording())
    with pytest.raises(ValueError, match="no gradient was measured at site 3"):
        explain_site(Recording(), 3)
    with pytest.raises(KeyError, match="nobody"):
        parameter_terms(Recording(), "nobody")


def test_dominators_of_a_diamond_and_of_two_ends():
    # 0 -> 1 -> {2, 3} -> 4 -> 5
    assert dominators(0, {0: [1], 1: [2, 3], 2: [4], 3: [4], 4: [5]}) == [5, 4, 1, 0]
    assert dominators(0, {0: [1, 2], 1: [3], 2: [4]}) == [0]
    assert dominators(7, {}) == [7]


@pytest.mark.parametrize(
    ("activation", "gain"),
    [
        (nn.Sigmoid, None),
        (nn.Tanh, None),
        (nn.ReLU, None),
        (nn.ReLU, math.sqrt(2.0)),
        (nn.Tanh, 1.5),
        (nn.SiLU, None),
        (nn.ELU, 1.0),
    ],
)
def test_theory_stands_beside_the_measurement(activation, gain):
    prediction = explain(plain(activation, gain=gain, depth=20)).prediction
    assert len(prediction.layers) == 21
    assert prediction.is_within
    assert prediction.layers[0].band < 0.6
    assert prediction.layers[-1].measured == prediction.layers[-1].predicted == 0.0


def test_weights_that_are_not_random_are_unlike_theory():
    torch.manual_seed(0)
    layers = []
    for _ in range(12):
        linear = nn.Linear(32, 32, bias=False)
        nn.init.constant_(linear.weight, 1 / 32)
        layers += [linear, nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(32, 4))
    prediction = explain(recorded(model, torch.randn(16, 32).abs())).prediction
    assert prediction.layers
    assert not prediction.is_within


def test_padding_is_no_input():
    """Nine taps on a map of one position meet one entry: the weights act as a ninth as many."""
    torch.manual_seed(0)
    layers = []
    for _ in range(8):
        conv = nn.Conv2d(64, 64, 3, padding=1, bias=False)
        nn.init.normal_(conv.weight, std=math.sqrt(2 / 64))
        layers += [conv, nn.ReLU()]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 4))
    prediction = explain(recorded(model, torch.randn(32, 64, 1, 1))).prediction
    assert prediction.is_within
    assert prediction.layers[0].predicted == pytest.approx(prediction.layers[-2].predicted, abs=0.2)


class Apart(nn.Module):
    """Takes a sequence apart, works on each part and puts the results beside each other."""

    def __init__(self):
        super().__init__()
        self.before, self.each, self.after = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        parts = [torch.tanh(self.each(part)) for part in self.before(x).unbind(1)]
        return self.after(torch.stack(parts, 1).mean(1))


def test_parts_of_a_whole_are_no_branches():
    """What one part lacks of the whole gradient at the stack comes back where it was taken out."""
    torch.manual_seed(0)
    batch = torch.randn(32, 16, 4), torch.randint(3, (32,))
    recording = trace(Apart(), batch, loss=F.cross_entropy, probe_steps=0)
    totals = explain(recording).ledger.by_factor()
    assert abs(totals[Factor.LAYOUT]) < 0.1
    assert Factor.BRANCH_ENERGY not in totals


def test_frozen_weights_are_weights():
    torch.manual_seed(0)
    frozen = nn.Linear(16, 16, bias=False).requires_grad_(False)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), frozen, nn.Tanh(), nn.Linear(16, 4))
    batch = torch.randn(32, 8), torch.randint(4, (32,))
    totals = explain(trace(model, batch, loss=F.cross_entropy, probe_steps=0)).ledger.by_factor()
    assert Factor.OTHER not in totals


def test_a_layer_can_be_asked_for():
    torch.manual_seed(0)
    model = nn.Sequential(*[p for _ in range(6) for p in (nn.Linear(8, 8), nn.Tanh())])
    recording = trace(model, (torch.randn(16, 8), torch.randn(16, 8)), F.mse_loss, probe_steps=0)
    found = explain(recording, target="4")
    assert found.name == "4 linear"
    by_name, by_index = (explain(recording, target=t) for t in ("4 linear", found.target))
    assert found.ledger == by_name.ledger == by_index.ledger
    assert unvanish.explain(recording, target="4").ledger == found.ledger
    with pytest.raises(UnvanishError, match="there is no norm"):
        explain(recording, target="norm")
    with pytest.raises(UnvanishError, match="no gradient was measured at 44") as error:
        explain(recording, target="44")
    assert error.value.help == "nearest: 4"
    with pytest.raises(UnvanishError, match="takes a recording, not NoneType"):
        unvanish.explain(None)


def test_a_batch_norm_that_stands_still_scales_and_projects_nothing_out():
    torch.manual_seed(0)
    parts = [p for _ in range(5) for p in (nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Tanh())]
    model = nn.Sequential(*parts, nn.Linear(16, 4))
    for part in model:
        if isinstance(part, nn.BatchNorm1d):
            part.running_var.fill_(100.0)
            part.eval()
    batch = torch.randn(64, 16), torch.arange(64) % 4
    recording = trace(model, batch, F.cross_entropy, probe_steps=0)
    assert recording.context.training
    found = explain(recording)
    assert found.ledger.by_factor()[Factor.NORM_SCALE] == pytest.approx(-5.0, abs=0.01)
    assert "divides by its running statistics" in found.prediction.reason
    (finding,) = diagnose(recording, select=["UV101"]).findings
    assert Cause.POST_NORM not in finding.causes
