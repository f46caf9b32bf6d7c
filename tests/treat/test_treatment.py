"""treat(): on a copy, in order, all or nothing, and back again."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from unvanish import UnvanishError, prescribe, treat
from unvanish.core.errors import UnvanishError as Root
from unvanish.core.prescriptions import Advice, Change, Edit, Option, Prescription, Receipt
from unvanish.diagnose import diagnose
from unvanish.observe import trace
from unvanish.treat.ranking import order_of, outlook_of, worrying
from unvanish.treat.registry import ordered, remedy_of
from unvanish.treat.surgery import CannotTreatError, NoEffectError
from unvanish.treat.treatment import case_of


def network(depth: int = 4, activation: type[nn.Module] = nn.ReLU) -> nn.Module:
    torch.manual_seed(0)
    layers = [layer for _ in range(depth) for layer in (nn.Linear(8, 8), activation())]
    return nn.Sequential(*layers, nn.Linear(8, 3))


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(32, 8, generator=generator), torch.randint(0, 3, (32,), generator=generator)


def values(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_the_network_stays_and_the_copy_changes() -> None:
    model = network()
    before = values(model)
    treated = treat(model, "he", batch())
    assert equal(values(model), before)
    assert not equal(values(treated.model), before)
    assert treated.receipts[0].remedy == "he"
    assert treated.prescriptions[0].places[0] == "0.weight"


def test_in_place_and_back() -> None:
    model = network()
    before = values(model)
    treated = treat(model, "he", batch(), in_place=True)
    assert treated.model is model
    assert not equal(values(model), before)
    treated.undo()
    assert equal(values(model), before)
    treat(model, "he", batch(), in_place=True)  # it is no second dose


def test_the_random_state_is_not_touched() -> None:
    model = network()
    torch.manual_seed(7)
    treat(model, "he", batch())
    after = torch.rand(1)
    torch.manual_seed(7)
    assert torch.equal(after, torch.rand(1))


def test_several_are_applied_in_the_order_they_ask_for() -> None:
    treated = treat(network(activation=nn.Sigmoid), ["he", "relu"], batch())
    assert [r.remedy for r in treated.receipts] == ["relu", "he"]
    assert sum(isinstance(m, nn.ReLU) for m in treated.model.modules()) == 4


def test_a_setting_can_be_changed() -> None:
    model = network()
    case = case_of(model, batch())
    prescription = remedy_of("he").assess(case)
    treated = treat(model, replace(prescription, places=("2.weight",)), batch())
    assert {edit.place for edit in treated.receipts[0].edits} == {"2.weight", "2.bias"}


def test_a_second_dose_is_refused() -> None:
    treated = treat(network(), "he", batch())
    with pytest.raises(CannotTreatError, match="was given he before"):
        treat(treated.model, "he", batch())


def test_two_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(CannotTreatError, match="cannot be combined"):
        treat(network(activation=nn.Sigmoid), ["relu", "elu"], batch())


def test_one_asked_for_twice_is_refused() -> None:
    with pytest.raises(CannotTreatError, match="asked for twice"):
        treat(network(), ["he", "he"], batch())


def test_a_remedy_that_changes_nothing_is_no_success() -> None:
    case = case_of(network(), batch())
    prescription = remedy_of("he").assess(case)
    with pytest.raises(NoEffectError, match="he changed nothing"):
        treat(network(), replace(prescription, places=("nothing.weight",)), batch())


def test_what_fails_half_way_is_undone() -> None:
    model = network()
    before = values(model)
    case = case_of(model, batch())
    prescription = remedy_of("he").assess(case)
    broken = replace(prescription, places=("0.weight", "nothing"))
    with pytest.raises(CannotTreatError, match="cannot be combined"):
        treat(model, [broken, "relu", "elu"], batch(), in_place=True)
    assert equal(values(model), before)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bias": float("nan")}, "bias=nan is out of range"),
        ({"bias": "3"}, "bias='3' is str, not float"),
        ({"bias": 3.0, "nope": 1}, "has no setting 'nope'"),
        ({}, "needs the setting 'bias'"),
    ],
)
def test_settings_are_checked(settings: dict[str, object], said: str) -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(4, 6, batch_first=True)
            self.head = nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.lstm(x)[0][:, -1])

    model = Recurrent()
    data = torch.randn(8, 12, 4), torch.randint(0, 3, (8,))
    prescription = remedy_of("forget-bias").assess(case_of(model, data))
    with pytest.raises(CannotTreatError, match=said.split(" is ")[0]):
        treat(model, replace(prescription, settings=settings), data)


def test_treatments_are_undone_in_reverse() -> None:
    model = network()
    before = values(model)
    first = treat(model, "he", batch(), in_place=True)
    second = treat(model, "batch-norm", batch(), in_place=True)
    with pytest.raises(CannotTreatError, match="was given batch-norm since"):
        first.undo()
    second.undo()
    first.undo()
    assert equal(values(model), before)


def test_outputs_that_are_no_numbers_are_no_treatment() -> None:
    model = network(400)
    before = values(model)
    with pytest.raises(CannotTreatError, match="not finite"):
        treat(model, "residual", (torch.randn(16, 8), torch.randint(0, 3, (16,))), in_place=True)
    assert equal(values(model), before)


@pytest.mark.parametrize("nothing", [[], ()])
def test_nothing_asked_for_is_no_success(nothing: object) -> None:
    with pytest.raises(NoEffectError, match="no remedy was asked for"):
        treat(network(), nothing, batch())


def test_something_else_asked_for() -> None:
    with pytest.raises(CannotTreatError, match="int is neither a prescription"):
        treat(network(), 5, batch())


def test_a_function_is_no_network() -> None:
    with pytest.raises(CannotTreatError, match=r"the model is a function, not a torch\.nn\.Module"):
        treat(lambda x: x, "he", batch())


def test_an_unknown_remedy_names_the_nearest() -> None:
    with pytest.raises(UnvanishError, match="there is no remedy 'hee'") as raised:
        treat(network(), "hee", batch())
    assert "he" in raised.value.where
    assert "unvanish explain remedies" in raised.value.help


def test_every_refusal_is_of_the_one_family() -> None:
    assert issubclass(CannotTreatError, Root)
    assert issubclass(NoEffectError, Root)


def test_optimiser_state_follows_to_the_copy() -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    inputs, target = batch()
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), target).backward()
        optimizer.step()
    kept = copy.deepcopy(optimizer.state_dict())
    treated = treat(model, "he", batch(), optimizer=optimizer)
    assert treated.optimizer is not optimizer
    held = {id(p) for group in treated.optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in treated.model.parameters()}
    steps = [float(state["step"]) for state in treated.optimizer.state.values()]
    assert steps == [3.0] * len(steps)
    assert str(optimizer.state_dict()) == str(kept)


def test_remedies_are_sorted_only_where_they_ask_for_it() -> None:
    relu, he, lsuv = (remedy_of(name) for name in ("relu", "he", "lsuv"))
    assert ordered([he, relu], key=lambda r: r) == [relu, he]
    assert ordered([lsuv, relu], key=lambda r: r)[0] is relu


class TestPrescribe:
    def test_a_healthy_network_is_left_alone(self) -> None:
        advice = prescribe(network(1), None, batch())
        assert advice.nothing
        assert advice.best is None

    def test_the_least_change_that_cures_stands_first(self) -> None:
        model = network(20)
        before = values(model)
        advice = prescribe(model, None, batch(), breadth=2)
        assert equal(values(model), before)
        assert advice.best is not None
        assert "UV101" in advice.before.findings
        assert not [s for s in advice.best.outlook.findings.values() if s != "note"]
        scores = [option.score for option in advice.options if not option.failed]
        assert scores == sorted(scores, reverse=True) or advice.best is advice.options[0]
        assert advice.untried

    def test_the_architecture_can_be_kept(self) -> None:
        advice = prescribe(
            network(12, nn.Sigmoid), None, batch(), keep_architecture="as asked", breadth=1
        )
        assert advice.refused["relu"] == "as asked"
        for option in advice.options:
            for one in option.prescriptions:
                assert one.change.value in {
                    "initialisation",
                    "optimiser",
                    "precision",
                    "data",
                    "loss",
                    "graph",
                }

    def test_named_remedies_are_tried_whether_or_not_they_are_offered(self) -> None:
        advice = prescribe(network(12), None, batch(), names=["clip-norm", "he"])
        assert {option.name for option in advice.options} == {"clip-norm", "he"}
        clipped = next(o for o in advice.options if o.name == "clip-norm")
        assert not clipped.cures


def steep(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=30.0, momentum=0.9)


class TestWhatShowsLater:
    """Findings that a look one step ahead does not show."""

    def advised(self, **options: object) -> Advice:
        model = network(2)
        recording = trace(model, batch(), optimizer=steep)
        diagnosis = diagnose(recording)
        assert {f.code for f in diagnosis.roots} == {"UV404"}
        return prescribe(model, diagnosis, batch(), optimizer=steep, recording=recording, **options)

    def test_one_step_does_not_show_it(self) -> None:
        model = network(2)
        recording = trace(model, batch(), optimizer=steep, batches=1, probe_steps=1)
        assert worrying(outlook_of(recording, diagnose(recording))) == set()

    def test_the_rate_is_lowered_before_anything_is_clipped(self) -> None:
        advice = self.advised()
        assert worrying(advice.before) == {"UV404"}
        assert advice.best is not None
        assert advice.best.remedies[0] in {"curvature-learning-rate", "learning-rate-range"}
        assert advice.best.cures == ("UV404",)
        assert not any("UV404" in option.brings for option in advice.options)

    def test_a_brief_ranking_tries_the_rate(self) -> None:
        tried = {option.name for option in self.advised(breadth=2).options}
        assert tried & {"curvature-learning-rate", "learning-rate-range"}

    def test_what_no_look_shows_is_left(self) -> None:
        advice = self.advised(probe_steps=1)
        assert worrying(advice.before) == {"UV404"}
        for option in advice.options:
            assert option.failed or (not option.cures and "UV404" in worrying(option.outlook))


def test_equals_of_the_optimiser_stand_in_the_order_of_what_they_are_made_for() -> None:
    def option(name: str) -> Option:
        one = Prescription(remedy=name, why="", change=Change.OPTIMISER)
        return Option(remedies=(name,), prescriptions=(one,), score=0.0, can_be_written=True)

    clip, rate = option("clip-norm"), option("learning-rate-range")
    assert order_of(rate, {"UV404"}) < order_of(clip, {"UV404"})
    assert order_of(rate, {"UV404", "UV102"}) == order_of(clip, {"UV404", "UV102"})


def test_of_two_equal_starts_the_one_that_draws_less_stands_first() -> None:
    def option(name: str, *drawn: str) -> Option:
        one = Prescription(remedy=name, why="", change=Change.INITIALISATION)
        edits = tuple(Edit(place=place, before="", after="") for place in drawn)
        receipt = Receipt(remedy=name, edits=edits)
        return Option(
            remedies=(name,),
            prescriptions=(one,),
            receipts=(receipt,),
            score=0.0,
            can_be_written=True,
        )

    less, more = option("break-symmetry", "a"), option("orthogonal", "a", "b", "head")
    assert order_of(less, {"UV104"}) < order_of(more, {"UV104"})


def test_an_outlook_holds_the_change_of_the_gradient_at_every_layer() -> None:
    model = network(depth=6, activation=nn.Sigmoid)
    recording = trace(model, batch(), nn.functional.cross_entropy)
    advice = prescribe(
        model, diagnose(recording), batch(), nn.functional.cross_entropy, names=["batch-norm"]
    )
    after = advice.options[0].outlook
    assert after is not None
    for outlook in (advice.before, after):
        assert list(outlook.profile)[-1] == "12"
        assert outlook.profile["12"] == 0.0
        assert outlook.flow_decades == max(outlook.profile.values(), key=abs)
    assert list(advice.before.profile) == [f"{2 * i}" for i in range(7)]
    assert advice.before.profile["0"] == advice.before.flow_decades < -3.0
    assert after.profile["0"] > -1.5
