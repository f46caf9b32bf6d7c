"""UV302: attention that cannot choose any more, and what only looks like it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unvanish
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Parameter, Profile, Recording
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.rules.attention import AttentionCollapse
from unvanish.testing import recording_of
from unvanish.theory.softmax import chance_frozen, chance_spread

examine = AttentionCollapse().examine

BLOCK = ("layer_norm", "linear", "matmul", "softmax", "matmul", "add")


def transformer(
    *layers: tuple[float, float], apart: list[float] | None = None, rms: float = 1.0
) -> Recording:
    """One block a layer: (share of frozen rows, spread of the scores), 64 keys."""
    count = len(layers)
    blank: list[float | None] = [None] * (6 * count + 1)
    frozen, spread, deviation, size = ([*blank] for _ in range(4))
    for k, (share, wide) in enumerate(layers):
        frozen[6 * k + 3], spread[6 * k + 3] = share, wide
        size[6 * k + 1] = rms
        deviation[6 * k] = apart[k] if apart else 1.0
    recording = recording_of(
        *BLOCK * count,
        "linear",
        profiles={
            Quantity.FROZEN_FRACTION: frozen,
            Quantity.SCORE_SPREAD: spread,
            Quantity.TOKEN_DEVIATION: deviation,
            Quantity.ACTIVATION_RMS: size,
        },
    )
    # The chain has one operand for each product; scores are made of queries and keys.
    keys = tuple(Edge(6 * k, 6 * k + 2, 0.0) for k in range(count))
    return replace(recording, edges=(*recording.edges, *keys))


def only(verdict: Verdict) -> Finding:
    assert isinstance(verdict, Found), verdict
    (finding,) = verdict.findings
    return finding


@pytest.mark.parametrize(
    ("layers", "severity"),
    [
        ([(0.95, 300.0)], Severity.ERROR),
        ([(0.6, 40.0)], Severity.WARNING),
        ([(0.6, 40.0), (0.0, 1.0)], Severity.WARNING),
        ([(0.95, 300.0), (0.0, 1.0), (0.0, 1.0)], Severity.NOTE),
        ([(0.4, 40.0)], Severity.WARNING),  # as many as random scores freeze
        ([(0.08, 40.0)], None),
        ([(0.4, 10.0)], None),  # ten times as many: these were learned
        ([(0.72, 7.0), (0.01, 3.0)], None),  # trained to reverse a sequence
        ([(0.0, 1e-9)], None),  # even attention, as transformers start
    ],
)
def test_severity(layers: list[tuple[float, float]], severity: Severity | None) -> None:
    verdict = examine(transformer(*layers))
    if severity is None:
        assert isinstance(verdict, Clear)
        return
    finding = only(verdict)
    assert finding.severity is severity
    assert finding.measured == max(share for share, _ in layers)
    assert finding.causes[0] is Cause.SOFTMAX_SATURATION
    assert finding.sites[0].op == "softmax"


def test_the_spread_that_freezes_half_of_the_rows_by_chance() -> None:
    """The rule's own null: rows of random scores, softmax and Jacobian computed."""
    torch.manual_seed(0)
    for keys in (4, 16, 64):
        limit = chance_spread(keys)
        p = (limit * torch.randn(20_000, keys, dtype=torch.float64)).softmax(-1)
        square = p.square().sum(-1)
        reaction = (square - 2 * p.pow(3).sum(-1) + square.square()) / (1 / keys - 1 / keys**2)
        frozen = float((reaction.clamp_min(0).sqrt() < 1e-3).double().mean())
        assert 0.45 < frozen < 0.65
        recording = transformer((frozen, limit))
        sites = [replace(s, shape=(16, keys)) for s in recording.sites]
        verdict = examine(replace(recording, sites=tuple(sites)))
        assert isinstance(verdict, Found) == (frozen > 0.5)


def test_scores_that_were_not_scaled_and_weights_that_are_too_large() -> None:
    unscaled = only(examine(transformer((0.95, 300.0), rms=1.0)))
    assert unscaled.causes == (Cause.SOFTMAX_SATURATION,)
    assert "sqrt(q.shape[-1])" in unscaled.help[0]
    recording = transformer((0.95, 300.0), rms=20.0)
    sizes = Profile(Quantity.ACTIVATION_RMS, {0: 20.0, 1: 20.0})
    large = replace(
        recording,
        profiles={**recording.profiles, Quantity.ACTIVATION_RMS: sizes},
        parameters=(Parameter(name="layers.1.weight", shape=(64, 64), rms=2.5),),
    )
    assert only(examine(large)).causes == (Cause.SOFTMAX_SATURATION, Cause.INIT_TOO_LARGE)


