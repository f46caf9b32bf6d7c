"""Deep kernel shaping, folded into weights and biases: a new start, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.chains import Chain, chain_of, inner_tap
from unvanish.treat.layerwise import (
    DRAWING,
    EXCHANGES,
    MEASURING,
    NOT_PLAIN,
    SHAPING,
)
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.shaping import (
    chain_in,
    draw,
    read,
    shapes_for,
    written,
)

ZETA = 1.5
"""Slope of a whole network's correlation map at 1, as the paper sets it."""


@final
@dataclass(frozen=True, kw_only=True)
class FoldedKernelShape:
    r"""Start a deep plain network so that it behaves like a shallow one (folded DKS).

    ## When to use
    A plain network, however deep, of a smooth function: sigmoid, tanh, GELU, SiLU, softplus,
    Mish, softsign, ELU, SELU, erf, or a leaky ReLU. It is the one start that works for all of
    them. Architecture, functions and code stay as they are.

    ## What it changes
    The function phi is to act as s (phi(a x + b) + c), with constants for which a signal of mean
    square 1 keeps it, has mean 0, and two inputs are told apart at the end about as well as at
    the beginning. a and b go into the weight and bias of the layer before the function, s and c
    into those of the layer behind it:

        W = a s Q,   bias = b + c (sum over the inputs of W)

    Q is orthogonal and keeps the mean square of a unit. A convolution has one tap that is not
    zero (delta-orthogonal), which never meets the padding: a zero there would stand for s c, and
    the bias would be wrong along the border. A layer that reads the data keeps all taps; it is
    scaled, and its bias takes the mean of the data off, as measured on the batch.

    ## What it costs
    What was learnt in all layers is lost. Two forward passes over one batch.

    ## Settings
    `zeta`: 1.5, the slope of the whole network's correlation map at 1; `depth`: functions in a
    row; `centre inputs` and `settle sizes`: true; and the four constants of each function that
    were solved for from these, which are what is used.

    ## Where we differ
    The paper changes the function and keeps the weights plain; folding is the same network at the
    start, to rounding, but the layers' steps differ: weights are larger by a s (5.5 for sigmoid),
    and their inputs smaller by s. Adam does not mind; SGD needs a smaller learning rate. The paper
    normalises each input to length 1; here the data are standardised by the first layer,
    and every layer behind it is multiplied so that its signal has mean square 1 on the batch,
    from which narrow layers stray. Residual networks are refused: their constants depend on the
    graph.

    ## Composes with
    Any optimiser; a loss or data remedy. Not with normalisation, dropout or connections past
    layers, nor with another initialisation.

    ## Evidence
    Digits, 30 plain layers of 64 units, Adam, 300 steps, the better of two learning rates for
    every arm, one seed, share of the test images (`python -m benchmarks.starts`; a guess is
    0.1): GELU 0.978 (untouched 0.078), SiLU 0.972 (0.078), softplus 0.947 (0.094), tanh 0.939
    (0.194), sigmoid 0.911 (0.094). The gradient of 1,000 sigmoid layers lost 853 decades on
    its way and changes by 1.4 afterwards, most of it at the last layer, by the scale s; that
    of 300 convolutions with GELU 167 and 1.5. Outputs for different inputs have a cosine below
    0.1.

    ## Source
    Martens and others (2021); Xiao and others (2018) for the kernels with one tap.
    """

    name: ClassVar[str] = "folded-kernel-shape"
    treats: ClassVar[frozenset[str]] = frozenset(
        {"UV101", "UV102", "UV103", "UV104", "UV105", "UV106", "UV201"}
    )
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["martens2021"], SOURCES["xiao2018"])
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = (DRAWING | NOT_PLAIN | MEASURING | SHAPING) - {
        "folded-kernel-shape"
    }

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a plain network of layers with biases and functions for which constants exist."""
        chain = chain_of(case)
        if isinstance(chain, NotApplicable):
            return chain
        if chain.dropout:
            return NotApplicable(
                f"{chain.dropout} drops values: a dropped value would stand for a large one, "
                "since the mean of a function is folded into biases; shaped-activation bears it"
            )
        lacking = _without_bias(chain, case)
        if lacking:
            return NotApplicable(
                f"{lacking} has no trained bias of its own that could take over a shift; "
                "shaped-activation needs none"
            )
        border = _padding_met(chain, case.model)
        if border:
            return NotApplicable(f"{border}, through which no shift can be folded")
        shapes = shapes_for(chain, case, ZETA)
        if isinstance(shapes, str):
            return NotApplicable(shapes)
        return Prescription(
            remedy=self.name,
            why=f"{chain.depth} functions in a row without a connection past them: "
            + ", ".join(chain.functions),
            change=self.change,
            keeps=self.keeps,
            settings={
                "depth": chain.depth,
                "zeta": ZETA,
                "centre inputs": True,
                "settle sizes": True,
                **written(shapes),
            },
            places=chain.weights,
            cost="what all layers have learnt; SGD needs a smaller learning rate",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Draw every layer with the constants in it."""
        chain = chain_in(patient)
        draw(
            patient,
            chain,
            read(prescription, chain.functions),
            centred=bool(prescription.settings["centre inputs"]),
            settled=bool(prescription.settings["settle sizes"]),
        )


def _padding_met(chain: Chain, model: nn.Module) -> str:
    """Name a layer that pads a function's output in a way no constant can be folded through."""
    for path, module in model.named_modules():
        if isinstance(module, nn.AvgPool1d | nn.AvgPool2d | nn.AvgPool3d):
            padding = module.padding if isinstance(module.padding, tuple) else (module.padding,)
            if any(padding) and module.count_include_pad:
                return f"{path} averages over zeros at the border"
    for link in chain.links:
        if link.reads_data or not link.layer.site.function.startswith("conv"):
            continue
        module = model.get_submodule(link.layer.path) if link.layer.path else model
        if not isinstance(module, nn.modules.conv._ConvNd):
            continue  # a function: what it pads with is seen when it is called
        if inner_tap(module, tuple(module.kernel_size)) is None:
            return f"every tap of {link.layer.path} meets the padding"
    return ""


def _without_bias(chain: Chain, case: Case) -> str:
    """Name a layer that lacks a bias of its own that is trained; empty where none does."""
    trained = {p.name for p in case.anatomy.recording.parameters if p.requires_grad}
    held = [link.layer.bias for link in chain.links]
    for link in chain.links:
        bias = link.layer.bias
        if not bias or bias not in trained or held.count(bias) > 1:
            return link.layer.path or link.layer.weight
    return ""
