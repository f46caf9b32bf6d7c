"""Shaped kernels: folded into the weights, in the functions, and the tailored leaky ReLU."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unvanish
from unvanish.core.prescriptions import Outlook, Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose import diagnose
from unvanish.testing import check_remedy
from unvanish.treat.chains import Chain, chain_of, inner_tap
from unvanish.treat.prescribing import outlook_of
from unvanish.treat.registry import remedy_of
from unvanish.treat.remedies.shaped_activation import Shaped
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.treatment import case_of, treat

NAMES = ("folded-kernel-shape", "shaped-activation", "tailored-activation")


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain(act: Callable[[], nn.Module], depth: int = 30, width: int = 64) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [m for _ in range(depth) for m in (nn.Linear(width, width), act())]
    return nn.Sequential(*layers, nn.Linear(width, 10))


class Widths(nn.Module):
    """Functions, parameters of both layouts, several widths, two inputs and two outputs."""

    def __init__(self, function: Callable[[Tensor], Tensor], depth: int = 10) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.function = function
        self.left, self.right = nn.Linear(8, 12), nn.Linear(5, 9)
        self.weight, self.bias = nn.Parameter(numbers(21, 32)), nn.Parameter(torch.zeros(32))
        self.inner = nn.ModuleList(nn.Linear(32, 32) for _ in range(depth))
        self.narrow, self.wide = nn.Linear(32, 7), nn.Linear(7, 40)
        self.heads = nn.ModuleList([nn.Linear(40, 3), nn.Linear(40, 1)])

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        phi = self.function
        h = phi(torch.cat([phi(self.left(x)), phi(self.right(y))], 1) @ self.weight + self.bias)
        for layer in (*self.inner, self.narrow, self.wide):
            h = phi(layer(h))
        return self.heads[0](h), torch.sigmoid(self.heads[1](h))


class Pictures(nn.Module):
    """Convolutions in many flavours, all with zeros around."""

    def __init__(self, function: Callable[[Tensor], Tensor], mode: str = "zeros") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.function = function
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(3, 12, 5, stride=2, padding=2, padding_mode=mode),
                nn.Conv2d(12, 12, 3, padding=1, groups=12, padding_mode=mode),
                nn.Conv2d(12, 16, 1),
                nn.Conv2d(16, 16, 3, padding="same", padding_mode=mode),
                nn.Conv2d(16, 24, 3, padding=2, dilation=2, groups=4, padding_mode=mode),
                nn.Conv2d(24, 24, (3, 1), stride=(2, 1), padding=(1, 0), padding_mode=mode),
                nn.Conv2d(24, 20, 2, stride=2),
                *(nn.Conv2d(20, 20, 3, padding=1, padding_mode=mode) for _ in range(10)),
            ]
        )
        self.pool, self.head = nn.MaxPool2d(2, stride=1, padding=1), nn.Linear(20 * 3 * 5, 6)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.function(layer(x))
        return self.head(self.pool(x).flatten(1))


def total(output: Tensor | tuple[Tensor, ...], _: Tensor | None = None) -> Tensor:
    parts = output if isinstance(output, tuple) else (output,)
    return torch.stack([part.square().mean() for part in parts]).sum()


def look(model: nn.Module, batch: tuple[Tensor, ...]) -> Outlook:
    recording = unvanish.trace(model, batch, nn.CrossEntropyLoss(), batches=1, probe_steps=0)
    return outlook_of(recording, diagnose(recording))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["plain", "widths", "double"])
def test_the_contract_holds(name: str, kind: str) -> None:
    rectified = name == "tailored-activation"
    module, function = (nn.ReLU, F.relu) if rectified else (nn.Softplus, F.silu)
    make, inputs = {
        "plain": (lambda: plain(module, 16, 12), (numbers(24, 12),)),
        "widths": (lambda: Widths(function, 14), (numbers(24, 8), numbers(24, 5))),
        "double": (lambda: Pictures(function).double(), (numbers(5, 3, 16, 16).double(),)),
    }[kind]
    check_remedy(
        remedy_of(name),
        make,
        (*inputs, torch.zeros(1)),
        total,
        optimizer=lambda model: torch.optim.Adam(model.parameters()),
        unfit=[(nn.Linear(3, 2), (numbers(4, 3), torch.zeros(4).long()))],
    )


@pytest.mark.parametrize(
    "function", [torch.tanh, torch.sigmoid, F.gelu, F.silu, F.softplus, F.softsign, F.mish, F.elu]
)
def test_folding_is_the_same_network_as_shaping(function: Callable[[Tensor], Tensor]) -> None:
    net = Widths(function).double()
    x, y = numbers(48, 8).double(), numbers(48, 5).double()
    folded, shaped = (treat(net, name, (x, y, torch.zeros(1)), total).model for name in NAMES[:2])
    for one, other in zip(folded(x, y), shaped(x, y), strict=True):
        assert torch.allclose(one, other, atol=1e-10)
    far = 3.0 * numbers(9, 8, seed=1).double(), numbers(9, 5, seed=2).double() - 2.0
    assert torch.allclose(folded(*far)[0], shaped(*far)[0], atol=1e-10)


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
def test_no_constant_is_lost_at_the_border_of_a_picture(mode: str) -> None:
    net = Pictures(torch.tanh, mode).double()
    x = numbers(6, 3, 16, 16).double()
    folded, shaped = (treat(net, name, (x, torch.zeros(1)), total).model for name in NAMES[:2])
    other = numbers(4, 3, 16, 16, seed=3).double()
    assert torch.allclose(folded(other), shaped(other), atol=1e-10)


def test_a_convolution_that_is_called_as_a_function_is_folded_too() -> None:
    net = Called(1).double()
    x = PIXELS.double()
    folded, shaped = (treat(net, name, (x, torch.zeros(1)), total).model for name in NAMES[:2])
    assert torch.allclose(folded(x + 1.0), shaped(x + 1.0), atol=1e-10)


def test_folded_weights_are_orthogonal_and_as_large_as_theory_says() -> None:
    batch = numbers(64, 64), torch.arange(64) % 10
    treated = treat(plain(nn.Sigmoid), "folded-kernel-shape", batch, nn.CrossEntropyLoss()).model
    layers = [m for m in treated if isinstance(m, nn.Linear)]
    for layer in layers[1:-1]:
        values = torch.linalg.svdvals(layer.weight.detach())
        assert float(values.max() / values.min()) == pytest.approx(1.0, abs=1e-4)
        assert float(values.mean()) == pytest.approx(0.333482 * 16.563424, rel=0.05)


@pytest.mark.parametrize("act", [nn.Sigmoid, nn.GELU, nn.SELU])
@pytest.mark.parametrize("name", NAMES[:2])
def test_thirty_layers_of_any_smooth_function_become_sound(name: str, act: type[nn.Module]) -> None:
    batch = numbers(64, 64), torch.arange(64) % 10
    net = plain(act)
    before, after = (
        look(net, batch),
        look(treat(net, name, batch, nn.CrossEntropyLoss()).model, batch),
    )
    assert before.flow_decades < -2
    assert abs(after.flow_decades) < (1.0 if name == "folded-kernel-shape" else 0.2)
    assert before.sample_cosine > 0.99
    assert abs(after.sample_cosine) < 0.2
    assert "UV101" in before.findings
    assert not {"UV101", "UV102", "UV103"} & set(after.findings)


@pytest.mark.parametrize("name", NAMES[:2])
def test_data_far_from_the_origin_are_standardised(name: str) -> None:
    net = plain(nn.Tanh)
    batch = 8.0 + 5.0 * numbers(64, 64), torch.arange(64) % 10
    after = look(treat(net, name, batch, nn.CrossEntropyLoss()).model, batch)
    assert abs(after.flow_decades) < 2.5
    assert abs(after.sample_cosine) < 0.2
    found = remedy_of(name).assess(case_of(net, batch, nn.CrossEntropyLoss()))
    assert isinstance(found, Prescription)
    as_they_are = replace(found, settings={**found.settings, "centre inputs": False})
    left = look(treat(net, as_they_are, batch, nn.CrossEntropyLoss()).model, batch)
    assert left.sample_cosine > 0.5


def test_a_tailored_network_keeps_its_inputs_apart() -> None:
    batch = numbers(64, 64), torch.arange(64) % 10
    net = plain(nn.ReLU, 100)
    he = look(treat(net, "he", batch, nn.CrossEntropyLoss()).model, batch)
    treated = treat(net, "tailored-activation", batch, nn.CrossEntropyLoss())
    after = look(treated.model, batch)
    assert he.sample_cosine > 0.98
    assert after.sample_cosine < 0.95
    assert abs(after.flow_decades) < 0.5
    slopes = {m.negative_slope for m in treated.model.modules() if isinstance(m, nn.LeakyReLU)}
    assert [round(slope, 5) for slope in slopes] == [0.57044]
    assert not any(isinstance(m, nn.ReLU) for m in treated.model.modules())


def test_settings_decide() -> None:
    net = plain(nn.Tanh, 4, 16)
    batch = numbers(32, 16), torch.arange(32) % 10
    found = remedy_of("shaped-activation").assess(case_of(net, batch, nn.CrossEntropyLoss()))
    assert isinstance(found, Prescription)
    assert found.settings["depth"] == 4
    other = replace(found, settings={**found.settings, "tanh output scale": 3.0})
    treated = treat(net, other, batch, nn.CrossEntropyLoss()).model
    assert {m.output_scale for m in treated.modules() if isinstance(m, Shaped)} == {3.0}


def test_options_of_a_function_are_kept() -> None:
    net = plain(lambda: nn.Softplus(beta=3.0), 6, 16)
    batch = numbers(32, 16), torch.arange(32) % 10
    folded, shaped = (
        treat(net, name, batch, nn.CrossEntropyLoss()).model.double() for name in NAMES[:2]
    )
    inside = [m.phi for m in shaped.modules() if isinstance(m, Shaped)]
    assert [phi.beta for phi in inside] == [3.0] * 6
    assert torch.allclose(folded(batch[0].double()), shaped(batch[0].double()), atol=1e-4)


class Deep(nn.Module):
    """One function object, used everywhere, in blocks within blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.phi = nn.Softsign()
        self.blocks = nn.ModuleList(
            nn.ModuleDict({"a": nn.Linear(8, 8), "b": nn.Linear(8, 8)}) for _ in range(6)
        )
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        for block in self.blocks:
            x = self.phi(block["b"](F.softsign(block["a"](x))))
        return {"logits": self.head(x)}


