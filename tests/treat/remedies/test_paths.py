"""Connections fit where they should, compute what they say, and leave nothing behind."""

from __future__ import annotations

import copy
import dataclasses
import gc
import io
import re
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

import unvanish
from unvanish.core.errors import UnvanishError
from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose import diagnose
from unvanish.treat.connecting import paths_of
from unvanish.treat.contract import check_remedy
from unvanish.treat.interception import ShadowForward
from unvanish.treat.prescribing import outlook_of
from unvanish.treat.registry import remedy_of
from unvanish.treat.relay import Relay
from unvanish.treat.remedies.residual import Residual
from unvanish.treat.shortcuts import Shortcut
from unvanish.treat.treatment import case_of, treat
from unvanish.zoo.data import held_out_digits, training_digits

CONNECTING = ("residual", "scaled-residual", "rezero", "layer-scale", "highway")
WIDTH = 6


class Loop(nn.Module):
    """A loop over layers with a functional activation."""

    def __init__(self, depth: int = 4, width: int = WIDTH) -> None:
        super().__init__()
        self.enter = nn.Linear(WIDTH, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.leave = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.sigmoid(self.enter(x))
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return self.leave(x)

    def expected(self, x: Tensor) -> Tensor:
        x = torch.sigmoid(self.enter(x))
        for layer in self.layers:
            x = x + torch.sigmoid(layer(x)) - 0.5
        return self.leave(x)


class Chain(nn.Module):
    """No layers at all: weights, functions, an operator, an in-place call whose result is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(WIDTH, WIDTH) / 3) for _ in range(4)
        )
        self.leave = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.linear(x, self.weights[0]).tanh()
        x = F.softsign(x @ self.weights[1])
        x = F.linear(x, self.weights[2])
        x.relu_()
        x = (x @ self.weights[3]).sin()
        return self.leave(x)

    def expected(self, x: Tensor) -> Tensor:
        x = F.linear(x, self.weights[0]).tanh()
        x = x + F.softsign(x @ self.weights[1])
        x = x + F.relu(F.linear(x, self.weights[2]))
        x = x + (x @ self.weights[3]).sin()
        return self.leave(x)


class OneFunction(nn.Module):
    """Every layer calls the same activation module, which stands behind a reshaping one too."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(WIDTH, WIDTH)
        self.a, self.b = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.act = nn.Tanh()
        self.leave = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.enter(x))
        x = self.act(self.a(x))
        x = self.act(self.b(x))
        return self.leave(x)

    def expected(self, x: Tensor) -> Tensor:
        x = self.act(self.enter(x))
        x = x + self.act(self.a(x))
        x = x + self.act(self.b(x))
        return self.leave(x)


