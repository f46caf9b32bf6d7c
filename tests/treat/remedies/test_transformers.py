"""Remedies for transformers: branches and attention are found, moved, scaled and put back."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import unvanish
from unvanish.core.glossary import Quantity
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose import diagnose
from unvanish.treat.attention import NormalisedAttention, attentions_of, to_unit_size
from unvanish.treat.prescribing import prescribe
from unvanish.treat.registry import remedy_of
from unvanish.treat.streams import branches_of
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.treatment import Treated, case_of, treat

WIDTH = 16


class Block(nn.Module):
    """Attention with layers of its own or `nn.MultiheadAttention`, and norms where asked."""

    def __init__(
        self, norm: str = "", width: int = WIDTH, *, module: bool = True, scaled: bool = True
    ) -> None:
        super().__init__()
        self.norm, self.module, self.scaled = norm, module, scaled
        if module:
            self.attend = nn.MultiheadAttention(width, 2, batch_first=True)
        else:
            self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
            self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.first, self.second = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        if norm:
            self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def attention(self, x: Tensor) -> Tensor:
        if self.module:
            return self.attend(x, x, x)[0]
        heads = [
            layer(x).unflatten(-1, (2, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        ]
        raw = heads[0] @ heads[1].transpose(-2, -1)
        if self.scaled:
            raw = raw / math.sqrt(heads[0].shape[-1])
        return self.out((raw.softmax(-1) @ heads[2]).transpose(1, 2).flatten(2))

    def forward(self, x: Tensor) -> Tensor:
        if self.norm == "post":
            x = self.norm_1(x + self.attention(x))
            return self.norm_2(x + self.second(F.relu(self.first(x))))
        if self.norm == "pre":
            x = x + self.attention(self.norm_1(x))
            return x + self.second(F.relu(self.first(self.norm_2(x))))
        x = x + self.attention(x)
        return x + self.second(F.relu(self.first(x)))


class Tokens(nn.Module):
    def __init__(self, depth: int = 3, width: int = WIDTH, shift: float = 0.0, **kind: Any) -> None:
        super().__init__()
        self.embed = nn.Embedding(8, width)
        self.place = nn.Parameter(0.1 * torch.randn(16, width))
        self.shift = nn.Parameter(shift * torch.randn(width))
        self.blocks = nn.ModuleList(Block(width=width, **kind) for _ in range(depth))
        self.head = nn.Linear(width, 8)
        self.last: nn.Module = nn.Identity()

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids) + self.place[: ids.shape[1]] + self.shift
        for block in self.blocks:
            x = block(x)
        return self.head(self.last(x).mean(1))


class Torch(nn.Module):
    """PyTorch's own encoder, on data that needs no gradient."""

    def __init__(self, *, norm: bool = False, norm_first: bool = False) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            WIDTH, 2, 32, 0.0, batch_first=True, norm_first=norm_first
        )
        last = nn.LayerNorm(WIDTH) if norm else None
        self.encoder = nn.TransformerEncoder(layer, 3, last, enable_nested_tensor=not norm_first)
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        return self.head(self.encoder(x, src_key_padding_mask=padding)[:, 0])


class Translator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(8, WIDTH)
        self.both = nn.Transformer(WIDTH, 2, 2, 3, 32, 0.0, batch_first=True)
        self.head = nn.Linear(WIDTH, 8)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.both(self.embed(ids), self.embed(ids[:, :4])))[:, -1]


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


IDS = torch.randint(0, 8, (8, 10), generator=torch.Generator().manual_seed(1))
WORDS = (IDS, IDS[:, 0])
DATA = (drawn(6, 7, WIDTH), torch.arange(6) % 4)


