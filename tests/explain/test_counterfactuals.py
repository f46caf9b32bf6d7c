"""Rival explanations are put to the test: the right one restores the flow, the others do not."""

from __future__ import annotations

import json
import math
from importlib import import_module
from importlib.metadata import EntryPoint

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import unvanish
from unvanish.core import codec
from unvanish.core.counterfactuals import Counterfactual, Outcome, answered, decisive, verdict
from unvanish.core.explanations import Explanation, Level, Term
from unvanish.core.findings import Diagnosis
from unvanish.core.interventions import Intervention, Measured, Question, Swap
from unvanish.core.pages import page_of
from unvanish.core.protocols import Mechanism
from unvanish.core.verdicts import NotApplicable
from unvanish.explain import all_mechanisms, explain, propose, question_of
from unvanish.explain.mechanisms import BUILTIN_MECHANISMS
from unvanish.explain.mechanisms.way import best_scale
from unvanish.observe import trace
from unvanish.observe.interventions import intervene
from unvanish.zoo.patient import Half, half_of


def chain(activation, *, gain=None, bias=None, depth=30, width=64):
    torch.manual_seed(0)
    layers = []
    for _ in range(depth):
        linear = nn.Linear(width, width)
        if gain is not None:
            nn.init.normal_(linear.weight, std=gain / math.sqrt(width))
            nn.init.zeros_(linear.bias)
        if bias is not None:
            nn.init.constant_(linear.bias, bias)
        layers += [linear, activation()]
    batch = torch.randn(64, width), torch.randint(4, (64,))
    return nn.Sequential(*layers, nn.Linear(width, 4)), batch


def swapped(model, batch, ask=None):
    """Return what each mechanism did: its last counterfactual, by name; and all of them."""
    recording = trace(model, batch, F.cross_entropy, probe_steps=0)
    layers = [s.index for s in recording.signal_sites() if s.weights]
    question = Question(target=layers[0]) if ask is None else ask(recording)
    proposals = propose(recording, question)
    wanted = [one.intervention for one in proposals if one.intervention is not None]
    measured = intervene(model, batch, wanted, question, recording=recording, loss=F.cross_entropy)
    found = answered(proposals, measured)
    return {one.mechanism: one for one in found}, found


def held(found, mechanism):
    return next(c for c in found if c.mechanism == mechanism and not c.swap.runs_again)


# --- the famous contrasts ------------------------------------------------------------


def test_thirty_sigmoids_are_condemned_by_their_cap():
    by_name, found = swapped(*chain(nn.Sigmoid))
    cap, saturation = by_name["slope-cap"], by_name["saturation"]
    weights = by_name["weights-too-small"]
    assert cap.before == pytest.approx(-25.5, abs=0.3)
    # log10 4 each, and a little for where they stand
    assert cap.recovered == pytest.approx(30 * math.log10(4.0), abs=0.5)
    assert cap.recovered == pytest.approx(cap.predicted, abs=0.1)
    assert cap.outcome is Outcome.MOSTLY
    assert 0.1 < saturation.recovered < 0.6
    assert saturation.outcome is Outcome.RULED_OUT
    # sigma_w^2 = 1/3 to 1: half of a tenth of a decade short of the prediction, by saturation
    assert held(found, "weights-too-small").recovered == pytest.approx(
        30 * 0.5 * math.log10(3.0), abs=0.1
    )
    assert weights.outcome is Outcome.PARTLY
    assert weights.swap is Swap.PARAMETERS
    assert by_name["missing-skips"].outcome is Outcome.RESTORES
    said = verdict(found)
    assert said.startswith("slope-cap: with slope 1 in place of 30 sigmoids, 18.")
    assert "ruled out: saturation (+0.3)" in said
    assert "in part: weights-too-small (+6." in said


def test_cap_saturation_and_weights_of_a_chain_add_up():
    """Each is swapped alone, and together they are all that happens."""
    by_name, found = swapped(*chain(nn.Sigmoid))
    together = by_name["slope-cap"].recovered + held(found, "weights-too-small").recovered
    assert together == pytest.approx(-by_name["slope-cap"].before, abs=0.3)


