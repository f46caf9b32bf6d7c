"""Lesson: backpropagation through three neurons, every number written out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from unvanish.core.lessons import Curves, Evidence, Point, Relation, Scale, Series, Table, Working
from unvanish.core.sources import SOURCES
from unvanish.learn.lesson import Lesson
from unvanish.learn.settings import number, whole
from unvanish.observe import trace

_VISIBLE: Final = 1e-9
"""Share of the loss that a step has to take for float64 to tell how much it took."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The chain, what goes in, and what is wanted."""

    depth: int = whole(3, least=2, most=8, meaning="neurons in the chain")
    x: float = number(1.0, least=-10, most=10, meaning="input")
    weight: float = number(0.5, least=-10, most=10, meaning="every weight at the start")
    target: float = number(0.8, least=0, most=1, meaning="wanted output")
    learning_rate: float = number(0.1, least=0.001, most=10, meaning="learning rate")


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward and backward pass, by hand.

    Attributes:
        z: What goes into each neuron.
        y: What comes out, the input first.
        loss: Half the squared error.
        slopes: y (1 - y) of each neuron.
        to_output: dL/dy of each neuron.
        to_weight: dL/dW of each weight.
    """

    z: tuple[float, ...]
    y: tuple[float, ...]
    loss: float
    slopes: tuple[float, ...]
    to_output: tuple[float, ...]
    to_weight: tuple[float, ...]


def passed(x: float, weights: tuple[float, ...], target: float) -> Pass:
    """Run a chain of sigmoid neurons forward and backward, one multiplication after the other."""
    z, y = [], [x]
    for weight in weights:
        z.append(weight * y[-1])
        y.append(1.0 / (1.0 + math.exp(-z[-1])))
    slopes = [out * (1.0 - out) for out in y[1:]]
    to_output = [y[-1] - target]
    for weight, slope in zip(reversed(weights[1:]), reversed(slopes[1:]), strict=True):
        to_output.insert(0, to_output[0] * slope * weight)
    to_weight = [
        to_y * slope * given for to_y, slope, given in zip(to_output, slopes, y, strict=False)
    ]
    return Pass(
        tuple(z), tuple(y), 0.5 * (y[-1] - target) ** 2, tuple(slopes), tuple(to_output),
        tuple(to_weight),
    )  # fmt: skip


def experiment(settings: Settings) -> Evidence:
    """Do the sum by hand, by autograd and by a look of unvanish, and compare."""
    weights = (settings.weight,) * settings.depth
    before = passed(settings.x, weights, settings.target)
    stepped = tuple(
        weight - settings.learning_rate * slope
        for weight, slope in zip(weights, before.to_weight, strict=True)
    )
    after = passed(settings.x, stepped, settings.target)
    model = _chain(weights)
    batch = (_number(settings.x), _number(settings.target))
    loss = _half_squared_error(model(batch[0]), batch[1])
    loss.backward()
    by_autograd = [float(one.grad) for one in model.parameters() if one.grad is not None]
    look = trace(model, batch, _half_squared_error)
    by_look = [
        math.copysign(10.0**one.log10_grad_rms, sign)
        for one, sign in zip(look.parameters, by_autograd, strict=True)
    ]
    off = max(
        _apart(hand, other)
        for others in (by_autograd, by_look)
        for hand, other in zip(before.to_weight, others, strict=True)
    )
    last = settings.depth
    shrinks = abs(before.to_weight[-1] / before.to_weight[0]) if before.to_weight[0] else math.nan
    promised = settings.learning_rate * sum(one**2 for one in before.to_weight)
    points = [
        Point(
            says=f"gradient of W{last} over the gradient of W1",
            measured=shrinks,
            relation=Relation.AT_LEAST,
            limit=10.0,
        ),
        Point(
            says="largest relative difference between the sum by hand, autograd and a look",
            measured=off,
            relation=Relation.AT_MOST,
            limit=1e-12,
        ),
    ]
    if promised > _VISIBLE * before.loss:
        points += [
            Point(
                says="what one step takes from the loss, against rate times squared gradient",
                measured=(before.loss - after.loss) / promised,
                relation=Relation.ABOUT,
                limit=1.0,
                tolerance=0.1,
            )
        ]
    is_printed = settings == Settings()
    if is_printed:
        points += [
            Point(
                says="y3 rounded to four places",
                measured=round(before.y[3], 4),
                relation=Relation.EXACTLY,
                limit=0.5717,
            ),
            Point(
                says="loss rounded to four places",
                measured=round(before.loss, 4),
                relation=Relation.EXACTLY,
                limit=0.0261,
            ),
        ]
    return Evidence(
        points=tuple(points),
        working=tuple(_working(settings, weights, before, stepped, after)),
        tables=(
            *((_misprints(before),) if is_printed else ()),
            Table(
                title="what each neuron does to the gradient on its way down",
                columns=("neuron", "slope y(1-y)", "weight", "factor", "decades"),
                rows=tuple(
                    (
                        f"{at + 1}",
                        before.slopes[at],
                        weights[at],
                        before.slopes[at] * weights[at],
                        math.log10(abs(before.slopes[at] * weights[at]) or math.nan),
                    )
                    for at in reversed(range(last))
                ),
                note="The slope is never above 1/4, so a weight smaller than 4 shrinks it.",
            ),
        ),
        plots=(
            Curves(
                title="Gradient of every weight, and the most that the slopes let through",
                x_label="weight, from the input",
                y_label="|dL/dW|",
                y_scale=Scale.DECADES,
                series=(
                    Series(
                        name="|dL/dW|",
                        x=tuple(range(1, last + 1)),
                        y=tuple(_log10(one) for one in before.to_weight),
                        dots=True,
                    ),
                    Series(
                        name="if every slope were 1/4",
                        x=tuple(range(1, last + 1)),
                        y=tuple(
                            _log10(
                                (before.y[-1] - settings.target)
                                * (0.25 * settings.weight) ** (last - 1 - at)
                                * 0.25
                                * before.y[at]
                            )
                            for at in range(last)
                        ),
                    ),
                ),
            ),
        ),
    )


def _working(
    settings: Settings,
    weights: tuple[float, ...],
    before: Pass,
    stepped: tuple[float, ...],
    after: Pass,
) -> list[Working]:
    """Write out both forward passes, the backward pass and the update."""
    last, target, rate = settings.depth, settings.target, settings.learning_rate
    lines = [*_forward(weights, before)]
    lines += [_loss_line(last, before, target)]
    to_y = before.to_output
    lines.append(
        Working(
            text=f"dL/dy{last} = y{last} - t = {_n(before.y[-1])} - {_n(target)} = {_n(to_y[-1])}",
            latex=rf"\frac{{\partial L}}{{\partial y_{last}}} = y_{last} - t = "
            rf"{_n(before.y[-1])} - {_n(target)} = {_l(to_y[-1])}",
        )
    )
    for at in reversed(range(last)):
        k = at + 1
        lines.append(
            Working(
                text=f"sigma'(z{k}) = y{k} (1 - y{k}) = {_n(before.y[k])} * {_n(1 - before.y[k])} "
                f"= {_n(before.slopes[at])}",
                latex=rf"\sigma'(z_{k}) = y_{k}(1 - y_{k}) = {_n(before.y[k])} \cdot "
                rf"{_n(1 - before.y[k])} = {_l(before.slopes[at])}",
            )
        )
        given = f"y{at}" if at else "x0"
        given_latex = f"y_{at}" if at else "x_0"
        lines.append(
            Working(
                text=f"dL/dW{k} = dL/dy{k} * sigma'(z{k}) * {given} = {_n(to_y[at])} * "
                f"{_n(before.slopes[at])} * {_n(before.y[at])} = {_n(before.to_weight[at])}",
                latex=rf"\frac{{\partial L}}{{\partial W_{k}}} = \frac{{\partial L}}"
                rf"{{\partial y_{k}}}\,\sigma'(z_{k})\,{given_latex} = {_l(to_y[at])} \cdot "
                rf"{_l(before.slopes[at])} \cdot {_l(before.y[at])} = {_l(before.to_weight[at])}",
            )
        )
        if at:
            lines.append(
                Working(
                    text=f"dL/dy{at} = dL/dy{k} * sigma'(z{k}) * W{k} = {_n(to_y[at])} * "
                    f"{_n(before.slopes[at])} * {_n(weights[at])} = {_n(to_y[at - 1])}",
                    latex=rf"\frac{{\partial L}}{{\partial y_{at}}} = \frac{{\partial L}}"
                    rf"{{\partial y_{k}}}\,\sigma'(z_{k})\,W_{k} = {_l(to_y[at])} \cdot "
                    rf"{_l(before.slopes[at])} \cdot {_l(weights[at])} = {_l(to_y[at - 1])}",
                )
            )
    for at in reversed(range(last)):
        k = at + 1
        lines.append(
            Working(
                text=f"W{k} <- W{k} - {_n(rate)} * dL/dW{k} = {_n(weights[at])} - {_n(rate)} * "
                f"({_n(before.to_weight[at])}) = {_n(stepped[at])}",
                latex=rf"W_{k} \leftarrow W_{k} - {_l(rate)}\,\frac{{\partial L}}"
                rf"{{\partial W_{k}}} = {_l(weights[at])} - {_l(rate)} \cdot "
                rf"({_l(before.to_weight[at])}) = {_l(stepped[at])}",
            )
        )
    return [*lines, *_forward(stepped, after), _loss_line(last, after, target)]


def _forward(weights: tuple[float, ...], one: Pass) -> list[Working]:
    lines = []
    for at, weight in enumerate(weights):
        k = at + 1
        given, given_latex = (f"y{at}", f"y_{at}") if at else ("x0", "x_0")
        lines.append(
            Working(
                text=f"z{k} = W{k} {given} = {_n(weight)} * {_n(one.y[at])} = {_n(one.z[at])}",
                latex=rf"z_{k} = W_{k} {given_latex} = {_l(weight)} \cdot {_l(one.y[at])} = "
                rf"{_l(one.z[at])}",
            )
        )
        lines.append(
            Working(
                text=f"y{k} = sigma(z{k}) = 1 / (1 + exp({_n(-one.z[at])})) = {_n(one.y[k])}",
                latex=rf"y_{k} = \sigma(z_{k}) = \frac{{1}}{{1 + e^{{{_n(-one.z[at])}}}}} = "
                rf"{_l(one.y[k])}",
            )
        )
    return lines


def _loss_line(last: int, one: Pass, target: float) -> Working:
    return Working(
        text=f"L = 1/2 (y{last} - t)^2 = 1/2 ({_n(one.y[-1])} - {_n(target)})^2 = {_n(one.loss)}",
        latex=rf"L = \frac{{1}}{{2}}(y_{last} - t)^2 = \frac{{1}}{{2}}({_l(one.y[-1])} - "
        rf"{_l(target)})^2 = {_l(one.loss)}",
    )


def _misprints(before: Pass) -> Table:
    return Table(
        title="rounded correctly, and as a widely read text prints it",
        columns=("quantity", "exact", "four places", "the text"),
        rows=(
            ("y3", _n(before.y[3]), f"{before.y[3]:.4f}", "0.5716"),
            ("L", _n(before.loss), f"{before.loss:.4f}", "0.0262"),
        ),
        note="The text cuts y3 off instead of rounding it. Its loss follows from no y3 that it "
        "could have: 0.0262 needs one below 0.5714.",
    )


def _chain(weights: tuple[float, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for weight in weights:
        layer = nn.Linear(1, 1, bias=False, dtype=torch.float64)
        nn.init.constant_(layer.weight, weight)
        layers += [layer, nn.Sigmoid()]
    return nn.Sequential(*layers)


def _half_squared_error(output: Tensor, target: Tensor) -> Tensor:
    return 0.5 * (output - target).square().sum()


def _number(value: float) -> Tensor:
    return torch.tensor([[value]], dtype=torch.float64)


def _apart(one: float, other: float) -> float:
    return abs(one - other) / abs(one) if one else abs(other)


def _log10(value: float) -> float:
    return math.log10(abs(value)) if value else -math.inf


def _n(value: float) -> str:
    """Return a number to nine significant digits, without an exponent where that is readable."""
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        digits = 9 - (math.floor(math.log10(abs(value))) + 1 if value else 1)
        text = f"{value:.{max(digits, 0)}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.8e}"


def _l(value: float) -> str:
    mantissa, has_exponent, exponent = _n(value).partition("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}" if has_exponent else mantissa


LESSON = Lesson(
    name="worked-example",
    title="Three neurons, every number of the backward pass",
    claim=(
        "In a chain of three sigmoid neurons the gradient of the first weight is more than ten "
        "times smaller than that of the last, and every number of it can be worked out by hand."
    ),
    text="""
