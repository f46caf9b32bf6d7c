"""Lesson: a recurrent network forgets, and what a gate has to do with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from unvanish.core.glossary import Quantity
from unvanish.core.lessons import Curves, Evidence, Point, Relation, Scale, Series, Table
from unvanish.core.prescriptions import Change, Prescription
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import accuracy, fit
from unvanish.learn.settings import number, seed, whole
from unvanish.observe import trace
from unvanish.theory.recurrent import carried
from unvanish.treat import treat

Task = tuple[Tensor, Tensor]

_KINDS: Final = 4
_SIZE: Final = 32
_NOISE: Final = 0.3
_CHRONO: Final = "LSTM, chrono"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How long to remember, and with what."""

    length: int = whole(50, least=10, most=150, meaning="time steps of a sequence")
    width: int = whole(32, least=8, most=64, meaning="units of the state")
    forget_bias: float = number(1.0, least=0, most=6, meaning="forget bias of the third network")
    steps: int = whole(150, least=20, most=400, meaning="training steps")
    learning_rate: float = number(0.02, least=0.0001, most=0.1, meaning="learning rate of Adam")
    seed: int = seed()


class Reader(nn.Module):
    """Reads a sequence and names, at its end or at every step, what its first entry was."""

    def __init__(
        self, cell: type[nn.RNN] | type[nn.LSTM], width: int, *, every_step: bool = False
    ) -> None:
        super().__init__()
        self.cell = cell(_KINDS + 1, width, batch_first=True)
        self.head = nn.Linear(width, _KINDS)
        self.every_step = every_step

    def forward(self, sequence: Tensor) -> Tensor:
        """Return one answer a sample, or one a step in the last axis."""
        states = self.cell(sequence)[0]
        if self.every_step:
            answers: Tensor = self.head(states).transpose(1, 2)
            return answers
        answer: Tensor = self.head(states[:, -1])
        return answer


def experiment(settings: Settings) -> Evidence:
    """Send a gradient back through time in five networks, and train three of them."""
    batch = recall(_SIZE, settings.length, settings.seed)
    plain = Reader(nn.RNN, settings.width)
    gated = Reader(nn.LSTM, settings.width)
    look = _look(gated, batch)
    bias = _bias_of(settings.forget_bias)
    biased, chrono = (
        treat(gated, remedy, batch, "cross_entropy", recording=look, seed=settings.seed).model
        for remedy in (bias, "chrono")
    )
    name_of_third = f"LSTM, bias {settings.forget_bias:g}"
    faded = {
        "RNN": _by_step(_look(plain, batch)),
        "LSTM": _by_step(look),
        name_of_third: _by_step(_look(biased, batch)),
        _CHRONO: _by_step(_look(chrono, batch)),
        "RNN, every step": _with_every_loss(plain, batch),
    }
    lost = {name: values[-1] - values[0] for name, values in faded.items()}
    start, third, best = (lost[name] for name in list(faded)[1:4])
    trained = {"LSTM": gated, name_of_third: biased, _CHRONO: chrono}
    learnt = {name: _trained(model, settings) for name, model in trained.items()}
    back = tuple(float(step - settings.length) for step in range(1, settings.length + 1))
    alone = {"LSTM": 0.0, name_of_third: settings.forget_bias}
    return Evidence(
        points=(
            Point(
                says="decades lost from the last step to the first, by an RNN and by an LSTM as "
                "PyTorch starts them, the smaller of the two",
                measured=min(lost["RNN"], start),
                relation=Relation.AT_LEAST,
                limit=4.0,
                unit="decades",
            ),
            Point(
                says=f"decades lost by the LSTM with a forget bias of {settings.forget_bias:g}",
                measured=third,
                relation=Relation.AT_LEAST,
                limit=2.0,
                unit="decades",
            ),
            Point(
                says="decades lost with biases that fit the length, as a share of what the LSTM "
                "loses as PyTorch starts it",
                measured=best / start if start > 0 else math.nan,
                relation=Relation.AT_MOST,
                limit=0.4,
            ),
            Point(
                says="decades that the RNN seems to lose where every step has a loss of its own",
                measured=lost["RNN, every step"],
                relation=Relation.AT_MOST,
                limit=1.5,
                unit="decades",
            ),
            Point(
                says="accuracy of recall with these biases, beyond the better of both other LSTMs",
                measured=learnt[_CHRONO] - max(learnt["LSTM"], learnt[name_of_third]),
                relation=Relation.AT_LEAST,
                limit=0.15,
            ),
        ),
        tables=(
            Table(
                title=f"from the last of {settings.length} steps back to the first",
                columns=("network", "lost (decades)", "lost a step", "forget gate alone"),
                rows=tuple(
                    (
                        name,
                        lost[name],
                        lost[name] / (settings.length - 1),
                        -math.log10(carried(alone[name], settings.length - 1))
                        if name in alone
                        else "-",
                    )
                    for name in faded
                ),
                note="The gate alone is -log10 of sigmoid(bias) to the power of the steps; what "
                "the LSTM loses less comes back through its other gates and its state.",
            ),
            Table(
                title="recall of the first entry at the last step, after training",
                columns=("network", "accuracy"),
                rows=(*learnt.items(), ("chance", 1 / _KINDS)),
            ),
        ),
        plots=(
            Curves(
                title="Gradient at every time step",
                x_label="time step, counted from the last",
                y_label="gradient",
                y_scale=Scale.DECADES,
                series=tuple(
                    Series(name=name, x=back, y=tuple(one - values[-1] for one in values))
                    for name, values in faded.items()
                ),
            ),
        ),
    )


