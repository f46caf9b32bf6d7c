"""Where a step stands: module path, operation, the user's own line, depth, role."""

from __future__ import annotations

import inspect
import math

import pytest
import torch
import torch.nn.functional as F
from tests.observe.patients import PATIENTS
from torch import Tensor, nn

from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Role, Site
from unvanish.observe import trace

HERE = __file__


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.sigmoid(self.a(x))
        h = h + F.relu(
            self.b(h),
        )
        h = F.softmax(h @ h.T, dim=-1) @ h
        return self.head(torch.cat([h, h], 1)[:, :8])


def line_of(text: str) -> int:
    source, first = inspect.getsourcelines(Functional.forward)
    return first + next(i for i, line in enumerate(source) if text in line)


def of(name: str, **options: object) -> Recording:
    model, batch, given = PATIENTS[name]()
    return trace(model, batch, **{"probe_steps": 0, **given, **options})


@pytest.fixture
def functional() -> Recording:
    batch = torch.randn(12, 6), torch.randint(0, 3, (12,))
    return trace(Functional(), batch, probe_steps=0)


def signal(recording: Recording, op: str) -> list[Site]:
    return [site for site in recording.signal_sites() if site.op == op]


@pytest.mark.parametrize(
    ("op", "text"),
    [
        ("sigmoid", "torch.sigmoid"),
        ("relu", "F.relu("),
        ("add", "h = h + F.relu"),
        ("softmax", "F.softmax"),
        ("cat", "torch.cat"),
    ],
)
def test_functional_calls_and_operators_carry_the_users_line(
    functional: Recording, op: str, text: str
) -> None:
    (site,) = signal(functional, op)
    assert site.source is not None
    assert HERE.endswith(site.source.file)
    assert site.source.line == line_of(text)
    assert site.source.function == "forward"


def test_modules_carry_path_class_and_the_line_that_calls_them(functional: Recording) -> None:
    first, second, head = signal(functional, "linear")
    assert [s.path for s in (first, second, head)] == ["a", "b", "head"]
    assert {s.module for s in (first, second, head)} == {"Linear"}
    assert second.source is not None
    assert second.source.line == line_of("self.b(h)")
    assert first.weights == ("a.weight", "a.bias")


def test_depth_counts_weights_and_roles_split_the_loss(functional: Recording) -> None:
    assert [s.depth for s in signal(functional, "linear")] == [1, 2, 3]
    assert {s.op for s in functional.sites if s.role is Role.LOSS} == {"log_softmax", "nll_loss"}
    assert all(s.op == "transpose" for s in functional.sites if s.role is Role.WEIGHT)
    assert [s.path for s in functional.sites if s.is_output] == ["head"]


def test_both_operands_of_a_product_are_edges(functional: Recording) -> None:
    products = signal(functional, "matmul")
    assert len(products) == 2
    for site in products:
        assert sum(e.consumer == site.index for e in functional.edges) == 2


def test_a_shared_module_counts_its_calls() -> None:
    recording = of("shared_module")
    assert [s.call for s in signal(recording, "linear") if s.path == "inner"] == [0, 1, 2]
    inner = next(p for p in recording.parameters if p.name == "inner.weight")
    assert len(inner.uses) == 3


def test_tied_weights_are_one_parameter_with_two_uses() -> None:
    recording = of("tied_weights")
    embed = recording.parameters[0]
    assert (embed.name, embed.aliases) == ("embed.weight", ("head.weight",))
    assert len(embed.uses) == 2
    assert all(math.isfinite(use.log10_grad_rms) for use in embed.uses)


def test_rows_an_embedding_never_touched_are_no_zeros() -> None:
    recording = of("sparse_embedding")
    embed = next(p for p in recording.parameters if p.name == "embed.weight")
    assert embed.zero_fraction < 0.6  # ReLU zeros only; most of the 50 rows were not looked up


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
def test_recurrent_layers_are_seen_step_by_step(name: str) -> None:
    recording = of(name)
    steps = [
        s
        for s in recording.signal_sites()
        if s.path == "rnn" and any("weight_hh" in w for w in s.weights)
    ]
    assert [s.call for s in steps] == list(range(7))
    last_step = recording[Quantity.LOG10_LAST_STEP_GRAD_RMS]
    values = [last_step[s] for s in steps]
    assert values[0] < values[-1] - 0.5  # the further back in time, the less gets through


