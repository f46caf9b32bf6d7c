"""What users really bring: hooks, odd inputs, networks PyTorch half supports, wrong files."""

from __future__ import annotations

import math
from collections import UserDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from unvanish import checkup
from unvanish.api import Report
from unvanish.cli import app
from unvanish.core.errors import BatchError, CouldNotMeasureError
from unvanish.core.findings import Cause, Severity
from unvanish.core.verdicts import Found
from unvanish.observe import trace

X = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
Y = (X @ torch.randn(16, 4, generator=torch.Generator().manual_seed(7))).argmax(1)


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4)
    return nn.Sequential(*layers)


def weight(model: nn.Module, index: int) -> Tensor:
    return model.get_parameter(f"{index}.weight")


def sgd(model: nn.Module, **settings: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, **settings)


def verdict_on(model: nn.Module, code: str, **options: Any) -> Any:
    return checkup(model, (X, Y), **options).diagnosis.verdicts[code]


def updates(model: nn.Module) -> dict[str, float]:
    recording = trace(model, (X, Y), optimizer=sgd(model), probe_steps=1)
    assert not recording.gaps
    return {p.name: p.update_ratio for p in recording.parameters}


# --- hooks on gradients -------------------------------------------------------------------


def test_a_hook_that_takes_a_gradient_is_there_in_the_probe_steps() -> None:
    model = mlp()
    weight(model, 0).register_hook(torch.zeros_like)
    moved = updates(model)
    assert moved["0.weight"] == 0.0
    assert moved["2.weight"] > 0.0
    found = verdict_on(model, "UV502", optimizer=sgd(model))
    assert isinstance(found, Found)
    (finding,) = found.findings
    assert (finding.severity, finding.causes[0]) == (Severity.ERROR, Cause.DETACHED_GRAPH)
    assert finding.parameters == ("0.weight",)


def test_a_hook_that_scales_a_gradient_scales_the_step() -> None:
    plain, scaled = mlp(), mlp()
    weight(scaled, 2).register_hook(lambda grad: 0.25 * grad)
    assert updates(scaled)["2.weight"] == pytest.approx(0.25 * updates(plain)["2.weight"])


def test_a_hook_behind_the_accumulation_is_there_too_and_no_look_calls_it() -> None:
    model, calls = mlp(), []

    def taking(parameter: Tensor) -> None:
        calls.append(parameter)
        assert parameter.grad is not None
        parameter.grad.zero_()

    weight(model, 0).register_post_accumulate_grad_hook(taking)
    assert updates(model)["0.weight"] == 0.0
    assert not calls  # the copy's hook has a copy of the list


def test_what_a_hook_holds_is_copied_with_it() -> None:
    model, seen = mlp(), []
    first = weight(model, 0)

    def decaying(grad: Tensor) -> Tensor:
        seen.append(first.data_ptr())
        return grad + first

    first.register_hook(decaying)
    looks = trace(model, (X, Y), optimizer=sgd(model), probe_steps=0)
    without = len(seen)
    trace(model, (X, Y), optimizer=sgd(model), probe_steps=1)
    assert len(seen) == 2 * without
    assert set(seen) == {first.data_ptr()}
    assert math.isnan(looks.parameters[0].update_ratio)


def test_an_optimiser_in_the_backward_pass_steps_the_copy() -> None:
    model = mlp()
    before = [p.detach().clone() for p in model.parameters()]

    def attach() -> dict[Tensor, torch.optim.Optimizer]:
        optimizers: dict[Tensor, torch.optim.Optimizer] = {
            p: torch.optim.SGD([p], lr=0.1) for p in model.parameters()
        }

        def step(parameter: Tensor) -> None:
            optimizers[parameter].step()
            optimizers[parameter].zero_grad()

        for parameter in model.parameters():
            parameter.register_post_accumulate_grad_hook(step)
        return optimizers

    optimizers = attach()
    recording = trace(model, (X, Y), probe_steps=1)
    plain = updates(mlp())
    for parameter in recording.parameters:
        assert parameter.update_ratio == pytest.approx(plain[parameter.name], rel=1e-4)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert not any(optimizer.state for optimizer in optimizers.values())


