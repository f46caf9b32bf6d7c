"""The networks that lessons are about, and the plainest way to train them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from unvanish.core.explanations import Factor
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.explain import explain as explain_recording
from unvanish.treat import treat
from unvanish.treat.refusals import CannotTreatError

ACTIVATIONS: Final[dict[str, Callable[[], nn.Module]]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
}
"""Activation functions by the words that lessons take."""

STARTS: Final = ("default", "xavier", "he", "lecun", "orthogonal")
"""Initialisations by the words that lessons take; ``default`` is PyTorch's own."""


def plain(
    depth: int,
    *,
    width: int = 64,
    activation: str = "sigmoid",
    inputs: int = 64,
    outputs: int = 10,
) -> nn.Sequential:
    """Return a plain network: `depth` hidden layers, no skips and no normalisation.

    The weights are PyTorch's default, drawn from the global generator.

    Args:
        depth: Hidden layers, each a linear layer and an activation.
        width: Units of a hidden layer.
        activation: A key of `ACTIVATIONS`.
        inputs: Features of a sample.
        outputs: Numbers that the network answers with.
    """
    layers: list[nn.Module] = []
    for index in range(depth):
        layers += [nn.Linear(inputs if index == 0 else width, width), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers, nn.Linear(width if depth else inputs, outputs))


def started(
    model: nn.Module, init: str, batch: Any, loss: Callable[..., Any] | str | None = None
) -> nn.Module:
    """Draw the weights of a network anew from the global generator, by the remedy of that name.

    A remedy refuses functions that it was not made for, and a lesson may want to see what becomes
    of these: they get the textbook's weights, without bias.

    Args:
        model: The network; it stays as it is.
        init: One of `STARTS`.
        batch: As in `unvanish.treat`.
        loss: As in `unvanish.treat`.

    Returns:
        A copy with the new weights; the network itself for ``"default"``.
    """
    if init == "default":
        return model
    try:
        return treat(model, init, batch, loss, seed=int(torch.randint(2**31, ()))).model
    except CannotTreatError:
        return drawn(model, init)


def drawn(model: nn.Module, init: str) -> nn.Module:
    """Draw every linear and convolutional layer as the textbook says, whatever stands behind it.

    Args:
        model: The network; it stays as it is.
        init: One of `STARTS`. ``"orthogonal"`` has unit gain.

    Returns:
        A copy with the new weights and biases of zero; for ``"default"`` as PyTorch draws them.
    """
    twin = copy.deepcopy(model)
    for layer in twin.modules():
        if not isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
            continue
        layer.reset_parameters()
        if init == "default":
            continue
        match init:
            case "xavier":
                nn.init.xavier_normal_(layer.weight)
            case "he":
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            case "lecun":
                nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            case "orthogonal":
                nn.init.orthogonal_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return twin


def grad_by_layer(recording: Recording, *, op: str = "linear") -> tuple[float, ...]:
    """Return the gradient that arrives at the output of each layer, from the first to the last.

    Args:
        recording: One look at a network.
        op: The operation of the layers, such as ``"linear"`` or ``"conv2d"``.

    Returns:
        Base-10 logarithms of its root mean square.
    """
    profile = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    return tuple(profile.get(site) for site in recording.signal_sites() if site.op == op)


def by_factor(recording: Recording) -> dict[Factor, float]:
    """Return what every factor did to the gradient between the outputs and the first layer.

    Args:
        recording: One look at a network.

    Returns:
        Decades of every factor, the loss left out; negative is lost. They add up to the whole.
    """
    found = explain_recording(recording).ledger.by_factor()
    return {factor: decades for factor, decades in found.items() if factor is not Factor.LOSS}


def fit(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
    each: Callable[[int], None] | None = None,
) -> list[float]:
    """Train a network in the plainest loop there is.

    Args:
        model: The network, in training mode.
        batches: Inputs and targets of each step.
        optimizer: Steps its parameters.
        loss: ``loss(output, target)``.
        each: Called after every step with its number, from 1.

    Returns:
        The loss of every step, before it was taken.
    """
    losses = []
    for step, (inputs, targets) in enumerate(batches, 1):
        optimizer.zero_grad()
        value = loss(model(inputs), targets)
        value.backward()
        optimizer.step()
        losses.append(value.item())
        if each is not None:
            each(step)
    return losses


def accuracy(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """Return the share of samples whose class a network names, from 0 to 1."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        share = float((model(inputs).argmax(dim=1) == targets).double().mean())
    model.train(was_training)
    return share


def running_mean(values: Sequence[float], over: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Smooth what was measured at every step.

    Args:
        values: Of the steps 1, 2, 3, ...
        over: Steps to average over, at least 1.

    Returns:
        The last step of every stretch of that length, and the mean over the stretch.
    """
    ends = range(over, len(values) + 1)
    return (
        tuple(float(end) for end in ends),
        tuple(sum(values[end - over : end]) / over for end in ends),
    )


def slope_of(values: Sequence[float]) -> float:
    """Return the slope of the straight line that fits numbers at 0, 1, 2, ... best.

    Args:
        values: At least two numbers; what is not finite is left out.

    Returns:
        Change from one place to the next; ``nan`` where fewer than two are finite.
    """
    known = [(place, value) for place, value in enumerate(values) if math.isfinite(value)]
    if len(known) < 2:
        return math.nan
    middle = sum(place for place, _ in known) / len(known)
    mean = sum(value for _, value in known) / len(known)
    above = sum((place - middle) * (value - mean) for place, value in known)
    return above / sum((place - middle) ** 2 for place, _ in known)
