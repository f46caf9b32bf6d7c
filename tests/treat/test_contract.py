"""Every built-in remedy keeps the contract on every network of a small ward that it fits."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from unvanish.core.verdicts import NotApplicable
from unvanish.testing import check_remedy
from unvanish.treat.protocol import Case
from unvanish.treat.registry import remedies
from unvanish.treat.remedies import BUILTIN_REMEDIES
from unvanish.treat.treatment import case_of


class Bed(NamedTuple):
    model: Callable[[], nn.Module]
    batch: Any
    loss: Any = None
    optimizer: Any = None
    autocast: str = ""


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def classes(count: int, among: int) -> torch.Tensor:
    return torch.randint(0, among, (count,), generator=torch.Generator().manual_seed(1))


class Plain(nn.Module):
    def __init__(self, function: Callable[..., torch.Tensor], depth: int = 6) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(12, 12) for _ in range(depth))
        self.head = nn.Linear(12, 5)
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = self.function(layer(x))
        return self.head(x)


class Coded(nn.Module):
    """An autoencoder that gives out its code as well."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(12, 4), nn.Linear(4, 12)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        code = self.encoder(x)
        return self.decoder(code), code


def with_a_prior(output: Any, target: torch.Tensor) -> torch.Tensor:
    answer, code = output
    return F.mse_loss(answer, target) + code.square().sum()


class Recurrent(nn.Module):
    def __init__(self, cell: type[nn.Module], *, batch_first: bool = True) -> None:
        super().__init__()
        self.cell = cell(6, 8, batch_first=batch_first)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out, _ = self.cell(x)
        return self.head(out[:, -1])


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 12)) for _ in range(4)
        )
        self.head = nn.Linear(12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


class Encoder(nn.Module):
    def __init__(self, *, norm_first: bool = False) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x)[:, 0])


class Bare(nn.Module):
    """A transformer without normalisation that does not divide its scores."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.ModuleList(nn.Linear(16, 16) for _ in range(5)) for _ in range(3)
        )
        for block in self.blocks:
            for part in (block[0], block[1]):  # type: ignore[index]
                nn.init.normal_(part.weight)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for q, k, v, o, f in self.blocks:  # type: ignore[misc]
            x = x + o(torch.softmax(q(x) @ k(x).transpose(1, 2), -1) @ v(x))
            x = x + f(x)
        return self.head(x[:, 0])


class Siren(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 32), nn.Linear(32, 32), nn.Linear(32, 32)])
        self.head = nn.Linear(32, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = torch.sin(30.0 * layer(x))
        return self.head(x)


class Scaled(nn.Module):
    """A network whose signal is multiplied by the exponential of what a layer says."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.scale, self.head = nn.Linear(12, 12), nn.Linear(12, 12), nn.Linear(12, 5)
        nn.init.normal_(self.scale.weight, std=2.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.first(x))
        return self.head(h * torch.exp(self.scale(h)))


def zeros() -> nn.Module:
    model = Plain(F.relu, depth=2)
    for layer in model.layers:
        nn.init.zeros_(layer.weight)
    return model


def dead() -> nn.Module:
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU())
    model.append(nn.Linear(16, 5))
    nn.init.constant_(model[2].bias, -30.0)
    return model


def loud() -> nn.Module:
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 5))
    nn.init.normal_(model[2].weight, std=20.0)
    return model


def sequential(activation: type[nn.Module], depth: int = 5) -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(12, 12), activation()]
    return nn.Sequential(*layers, nn.Linear(12, 5))


def convolutional() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(2, 8, 3, padding=1), nn.ReLU()]
    for _ in range(4):
        layers += [nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * 36, 4))


