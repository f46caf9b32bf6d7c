"""Remedies for number formats, for what enters, and for what is minimised."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from unvanish import checkup, trace
from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose import diagnose
from unvanish.treat.registry import remedy_of
from unvanish.treat.standardising import Standardise, moments
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.treatment import Treated, case_of, treat


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def classes(count: int, among: int) -> Tensor:
    return torch.randint(0, among, (count,), generator=torch.Generator().manual_seed(1))


def asked(name: str, model: nn.Module, batch: Any, loss: Any = None, **known: Any) -> Any:
    return remedy_of(name).assess(case_of(model, batch, loss, **known))


def reason(name: str, model: nn.Module, batch: Any, loss: Any = None, **known: Any) -> str:
    found = asked(name, model, batch, loss, **known)
    assert isinstance(found, NotApplicable), found
    return found.reason


def given(name: str, model: nn.Module, batch: Any, loss: Any = None, **known: Any) -> Treated:
    found = asked(name, model, batch, loss, **known)
    assert isinstance(found, Prescription), found
    return treat(model, found, batch, loss, **known)


def codes(treated: Treated, batch: Any) -> set[str]:
    recording = trace(treated.model, batch, treated.loss, batches=1, probe_steps=0)
    return {finding.code for finding in diagnose(recording).findings}


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return make()


def mlp(inputs: int, outputs: int, *end: nn.Module) -> nn.Module:
    return seeded(
        lambda: nn.Sequential(nn.Linear(inputs, 16), nn.ReLU(), nn.Linear(16, outputs), *end)
    )


class Calls(nn.Module):
    """A network whose forward is a function."""

    def __init__(self, forward: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self._forward = forward

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._forward(self, *args, **kwargs)


# ---------------------------------------------------------------- precision


def tiny_loss(output: Tensor, target: Tensor) -> Tensor:
    return 1e-6 * F.mse_loss(output.float(), target)


PICTURES = (numbers(8, 1, 12, 12), numbers(8, 1, 12, 12, seed=1))


def pictures() -> nn.Module:
    return seeded(lambda: nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.GELU(),
                                        nn.Conv2d(6, 1, 3, padding=1)))  # fmt: skip


def lost(treated: Treated | None, model: nn.Module, loss: Any, autocast: str) -> float:
    recording = trace(
        treated.model if treated else model,
        PICTURES,
        treated.loss if treated else loss,
        batches=1,
        probe_steps=0,
        autocast=treated.autocast if treated else autocast,
    )
    dtype = recording.context.autocast
    return max(p.underflow_fraction[dtype] for p in recording.parameters if len(p.shape) > 1)


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=1e-3)


@pytest.mark.parametrize("name", ["loss-scaling", "bfloat16"])
def test_no_gradient_is_lost_any_more(name: str) -> None:
    model = pictures()
    assert lost(None, model, tiny_loss, "float16") > 0.5
    known = {"optimizer": adam(model), "autocast": "float16"}
    treated = given(name, model, PICTURES, tiny_loss, **known)
    assert lost(treated, model, tiny_loss, "") < 0.01


def test_a_scaled_step_is_the_step_that_float32_takes() -> None:
    model = pictures()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e6, momentum=0.9)
    known: Any = {"optimizer": optimizer, "autocast": "float16"}
    treated = given("loss-scaling", model, PICTURES, tiny_loss, **known)
    assert treated.optimizer is not None
    assert callable(treated.loss)
    for _ in range(2):
        for one, loss, steps in (
            (treated.model, treated.loss, treated.optimizer),
            (model, tiny_loss, optimizer),
        ):
            steps.zero_grad()
            loss(one(PICTURES[0]), PICTURES[1]).backward()
            steps.step()
    for one, other in zip(treated.model.parameters(), model.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)


def test_an_overflow_leaves_the_step_out_and_halves_the_scale() -> None:
    model = pictures()
    known: Any = {"optimizer": adam(model), "autocast": "float16"}
    treated = given("loss-scaling", model, PICTURES, tiny_loss, **known)
    assert treated.optimizer is not None
    assert callable(treated.loss)
    scale = float(treated.loss(PICTURES[0], PICTURES[1]) / tiny_loss(*PICTURES))
    assert math.log2(scale) == pytest.approx(round(math.log2(scale)))
    before = [p.detach().clone() for p in treated.model.parameters()]
    for parameter in treated.model.parameters():
        parameter.grad = torch.full_like(parameter, math.inf)
    treated.optimizer.step()
    assert all(map(torch.equal, before, treated.model.parameters()))
    halved = float(treated.loss(PICTURES[0], PICTURES[1]) / tiny_loss(*PICTURES))
    assert halved == pytest.approx(scale / 2)
    assert treated.optimizer.state_dict()["unvanish"]["Unscale"]["scale"] == halved


def test_clipping_meets_the_gradient_that_was_scaled_back() -> None:
    model = pictures()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    known: Any = {"optimizer": optimizer, "autocast": "float16"}
    treated = treat(model, "loss-scaling", PICTURES, tiny_loss, clip_grad_norm=1e-9, **known)
    assert treated.clip_grad_norm is None
    assert treated.optimizer is not None
    assert callable(treated.loss)
    for parameter in treated.model.parameters():
        nn.init.zeros_(parameter)
    old = [p.detach().double().clone() for p in treated.model.parameters()]
    treated.loss(treated.model(PICTURES[0]), PICTURES[1]).backward()
    treated.optimizer.step()
    moved = sum(
        float((p.detach().double() - q).square().sum())
        for p, q in zip(treated.model.parameters(), old, strict=True)
    )
    assert math.sqrt(moved) <= 1.01e-9


def test_precision_is_left_alone_where_it_is_no_trouble() -> None:
    model = pictures()
    assert "float32" in reason("loss-scaling", model, PICTURES, tiny_loss)
    assert "float32" in reason("bfloat16", model, PICTURES, tiny_loss)
    assert "bfloat16" in reason("loss-scaling", model, PICTURES, tiny_loss, autocast="bfloat16")
    assert "float32" in reason("float32-islands", model, PICTURES, tiny_loss)
    assert "by itself" in reason("float32-islands", model, PICTURES, tiny_loss, autocast="bfloat16")
    half = pictures().half()
    batch = (PICTURES[0].half(), PICTURES[1])
    assert "themselves are float16" in reason("loss-scaling", half, batch, tiny_loss)
    assert "model.float()" in reason("bfloat16", half, batch, tiny_loss)


class Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mix = nn.LayerNorm(8), nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        x = torch.softmax(x @ self.mix(x).mT, -1) @ x
        return self.head(x.mean(1))


def test_islands_of_float32_move_where_bfloat16_stands_still() -> None:
    model = seeded(Attends).bfloat16()
    batch = (numbers(16, 5, 8).bfloat16(), classes(16, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    treated = given("float32-islands", model, batch, "cross_entropy", optimizer=optimizer)
    types = {name: p.dtype for name, p in treated.model.named_parameters()}
    assert types["norm.weight"] is types["head.weight"] is torch.float32
    assert types["mix.weight"] is torch.bfloat16
    assert treated.optimizer is not None
    moved = []
    for one, steps in ((model, optimizer), (treated.model, treated.optimizer)):
        before = one.norm.weight.detach().clone()  # type: ignore[union-attr]
        F.cross_entropy(one(batch[0]).float(), batch[1]).backward()
        steps.step()
        moved.append(not torch.equal(before, one.norm.weight))  # type: ignore[arg-type]
    assert moved == [False, True]


def test_islands_are_undone_with_the_state_of_the_optimiser() -> None:
    model = seeded(Attends).bfloat16()
    batch = (numbers(16, 5, 8).bfloat16(), classes(16, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    F.cross_entropy(model(batch[0]).float(), batch[1]).backward()
    optimizer.step()
    optimizer.zero_grad()
    own = {name: p.detach().clone() for name, p in model.named_parameters()}
    treated = treat(
        model, "float32-islands", batch, "cross_entropy", optimizer=optimizer, in_place=True
    )
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    optimizer.zero_grad()
    treated.undo()
    for name, parameter in model.named_parameters():
        assert parameter.dtype is torch.bfloat16
        assert torch.equal(parameter, own[name])
        assert optimizer.state[parameter]["exp_avg"].dtype is torch.bfloat16


# ---------------------------------------------------------------- inputs


def entering(model: nn.Module, layer: str, *inputs: Any) -> Tensor:
    seen: list[Tensor] = []
    part = model.get_submodule(layer)
    inner = type(part).forward

    def spy(*args: Any, **kwargs: Any) -> Any:
        seen.append(args[1].detach())
        return inner(*args, **kwargs)

    kind = type(part)
    kind.forward = spy  # type: ignore[method-assign]
    try:
        model(*inputs)
    finally:
        kind.forward = inner  # type: ignore[method-assign]
    return seen[0]


def test_bytes_are_standardised_where_they_have_become_numbers() -> None:
    pixels = torch.randint(0, 256, (16, 3, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
    model = seeded(
        lambda: Calls(
            lambda own, x: own.head(own.conv(x.float()).relu().mean((2, 3))),
            conv=nn.Conv2d(3, 6, 3, groups=3),
            head=nn.Linear(6, 4),
        )
    )
    treated = given("standardise-input", model, (pixels, classes(16, 4)))
    seen = entering(treated.model, "conv", pixels)
    assert seen.mean((0, 2, 3)).abs().max() < 1e-5
    assert seen.std() == pytest.approx(1.0, abs=1e-3)
    assert treated.prescriptions[0].places == ("conv.weight",)


def test_what_the_network_does_before_is_taken_into_account() -> None:
    model = seeded(lambda: Calls(lambda own, x: own.fc(x / 255.0), fc=nn.Linear(6, 3)))
    batch = (numbers(32, 6) * 255.0 + 2550.0, classes(32, 3))
    treated = given("standardise-input", model, batch)
    assert entering(treated.model, "fc", batch[0]).mean(0).abs().max() < 1e-4


def test_columns_are_treated_by_what_they_are() -> None:
    sick = torch.stack(
        [
            4e4 + 1e4 * numbers(64),
            1e-3 * numbers(64, seed=1),
            (numbers(64, seed=2) > 0.0).float(),
            torch.poisson(torch.full((64,), 0.2), generator=torch.Generator().manual_seed(0)),
            torch.full((64,), 7.0),
        ]
    ).double()
    found = moments(sick)
    after = (sick - found.mean[:, None]) / found.deviation[:, None]
    assert not found.is_common
    assert after[0].std(correction=0) == pytest.approx(1.0)
    assert after[1].std(correction=0) == pytest.approx(1.0)
    assert torch.equal(after[2], sick[2])
    assert bool((after[3] == 0.0).eq(sick[3] == 0.0).all())
    assert torch.equal(after[4], torch.zeros(64).double())


def test_a_pixel_that_is_rarely_lit_does_not_become_the_loudest() -> None:
    pixels = 255.0 * torch.rand(16, 64, generator=torch.Generator().manual_seed(0)).double()
    pixels[3] = 0.0
    pixels[3, 0] = 60.0
    pixels[4] = 0.0
    found = moments(pixels)
    assert found.is_common
    after = (pixels - found.mean[:, None]) / found.deviation[:, None]
    assert after.abs().max() < 3.0


def test_indices_states_and_sequences_are_left_alone() -> None:
    tokens = (classes(32, 9).reshape(8, 4), classes(8, 3))
    words = seeded(
        lambda: Calls(
            lambda own, x: own.fc(own.embed(x).mean(1)),
            embed=nn.Embedding(9, 6),
            fc=nn.Linear(6, 3),
        )
    )
    assert "looked up" in reason("standardise-input", words, tokens)

    def loop(own: Any, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 8)
        for step in range(x.shape[1]):
            state = torch.tanh(own.cell(torch.cat([x[:, step], state], 1)))
        return own.head(state)

    series = (100.0 * numbers(16, 5, 4), classes(16, 3))
    loops = seeded(lambda: Calls(loop, cell=nn.Linear(12, 8), head=nn.Linear(8, 3)))
    assert "data alone" in reason("standardise-input", loops, series)

    def packed(own: Any, x: Tensor) -> Tensor:
        whole = pack_padded_sequence(x, torch.full((len(x),), 5), batch_first=True)
        return own.head(own.rnn(whole)[1][-1])

    rnn = seeded(lambda: Calls(packed, rnn=nn.GRU(4, 8, batch_first=True), head=nn.Linear(8, 3)))
    assert isinstance(asked("standardise-input", rnn, series), NotApplicable)


def test_cells_functions_and_several_inputs_are_standardised() -> None:
    def both(own: Any, image: Tensor, table: Tensor) -> Tensor:
        state = None
        for step in range(image.shape[1]):
            state = own.cell(image[:, step], state)
        return own.head(state + F.linear(table, own.matrix))

    model = seeded(lambda: Calls(both, cell=nn.GRUCell(4, 8), head=nn.Linear(8, 3)))
    model.register_parameter("matrix", nn.Parameter(0.3 * numbers(8, 6, seed=2)))
    model.double()
    series = 50.0 + 300.0 * numbers(16, 5, 4).double()
    table = 1e-4 * numbers(16, 6, seed=1).double()
    batch = (series, table, classes(16, 3))
    treated = given("standardise-input", model, batch)
    parts = [m for m in treated.model.modules() if isinstance(m, Standardise)]
    assert len(parts) == 2
    assert "UV503" not in codes(treated, batch)
    assert treated.model(series[:3], table[:3]).shape == (3, 3)


def test_too_little_and_broken_data_are_refused() -> None:
    model = mlp(6, 3)
    assert "too few" in reason("standardise-input", model, (900 + numbers(2, 6), classes(2, 3)))
    broken = 900 + numbers(32, 6)
    broken[0, 0] = math.nan
    assert "NaN" in reason("standardise-input", model, (broken, classes(32, 3)))
    assert "as it is" in reason("standardise-input", model, (numbers(256, 6), classes(256, 3)))
    picture = seeded(lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(200, 3)))
    batch = (200.0 + 40.0 * numbers(1, 1, 12, 12), classes(1, 3))
    assert given("standardise-input", picture, batch).receipts[0].edits


def test_standardised_data_are_learnt_where_raw_ones_are_not() -> None:
    x = torch.cat([5e4 + 2e4 * numbers(256, 3), 1e-3 * numbers(256, 3, seed=1)], 1)
    y = (x[:, 0] / 2e4 - 2.5 + 1e3 * x[:, 4])[:, None]
    model = mlp(6, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    treated = given("standardise-input", model, (x, y), "mse_loss", optimizer=optimizer)
    assert treated.optimizer is not None
    ends = []
    for one, steps in ((model, optimizer), (treated.model, treated.optimizer)):
        for _ in range(200):
            steps.zero_grad()
            loss = F.mse_loss(one(x), y)
            loss.backward()
            steps.step()
        ends.append(float(loss.detach()) / float(y.var()))
    assert ends[0] > 0.4
    assert ends[1] < 0.05


# ---------------------------------------------------------------- loss

ROWS = numbers(32, 6)
YES = (numbers(32, 4, seed=1) > 0.0).float()
LABELS = classes(32, 4)


@pytest.mark.parametrize(
    ("loss", "factor", "total"),
    [
        ("mse_loss", 1.0, False),
        (nn.MSELoss(reduction="sum"), 1.0, True),
        (lambda o, t: 3.0 * ((o - t) ** 2).mean(), 3.0, False),
        (lambda o, t: 0.5 * ((o - t) ** 2).sum(1).mean(), 2.0, False),
        (nn.BCELoss(), 1.0, False),
        (nn.L1Loss(), 1.0, False),
        (None, 1.0, False),
    ],
)
def test_an_error_of_probabilities_becomes_cross_entropy_of_scores(
    loss: Any, factor: float, total: bool
) -> None:
    model = mlp(6, 4, nn.Sigmoid())
    treated = given("logits-loss", model, (ROWS, YES), loss)
    scores = model[:3](ROWS)  # type: ignore[index]
    assert torch.equal(treated.model(ROWS), scores)
    assert callable(treated.loss)
    reduction = "sum" if total else "mean"
    wanted = factor * F.binary_cross_entropy_with_logits(scores, YES, reduction=reduction)
    assert torch.allclose(treated.loss(scores, YES), wanted, rtol=1e-5)


def test_a_stuck_output_gets_its_gradient_back() -> None:
    model = mlp(6, 4, nn.Sigmoid())
    nn.init.constant_(model[2].bias, -14.0)  # type: ignore[index,arg-type]
    yes = torch.ones_like(YES)
    treated = given("logits-loss", model, (ROWS, yes), "mse_loss")
    assert "UV203" not in codes(treated, (ROWS, yes))
    scores = torch.full((1, 4), -14.0, requires_grad=True)
    assert callable(treated.loss)
    treated.loss(scores, yes[:1]).backward()
    assert scores.grad is not None
    assert torch.allclose(4.0 * scores.grad, torch.full((1, 4), -1.0), atol=1e-5)


def test_hidden_sigmoids_of_the_same_forward_stay() -> None:
    shared = nn.Sigmoid()
    modules = seeded(lambda: nn.Sequential(nn.Linear(6, 8), shared, nn.Linear(8, 4), shared))
    functions = seeded(
        lambda: Calls(
            lambda own, x: torch.sigmoid(own.b(torch.sigmoid(own.a(x)))),
            a=nn.Linear(6, 8),
            b=nn.Linear(8, 4),
        )
    )
    for model in (modules, functions):
        treated = given("logits-loss", model, (ROWS, YES), "mse_loss")
        probabilities = torch.sigmoid(treated.model(ROWS))
        assert torch.allclose(probabilities, model(ROWS), atol=1e-6)


def test_outputs_in_a_dict_and_sigmoids_in_the_loss() -> None:
    model = seeded(
        lambda: Calls(lambda own, x: {"p": own.net(x).sigmoid(), "n": len(x)}, net=nn.Linear(6, 4))
    )
    treated = given("logits-loss", model, (ROWS, YES), lambda o, t: F.mse_loss(o["p"], t))
    assert callable(treated.loss)
    assert float(treated.loss(treated.model(ROWS), YES).detach()) > 0.0
    plain = mlp(6, 4)
    inside = given("logits-loss", plain, (ROWS, YES), lambda o, t: F.mse_loss(o.sigmoid(), t))
    assert torch.equal(inside.model(ROWS), plain(ROWS))
    assert "own function" in reason(
        "logits-loss", plain, (ROWS, YES), "binary_cross_entropy_with_logits"
    )


def test_a_softmax_with_a_squared_error() -> None:
    model = mlp(6, 4, nn.Softmax(dim=-1))
    target = F.one_hot(LABELS, 4).float()
    treated = given("logits-loss", model, (ROWS, target), "mse_loss")
    assert callable(treated.loss)
    scores = treated.model(ROWS)
    assert torch.allclose(treated.loss(scores, target), F.cross_entropy(scores, LABELS))


def test_a_loss_of_its_own_is_pointed_at_and_left() -> None:
    model = mlp(6, 4, nn.Sigmoid())
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0])

    def weighted(output: Tensor, target: Tensor) -> Tensor:
        return (weights * (output - target) ** 2).mean()

    said = reason("logits-loss", model, (ROWS, YES), weighted)
    assert "test_precision_input_loss.py:" in said
    assert "binary_cross_entropy_with_logits" in said
    assert "5" in reason("logits-loss", model, (ROWS, 5.0 * YES), "mse_loss")


@pytest.mark.parametrize("end", [nn.Softmax(dim=1), nn.Sigmoid(), nn.Tanh(), nn.ReLU()])
def test_a_function_before_cross_entropy_is_left_out(end: nn.Module) -> None:
    torch.manual_seed(0)
    labels = torch.randint(0, 40, (32,))
    model = mlp(6, 40, end)
    treated = given("drop-inner-softmax", model, (ROWS, labels), "cross_entropy")
    assert torch.equal(treated.model(ROWS), model[:3](ROWS))  # type: ignore[index]
    if not isinstance(end, nn.ReLU):
        assert torch.equal(treated.model(ROWS).argmax(1), model(ROWS).argmax(1))
    assert "UV204" not in codes(treated, (ROWS, labels))
    assert set(treated.model.state_dict()) == set(model.state_dict())


def test_the_gradient_of_a_guess_is_larger_by_the_classes() -> None:
    target = torch.tensor([3])
    sizes = []
    for end in (lambda s: s, lambda s: torch.softmax(s, 1)):
        scores = torch.zeros(1, 10, requires_grad=True)
        F.cross_entropy(end(scores), target).backward()
        assert scores.grad is not None
        sizes.append(float(scores.grad.norm()))
    assert sizes[0] / sizes[1] == pytest.approx(10.0)


def test_the_softmax_of_an_attention_in_the_same_forward_stays() -> None:
    def attends(own: Any, x: Tensor) -> Tensor:
        x = torch.softmax(x @ own.mix(x).mT, -1) @ x
        return torch.softmax(own.head(x.mean(1)), dim=-1)

    model = seeded(lambda: Calls(attends, mix=nn.Linear(8, 8), head=nn.Linear(8, 10)))
    batch = (numbers(16, 5, 8), classes(16, 10))
    treated = given("drop-inner-softmax", model, batch, "cross_entropy")
    assert torch.allclose(treated.model(batch[0]).softmax(-1), model(batch[0]), atol=1e-6)


def test_a_softmax_over_the_classes_of_an_image() -> None:
    model = seeded(lambda: nn.Sequential(nn.Conv2d(2, 8, 1), nn.Softmax(dim=1)))
    batch = (numbers(4, 2, 5, 5), torch.randint(0, 8, (4, 5, 5)))
    treated = given("drop-inner-softmax", model, batch, "cross_entropy")
    assert torch.equal(treated.model(batch[0]), model[0](batch[0]))  # type: ignore[index]
    assert "dim=-3" in treated.receipts[0].notes[0]


@pytest.mark.parametrize("end", [(nn.Softmax(dim=1),), ()])
def test_nll_loss_is_given_logarithms(end: tuple[nn.Module, ...]) -> None:
    model = mlp(6, 4, *end)
    treated = given("drop-inner-softmax", model, (ROWS, LABELS), "nll_loss")
    scores = model[:3](ROWS)  # type: ignore[index]
    loss = F.nll_loss(treated.model(ROWS), LABELS)
    assert torch.allclose(loss, F.cross_entropy(scores, LABELS))


def test_a_softmax_over_one_class_becomes_a_sigmoid() -> None:
    model = mlp(6, 1, nn.Softmax(dim=1))
    treated = given("drop-inner-softmax", model, (ROWS, YES[:, :1]), "mse_loss")
    assert torch.allclose(treated.model(ROWS), model[:3](ROWS).sigmoid())  # type: ignore[index]


def test_a_pair_that_fits_is_left_alone_and_a_wrong_loss_pointed_at() -> None:
    assert "asks for" in reason("drop-inner-softmax", mlp(6, 4), (ROWS, LABELS))

    def upside_down(output: Tensor, target: Tensor) -> Tensor:
        return -F.mse_loss(output, target)

    said = reason("drop-inner-softmax", mlp(6, 4), (ROWS, YES), upside_down)
    assert "test_precision_input_loss.py:" in said
    assert "take the minus away" in said


@pytest.mark.parametrize("end", [(), (nn.Sigmoid(),)])
def test_a_generator_gets_a_gradient_from_a_certain_discriminator(
    end: tuple[nn.Module, ...],
) -> None:
    model = mlp(6, 1, *end)
    nn.init.constant_(model[2].bias, -14.0)  # type: ignore[index,arg-type]

    def minimax(output: Tensor, _target: None) -> Tensor:
        return torch.log(1.0 - (output if end else output.sigmoid()) + 1e-12).mean()

    treated = given("non-saturating-gan", model, (ROWS, None), minimax)
    assert callable(treated.loss)
    sizes = []
    for loss in (minimax, treated.loss):
        model.zero_grad()
        loss(model(ROWS), None).backward()
        bias = model[2].bias.grad  # type: ignore[index,union-attr]
        assert isinstance(bias, Tensor)
        sizes.append(float(bias.abs().sum()))
    assert sizes[0] < 1e-5
    assert sizes[1] == pytest.approx(1.0, rel=1e-3)


def test_other_losses_are_no_generators() -> None:
    model = mlp(6, 4)
    assert "none of a generator" in reason("non-saturating-gan", model, (ROWS, LABELS))

    def both(output: Tensor, _target: None) -> Tensor:
        return F.softplus(-output).mean() + F.softplus(output).mean()

    said = reason("non-saturating-gan", model, (ROWS, None), both)
    assert "test_precision_input_loss.py:" in said
    assert "logsigmoid" in said


class Centred(nn.Module):
    """A loss with a running mean and noise of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        self.mean += output.detach().mean(0)
        return ((output + 0.1 * torch.randn_like(output) - target) ** 2).mean()