def test_tanh_with_the_default_is_condemned_by_its_weights():
    by_name, found = swapped(*chain(nn.Tanh))
    assert by_name["slope-cap"].outcome is Outcome.UNKNOWN
    assert "passes up to 1" in by_name["slope-cap"].reason
    assert by_name["saturation"].outcome is Outcome.RULED_OUT
    assert held(found, "weights-too-small").restored > 0.95
    assert by_name["weights-too-small"].outcome is Outcome.RESTORES
    assert decisive(found)[0].mechanism == "weights-too-small"
    assert verdict(found).startswith("weights-too-small: with the weights of 30 layers at the crit")


def test_tanh_with_large_weights_explodes_by_them_and_is_braked_by_saturation():
    by_name, found = swapped(*chain(nn.Tanh, gain=4.0, depth=20, width=128))
    weights, saturation = by_name["weights-too-large"], by_name["saturation"]
    assert weights.before > 2.0
    # With the signal held the units stay saturated, so that everything vanishes:
    # run again, they leave their flat parts.
    assert held(found, "weights-too-large").after < -6.0
    assert abs(weights.after) < 1.5
    assert saturation.recovered > 6.0
    assert saturation.outcome is Outcome.WORSENS
    assert "works against the fault: saturation (+" in verdict(found)


def test_tanh_saturated_by_its_biases_names_the_biases():
    by_name, found = swapped(*chain(nn.Tanh, gain=1.0, bias=2.0, depth=15))
    assert by_name["saturation"].outcome is Outcome.RESTORES
    assert by_name["bias"].outcome is Outcome.RESTORES
    assert by_name["bias"].swap.runs_again
    assert by_name["weights-too-large"].outcome is Outcome.UNKNOWN
    assert decisive(found)[0].mechanism == "bias"
    assert verdict(found).startswith("bias: with the biases of 1")


def test_tanh_saturated_by_its_inputs_names_the_inputs():
    torch.manual_seed(0)
    model = nn.Sequential(
        *(m for _ in range(3) for m in (nn.Linear(64, 64), nn.Tanh())), nn.Linear(64, 4)
    )
    batch = 1e4 * torch.randn(64, 64), torch.randint(4, (64,))
    by_name, found = swapped(model, batch)
    assert by_name["input-scale"].before < -3.0
    assert by_name["input-scale"].outcome in (Outcome.RESTORES, Outcome.MOSTLY)
    assert by_name["bias"].outcome is Outcome.UNKNOWN
    assert verdict(found).startswith("input-scale")


def test_relu_with_xavier_is_too_small_by_the_root_of_two():
    by_name, found = swapped(*chain(nn.ReLU, gain=1.0))
    weights = by_name["weights-too-small"]
    assert "sigma_w 1 to 1.41" in weights.what
    assert weights.recovered == pytest.approx(31 * 0.5 * math.log10(2.0), abs=0.2)
    assert weights.outcome is Outcome.RESTORES
    # ReLU keeps the operating point at every scale, so that both measurements agree.
    assert held(found, "weights-too-small").recovered == pytest.approx(weights.recovered, abs=0.1)


def test_relus_that_biases_killed_come_alive_without_them():
    by_name, found = swapped(*chain(nn.ReLU, gain=1.4, bias=-8.0, depth=5))
    assert by_name["bias"].before == -math.inf
    assert by_name["bias"].outcome is Outcome.RESTORES
    assert by_name["dead-units"].outcome is Outcome.RESTORES
    assert by_name["missing-skips"].outcome is Outcome.RULED_OUT  # the target's own block is dead
    assert verdict(found).startswith("bias: ")
    assert "exactly zero" in verdict(found)


def test_a_plain_convolutional_net_is_restored_by_skips():
    torch.manual_seed(0)
    body = [m for _ in range(20) for m in (nn.Conv2d(16, 16, 3, padding=1), nn.ReLU())]
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        *body,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 4),
    )
    by_name, _ = swapped(model, (torch.randn(16, 3, 8, 8), torch.randint(4, (16,))))
    assert by_name["missing-skips"].outcome is Outcome.RESTORES
    assert by_name["missing-skips"].bypass
    assert by_name["missing-skips"].what == "a skip around each of 20 blocks"
    assert by_name["missing-skips"].predicted == pytest.approx(
        by_name["missing-skips"].recovered, abs=1.0
    )
    assert by_name["weights-too-small"].outcome is Outcome.RESTORES