def test_tokens_that_become_alike() -> None:
    flat = (0.0, 1.0)
    verdict = examine(transformer(flat, flat, flat, apart=[0.9, 0.03, 5e-4]))
    finding = only(verdict)
    assert finding.severity is Severity.WARNING
    assert finding.measured == pytest.approx(math.log10(0.9 / 5e-4))
    assert finding.causes == (Cause.DEPTH_WITHOUT_SKIP,)
    assert [site.index for site in finding.sites] == [15]
    hopeless = only(examine(transformer(flat, flat, apart=[0.9, 0.0])))
    assert hopeless.severity is Severity.ERROR
    assert "exactly nothing" in hopeless.message


def test_tokens_that_are_alike_from_the_start_are_the_data() -> None:
    flat = (0.0, 1.0)
    assert isinstance(examine(transformer(flat, flat, apart=[2e-4, 1e-4])), Clear)


def test_a_softmax_that_weighs_nothing_is_no_attention() -> None:
    profiles = {
        Quantity.FROZEN_FRACTION: [None, 1.0, None],
        Quantity.SCORE_SPREAD: [None, 300.0, None],
    }
    recording = recording_of("linear", "softmax", "linear", profiles=profiles)
    assert isinstance(examine(recording), NotApplicable)


def test_a_single_key_leaves_nothing_to_choose() -> None:
    steps = recording_of("linear", "matmul", "softmax", "matmul", "linear")
    assert isinstance(examine(steps), NotMeasured)
    sites = tuple(replace(s, shape=(256, 1)) if s.op == "softmax" else s for s in steps.sites)
    assert isinstance(examine(replace(steps, sites=sites)), NotApplicable)


@pytest.mark.parametrize(("spread", "stuck"), [(41.0, True), (79.0, True), (130.0, False)])
def test_scores_that_the_probe_steps_make_anew_are_not_frozen_for_good(
    spread: float, stuck: bool
) -> None:
    recording = replace(transformer((0.6, 40.0)), later=transformer((0.7, spread)))
    assert isinstance(examine(recording), Found if stuck else Clear)


# Real networks.

Weigh = Callable[[Tensor, Tensor, Tensor], Tensor]


