"""Attention's rows and a cell's gates are read wherever they are computed."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotMeasured
from unvanish.diagnose.rules.through_time import VanishingThroughTime
from unvanish.observe.statistics.attention import read_attention, shut_fraction, token_deviation
from unvanish.observe.tracing import trace

TOKENS, WIDTH = 10, 16
LATER = torch.ones(TOKENS, TOKENS).triu(1).bool()

Mix = Callable[["Attention", Tensor], Tensor]


class Attention(nn.Module):
    """Projections to query, key and value, and a way to use them."""

    def __init__(self, mix: Mix, scale: float = 0.25) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.attend = nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.head = nn.Linear(WIDTH, 5)
        self.mix, self.scale = mix, scale

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.mix(self, x).mean(1))


def look(mix: Mix, scale: float = 0.25, tokens: int = TOKENS) -> Recording:
    torch.manual_seed(0)
    batch = torch.randn(8, tokens, WIDTH), torch.randint(0, 5, (8,))
    return trace(Attention(mix, scale), batch, probe_steps=0)


def rows(recording: Recording) -> tuple[float, float, float]:
    """Return entropy, frozen share and spread of the only softmax."""
    quantities = (
        Quantity.ATTENTION_ENTROPY,
        Quantity.FROZEN_FRACTION,
        Quantity.SCORE_SPREAD,
    )
    values = [list(recording[quantity].values.values()) for quantity in quantities]
    assert all(len(found) == 1 for found in values)
    return values[0][0], values[1][0], values[2][0]


def by_hand(mask: Callable[[Tensor], Tensor] = lambda scores: scores) -> Mix:
    def mix(net: Attention, x: Tensor) -> Tensor:
        return mask(net.q(x) @ net.k(x).mT * net.scale).softmax(-1) @ net.v(x)

    return mix


def heads(x: Tensor) -> Tensor:
    return x.unflatten(-1, (4, -1)).transpose(1, 2)


def fused(**options: bool) -> Mix:
    def mix(net: Attention, x: Tensor) -> Tensor:
        qkv = (heads(layer(x)) for layer in (net.q, net.k, net.v))
        mixed = F.scaled_dot_product_attention(*qkv, scale=net.scale, **options)
        return mixed.transpose(1, 2).flatten(2)

    return mix


def checkpointed(mix: Mix) -> Mix:
    def inside(net: Attention, x: Tensor) -> Tensor:
        return checkpoint(lambda x: mix(net, x), x, use_reentrant=False)

    return inside


MASKS = {
    "minus infinity": lambda scores: scores.masked_fill(LATER, -math.inf),
    "-1e9": lambda scores: scores.masked_fill(LATER, -1e9),
    "-1e9 added": lambda scores: scores - 1e9 * LATER,
    "-1e4 added": lambda scores: scores - 1e4 * LATER,
    "smallest float": lambda scores: scores + torch.finfo(scores.dtype).min * LATER,
}


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_is_known_by_the_value_that_many_scores_share(name: str) -> None:
    plain = rows(look(by_hand(MASKS["minus infinity"])))
    assert rows(look(by_hand(MASKS[name]))) == pytest.approx(plain, rel=1e-5)
    assert plain[0] > 0.9
    assert plain[1] == 0.0


@pytest.mark.parametrize("name", ["none", *MASKS])
def test_huge_scores_are_no_mask(name: str) -> None:
    mask = MASKS.get(name, lambda scores: scores)
    entropy, frozen, spread = rows(look(by_hand(mask), 1e5))
    assert entropy < 1e-3
    assert frozen == 1.0
    assert spread > 1e4


@pytest.mark.parametrize("causal", [False, True])
def test_fused_attention_and_a_checkpoint_give_the_numbers_of_plain_steps(causal: bool) -> None:
    def plain(net: Attention, x: Tensor) -> Tensor:
        scores = heads(net.q(x)) @ heads(net.k(x)).mT * net.scale
        scores = MASKS["minus infinity"](scores) if causal else scores
        return (scores.softmax(-1) @ heads(net.v(x))).transpose(1, 2).flatten(2)

    expected = rows(look(plain, 2.0))
    assert rows(look(fused(is_causal=causal), 2.0)) == pytest.approx(expected, rel=1e-4)
    packed = look(checkpointed(fused(is_causal=causal)), 2.0)
    assert rows(packed) == pytest.approx(expected, rel=1e-4)


def test_multi_head_attention_with_padding_and_huge_scores() -> None:
    padded = torch.zeros(8, TOKENS, dtype=torch.bool)
    padded[:, 6:] = True
    padded[0, 1:] = True  # one key is left in this sample: its rows cannot choose

    def mix(net: Attention, x: Tensor) -> Tensor:
        return net.attend(net.scale * x, x, x, key_padding_mask=padded)[0]

    entropy, frozen, _ = rows(look(mix, 1.0))
    assert entropy > 0.9
    assert frozen == 0.0
    assert rows(look(mix, 1e5))[1] > 0.99


def test_a_single_key_is_no_row() -> None:
    assert not len(look(by_hand(), tokens=1)[Quantity.ATTENTION_ENTROPY])


def test_rows_of_known_shape() -> None:
    even = torch.full((3, 4, 5), 0.2)
    reading = read_attention(even)
    assert reading is not None
    assert float(reading.entropy) == pytest.approx(1.0)
    assert float(reading.frozen) == 0.0
    assert float(reading.spread) == pytest.approx(0.0, abs=1e-6)
    torch.manual_seed(0)
    scores = 1e4 * torch.randn(3, 4, 5)
    reading = read_attention(scores.softmax(-1), scores)
    assert reading is not None
    assert float(reading.frozen) == 1.0
    assert float(reading.entropy) == pytest.approx(0.0, abs=1e-6)
    assert read_attention(torch.ones(2, 3, 1)) is None


def test_tokens_with_nothing_and_with_all_in_common() -> None:
    torch.manual_seed(0)
    tokens = torch.randn(4, 6, 8)
    apart = token_deviation(tokens - tokens.mean(1, keepdim=True), 4)
    assert apart is not None
    assert float(apart) == pytest.approx(1.0)
    alike = token_deviation(torch.ones(4, 6, 8), 4)
    assert alike is not None
    assert float(alike) == pytest.approx(0.0)
    first = token_deviation(tokens.transpose(0, 1), 4)
    assert first is not None
    assert float(first) == pytest.approx(float(token_deviation(tokens, 4)))  # type: ignore[arg-type]
    assert token_deviation(torch.randn(4, 1, 8), 4) is None
    assert token_deviation(torch.randn(4, 8), 4) is None


def test_choices_that_hardly_ever_get_anything() -> None:
    even = torch.full((10, 4), 0.25)
    assert float(shut_fraction(even)) == 0.0
    hard = F.one_hot(torch.arange(10) % 4, 4).float()
    assert float(shut_fraction(hard)) == 0.0  # every choice has its rows
    favourite = F.one_hot(torch.zeros(10, dtype=torch.long), 4).float()
    assert float(shut_fraction(favourite)) == 0.75


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_the_gates_of_a_recurrent_layer_are_read_at_every_step(kind: type[nn.RNNBase]) -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = kind(4, 8, batch_first=True), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x)[0][:, -1])

    batch = torch.randn(6, 5, 4), torch.randint(0, 3, (6,))
    recording = trace(Last(), batch, probe_steps=0)
    means = recording[Quantity.GATE_MEAN].values
    assert len(means) == 5 * (3 if kind is nn.LSTM else 2)
    assert all(0.3 < mean < 0.7 for mean in means.values())


def test_a_recurrent_layer_under_a_checkpoint_stays_one_step() -> None:
    """Taken apart, it would keep other tensors than when the checkpoint runs it again."""

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            states, _ = checkpoint(self.rnn, x, use_reentrant=False)
            return self.head(states[:, -1])

    batch = torch.randn(6, 5, 4), torch.randint(0, 3, (6,))
    recording = trace(Last(), batch, probe_steps=0)
    assert recording.gaps
    assert isinstance(VanishingThroughTime().examine(recording), NotMeasured)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("cell", [False, True])
def test_the_activation_inside_a_recurrent_layer_is_read(nonlinearity: str, cell: bool) -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.RNNCell if cell else nn.RNN
            self.layer = layer(4, 16, nonlinearity=nonlinearity)
            self.head = nn.Linear(16, 1)

        def forward(self, x: Tensor) -> Tensor:
            if not cell:
                return self.head(self.layer(x)[0][-1])
            state = x.new_zeros(x.shape[1], 16)
            for step in x:
                state = self.layer(step, state)
            return self.head(state)

    torch.manual_seed(0)
    net = Reader()
    with torch.no_grad():
        for name, bias in net.layer.named_parameters():
            if name.startswith("bias_ih"):
                bias.fill_(6.0 if nonlinearity == "tanh" else -60.0)
    batch = torch.randn(5, 32, 4), torch.randn(32, 1)
    recording = trace(net, batch, F.mse_loss, probe_steps=0)
    quantity = Quantity.SATURATED_FRACTION if nonlinearity == "tanh" else Quantity.DEAD_FRACTION
    shares = [recording[quantity][s] for s in recording.sites if s.op == nonlinearity]
    assert len(shares) == 5
    assert min(shares) > 0.99