def encoder(*, norm_first):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True, norm_first=norm_first)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.TransformerEncoder(layer, 16, enable_nested_tensor=False)
            self.head = nn.Linear(32, 4)
            for one in self.encoder.layers:  # a branch that is large and says little
                nn.init.normal_(one.linear2.bias, std=2.0)

        def forward(self, x):
            return self.head(self.encoder(x).mean(1))

    return Net(), (torch.randn(8, 6, 32), torch.randint(4, (8,)))


def test_post_norm_loses_what_pre_norm_keeps():
    by_name, found = swapped(*encoder(norm_first=False))
    assert by_name["post-norm"].before < -3.0
    assert by_name["post-norm"].outcome is Outcome.RESTORES
    assert by_name["softmax-saturation"].outcome is Outcome.RULED_OUT
    assert by_name["normalisation"].outcome is Outcome.UNKNOWN or (
        by_name["normalisation"].outcome is Outcome.RULED_OUT
    )
    assert "post-norm" in verdict(found)
    healthy, found = swapped(*encoder(norm_first=True))
    assert "nothing to restore" in healthy["post-norm"].reason or (
        "no normalisation" in healthy["post-norm"].reason
    )
    assert verdict(found) == ""


class Recurrent(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.cell, self.head = cell(8, 32, batch_first=True), nn.Linear(32, 4)

    def forward(self, x):
        return self.head(self.cell(x)[0][:, -1])


def between_steps(recording):
    calls: dict[object, list[int]] = {}
    for site in recording.signal_sites():
        if site.path == "cell" and site.weights:
            calls.setdefault((site.op, site.weights), []).append(site.index)
    longest = max(calls.values(), key=len)
    return Question(target=longest[0], origin=longest[-1], code="UV301")


def sequences(steps):
    return torch.randn(16, steps, 8), torch.randint(4, (16,))


def test_a_plain_recurrence_is_condemned_by_its_weights():
    torch.manual_seed(0)
    by_name, found = swapped(Recurrent(nn.RNN), sequences(40), between_steps)
    assert by_name["recurrence"].outcome is Outcome.RESTORES
    assert by_name["recurrence"].after == pytest.approx(0.0, abs=1e-9)
    assert by_name["recurrence"].predicted == pytest.approx(by_name["recurrence"].recovered, abs=1)
    assert by_name["weights-too-small"].outcome is Outcome.MOSTLY
    assert by_name["saturation"].restored < 0.3
    assert verdict(found).startswith("weights-too-small: with the weights of 1 layer")


def test_an_lstm_is_condemned_by_its_gates():
    torch.manual_seed(0)
    by_name, found = swapped(Recurrent(nn.LSTM), sequences(40), between_steps)
    assert by_name["closed-gates"].outcome is Outcome.RESTORES
    assert by_name["saturation"].outcome is Outcome.RULED_OUT
    assert verdict(found).startswith("closed-gates: ")


def test_a_saturated_softmax_in_front_of_everything_is_named():
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.scores, self.head = nn.Linear(16, 16), nn.Linear(16, 4)
            nn.init.normal_(self.scores.weight, std=30.0)

        def forward(self, x):
            return self.head(torch.softmax(self.scores(x), -1))

    by_name, _ = swapped(Net(), (torch.randn(32, 16), torch.randint(4, (32,))))
    assert by_name["softmax-saturation"].recovered > 0.5
    assert by_name["softmax-saturation"].predicted > 0.5


def test_weights_of_zeros_are_drawn_anew():
    model, batch = chain(nn.ReLU, gain=1.4, depth=6)
    nn.init.zeros_(model[4].weight)
    by_name, found = swapped(model, batch)
    assert by_name["zero-weights"].before == -math.inf
    assert by_name["zero-weights"].predicted == math.inf
    assert by_name["zero-weights"].outcome is Outcome.RESTORES
    assert by_name["weights-too-small"].outcome in (Outcome.RULED_OUT, Outcome.UNKNOWN)
    assert verdict(found).startswith("zero-weights: with random weights in 1 layer of zeros")


def test_a_step_that_scales_the_signal_down_is_named():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(8))
            for layer in self.layers:
                nn.init.orthogonal_(layer.weight)
            self.head = nn.Linear(32, 4)

        def forward(self, x):
            for layer in self.layers:
                x = torch.tanh(0.1 * layer(x))
            return self.head(x)

    torch.manual_seed(0)
    by_name, found = swapped(Net(), (torch.randn(32, 32), torch.randint(4, (32,))))
    assert by_name["scaling-steps"].recovered == pytest.approx(8.0, abs=1e-6)
    assert by_name["scaling-steps"].predicted == pytest.approx(8.0, abs=1e-3)
    assert verdict(found).startswith("scaling-steps: with factor 1 in 8 scaling steps")