def test_asking_leaves_the_loss_and_the_random_numbers_as_they_were() -> None:
    loss = Centred()
    case = case_of(mlp(6, 4, nn.Sigmoid()), (ROWS, YES), loss)
    mean, state = loss.mean.clone(), torch.get_rng_state()  # type: ignore[operator]
    for name in ("logits-loss", "drop-inner-softmax", "non-saturating-gan", "standardise-input"):
        remedy_of(name).assess(case)
    assert torch.equal(loss.mean, mean)  # type: ignore[arg-type]
    assert torch.equal(torch.get_rng_state(), state)


def test_settings_are_obeyed_and_undone() -> None:
    model = mlp(6, 4, nn.Sigmoid())
    found = asked("logits-loss", model, (ROWS, YES), "mse_loss")
    doubled = replace(found, settings={**found.settings, "factor": 2.0})
    once = treat(model, found, (ROWS, YES), "mse_loss")
    twice = treat(model, doubled, (ROWS, YES), "mse_loss")
    assert callable(once.loss)
    assert callable(twice.loss)
    scores = once.model(ROWS)
    assert torch.allclose(twice.loss(scores, YES), 2.0 * once.loss(scores, YES))
    with pytest.raises(CannotTreatError, match="once is enough"):
        treat(once.model, "logits-loss", (ROWS, YES), once.loss)
    once.undo()
    assert torch.equal(once.model(ROWS), model(ROWS))


