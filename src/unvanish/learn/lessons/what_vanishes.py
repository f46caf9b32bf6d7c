"""Lesson: what vanishes, measured in decades a layer."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from unvanish.core.lessons import Curves, Evidence, Point, Relation, Scale, Series, Table
from unvanish.core.sources import SOURCES
from unvanish.learn.data import CLASSES, shapes
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import ACTIVATIONS, STARTS, grad_by_layer, plain, slope_of, started
from unvanish.learn.settings import one_of, seed, whole
from unvanish.observe import trace


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the network is made of."""

    depth: int = whole(20, least=4, most=200, meaning="hidden layers")
    width: int = whole(64, least=8, most=512, meaning="units of a hidden layer")
    activation: str = one_of("sigmoid", tuple(ACTIVATIONS), meaning="activation function")
    init: str = one_of("default", STARTS, meaning="initialisation")
    seed: int = seed()


def experiment(settings: Settings) -> Evidence:
    """Look once at a fresh network, and read the gradient layer by layer."""
    batch = shapes(256, settings.seed)
    untouched = plain(
        settings.depth,
        width=settings.width,
        activation=settings.activation,
        outputs=CLASSES,
    )
    model = started(untouched, settings.init, batch, "cross_entropy")
    decades = grad_by_layer(trace(model, batch, "cross_entropy"))
    lost = decades[-1] - decades[0]
    a_layer = slope_of(decades)
    last = len(decades) - 1
    middle = fmean(decades)
    straight = [middle + a_layer * (at - last / 2) for at in range(len(decades))]
    off = max(abs(one - other) for one, other in zip(decades, straight, strict=True))
    layers = tuple(float(layer) for layer in range(1, len(decades) + 1))
    return Evidence(
        points=(
            Point(
                says="decades lost from the output layer down to the first layer",
                measured=lost,
                relation=Relation.AT_LEAST,
                limit=3.0,
                unit="decades",
            ),
            Point(
                says="decades lost by every layer, from the straight line that fits best",
                measured=a_layer,
                relation=Relation.AT_LEAST,
                limit=0.15,
                unit="decades a layer",
            ),
            Point(
                says="farthest that any layer lies from that line, as a share of the whole loss",
                measured=off / abs(lost) if lost else float("nan"),
                relation=Relation.AT_MOST,
                limit=0.25,
            ),
        ),
        tables=(
            Table(
                title="gradient at the output of a layer, root mean square",
                columns=("layer", "log10", "share of the last"),
                rows=tuple(
                    (at + 1, decades[at], f"1e{decades[at] - decades[-1]:+.1f}")
                    for at in sorted({0, last // 4, last // 2, 3 * last // 4, last})
                ),
            ),
        ),
        plots=(
            Curves(
                title="Gradient at every layer",
                x_label="layer, from the input",
                y_label="gradient (rms)",
                y_scale=Scale.DECADES,
                series=(
                    Series(name="measured", x=layers, y=decades, dots=True),
                    Series(name="straight line", x=layers, y=tuple(straight)),
                ),
            ),
        ),
        notes=(
            f"A weight of the first layer would have to be trained 1e{lost:.1f} times as long to "
            "move as far as one of the last, if both had the same input and learning rate.",
        ),
    )


LESSON = Lesson(
    name="what-vanishes",
    title="The gradient shrinks alike at every layer",
    claim=(
        "In a deep plain network of sigmoids the gradient shrinks by about the same factor at "
        "every layer, so that the early layers get exponentially less of it than the late ones."
    ),
    text="""
Training changes a weight in proportion to the gradient of the loss. Going back from the loss to an
early layer, the chain rule multiplies one factor for each layer on the way:

    dL/dh_1 = dL/dh_n * J_n * J_(n-1) * ... * J_2
    J_l     = diag(phi'(z_l)) W_l

Where these factors are mostly smaller than one, their product shrinks exponentially with the number
of layers. That is the vanishing gradient. It is measured in *decades*: powers of ten between the
gradient at the output layer and the gradient here. Three decades are a factor of a thousand.

Decades add where factors multiply. A network that loses half a decade a layer loses ten in twenty
layers, and a plot of decades against layers is a straight line. Its slope, in decades a layer, is
the one number that tells how sick a plain network is, whatever its depth.

What counts is the *ratio* between layers. A small gradient everywhere is no sickness: a larger
learning rate mends it, or a loss in other units. A gradient that is a million times smaller in the
first layer than in the last cannot be mended by any one learning rate.
""",
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "A plain sigmoid network with PyTorch's default weights whose first layer gets more than a "
        "thousandth of the last layer's gradient, or whose loss of decades is not spread evenly "
        "over the layers."
    ),
    counterexample={"activation": "relu", "init": "he"},
    question=(
        "A network loses 0.6 decades a layer. You double its depth from 10 to 20 layers. By what "
        "factor does the gradient of the first layer shrink?"
    ),
    answer=(
        "Ten more layers take six more decades: a factor of a million. Depth enters the exponent."
    ),
    sources=(SOURCES["hochreiter1991"], SOURCES["bengio1994"], SOURCES["glorot2010"]),
)