class Encoder(nn.Module):
    """Attention by hand over 12 tokens, one or several layers, with a skip or without."""

    def __init__(self, weigh: Weigh, *, layers: int = 1, skip: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weigh, self.skip = weigh, skip
        self.embed = nn.Embedding(20, 32)
        self.places = nn.Parameter(torch.randn(12, 32))
        self.project = nn.ModuleList(nn.Linear(32, 96) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(layers))
        self.head = nn.Linear(32, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.places
        for project, norm in zip(self.project, self.norms, strict=True):
            mixed = self.weigh(*project(x).chunk(3, -1))
            x = norm(x + mixed if self.skip else mixed)
        return self.head(x.mean(1))


def scaled(factor: float) -> Weigh:
    def weigh(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return (q @ k.mT * factor).softmax(-1) @ v

    return weigh


def causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def check(model: nn.Module) -> Verdict:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    batch = torch.randint(0, 20, (16, 12)), torch.randint(0, 5, (16,))
    report = unvanish.checkup(model, batch, select=["UV302"], probe_steps=0)
    return report.diagnosis.verdicts["UV302"]


def test_scores_a_hundred_times_too_large_are_found() -> None:
    finding = only(check(Encoder(scaled(100 / math.sqrt(32)))))
    assert finding.severity is not Severity.NOTE
    assert finding.causes == (Cause.SOFTMAX_SATURATION,)
    assert isinstance(check(Encoder(scaled(1 / math.sqrt(32)))), Clear)


class Pooling(nn.Module):
    """One score a token, and the sum of the tokens that the scores weigh."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.factor = factor
        self.lift, self.score = nn.Linear(4, 32), nn.Linear(32, 1)
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.lift(x)
        return self.head(((self.factor * self.score(x)).softmax(1) * x).sum(1))


@pytest.mark.parametrize(("factor", "stuck"), [(1.0, False), (1000.0, True)])
def test_a_weighted_sum_is_attention_too(factor: float, stuck: bool) -> None:
    torch.manual_seed(0)
    batch = torch.randn(16, 12, 4), torch.randint(0, 5, (16,))
    report = unvanish.checkup(Pooling(factor), batch, select=["UV302"])
    assert isinstance(report.diagnosis.verdicts["UV302"], Found if stuck else Clear)


def test_an_expected_value_and_an_entropy_are_no_attention() -> None:
    class Distribution(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lift = nn.Linear(4, 11)
            self.register_buffer("support", torch.linspace(-1, 1, 11))

        def forward(self, x: Tensor) -> Tensor:
            p = (1000 * self.lift(x)).softmax(-1)
            entropy = (p * (1000 * self.lift(x)).log_softmax(-1)).sum(-1)
            return torch.stack([(p * self.support).sum(-1), entropy], 1)

    batch = torch.randn(16, 4), torch.randn(16, 2)
    report = unvanish.checkup(Distribution(), batch, loss="mse_loss", select=["UV302"])
    assert isinstance(report.diagnosis.verdicts["UV302"], NotApplicable)


class Stack(nn.Module):
    """Attention without skips, with one answer for all tokens or one for each."""

    def __init__(self, read: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.read = read
        self.embed, self.places = nn.Embedding(20, 32), nn.Embedding(12, 32)
        self.layers = nn.ModuleList(
            nn.MultiheadAttention(32, 4, batch_first=True) for _ in range(8)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in self.layers)
        self.pool = nn.MultiheadAttention(32, 4, batch_first=True)
        self.head = nn.Linear(12 * 32 if read == "flat" else 32, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.places(torch.arange(12))
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = norm(layer(x, x, x, need_weights=False)[0])
        if self.read == "attention":
            return self.head(self.pool(x[:, :1] * 0 + 1, x, x)[0][:, 0])
        if self.read == "every token":
            return self.head(x).mT
        if self.read == "every token in one row":
            return self.head(x).flatten(0, 1)
        one = {
            "mean": lambda: x.mean(1),
            "largest": lambda: x.amax(1),
            "first": lambda: x[:, 0],
            "flat": lambda: x.flatten(1),
        }[self.read]()
        return self.head(one)


@pytest.mark.parametrize("read", ["mean", "largest", "first", "flat", "attention"])
def test_tokens_grown_alike_are_a_note_where_one_answer_is_asked(read: str) -> None:
    finding = only(check(Stack(read)))
    assert finding.severity is Severity.NOTE
    assert "one answer for all tokens" in finding.notes[-1]


@pytest.mark.parametrize("read", ["every token", "every token in one row"])
def test_tokens_grown_alike_cannot_be_told_apart_where_each_is_asked(read: str) -> None:
    tokens = torch.randint(0, 20, (16, 12))
    target = tokens % 5 if read == "every token" else (tokens % 5).flatten()
    report = unvanish.checkup(
        Stack(read), (tokens, target), loss=F.cross_entropy, select=["UV302"], probe_steps=0
    )
    assert only(report.diagnosis.verdicts["UV302"]).severity is not Severity.NOTE


def test_masked_rows_are_no_choice() -> None:
    assert isinstance(check(Encoder(causal)), Clear)


def test_attention_without_skips_is_found_and_a_skip_cures_it() -> None:
    weigh = scaled(1 / math.sqrt(32))
    finding = only(check(Encoder(weigh, layers=6, skip=False)))
    assert finding.causes == (Cause.DEPTH_WITHOUT_SKIP,)
    assert finding.unit == "decades"
    assert isinstance(check(Encoder(weigh, layers=6, skip=True)), Clear)


def test_a_deep_post_norm_encoder_is_found_and_pre_norm_is_not() -> None:
    class Deep(nn.Module):
        def __init__(self, *, first: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            layer = nn.TransformerEncoderLayer(
                32, 4, 64, dropout=0.0, batch_first=True, norm_first=first
            )
            self.embed = nn.Embedding(20, 32)
            self.body = nn.TransformerEncoder(layer, 64, enable_nested_tensor=False)
            self.head = nn.Linear(32, 5)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.head(self.body(self.embed(tokens)).mean(1))

    assert only(check(Deep(first=False))).causes == (Cause.POST_NORM,)
    assert isinstance(check(Deep(first=True)), Clear)


def test_attention_that_learned_to_look_at_one_token_is_left_in_peace() -> None:
    class Reverse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.places = nn.Embedding(20, 32), nn.Embedding(8, 32)
            self.attend = nn.MultiheadAttention(32, 1, batch_first=True)
            self.head = nn.Linear(32, 20)

        def forward(self, tokens: Tensor) -> Tensor:
            x = self.embed(tokens) + self.places(torch.arange(8))
            return self.head(x + self.attend(x, x, x, need_weights=False)[0]).mT

    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = Reverse()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(300):
        tokens = torch.randint(0, 20, (64, 8))
        loss = F.cross_entropy(model(tokens), tokens.flip(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.01
    tokens = torch.randint(0, 20, (64, 8))
    report = unvanish.checkup(model, (tokens, tokens.flip(1)), select=["UV302"], probe_steps=0)
    assert isinstance(report.diagnosis.verdicts["UV302"], Clear)
    entropy = report.recording[Quantity.ATTENTION_ENTROPY].values
    assert max(entropy.values()) < 0.2


class Lookup(nn.Module):
    """One query over eight keys, its scores divided by a temperature."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.query, self.key, self.out = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.query(x) @ self.key(x).transpose(1, 2) / self.temperature
        return self.out(scores.softmax(-1) @ x).mean(1)


@pytest.mark.parametrize(
    ("temperature", "optimizer", "severity"),
    [
        (4.0, torch.optim.SGD, None),
        (40.0, torch.optim.SGD, None),
        (1e3, torch.optim.SGD, Severity.WARNING),  # half of the decades, as they count twice
        (1e5, torch.optim.SGD, Severity.WARNING),
        (1e5, torch.optim.Adam, None),  # every weight moves at the same pace
        (1e6, torch.optim.Adam, Severity.WARNING),
    ],
)
def test_scores_that_are_divided_by_far_too_much(
    temperature: float, optimizer: Callable[..., torch.optim.Optimizer], severity: Severity | None
) -> None:
    torch.manual_seed(0)
    model = Lookup(temperature)
    batch = torch.randn(32, 8, 16), torch.randint(4, (32,))
    rule = optimizer(model.parameters(), lr=0.01)
    report = unvanish.checkup(model, batch, loss=F.cross_entropy, optimizer=rule, select=("UV302",))
    assert [f.severity for f in report.findings] == ([severity] if severity else [])
    if severity:
        (finding,) = report.findings
        assert finding.causes == (Cause.INIT_TOO_SMALL,)
        assert finding.measured == pytest.approx(math.log10(temperature / 4), abs=0.01)
        assert "sqrt(q.shape[-1])" in finding.help[0]


def test_the_rows_that_random_scores_freeze() -> None:
    """The null of drawn scores: what is measured lies within the factor that the rule allows."""
    torch.manual_seed(0)
    for keys, spread in ((16, 12.0), (16, 30.0), (32, 15.0), (64, 20.0)):
        p = (spread * torch.randn(20_000, keys, dtype=torch.float64)).softmax(-1)
        square = p.square().sum(-1)
        reaction = (square - 2 * p.pow(3).sum(-1) + square.square()) / (1 / keys - 1 / keys**2)
        frozen = float((reaction.clamp_min(0).sqrt() < 1e-3).double().mean())
        assert 0.7 < frozen / chance_frozen(spread, keys) < 1.5


class Ask(nn.Module):
    """A question over a set, by products or by distances, times a factor."""

    def __init__(self, width: int, factor: float, *, distance: bool) -> None:
        super().__init__()
        self.factor, self.distance = factor, distance
        self.query, self.key, self.value = (nn.Linear(8, width) for _ in range(3))
        self.out = nn.Linear(width, 4)
        for layer in (self.query, self.key):
            nn.init.normal_(layer.weight, std=8**-0.5)

    def forward(self, question: Tensor, items: Tensor) -> Tensor:
        q, k = self.query(question)[:, None], self.key(items)
        scores = -(q - k).square().sum(-1) if self.distance else (q @ k.transpose(1, 2))[:, 0]
        if self.factor != 1.0:
            scores = scores * self.factor
        return self.out((scores.softmax(-1)[:, None] @ self.value(items))[:, 0])


@pytest.mark.parametrize(
    ("width", "factor", "distance", "sick"),
    [
        (256, 1.0, False, True),
        (256, 1 / 16, False, False),
        (256, 0.7, False, False),  # a temperature that somebody chose
        (16, 1.0, False, False),
        (96, 1.0, True, True),
        (96, 0.05, True, False),
    ],
)
def test_scores_that_nobody_scaled(width: int, factor: float, distance: bool, sick: bool) -> None:
    torch.manual_seed(0)
    batch = (torch.randn(64, 8), torch.randn(64, 24, 8)), torch.randint(4, (64,))
    model = Ask(width, factor, distance=distance)
    report = unvanish.checkup(model, batch, loss=F.cross_entropy, select=("UV302",))
    assert [f.severity for f in report.findings] == [Severity.WARNING] * sick
    if sick:
        (finding,) = report.findings
        assert finding.limit == 0.1
        assert finding.causes[0] is Cause.SOFTMAX_SATURATION


class Raw(nn.Module):
    """Tokens plus their positions, times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.embed = nn.Embedding(28, 32)
        self.query, self.key, self.value = (nn.Linear(32, 32) for _ in range(3))
        self.out = nn.Linear(32, 8)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.factor * torch.arange(tokens.shape[1])[:, None]
        scores = self.query(x) @ self.key(x).transpose(1, 2) / math.sqrt(32)
        return self.out((scores.softmax(-1) @ self.value(x)).mean(1))


@pytest.mark.parametrize(("factor", "sick"), [(1.0, True), (0.02, False)])
def test_positions_that_are_added_as_they_are(factor: float, sick: bool) -> None:
    torch.manual_seed(0)
    model = Raw(factor)
    batch = torch.randint(28, (64, 48)), torch.randint(8, (64,))
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    report = unvanish.checkup(model, batch, loss=F.cross_entropy, optimizer=adam, select=("UV302",))
    assert [f.severity is not Severity.NOTE for f in report.findings] == [True] * sick


class Pool(nn.Module):
    """Attention pooling, with the softmax over some axis and the sum written in some way."""

    def __init__(self, axis: int, way: str) -> None:
        super().__init__()
        self.axis, self.way = axis, way
        self.embed, self.score, self.out = nn.Linear(8, 16), nn.Linear(16, 1), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x).tanh()
        weight = self.score(h).softmax(self.axis)
        if self.way == "matmul":
            return self.out((weight.transpose(1, 2) @ h)[:, 0])
        if self.way == "einsum":
            return self.out(torch.einsum("bto,btd->bd", weight, h))
        product = weight * h
        return self.out(product.sum(1) if self.way == "sum" else product.mean(1))


@pytest.mark.parametrize("way", ["sum", "mean", "matmul", "einsum"])
@pytest.mark.parametrize(
    ("axis", "tokens", "sick"), [(-1, 12, True), (1, 12, False), (-1, 1, False)]
)
def test_a_softmax_over_an_axis_of_one_entry(way: str, axis: int, tokens: int, sick: bool) -> None:
    batch = torch.randn(32, tokens, 8), torch.randint(4, (32,))
    model = Pool(axis, way)
    report = unvanish.checkup(model, batch, loss=F.cross_entropy, select=("UV302",))
    assert [f.severity for f in report.findings] == [Severity.ERROR] * sick
    if sick:
        (finding,) = report.findings
        assert {"score.weight", "score.bias"} == set(finding.parameters)
        assert "all of the 12 things" in finding.message


def test_a_skip_connection_past_a_softmax_over_one_entry_makes_it_a_note() -> None:
    class Past(Pool):
        def forward(self, x: Tensor) -> Tensor:
            h = self.embed(x).tanh()
            return self.out((self.score(h).softmax(-1) * h).sum(1) + h[:, 0])

    batch = torch.randn(32, 12, 8), torch.randint(4, (32,))
    report = unvanish.checkup(Past(-1, "sum"), batch, loss=F.cross_entropy, select=("UV302",))
    assert [f.severity for f in report.findings] == [Severity.NOTE]


class Cosines(nn.Module):
    """A lookup by cosines, times a scale where there is one."""

    def __init__(self, scale: float | None, *, skip: bool = False) -> None:
        super().__init__()
        self.scale = None if scale is None else nn.Parameter(torch.tensor(scale))
        self.query, self.key, self.value = (nn.Linear(24, 24) for _ in range(3))
        self.out, self.skip = nn.Linear(24, 8), skip

    def forward(self, question: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        q = self.query(question)[:, None]
        scores = F.normalize(q, dim=-1) @ F.normalize(self.key(keys), dim=-1).transpose(1, 2)
        if self.scale is not None:
            scores = scores * self.scale
        found = scores.softmax(-1) @ self.value(values)
        return self.out((found + q if self.skip else found)[:, 0])


@pytest.mark.parametrize(
    ("scale", "keys", "skip", "sick"),
    [
        (None, 96, False, True),
        (20.0, 96, False, False),
        (None, 16, False, True),
        (None, 6, False, False),
        (None, 96, True, False),
    ],
)
def test_cosines_over_many_keys(scale: float | None, keys: int, skip: bool, sick: bool) -> None:
    inputs = torch.randn(48, 24), torch.randn(48, keys, 24), torch.randn(48, keys, 24)
    batch = inputs, torch.randint(8, (48,))
    model = Cosines(scale, skip=skip)
    report = unvanish.checkup(model, batch, loss=F.cross_entropy, select=("UV302",))
    assert [f.severity for f in report.findings] == [Severity.WARNING] * sick
