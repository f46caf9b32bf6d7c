"""What happened on the way that no number at a site can say: cuts, strays, lookups, gaps."""

from __future__ import annotations

from dataclasses import dataclass

from unvanish.core.places import SourceLine


@dataclass(frozen=True, slots=True)
class Cut:
    """A call that lets a value pass on towards the loss but not the gradient back.

    Attributes:
        op: What was called: ``"detach"``, ``"data"``, ``"argmax"``, or any operation under
            ``no_grad``.
        path: Path of the module that called it.
        source: The user's line.
        parameters: Names of the parameters whose values pass here.
        under: What kept the gradient from being recorded: ``"no_grad"``, ``"checkpoint"``
            for a reentrant checkpoint none of whose inputs asks for a gradient, ``"sample"``
            for a draw by a distribution of PyTorch's that could draw with a gradient,
            ``"derivative"`` for a derivative without ``create_graph`` that the loss is made of,
            ``"export"`` where the value goes on to numpy or to Python numbers and comes back
            from there, or ``""`` where the call itself lets none through.
        writes: Whether the call wrote into a tensor behind autograd's back: the gradient
            passes on, but knows nothing of the change.
        package: Installed package whose own line cuts; empty where the user's does.
        blinds: Whether the loss meets the target behind calls like this one alone: no
            gradient that is left depends on the target.
        feeds: For a random draw, names of the trainable parameters of the layers that work on
            what was drawn, on a way with a gradient to the loss; empty where its likelihood is
            computed, as of an action.
    """

    op: str
    path: str
    source: SourceLine | None
    parameters: tuple[str, ...] = ()
    under: str = ""
    writes: bool = False
    package: str = ""
    blinds: bool = False
    feeds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stray:
    """A trainable tensor that the network uses and does not register as its parameter.

    Attributes:
        site: The first step that uses it.
        shape: Its shape.
        in_optimizer: Whether the user's optimiser holds it; None where none was given.
        drawn: Whether the forward pass itself makes it, of random numbers, anew every time.
    """

    site: int
    shape: tuple[int, ...] = ()
    in_optimizer: bool | None = None
    drawn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncation:
    """A loop over time whose state comes to every step without its gradient.

    Attributes:
        op: The weight-bearing call of a step, such as ``"gru_cell"``.
        path: Path of the module that makes it.
        cut: What lets no gradient back to the step before: ``"detach"``.
        source: The user's line that cuts.
        parameters: Names of the parameters of the call.
        steps: Number of steps.
        trained_steps: Those among them that the gradient of the loss reaches.
    """

    op: str
    path: str
    cut: str
    source: SourceLine | None
    parameters: tuple[str, ...] = ()
    steps: int
    trained_steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """Rows of a table, chosen by what an encoder made, that hand it no gradient back.

    Attributes:
        op: What chose: ``"argmin"``.
        path: Path of the module that chose.
        source: The user's line that looked the rows up.
        table: Names of the parameters that the table is made of; none for a buffer.
        parameters: Names of the parameters of what the rows were compared with: the encoder's.
        feeds: Names of the parameters of the layers that work on the rows, on a way with a
            gradient to the loss: the decoder's.
    """

    op: str
    path: str
    source: SourceLine | None
    table: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Whether answers depend on other samples of the batch, and the call that mixes them.

    Attributes:
        others: Samples of the batch beside the one whose input was exchanged for another's.
        changed: Those among them whose answers changed with it.
        share: Root mean square of the change of their answers, over that of the changed sample's.
        op: What mixes them: ``"lstm"``, ``"softmax"``; empty where nothing does, or something
            that is meant to.
        path: Path of the module that calls it.
        is_torn: Whether no dimension of what came to that call was that of the samples any more.
        is_single: Whether the sequence that was meant to be is of one step.
        shape: Shape of what came to that call.
    """

    others: int
    changed: int
    share: float
    op: str = ""
    path: str = ""
    is_torn: bool = False
    is_single: bool = False
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that could not be seen, and why. Not measured is not healthy."""

    what: str
    why: str
    site: int | None = None
