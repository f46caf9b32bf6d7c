"""Theory beside measurement: how well mean-field theory predicts the gradient a look measures.

    python -m benchmarks.theory [--seeds 10] [--width 256] [--depth 30]

writes results/theory.json and results/theory.md. Every case is a random network with inputs
N(0, 1), a batch of 32 and a random direction at the output. What is compared is the factor of
the gradient's norm a layer: the geometric mean over the layers and seeds, read from a
recording of `unvanish.trace`, against `unvanish.theory` at the same depth: for infinitely wide
layers, and for plain networks of this width. Where networks differ much from seed to seed, more
of them are made, until the mean is known to half a percent or eight times the seeds are used up.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.accuracy import table
from unvanish.core.glossary import Quantity
from unvanish.observe import trace
from unvanish.theory.activations import activation
from unvanish.theory.finite_width import finite_width_gain
from unvanish.theory.initialisation import initialisation
from unvanish.theory.mean_field import gradient_profile
from unvanish.theory.normalisation import chi_batch_norm, chi_layer_norm
from unvanish.theory.residual import plain_block, pre_norm_blocks

RESULTS = Path("results")
KNOWN = 0.005
"""Relative standard error of a mean factor at which no more networks are made."""
MODULES: dict[str, Callable[[], nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "erf": lambda: Elementwise(torch.erf),
    "hardtanh": nn.Hardtanh,
    "softsign": nn.Softsign,
    "softplus": nn.Softplus,
    "relu": nn.ReLU,
    "leaky_relu(0.01)": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
}


class Elementwise(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Return the function's value."""
        return self.function(x)


class Residual(nn.Module):
    """x + branch(x)."""

    def __init__(self, *branch: nn.Module) -> None:
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, x: Tensor) -> Tensor:
        """Return input plus branch."""
        return x + self.branch(x)


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    name: str
    predicted: float
    measured: float
    spread: float
    seeds: int
    at_width: float = math.nan

    @property
    def error(self) -> float:
        """Relative error of the factor a layer, against infinitely wide layers."""
        return self.measured / self.predicted - 1.0

    @property
    def error_at_width(self) -> float:
        """The same against theory for this width, where there is one."""
        return self.error if math.isnan(self.at_width) else self.measured / self.at_width - 1.0


def linear(width: int, sigma_w2: float, sigma_b2: float = 0.0) -> nn.Linear:
    """Return a square layer of Gaussian weights."""
    layer = nn.Linear(width, width)
    nn.init.normal_(layer.weight, std=math.sqrt(sigma_w2 / width))
    nn.init.normal_(layer.bias, std=math.sqrt(sigma_b2)) if sigma_b2 else nn.init.zeros_(layer.bias)
    return layer


def decades(model: nn.Module, inputs: Tensor, first: str, last: str) -> float:
    """Return log10 of the gradient's norm at the output of one module over that of another."""
    recording = trace(model, (inputs, torch.zeros(len(inputs)).long()), probe_steps=0)
    norms = recording[Quantity.LOG10_PROBE_GRAD_RMS]
    where = {s.path: s.index for s in recording.signal_sites() if s.index in norms}
    return norms[where[first]] - norms[where[last]]


def measured(
    build: Callable[[], nn.Module],
    first: str,
    last: str,
    width: int,
    depth: int,
    seeds: int,
    batch: int = 32,
) -> tuple[float, float, int]:
    """Return the mean factor a layer over seeds, its deviation between them, and their number."""
    logs: list[float] = []
    deviation = math.inf
    while len(logs) < seeds or (
        len(logs) < 8 * seeds and deviation > KNOWN * math.sqrt(len(logs)) / math.log(10)
    ):
        torch.manual_seed(len(logs))
        inputs = torch.randn(batch, width, dtype=torch.float64)
        logs.append(decades(build().double(), inputs, first, last) / depth)
        mean = math.fsum(logs) / len(logs)
        deviation = math.sqrt(math.fsum((x - mean) ** 2 for x in logs) / max(1, len(logs) - 1))
    return 10**mean, 10**mean * math.log(10) * deviation, len(logs)


def plain_cases(width: int, depth: int, seeds: int) -> list[Case]:
    """Return fourteen activations under PyTorch's default, Xavier, He and the critical weights."""
    cases = []
    for name, make in MODULES.items():
        phi = activation(name)
        for init in ("default", "xavier", "he", "critical"):
            try:
                start = initialisation(init, phi, n_in=width)
            except ValueError:
                continue
            first_length = start.sigma_w2 + start.sigma_b2
            profile = gradient_profile(phi, start.sigma_w2, depth, start.sigma_b2, first_length)

            def build(start=start, make=make) -> nn.Module:
                layers: list[nn.Module] = []
                for _ in range(depth):
                    layers += [linear(width, start.sigma_w2, start.sigma_b2), make()]
                return nn.Sequential(*layers, linear(width, start.sigma_w2, start.sigma_b2))

            wide = finite_width_gain(phi, start.sigma_w2, depth, width, start.sigma_b2)
            cases.append(
                Case(
                    f"{name}, {init}",
                    10 ** (profile[0] / depth),
                    *measured(build, "0", str(2 * depth), width, depth, seeds),
                    at_width=10 ** (wide.log10_gain / depth),
                )
            )
    return cases


