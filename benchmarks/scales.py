"""What the scale and the offset of inputs and targets cost: the runs behind UV503 and UV506.

    python -m benchmarks.scales

trains networks of three layers of 64 units on data that was scaled or shifted, and writes
results/scales.md: test accuracy on 8x8 digits, and share of variance explained on a smooth
function of 8 inputs. One seed; a minute or two on one core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, training_digits

RESULTS = Path("results")
STEPS = 1500
OPTIMIZERS: dict[str, Callable[[nn.Module], torch.optim.Optimizer]] = {
    "Adam 1e-3": lambda m: torch.optim.Adam(m.parameters(), lr=1e-3),
    "SGD 0.01": lambda m: torch.optim.SGD(m.parameters(), lr=0.01, momentum=0.9),
    "SGD 0.001": lambda m: torch.optim.SGD(m.parameters(), lr=0.001, momentum=0.9),
}
Change = Callable[[Tensor], Tensor]


def network(inputs: int, outputs: int) -> nn.Module:
    """Build three layers with ReLU and PyTorch's own start."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outputs)
    )


def trained(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    steps: int = STEPS,
) -> nn.Module:
    """Train on random batches of 64."""
    for _ in range(steps):
        rows = torch.randint(len(x), (64,))
        optimizer.zero_grad()
        loss(net(x[rows]), y[rows]).backward()
        optimizer.step()
    return net


def digits_accuracy(change: Change, optimizer: str) -> float:
    """Return the test accuracy on standardised digits that were changed."""
    x, y = training_digits()
    mean, std = x.mean(0), x.std(0) + 0.05
    net = network(64, 10)
    trained(net, OPTIMIZERS[optimizer](net), F.cross_entropy, change((x - mean) / std), y)
    x, y = held_out_digits()
    with torch.no_grad():
        return float((net(change((x - mean) / std)).argmax(1) == y).double().mean())


def smooth(count: int = 2000) -> tuple[Tensor, Tensor]:
    """Return inputs and a standardised smooth function of four of them."""
    x = torch.randn(count, 8, generator=torch.Generator().manual_seed(1))
    y = x[:, :1] * x[:, 1:2] + x[:, 2:3].sin() + 0.5 * x[:, 3:4]
    return x, (y - y.mean()) / y.std()


def explained(
    optimizer: str, *, inputs: Change = lambda x: x, targets: Change = lambda y: y, steps: int
) -> float:
    """Return the share of variance explained on the training set itself."""
    x, y = smooth()
    x, y = inputs(x), targets(y)
    net = network(8, 1)
    trained(net, OPTIMIZERS[optimizer](net), F.mse_loss, x, y, steps)
    with torch.no_grad():
        return 1.0 - float(F.mse_loss(net(x), y) / y.var(correction=0))


def scaled(by: float) -> Change:
    """Multiply everything."""
    return lambda x: x * by


def shifted(by: float) -> Change:
    """Add to everything."""
    return lambda x: x + by


def rows() -> Iterable[tuple[str, str, dict[str, float]]]:
    """Yield what was changed, the optimiser, and the result at each size of the change."""
    for optimizer in OPTIMIZERS:
        for word, change, sizes in (
            ("scale", scaled, (1.0, 31.6, 100.0, 1000.0)),
            ("offset", shifted, (0.0, 10.0, 31.6, 100.0)),
            ("scale", scaled, (0.1, 0.01, 0.001)),
        ):
            found = {f"{by:g}": digits_accuracy(change(by), optimizer) for by in sizes}
            yield f"digits, input {word}", optimizer, found
            found = {
                f"{by:g}": explained(optimizer, inputs=change(by), steps=STEPS) for by in sizes
            }
            yield f"function, input {word}", optimizer, found
    for word, change, sizes in (
        ("offset", shifted, (0.0, 10.0, 31.6, 100.0, 1000.0)),
        ("scale", scaled, (1e2, 1e3, 1e4, 1e5)),
    ):
        for steps in (1000, 3000):
            found = {
                f"{by:g}": explained("Adam 1e-3", targets=change(by), steps=steps) for by in sizes
            }
            yield f"function, target {word}, {steps} steps", "Adam 1e-3", found


def main() -> None:
    """Run everything and write the table."""
    torch.set_num_threads(1)
    lines = ["# Scales and offsets", "", "`python -m benchmarks.scales`", ""]
    lines += ["| what | optimiser | size of the change: result |", "|---|---|---|"]
    for what, optimizer, found in rows():
        cells = ", ".join(f"{size}: {result:.3g}" for size, result in found.items())
        lines.append(f"| {what} | {optimizer} | {cells} |")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "scales.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
