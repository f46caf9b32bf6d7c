"""What LayerNorm within a recurrence does for its gradient, and for what is learnt.

    python -m benchmarks.recurrent_norms [gradient | recall | digits]

gradient: 101 steps, 64 units and inputs, PyTorch's start, random inputs of size 1 and 30: decades
lost on the way from the last state to the first, three seeds. recall: the first of 60 tokens of 8,
32 units. digits: one pixel a step, as one of 17 levels, 48 units, at sizes 1 and 30; the last 397
of a fixed shuffle are held out. Both: 500 steps of Adam at 3e-3, batches of 32, two seeds, one line
a layer and treatment with the share of right answers. Some ten minutes on one core.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish.treat.normalised_recurrence import normalised
from unvanish.treat.remedies.recurrent_layer_norm import input_gain
from unvanish.treat.treatment import treat

NAME: Final = "recurrent-layer-norm"
LAYERS: Final[dict[str, Any]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
TOKENS, STEPS, LEVELS = 8, 60, 17


class Net(nn.Module):
    """A recurrent layer, and a layer that reads its last output."""

    def __init__(self, read: nn.Module, layer: Any, width: int, units: int, classes: int) -> None:
        super().__init__()
        self.read = read
        self.recurrent = layer(width, units, batch_first=True)
        self.head = nn.Linear(units, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Read a sequence."""
        scores: Tensor = self.head(self.recurrent(self.read(x))[0][:, -1])
        return scores


def gradient() -> Iterator[str]:
    """Yield the decades that a gradient from the last state loses, before and after."""
    kinds: dict[str, Callable[[], nn.Module]] = {
        "rnn_tanh": lambda: nn.RNNCell(64, 64),
        "rnn_relu": lambda: nn.RNNCell(64, 64, nonlinearity="relu"),
        "gru": lambda: nn.GRUCell(64, 64),
        "lstm": lambda: nn.LSTMCell(64, 64),
    }
    for kind, make in kinds.items():
        for size in (1.0, 30.0):
            before, after = [], []
            for seed in range(3):
                torch.manual_seed(seed)
                cell = make()
                before.append(f"{_lost(cell, size):.1f}")
                after.append(f"{_lost(normalised(cell, input_gain(kind, 101)), size):.1f}")
            yield f"{kind}, inputs of {size:g}: {' '.join(before)}; after: {' '.join(after)}"


def _lost(cell: nn.Module, size: float) -> float:
    state: Any = None
    states: list[tuple[Tensor, ...]] = []
    for x in size * torch.randn(101, 32, 64):
        state = cell(x, state)
        states.append(state if isinstance(state, tuple) else (state,))
        for part in states[-1]:
            part.retain_grad()
    (states[-1][0] * torch.randn(32, 64).sign()).sum().backward()
    first, last = (
        sum(float(part.grad.double().square().sum()) for part in one if part.grad is not None)
        for one in (states[0], states[-1])
    )
    return 0.5 * (math.log10(last) - math.log10(max(first, 1e-300)))


def recall() -> Iterator[str]:
    """Yield how often the first token is recalled."""

    def draw(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.randint(0, TOKENS, (count, STEPS), generator=generator)
        return x, x[:, 0]

    for name, layer in LAYERS.items():

        def make(layer: Any = layer) -> nn.Module:
            return Net(nn.Embedding(TOKENS, 8), layer, 8, 32, TOKENS)

        for remedies in _treatments(name):
            yield _line(name, remedies, make, draw, lambda g: draw(512, g))


def digits() -> Iterator[str]:
    """Yield how many digits that were held out are read right, pixel by pixel."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = torch.randperm(len(found.data), generator=torch.Generator().manual_seed(7))
    levels, target = torch.tensor(found.data).long()[order], torch.tensor(found.target)[order]
    for size in (1.0, 30.0):
        x = size * F.one_hot(levels, LEVELS).float()

        def draw(count: int, generator: torch.Generator, x: Tensor = x) -> tuple[Tensor, Tensor]:
            chosen = torch.randint(0, 1400, (count,), generator=generator)
            return x[chosen], target[chosen]

        for name, layer in LAYERS.items():

            def make(layer: Any = layer) -> nn.Module:
                return Net(nn.Identity(), layer, LEVELS, 48, 10)

            for remedies in _treatments(name):
                held_out = x[1400:], target[1400:]
                words = _line(name, remedies, make, draw, lambda _, kept=held_out: kept)
                yield f"size {size:g}, {words}"


def _treatments(name: str) -> list[list[str]]:
    other = "orthogonal-recurrence" if name == "rnn" else "forget-bias"
    return [[], [NAME], [NAME, other], [other]]


def _line(
    name: str,
    remedies: Sequence[str],
    make: Callable[[], nn.Module],
    draw: Callable[[int, torch.Generator], tuple[Tensor, Tensor]],
    judge: Callable[[torch.Generator], tuple[Tensor, Tensor]],
) -> str:
    right = []
    for seed in range(2):
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        model = make()
        if remedies:
            model = treat(model, list(remedies), draw(32, torch.Generator())).model
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        for _ in range(500):
            x, y = draw(32, generator)
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        x, y = judge(generator)
        with torch.no_grad():
            right.append(f"{float((model(x).argmax(-1) == y).float().mean()):.3f}")
    return f"{name}, {' + '.join(remedies) or 'untreated'}: {' '.join(right)}"


PARTS: Final = {"gradient": gradient, "recall": recall, "digits": digits}


def main() -> None:
    """Print every line of the parts that are named, or of all."""
    torch.set_num_threads(1)
    for part in sys.argv[1:] or PARTS:
        for line in PARTS[part]():
            print(line, flush=True)


if __name__ == "__main__":
    main()