class SharedLayer(nn.Module):
    """One layer that runs again and again."""

    def __init__(self, times: int = 3) -> None:
        super().__init__()
        self.times = times
        self.enter = nn.Linear(WIDTH, WIDTH)
        self.layer = nn.Linear(WIDTH, WIDTH)
        self.leave = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        for _ in range(self.times):
            x = F.gelu(self.layer(x))
        return self.leave(x)

    def expected(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        for _ in range(self.times):
            x = x + F.gelu(self.layer(x))
        return self.leave(x)


class Block(nn.Module):
    """A layer with a function, normalised and with dropout, nested in a block."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.drop = nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(F.relu(self.norm(self.layer(x))))


class Nested(nn.Module):
    """Blocks in blocks, one of them used twice, and a dict for an output."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(WIDTH, WIDTH)
        self.blocks = nn.Sequential(Block(), nn.Sequential(Block(), Block()))
        self.twice = Block()
        self.leave = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.leave(self.twice(self.twice(self.blocks(self.enter(x)))))}

    def expected(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        for block in (self.blocks[0], *self.blocks[1], self.twice, self.twice):
            x = x + block(x)
        return self.leave(x)


class Images(nn.Module):
    """Convolutions of the same width."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, 4, 3, padding=1)
        self.a = nn.Conv2d(4, 4, 3, padding=1)
        self.b = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.ReLU(inplace=True)
        self.leave = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.enter(x))
        x = self.act(self.a(x))
        x = self.act(self.norm(self.b(x)))
        return self.leave(x.mean((2, 3)))

    def expected(self, x: Tensor) -> Tensor:
        x = F.relu(self.enter(x))
        x = x + F.relu(self.a(x))
        x = x + F.relu(self.norm(self.b(x)))
        return self.leave(x.mean((2, 3)))


def _vectors(count: int = 5) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(count, WIDTH), torch.randint(0, 3, (count,))


def _images() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(5, 3, 7, 7), torch.randint(0, 3, (5,))


def _loss(output: Any, target: Tensor) -> Tensor:
    logits = output["logits"] if isinstance(output, dict) else output
    return F.cross_entropy(logits, target)


def _relays(model: nn.Module) -> list[Relay]:
    shadows = [m.__dict__.get("forward") for m in model.modules()]
    found = [one.relay for s in shadows if isinstance(s, ShadowForward) for one in s.insertions]
    return [relay for relay in found if relay is not None]


NETWORKS: tuple[tuple[Callable[[], Any], Callable[[], Any]], ...] = (
    (Loop, _vectors),
    (Chain, _vectors),
    (OneFunction, _vectors),
    (SharedLayer, _vectors),
    (Nested, _vectors),
    (Images, _images),
)


@pytest.mark.parametrize(("make", "batch"), NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_residual_computes_what_the_same_network_written_with_skips_computes(
    make: Callable[[], Any], batch: Callable[[], Any], dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    model = make().to(dtype)
    inputs, target = batch()
    inputs = inputs.to(dtype)
    treated = treat(model, "residual", (inputs, target), _loss)
    for _ in range(2):
        output = treated.model(inputs)
        found = output["logits"] if isinstance(output, dict) else output
        torch.testing.assert_close(found, model.expected(inputs))
    assert all(relay.is_empty for relay in _relays(treated.model))


@pytest.mark.parametrize(("make", "batch"), NETWORKS)
def test_gradients_are_those_of_the_network_written_with_skips(
    make: Callable[[], Any], batch: Callable[[], Any]
) -> None:
    torch.manual_seed(0)
    model = make()
    inputs, target = batch()
    treated = treat(model, "residual", (inputs, target), _loss).model
    _loss(treated(inputs), target).backward()
    _loss(model.expected(inputs), target).backward()
    of_treated = dict(treated.named_parameters())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(of_treated[name].grad, parameter.grad)


@pytest.mark.parametrize("name", CONNECTING)
@pytest.mark.parametrize(("make", "batch"), NETWORKS)
def test_every_remedy_runs_on_every_network_and_undo_restores_it(
    name: str, make: Callable[[], Any], batch: Callable[[], Any]
) -> None:
    torch.manual_seed(0)
    model = make()
    inputs, target = batch()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    modules = [path for path, _ in model.named_modules()]
    output = copy.deepcopy(model)(inputs)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    held = len(optimizer.param_groups[0]["params"])
    treated = treat(model, name, (inputs, target), _loss, optimizer=optimizer, in_place=True)
    _loss(treated.model(inputs), target).backward()
    fresh = len(optimizer.param_groups[0]["params"])
    assert fresh == len(list(model.parameters()))
    assert (fresh > held) == (name in ("rezero", "layer-scale", "highway"))
    treated.undo()
    model.load_state_dict(before)
    assert [path for path, _ in model.named_modules()] == modules
    assert len(optimizer.param_groups[0]["params"]) == held
    again = model(inputs)
    if isinstance(output, dict):
        output, again = output["logits"], again["logits"]
    assert torch.equal(output, again)


@pytest.mark.parametrize("name", CONNECTING)
def test_contract(name: str) -> None:
    check_remedy(
        remedy_of(name),
        lambda: nn.Sequential(
            nn.Linear(6, 5),
            nn.ReLU(),
            nn.Linear(5, 7),
            nn.ReLU(),
            nn.Linear(7, 7),
            nn.Tanh(),
            nn.Linear(7, 3),
        ),
        _vectors(),
        unfit=[(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)), _vectors())],
    )


def test_two_layers_a_block_meet_their_own_end_of_a_shared_function() -> None:
    torch.manual_seed(0)
    model, (inputs, target) = OneFunction(), _vectors()
    found = Residual(layers_per_block=2).assess(case_of(model, (inputs, target)))
    assert isinstance(found, Prescription)
    treated = treat(model, found, (inputs, target)).model
    x = model.act(model.enter(inputs))
    x = x + model.act(model.b(model.act(model.a(x))))
    torch.testing.assert_close(treated(inputs), model.leave(x))


@pytest.mark.parametrize(
    ("layer", "entering", "size"),
    [
        (nn.Conv2d(4, 8, 3, stride=2, padding=1), 4, (9, 8)),
        (nn.Conv2d(4, 8, 3), 4, (9, 8)),
        (nn.Conv2d(4, 2, 5, stride=3), 4, (11, 9)),
        (nn.ConvTranspose2d(4, 3, 4, stride=2, padding=1), 4, (5, 4)),
        (nn.Conv1d(4, 6, 3, stride=2), 4, (13,)),
        (nn.Conv3d(4, 4, 3, stride=2, padding=1), 4, (5, 4, 3)),
    ],
)
@pytest.mark.parametrize("name", ["residual", "highway", "layer-scale"])
def test_a_projection_follows_strides_cut_edges_and_enlargement(
    layer: nn.Module, entering: int, size: tuple[int, ...], name: str
) -> None:
    axes = len(size)
    torch.manual_seed(0)
    convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[axes]
    model = nn.Sequential(
        convolution(2, entering, 1), nn.Tanh(), layer, nn.Tanh(), nn.Flatten(1), nn.LazyLinear(3)
    )
    inputs, target = torch.randn(4, 2, *size), torch.randint(0, 3, (4,))
    model(inputs)
    treated = treat(model, name, (inputs, target)).model
    treated(torch.randn(1, 2, *size)).sum().backward()
    assert treated[0].weight.grad.abs().sum() > 0


def test_projections_keep_lengths_and_padding_fills_up() -> None:
    torch.manual_seed(0)
    x = torch.randn(500, 8)
    for leaving in (4, 8, 20):
        y = Shortcut(8, leaving, 0)(x, torch.empty(500, leaving))
        assert y.square().mean().item() == pytest.approx(1.0, rel=0.05)
    y = Shortcut(8, 12, 0, pad=True)(x, torch.empty(500, 12))
    assert torch.equal(y[:, :8], x)
    assert not y[:, 8:].any()
    image = torch.randn(2, 4, 6, 6)
    y = Shortcut(4, 6, 2, pad=True)(image, torch.empty(2, 6, 3, 3))
    assert torch.equal(y[:, :4], image[:, :, ::2, ::2])


# ------------------------------------------------------------------ where none fits


class UNet(nn.Module):
    """An encoder and a decoder with a skip between them."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.inner = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.back, self.leave = nn.Linear(2 * WIDTH, WIDTH), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.enter(x))
        y = torch.relu(self.inner(x))
        return self.leave(torch.relu(self.back(torch.cat([x, y], 1))))


class Recurrent(nn.Module):
    """A hand-written cell over time."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.leave = nn.Linear(2 * WIDTH, WIDTH), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        state = torch.zeros_like(x)
        for _ in range(4):
            state = torch.tanh(self.cell(torch.cat([x, state], 1)))
        return self.leave(state)


class Residuals(nn.Module):
    """Residual blocks without normalisation."""

    def __init__(self, depth: int = 3, width: int = WIDTH) -> None:
        super().__init__()
        self.enter = nn.Linear(WIDTH, width)
        self.first = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.second = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.leave = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        for first, second in zip(self.first, self.second, strict=True):
            x = x + second(torch.relu(first(x)))
        return self.leave(x)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (nn.Sequential(nn.Linear(WIDTH, 3)), "read the data"),
        (nn.Sequential(nn.Linear(WIDTH, 4), nn.ReLU(), nn.Linear(4, 3)), "read the data"),
        (UNet(), "leads round already"),
        (Recurrent(), "loop over time"),
        (Residuals(), "in residual blocks already"),
    ],
)
def test_what_has_ways_round_it_or_none_to_give_is_left_alone(
    model: nn.Module, reason: str
) -> None:
    found = Residual().assess(case_of(model, _vectors()))
    assert isinstance(found, NotApplicable)
    assert re.search(reason, found.reason), found.reason


def test_the_arms_of_two_inputs_are_connected_each_by_itself() -> None:
    class Arms(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left = nn.Sequential(*[m for _ in range(3) for m in (nn.Linear(6, 6), nn.Tanh())])
            self.right = nn.Sequential(*[m for _ in range(3) for m in (nn.Linear(6, 6), nn.Tanh())])
            self.leave = nn.Linear(12, 3)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return self.leave(torch.cat([self.left(a), self.right(b)], 1))

    (a, target), b = _vectors(), torch.randn(5, 6)
    paths = paths_of(case_of(Arms(), ((a, b), target)))
    assert [block.weights[0] for block in paths.blocks] == [
        "left.2.weight", "left.4.weight", "right.2.weight", "right.4.weight",
    ]  # fmt: skip


# ------------------------------------------------------------------ branches there are


@pytest.mark.parametrize("name", ["rezero", "layer-scale"])
def test_branches_scaled_by_one_keep_the_function(name: str) -> None:
    torch.manual_seed(0)
    model, (inputs, target) = Residuals(), _vectors()
    found = remedy_of(name).assess(case_of(model, (inputs, target)))
    assert isinstance(found, Prescription)
    kept = dataclasses.replace(found, settings={**found.settings, "start": 1.0})
    treated = treat(model, kept, (inputs, target)).model
    torch.testing.assert_close(treated(inputs), model(inputs))
    none = dataclasses.replace(found, settings={**found.settings, "start": 0.0})
    bare = treat(model, none, (inputs, target)).model
    torch.testing.assert_close(bare(inputs), model.leave(model.enter(inputs)))


def test_a_residual_network_that_explodes_is_tamed_by_its_branches() -> None:
    torch.manual_seed(0)
    model = Residuals(depth=40, width=32)
    for layer in (*model.first, *model.second):
        nn.init.kaiming_normal_(layer.weight)
    batch = _vectors(16)
    assert _flow(model, batch) > 5
    for name in ("scaled-residual", "rezero", "layer-scale"):
        assert abs(_flow(treat(model, name, batch).model, batch)) < 1


class NormalisedResiduals(nn.Module):
    """Residual blocks of convolutions with batch normalisation."""

    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, 4, 3, padding=1)
        self.first = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(depth))
        self.norm = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(depth))
        self.second = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(depth))
        self.last = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(depth))
        self.leave = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        for a, norm, b, last in zip(self.first, self.norm, self.second, self.last, strict=True):
            x = torch.relu(last(b(torch.relu(norm(a(x))))) + x)
        return self.leave(x.mean((2, 3)))


@pytest.mark.parametrize("name", ["skip-init", "fixup"])
def test_batch_normalisation_in_branches_goes_and_blocks_start_as_the_identity(name: str) -> None:
    torch.manual_seed(0)
    model, (inputs, target) = NormalisedResiduals(), _images()
    treated = treat(model, name, (inputs, target)).model
    assert not any(isinstance(m, nn.BatchNorm2d) for m in treated.modules())
    expected = model.leave(torch.relu(model.enter(inputs)).mean((2, 3)))
    torch.testing.assert_close(treated(inputs), expected)
    torch.testing.assert_close(treated(inputs[:1]), expected[:1])
    optimizer = torch.optim.SGD(treated.parameters(), 0.05)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(treated(inputs), target).backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.any() for p in treated.first.parameters())


def test_fixup_draws_branches_with_its_variance() -> None:
    torch.manual_seed(0)
    model = Residuals(depth=16, width=128)
    treated = treat(model, "fixup", _vectors()).model
    deviation = (2 / 128) ** 0.5 * 16**-0.5
    for first, second in zip(treated.first, treated.second, strict=True):
        assert first.weight.std().item() == pytest.approx(deviation, rel=0.05)
        assert not second.weight.any()


@pytest.mark.parametrize("name", ["skip-init", "fixup"])
def test_contract_of_remedies_for_branches(name: str) -> None:
    unfit = [(Loop(), _vectors())]
    check_remedy(remedy_of(name), NormalisedResiduals, _images(), unfit=unfit)
    check_remedy(remedy_of(name), Residuals, _vectors(), unfit=unfit)


def _post_norm(depth: int = 3) -> nn.Module:
    layers = [
        nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True) for _ in range(depth)
    ]
    return nn.Sequential(nn.Linear(WIDTH, 8), *layers, nn.Flatten(), nn.Linear(40, 3))


def _sequences() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(4, 5, WIDTH), torch.randint(0, 3, (4,))


def test_deep_norm_scales_what_goes_round_in_every_mode() -> None:
    torch.manual_seed(0)
    inputs, target = _sequences()
    treated = treat(_post_norm(), "deep-norm", (inputs, target)).model
    alpha = 6**0.25
    x = treated[0](inputs)
    for layer in list(treated)[1:4]:
        attended = layer.self_attn(x, x, x, need_weights=False)[0]
        x = layer.norm1(alpha * x + attended)
        x = layer.norm2(alpha * x + layer.linear2(torch.relu(layer.linear1(x))))
    expected = treated[5](treated[4](x))
    torch.testing.assert_close(treated(inputs), expected)
    with torch.no_grad():
        torch.testing.assert_close(treated.eval()(inputs), expected)


def test_deep_norm_draws_all_but_queries_and_keys_smaller() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(64, 4, 64, dropout=0.0, batch_first=True)
    model = nn.Sequential(nn.Linear(WIDTH, 64), layer, nn.Flatten(), nn.Linear(320, 3))
    treated = treat(model, "deep-norm", _sequences()).model[1]
    xavier, beta = 64**-0.5, 8**-0.25
    query, key, value = treated.self_attn.in_proj_weight.chunk(3)
    for weight, gain in (
        (query, 1.0),
        (key, 1.0),
        (value, beta),
        (treated.self_attn.out_proj.weight, beta),
        (treated.linear1.weight, beta),
        (treated.linear2.weight, beta),
    ):
        assert weight.std().item() == pytest.approx(gain * xavier, rel=0.06)


def test_contract_of_deep_norm() -> None:
    pre = nn.TransformerEncoderLayer(WIDTH, 2, 16, norm_first=True, batch_first=True)
    other = nn.Sequential(nn.Linear(WIDTH, WIDTH), pre, nn.Flatten(), nn.Linear(30, 3))
    check_remedy(remedy_of("deep-norm"), _post_norm, _sequences(), unfit=[(other, _sequences())])


# ------------------------------------------------------------------ the relay


def test_an_exception_leaves_nothing_behind() -> None:
    class Stumbles(Loop):
        stumble = False

        def forward(self, x: Tensor) -> Tensor:
            x = torch.sigmoid(self.enter(x))
            for number, layer in enumerate(self.layers):
                y = layer(x)
                if self.stumble and number == 2:
                    raise RuntimeError("stumbled")
                x = torch.sigmoid(y)
            return self.leave(x)

    model, (inputs, target) = Stumbles(), _vectors()
    treated = treat(model, "residual", (inputs, target)).model
    expected = treated(inputs)
    treated.stumble = True
    lost = torch.randn(5, WIDTH, requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="stumbled"):
        treated(lost)
    assert all(relay.is_empty for relay in _relays(treated))
    treated.stumble = False
    assert torch.equal(treated(inputs), expected)


def test_no_activation_outlives_its_forward() -> None:
    model, (inputs, target) = Loop(), _vectors()
    treated = treat(model, "residual", (inputs, target)).model
    seen: list[weakref.ref[Tensor]] = []
    treated.layers[1].register_forward_pre_hook(lambda _, args: seen.append(weakref.ref(args[0])))
    with torch.no_grad():
        treated(inputs)
    gc.collect()
    assert [one() for one in seen] == [None]


def test_a_forward_within_a_forward_has_its_own_connections() -> None:
    class Twice(Loop):
        deeper = True

        def forward(self, x: Tensor) -> Tensor:
            x = torch.sigmoid(self.enter(x))
            for number, layer in enumerate(self.layers):
                y = layer(x)
                if self.deeper and number == 1:
                    self.deeper = False
                    self(torch.zeros(3, WIDTH))
                    self.deeper = True
                x = torch.sigmoid(y)
            return self.leave(x)

    model, (inputs, target) = Twice(), _vectors()
    model.deeper = False
    treated = treat(model, "residual", (inputs, target)).model
    treated.deeper = True
    torch.testing.assert_close(treated(inputs), model.expected(inputs))


def test_copies_files_modes_and_batches_of_other_sizes() -> None:
    model, (inputs, target) = OneFunction(), _vectors()
    treated = treat(model, "rezero", (inputs, target)).model
    with torch.no_grad():
        for name, parameter in treated.named_parameters():
            if name.endswith("alpha"):
                parameter.fill_(0.3)
    twin = copy.deepcopy(treated)
    with torch.no_grad():
        for parameter in treated.parameters():
            parameter.zero_()
    assert twin(inputs).abs().sum() > 0
    file = io.BytesIO()
    torch.save(twin, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert torch.equal(loaded(inputs), twin(inputs))
    with torch.inference_mode():
        assert torch.equal(twin.eval()(inputs[:1]), loaded.eval()(inputs[:1]))
    other = treat(model, "rezero", (inputs, target)).model
    other.load_state_dict(twin.state_dict())
    assert torch.equal(other(inputs), twin(inputs))


def test_threads_do_not_meet() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(8, WIDTH)
    batches = [torch.randn(3 + n, WIDTH) for n in range(4)]
    found: dict[int, Tensor] = {}
    layers = [m for _ in range(9) for m in (nn.Linear(6, 6), nn.Tanh())]
    plain = nn.Sequential(*layers, nn.Linear(6, 3))
    shared = treat(plain, "residual", (inputs, torch.randint(0, 3, (8,)))).model

    def run_all(number: int) -> None:
        for _ in range(20):
            found[number] = shared(batches[number])

    threads = [threading.Thread(target=run_all, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, batch in enumerate(batches):
        torch.testing.assert_close(found[number], shared(batch))
    assert all(relay.is_empty for relay in _relays(shared))


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_round_a_whole_block_gives_the_same_gradient(*, reentrant: bool) -> None:
    class Saving(Nested):
        saving = False

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            x = self.enter(x)
            for block in (self.blocks[0], *self.blocks[1], self.twice, self.twice):
                x = checkpoint(block, x, use_reentrant=reentrant) if self.saving else block(x)
            return {"logits": self.leave(x)}

    torch.manual_seed(0)
    inputs, target = _vectors()
    treated = treat(Saving(), "residual", (inputs, target), _loss).model
    gradients = []
    for saving in (False, True):
        treated.saving = saving
        treated.zero_grad()
        _loss(treated(inputs), target).backward()
        gradients.append([p.grad.clone() for p in treated.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1])
    assert all(relay.is_empty for relay in _relays(treated))


def test_a_checkpoint_that_cuts_a_block_in_two_is_refused_rather_than_wrong() -> None:
    class Cutting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.enter, self.leave = nn.Linear(6, 6), nn.Linear(6, 3)
            self.layer, self.act, self.next = nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6)
            self.saving = False

        def tail(self, x: Tensor) -> Tensor:
            return torch.relu(self.next(self.act(x)))

        def forward(self, x: Tensor) -> Tensor:
            x = self.layer(self.enter(x))
            x = checkpoint(self.tail, x, use_reentrant=False) if self.saving else self.tail(x)
            return self.leave(x)

    inputs, target = _vectors()
    treated = treat(Cutting(), "residual", (inputs, target)).model
    treated.saving = True
    with pytest.raises(UnvanishError, match="checkpoint"):
        treated(inputs).sum().backward()


def test_blocks_that_some_inputs_skip_stay_with_their_own_connection() -> None:
    class Some(Loop):
        def forward(self, x: Tensor) -> Tensor:
            wanted = len(self.layers) if x.shape[0] > 3 else x.shape[0]
            x = torch.sigmoid(self.enter(x))
            for layer in list(self.layers)[:wanted]:
                x = torch.sigmoid(layer(x))
            return self.leave(x)

    torch.manual_seed(0)
    model = Some()
    treated = treat(model, "residual", _vectors()).model
    for size in (5, 1, 2, 3, 5):
        x = torch.randn(size, WIDTH)
        expected = torch.sigmoid(model.enter(x))
        for layer in list(model.layers)[: size if size <= 3 else None]:
            expected = expected + torch.sigmoid(layer(expected)) - 0.5
        torch.testing.assert_close(treated(x), model.leave(expected))


def test_a_network_that_checkpoints_segments_of_a_list_of_layers() -> None:
    class Segments(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(*[m for _ in range(6) for m in (nn.Linear(6, 6), nn.ELU())])
            self.leave = nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = x.detach().requires_grad_()
            return self.leave(checkpoint_sequential(self.layers, 3, x, use_reentrant=False))

    torch.manual_seed(0)
    model, (inputs, target) = Segments(), _vectors()
    treated = treat(model, "residual", (inputs, target)).model
    treated(inputs).sum().backward()
    x = F.elu(model.layers[0](inputs))
    for layer in list(model.layers)[2::2]:
        x = x + F.elu(layer(x))
    model.leave(x).sum().backward()
    torch.testing.assert_close(
        [p.grad for p in treated.parameters()], [p.grad for p in model.parameters()]
    )


class OverTime(nn.Module):
    """Layers that run on every step of a sequence, before a cell; functions without a module."""

    skips = False

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.each = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.cell = nn.GRUCell(WIDTH, WIDTH)
        self.after, self.leave = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        state = torch.zeros_like(x[:, 0])
        for step in x.unbind(1):
            y = torch.tanh(self.enter(step))
            z = torch.tanh(self.each(y))
            state = self.cell(y + z if self.skips else z, state)
        z = torch.tanh(self.after(state))
        return self.leave(state + z if self.skips else z)


def test_sequences_of_another_length_meet_the_same_connections() -> None:
    torch.manual_seed(0)
    model, (inputs, target) = OverTime(), _sequences()
    treated = treat(model, "residual", (inputs, target)).model
    model.skips = True
    for length in (5, 1, 9):
        x = torch.randn(2, length, WIDTH)
        torch.testing.assert_close(treated(x), model(x))
    assert len(treat(OverTime(), "rezero", (inputs, target)).receipts[0].edits) == 2


def test_blocks_that_run_by_turns_are_left_alone() -> None:
    class Turns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.enter = nn.Linear(WIDTH, WIDTH)
            self.a, self.b = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
            self.leave = nn.Linear(WIDTH, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.enter(x)
            a, b = self.a(x), self.b(x)
            return self.leave(torch.relu(a) * torch.relu(b))

    found = Residual().assess(case_of(Turns(), _vectors()))
    assert isinstance(found, NotApplicable)


def test_branches_that_look_at_another_sequence_begin_where_they_part() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.enter, self.leave = nn.Linear(WIDTH, 8), nn.Linear(8, 3)
            self.both = nn.Transformer(8, 2, 2, 2, 16, dropout=0.0, batch_first=True)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return self.leave(self.both(self.enter(a), self.enter(b)).mean(1))

    inputs, target = _sequences()
    branches = paths_of(case_of(Both(), ((inputs, inputs[:, :3]), target))).branches
    assert len(branches) == 10
    assert all(len(branch.weights) == 2 for branch in branches)


# ------------------------------------------------------------------ does it help


def _flow(model: nn.Module, batch: tuple[Tensor, Tensor]) -> float:
    recording = unvanish.trace(model, batch, batches=1, probe_steps=0)
    return outlook_of(recording, diagnose(recording)).flow_decades


def _plain(function: type[nn.Module], depth: int = 30, width: int = 64) -> nn.Module:
    torch.manual_seed(0)
    layers = [m for _ in range(depth) for m in (nn.Linear(width, width), function())]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def _accuracy(model: nn.Module, steps: int = 150) -> float:
    inputs, target = training_digits()
    torch.manual_seed(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(steps):
        chosen = torch.randint(0, len(inputs), (64,))
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[chosen]), target[chosen]).backward()
        optimizer.step()
    unseen, right = held_out_digits()
    with torch.no_grad():
        return (model(unseen).argmax(1) == right).float().mean().item()


@pytest.mark.parametrize("function", [nn.Sigmoid, nn.Tanh, nn.ReLU])
@pytest.mark.parametrize("name", CONNECTING)
def test_the_gradient_reaches_the_first_of_thirty_layers(
    function: type[nn.Module], name: str
) -> None:
    inputs, target = training_digits()
    batch = inputs[:64], target[:64]
    model = _plain(function)
    assert _flow(model, batch) < -6
    assert abs(_flow(treat(model, name, batch).model, batch)) < 2


@pytest.mark.parametrize("function", [nn.Sigmoid, nn.ReLU])
def test_it_learns_where_the_control_does_not(function: type[nn.Module]) -> None:
    inputs, target = training_digits()
    batch = inputs[:64], target[:64]
    model = _plain(function)
    treated = treat(model, "residual", batch).model
    assert _accuracy(model) < 0.2
    assert _accuracy(treated) > 0.8