OUTSIDE: dict[str, torch.optim.Optimizer] = {}


def step_outside(_: Tensor) -> None:
    OUTSIDE["all"].step()


def test_an_optimiser_that_cannot_be_copied_is_left_alone_and_told() -> None:
    model = mlp()
    OUTSIDE["all"] = sgd(model)
    weight(model, 0).register_post_accumulate_grad_hook(step_outside)
    recording = trace(model, (X, Y))
    assert "outside of the network" in recording.gaps[0].why
    assert all(math.isnan(p.update_ratio) for p in recording.parameters)


# --- gradients that are lost behind all weights, and decay --------------------------------


class Product(nn.Module):
    """Every class is a product of many probabilities."""

    def __init__(self, factors: int) -> None:
        super().__init__()
        self.scores = nn.Linear(16, 4 * factors)
        self.factors = factors

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.scores(x)).view(-1, 4, self.factors).prod(-1)


def test_a_product_of_many_probabilities_moves_no_weight() -> None:
    torch.manual_seed(0)
    model = Product(64)
    found = verdict_on(model, "UV502", optimizer=sgd(model))
    assert isinstance(found, Found)
    assert "no weight moves: (root) prod takes" in found.findings[0].message
    few = Product(4)
    assert not isinstance(verdict_on(few, "UV502", optimizer=sgd(few)), Found)


def test_a_converged_network_is_not_taken_for_one_that_cannot_move() -> None:
    """Soft labels that the network meets: a loss, and no gradient."""
    model = mlp()
    target = model(X).detach().softmax(1)
    report = checkup(model, (X, target), loss=F.cross_entropy, optimizer=sgd(model))
    assert not isinstance(report.diagnosis.verdicts["UV502"], Found)


def test_decay_that_eats_the_weights() -> None:
    model = mlp()
    found = verdict_on(model, "UV406", optimizer=sgd(model, weight_decay=9.0))
    assert isinstance(found, Found)
    assert found.findings[0].causes == (Cause.WEIGHT_DECAY,)


# --- inputs of every shape ----------------------------------------------------------------


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTM(4, 16), nn.Linear(16, 3)

    def forward(self, sequence: PackedSequence) -> Tensor:
        return self.head(self.cell(sequence)[1][0][-1])


