"""Training runs that are sick from a step that is known, as `benchmarks.runs` watches them.

Each does to an ordinary loop what people do to theirs by mistake: a schedule with a slip of the
pen, a batch that was not scaled, weights in bfloat16, labels that no longer belong to the images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.runs_healthy import Watching, digit_batches, learn, mlp, set_rate
from unvanish.zoo.data import training_digits

ONSET = 317
"""The step at which most of them fall ill; none of the usual cadences samples it."""


@dataclass(frozen=True, kw_only=True)
class Sick:
    """One sick run, and what is known of it.

    Attributes:
        loop: The run.
        code: The rule that has to speak.
        step: Where it begins.
        gradual: Steps that the sickness itself takes to show.
    """

    loop: Callable[[Watching], None]
    code: str
    step: int = ONSET
    gradual: int = 0

    @property
    def name(self) -> str:
        """Name of the loop."""
        return self.loop.__name__


def adam(model: nn.Module, rate: float = 1e-3) -> torch.optim.Optimizer:
    """Return an ordinary optimiser."""
    return torch.optim.Adam(model.parameters(), lr=rate)


# --- UV601, UV602: what no longer moves, and what no gradient reaches ------------------


def bfloat16_weights(watching: Watching) -> None:
    """Weights in bfloat16 with steps below their rounding."""
    model = mlp(64, 64, 64, 10).to(torch.bfloat16)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-7)
    with watching(model, optimizer):
        for _, x, y in digit_batches(400, 64):
            learn(optimizer, F.cross_entropy(model(x.to(torch.bfloat16)).float(), y))


def zeroed_gradient(watching: Watching) -> None:
    """From one step on a mask sets the gradients of the first layers to zero."""
    model = mlp(64, 96, 96, 96, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    with watching(model, optimizer):
        for step, x, y in digit_batches(700, 64):
            optimizer.zero_grad()
            h = model[:4](x)
            (F.cross_entropy(model[4:](h * 0.0 if step >= ONSET else h), y)).backward()
            optimizer.step()


def deep_sigmoid(watching: Watching) -> None:
    """Nine sigmoid layers, from the start."""
    model = mlp(64, *[48] * 9, 10, activation=nn.Sigmoid)
    optimizer = adam(model)
    with watching(model, optimizer):
        for _, x, y in digit_batches(400, 64):
            learn(optimizer, F.cross_entropy(model(x), y))


def choked_gradient(watching: Watching) -> None:
    """From one step on hardly any gradient passes the middle of the network."""
    model = mlp(64, 96, 96, 96, 96, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    with watching(model, optimizer):
        for step, x, y in digit_batches(700, 64):
            h = model[:4](x)
            if step >= ONSET:
                h.register_hook(lambda gradient: gradient * 1e-5)
            learn(optimizer, F.cross_entropy(model[4:](h), y))


# --- UV603: what explodes -----------------------------------------------------------------


def not_a_number(watching: Watching) -> None:
    """From one step on the loss takes the logarithm of zero."""
    model = mlp(64, 96, 10)
    optimizer = adam(model)
    with watching(model, optimizer):
        for step, x, y in digit_batches(600, 64):
            likely = model(x).softmax(1).gather(1, y[:, None]).squeeze(1)
            learn(optimizer, -(likely * (0.0 if step >= ONSET else 1.0)).log().mean())


def growing_weights(watching: Watching) -> None:
    """From one step on the gradient is added where it should be taken off."""
    model = mlp(64, 64, 64, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    with watching(model, optimizer):
        for step, x, y in digit_batches(600, 64):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            for parameter in model.parameters() if step >= ONSET else ():
                parameter.grad = -parameter.grad
            optimizer.step()


# --- UV604, UV605: units that die or saturate ------------------------------------------------


def pushed_down(watching: Watching) -> None:
    """From one step on a penalty on activations is a thousand times too strong: ReLUs die."""
    model = mlp(64, 96, 96, 10)
    optimizer = adam(model)
    with watching(model, optimizer):
        for step, x, y in digit_batches(900, 64):
            h = model[:2](x)
            g = model[2:4](h)
            penalty = (h.mean() + g.mean()) * (1e-3 if step < ONSET else 30.0)
            learn(optimizer, F.cross_entropy(model[4](g), y) + penalty)


def unscaled_inputs(watching: Watching) -> None:
    """From one step on images come with pixels up to 255 in place of 1, into tanh layers."""
    model = mlp(64, 64, 64, 64, 10, activation=nn.Tanh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with watching(model, optimizer):
        for step, x, y in digit_batches(800, 64):
            learn(optimizer, F.cross_entropy(model(x * (255.0 if step >= ONSET else 1.0)), y))


def saturating(watching: Watching) -> None:
    """A tanh network whose learning rate is far too large from one step on."""
    model = mlp(64, 64, 64, 10, activation=nn.Tanh)
    optimizer = adam(model)
    with watching(model, optimizer):
        for step, x, y in digit_batches(800, 64):
            set_rate(optimizer, 0.5 if step >= ONSET else 1e-3)
            learn(optimizer, F.cross_entropy(model(x), y))


# --- UV606, UV607, UV608: nothing is learned, or no longer ---------------------------------------


def random_labels(watching: Watching) -> None:
    """Labels that were drawn at random, anew for each batch."""
    model = mlp(64, 64, 64, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    with watching(model, optimizer):
        for _, x, _ in digit_batches(800, 32):
            learn(optimizer, F.cross_entropy(model(x), torch.randint(10, (len(x),))))


def shuffled_labels(watching: Watching) -> None:
    """From one step on labels no longer belong to the images."""
    model = mlp(64, 96, 96, 10)
    optimizer = adam(model)
    with watching(model, optimizer):
        for step, x, y in digit_batches(800, 64):
            y = y[torch.randperm(len(y))] if step >= ONSET else y
            learn(optimizer, F.cross_entropy(model(x), y))


def swinging(watching: Watching) -> None:
    """Full batches of a linear regression, with steps at which the steepest direction swings."""
    x = torch.randn(200, 8) * torch.tensor([3.0] + [0.3] * 7)
    y = x @ torch.ones(8, 1)
    model = nn.Linear(8, 1, bias=False)
    steepest = float(torch.linalg.eigvalsh(2 * x.T @ x / len(x))[-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0 / steepest)
    with watching(model, optimizer):
        for _ in range(600):
            learn(optimizer, F.mse_loss(model(x), y))


def tiny_rate(watching: Watching) -> None:
    """A learning rate of 1e-8."""
    model = mlp(64, 96, 10)
    optimizer = adam(model, 1e-8)
    with watching(model, optimizer):
        for _, x, y in digit_batches(500, 64):
            learn(optimizer, F.cross_entropy(model(x), y))


def set_back(watching: Watching) -> None:
    """Weights that something sets back after every step."""
    model = mlp(64, 64, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    kept = {name: each.clone() for name, each in model.state_dict().items()}
    with watching(model, optimizer):
        for _, x, y in digit_batches(400, 64):
            learn(optimizer, F.cross_entropy(model(x), y))
            model.load_state_dict(kept)


# --- UV609, UV610: number formats and clipping -------------------------------------------------


def half_without_scaler(watching: Watching) -> None:
    """Autocast to float16, a loss that is divided by a million, and no scaler."""
    model = mlp(64, 96, 96, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watching(model, optimizer):
        for _, x, y in digit_batches(400, 64):
            with torch.autocast("cpu", dtype=torch.float16):
                loss = F.cross_entropy(model(x).float(), y) * 1e-6
            learn(optimizer, loss)


def overflowing(watching: Watching) -> None:
    """From one step on a product of the backward pass is too large for float16 at any scale."""
    model = mlp(64, 96, 96, 10)
    optimizer = adam(model)
    scaler = torch.amp.GradScaler("cpu", growth_interval=50)
    with watching(model, optimizer):
        for step, x, y in digit_batches(700, 64):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                logits = model(x).float()
                if step >= ONSET:
                    logits = logits * 1e12 * 1e12
                loss = F.cross_entropy(logits, y)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()


def clipped_hard(watching: Watching) -> None:
    """Plain gradient descent, clipped at a thousandth of the usual norm."""
    model = mlp(64, 96, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watching(model, optimizer):
        for _, x, y in digit_batches(400, 64):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
            optimizer.step()


# --- UV611, UV612: steps that are too long, and what they leave behind ---------------------------


def rate_too_large(watching: Watching) -> None:
    """A learning rate of 1 for Adam, from the start."""
    model = mlp(64, 96, 96, 10)
    optimizer = adam(model, 1.0)
    with watching(model, optimizer):
        for _, x, y in digit_batches(500, 64):
            learn(optimizer, F.cross_entropy(model(x), y))


def rate_raised(watching: Watching) -> None:
    """A learning rate that is raised a thousandfold and stays there."""
    model = mlp(64, 96, 96, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    with watching(model, optimizer):
        for step, x, y in digit_batches(700, 64):
            set_rate(optimizer, 20.0 if step >= ONSET else 0.02)
            learn(optimizer, F.cross_entropy(model(x), y))


def _spike(watching: Watching, *, steps: int, length: int) -> None:
    model = mlp(64, 128, 128, 128, 128, 10)
    optimizer = adam(model)
    with watching(model, optimizer):
        for step, x, y in digit_batches(steps, 64):
            set_rate(optimizer, 0.1 if ONSET <= step < ONSET + length else 1e-3)
            learn(optimizer, F.cross_entropy(model(x), y))


def short_spike(watching: Watching) -> None:
    """A learning rate a hundred times too large for four steps, in a run of 600."""
    _spike(watching, steps=600, length=4)


def lasting_spike(watching: Watching) -> None:
    """The same for 60 steps."""
    _spike(watching, steps=600, length=60)


def spike_in_long_run(watching: Watching) -> None:
    """The same for six steps, in a run of 3,000."""
    _spike(watching, steps=3000, length=6)


def bad_batches(watching: Watching) -> None:
    """Three batches that were not scaled, into a network without normalisation: ReLUs die."""
    images, labels = training_digits()
    model = mlp(64, 96, 96, 96, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    target = (labels.float() - 4.5) / 3.0
    with watching(model, optimizer):
        for step in range(700):
            rows = torch.randint(len(images), (64,))
            scale = 8.0 if ONSET <= step < ONSET + 3 else 1.0
            out = model(images[rows] * scale).squeeze(1)
            learn(optimizer, F.mse_loss(out, target[rows]))


SICK: tuple[Sick, ...] = (
    Sick(loop=bfloat16_weights, code="UV601", step=0),
    Sick(loop=zeroed_gradient, code="UV601"),
    Sick(loop=deep_sigmoid, code="UV602", step=0),
    Sick(loop=choked_gradient, code="UV602"),
    Sick(loop=not_a_number, code="UV603"),
    Sick(loop=growing_weights, code="UV603", gradual=50),
    Sick(loop=pushed_down, code="UV604", gradual=50),
    Sick(loop=unscaled_inputs, code="UV605"),
    Sick(loop=saturating, code="UV605"),
    Sick(loop=random_labels, code="UV606", step=0),
    Sick(loop=shuffled_labels, code="UV607"),
    Sick(loop=swinging, code="UV607", step=0),
    Sick(loop=tiny_rate, code="UV608", step=0),
    Sick(loop=set_back, code="UV608", step=0),
    Sick(loop=half_without_scaler, code="UV609", step=0),
    Sick(loop=overflowing, code="UV609"),
    Sick(loop=clipped_hard, code="UV610", step=0),
    Sick(loop=rate_too_large, code="UV611", step=0),
    Sick(loop=rate_raised, code="UV611"),
    Sick(loop=short_spike, code="UV612"),
    Sick(loop=lasting_spike, code="UV612"),
    Sick(loop=spike_in_long_run, code="UV612"),
    Sick(loop=bad_batches, code="UV612"),
)
