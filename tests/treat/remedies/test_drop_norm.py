"""A normalisation behind the last layer, or over single numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import unvanish
from unvanish import treat
from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.observe import trace
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of


def batch():
    torch.manual_seed(1)
    states = torch.randn(64, 6)
    return states, states[:, :1] * states[:, 1:2]


def judged(model):
    given = batch()
    case = case_of(model, given, "mse_loss", recording=trace(model, given, "mse_loss"))
    return remedy_of("drop-norm").assess(case)


def network(*end):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 1), *end)


def test_the_answer_is_the_layers_own_and_learns():
    model = network(nn.LayerNorm(1))
    assert isinstance(judged(model), Prescription)
    treated = treat(model, "drop-norm", batch(), "mse_loss").model
    inputs, target = batch()
    torch.testing.assert_close(treated(inputs), model[:4](inputs))
    optimizer = torch.optim.Adam(treated.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(treated(inputs), target)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


class Squashed(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 3)
        self.norm = nn.LayerNorm(3, elementwise_affine=False)

    def forward(self, x):
        return torch.sigmoid(self.norm(self.head(x)))


def test_a_function_behind_it_does_not_hide_it():
    torch.manual_seed(0)
    model, inputs = Squashed(), torch.randn(8, 6)
    treated = treat(model, "drop-norm", (inputs, torch.rand(8, 3)), "mse_loss").model
    torch.testing.assert_close(treated(inputs), torch.sigmoid(model.head(inputs)))


def test_a_normalisation_between_layers_stays():
    found = judged(network())
    assert isinstance(found, NotApplicable)
    assert "no normalisation stands behind its last layer" in found.reason


class OneChannel(nn.Module):
    """Reads a series of one number at a time, each normalised by itself."""

    def __init__(self, *, called: bool):
        super().__init__()
        self.norm = nn.LayerNorm(1)
        self.embed = nn.Linear(1, 8)
        self.head = nn.Linear(8 * 6, 1)
        self.called = called

    def forward(self, x):
        x = x.unsqueeze(-1)
        if self.called:
            x = nn.functional.layer_norm(x, (1,), self.norm.weight, self.norm.bias)
        else:
            x = self.norm(x)
        return self.head(torch.relu(self.embed(x)).flatten(1))


@pytest.mark.parametrize("called", [False, True])
def test_a_normalisation_of_single_numbers_goes_wherever_it_stands(called):
    torch.manual_seed(0)
    model = OneChannel(called=called)
    found = judged(model)
    assert isinstance(found, Prescription)
    assert "normalises single numbers" in found.why
    treated = treat(model, "drop-norm", batch(), "mse_loss").model
    inputs, _ = batch()
    expected = model.head(torch.relu(model.embed(inputs.unsqueeze(-1))).flatten(1))
    torch.testing.assert_close(treated(inputs), expected)


def test_the_edit_of_the_source_is_written(tmp_path):
    file = tmp_path / "series.py"
    file.write_text(SERIES)
    patch = unvanish.fix(str(file), remedy="drop-norm").patch
    assert patch is not None
    assert "+        self.norm = nn.Identity()" in list(patch.files[0].diff())
    assert patch.agrees


SERIES = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(1)
        self.embed = nn.Linear(1, 8)
        self.head = nn.Linear(8 * 6, 1)

    def forward(self, x):
        return self.head(torch.relu(self.embed(self.norm(x.unsqueeze(-1)))).flatten(1))


def batch():
    x = torch.randn(64, 6)
    return x, x[:, :1]


loss = nn.MSELoss()
"""


class Blocks(nn.Module):
    """Blocks of convolution and normalisation, with an average over time behind the last."""

    def __init__(self, norm=nn.InstanceNorm1d, *, shared: bool = False, between: bool = False):
        super().__init__()
        self.stem = nn.Conv1d(1, 8, 3, padding=1)
        self.first, self.second = nn.Conv1d(8, 8, 3, padding=1), nn.Conv1d(8, 8, 3, padding=1)
        self.norm = norm(8)
        self.last = self.norm if shared else norm(8)
        self.head = nn.Linear(8, 3)
        self.between = between

    def forward(self, x):
        h = self.norm(self.first(torch.relu(self.stem(x))))
        h = self.last(self.second(torch.relu(h)))
        if self.between:
            h = torch.relu(h)
        return self.head(h.mean(-1))


def waves():
    torch.manual_seed(3)
    return torch.randn(32, 1, 20), torch.randint(0, 3, (32,))


def looked_at(model):
    torch.manual_seed(0)
    return case_of(model, waves(), "cross_entropy")