class Taking(nn.Module):
    """A network whose forward is given, so that its arguments can be chosen."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()


class TakesBatch(Taking):
    def forward(self, batch: Any) -> Tensor:
        return self.body(batch["x"])


class TakesPair(Taking):
    def forward(self, pair: Any) -> Tensor:
        one, two = pair
        return self.body(one + two)


class TakesTwo(Taking):
    def forward(self, one: Tensor, two: Tensor) -> Tensor:
        return self.body(one + two)


class TakesKeywords(Taking):
    def forward(self, **batch: Tensor) -> Tensor:
        return self.body(batch["x"])


class TakesLabels(Taking):
    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        scores = self.body(x)
        return {"loss": F.cross_entropy(scores, labels), "logits": scores}


class TakesWholeWithLabels(Taking):
    def forward(self, batch: Any) -> dict[str, Tensor]:
        scores = self.body(batch["x"])
        return {"loss": F.cross_entropy(scores, batch["labels"]), "logits": scores}


def packed() -> PackedSequence:
    generator = torch.Generator().manual_seed(0)
    return pack_sequence([torch.randn(9 - i // 4, 4, generator=generator) for i in range(32)])


NAMED = {"x": X, "labels": Y}


@pytest.mark.parametrize(
    ("model", "batch"),
    [
        (TakesBatch, NAMED),
        (TakesBatch, ({"x": X}, Y)),
        (TakesBatch, UserDict(NAMED)),
        (TakesBatch, {**NAMED, "names": ["a"] * 64}),
        (TakesWholeWithLabels, NAMED),
        (TakesPair, ((X, X), Y)),
        (TakesTwo, ((X, X), Y)),
        (TakesTwo, ({"one": X, "two": X}, Y)),
        (TakesKeywords, NAMED),
        (TakesLabels, NAMED),
        (TakesLabels, {**NAMED, "index": torch.arange(64)}),
    ],
)
def test_a_model_is_called_as_its_forward_asks(model: type[nn.Module], batch: Any) -> None:
    recording = trace(model(), batch)
    assert recording.context.batch_size == 64
    assert all(math.isfinite(p.log10_grad_rms) for p in recording.parameters)
    assert not recording.gaps


def test_keys_that_forward_does_not_know_are_left_out_aloud() -> None:
    said = trace(TakesLabels(), {**NAMED, "mask": X}).context.inferred
    assert "forward does not take 'mask': left out of the batch" in said
    assert not any("left out" in one for one in trace(TakesLabels(), NAMED).context.inferred)


def test_a_packed_sequence_is_one_input() -> None:
    recording = trace(Recurrent(), (packed(), torch.arange(32) % 3))
    assert recording.context.batch_size == 32
    assert not recording.gaps
    alone = trace(Recurrent(), packed(), lambda output, _: output.square().mean())
    assert alone.context.batch_size == 32


# --- what PyTorch only half supports ------------------------------------------------------


class Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(32, 16, dtype=torch.cfloat) / 4)
        self.head = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.linear(x.to(torch.cfloat), self.weight).abs())


def test_complex_weights_are_measured_by_their_parts() -> None:
    batches = [(X[i : i + 16], Y[i : i + 16]) for i in (0, 16, 32)]
    recording = trace(Complex(), batches[0], data=batches)
    assert recording.noise is not None
    assert recording.parameters[0].update_ratio > 0.0


class Partly(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = torch.jit.script(nn.Sequential(nn.Linear(16, 8), nn.ReLU())), mlp()
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("make", [lambda: torch.jit.script(mlp()), Partly])
@pytest.mark.parametrize("given", [False, True])
def test_scripted_modules_take_probe_steps(make: Callable[[], nn.Module], given: bool) -> None:
    model = make()
    before = [p.detach().clone() for p in model.parameters()]
    recording = trace(model, (X, Y), optimizer=sgd(model) if given else None)
    assert all(p.update_ratio > 0.0 for p in recording.parameters)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert any("before torch.jit.script" in gap.why for gap in recording.gaps)


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(50, 32), nn.Linear(32, 4)

    def forward(self, lists: list[Tensor]) -> Tensor:
        nested = torch.nested.as_nested_tensor([self.embed(one) for one in lists])
        return self.head(torch.stack([one.mean(0) for one in nested.unbind()]))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nested_tensors_are_refused_by_name() -> None:
    lists = [torch.arange(3 + i % 5) for i in range(16)]
    with pytest.raises(CouldNotMeasureError, match="nested tensors") as caught:
        trace(Nested(), (lists, torch.arange(16) % 4))
    assert "to_padded_tensor" in caught.value.help


class Hypernetwork(nn.Module):
    """A latent makes the weights; it is a parameter, and no data."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.latent = nn.Parameter(10.0 * torch.randn(8))
        self.make, self.head = nn.Linear(8, 16 * 32), nn.Linear(32, 4)
        nn.init.normal_(self.make.weight, std=3.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(F.linear(x, self.make(self.latent).view(32, 16))))


def test_the_latent_of_a_hypernetwork_is_no_data() -> None:
    report = checkup(Hypernetwork(), (X, Y))
    assert not isinstance(report.diagnosis.verdicts["UV503"], Found)
    found = report.diagnosis.verdicts["UV201"]
    assert isinstance(found, Found)
    assert Cause.INPUT_SCALE not in found.findings[0].causes


def test_a_frozen_network_is_told_what_to_thaw() -> None:
    with pytest.raises(BatchError, match="all 6 parameters of the model are frozen") as caught:
        trace(mlp().requires_grad_(requires_grad=False), (X, Y))
    assert "model.get_submodule('4').requires_grad_(True)" in caught.value.help


def test_a_report_becomes_a_dict() -> None:
    report = checkup(mlp(), (X, Y))
    assert isinstance(report, Report)
    assert isinstance(report.to_json(), dict)