def test_attention_is_seen_inside_with_its_own_weights() -> None:
    recording = of("multihead_attention", probe_steps=1)
    paths = {s.path for s in recording.signal_sites() if s.weights}
    assert "attention.out_proj" in paths
    assert any(s.op == "softmax" and s.path == "attention" for s in recording.sites)
    assert not recording.gaps


def test_a_reentrant_checkpoint_is_unfolded() -> None:
    with_, without = of("checkpoint_with_reentry"), of("checkpoint_without_reentry")
    assert [s.op for s in with_.sites] == [s.op for s in without.sites]
    assert any(s.op == "sigmoid" for s in with_.sites)


def test_low_precision_is_compared_with_the_truth() -> None:
    recording = of("autocast_float16")
    assert recording.context.autocast == "float16"
    assert recording.context.grad_dtype == "float64"
    assert all("float16" in p.underflow_fraction for p in recording.parameters)


def test_zero_gates_get_a_second_look() -> None:
    recording = of("zero_gates", probe_steps=3)
    first = next(p for p in recording.parameters if p.name == "blocks.0.weight")
    assert first.log10_grad_rms == -math.inf
    assert recording.later is not None
    later = next(p for p in recording.later.parameters if p.name == "blocks.0.weight")
    assert later.log10_grad_rms > -math.inf


def test_the_models_own_loss_and_its_hidden_states_are_no_outputs() -> None:
    recording = of("dataclass_output_with_own_loss")
    assert recording.context.loss == "the model's own loss"
    assert {s.op for s in recording.sites if s.role is Role.LOSS} == {"log_softmax", "nll_loss"}
    assert len(recording[Quantity.LOG10_PROBE_GRAD_RMS]) > 0


def test_lazy_layers_are_woken_on_a_copy() -> None:
    recording = of("lazy_layers")
    assert any("lazy" in said for said in recording.context.inferred)
    assert [s.op for s in recording.signal_sites()][:3] == ["linear", "batch_norm", "relu"]


def test_every_site_of_a_library_model_points_at_the_users_call() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=16,
    )  # fmt: skip
    model = transformers.BertForSequenceClassification(config)
    batch = {"input_ids": torch.randint(0, 50, (4, 8)), "labels": torch.tensor([0, 1, 0, 1])}
    recording = trace(model, batch, probe_steps=1)
    queries = [s for s in recording.sites if s.path.endswith("self.query") and s.op == "linear"]
    assert len(queries) == 2
    assert recording.context.loss == "the model's own loss"
    assert not recording.gaps


def test_update_ratios_are_what_the_optimiser_does() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    x, y = torch.randn(12, 6), torch.randint(0, 3, (12,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9, weight_decay=0.1)
    recording = trace(
        model, (x, y), "cross_entropy", optimizer=optimizer, probe_steps=1, clip_grad_norm=0.01
    )
    F.cross_entropy(model(x), y).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.01)
    for found, parameter in zip(recording.parameters, model.parameters(), strict=True):
        before = parameter.detach().clone()
        step = 0.5 * (parameter.grad + 0.1 * before)  # type: ignore[operator]
        assert found.update_ratio == pytest.approx((step.norm() / before.norm()).item(), rel=1e-4)
        assert found.in_optimizer is True
    assert str(recording.context.optimizer) == (
        "SGD(lr 0.5, momentum 0.9, weight decay 0.1, clip norm 0.01)"
    )


def test_several_batches_are_merged_and_dead_means_dead_on_all() -> None:
    model = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0], [-1.0]]))
    y = torch.zeros(4, dtype=torch.long)
    plus, minus = (torch.ones(4, 1), y), (-torch.ones(4, 1), y)
    alone = trace(model, plus, probe_steps=0)
    both = trace(model, plus, data=[plus, minus], probe_steps=0)
    (relu,) = signal(alone, "relu")
    assert alone[Quantity.DEAD_FRACTION][relu] == 0.5
    assert both[Quantity.DEAD_FRACTION][relu] == 0.0
    assert both.context.batches == 2