@pytest.mark.parametrize(
    ("net", "inputs", "depth", "layers"),
    [
        (Deep(), (numbers(16, 8),), 12, 13),
        (Widths(torch.tanh, 5), (numbers(16, 8), numbers(16, 5)), 9, 12),
        (Pictures(F.mish), (numbers(3, 3, 16, 16),), 17, 18),
        (
            nn.Sequential(
                nn.Embedding(9, 8),
                nn.Flatten(),
                nn.Linear(16, 8),
                nn.ELU(),
                nn.Linear(8, 8),
                nn.Linear(8, 2),
                nn.Sigmoid(),
            ),
            (torch.zeros(4, 2).long(),),
            1,
            3,
        ),
    ],
)
def test_depth_is_counted_as_functions_in_a_row(
    net: nn.Module, inputs: tuple[Tensor, ...], depth: int, layers: int
) -> None:
    def loss(output: Tensor | tuple[Tensor, ...] | dict[str, Tensor], _: Tensor) -> Tensor:
        return total(tuple(output.values()) if isinstance(output, dict) else output)

    chain = chain_of(case_of(net, (*inputs, torch.zeros(1)), loss))
    assert isinstance(chain, Chain)
    assert (chain.depth, len(chain.links)) == (depth, layers)


class Skips(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.first(x))
        return self.head(h + torch.tanh(self.second(h)))