def made(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return build()


def look(model: nn.Module, data: Any) -> Any:
    return unvanish.trace(model, data, batches=1, probe_steps=0)


def stream_decades(model: nn.Module, data: Any) -> float:
    """The gradient at the first residual sum over that at the last, in decades."""
    recording = look(model, data)
    sums = [branch.join for branch in branches_of(recording)]
    gradient = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    return gradient[sums[0]] - gradient[sums[-1]]


def spreads(model: nn.Module, data: Any) -> list[float]:
    return [one.spread for one in attentions_of(look(model, data))]


def refused(name: str, model: nn.Module, data: Any) -> str:
    said = remedy_of(name).assess(case_of(model, data))
    assert isinstance(said, NotApplicable)
    return said.reason


# ---------------------------------------------------------------------------- branches


@pytest.mark.parametrize("kind", ["", "post", "pre"])
@pytest.mark.parametrize("module", [True, False])
def test_every_branch_is_found(kind: str, module: bool) -> None:
    model = made(lambda: Tokens(norm=kind, module=module))
    found = branches_of(look(model, WORDS))
    assert len(found) == 6
    assert {branch.stream for branch in found} == {0}
    ends = ["attend.out_proj" if module else "out", "second"] * 3
    assert [b.last.path.split(".", 2)[2] for b in found if b.last] == ends
    assert all((branch.norm is not None) == (kind == "post") for branch in found)
    assert all(branch.begins_normalised == (kind == "pre") for branch in found)
    assert {len(b.entries) for b in found[::2]} == ({1} if module else {3})


def test_encoder_and_decoder_are_two_streams() -> None:
    found = branches_of(look(made(Translator), (IDS, IDS[:, 0])))
    assert [sum(b.stream == s for b in found) for s in (0, 1)] == [4, 9]


def test_a_stream_that_is_the_data_itself_counts() -> None:
    found = branches_of(look(made(Torch), DATA))
    assert len(found) == 6
    assert found[0].start is None


class Side(nn.Module):
    """Two branches side by side: x + f(x) + g(x), then a norm of several steps."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.norm = nn.RMSNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + torch.tanh(self.left(x)) @ self.right.weight + self.right(x).relu())


class Rows(nn.Module):
    def __init__(self, block: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.into, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 4)
        self.blocks = nn.ModuleList(block() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.into(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0])


def test_branches_side_by_side_are_two_and_are_not_moved_by_halves() -> None:
    model = made(lambda: Rows(Side))
    found = branches_of(look(model, DATA))
    assert len(found) == 6
    assert {branch.stream for branch in found} == {0}
    assert [branch.norm is not None for branch in found] == [False, True] * 3
    assert "only some of its sums" in refused("pre-norm", model, DATA)


def test_norms_that_are_called_as_functions_keep_a_stream_together() -> None:
    class Called(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(WIDTH, 32), nn.Linear(32, WIDTH)

        def forward(self, x: Tensor) -> Tensor:
            return F.layer_norm(x + self.second(F.gelu(self.first(x))), (WIDTH,))

    model = made(lambda: Rows(Called))
    assert [branch.stream for branch in branches_of(look(model, DATA))] == [0, 0, 0]
    assert "no module of layer" in refused("pre-norm", model, DATA)
    treated = treat(model, "depth-scaled-init", DATA).model
    scaled = model.blocks[1].second.weight / math.sqrt(3)
    assert torch.allclose(treated.blocks[1].second.weight, scaled)


def test_two_attentions_in_one_forward_are_two() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(8))
            self.turn, self.head = nn.Parameter(torch.eye(WIDTH)), nn.Linear(WIDTH, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = x @ self.turn
            for query, key, value, out in (self.layers[:4], self.layers[4:]):
                raw = torch.matmul(query(x), key(x).mT) / math.sqrt(WIDTH)
                x = x + out(torch.matmul(F.softmax(raw, -1), value(x)))
            return self.head(x[:, 0])

    model = made(Twice)
    assert [one.call for one in attentions_of(look(model, DATA))] == [1, 3]
    treated = treat(model, "query-key-norm", DATA)
    assert len(treated.receipts[0].edits) == 4
    sharper = copy.deepcopy(treated.model)
    with torch.no_grad():
        for number in (0, 1, 4, 5):
            for parameter in sharper.layers[number].parameters():
                parameter.mul_(9.0)
    assert torch.allclose(sharper(DATA[0]), treated.model(DATA[0]), atol=1e-4)


# ---------------------------------------------------------------------------- pre-norm


def test_a_norm_of_several_steps_is_moved_too() -> None:
    class Post(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(WIDTH, 32), nn.Linear(32, WIDTH)
            self.norm = nn.RMSNorm(WIDTH)

        def forward(self, x: Tensor) -> Tensor:
            y = self.second(F.silu(self.first(x)))
            y += x
            return self.norm(y)

    model = made(lambda: Rows(Post))
    treated = treat(model, "pre-norm", DATA).model
    x = model.into(DATA[0])
    for block in model.blocks:
        x = x + block.second(F.silu(block.first(block.norm(x))))
    by_hand = model.head(F.rms_norm(x, (WIDTH,))[:, 0])
    assert torch.allclose(treated(DATA[0]), by_hand, atol=1e-5)


@pytest.mark.parametrize("module", [True, False])
def test_moved_norms_compute_what_a_pre_norm_network_does(module: bool) -> None:
    post = made(lambda: Tokens(norm="post", module=module)).double()
    with torch.no_grad():
        for parameter in post.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    pre = Tokens(norm="pre", module=module).double()
    pre.load_state_dict(post.state_dict())
    pre.last = nn.LayerNorm(WIDTH).double()
    treated = treat(post, "pre-norm", WORDS).model
    assert torch.allclose(treated(IDS), pre(IDS), atol=1e-12)
    old, new = post.state_dict(), treated.state_dict()
    assert all(torch.equal(old[name], new[name]) for name in old)
    twin = copy.deepcopy(treated)
    assert torch.equal(twin(IDS), treated(IDS))
    held = {id(p) for p in twin.parameters()}
    assert len(held) == sum(1 for _ in pre.parameters())


@pytest.mark.parametrize("norm", [False, True])
def test_torch_layers_are_switched(norm: bool) -> None:
    model = made(lambda: Torch(norm=norm))
    treated = treat(model, "pre-norm", DATA).model
    twin = made(lambda: Torch(norm=True, norm_first=True))
    missing = twin.load_state_dict(model.state_dict(), strict=False).missing_keys
    assert missing == ([] if norm else ["encoder.norm.weight", "encoder.norm.bias"])
    assert torch.allclose(treated(DATA[0]), twin(DATA[0]), atol=1e-6)
    padding = torch.zeros(6, 7, dtype=torch.bool)
    padding[:, 5:] = True
    kept = treated(DATA[0], padding)
    treated.eval()
    with torch.no_grad():
        assert torch.allclose(treated(DATA[0], padding), kept, atol=1e-5)


def test_a_decoder_with_a_norm_of_its_own_gets_no_second_one() -> None:
    treated = treat(made(Translator), "pre-norm", WORDS)
    assert not any("final_norm" in name for name in treated.model.state_dict())
    assert all(layer.norm_first for layer in treated.model.both.decoder.layers)


def test_the_gradient_of_post_norm_fades_where_tokens_agree_and_of_pre_norm_does_not() -> None:
    """Theory: (1 + chi) / (1 + v) a block, with v near 1 and chi near 0: down to 1 / sqrt(2)."""
    model = made(lambda: Tokens(12, 32, shift=3.0, norm="post"))
    assert stream_decades(model, WORDS) < -0.3
    assert stream_decades(treat(model, "pre-norm", WORDS).model, WORDS) > -0.05


def test_what_cannot_be_moved_is_told() -> None:
    assert "no layer or RMS norm" in refused("pre-norm", made(lambda: Tokens(norm="pre")), WORDS)
    shared = made(lambda: Tokens(1, norm="post"))
    shared.blocks.append(shared.blocks[0])
    assert "several blocks in a row" in refused("pre-norm", shared, WORDS)
    assert "no residual" in refused("pre-norm", nn.Linear(WIDTH, 4), (drawn(6, WIDTH), DATA[1]))


# ---------------------------------------------------------------------------- initialisation


def test_depth_scaling_stops_the_growth_of_a_stream() -> None:
    model = made(lambda: Tokens(16, 32))
    assert stream_decades(model, WORDS) > 4.0
    treated = treat(model, "depth-scaled-init", WORDS)
    assert abs(stream_decades(treated.model, WORDS)) < 0.3
    scale = 1.0 / math.sqrt(32)
    for old, new in zip(model.blocks, treated.model.blocks, strict=True):
        assert torch.allclose(new.second.weight, scale * old.second.weight)
        assert torch.allclose(new.second.bias, scale * old.second.bias)
        assert torch.allclose(new.attend.out_proj.weight, scale * old.attend.out_proj.weight)
        assert torch.equal(new.first.weight, old.first.weight)


def test_every_stream_is_scaled_by_its_own_length() -> None:
    found = remedy_of("depth-scaled-init").assess(case_of(made(Translator), WORDS))
    assert not isinstance(found, NotApplicable)
    scales = {float(value) for value in found.settings.values()}
    assert scales == {1.0 / math.sqrt(4), 1.0 / math.sqrt(9)}


def test_a_residual_network_without_attention_is_scaled_too() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.into, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4, 4)
            self.blocks = nn.ModuleList(
                nn.Sequential(
                    nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1)
                )
                for _ in range(9)
            )

        def forward(self, x: Tensor) -> Tensor:
            x = self.into(x)
            for block in self.blocks:
                x = torch.relu(x + block(x))
            return self.head(x.mean((2, 3)))

    model = made(Residual)
    treated = treat(model, "depth-scaled-init", (drawn(6, 1, 5, 5), DATA[1]))
    assert torch.allclose(treated.model.blocks[4][2].weight, model.blocks[4][2].weight / 3.0)


@pytest.mark.parametrize("module", [True, False])
def test_t_fixup_draws_and_scales_as_its_paper(module: bool) -> None:
    model = made(lambda: Tokens(16, 64, module=module))
    found = remedy_of("t-fixup").assess(case_of(model, WORDS))
    assert not isinstance(found, NotApplicable)
    assert found.settings == {
        "embedding": pytest.approx((9 * 16) ** -0.25),
        "encoder": pytest.approx(0.67 * 16**-0.25),
    }
    treated = treat(model, "t-fixup", WORDS).model
    block = treated.blocks[3]
    xavier, factor = math.sqrt(2.0 / 128), 0.67 * 16**-0.25
    if module:
        query, key, value = (w.std().item() for w in block.attend.in_proj_weight.chunk(3))
        out = block.attend.out_proj
    else:
        query, key, value = (
            layer.weight.std().item() for layer in (block.query, block.key, block.value)
        )
        out = block.out
    assert query == pytest.approx(xavier, rel=0.05)
    assert key == pytest.approx(xavier, rel=0.05)
    assert value == pytest.approx(factor * xavier, rel=0.05)
    assert out.weight.std().item() == pytest.approx(factor * xavier, rel=0.05)
    assert not out.bias.any()
    wide = math.sqrt(2.0 / 192)
    assert block.second.weight.std().item() == pytest.approx(factor * wide, rel=0.05)
    assert treated.embed.weight.std().item() == pytest.approx(144**-0.25 / 8.0, rel=0.15)
    assert abs(stream_decades(treated, WORDS)) < 0.3


def test_t_fixup_is_for_networks_without_norms() -> None:
    assert "normalises" in refused("t-fixup", made(lambda: Tokens(norm="pre")), WORDS)
    assert "no transformer" in refused("t-fixup", nn.Linear(WIDTH, 4), (DATA[0][:, 0], DATA[1]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("norm", "remedy"), [("", "depth-scaled-init"), ("", "t-fixup"), ("post", "pre-norm")]
)
def test_a_deep_transformer_learns_without_warm_up(norm: str, remedy: str) -> None:
    """24 blocks, width 32, Adam at 1e-3, 200 steps: the first of 12 tokens is asked for."""

    def accuracy(model: nn.Module) -> float:
        generator = torch.Generator().manual_seed(3)
        adam = torch.optim.Adam(model.parameters(), lr=1e-3)
        for _ in range(200):
            x = torch.randint(0, 8, (32, 12), generator=generator)
            adam.zero_grad()
            F.cross_entropy(model(x), x[:, 0]).backward()
            adam.step()
        x = torch.randint(0, 8, (256, 12), generator=generator)
        return float((model(x).argmax(1) == x[:, 0]).float().mean())

    model = made(lambda: Tokens(24, 32, norm=norm))
    treated = treat(model, remedy, WORDS).model
    assert accuracy(treated) > 0.9
    assert accuracy(model) < 0.5


# ---------------------------------------------------------------------------- attention


def sharp(model: nn.Module, factor: float) -> nn.Module:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("query.weight", "key.weight")):
                parameter.mul_(factor)
            elif name.endswith("in_proj_weight"):
                parameter[: 2 * parameter.shape[1]].mul_(factor)
    return model


def test_scores_that_were_not_divided_are_divided_by_the_root_of_the_width() -> None:
    model = sharp(made(lambda: Tokens(2, 32, norm="pre", module=False, scaled=False)), 1.5)
    assert min(spreads(model, WORDS)) > 3.0
    treated = treat(model, "attention-scale", WORDS)
    assert max(spreads(treated.model, WORDS)) < 2.1
    assert torch.equal(treated.model.blocks[0].query.weight, model.blocks[0].query.weight)


@pytest.mark.parametrize("module", [True, False])
def test_weights_that_are_too_large_are_scaled(module: bool) -> None:
    model = sharp(made(lambda: Tokens(2, 32, norm="pre", module=module)), 6.0)
    before = spreads(model, WORDS)
    assert min(before) > 5.0
    treated = treat(model, "attention-scale", WORDS).model
    first, second = spreads(treated, WORDS)
    assert first == pytest.approx(1.0, abs=1e-3)
    assert 0.4 < second < 1.3
    old, new = model.blocks[0], treated.blocks[0]
    if module:
        rows = torch.allclose(new.attend.in_proj_weight[64:], old.attend.in_proj_weight[64:])
        factor = 1.0 / math.sqrt(before[0])
        kept = torch.allclose(
            new.attend.in_proj_weight[:64], factor * old.attend.in_proj_weight[:64]
        )
        assert rows
        assert kept
    else:
        assert torch.equal(new.value.weight, old.value.weight)


@pytest.mark.parametrize("divided", [True, False])
def test_the_prescription_says_whether_weights_change_or_the_softmax(divided: bool) -> None:
    model = sharp(made(lambda: Tokens(2, 32, norm="pre", module=False, scaled=divided)), 6.0)
    found = remedy_of("attention-scale").assess(case_of(model, WORDS))
    assert isinstance(found, Prescription)
    treated = treat(model, found, WORDS).model
    added = set(dict(treated.named_modules())) - set(dict(model.named_modules()))
    same = all(torch.equal(p, treated.get_parameter(n)) for n, p in model.named_parameters())
    assert bool(added) is not divided
    assert found.change is (Change.INITIALISATION if divided else Change.ACTIVATION)
    assert (Keeps.ARCHITECTURE in found.keeps) is not bool(added)
    assert (Keeps.WEIGHTS in found.keeps) is same


def test_a_kept_design_gets_no_division_of_its_scores() -> None:
    model = sharp(made(lambda: Tokens(2, 32, norm="pre", module=False, scaled=False)), 6.0)
    advice = prescribe(
        model, None, WORDS, names=["attention-scale"], keep_architecture="the design is fixed"
    )
    assert advice.refused == {"attention-scale": "the design is fixed"}
    assert not advice.options


def test_fused_attention_with_one_matrix_is_divided_where_it_is_called() -> None:
    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.into, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 4)
            self.all = nn.Linear(WIDTH, 3 * WIDTH)
            nn.init.orthogonal_(self.into.weight)
            nn.init.normal_(self.all.weight)

        def forward(self, x: Tensor) -> Tensor:
            x = self.into(x)
            q, k, v = self.all(x).unflatten(-1, (3, 2, -1)).permute(2, 0, 3, 1, 4)
            x = x + F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
            return self.head(x[:, 0])

    model = made(Fused)
    assert spreads(model, DATA)[0] > 5.0
    assert 0.4 < spreads(treat(model, "attention-scale", DATA).model, DATA)[0] < 1.3
    assert spreads(treat(model, "query-key-norm", DATA).model, DATA)[0] < 1.5
    assert "rows cannot be told apart" in refused("t-fixup", model, DATA)


def test_sound_scores_are_left_alone() -> None:
    assert "at most" in refused("attention-scale", made(lambda: Tokens(norm="pre")), WORDS)
    assert "no attention" in refused(
        "query-key-norm", nn.Linear(WIDTH, 4), (DATA[0][:, 0], DATA[1])
    )


@pytest.mark.parametrize("module", [True, False])
@pytest.mark.parametrize("scaled", [True, False])
def test_normalised_queries_and_keys_make_scores_of_unit_spread(module: bool, scaled: bool) -> None:
    if module and not scaled:
        pytest.skip("the module of PyTorch always scales")
    model = made(lambda: Tokens(2, 32, norm="pre", module=module, scaled=scaled))
    treated = treat(model, "query-key-norm", WORDS).model
    fine = spreads(treated, WORDS)
    assert all(0.2 < one < 1.5 for one in fine)
    assert spreads(sharp(treated, 50.0), WORDS) == pytest.approx(fine, rel=0.05)
    with pytest.raises(CannotTreatError, match="once is enough"):
        treat(treated, "query-key-norm", WORDS)


def test_attention_that_has_chosen_for_good_chooses_again() -> None:
    model = sharp(made(lambda: Tokens(2, 32, norm="pre")), 60.0)
    frozen = {f.code for f in diagnose(look(model, WORDS)).findings}
    assert "UV302" in frozen
    for remedy in ("query-key-norm", "attention-scale"):
        treated = treat(model, remedy, WORDS).model
        assert "UV302" not in {f.code for f in diagnose(look(treated, WORDS)).findings}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kdim", [None, 5])
def test_our_attention_is_that_of_pytorch_but_for_the_sizes(first: bool, kdim: int | None) -> None:
    torch.manual_seed(0)
    old = nn.MultiheadAttention(8, 2, batch_first=first, kdim=kdim, vdim=kdim).double()
    nn.init.normal_(old.in_proj_bias)
    new = NormalisedAttention.of(old)
    assert list(old.state_dict()) == [n for n in new.state_dict() if n != "query_scale"]
    x, y = torch.randn(3, 4, 8).double(), torch.randn(3, 6, kdim or 8).double()
    hidden = torch.zeros(3, 6, dtype=torch.bool)
    hidden[:, 5] = True
    for mask in (None, torch.randn(4, 6).double(), torch.randn(6, 4, 6).double()):
        given = [one if first else one.transpose(0, 1) for one in (x, y, y)]
        options = {"key_padding_mask": hidden, "attn_mask": mask}
        out, weights = new(*given, **options)
        short, none = new(*given, need_weights=False, **options)
        usual, shares = old(*given, **{**options, "key_padding_mask": _added(hidden)})
        assert none is None
        assert out.shape == usual.shape
        assert weights.shape == shares.shape
        assert torch.allclose(out, short)
        assert not weights[..., 5].any()
    weights = old.in_proj_weight.chunk(3) if kdim is None else None
    q_weight, k_weight, v_weight = weights or (
        old.q_proj_weight,
        old.k_proj_weight,
        old.v_proj_weight,
    )
    biases = old.in_proj_bias.chunk(3)
    q, k, v = (
        F.linear(a, w, b).unflatten(-1, (2, 4)).transpose(1, 2)
        for a, w, b in zip((x, y, y), (q_weight, k_weight, v_weight), biases, strict=True)
    )
    by_hand = F.scaled_dot_product_attention(to_unit_size(q), to_unit_size(k), v)
    by_hand = old.out_proj(by_hand.transpose(1, 2).flatten(2))
    out = new(*(one if first else one.transpose(0, 1) for one in (x, y, y)))[0]
    assert torch.allclose(out if first else out.transpose(0, 1), by_hand)
    single = new(x[0], y[0], y[0])
    assert single[0].shape == (4, 8)
    assert single[1].shape == (4, 6)


def _added(hidden: Tensor) -> Tensor:
    return torch.zeros_like(hidden, dtype=torch.float64).masked_fill(hidden, -math.inf)


def test_evaluation_computes_what_training_does() -> None:
    """PyTorch's fast path reads the weights of a layer and would call none of its parts."""
    model = made(Torch)
    for remedy in ("query-key-norm", "pre-norm"):
        treated = treat(model, remedy, DATA).model
        kept = treated(DATA[0])
        treated.eval()
        with torch.no_grad():
            assert torch.allclose(treated(DATA[0]), kept, atol=1e-5)


# ---------------------------------------------------------------------------- transformers


def hub(name: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """A tiny network of the package `transformers`, and a batch for it."""
    hf = pytest.importorskip("transformers")
    torch.manual_seed(0)
    ids = torch.randint(3, 40, (4, 6))
    small = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    small["intermediate_size"] = 32
    special = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    one, words = torch.arange(4) % 2, {"input_ids": ids, "labels": ids}
    if name == "bert":
        config = hf.BertConfig(**small, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        return hf.BertForSequenceClassification(config), {"input_ids": ids, "labels": one}
    if name == "llama":
        return hf.LlamaForCausalLM(hf.LlamaConfig(**small, num_key_value_heads=1, **special)), words
    if name == "vit":
        config = hf.ViTConfig(**{**small, "vocab_size": None}, image_size=8, patch_size=4)
        return hf.ViTForImageClassification(config), {
            "pixel_values": torch.randn(4, 3, 8, 8),
            "labels": one,
        }
    if name == "t5":
        config = hf.T5Config(
            vocab_size=40, d_model=16, num_layers=2, num_heads=2, d_ff=32, d_kv=8, **special
        )
        config.decoder_start_token_id = 0
        return hf.T5ForConditionalGeneration(config), words
    config = hf.GPT2Config(vocab_size=40, n_embd=16, n_layer=2, n_head=2, **special)
    return hf.GPT2LMHeadModel(config), words


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("bert", "pre-norm"),
        ("bert", "query-key-norm"),
        ("bert", "depth-scaled-init"),
        ("gpt2", "query-key-norm"),
        ("llama", "query-key-norm"),
        ("llama", "depth-scaled-init"),
        ("vit", "query-key-norm"),
        ("vit", "depth-scaled-init"),
        ("t5", "query-key-norm"),
        ("t5", "depth-scaled-init"),
    ],
)
def test_networks_of_transformers_are_treated_in_mid_training(name: str, remedy: str) -> None:
    model, data = hub(name)
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model(**data).loss.backward()
    adam.step()
    adam.zero_grad()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    treated: Treated = treat(model, remedy, data, optimizer=adam)
    after = treated.model.state_dict()
    assert all(after[key].shape == value.shape for key, value in before.items())
    assert treated.optimizer is not None
    held = [id(p) for group in treated.optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in treated.model.parameters())
    treated.model(**data).loss.backward()
    assert all(p.grad is not None for p in treated.model.parameters())
    treated.optimizer.step()
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.items())


@pytest.mark.parametrize("name", ["gpt2", "llama", "t5"])
def test_generation_with_and_without_a_cache_agrees(name: str) -> None:
    model, data = hub(name)
    treated = treat(model, "query-key-norm", data).model
    treated.eval()
    ids = data["input_ids"]
    cached, plain = (
        treated.generate(ids, max_new_tokens=5, do_sample=False, use_cache=cache)
        for cache in (True, False)
    )
    assert torch.equal(cached, plain)


@pytest.mark.parametrize("name", ["gpt2", "llama", "vit", "t5"])
def test_networks_that_are_pre_norm_already_are_told_so(name: str) -> None:
    model, data = hub(name)
    assert "directly behind a residual sum" in refused("pre-norm", model, data)
    assert "T-Fixup goes without" in refused("t-fixup", model, data)


def test_gpt2_is_depth_scaled_from_the_start() -> None:
    model, data = hub("gpt2")
    assert "smaller by that already" in refused("depth-scaled-init", model, data)