class Signs(nn.Module):
    """A layer whose gradient ends at a sign, and one whose own ends at a round."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(12, 16), nn.Linear(16, 16)
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.sign(self.first(x))
        return self.head((4.0 * self.second(x)).round() / 4.0)


class Shut(nn.Module):
    """Highway layers whose gates are pinned shut by their bias."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(12, 24) for _ in range(3))
        for layer in self.layers:
            nn.init.constant_(layer.bias[12:], -10.0)
        self.head = nn.Linear(12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            change, gate = layer(x).chunk(2, -1)
            x = x + torch.sigmoid(gate) * (torch.tanh(change) - x)
        return self.head(x)


class Fading(nn.Module):
    """Highway layers of sigmoids whose gates hardly carry."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs = nn.Linear(12, 12)
        self.changes = nn.ModuleList(nn.Linear(12, 12) for _ in range(8))
        self.gates = nn.ModuleList(nn.Linear(12, 12) for _ in range(8))
        for gate in self.gates:
            nn.init.constant_(gate.bias, 3.0)
        self.head = nn.Linear(12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.inputs(x)
        for change, gate in zip(self.changes, self.gates, strict=True):
            t = torch.sigmoid(gate(x))
            x = t * torch.sigmoid(change(x)) + (1.0 - t) * x
        return self.head(x)


class Spikes(nn.Module):
    """A layer whose gradient ends at a comparison."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(12, 16), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x)
        return self.head((x > 0.2).to(x.dtype))


class Curved(nn.Module):
    """A second derivative of a ReLU network enters the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(12, 16), nn.Linear(16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            u = self.head(torch.relu(self.body(x)))
            (first,) = torch.autograd.grad(u.sum(), x, create_graph=True)
            (second,) = torch.autograd.grad(
                first.sum(), x, create_graph=True, allow_unused=True, materialize_grads=True
            )
        return u + second[:, :1]


class Mixture(nn.Module):
    """Experts and a router that has chosen for good."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(12, 4)
        nn.init.normal_(self.router.weight, std=60.0)
        self.experts = nn.ModuleList(nn.Linear(12, 5) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        share = torch.softmax(self.router(x), -1)
        return sum(share[:, k, None] * expert(x) for k, expert in enumerate(self.experts))  # type: ignore[return-value]


class Words(nn.Module):
    """One of six words is chosen, and looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.speaker, self.words, self.head = nn.Linear(12, 6), nn.Embedding(6, 8), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.words(self.speaker(x).argmax(-1)))


class Codes(nn.Module):
    """Rows of a codebook take the place of what an encoder made."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.book, self.head = nn.Linear(12, 6), nn.Embedding(9, 6), nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x)
        return self.head(self.book(torch.cdist(x, self.book.weight).argmin(-1)))


class Drawn(nn.Module):
    """A code that is drawn by what an encoder makes, and the size of that beside the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(12, 8), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x)
        return torch.cat([self.head(torch.normal(x, 0.5)), 0.1 * x[:, :1]], 1)


class Angles(nn.Module):
    """Scores that are cosines times 0.07."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.prototypes = nn.Linear(12, 8), nn.Parameter(torch.randn(5, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        cosines = F.linear(F.normalize(self.body(x)), F.normalize(self.prototypes))
        return 0.07 * cosines


class Detached(nn.Module):
    """A body that a line cuts off from its head."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(12, 16), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.body(x))
        return self.head(x.detach())


class Checkpointed(nn.Module):
    """A body in a reentrant checkpoint, fed with data."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(12, 16), nn.ReLU())
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.is_grad_enabled():
            return self.head(self.body(x))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.head(checkpoint(self.body, x, use_reentrant=True))


class Narrow(torch.autograd.Function):
    """A step whose derivative is made up, and too narrow."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return (x > 0.0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return grads[0] / (1.0 + 300.0 * x.abs()) ** 2


def narrow(x: torch.Tensor) -> torch.Tensor:
    return Narrow.apply(x)  # type: ignore[no-any-return, no-untyped-call]


def head_only(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(list(model.parameters())[-2:], lr=1e-3)


def of_sixteen_bits() -> nn.Module:
    model = nn.Sequential(nn.Linear(12, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 5))
    return model.bfloat16()


def small_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return 1e-5 * F.cross_entropy(output.float(), target)


def minimax(output: torch.Tensor, _target: None) -> torch.Tensor:
    return torch.log(1.0 - torch.sigmoid(output) + 1e-12).mean()


ROWS = (numbers(32, 12), classes(32, 5))
SERIES = (numbers(16, 20, 6), classes(16, 3))
TOKENS = (numbers(8, 10, 16), classes(8, 3))
WARD = {
    "relu": Bed(lambda: Plain(F.relu), ROWS, None, adam),
    "sigmoid": Bed(lambda: Plain(torch.sigmoid), ROWS, None, adam),
    "tanh modules": Bed(lambda: sequential(nn.Tanh), ROWS, None, adam),
    "relu modules": Bed(lambda: sequential(nn.ReLU), ROWS, None, adam),
    "deep relu": Bed(lambda: Plain(F.relu, depth=18), ROWS, None, adam),
    "gelu": Bed(lambda: Plain(F.gelu), ROWS, None, adam),
    "convolutions": Bed(convolutional, (numbers(16, 2, 6, 6), classes(16, 4)), None, adam),
    "lstm": Bed(lambda: Recurrent(nn.LSTM), SERIES, None, adam),
    "rnn": Bed(lambda: Recurrent(nn.RNN), SERIES, None, adam),
    "gru": Bed(lambda: Recurrent(nn.GRU), SERIES, None, adam),
    "residual": Bed(Residual, ROWS, None, adam),
    "post-norm": Bed(Encoder, TOKENS, None, adam),
    "pre-norm": Bed(lambda: Encoder(norm_first=True), TOKENS, None, adam),
    "bare transformer": Bed(Bare, TOKENS, None, adam),
    "siren": Bed(Siren, (numbers(64, 2), numbers(64, 1)), None, adam),
    "zeros": Bed(zeros, ROWS, None, adam),
    "dead": Bed(dead, ROWS, None, adam),
    "loud": Bed(loud, ROWS, None, adam),
    "selu": Bed(lambda: sequential(nn.SELU), ROWS, None, adam),
    "with sgd": Bed(
        lambda: Plain(F.relu),
        ROWS,
        None,
        lambda model: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
    ),
    "with decay": Bed(
        lambda: Plain(torch.tanh, depth=1),
        ROWS,
        None,
        lambda model: torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01),
    ),
    "raw": Bed(lambda: Plain(F.relu, depth=2), (40.0 * numbers(32, 12) + 900.0, ROWS[1])),
    "softmax twice": Bed(
        lambda: nn.Sequential(Plain(F.relu, depth=2), nn.Softmax(dim=1)), ROWS, "cross_entropy"
    ),
    "squared error of a sigmoid": Bed(
        lambda: nn.Sequential(Plain(torch.tanh, depth=2), nn.Sigmoid()),
        (ROWS[0], (numbers(32, 5) > 0.0).float()),
        "mse_loss",
    ),
    "generator": Bed(lambda: Plain(F.relu, depth=2), (ROWS[0], None), minimax),
    "float16": Bed(lambda: Plain(F.relu, depth=2), ROWS, small_loss, adam, "float16"),
    "of 16 bits": Bed(of_sixteen_bits, (ROWS[0].bfloat16(), ROWS[1]), "cross_entropy"),
    "signs": Bed(Signs, ROWS, None, adam),
    "shut": Bed(Shut, ROWS, None, adam),
    "fading": Bed(Fading, ROWS, None, adam),
    "spikes": Bed(Spikes, ROWS, None, adam),
    "narrow spikes": Bed(lambda: Plain(narrow, depth=3), ROWS, None, adam),
    "curved": Bed(Curved, (numbers(32, 12), numbers(32, 1)), "mse_loss", adam),
    "routed": Bed(Mixture, ROWS, None, adam),
    "words": Bed(Words, ROWS, None, adam),
    "codes": Bed(Codes, ROWS, None, adam),
    "drawn": Bed(Drawn, ROWS, None, adam),
    "angles": Bed(Angles, ROWS, None, adam),
    "detached": Bed(Detached, ROWS, None, adam),
    "roots of zero": Bed(lambda: Plain(lambda x: F.relu(x).sqrt(), depth=2), ROWS, None, adam),
    "logarithms of zero": Bed(lambda: Plain(lambda x: F.relu(x).log(), depth=1), ROWS, None, adam),
    "scaled": Bed(Scaled, ROWS, None, adam),
    "checkpointed": Bed(Checkpointed, ROWS, None, adam),
    "normalised answer": Bed(
        lambda: nn.Sequential(Plain(torch.tanh, depth=2), nn.LayerNorm(5)),
        (ROWS[0], numbers(32, 5)),
        "mse_loss",
        adam,
    ),
    "dropped": Bed(
        lambda: nn.Sequential(nn.Linear(12, 12), nn.ReLU(), nn.Dropout(0.9), nn.Linear(12, 5)),
        ROWS,
        None,
        adam,
    ),
    "head only": Bed(lambda: Plain(F.relu, depth=4), ROWS, None, head_only),
    "in dollars": Bed(
        lambda: Plain(torch.tanh, depth=2),
        (ROWS[0], 2.5e5 + 8e4 * numbers(32, 5)),
        "mse_loss",
        adam,
    ),
    "a row for a column": Bed(
        lambda: nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 1)),
        (ROWS[0], numbers(32)),
        lambda output, target: (output - target).square().mean(),
        adam,
    ),
    "a decay for a momentum": Bed(
        lambda: nn.Sequential(
            nn.Linear(12, 12), nn.BatchNorm1d(12, momentum=0.9997), nn.ReLU(), nn.Linear(12, 5)
        ),
        ROWS,
        None,
        adam,
    ),
    "batch as time": Bed(lambda: Recurrent(nn.LSTM, batch_first=False), SERIES, None, adam),
    "drowned": Bed(Coded, (ROWS[0], ROWS[0]), with_a_prior, adam),
}


@lru_cache(maxsize=64)
def case_at(name: str) -> Case:
    bed = WARD[name]
    torch.manual_seed(0)
    model = bed.model()
    optimizer = bed.optimizer(model) if bed.optimizer else None
    return case_of(model, bed.batch, bed.loss, optimizer=optimizer, autocast=bed.autocast)


def fitting(remedy: Any) -> list[str]:
    return [n for n in WARD if not isinstance(remedy.assess(case_at(n)), NotApplicable)]


@pytest.mark.parametrize("remedy", BUILTIN_REMEDIES, ids=lambda remedy: remedy.name)
def test_a_remedy_keeps_the_contract(remedy: Any) -> None:
    names = fitting(remedy)
    if not names and "pip install" in (lacks := remedy.assess(case_at("with decay")).reason):
        pytest.skip(lacks)
    assert names, f"no bed of the ward fits {remedy.name}; add one"
    for name in names[:3]:
        bed = WARD[name]
        check_remedy(
            remedy,
            bed.model,
            bed.batch,
            bed.loss,
            optimizer=bed.optimizer,
            autocast=bed.autocast,
        )


@pytest.mark.parametrize("remedy", BUILTIN_REMEDIES, ids=lambda remedy: remedy.name)
def test_a_remedy_refuses_what_it_does_not_fit_with_a_reason(remedy: Any) -> None:
    for name in WARD:
        said = remedy.assess(case_at(name))
        if isinstance(said, NotApplicable):
            assert len(said.reason) > 10
            assert not said.reason.endswith(".")


def test_the_names_that_remedies_speak_of_exist() -> None:
    names = {remedy.name for remedy in remedies()}
    for remedy in remedies():
        assert remedy.after <= names, f"{remedy.name} comes after {remedy.after - names}"
        assert remedy.excludes <= names, f"{remedy.name} excludes {remedy.excludes - names}"
        assert remedy.name not in remedy.excludes


def test_a_broken_promise_is_noticed() -> None:
    class Liar(type(BUILTIN_REMEDIES[0])):  # type: ignore[misc]
        """Says that it keeps the weights, and does not."""

        keeps = frozenset()

    with pytest.raises(AssertionError, match="headings"):
        check_remedy(Liar(), WARD["relu"].model, ROWS)