Three sigmoid neurons stand in a row. Each multiplies what it gets by its weight and squashes it:

    z_k = W_k y_(k-1)        y_k = sigma(z_k) = 1 / (1 + exp(-z_k))

The input y_0 is x0 = 1, every weight is 0.5, and the output should be t = 0.8. The loss is half the
squared error. Its gradient is found from the back to the front, by two rules used in turn:

    dL/dW_k     = dL/dy_k * sigma'(z_k) * y_(k-1)
    dL/dy_(k-1) = dL/dy_k * sigma'(z_k) * W_k

The slope needs no new exponential: sigma'(z) = y (1 - y). It is at most 1/4, reached at z = 0. So
each neuron multiplies what passes through it by at most 0.25 * 0.5 = 0.125, which is 0.9 decades
lost, although none of them is saturated. Two neurons lie between W3 and W1: at least a factor of
64, of which the smaller input of W3 (y_2 instead of 1) gives a part back.

Below stands the whole calculation: forward, loss, backward, one step of gradient descent, and the
second forward pass, to nine digits. The step should lower the loss by about the learning rate times
the sum of the squared gradients: that is what a gradient promises for a small step.
""",
    belief=(
        "A widely read text on the vanishing gradient prints y3 = 0.5716 and L = 0.0262 for this "
        "very example. Both are wrong in the last digit; the table below has the right ones."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "A digit below that differs from what you work out with a calculator, or from what "
        "`loss.backward()` fills in; or a chain of such weights whose first gradient is no ten "
        "times smaller than its last."
    ),
    counterexample={"depth": 2},
    question=(
        "How large would the weights have to be for a neuron at z = 0 to pass the gradient on as "
        "it is, and what then becomes of z?"
    ),
    answer=(
        "4, since 0.25 * 4 = 1. But y = 0.5 then gives the next neuron z = 2, where the slope is "
        "0.105 and not 0.25: it passes on 0.42. Large weights push a sigmoid out of its middle."
    ),
    sources=(SOURCES["rumelhart1986"], SOURCES["nielsen2015"]),
)
