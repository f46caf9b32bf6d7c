"""Training runs with nothing wrong about them, as `benchmarks.runs` watches them.

Each is an ordinary loop on ordinary data that learns what it should. Whatever a rule says of one
of them is a false alarm, but for the notes that are named beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.zoo.data import friedman, training_digits

Watching = Callable[[Any, Any], AbstractContextManager[Any]]
"""Given models and optimisers, what a loop runs inside of."""

Loop = Callable[[Watching], None]


def mlp(
    *widths: int, activation: Callable[[], nn.Module] = nn.ReLU, normal: bool = False
) -> nn.Sequential:
    """Build layers of these widths with an activation behind all but the last."""
    parts: list[nn.Module] = []
    for at, (fan_in, fan_out) in enumerate(pairwise(widths)):
        parts.append(nn.Linear(fan_in, fan_out))
        if at < len(widths) - 2:
            parts += [nn.BatchNorm1d(fan_out)] if normal else []
            parts.append(activation())
    return nn.Sequential(*parts)


def digit_batches(steps: int, size: int, *shape: int) -> Iterable[tuple[int, Tensor, Tensor]]:
    """Yield step, images and labels of random batches."""
    images, labels = training_digits(*shape)
    for step in range(steps):
        rows = torch.randint(len(images), (size,))
        yield step, images[rows], labels[rows]


def learn(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Take one ordinary step."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all groups."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def mlp_sgd(watching: Watching) -> None:
    """Digits, an MLP, SGD with momentum."""
    model = mlp(64, 128, 128, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    with watching(model, optimizer):
        for _, x, y in digit_batches(600, 64):
            learn(optimizer, F.cross_entropy(model(x), y))


def mlp_adam(watching: Watching) -> None:
    """Digits, a deeper MLP, Adam."""
    model = mlp(64, 128, 128, 128, 128, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with watching(model, optimizer):
        for _, x, y in digit_batches(800, 64):
            learn(optimizer, F.cross_entropy(model(x), y))


def mlp_adamw_cosine(watching: Watching) -> None:
    """Digits, dropout, AdamW, 40 steps of warm-up, and a cosine down to zero."""
    model = nn.Sequential(*mlp(64, 128, 128, activation=nn.GELU), nn.Dropout(0.3), mlp(128, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)
    with watching(model, optimizer):
        for step, x, y in digit_batches(600, 64):
            cosine = 0.5 * (1.0 + math.cos(math.pi * step / 600))
            set_rate(optimizer, 3e-3 * min(1.0, (step + 1) / 40) * cosine)
            learn(optimizer, F.cross_entropy(model(x), y))


def mlp_short(watching: Watching) -> None:
    """The same in 80 steps: a run that ends while the loss still falls."""
    model = mlp(64, 64, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with watching(model, optimizer):
        for _, x, y in digit_batches(80, 32):
            learn(optimizer, F.cross_entropy(model(x), y))


def restarts(watching: Watching) -> None:
    """A learning rate that restarts every 150 steps, a hundred times above where it was."""
    model = mlp(64, 96, 96, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 150, eta_min=1e-3)
    with watching(model, optimizer):
        for _, x, y in digit_batches(750, 64):
            learn(optimizer, F.cross_entropy(model(x), y))
            schedule.step()


def converged(watching: Watching) -> None:
    """Full batches of 100 digits, ten times as long as it takes to learn them by heart."""
    images, labels = (each[:100] for each in training_digits())
    model = mlp(64, 64, 64, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    with watching(model, optimizer):
        for _ in range(2000):
            learn(optimizer, F.cross_entropy(model(images), labels))


def regression_to_noise(watching: Watching) -> None:
    """A regression whose targets are half noise: the loss soon stands at its floor."""
    x, y = friedman(1000, 0)
    y = (y - y.mean()) / y.std() + torch.randn(y.shape)
    model = mlp(x.shape[1], 64, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-3)
    with watching(model, optimizer):
        for _ in range(800):
            rows = torch.randint(len(x), (32,))
            learn(optimizer, F.mse_loss(model(x[rows]).reshape(-1), y[rows].reshape(-1)))


def tiny_batches(watching: Watching) -> None:
    """Batches of one sample."""
    model = mlp(64, 64, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with watching(model, optimizer):
        for _, x, y in digit_batches(2000, 1):
            learn(optimizer, F.cross_entropy(model(x), y))


def tanh_full_batch(watching: Watching) -> None:
    """Tanh layers and full-batch gradient descent at the edge of stability."""
    images, labels = (each[:200] for each in training_digits())
    model = mlp(64, 64, 64, 10, activation=nn.Tanh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.7)
    target = F.one_hot(labels, 10).float()
    with watching(model, optimizer):
        for _ in range(600):
            learn(optimizer, F.mse_loss(model(images), target))


def tanh_adam(watching: Watching) -> None:
    """Tanh layers, trained with Adam until every digit is known by heart."""
    model = mlp(64, 96, 96, 96, 10, activation=nn.Tanh)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    with watching(model, optimizer):
        for _, x, y in digit_batches(800, 64):
            learn(optimizer, F.cross_entropy(model(x), y))


def sigmoid_norm(watching: Watching) -> None:
    """Sigmoid layers behind batch normalisation."""
    model = mlp(64, 64, 64, 10, activation=nn.Sigmoid, normal=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with watching(model, optimizer):
        for _, x, y in digit_batches(500, 64):
            learn(optimizer, F.cross_entropy(model(x), y))


def cnn_batch_norm(watching: Watching) -> None:
    """A convolutional network with batch normalisation, SGD, a cosine."""
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        nn.Conv2d(16, 32, 3, padding=1, stride=2, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 400)
    with watching(model, optimizer):
        for _, x, y in digit_batches(400, 32, 1, 8, 8):
            learn(optimizer, F.cross_entropy(model(x), y))
            schedule.step()


class ZeroBlock(nn.Module):
    """A residual branch whose last layer starts at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.last = nn.Linear(width, width)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch."""
        hidden: Tensor = self.last(F.relu(self.first(x)))
        return x + hidden


def zero_residual(watching: Watching) -> None:
    """Residual branches that start at zero, so that their first layers get no gradient at first."""
    model = nn.Sequential(nn.Linear(64, 64), *(ZeroBlock(64) for _ in range(6)), nn.Linear(64, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    with watching(model, optimizer):
        for _, x, y in digit_batches(500, 64):
            learn(optimizer, F.cross_entropy(model(x), y))


class Recurrent(nn.Module):
    """An LSTM over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(8, 48, batch_first=True)
        self.head = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Classify by the last state."""
        logits: Tensor = self.head(self.cell(x)[0][:, -1])
        return logits


def lstm(watching: Watching) -> None:
    """An LSTM that reads digits row by row, clipped at 1."""
    model = Recurrent()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    with watching(model, optimizer):
        for _, x, y in digit_batches(500, 64, 8, 8):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()


class CharacterModel(nn.Module):
    """A small transformer over characters, with tied embeddings."""

    def __init__(self, vocabulary: int, width: int = 48, context: int = 24) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(context, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, 4, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(2)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight
        nn.init.normal_(self.tokens.weight, std=0.02)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(context))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of the next characters."""
        x = self.tokens(tokens) + self.places.weight
        for layer in self.layers:
            x = layer(x, src_mask=self.mask)
        logits: Tensor = self.head(self.norm(x))
        return logits


