"""Casts to 16 bits by hand: found, left out, made to another type, undone."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unvanish import trace, treat
from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose import diagnose
from unvanish.testing import check_remedy
from unvanish.treat.casts import casts
from unvanish.treat.registry import remedy_of
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.treatment import case_of


class HalfLinear(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / math.sqrt(inputs))

    def forward(self, x):
        return F.linear(x.to(torch.float16), self.weight.half())


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = HalfLinear(8, 16), HalfLinear(16, 2)

    def forward(self, x):
        return self.last(F.silu(self.first(x))).float()


def network(kind=Net):
    torch.manual_seed(0)
    return kind()


def batch():
    torch.manual_seed(1)
    return torch.randn(32, 8), torch.randn(32, 2)


def quiet(output, target):
    return 1e-8 * F.mse_loss(output, target)


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2, eps=1e-16)


def moved(model, optimizer, loss):
    before = [p.detach().clone() for p in model.parameters()]
    loss(model(batch()[0]), batch()[1]).backward()
    optimizer.step()
    return [float((p != q).float().mean()) for p, q in zip(model.parameters(), before, strict=True)]


def codes(model, loss):
    found = diagnose(trace(model, batch(), loss, batches=1, probe_steps=0)).findings
    return {finding.code for finding in found}


def test_the_weights_of_a_quiet_loss_stand_still():
    model = network()
    assert "UV402" in codes(model, quiet)
    assert moved(model, adam(model), quiet) == [0.0, 0.0]


@pytest.mark.parametrize("name", ["float32-weights", "bfloat16", "loss-scaling"])
def test_behind_a_remedy_they_move(name):
    model = network()
    treated = treat(model, name, batch(), quiet, optimizer=adam(model))
    assert callable(treated.loss)
    assert "UV402" not in codes(treated.model, treated.loss)
    assert min(moved(treated.model, treated.optimizer, treated.loss)) > 0.99


def test_in_float32_it_is_the_network_without_casts():
    model = network()
    treated = treat(model, "float32-weights", batch(), quiet).model
    inputs = batch()[0]
    expected = F.linear(F.silu(F.linear(inputs, model.first.weight)), model.last.weight)
    assert torch.equal(treated(inputs), expected)
    with torch.no_grad():
        assert torch.equal(treated(inputs), expected)


def test_in_bfloat16_it_is_the_network_with_other_casts():
    model = network()
    treated = treat(model, "bfloat16", batch(), quiet).model
    inputs, short = batch()[0], torch.bfloat16
    hidden = F.silu(F.linear(inputs.to(short), model.first.weight.to(short)))
    expected = F.linear(hidden, model.last.weight.to(short)).float()
    assert torch.equal(treated(inputs), expected)


@pytest.mark.parametrize("name", ["float32-weights", "bfloat16"])
def test_it_is_undone_to_the_last_bit(name):
    model = network()
    before, names = model(batch()[0]), list(model.state_dict())
    treated = treat(model, name, batch(), quiet, in_place=True)
    assert not torch.equal(model(batch()[0]), before)
    assert list(model.state_dict()) == names
    treated.undo()
    assert torch.equal(model(batch()[0]), before)
    assert not any("forward" in vars(part) for part in model.modules())


@pytest.mark.parametrize("name", ["float32-weights", "bfloat16"])
def test_once_is_enough(name):
    treated = treat(network(), name, batch(), quiet)
    with pytest.raises(CannotTreatError):
        treat(treated.model, name, batch(), quiet)


class Mixed(Net):
    """One cast serves a lookup under no_grad, and is not to be touched."""

    def forward(self, x):
        with torch.no_grad():
            self.sizes = x.to(torch.float16)
        return self.last(x.to(torch.float16).repeat(1, 2)).float()


def test_a_cast_under_no_grad_stays():
    model = network(Mixed)
    case = case_of(model, batch(), quiet)
    (own,) = [one for one in casts(case) if not one.path]
    assert own.numbers == (1,)
    treated = treat(model, "float32-weights", batch(), quiet).model
    treated(batch()[0])
    assert treated.sizes.dtype is torch.float16


class Fixed(Net):
    """A constant of 16 bits, which a matrix in float32 cannot be multiplied with."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mix", torch.eye(16, dtype=torch.float16))

    def forward(self, x):
        return self.last(self.first(x) @ self.mix).float()


class Whole(Net):
    """The type is set by autocast in the forward, and by no cast."""

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.float16):
            hidden = F.silu(F.linear(x, self.first.weight))
            return F.linear(hidden, self.last.weight).float()


@pytest.mark.parametrize(
    ("kind", "said"), [(Fixed, "other tensors of 16 bits"), (Whole, "no cast in a forward")]
)
def test_what_casts_alone_do_not_settle_is_refused(kind, said):
    model = network(kind)
    case = case_of(model, batch(), quiet)
    found = remedy_of("float32-weights").assess(case)
    assert isinstance(found, NotApplicable)
    assert said in found.reason
    assert isinstance(remedy_of("loss-scaling").assess(case), Prescription)


class InFloat32(Net):
    def forward(self, x):
        hidden = F.silu(F.linear(x, self.first.weight).float())
        return F.linear(hidden.type_as(x), self.last.weight)


@pytest.mark.parametrize("name", ["float32-weights", "bfloat16", "loss-scaling"])
def test_casts_in_a_network_of_float32_are_no_matter(name):
    case = case_of(network(InFloat32), batch(), quiet)
    found = remedy_of(name).assess(case)
    assert isinstance(found, NotApplicable)
    assert "float32" in found.reason


@pytest.mark.parametrize("name", ["float32-weights", "bfloat16", "loss-scaling"])
def test_they_hold_to_the_contract(name):
    check_remedy(
        remedy_of(name), Net, batch(), quiet, optimizer=adam, unfit=[(network(InFloat32), batch())]
    )


@pytest.mark.parametrize("name", ["float32-weights", "loss-scaling"])
def test_eps_is_lowered_below_the_gradient_that_arrives(name):
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    treated = treat(model, [name, "lower-epsilon"], batch(), quiet, optimizer=optimizer)
    assert treated.optimizer is not None
    wide = treat(model, "float32-weights", batch(), quiet).model
    quiet(wide(batch()[0]), batch()[1]).backward()
    smallest = min(float(p.grad.square().mean().sqrt()) for p in wide.parameters())
    assert smallest / 1000 < treated.optimizer.param_groups[0]["eps"] <= smallest / 100


class Devices(Net):
    """Casts and other uses of the same methods."""

    def forward(self, x):
        x = x.to(x.device).type(torch.float16)
        return self.last(self.first(x).to(x.device).type_as(x)).to(torch.float32)


def test_moves_between_devices_are_no_casts():
    model = network(Devices)
    found = {(one.path, one.function) for one in casts(case_of(model, batch(), quiet))}
    assert found == {
        ("", "type"),
        ("", "type_as"),
        ("first", "to"),
        ("first", "half"),
        ("last", "to"),
        ("last", "half"),
    }
    treated = treat(model, "float32-weights", batch(), quiet).model
    assert "UV402" not in codes(treated, quiet)
