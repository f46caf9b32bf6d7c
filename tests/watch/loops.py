"""Training loops as people write them, each run with and without a watch."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

Loop = Callable[["Trail"], None]


@dataclass
class Trail:
    """What a loop leaves behind, to be compared bit for bit.

    Attributes:
        watching: Given the models and optimisers, what the loop runs inside of.
    """

    watching: Callable[[Any, Any], AbstractContextManager[Any]]
    numbers: list[Any] = field(default_factory=list)

    def note(self, *values: Any) -> None:
        """Keep copies of numbers and tensors."""
        self.numbers += [v.detach().clone() if isinstance(v, Tensor) else v for v in values]

    def note_all(self, model: nn.Module) -> None:
        """Keep everything of a model that somebody could notice."""
        for name, value in (*model.named_parameters(), *model.named_buffers()):
            self.note(name, value)
            self.note(value.requires_grad, value.grad)
            self.note(sorted(vars(value)), value._backward_hooks)
        for module in model.modules():
            hooks = (getattr(module, name) for name in dir(module) if name.endswith("_hooks"))
            self.note(*(len(each) for each in hooks if isinstance(each, dict)))
            self.note(sorted(vars(module)), module.training)

    def note_generators(self) -> None:
        """Keep the state of all random numbers."""
        self.note(torch.get_rng_state(), random.getstate(), str(np.random.get_state()))


def batches(steps: int, *shape: int) -> list[Tensor]:
    """Make inputs that do not depend on the global generator."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(*shape, generator=generator) for _ in range(steps)]


def plain(trail: Trail, steps: int = 20) -> None:
    """The loop of every tutorial, with dropout, batch normalisation and in-place ReLUs."""
    model = nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(inplace=True), nn.Dropout(0.3),
        nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with trail.watching(model, optimizer):
        for x in batches(steps, 12, 6):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), (x[:, 0] > 0).long())
            loss.backward()
            optimizer.step()
            trail.note(loss)
    trail.note_all(model)


def functional(trail: Trail) -> None:
    """Activations as functions, in place and in a loop; clipping; a schedule."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(4))

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = torch.sigmoid(layer(x)) + F.relu(x, inplace=False)
            return F.gelu(x).relu_().tanh()

    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
    with trail.watching(model, optimizer):
        for x in batches(20, 10, 8):
            optimizer.zero_grad(set_to_none=False)
            loss = (model(x) - x).square().mean()
            loss.backward()
            trail.note(torch.nn.utils.clip_grad_norm_(model.parameters(), 0.05))
            optimizer.step()
            schedule.step()
            trail.note(loss)
    trail.note_all(model)


def accumulated(trail: Trail) -> None:
    """Three micro-batches a step, of a convolutional network in channels-last layout."""
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU6(inplace=True),
        nn.Conv2d(8, 8, 3), nn.SiLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 2),
    ).to(memory_format=torch.channels_last)  # fmt: skip
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    with trail.watching(model, optimizer):
        for x in batches(12, 6, 3, 8, 8):
            for part in x.chunk(3):
                loss = model(part.to(memory_format=torch.channels_last)).square().mean() / 3
                loss.backward()
                trail.note(loss)
            optimizer.step()
            optimizer.zero_grad()
    trail.note_all(model)


def bfloat16(trail: Trail) -> None:
    """Autocast to bfloat16."""
    model = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 8))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    with trail.watching(model, optimizer):
        for x in batches(12, 10, 8):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = (model(x) - x).square().mean()
            loss.backward()
            optimizer.step()
            trail.note(loss)
    trail.note_all(model)


def scaled(trail: Trail) -> None:
    """float16 with a gradient scaler that overflows at first and leaves steps out; clipping."""
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40, growth_interval=3)
    with trail.watching(model, optimizer):
        for x in batches(30, 10, 8):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                loss = (model(x) - x).square().mean()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            scaler.step(optimizer)
            scaler.update()
            trail.note(loss, scaler.get_scale())
    trail.note_all(model)


def adversaries(trail: Trail) -> None:
    """A generator and a discriminator, two optimisers, a gradient penalty."""
    generator = nn.Sequential(nn.Linear(4, 16), nn.LeakyReLU(0.2), nn.Linear(16, 6), nn.Tanh())
    critic = nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    first = torch.optim.Adam(critic.parameters(), lr=1e-3)
    second = torch.optim.Adam(generator.parameters(), lr=1e-3)
    with trail.watching([generator, critic], [second, first]):
        for real, noise in zip(batches(12, 8, 6), batches(12, 8, 4), strict=True):
            first.zero_grad()
            fake = generator(noise)
            mixed = (0.5 * real + 0.5 * fake.detach()).requires_grad_()
            (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
            loss = critic(fake.detach()).mean() - critic(real).mean() + slope.square().mean()
            loss.backward()
            first.step()
            second.zero_grad()
            game = -critic(fake).mean()
            game.backward()
            second.step()
            trail.note(loss, game)
    trail.note_all(generator)
    trail.note_all(critic)


def checkpointed(trail: Trail, *, reentrant: bool = False) -> None:
    """Blocks that are computed again in the backward pass, with dropout in them."""
    from torch.utils.checkpoint import checkpoint

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(
                nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace=True), nn.Dropout(0.2))
                for _ in range(3)
            )
            self.head = nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = x.requires_grad_()
            for block in self.blocks:
                x = checkpoint(block, x, use_reentrant=reentrant)
            return self.head(x)

    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with trail.watching(model, optimizer):
        for x in batches(10, 10, 8):
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            trail.note(loss)
    trail.note_all(model)


def checkpointed_reentrant(trail: Trail) -> None:
    """The older kind of checkpoint."""
    checkpointed(trail, reentrant=True)


def closures(trail: Trail) -> None:
    """L-BFGS, which calls the model many times a step."""
    model = nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), nn.Linear(8, 1))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=5)
    with trail.watching(model, optimizer):
        for x in batches(6, 16, 4):

            def closure(x: Tensor = x) -> Tensor:
                optimizer.zero_grad()
                loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
                loss.backward()
                return loss

            trail.note(optimizer.step(closure))
    trail.note_all(model)


def frozen_encoder(trail: Trail) -> None:
    """A frozen transformer in evaluation mode, whose fast path rounds in another way."""
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2
    ).eval()
    encoder.requires_grad_(False)
    model = nn.Sequential(encoder, nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model[1:].parameters(), lr=1e-2)
    with trail.watching(model, optimizer):
        for x in batches(8, 4, 5, 16):
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            trail.note(loss)
    trail.note_all(model)


def language_model(trail: Trail) -> None:
    """Tied embeddings, attention, validation and a copy of the model in the middle of the run."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(11, 16)
            self.body = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)
            self.head = nn.Linear(16, 11, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, tokens: Tensor) -> Tensor:
            return self.head(self.body(self.embed(tokens)))

    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    tokens = [(x * 3).long() % 11 for x in batches(10, 6, 7)]
    with trail.watching(model, optimizer):
        for each in tokens:
            loss = F.cross_entropy(model(each).transpose(1, 2), each)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            model.eval()
            with torch.no_grad():
                trail.note(loss, model(each))
            twin = copy.deepcopy(model)
            trail.note(*(len(m._forward_hooks) for m in twin.modules()))
            model.train()
    trail.note_all(model)