@pytest.mark.parametrize("last", ["softmax", "nothing"])
def test_ctc_gets_logarithms_over_the_last_axis(last) -> None:
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, 4)

        def forward(self, x):
            scores = self.head(self.rnn(x)[0])
            return scores.softmax(-1) if last == "softmax" else scores

    def loss(output, target):
        lengths = torch.full((6,), 12), torch.full((6,), 3)
        return nn.functional.ctc_loss(output.transpose(0, 1), target, *lengths)

    torch.manual_seed(0)
    batch = torch.randn(6, 12, 5), torch.randint(1, 4, (6, 3))
    treated = treat(Reader(), "drop-inner-softmax", batch, loss)
    output = treated.model(batch[0])
    assert torch.allclose(output.exp().sum(-1), torch.ones(6, 12), atol=1e-5)


def test_a_start_that_overflows_is_offered_what_holds_it() -> None:
    class Growing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(7))

        def forward(self, x):
            for layer in self.layers:
                x = x + 30.0 * layer(x).square()
            return x[:, :1]

    torch.manual_seed(0)
    batch = torch.randn(32, 16), torch.randn(32, 1)
    report = checkup(Growing(), batch, loss="mse_loss", advise="short")
    assert [f.code for f in report.findings] == ["UV403"]
    offered = {name for option in report.advice.options for name in option.remedies}
    assert {"layer-norm", "rezero"} & offered