class Past(Skips):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.first(x)
        return torch.tanh(self.second(torch.tanh(h))), self.head(h)


class Beside(Skips):
    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return self.head(torch.cat([torch.tanh(h), x], 1)[:, :8])


class Twice(Skips):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.second(torch.tanh(self.second(x)))))


class Gated(Skips):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.first(x)) * torch.sigmoid(self.second(x)))


class Scaled(Skips):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(3.0 * torch.tanh(self.second(torch.tanh(self.first(x)))))


class Called(nn.Module):
    def __init__(self, padding: int) -> None:
        super().__init__()
        self.padding = padding
        self.first, self.second = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.first(x))
        h = torch.tanh(F.conv2d(h, self.second.weight, self.second.bias, padding=self.padding))
        return self.head(h.mean((2, 3)))


def conv(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(2))


def ran(net: nn.Module, x: Tensor) -> nn.Module:
    net(x)
    return net


PIXELS = numbers(12, 1, 8, 8)
FEATURES = numbers(12, 8)


@pytest.mark.parametrize(
    ("net", "x", "reason"),
    [
        (plain(nn.ReLU, 20, 8), FEATURES, "flat.*tailored-activation"),
        (plain(nn.Hardtanh, 3, 8), FEATURES, "no constants of deep kernel shaping"),
        (Skips(), FEATURES, "add .* no part of a plain chain"),
        (Past(), FEATURES, "first goes through a function and past it"),
        (Beside(), FEATURES, "cat .* lays different kinds of signal together"),
        (Twice(), FEATURES, "used 2 times"),
        (Gated(), FEATURES, "gate|mul"),
        (Scaled(), FEATURES, "mul"),
        (
            nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 2)),
            FEATURES,
            "layer_norm",
        ),
        (
            nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 2)),
            FEATURES,
            "drops values",
        ),
        (
            nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2, bias=False)),
            FEATURES,
            "2 has no trained bias",
        ),
        (nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2)), FEATURES, "no activation function"),
        (
            ran(conv(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Conv2d(3, 3, 2, padding=1)), PIXELS),
            PIXELS,
            "every tap of 2 meets the padding",
        ),
        (
            ran(conv(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.ZeroPad2d(1), nn.Conv2d(3, 3, 3)), PIXELS),
            PIXELS,
            "pad",
        ),
        (
            ran(
                conv(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.AvgPool2d(3, padding=1), nn.Conv2d(3, 3, 1)),
                PIXELS,
            ),
            PIXELS,
            "zeros at the border",
        ),
        (
            ran(conv(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.ConvTranspose2d(3, 3, 2, 2)), PIXELS),
            PIXELS,
            "transposed",
        ),
        (Called(2), PIXELS, "zeros at the border of its input"),
        (
            nn.Sequential(
                nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)), nn.Tanh(), nn.Linear(8, 2)
            ),
            FEATURES,
            "drawn anew",
        ),
        (
            nn.Sequential(
                nn.Linear(8, 8),
                nn.Tanh(),
                nn.Linear(8, 8).requires_grad_(requires_grad=False),
                nn.Tanh(),
                nn.Linear(8, 2),
            ),
            FEATURES,
            "linear at 2 is no part",
        ),
    ],
)
def test_refusals_of_folding_say_why(net: nn.Module, x: Tensor, reason: str) -> None:
    with pytest.raises(CannotTreatError, match=reason):
        treat(net, "folded-kernel-shape", (x, torch.zeros(1)), total)


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (plain(nn.Tanh, 20, 8), "functions are tanh; folded-kernel-shape"),
        (plain(nn.ReLU, 4, 8), "4 layers are too few"),
    ],
)
def test_refusals_of_tailoring_say_why(net: nn.Module, reason: str) -> None:
    found = remedy_of("tailored-activation").assess(case_of(net, (FEATURES, torch.zeros(1)), total))
    assert isinstance(found, NotApplicable)
    with pytest.raises(CannotTreatError, match=reason):
        treat(net, "tailored-activation", (FEATURES, torch.zeros(1)), total)


