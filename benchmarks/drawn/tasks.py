"""What a drawn network has to learn: small data, real or generated with a fixed seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Task:
    """One thing to learn.

    Attributes:
        name: What it is called.
        kind: How an input looks: ``rows``, ``images``, ``steps`` (a sequence of vectors) or
            ``tokens``.
        shape: Shape of one input.
        outputs: How many numbers a network gives.
        asks: ``class``, ``number`` or ``copy`` (the input again).
        text: Code that makes ``x`` and ``y``.
        chance: What a network reaches that has learnt nothing.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    outputs: int
    asks: str
    text: str
    chance: float = 0.0


_SKLEARN = """from sklearn.datasets import {load}

bunch = {load}()
x = torch.tensor(bunch.data, dtype=torch.float32)
"""
_NORMAL = "x = (x - x.mean(0)) / x.std(0).clamp_min(1e-6)\n"
_CLASSES = "y = torch.tensor(bunch.target)\n"
_NUMBERS = """y = torch.tensor(bunch.target, dtype=torch.float32)[:, None]
y = (y - y.mean()) / y.std()
"""
_SEED = "g = torch.Generator().manual_seed({seed})\n"
_DIGITS = _SKLEARN.format(load="load_digits") + "x = x / 16\n"

_ALL: Final = (
    Task("digits", "rows", (64,), 10, "class", _DIGITS + _CLASSES, 0.1),
    Task("digit_images", "images", (1, 8, 8), 10, "class",
         _DIGITS + "x = x.view(-1, 1, 8, 8)\n" + _CLASSES, 0.1),
    Task("digit_rows", "steps", (8, 8), 10, "class",
         _DIGITS + "x = x.view(-1, 8, 8)\n" + _CLASSES, 0.1),
    Task("digit_copies", "rows", (64,), 64, "copy", _DIGITS + "y = x\n"),
    Task("cancer", "rows", (30,), 2, "class",
         _SKLEARN.format(load="load_breast_cancer") + _NORMAL + _CLASSES, 0.63),
    Task("wine", "rows", (13,), 3, "class",
         _SKLEARN.format(load="load_wine") + _NORMAL + _CLASSES, 0.4),
    Task("friedman", "rows", (10,), 1, "number", """from sklearn.datasets import make_friedman1

features, target = make_friedman1(1500, noise=0.5, random_state=0)
x = torch.tensor(features, dtype=torch.float32) * 2 - 1
y = torch.tensor(target, dtype=torch.float32)[:, None]
y = (y - y.mean()) / y.std()
"""),
    Task("moons", "rows", (2,), 2, "class", """from sklearn.datasets import make_moons

features, target = make_moons(1500, noise=0.15, random_state=1)
x = torch.tensor(features, dtype=torch.float32)
y = torch.tensor(target)
""", 0.88),
    Task("spirals", "rows", (2,), 3, "class", _SEED.format(seed=2) + """y = torch.arange(1500) % 3
radius = torch.rand(1500, generator=g) * 0.9 + 0.1
angle = 4 * radius + 2.0944 * y + 0.1 * torch.randn(1500, generator=g)
x = 2 * torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
""", 0.45),
    Task("first_step", "steps", (25, 3), 2, "class", _SEED.format(seed=3) + """x = torch.randn(
    1600, 25, 3, generator=g
)
y = (x[:, 0, 0] > 0).long()
x[:, 0] *= 2
""", 0.5),
    Task("adding", "steps", (20, 2), 1, "number", _SEED.format(seed=4) + """values = torch.rand(
    1800, 20, generator=g
)
marks = torch.zeros(1800, 20)
rows = torch.arange(1800)
marks[rows, torch.randint(0, 10, (1800,), generator=g)] = 1
marks[rows, torch.randint(10, 20, (1800,), generator=g)] = 1
x = torch.stack([values, marks], -1)
y = (values * marks).sum(1, keepdim=True)
y = (y - y.mean()) / y.std()
"""),
    Task("waves", "steps", (30, 1), 3, "class", _SEED.format(seed=5) + """y = torch.arange(1500) % 3
pace = torch.tensor([0.3, 0.5, 0.8])[y][:, None]
phase = 6.28 * torch.rand(1500, 1, generator=g)
x = torch.sin(pace * torch.arange(30) + phase) + 0.3 * torch.randn(1500, 30, generator=g)
x = x[:, :, None]
""", 0.34),
    Task("brackets", "tokens", (16, 6), 2, "class", _SEED.format(seed=6) + """x = torch.randint(
    0, 6, (2000, 16), generator=g
)
y = ((x == 2).sum(1) > (x == 3).sum(1)).long()
""", 0.58),
    Task("commonest", "tokens", (12, 5), 5, "class", _SEED.format(seed=7) + """y = torch.randint(
    0, 5, (2000,), generator=g
)
x = torch.randint(0, 5, (2000, 12), generator=g)
x = torch.where(torch.rand(2000, 12, generator=g) < 0.35, y[:, None], x)
""", 0.2),
)  # fmt: skip

TASKS: Final = {task.name: task for task in _ALL}

SPLIT: Final = """
order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
x, y = x[order], y[order]
third = len(x) // 6
x_check, y_check = x[:third], y[:third]
x_test, y_test = x[third : 2 * third], y[third : 2 * third]
x, y = x[2 * third :], y[2 * third :]
"""
