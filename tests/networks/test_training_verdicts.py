"""What the optimiser really does: small real networks, sick and healthy, judged end to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from torch.utils.checkpoint import checkpoint

import unvanish
from unvanish.core.findings import Cause, Finding, Severity

OURS = ("UV401", "UV404", "UV405", "UV502", "UV504", "UV505")


@pytest.fixture(autouse=True)
def _one_thread_and_a_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def classes(width: int = 64, count: int = 64) -> tuple[Tensor, Tensor]:
    return torch.randn(count, width), torch.randint(0, 10, (count,))


def mlp(depth: int, activation: type[nn.Module] = nn.ReLU, width: int = 64) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def he(model: nn.Sequential) -> nn.Sequential:
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return model


def findings(model: nn.Module, batch: Any = None, **options: Any) -> dict[str, Finding]:
    report = unvanish.checkup(model, batch or classes(), select=OURS, **options)
    return {finding.code: finding for finding in report.findings}


def loud(found: dict[str, Finding]) -> list[str]:
    return [code for code, f in found.items() if f.severity is not Severity.NOTE]


# --- UV401 and UV502: eps and the early layers ------------------------------------------


def test_a_deep_default_network_lies_below_eps() -> None:
    found = findings(mlp(30), optimizer=lambda m: AdamW(m.parameters(), lr=1e-3))
    assert found["UV401"].severity is Severity.ERROR
    assert found["UV401"].causes[:2] == (Cause.OPTIMISER_FLOOR, Cause.INIT_TOO_SMALL)
    lower = findings(mlp(30), optimizer=lambda m: AdamW(m.parameters(), lr=1e-3, eps=1e-30))
    assert "UV401" not in lower
    assert "UV502" not in lower


def test_an_eps_of_one_holds_everything() -> None:
    found = findings(mlp(3), optimizer=lambda m: Adam(m.parameters(), lr=1e-3, eps=1.0))
    assert found["UV401"].severity is Severity.WARNING


def test_the_early_layers_of_a_deep_sigmoid_stand_still() -> None:
    model = mlp(12, nn.Sigmoid)
    found = findings(model, optimizer=lambda m: SGD(m.parameters(), lr=0.1))
    assert found["UV502"].severity is Severity.ERROR
    assert found["UV502"].causes[0] is Cause.ACTIVATION_SLOPE
    assert found["UV502"].parameters[0] == "0.weight"
    decayed = findings(model, optimizer=lambda m: AdamW(m.parameters(), lr=1e-3, weight_decay=0.1))
    assert "UV502" in decayed  # decay moves every weight, and teaches none


# --- UV404: the learning rate ------------------------------------------------------------

RATES: dict[str, tuple[Callable[[nn.Module], Optimizer], Severity]] = {
    "sgd at 100": (lambda m: SGD(m.parameters(), lr=100.0), Severity.ERROR),
    "adam at 1": (lambda m: Adam(m.parameters(), lr=1.0), Severity.WARNING),
    "adam at 1e-12": (lambda m: Adam(m.parameters(), lr=1e-12), Severity.ERROR),
    "sgd at 0": (lambda m: SGD(m.parameters(), lr=0.0), Severity.WARNING),
}


@pytest.mark.parametrize("name", RATES)
def test_a_hopeless_learning_rate(name: str) -> None:
    optimizer, severity = RATES[name]
    finding = findings(mlp(4), optimizer=optimizer)["UV404"]
    assert finding.severity is severity or (name == "adam at 1" and loud({"": finding}))
    assert finding.causes == (Cause.LEARNING_RATE,)


def test_a_hundred_times_the_stable_rate_is_found_and_half_of_it_is_not() -> None:
    model, batch = he(mlp(4)), classes()
    stable = 2.0 / _sharpness(model, batch)
    assert "UV404" not in findings(model, batch, optimizer=_sgd(0.5 * stable))
    assert "UV404" not in findings(model, batch, optimizer=_sgd(stable))
    assert findings(model, batch, optimizer=_sgd(100 * stable))["UV404"].severity is Severity.ERROR


def _sgd(lr: float) -> Callable[[nn.Module], Optimizer]:
    return lambda model: SGD(model.parameters(), lr=lr)


def _sharpness(model: nn.Module, batch: tuple[Tensor, Tensor]) -> float:
    """Largest eigenvalue of the Hessian, by power iteration."""
    parameters = list(model.parameters())
    loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
    grads = torch.autograd.grad(loss, parameters, create_graph=True)
    vector = [torch.randn_like(p) for p in parameters]
    size = 1.0
    for _ in range(30):
        norm = torch.sqrt(sum((v**2).sum() for v in vector))
        vector = [v / norm for v in vector]
        product = sum((g * v).sum() for g, v in zip(grads, vector, strict=True))
        vector = list(torch.autograd.grad(product, parameters, retain_graph=True))
        size = float(torch.sqrt(sum((v**2).sum() for v in vector)))
    return size


def test_a_warm_up_at_its_start_is_a_note() -> None:
    model = mlp(3)
    optimizer = AdamW(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / 100)
    assert findings(model, optimizer=optimizer)["UV404"].severity is Severity.NOTE
    del scheduler  # without it the rate would stay at zero, which is an error
    assert findings(model, optimizer=optimizer)["UV404"].severity is Severity.ERROR


def test_a_converged_network_is_left_in_peace() -> None:
    model, batch = mlp(3), classes(count=32)
    optimizer = Adam(model.parameters(), lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 1e-3
    for fresh in (Adam, lambda p: RMSprop(p, lr=1e-3)):
        assert not loud(findings(model, batch, optimizer=lambda m, f=fresh: f(m.parameters())))
    assert not loud(findings(model, batch, optimizer=optimizer))
    assert not loud(findings(model, batch, optimizer=_sgd(0.1)))


# --- UV405: the noise ----------------------------------------------------------------------


def test_random_labels_are_never_more_than_a_note() -> None:
    data = [classes() for _ in range(3)]
    assert not loud(findings(mlp(3), data[0], data=data, optimizer=_sgd(0.1)))


# --- UV504: who is in the optimiser --------------------------------------------------------


class Probe(nn.Module):
    """A body, a temperature and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.head = nn.Linear(64, 10)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x)) * self.scale


