"""Starts that are measured on a batch: LSUV, centre and unit variance, Jacobian tuning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import unvanish
from unvanish.core.prescriptions import Keeps, Outlook, Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose import diagnose
from unvanish.testing import check_remedy
from unvanish.treat.layerwise import rehearsal
from unvanish.treat.prescribing import outlook_of
from unvanish.treat.protocol import Patient
from unvanish.treat.registry import remedy_of
from unvanish.treat.surgery import CannotTreatError, Surgery
from unvanish.treat.tapping import Fit
from unvanish.treat.treatment import case_of, treat

NAMES = ("lsuv", "centre-and-unit-variance", "jacobian-tuning")
STANDARDISED = NAMES[:2]


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain(act: Callable[[], nn.Module], depth: int = 30, width: int = 64) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [m for _ in range(depth) for m in (nn.Linear(width, width), act())]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def batch_of(width: int = 64, size: int = 128) -> tuple[Tensor, Tensor]:
    return numbers(size, width), torch.arange(size) % 10


def look(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Outlook:
    recording = unvanish.trace(model, batch, nn.CrossEntropyLoss(), batches=1, probe_steps=0)
    return outlook_of(recording, diagnose(recording))


def outputs_of(model: nn.Module, kinds: tuple[type[nn.Module], ...], x: Tensor) -> list[Tensor]:
    """Outputs of the layers by forward hooks, which the remedies know nothing of."""
    found: list[Tensor] = []
    hooks = [
        m.register_forward_hook(lambda _m, _a, out: found.append(out.detach().clone()))
        for m in model.modules()
        if isinstance(m, kinds)
    ]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return found


class Functions(nn.Module):
    """Parameters and functions, no layer modules."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(0.1 * numbers(16, 16)) for _ in range(5))
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(16)) for _ in range(5))
        self.head = nn.Parameter(0.1 * numbers(3, 16))

    def forward(self, x: Tensor) -> Tensor:
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x = torch.tanh(x @ weight + bias)
        return F.linear(x, self.head)