def text() -> Tensor:
    """Return sums of small numbers in words, as numbers of characters."""
    words = "".join(f"{a} plus {b} is {a + b}. " for a in range(30) for b in range(30))
    known = sorted(set(words))
    return torch.tensor([known.index(each) for each in words])


def gpt(watching: Watching) -> None:
    """A small GPT: warm-up, cosine, accumulation, clipping, bfloat16, tied embeddings."""
    data = text()
    model = CharacterModel(int(data.max()) + 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)
    with watching(model, optimizer):
        for step in range(120):
            cosine = 0.5 * (1.0 + math.cos(math.pi * step / 120))
            set_rate(optimizer, 1e-2 * min(1.0, (step + 1) / 20) * cosine)
            optimizer.zero_grad()
            for _ in range(2):
                starts = torch.randint(len(data) - 25, (8,))
                rows = torch.stack([data[at : at + 25] for at in starts])
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    logits = model(rows[:, :-1])
                    loss = F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten()) / 2
                loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()


def gan(watching: Watching) -> None:
    """A GAN on digits."""
    maker = mlp(16, 96, 96, 64, activation=nn.ReLU, normal=True)
    judge = mlp(64, 96, 48, 1, activation=lambda: nn.LeakyReLU(0.2))
    to_make = torch.optim.Adam(maker.parameters(), lr=3e-4, betas=(0.5, 0.999))
    to_judge = torch.optim.Adam(judge.parameters(), lr=3e-4, betas=(0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(64, 1), torch.zeros(64, 1)
    with watching({"maker": maker, "judge": judge}, [to_judge, to_make]):
        for _, x, _ in digit_batches(400, 64):
            made = torch.sigmoid(maker(torch.randn(64, 16)))
            learn(to_judge, criterion(judge(x), ones) + criterion(judge(made.detach()), zeros))
            learn(to_make, criterion(judge(made), ones))


class Autoencoder(nn.Module):
    """A variational autoencoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = mlp(64, 96, 16)
        self.decoder = mlp(8, 96, 64)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, means and log variances."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.decoder(code), mean, log_variance


def vae(watching: Watching) -> None:
    """A VAE on digits."""
    model = Autoencoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    with watching(model, optimizer):
        for _, x, _ in digit_batches(600, 64):
            logits, mean, log_variance = model(x)
            likely = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
            prior = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(1)
            learn(optimizer, (likely + prior).mean())


def fine_tuning(watching: Watching) -> None:
    """All but the last two layers frozen, of a network that has learned the task."""
    model = mlp(64, 128, 128, 64, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _, x, y in digit_batches(200, 64):
        learn(optimizer, F.cross_entropy(model(x), y % 5))
    model[-1] = nn.Linear(64, 10)
    for layer in model[:4]:
        layer.requires_grad_(False)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    with watching(model, optimizer):
        for _, x, y in digit_batches(400, 64):
            learn(optimizer, F.cross_entropy(model(x), y))


def float16_scaler(watching: Watching) -> None:
    """Autocast to float16 with a loss scaler."""
    model = mlp(64, 96, 96, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", growth_interval=50)
    with watching(model, optimizer):
        for _, x, y in digit_batches(400, 64):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                loss = F.cross_entropy(model(x).float(), y)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            scaler.step(optimizer)
            scaler.update()


def embeddings(watching: Watching) -> None:
    """A bag of words: rare words, sparse gradients, a sigmoid at the end."""
    truth = torch.randn(2000) * (torch.rand(2000) < 0.3)
    model = nn.Sequential(nn.EmbeddingBag(2000, 32), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    with watching(model, optimizer):
        for _ in range(600):
            words = (torch.rand(64, 20).square() * 2000).long()
            label = (truth[words].sum(1, keepdim=True) > 0).float()
            learn(optimizer, F.binary_cross_entropy_with_logits(model(words), label))


def survived_spike(watching: Watching) -> None:
    """One step a hundred times too long, from which the network comes back at once."""
    model = mlp(64, 128, 128, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with watching(model, optimizer):
        for step, x, y in digit_batches(700, 64):
            set_rate(optimizer, 0.1 if step == 317 else 1e-3)
            learn(optimizer, F.cross_entropy(model(x), y))


def balanced(state: Tensor, push: Tensor) -> tuple[Tensor, bool]:
    """Move a cart with a pole on it for a fiftieth of a second.

    Args:
        state: (4,): place and speed of the cart, angle and angular speed of the pole.
        push: 0 to the left, 1 to the right, with 10 N.

    Returns:
        The next state, and whether the pole has fallen or the cart left its track (Barto, Sutton
        and Anderson 1983).
    """
    x, v, angle, spin = state.tolist()
    force, sine, cosine = 20.0 * float(push) - 10.0, math.sin(angle), math.cos(angle)
    part = (force + 0.05 * spin**2 * sine) / 1.1
    turn = (9.8 * sine - cosine * part) / (0.5 * (4.0 / 3.0 - 0.1 * cosine**2 / 1.1))
    pull = part - 0.05 * turn * cosine / 1.1
    moved = (x + 0.02 * v, v + 0.02 * pull, angle + 0.02 * spin, spin + 0.02 * turn)
    return torch.tensor(moved), abs(moved[0]) > 2.4 or abs(moved[2]) > 0.21


def q_learning(watching: Watching) -> None:
    """Q-learning of a pole on a cart: replay, a target network, one step after each push."""
    model, target = mlp(4, 64, 64, 2), mlp(4, 64, 64, 2)
    target.load_state_dict(model.state_dict())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    states, following = torch.zeros(2500, 4), torch.zeros(2500, 4)
    pushes, fallen = torch.zeros(2500, dtype=torch.int64), torch.zeros(2500)
    state = 0.1 * torch.rand(4) - 0.05
    with watching(model, optimizer):
        for step in range(2500):
            with torch.no_grad():
                push = model(state).argmax()
            if torch.rand(()) < max(0.05, 1.0 - step / 1000):
                push = torch.randint(2, ())
            states[step], pushes[step] = state, push
            state, is_fallen = balanced(state, push)
            following[step], fallen[step] = state, float(is_fallen)
            if is_fallen:
                state = 0.1 * torch.rand(4) - 0.05
            rows = torch.randint(step + 1, (64,))
            with torch.no_grad():
                worth = 1.0 + 0.99 * (1.0 - fallen[rows]) * target(following[rows]).amax(1)
            given = model(states[rows]).gather(1, pushes[rows, None]).squeeze(1)
            learn(optimizer, F.smooth_l1_loss(given, worth))
            if step % 200 == 199:
                target.load_state_dict(model.state_dict())


HEALTHY: tuple[Loop, ...] = (
    mlp_sgd, mlp_adam, mlp_adamw_cosine, mlp_short, restarts, converged, regression_to_noise,
    tiny_batches, tanh_full_batch, tanh_adam, sigmoid_norm, cnn_batch_norm, zero_residual, lstm,
    gpt, gan, vae,
    fine_tuning, float16_scaler, embeddings, survived_spike, q_learning,
)  # fmt: skip

NOTES = {
    "survived_spike": frozenset({"UV603", "UV611"}),
    "vae": frozenset({"UV604"}),  # every other unit of its encoder does fall silent for good
}
"""What may be noted, and no more than noted, of a run that is none the worse for it."""