HELD: dict[str, tuple[Callable[[Probe], list[Any]], Severity | None]] = {
    "all": (lambda m: list(m.parameters()), None),
    "another instance": (lambda _: list(Probe().parameters()), Severity.ERROR),
    "a linear probe": (lambda m: [*m.head.parameters(), m.scale], Severity.NOTE),
    "no head": (lambda m: [*m.body.parameters(), m.scale], Severity.WARNING),
    "no temperature": (
        lambda m: [*m.body.parameters(), *m.head.parameters()],
        Severity.WARNING,
    ),
    "no biases": (lambda m: [p for p in m.parameters() if p.ndim != 1], Severity.WARNING),
    "only biases": (lambda m: [p for p in m.parameters() if p.ndim == 1], Severity.WARNING),
}


@pytest.mark.parametrize("name", HELD)
def test_who_is_missing_from_the_optimiser(name: str) -> None:
    choose, severity = HELD[name]
    found = findings(Probe(), optimizer=lambda m: AdamW(choose(m), lr=1e-3))
    assert found["UV504"].severity is severity if severity else "UV504" not in found
    assert set(loud(found)) <= {"UV504"}


def test_layers_in_a_plain_list_are_found_without_an_optimiser() -> None:
    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [nn.Linear(64, 64), nn.Linear(64, 64)]
            self.head = nn.Linear(64, 10)

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = torch.relu(layer(x))
            return self.head(x)

    finding = findings(Hidden())["UV504"]
    assert finding.severity is Severity.WARNING
    assert "4 trainable tensors" in finding.message