def test_shaping_bears_dropout_and_missing_biases() -> None:
    torch.manual_seed(0)
    layers = [m for _ in range(20) for m in (nn.Linear(32, 32, bias=False), nn.SiLU())]
    net = nn.Sequential(*layers, nn.Dropout(0.2), nn.Linear(32, 10))
    batch = numbers(64, 32), torch.arange(64) % 10
    assert look(net, batch).flow_decades < -5
    after = look(treat(net, "shaped-activation", batch, nn.CrossEntropyLoss()).model, batch)
    assert abs(after.flow_decades) < 0.5


def is_inner(layer: nn.Conv1d, tap: int) -> bool:
    with torch.no_grad():
        layer.weight.zero_()[0, 0, tap] = 1.0
        return bool((layer(torch.ones(1, 1, 23)) == 1.0).all())


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_the_inner_tap_never_meets_the_padding(kernel: int, stride: int, dilation: int) -> None:
    for padding in range(5):
        layer = nn.Conv1d(1, 1, kernel, stride, padding, dilation, bias=False)
        tap = inner_tap(layer, (kernel,))
        if tap is None:
            assert stride > 1 or not any(is_inner(layer, at) for at in range(kernel))
        else:
            assert is_inner(layer, tap[0])


def test_a_network_that_hides_a_step_is_refused_and_left_as_it_was() -> None:
    class Hiding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(5))
            self.head = nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = torch.tanh(layer(x))
                x.data.mul_(100.0)
            return self.head(x)

    torch.manual_seed(0)
    net = Hiding()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(CannotTreatError, match="does not show"):
        treat(net, "shaped-activation", (FEATURES, torch.zeros(1)), total, in_place=True)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_deep_sigmoid_network_learns_after_folding() -> None:
    x = numbers(96, 16)
    y = (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()

    def trained(model: nn.Module) -> float:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for _ in range(60):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        return float((model(x).argmax(1) == y).float().mean())

    net = plain(nn.Sigmoid, 16, 16)
    treated = treat(net, "folded-kernel-shape", (x, y), nn.CrossEntropyLoss()).model
    assert [type(m) for m in treated] == [type(m) for m in net]
    assert trained(treated) > 0.9
    assert trained(net) < 0.5
    assert math.isfinite(look(treated, (x, y)).flow_decades)