class Pictures(nn.Module):
    """Strides, groups, pooling, a join, and a normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 5, stride=2, padding=2)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.normed = nn.Conv2d(8, 8, 1)
        self.norm = nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(8, 6, 2, stride=2)
        self.head = nn.Linear(6 + 3, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = F.elu(self.first(x), inplace=True)
        h = F.elu(self.depthwise(h))
        h = F.elu(self.norm(self.normed(h)))
        h = F.elu(self.up(h))
        return self.head(torch.cat([h, x], 1).mean((2, 3)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("make", "x"),
    [
        (lambda: plain(nn.Tanh, 4, 16), numbers(24, 16)),
        (Functions, numbers(24, 16)),
        (lambda: Functions().double(), numbers(24, 16).double()),
        (Pictures, numbers(10, 3, 12, 12)),
        (lambda: plain(nn.ELU, 3, 8).eval(), numbers(3, 5, 8)),
    ],
)
def test_the_contract_holds(name: str, make: Callable[[], nn.Module], x: Tensor) -> None:
    check_remedy(
        remedy_of(name),
        make,
        (x, torch.zeros(1)),
        lambda output, _: output.square().mean(),
        optimizer=lambda model: torch.optim.Adam(model.parameters()),
    )


@pytest.mark.parametrize("act", [nn.Tanh, nn.ReLU, nn.SELU, nn.Sigmoid])
def test_lsuv_leaves_unit_variance_and_orthogonal_directions(act: type[nn.Module]) -> None:
    x, y = batch_of()
    treated = treat(plain(act, 6), "lsuv", (x, y), nn.CrossEntropyLoss()).model
    for output in outputs_of(treated, (nn.Linear,), x):
        assert float(output.var(correction=0)) == pytest.approx(1.0, abs=1e-4)
    for layer in treated[:-1]:
        if isinstance(layer, nn.Linear):
            square = layer.weight @ layer.weight.T
            assert torch.allclose(square / square.diagonal().mean(), torch.eye(64), atol=1e-4)
            assert not bool(layer.bias.any())


@pytest.mark.parametrize("act", [nn.Tanh, nn.ReLU, nn.Softplus, nn.Sigmoid])
def test_every_unit_is_centred_and_every_layer_has_unit_variance(act: type[nn.Module]) -> None:
    x, y = batch_of()
    net = plain(act, 6)
    treated = treat(net, "centre-and-unit-variance", (x, y), nn.CrossEntropyLoss()).model
    for output in outputs_of(treated, (nn.Linear,), x):
        assert float(output.mean(0).abs().max()) < 1e-4
        assert float(output.square().mean()) == pytest.approx(1.0, abs=1e-4)
    for old, new in zip(net, treated, strict=True):
        if isinstance(old, nn.Linear):
            assert torch.allclose(
                F.normalize(old.weight.flatten(), dim=0),
                F.normalize(new.weight.flatten(), dim=0),
                atol=1e-6,
            )


def test_convolutions_are_centred_over_samples_and_positions() -> None:
    x = numbers(10, 3, 12, 12)
    treated = treat(
        Pictures(),
        "centre-and-unit-variance",
        (x, torch.zeros(1)),
        lambda output, _: output.square().mean(),
    ).model
    first, depthwise, normed, up = outputs_of(treated, (nn.modules.conv._ConvNd,), x)
    for output in (depthwise, up):
        assert float(output.mean((0, 2, 3)).abs().max()) < 1e-5
        assert float(output.square().mean()) == pytest.approx(1.0, abs=1e-4)
    assert first.shape[1] == 8
    assert float(normed.square().mean()) != pytest.approx(1.0, abs=1e-2)


@pytest.mark.parametrize("act", [nn.Tanh, nn.ReLU, nn.SELU])
def test_jacobian_tuning_leaves_every_partial_jacobian_with_norm_one(act: type[nn.Module]) -> None:
    x, y = batch_of(24, 32)
    net = plain(act, 4, 24)
    treated = treat(net, "jacobian-tuning", (x, y), nn.CrossEntropyLoss()).model.double()
    layers = [m for m in treated if isinstance(m, nn.Linear)]
    before = layers[0](x.double())
    for layer in layers[1:]:
        function = nn.Sequential(act(), layer)
        norms = [
            torch.autograd.functional.jacobian(function, row).square().sum() / layer.out_features
            for row in before
        ]
        assert float(torch.stack(norms).mean()) == pytest.approx(1.0, abs=0.1)
        before = function(before).detach()


def test_more_probes_come_closer() -> None:
    x, y = batch_of(24, 4)
    net = plain(nn.Tanh, 3, 24)
    case = case_of(net, (x, y), nn.CrossEntropyLoss())
    found = remedy_of("jacobian-tuning").assess(case)
    assert isinstance(found, Prescription)
    many = replace(found, settings={**found.settings, "probes": 400})
    layers = [
        m for m in treat(net, many, (x, y), nn.CrossEntropyLoss()).model if isinstance(m, nn.Linear)
    ]
    function = nn.Sequential(nn.Tanh(), layers[1])
    norms = [
        torch.autograd.functional.jacobian(function, row).square().sum() / 24
        for row in layers[0](x).detach()
    ]
    assert float(torch.stack(norms).mean()) == pytest.approx(1.0, abs=0.02)


def test_thirty_sigmoid_layers_need_the_centring() -> None:
    batch = batch_of()
    net = plain(nn.Sigmoid)
    before = look(net, batch)
    scaled = look(treat(net, "lsuv", batch, nn.CrossEntropyLoss()).model, batch)
    centred = look(
        treat(net, "centre-and-unit-variance", batch, nn.CrossEntropyLoss()).model, batch
    )
    assert before.flow_decades < -20
    assert scaled.flow_decades < -10
    assert scaled.sample_cosine > 0.99
    assert abs(centred.flow_decades) < 0.6
    assert centred.sample_cosine < 0.3
    assert "UV101" in before.findings
    assert "UV101" not in centred.findings


@pytest.mark.parametrize("name", NAMES)
def test_thirty_tanh_layers_pass_their_gradient(name: str) -> None:
    batch = batch_of()
    net = plain(nn.Tanh)
    assert look(net, batch).flow_decades < -6
    assert abs(look(treat(net, name, batch, nn.CrossEntropyLoss()).model, batch).flow_decades) < 1.3


def test_a_sigmoid_network_learns_only_with_centring() -> None:
    x = numbers(96, 16)
    y = (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()

    def trained(model: nn.Module) -> float:
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        for _ in range(80):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        return float((model(x).argmax(1) == y).float().mean())

    net = plain(nn.Sigmoid, 14, 16)
    treated = treat(net, "centre-and-unit-variance", (x, y), nn.CrossEntropyLoss()).model
    assert trained(treated) > 0.8
    assert trained(net) < 0.5


def test_a_missing_bias_is_given_and_is_no_secret() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Sigmoid(), nn.Linear(8, 3, bias=False))
    batch = numbers(32, 8), torch.arange(32) % 3
    found = remedy_of("centre-and-unit-variance").assess(case_of(net, batch, nn.CrossEntropyLoss()))
    assert isinstance(found, Prescription)
    assert Keeps.ARCHITECTURE not in found.keeps
    assert found.settings["add_biases"] is True
    adam = torch.optim.Adam(net.parameters())
    treated = treat(net, found, batch, nn.CrossEntropyLoss(), optimizer=adam, in_place=True)
    assert float(net[0](batch[0]).detach().mean(0).abs().max()) < 1e-5
    assert len(adam.param_groups[0]["params"]) == 4
    treated.undo()
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "2.weight"]
    assert len(adam.param_groups[0]["params"]) == 2
    kept = replace(found, settings={**found.settings, "add_biases": False})
    as_built = treat(net, kept, batch, nn.CrossEntropyLoss())
    assert [name for name, _ in as_built.model.named_parameters()] == ["0.weight", "2.weight"]
    assert "not centred" in as_built.receipts[0].notes[0]


def test_buffers_hooks_and_random_numbers_stay() -> None:
    net = Pictures()
    met: list[int] = []
    net.first.register_forward_hook(lambda *_: met.append(1))
    before = {name: value.clone() for name, value in net.named_buffers()}
    state = torch.get_rng_state()
    treated = treat(
        net,
        "lsuv",
        (numbers(10, 3, 12, 12), torch.zeros(1)),
        lambda output, _: output.square().mean(),
        in_place=True,
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in net.named_buffers())
    assert len(net.first._forward_hooks) == 1
    assert "forward" not in net.first.__dict__
    assert treated.model is net


def test_one_edit_a_parameter() -> None:
    batch = batch_of(16, 32)
    treated = treat(plain(nn.Tanh, 3, 16), "lsuv", batch, nn.CrossEntropyLoss())
    places = [edit.place for edit in treated.receipts[0].edits]
    assert len(places) == len(set(places)) == 8


def test_weight_norm_is_scaled_through_its_parametrisation() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(8, 12)),
        nn.Tanh(),
        nn.utils.parametrizations.spectral_norm(nn.Linear(12, 12)),
        nn.Tanh(),
        nn.Linear(12, 3),
    )
    batch = numbers(32, 8), torch.arange(32) % 3
    treated = treat(net, "lsuv", batch, nn.CrossEntropyLoss())
    first, _, last = outputs_of(treated.model, (nn.Linear,), batch[0])
    assert float(first.var(correction=0)) == pytest.approx(1.0, abs=1e-4)
    assert float(last.var(correction=0)) == pytest.approx(1.0, abs=1e-4)
    assert "2 (computed" in treated.receipts[0].notes[0]


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        for _ in range(4):
            x = torch.tanh(self.again(x))
        return self.head(x)


class Remembering(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 8, batch_first=True)
        self.hidden, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.hidden(self.lstm(x)[0][:, -1])))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("make", "x", "left"),
    [
        (Shared, numbers(16, 8), ("again.weight", "again.bias")),
        (Remembering, numbers(16, 5, 8), ("lstm.weight_ih_l0", "lstm.weight_hh_l0")),
        (Pictures, numbers(10, 3, 12, 12), ("normed.weight",)),
    ],
)
def test_what_a_scale_would_not_suit_is_left_alone_and_said(
    name: str, make: Callable[[], nn.Module], x: Tensor, left: tuple[str, ...]
) -> None:
    torch.manual_seed(0)
    net = make()
    treated = treat(net, name, (x, torch.zeros(1)), lambda output, _: output.square().mean())
    old, new = dict(net.named_parameters()), dict(treated.model.named_parameters())
    assert all(torch.equal(old[one], new[one]) for one in left)
    assert any("left as" in note for note in treated.receipts[0].notes)


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(8, 16), nn.Linear(16, 3)
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16)) for _ in range(20)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for branch in self.branches:
            x = x + branch(x)
        return self.head(x)


@pytest.mark.parametrize("name", NAMES)
def test_the_ends_of_residual_branches_keep_their_size(name: str) -> None:
    torch.manual_seed(0)
    net = Branches()
    batch = numbers(64, 8), torch.arange(64) % 3
    treated = treat(net, name, batch, nn.CrossEntropyLoss()).model
    assert torch.equal(net.branches[7][2].weight, treated.branches[7][2].weight)
    assert abs(look(treated, batch).flow_decades) < 1.0


@pytest.mark.parametrize(
    ("name", "net", "x", "reason"),
    [
        ("centre-and-unit-variance", plain(nn.Tanh, 2, 8), numbers(3, 8), "has 3 values of a unit"),
        ("jacobian-tuning", plain(nn.Sigmoid, 2, 8), numbers(32, 8), "saturate it"),
        ("jacobian-tuning", nn.Linear(8, 10), numbers(32, 8), "no two layers"),
        (
            "lsuv",
            nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 10)),
            numbers(32, 8),
            "no hidden layer .* undoes any scale",
        ),
        (
            "lsuv",
            nn.Sequential(nn.Embedding(5, 8), nn.Flatten()),
            torch.zeros(4, 2).long(),
            "no hidden layer",
        ),
    ],
)
def test_refusals_say_why(name: str, net: nn.Module, x: Tensor, reason: str) -> None:
    found = remedy_of(name).assess(
        case_of(net, (x, torch.zeros(1)), lambda output, _: output.square().mean())
    )
    assert isinstance(found, NotApplicable)
    with pytest.raises(CannotTreatError, match=reason):
        treat(net, name, (x, torch.zeros(1)), lambda output, _: output.square().mean())


@pytest.mark.parametrize("name", STANDARDISED)
def test_a_batch_of_equal_samples_is_refused_and_nothing_is_left_behind(name: str) -> None:
    net = plain(nn.Tanh, 2, 8)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    x = torch.zeros(16, 8)
    with pytest.raises(CannotTreatError, match="standard deviation is 0"):
        treat(net, name, (x, torch.zeros(16).long()), nn.CrossEntropyLoss(), in_place=True)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_checkpoints_do_not_stand_in_the_way_of_a_forward_pass() -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh())
            self.head = nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(checkpoint(self.block, x, use_reentrant=False))

    torch.manual_seed(0)
    net, batch = Checkpointed(), (numbers(32, 8), torch.arange(32) % 2)
    treated = treat(net, "lsuv", batch, nn.CrossEntropyLoss()).model
    for output in outputs_of(treated, (nn.Linear,), batch[0]):
        assert float(output.var(correction=0)) == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(CannotTreatError, match="does not run on its batch"):
        treat(net, "jacobian-tuning", batch, nn.CrossEntropyLoss())


def test_samples_in_columns_have_their_units_in_rows() -> None:
    weight = nn.Parameter(numbers(6, 4))

    class Columns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = weight

        def forward(self, x: Tensor) -> Tensor:
            return (self.weight @ x.t()).t()

    net = Columns()
    case = case_of(net, (numbers(9, 4), torch.zeros(1)), lambda output, _: output.square().mean())
    patient = Patient(surgery=Surgery(net), batch=case.batch, loss=None, anatomy=case.anatomy)
    shapes = []
    with rehearsal(patient) as stage:
        stage.run(case.anatomy.layers, lambda r: shapes.append(r.unit_means().shape) or Fit(2.0))
        assert torch.equal(net.weight, stage.changed["weight"])
    assert shapes == [(6,)]
    assert torch.equal(net.weight, numbers(6, 4))