def other_cases(width: int, depth: int, seeds: int) -> list[Case]:
    """Return normalised and residual networks."""
    cases = []
    for name in ("relu", "tanh", "sigmoid"):
        phi, make = activation(name), MODULES[name]
        for norm, chi, batch in (
            (nn.LayerNorm, chi_layer_norm(phi), 32),
            (nn.BatchNorm1d, chi_batch_norm(phi), 256),
        ):

            def build(norm=norm, make=make) -> nn.Module:
                layers: list[nn.Module] = []
                for _ in range(depth):
                    layers += [norm(width), make(), linear(width, 1.0)]
                return nn.Sequential(linear(width, 1.0), *layers)

            # Not the first: its pre-activations come from the data.
            found = measured(build, "3", str(3 * depth), width, depth - 1, seeds, batch)
            cases.append(Case(f"{name}, {norm.__name__}", math.sqrt(chi), *found))
    relu = activation("relu")
    for label, alpha in (("", 1.0), (" / sqrt(depth)", 1.0 / math.sqrt(depth))):

        def build(alpha=alpha) -> nn.Module:
            blocks = [Residual(nn.ReLU(), linear(width, 2.0 * alpha * alpha)) for _ in range(depth)]
            return nn.Sequential(linear(width, 1.0), *blocks)

        found = measured(build, "0", str(depth), width, depth, seeds)
        cases.append(Case(f"x + W relu(x){label}", plain_block(1.0, alpha), *found))
    for norm in (nn.LayerNorm, nn.BatchNorm1d):
        blocks = pre_norm_blocks(relu, 2.0, depth, batch_norm=norm is nn.BatchNorm1d)
        predicted = math.exp(math.fsum(math.log(b) for b in blocks) / depth)

        def build(norm=norm) -> nn.Module:
            return nn.Sequential(
                linear(width, 1.0),
                *[Residual(norm(width), nn.ReLU(), linear(width, 2.0)) for _ in range(depth)],
            )

        batch = 256 if norm is nn.BatchNorm1d else 32
        found = measured(build, "0", str(depth), width, depth, seeds, batch)
        cases.append(Case(f"x + W relu({norm.__name__}(x))", predicted, *found))
    return cases


def main() -> None:
    """Run everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--depth", type=int, default=30)
    arguments = parser.parse_args()
    width, depth, seeds = arguments.width, arguments.depth, arguments.seeds
    cases = plain_cases(width, depth, seeds) + other_cases(width, depth, seeds)
    command = f"python -m benchmarks.theory --seeds {seeds} --width {width} --depth {depth}"
    lines = ["# Theory beside measurement", "", f"`{command}`", ""]
    lines.append(
        "Factor of the gradient's norm a layer. Theory is for infinitely wide layers; beside it "
        f"stands, for plain networks, theory for layers of {width} units "
        "(`unvanish.theory.finite_width`). The deviation is between networks. The target is an "
        "error of 1.5 %."
    )
    lines += [
        "",
        *table(
            (
                "network",
                "theory",
                f"at {width}",
                "measured",
                "deviation",
                "networks",
                "error",
                f"error at {width}",
            ),
            [
                (
                    c.name,
                    f"{c.predicted:.4f}",
                    "-" if math.isnan(c.at_width) else f"{c.at_width:.4f}",
                    f"{c.measured:.4f}",
                    f"{c.spread:.4f}",
                    f"{c.seeds}",
                    f"{100 * c.error:+.2f} %",
                    f"{100 * c.error_at_width:+.2f} %",
                )
                for c in cases
            ],
        ),
    ]
    within = sum(abs(c.error) <= 0.015 for c in cases)
    at_width = sum(abs(c.error_at_width) <= 0.015 for c in cases)
    beyond = [c.name for c in cases if abs(c.error) > 0.015]
    lines += [
        "",
        f"{within} of {len(cases)} within 1.5 % for infinite width, {at_width} of {len(cases)} "
        f"with theory at {width} where there is one.",
        "",
        f"Beyond for infinite width: {', '.join(beyond) or 'none'}. With He weights these three "
        "activations stand at no stable length: GELU and Mish shrink the signal, softplus lets "
        "it grow, and what one layer's width adds to the length is passed on instead of "
        "forgotten. Networks of one width then differ from each other, as the deviation shows, "
        "and the mean of their logarithms is not the infinite one. The gradient of a random "
        "direction also keeps a part along the signal, of order 1/n, that fades more slowly than "
        "the rest. Both are in the theory at this width, which draws lengths and no weights.",
    ]
    page = "\n".join(lines) + "\n"
    print(page)
    RESULTS.mkdir(exist_ok=True)
    result = {
        "command": command,
        "cases": [
            {
                **asdict(c),
                "at_width": None if math.isnan(c.at_width) else c.at_width,
                "error": c.error,
                "error_at_width": c.error_at_width,
            }
            for c in cases
        ],
    }
    (RESULTS / "theory.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "theory.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
