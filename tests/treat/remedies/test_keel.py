"""Keel: the equation of a layer, what stays of it, and what it does to a deep stack."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish.core.verdicts import NotApplicable
from unvanish.testing import check_remedy
from unvanish.treat.registry import remedy_of
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.treatment import case_of, treat

WIDTH, STEPS = 8, 5


class Block(nn.Module):
    """A post-norm block with layers of its own, or `nn.MultiheadAttention`."""

    def __init__(self, *, module: bool) -> None:
        super().__init__()
        self.module = module
        if module:
            self.attend = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        else:
            self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
            self.value = nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 16), nn.Linear(16, WIDTH)
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def mixed(self, x: Tensor) -> Tensor:
        if self.module:
            return self.attend(x, x, x, need_weights=False)[0]
        scores = self.query(x) @ self.key(x).transpose(1, 2) / WIDTH**0.5
        return scores.softmax(-1) @ self.value(x)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x + self.mixed(x))
        return self.second(x + self.narrow(torch.relu(self.wide(x))))


def model(depth: int = 3, *, module: bool = True) -> nn.Module:
    torch.manual_seed(0)
    blocks = [Block(module=module) for _ in range(depth)]
    return nn.Sequential(nn.Linear(3, WIDTH), *blocks, nn.Flatten(), nn.Linear(WIDTH * STEPS, 3))


def encoder(depth: int = 3, *, norm_first: bool = False) -> nn.Module:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        WIDTH, 2, 16, dropout=0.0, batch_first=True, norm_first=norm_first
    )
    stack = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
    return nn.Sequential(nn.Linear(3, WIDTH), stack, nn.Flatten(), nn.Linear(WIDTH * STEPS, 3))


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(4, STEPS, 3, generator=generator), torch.tensor([0, 1, 2, 0])


@pytest.mark.parametrize("module", [True, False])
def test_a_layer_is_what_the_paper_says(module: bool) -> None:
    plain = model(module=module)
    treated = treat(plain, "keel", batch()).model
    x = plain[0](batch()[0])
    for block in plain[1:4]:
        x = F.layer_norm(6.0 * x + block.mixed(F.layer_norm(x, (WIDTH,))), (WIDTH,))
        inner = F.layer_norm(x, (WIDTH,))
        x = F.layer_norm(6.0 * x + block.narrow(torch.relu(block.wide(inner))), (WIDTH,))
    expected = plain[5](plain[4](x))
    torch.testing.assert_close(treated(batch()[0]), expected)
    with torch.no_grad():
        torch.testing.assert_close(treated.eval()(batch()[0]), expected)


def test_layers_of_pytorch_are_treated_in_every_mode() -> None:
    plain = encoder()
    treated = treat(plain, "keel", batch()).model
    x = plain[0](batch()[0])
    for layer in plain[1].layers:
        inner = F.layer_norm(x, (WIDTH,))
        x = layer.norm1(6.0 * x + layer.self_attn(inner, inner, inner, need_weights=False)[0])
        inner = layer.linear1(F.layer_norm(x, (WIDTH,)))
        x = layer.norm2(6.0 * x + layer.linear2(torch.relu(inner)))
    expected = plain[3](plain[2](x))
    torch.testing.assert_close(treated(batch()[0]), expected)
    with torch.no_grad():
        torch.testing.assert_close(treated.eval()(batch()[0]), expected)


def test_queries_keys_and_values_share_one_norm() -> None:
    plain = model(module=False)
    treated = treat(plain, "keel", batch()).model
    norms = [getattr(treated[1], name).keel_norm for name in ("query", "key", "value")]
    assert norms[0].weight is norms[1].weight is norms[2].weight
    added = [n for n, _ in treated.named_parameters() if "keel" in n]
    assert len(added) == 2 * 2 * 3


def test_what_is_added_to_the_data_stays_as_it_is() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(*[Block(module=True) for _ in range(2)], nn.Flatten(), nn.Linear(40, 3))
    x = torch.randn(4, STEPS, WIDTH)
    treated = treat(plain, "keel", (x, batch()[1]))
    assert treated.prescriptions[0].settings == {"alpha": 3.0}
    first = plain[0]
    y = first.first(x + first.mixed(x))
    inner = F.layer_norm(y, (WIDTH,))
    y = first.second(3.0 * y + first.narrow(torch.relu(first.wide(inner))))
    torch.testing.assert_close(treated.model[0](x), y)


def test_contract() -> None:
    unfit = [(encoder(norm_first=True), batch())]
    check_remedy(remedy_of("keel"), model, batch(), unfit=unfit)


def test_a_shared_block_is_refused() -> None:
    block = Block(module=True)
    shared = nn.Sequential(nn.Linear(3, WIDTH), block, block, nn.Flatten(), nn.Linear(40, 3))
    said = remedy_of("keel").assess(case_of(shared, batch()))
    assert isinstance(said, NotApplicable)
    with pytest.raises(CannotTreatError, match="cannot be combined"):
        treat(model(), ["keel", "deep-norm"], batch())


def test_the_gradient_of_the_stream_keeps_its_size() -> None:
    """Against that of the last block, at the first of 24: far less is lost than in post-norm."""

    def kept(network: nn.Module) -> float:
        x = network[0](torch.randn(4, STEPS, 3, generator=torch.Generator().manual_seed(2)))
        streams = [x]
        for block in network[1:-2]:
            streams.append(block(streams[-1]))
        signs = torch.randn(streams[-1].shape, generator=torch.Generator().manual_seed(3))
        first, last = torch.autograd.grad((streams[-1] * signs).sum(), [streams[1], streams[-2]])
        return float(first.norm() / last.norm())

    plain = model(24)
    treated = treat(plain, "keel", batch()).model
    assert kept(plain) < 0.5
    assert kept(treated) == pytest.approx(1.0, abs=0.1)