def recall(count: int, length: int, seed: int) -> Task:
    """Return sequences whose first entry names one of four kinds, all else noise; and the kind.

    Args:
        count: How many.
        length: Time steps.
        seed: Seed of the drawing.
    """
    random = torch.Generator().manual_seed(seed)
    kinds = torch.randint(_KINDS, (count,), generator=random)
    sequences = torch.zeros(count, length, _KINDS + 1)
    sequences[:, 0, :_KINDS] = functional.one_hot(kinds, _KINDS).float()
    sequences[:, :, _KINDS] = _NOISE * torch.randn(count, length, generator=random)
    return sequences, kinds


def _look(model: nn.Module, batch: Task) -> Recording:
    return trace(model, batch, "cross_entropy", batches=1, probe_steps=0)


def _bias_of(bias: float) -> Prescription:
    """Ask for the forget bias of the lesson instead of that which the remedy would choose."""
    return Prescription(
        remedy="forget-bias",
        why="the setting of the lesson",
        change=Change.INITIALISATION,
        settings={"bias": bias},
        places=("cell.bias_ih_l0",),
    )


def _by_step(recording: Recording) -> list[float]:
    """Return the gradient at each time step that comes from the last one alone."""
    profile = recording[Quantity.LOG10_LAST_STEP_GRAD_RMS]
    found = [profile.get(site) for site in recording.signal_sites()]
    return [value for value in found if not math.isnan(value)]


def _with_every_loss(model: Reader, batch: Task) -> list[float]:
    """Return the gradient at each time step where the loss asks for an answer at all of them."""
    twin = Reader(nn.RNN, model.cell.hidden_size, every_step=True)
    twin.load_state_dict(model.state_dict())
    sequences, kinds = batch
    recording = _look(twin, (sequences, kinds[:, None].expand(-1, sequences.shape[1])))
    steps, profile = (
        recording[quantity]
        for quantity in (Quantity.LOG10_LAST_STEP_GRAD_RMS, Quantity.LOG10_ACTIVATION_GRAD_RMS)
    )
    sites = [site for site in recording.signal_sites() if not math.isnan(steps.get(site))]
    return [profile.get(site) for site in sites]


def _trained(model: nn.Module, settings: Settings) -> float:
    """Train in place, and return the accuracy on fresh sequences."""
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    first = 1 + settings.seed * 1000
    fit(
        model,
        (recall(_SIZE, settings.length, first + step) for step in range(settings.steps)),
        optimizer=optimizer,
    )
    return accuracy(model, *recall(512, settings.length, first - 1))


LESSON = Lesson(
    name="through-time",
    title="Time is depth: a gate has to stay open to remember",
    claim=(
        "Over the steps of a sequence a recurrent network loses its gradient as a deep one does "
        "over its layers, an LSTM included, even with the customary forget bias of 1. Biases that "
        "fit the length of the sequence lose the least, and only with them does it learn to recall."
    ),
    text="""
A recurrent network is a deep network whose layers share one matrix, a layer for each time step.
Back from the last state h_T to the state h_t the chain rule multiplies one factor a step:

    RNN    dh_T/dh_t = product of  diag(phi'(z_k)) W
    LSTM   dc_T/dc_t = product of  f_k,   f_k = sigmoid(... + b_f)

For an RNN the length of each factor is at most |W| * max phi'. Where that stays below one, an early
input has exponentially little say in what is learnt at the end.

The LSTM puts a gate f in the place of the matrix: its memory c is carried on by f and fed by a
second gate, and no matrix mixes it with that of other units. That helps only as long as f is near
one. PyTorch starts the forget bias b_f near zero: the gate stands at one half, and fifty steps
leave 1e-15 of a gradient along this way. A bias of 1 gives 0.731, and 0.731^50 is 1.6e-7. For a
memory of T steps the gate has to be about 1 - 1/T, so the bias about ln T. The chrono
initialisation draws the biases of the units so that their memories are spread over all lengths up
to T.

One reading misleads. Where every step has a loss of its own, as in a language model, each step gets
a gradient from its own loss, and the picture looks healthy. What travels from the end to the start
is seen only if the gradient enters at the last step alone.
""",
    belief=(
        '"LSTMs do not suffer from vanishing gradients", and "a forget bias of 1 is enough": '
        "neither holds by itself. The table has the decades that each of them loses."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "An RNN, or an LSTM as PyTorch starts it, that keeps more than a ten-thousandth of its "
        "gradient over fifty steps; a forget bias of 1 that keeps more than a hundredth; or biases "
        "fitted to the length that lose nearly as many decades, or train no better."
    ),
    counterexample={"forget_bias": 4},
    question=(
        "A memory has to last 1000 steps, and the gate alone may lose at most one factor of e. "
        "Which forget bias does that take?"
    ),
    answer="sigmoid(b) = e^(-1/1000) = 0.999, so b = ln(0.999 / 0.001) = 6.9, about ln 1000.",
    sources=(
        SOURCES["hochreiter1991"],
        SOURCES["bengio1994"],
        SOURCES["hochreiter1997"],
        SOURCES["gers2000"],
        SOURCES["jozefowicz2015"],
        SOURCES["tallec2018"],
        SOURCES["pascanu2013"],
    ),
)
