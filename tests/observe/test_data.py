"""The tensors of the batch: what they hold, and the step that computes with them first."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.codec import decode_recording, encode_recording
from unvanish.core.conditions import DataRole
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.observe import trace

LABELS = torch.arange(16) % 5


def table() -> Tensor:
    return torch.randn(16, 8, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.head = nn.Linear(8, 5)
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.change(x))


def look(net: nn.Module, batch: Any, loss: Any = None) -> Recording:
    return trace(net, batch, loss, probe_steps=0)


def test_what_a_table_holds() -> None:
    x = 3 * table() + 7
    given, target = look(nn.Linear(8, 5), (x, LABELS)).data
    assert (given.name, given.role, given.dtype, given.shape) == (
        "input",
        DataRole.INPUT,
        "float32",
        (16, 8),
    )
    wide = x.double()
    assert given.rms == pytest.approx(float(wide.square().mean().sqrt()))
    assert given.mean == pytest.approx(float(wide.mean()))
    assert given.std == pytest.approx(float(wide.std(correction=0)), rel=1e-5)
    assert (given.low, given.high) == (float(x.min()), float(x.max()))
    assert given.negative_fraction == float((x < 0).double().mean())
    features = wide.square().mean(0).sqrt()
    assert given.feature_spread == pytest.approx(float(features.max() / features.median()))
    assert (target.role, target.dtype, target.low, target.high) == (
        DataRole.TARGET,
        "int64",
        0.0,
        4.0,
    )
    assert math.isnan(target.rms)


def test_a_spread_hidden_behind_a_large_mean() -> None:
    x = 1e5 + table()
    (given, _) = look(nn.Linear(8, 5), (x, LABELS)).data
    assert given.std == pytest.approx(float(x.double().std(correction=0)), rel=1e-3)


def test_names_say_where_a_tensor_stands() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(8, 5)

        def forward(self, x: Tensor, mask: Tensor, labels: Tensor) -> dict[str, Tensor]:
            scores = self.head(x * mask)
            return {"loss": F.cross_entropy(scores, labels), "scores": scores}

    batch = {"labels": LABELS, "x": table(), "mask": torch.ones(8)}
    names = [(t.name, t.role) for t in look(Two(), batch).data]
    assert names == [
        ("input['x']", DataRole.INPUT),
        ("input['mask']", DataRole.INPUT),
        ("input['labels']", DataRole.TARGET),
    ]


def test_an_autoencoder_has_an_input_and_a_target() -> None:
    x = table()
    given, target = look(nn.Linear(8, 8), (x, x), "mse_loss").data
    assert (given.role, target.role) == (DataRole.INPUT, DataRole.TARGET)
    assert given.site != target.site


@pytest.mark.parametrize(
    ("change", "is_seen"),
    [
        (lambda x: x, True),
        (lambda x: x.view(16, 2, 4).flatten(1).float(), True),
        (lambda x: torch.cat([x[:8], x[8:]]), True),
        (lambda x: F.dropout(x, 0.1), True),
        (lambda x: x / 255, False),
        (lambda x: x.div_(255), False),
        (lambda x: F.pad(x[:, :4], (0, 4)), False),
        (lambda x: F.layer_norm(x, (8,)), False),
    ],
)
def test_a_tensor_is_followed_as_long_as_it_is_the_same(
    change: Callable[[Tensor], Tensor], is_seen: bool
) -> None:
    recording = look(Net(change), (table(), LABELS))
    site = recording.data[0].site
    assert (site is not None) is is_seen
    if site is not None:
        assert recording.sites[site].path == "head"


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_where_a_target_meets_the_output(name: str) -> None:
    recording = look(nn.Linear(8, 1), (table(), torch.randn(16)), lambda o, t: loss(name, o, t))
    site = recording.data[1].site
    assert site is not None
    assert recording.sites[site].function == name


def loss(name: str, output: Tensor, target: Tensor) -> Tensor:
    return getattr(F, name)(output, target.unsqueeze(1))  # type: ignore[no-any-return]


def test_what_enters_the_first_layer() -> None:
    x = table() * torch.tensor([1.0, 1, 1, 1, 1, 1, 1, 1000]) + 5
    recording = look(Net(lambda x: x / 10), (x, LABELS))
    (site,) = recording[Quantity.INPUT_RMS].values
    wide = x.double() / 10
    variance, mean = torch.var_mean(wide, 0)
    assert recording[Quantity.INPUT_RMS][site] == pytest.approx(float(wide.square().mean().sqrt()))
    offset = float((mean.square().sum() / variance.sum()).sqrt())
    assert recording[Quantity.INPUT_OFFSET][site] == pytest.approx(offset, rel=1e-5)
    sizes = wide.square().mean(0).sqrt()
    spread = float(sizes.max() / max(float(sizes.median()), 1.0))
    assert recording[Quantity.INPUT_FEATURE_SPREAD][site] == pytest.approx(spread, rel=1e-4)


def test_channels_are_the_features_of_an_image() -> None:
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.LazyLinear(5))
    x = torch.rand(16, 2, 6, 6)
    x[:, 1] += 10
    recording = look(net, (x, LABELS))
    (site,) = recording[Quantity.INPUT_OFFSET].values
    variance, mean = torch.var_mean(x.double(), (0, 2, 3))
    offset = float((mean.square().sum() / variance.sum()).sqrt())
    assert recording[Quantity.INPUT_OFFSET][site] == pytest.approx(offset, rel=1e-4)


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 5)),
        nn.Sequential(nn.PReLU(8), nn.Linear(8, 5)),
    ],
)
def test_what_a_step_that_learns_made_is_no_data(net: nn.Module) -> None:
    assert not len(look(net, (table(), LABELS))[Quantity.INPUT_RMS])


def test_constants_of_the_model_are_no_data() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.place, self.head = nn.Linear(1, 8), nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            where = torch.arange(8.0)[:, None]
            return self.head(x @ self.place(1000 * where))

    recording = look(Positions(), (table(), LABELS))
    assert not len(recording[Quantity.INPUT_RMS])


def test_a_recording_with_data_survives_a_file() -> None:
    recording = look(nn.Linear(8, 5), (table(), LABELS))
    assert decode_recording(encode_recording(recording)).data == recording.data


class Refined(nn.Module):
    """Takes its own answer, without gradient, as where to look next."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 4), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        answer = self.first(x)
        return self.second(100.0 + answer.detach()) + answer.mean()


def test_what_a_network_answered_stays_its_answer_behind_a_detach() -> None:
    recording = look(Refined(), (table(), LABELS))
    fed = [s.path for s in recording.sites if s in recording[Quantity.INPUT_RMS]]
    assert fed == ["first"]


def test_a_mask_of_attention_is_no_data_that_enters_a_layer() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Linear(8, 8), nn.Linear(8, 5)
            self.attend = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            h = self.embed(x)
            return self.head(self.attend(h, h, h, attn_mask=mask)[0].mean(1))

    mask = torch.full((4, 4), -1e9).triu(1)
    recording = look(Masked(), ((torch.randn(16, 4, 8), mask), LABELS))
    assert [s.path for s in recording.sites if s in recording[Quantity.INPUT_RMS]] == ["embed"]


def test_what_enters_a_recurrent_layer_enters_its_input_weights() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.LSTM(8, 6, batch_first=True), nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.layer(x)[0][:, -1])

    recording = look(Recurrent(), (torch.randn(16, 4, 8), LABELS))
    (fed,) = (s for s in recording.sites if s in recording[Quantity.INPUT_RMS])
    assert fed.weights == ("layer.weight_ih_l0",)