def recurrent(trail: Trail) -> None:
    """An LSTM, and a graph that is kept over two steps."""
    model = nn.LSTM(5, 8, batch_first=True)
    head = nn.Linear(8, 1)
    optimizer = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=0.1)
    with trail.watching([model, head], optimizer):
        for x in batches(8, 4, 6, 5):
            loss = head(model(x)[0][:, -1]).square().mean()
            optimizer.zero_grad()
            loss.backward(retain_graph=True)
            (0.5 * loss).backward()
            optimizer.step()
            trail.note(loss)
    trail.note_all(model)


def sparse(trail: Trail) -> None:
    """Embeddings with sparse gradients."""
    model = nn.Sequential(nn.Embedding(50, 8, sparse=True), nn.Flatten(), nn.Linear(24, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with trail.watching(model, optimizer):
        for x in batches(8, 6, 3):
            optimizer.zero_grad()
            loss = model((x.abs() * 10).long() % 50).square().mean()
            loss.backward()
            optimizer.step()
            trail.note(loss)
    trail.note_all(model)


LOOPS: dict[str, Loop] = {
    loop.__name__: loop
    for loop in (
        plain, functional, accumulated, bfloat16, scaled, adversaries, checkpointed,
        checkpointed_reentrant, closures, frozen_encoder, language_model, recurrent, sparse,
    )
}  # fmt: skip


def run(loop: Loop, watching: Callable[[Any, Any], AbstractContextManager[Any]]) -> list[Any]:
    """Run a loop from fixed seeds and return what it left behind."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    trail = Trail(watching)
    loop(trail)
    trail.note_generators()
    return trail.numbers


def is_same(a: Any, b: Any) -> bool:
    """Tell whether two things are equal to the last bit."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.layout is torch.sparse_coo:
            a, b = a.coalesce(), b.coalesce()
            return is_same(a.indices(), b.indices()) and is_same(a.values(), b.values())
        if a.dtype != b.dtype or a.shape != b.shape or a.stride() != b.stride():
            return False
        a, b = (t.contiguous().view(-1).view(torch.uint8) for t in (a, b))
        return torch.equal(a, b)
    return bool(a == b)
