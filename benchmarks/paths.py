"""What connections and scaled branches do for deep networks on the digits.

    python -m benchmarks.paths

Thirty layers of width 64 with PyTorch's default start; twenty residual blocks of 3 x 3
convolutions with He's start, with and without batch normalisation; 12 and 48 post-norm transformer
layers. Adam (1e-3), batches of 64, one seed; 300 steps for the plain networks, 100 for the
others, 60 for the 48 layers. One line a network and remedy: decades by which the gradient changes
on its way, and the accuracy on digits that were held out.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import unvanish
from unvanish.core.errors import UnvanishError
from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose import diagnose
from unvanish.treat.prescribing import outlook_of
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of, treat
from unvanish.zoo.data import held_out_digits, training_digits

CONNECTING = (
    "residual",
    "residual, not centred",
    "scaled-residual",
    "rezero",
    "layer-scale",
    "highway",
)
SCALING = ("scaled-residual", "rezero", "layer-scale", "skip-init", "fixup")


class ResidualBlock(nn.Module):
    """Two convolutions, with or without batch normalisation."""

    def __init__(self, channels: int, *, normalised: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels) if normalised else nn.Identity()
        self.last = nn.BatchNorm2d(channels) if normalised else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch."""
        return F.relu(x + self.last(self.second(F.relu(self.norm(self.first(x))))))


def plain(function: Callable[[], nn.Module]) -> nn.Module:
    """Build thirty layers."""
    layers = [m for _ in range(30) for m in (nn.Linear(64, 64), function())]
    return nn.Sequential(*layers, nn.Linear(64, 10))


def residual(*, normalised: bool) -> nn.Module:
    """Build twenty residual blocks."""
    blocks = [ResidualBlock(8, normalised=normalised) for _ in range(20)]
    model = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        *blocks,
        nn.Flatten(),
        nn.Linear(512, 10),
    )
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return model


def post_norm(depth: int) -> nn.Module:
    """Build post-norm transformer layers over the rows of an image."""
    layers = [
        nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True) for _ in range(depth)
    ]
    return nn.Sequential(
        nn.Unflatten(1, (8, 8)), nn.Linear(8, 32), *layers, nn.Flatten(), nn.Linear(256, 10)
    )


def networks() -> Iterator[tuple[str, nn.Module, tuple[str, ...], int]]:
    """Yield each network with its name, the remedies to try, and the steps to train."""
    functions = (nn.Sigmoid, nn.Softplus, nn.Tanh, nn.ReLU)
    for function in functions:
        torch.manual_seed(0)
        yield f"30 x {function.__name__}", plain(function), CONNECTING, 300
    for normalised in (False, True):
        torch.manual_seed(0)
        name = "20 residual blocks" + (", BatchNorm" if normalised else "")
        yield name, residual(normalised=normalised), SCALING, 100
    for depth, steps in ((12, 100), (48, 60)):
        torch.manual_seed(0)
        yield f"{depth} post-norm layers", post_norm(depth), ("deep-norm", "keel"), steps


def flow(model: nn.Module, batch: tuple[Tensor, Tensor]) -> float:
    """Return by how many decades the gradient changes between the outputs and a layer."""
    recording = unvanish.trace(model, batch, batches=1, probe_steps=0)
    return outlook_of(recording, diagnose(recording)).flow_decades


def accuracy(model: nn.Module, steps: int) -> float:
    """Train a copy, and return the accuracy on held-out digits."""
    model = copy.deepcopy(model)
    inputs, target = training_digits()
    torch.manual_seed(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(steps):
        chosen = torch.randint(0, len(inputs), (64,))
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[chosen]), target[chosen]).backward()
        optimizer.step()
    unseen, right = held_out_digits()
    with torch.no_grad():
        return (model(unseen).argmax(1) == right).float().mean().item()


def _plan(remedy: str, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Prescription | str:
    name, _, plainly = remedy.partition(", ")
    if not plainly:
        return name
    found = remedy_of(name).assess(case_of(model, batch))
    if isinstance(found, NotApplicable):
        return name
    return dataclasses.replace(found, settings={**found.settings, "centre": False})


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    inputs, target = training_digits()
    batch = inputs[:64], target[:64]
    for name, model, remedies, steps in networks():
        for remedy in ("", *remedies):
            try:
                treated = (
                    treat(model, _plan(remedy, model, batch), batch).model if remedy else model
                )
            except UnvanishError as error:
                print(f"{name:32} {remedy:22} {error.what}")
                continue
            change, score = flow(treated, batch), accuracy(treated, steps)
            print(f"{name:32} {remedy or 'untreated':22} {change:+7.2f} {score:.3f}", flush=True)


if __name__ == "__main__":
    main()