def test_residual_blocks_that_grow_are_named():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.down = nn.Linear(32, 32), nn.Linear(32, 32)
            for layer in (self.up, self.down):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

        def forward(self, x):
            return x + self.down(F.relu(self.up(x)))

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), *[Block() for _ in range(20)], nn.Linear(32, 4))
    by_name, found = swapped(model, (torch.randn(32, 8), torch.randint(4, (32,))))
    branches = by_name["unscaled-branches"]
    assert branches.before > 3.0
    assert branches.outcome in (Outcome.RESTORES, Outcome.MOSTLY)
    assert verdict(found).startswith("unscaled-branches: with each of 20 branches times 0.22")


def test_a_step_without_a_derivative_is_named():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = nn.Linear(8, 16), nn.Linear(16, 4)

        def forward(self, x):
            return self.decoder(torch.round(torch.tanh(self.encoder(x))))

    torch.manual_seed(0)
    by_name, found = swapped(Net(), (torch.randn(32, 8), torch.randint(4, (32,))))
    assert by_name["zero-derivative"].outcome is Outcome.RESTORES
    assert by_name["saturation"].outcome is Outcome.RULED_OUT
    assert verdict(found).startswith("zero-derivative: with slope 1 in place of 1 round, a gradi")


@pytest.mark.parametrize(
    ("patient", "mechanism"),
    [
        ("deep_sigmoid", "slope-cap"),
        ("unet_without_skips", "slope-cap"),
        ("relu_default_init", "weights-too-small"),
        ("vgg_without_batchnorm", "weights-too-small"),
        ("he_times_two", "weights-too-large"),
        ("dead_by_bias", "bias"),
        ("residual_without_norm", "unscaled-branches"),
        ("zero_hidden_init", "zero-weights"),
        ("softmax_over_one_unit", "zero-derivative"),
        pytest.param("lstm_200_steps", "closed-gates", marks=pytest.mark.slow),
        pytest.param("stacked_sigmoid_rnn", "slope-cap", marks=pytest.mark.slow),
    ],
)
def test_patients_of_known_cause_get_their_mechanism(patient, mechanism):
    assert half_of(patient) is Half.DEVELOPMENT
    report = unvanish.checkup(f"zoo:{patient}", batches=1, probe_steps=0)
    assert report.explain().verdict.startswith(f"{mechanism}: ")


# --- the check ------------------------------------------------------------------------


def test_a_checkup_of_a_sick_network_tells_the_story_again_from_a_file(tmp_path):
    model, batch = chain(nn.Sigmoid)
    report = unvanish.checkup(model, batch, loss="cross_entropy", probe_steps=0)
    assert report.recording.counterfactuals
    report.save(tmp_path / "run.json")
    again = unvanish.Report.load(tmp_path / "run.json")
    assert again.recording.counterfactuals == report.recording.counterfactuals or (
        [c.to_json() for c in again.recording.counterfactuals]
        == [c.to_json() for c in report.recording.counterfactuals]
    )
    explanation = again.explain()
    assert explanation.verdict.startswith("slope-cap: ")
    assert {c.code for c in explanation.counterfactuals} == {"UV101"}
    document = explanation.to_json()
    json.dumps(document, allow_nan=False)
    assert document["verdict"] == explanation.verdict
    assert len(document["counterfactuals"]) == len(explanation.counterfactuals)