def test_the_norm_before_an_average_over_the_same_axes_goes_and_the_one_before_it_stays():
    torch.manual_seed(0)
    model = Blocks()
    found = remedy_of("drop-norm").assess(looked_at(model))
    assert isinstance(found, Prescription)
    assert found.places == ("last",)
    assert "last instance_norm takes away the mean, which is all that" in found.why
    treated = treat(model, found, waves(), "cross_entropy").model
    assert isinstance(treated.last, nn.Identity)
    assert isinstance(treated.norm, nn.InstanceNorm1d)
    with torch.no_grad():
        assert float(treated(waves()[0]).std(0).min()) > 1e-2
        assert float(model(waves()[0]).std(0).max()) < 1e-5


@pytest.mark.parametrize(
    "kind",
    [{"between": True}, {"norm": nn.BatchNorm1d}, {"norm": lambda n: nn.GroupNorm(1, n)}],
    ids=["activation between", "over the batch", "over all channels"],
)
def test_an_average_that_differs_keeps_its_norm(kind):
    torch.manual_seed(0)
    found = remedy_of("drop-norm").assess(looked_at(Blocks(**kind)))
    assert isinstance(found, NotApplicable)
    assert "none takes away the mean" in found.reason


def test_a_norm_that_is_shared_does_not_go_where_it_does_no_harm():
    torch.manual_seed(0)
    model = Blocks(shared=True)
    found = remedy_of("drop-norm").assess(looked_at(model))
    assert isinstance(found, NotApplicable)
    assert "edit that line by hand" in found.reason


STACK = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(8, 8, 3, padding=1)
        self.norm = nn.InstanceNorm1d(8)

    def forward(self, x):
        return self.norm(self.conv(torch.relu(x)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(1, 8, 3, padding=1)
        self.blocks = nn.Sequential(Block(), Block())
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean(-1))


def model():
    return Net()


def batch():
    return torch.randn(32, 1, 20), torch.randint(0, 3, (32,))


loss = nn.CrossEntropyLoss()
"""
LISTED = STACK.replace(
    "nn.Sequential(Block(), Block())", "nn.Sequential(Block(), nn.Conv1d(8, 8, 3), LAST)"
).replace("LAST", "nn.InstanceNorm1d(8)")


def test_a_line_that_makes_several_is_refused_with_what_to_write(tmp_path):
    file = tmp_path / "stack.py"
    file.write_text(STACK)
    told = unvanish.fix(str(file), remedy="drop-norm")
    assert told.patch is not None
    assert not told.patch.files
    assert "also makes blocks.0.norm instance_norm, which stays" in told.patch.unsafe
    assert told.patch.unsafe.endswith(
        "write self.blocks[1].norm = nn.Identity() at the end of Net.__init__"
    )


def test_a_norm_of_its_own_line_is_edited(tmp_path):
    file = tmp_path / "listed.py"
    file.write_text(LISTED)
    patch = unvanish.fix(str(file), remedy="drop-norm").patch
    assert patch is not None
    assert any("nn.Conv1d(8, 8, 3), nn.Identity())" in line for line in patch.files[0].diff())
    assert patch.agrees


class OwnNorm(nn.Module):
    """Layer normalisation, written out."""

    def __init__(self, features):
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.ones(features)), nn.Parameter(torch.ones(1))

    def forward(self, x):
        mean = x.mean(dim=-1, keepdim=True)
        variance = (x - mean).pow(2).mean(dim=-1, keepdim=True)
        return self.gain * (x - mean) * torch.rsqrt(variance + 1e-5) + self.shift


class Within(nn.Module):
    """The same in a forward that does more."""

    def __init__(self):
        super().__init__()
        self.layers, self.head = nn.Linear(6, 8), nn.Linear(8, 1)

    def forward(self, x):
        x = self.head(torch.relu(self.layers(x)))
        return x - x.mean(-1, keepdim=True)


def test_one_that_is_written_out_goes_where_it_is_over_single_numbers():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), OwnNorm(8), nn.GELU(), nn.Linear(8, 1), OwnNorm(1))
    report = unvanish.checkup(model, batch(), loss="mse_loss", select=("UV103",))
    (finding,) = report.findings
    assert "4 sub: it normalises single numbers, and its output is its bias" in finding.message
    treated = treat(model, "drop-norm", batch(), "mse_loss").model
    inputs, _ = batch()
    torch.testing.assert_close(treated(inputs), model[:4](inputs))


def test_one_within_a_larger_forward_is_left_to_the_user():
    found = judged(Within())
    assert isinstance(found, NotApplicable)
    assert "takes from every number its own mean, in a forward that does more" in found.reason