# --- files that are wrong -----------------------------------------------------------------

HEAD = """import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
X, Y = torch.randn(64, 16), torch.randint(4, (64,))
def net(): return nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))
"""
MODEL = "def model(): return net()\n"
BATCH = "def batch(): return X, Y\n"
FORWARD = """class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = net()
    def forward(self, x):
        {}
def model(): return Net()
"""
ANGRY = "class Angry(BaseException): pass\n"

WRONG = {
    "an empty loader": (
        MODEL + "data = DataLoader(TensorDataset(X[:8], Y[:8]), batch_size=32, drop_last=True)",
        ("data is empty", "drop_last"),
    ),
    "labels below zero": (
        MODEL + "def batch(): return X, Y - 1",
        ("labels must lie in 0 … 3, the batch has -1", "target[target == -1] = -100"),
    ),
    "labels beyond the classes": (
        MODEL + "def batch(): return X, Y + 100",
        ("labels must lie in 0 … 3", "target - 100"),
    ),
    "a data set for a batch": (
        MODEL + "def batch(): return TensorDataset(X, Y)",
        ("batch() gave a Dataset", "DataLoader(dataset, batch_size=32)"),
    ),
    "a loader for a batch": (
        MODEL + "def batch(): return DataLoader(TensorDataset(X, Y), 8)",
        ("batch() gave a DataLoader", "def data(): return loader"),
    ),
    "single samples": (
        MODEL + "data = [(X[i], Y[i]) for i in range(9)]",
        ("return a batch of samples",),
    ),
    "a forward that yields": (
        FORWARD.format("yield self.body(x)") + BATCH,
        ("the model returned generator", "a yield makes forward a generator"),
    ),
    "a forward that raises past Exception": (
        ANGRY + FORWARD.format("raise Angry('no')") + BATCH,
        ("the forward pass raised Angry: no",),
    ),
    "a model that raises past Exception": (
        ANGRY + "def model(): raise Angry('no')\n" + BATCH,
        ("model() raised Angry: no",),
    ),
    "a dict for a tensor": (
        FORWARD.format("return self.body(x)") + "def batch(): return {'image': X, 'label': Y}",
        ("must be Tensor, not dict", "with the names of its arguments"),
    ),
    "lazy layers that do not fit": (
        "def model(): return nn.Sequential(nn.LazyLinear(8), nn.Linear(9, 4))\n" + BATCH,
        ("the forward pass raised RuntimeError",),
    ),
    "a complex loss": (
        MODEL + BATCH + "def loss(output, target): return (output * 1j).mean()",
        ("loss() returned a complex number", "loss.abs()"),
    ),
    "a model without numbers": (
        "def model():\n    with torch.device('meta'): return net()\n" + BATCH,
        ("on the meta device", "to_empty"),
    ),
    "an optimiser of nothing": (
        MODEL + BATCH + "def optimizer(model): return torch.optim.SGD([], lr=0.1)",
        ("empty parameter list", "model.parameters()"),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_one_clear_error(name: str, write: Callable[[str, str], str]) -> None:
    body, words = WRONG[name]
    write("net.py", HEAD + body)
    result = CliRunner().invoke(app, ["check", "net.py"])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert result.output.startswith("error: ")
    flat = " ".join(result.output.split())
    for word in words:
        assert word in flat, result.output


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_where_there_is_none(write: Callable[[str, str], str]) -> None:
    write("net.py", HEAD + MODEL + "def batch(): return X.cuda(), Y")
    result = CliRunner().invoke(app, ["check", "net.py"])
    assert result.exit_code == 2
    assert "--device cuda" in result.output


def test_a_module_that_answers_every_name_with_an_error(write: Callable[[str, str], str]) -> None:
    body = FORWARD.format("return self.body(x)").replace(
        "    def forward",
        "    def __getattr__(self, name):\n"
        "        if name.startswith('_') or name == 'body': return super().__getattr__(name)\n"
        "        raise RuntimeError(name)\n"
        "    def forward",
    )
    write("net.py", HEAD + body + BATCH)
    assert CliRunner().invoke(app, ["check", "net.py"]).exit_code == 0