def test_a_healthy_network_is_left_alone(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("nothing may be run on a healthy network")

    monkeypatch.setattr(import_module("unvanish.observe.interventions"), "intervene", refuse)
    model, batch = chain(nn.ReLU, gain=math.sqrt(2.0), depth=6)
    report = unvanish.checkup(model, batch, loss="cross_entropy", probe_steps=0)
    assert report.recording.counterfactuals == ()
    assert report.explain().verdict == ""


def test_no_finding_asks_no_question():
    recording = trace(*chain(nn.ReLU, depth=3), F.cross_entropy, probe_steps=0)
    assert question_of(recording, Diagnosis({}, {})) is None


def test_recordings_without_counterfactuals_still_open():
    recording = trace(*chain(nn.ReLU, depth=3), F.cross_entropy, probe_steps=0)
    document = codec.encode_recording(recording)
    del document["counterfactuals"]
    assert codec.decode_recording(document).counterfactuals == ()


# --- the records ---------------------------------------------------------------------


def one(mechanism="slope-cap", *, before=-10.0, after=0.0, swap=Swap.JACOBIAN, **rest):
    return Counterfactual(
        mechanism=mechanism, what=mechanism, swap=swap, before=before, after=after, **rest
    )


@pytest.mark.parametrize(
    ("before", "after", "restored", "outcome"),
    [
        (-10.0, 0.0, 1.0, Outcome.RESTORES),
        (-10.0, 5.0, 1.0, Outcome.RESTORES),
        (-10.0, 9.0, 0.6, Outcome.MOSTLY),
        (-10.0, 18.0, -0.3, Outcome.WORSENS),
        (6.0, -24.0, -2.5, Outcome.WORSENS),
        (-10.0, -1.5, 0.85, Outcome.MOSTLY),
        (-4.0, -0.9, 0.775, Outcome.RESTORES),
        (-10.0, -8.0, 0.2, Outcome.PARTLY),
        (-10.0, -9.9, 0.01, Outcome.RULED_OUT),
        (-10.0, -12.0, -0.2, Outcome.WORSENS),
        (4.0, 0.0, 1.0, Outcome.RESTORES),
        (4.0, 8.0, -1.0, Outcome.WORSENS),
        (-math.inf, -3.0, 1.0, Outcome.RESTORES),
        (-math.inf, -math.inf, 0.0, Outcome.RULED_OUT),
        (-10.0, -math.inf, -math.inf, Outcome.WORSENS),
    ],
)
def test_the_outcome_follows_from_the_share_that_is_restored(before, after, restored, outcome):
    found = one(before=before, after=after)
    assert found.restored == pytest.approx(restored)
    assert found.outcome is outcome
    json.dumps(found.to_json(), allow_nan=False)


def test_what_was_not_measured_says_so():
    found = one(before=-3.0, after=math.nan, reason="no way")
    assert found.outcome is Outcome.UNKNOWN
    assert math.isnan(found.restored)
    assert found.to_json()["after"] is None
    assert verdict([found]) == ""


def test_a_wider_type_restores_nothing_that_is_lost_there_too():
    lost = one("precision", before=-math.inf, after=-25.0, swap=Swap.PRECISION)
    hidden = one("precision", before=-math.inf, after=-0.2, swap=Swap.PRECISION)
    assert lost.outcome is Outcome.RULED_OUT
    assert hidden.outcome is Outcome.RESTORES


def test_running_again_decides_over_holding_the_signal():
    held_one = one("weights-too-small", after=0.0, swap=Swap.GAIN)
    again = one("weights-too-small", after=-9.5, swap=Swap.PARAMETERS)
    for order in ([held_one, again], [again, held_one]):
        assert decisive(order) == (again,)


def test_a_way_around_never_leads_the_verdict():
    said = verdict([one("slope-cap", after=-3.0), one("missing-skips", after=0.0, bypass=True)])
    assert said.startswith("slope-cap: ")
    assert said.endswith("a way around it helps as well: missing-skips (+10.0)")


def test_nothing_restores_is_said_too():
    assert verdict([one(after=-9.9)]).startswith("none of the factors that were swapped")
    assert verdict([one(after=-7.0)]).startswith("no single factor restores the flow")


def test_an_intervention_has_a_value_for_each_place():
    with pytest.raises(ValueError, match="1 values for 2 places"):
        Intervention(swap=Swap.GAIN, what="", sites=(1, 2), values=(1.0,))
    with pytest.raises(ValueError, match="1 sources for 2 sites"):
        Intervention(swap=Swap.SKIP, what="", sites=(1, 2), sources=(0,))


# --- the mechanisms ------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", BUILTIN_MECHANISMS, ids=lambda one: one.name)
def test_every_mechanism_has_a_page_that_tells_it_from_its_rivals(mechanism):
    assert isinstance(mechanism, Mechanism)
    page = page_of(mechanism)
    headings = [line[3:] for line in page.splitlines() if line.startswith("## ")]
    assert headings == ["What it predicts", "How it differs from its rivals", "Source"]


def test_names_are_unique():
    found = [one.name for one in all_mechanisms().members]
    assert len(found) == len(set(found))


class Elsewhere:
    """Nothing here."""

    name = "acme"
    bypasses = False

    def proposes(self, *_):
        return NotApplicable("nothing for it to do")

    def predicts(self, *_):
        return math.nan


class Broken(Elsewhere):
    name = "broken"

    def proposes(self, *_):
        raise RuntimeError("oops")


def test_a_mechanism_of_another_package_is_asked_too(monkeypatch):
    point = EntryPoint("acme", f"{__name__}:Elsewhere", "unvanish.mechanisms")
    monkeypatch.setattr(
        "unvanish.core.registry.entry_points", lambda group: [point] if group else []
    )
    monkeypatch.setattr(EntryPoint, "load", lambda _: Elsewhere)
    assert all_mechanisms().members[-1].name == "acme"


def test_a_mechanism_that_fails_takes_no_rival_down():
    recording = trace(*chain(nn.Tanh, depth=3), F.cross_entropy, probe_steps=0)
    found = propose(recording, Question(target=0), mechanisms=[Broken(), Elsewhere()])
    assert [p.counterfactual.reason for p in found] == [
        "the mechanism failed: RuntimeError: oops",
        "nothing for it to do",
    ]
    assert answered(found, []) == tuple(p.counterfactual for p in found)


def test_answers_belong_to_those_who_asked():
    recording = trace(*chain(nn.Tanh, depth=3), F.cross_entropy, probe_steps=0)
    proposals = propose(recording, Question(target=0))
    wanted = [p for p in proposals if p.intervention is not None]
    found = answered(proposals, [Measured(-1.0, float(i)) for i in range(len(wanted))])
    assert [c.after for c in found if not c.reason] == [float(i) for i in range(len(wanted))]
    with pytest.raises(ValueError, match="zip"):
        answered(proposals, [])


def test_an_explanation_without_counterfactuals_has_no_verdict():
    term = Term(level=Level.NETWORK, name="", log10_gain=0.0)
    assert Explanation(target=0, name="", ledger=term).verdict == ""
    recording = trace(*chain(nn.Tanh, depth=3), F.cross_entropy, probe_steps=0)
    assert explain(recording).counterfactuals == ()


@pytest.mark.parametrize(
    ("name", "scale"),
    [("relu", math.sqrt(2.0)), ("tanh", 1.0), ("sigmoid", 1.0), ("identity", 1.0)],
)
def test_the_critical_scale_is_that_of_the_known_initialisations(name, scale):
    assert best_scale(name) == pytest.approx(scale, rel=1e-3)


def test_the_critical_scale_of_gelu_is_near_its_half_stable_one():
    assert best_scale("gelu") == pytest.approx(math.sqrt(1.98305826), rel=0.02)