# --- UV505: traps --------------------------------------------------------------------------


class Trapped(nn.Module):
    """The hidden layer's output goes through a step of the test's choice."""

    def __init__(self, step: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(64, 64), nn.Linear(64, 10)
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.step(self.body, x)))


def _no_grad(body: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return body(x)


TRAPS: dict[str, tuple[Callable[[nn.Module, Tensor], Tensor], str]] = {
    "checkpoint": (lambda body, x: checkpoint(body, x, use_reentrant=True), "reentrant checkpoint"),
    "no_grad": (_no_grad, "torch.no_grad()"),
    "data": (lambda body, x: body(x).data, ".data"),
    "numpy": (lambda body, x: torch.from_numpy(body(x).detach().numpy()), "numpy"),
    "tolist": (lambda body, x: torch.tensor(body(x).tolist()), "numpy or Python numbers"),
    "parameter": (lambda body, x: nn.Parameter(body(x)), "nn.Parameter()"),
}


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_is_named_once_with_the_users_line(name: str) -> None:
    step, words = TRAPS[name]
    report = unvanish.checkup(Trapped(step), classes())
    roots = [finding for finding in report.diagnosis.roots if finding.severity is Severity.ERROR]
    assert [finding.code for finding in roots] == ["UV505"]
    assert words in roots[0].message
    assert roots[0].parameters == ("body.weight", "body.bias")
    assert "test_training_verdicts.py" in str(roots[0].sites[0].source)
    followers = {f.code for f in report.findings if f.root == "UV505"}
    assert "UV501" in followers


def test_stop_gradients_by_design_are_silent() -> None:
    def quantised(body: nn.Module, x: Tensor) -> Tensor:
        h = body(x)
        h.mean().item()
        return h + (h.round() - h).detach()

    assert not findings(Trapped(quantised), optimizer=lambda m: Adam(m.parameters()))


# --- healthy networks under every optimiser --------------------------------------------------

OPTIMIZERS: dict[str, Callable[[nn.Module], Optimizer]] = {
    "SGD": lambda m: SGD(m.parameters(), lr=0.05, momentum=0.9),
    "Adam": lambda m: Adam(m.parameters()),
    "AdamW": lambda m: AdamW(m.parameters()),
    "RMSprop": lambda m: RMSprop(m.parameters(), lr=1e-3),
    "Adagrad": lambda m: torch.optim.Adagrad(m.parameters()),
    "NAdam": lambda m: torch.optim.NAdam(m.parameters()),
    "RAdam": lambda m: torch.optim.RAdam(m.parameters()),
    "Adamax": lambda m: torch.optim.Adamax(m.parameters()),
    "Adadelta": lambda m: torch.optim.Adadelta(m.parameters()),
    "Adafactor": lambda m: torch.optim.Adafactor(m.parameters()),
    "LBFGS": lambda m: torch.optim.LBFGS(m.parameters(), line_search_fn="strong_wolfe"),
}


class ReZero(nn.Module):
    """Branches behind gates that start at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(8))
        self.gates = nn.ParameterList(nn.Parameter(torch.zeros(())) for _ in range(8))
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        for layer, gate in zip(self.layers, self.gates, strict=True):
            x = x + gate * torch.relu(layer(x))
        return self.head(x)


def normalised() -> nn.Sequential:
    layers = [m for _ in range(4) for m in (nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU())]
    return nn.Sequential(*layers, nn.Dropout(0.5), nn.Linear(64, 10))


@pytest.mark.parametrize("build", [lambda: he(mlp(6)), normalised, ReZero])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_healthy_network_is_left_in_peace(name: str, build: Callable[[], nn.Module]) -> None:
    # L-BFGS carries curvature from one batch to the next, and is made for a single one.
    data = [classes() for _ in range(1 if name == "LBFGS" else 3)]
    assert not loud(findings(build(), data[0], data=data, optimizer=OPTIMIZERS[name]))
