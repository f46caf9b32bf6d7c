"""Recurrent layers whose state is detached every few steps: truncated backpropagation."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from unvanish.treat.twins import twin_of

State = Tensor | tuple[Tensor, ...] | None
"""What a layer hands from step to step: one tensor, or two for an LSTM."""


@dataclass(frozen=True, slots=True)
class Regularly(Container[int]):
    """The calls before which a state is cut: one in every few, and never the first.

    Attributes:
        every: Steps from one cut to the next.
        offset: First step at which one may come, so that the last piece is a whole one.
    """

    every: int
    offset: int

    def __contains__(self, call: object) -> bool:
        """Tell whether the state is cut before a call."""
        return isinstance(call, int) and call > 0 and call % self.every == self.offset


class Cut(nn.Module):
    """What is given, without its gradient."""

    def forward(self, state: State) -> State:
        """Return the state detached."""
        return _map(state, Tensor.detach)


class TruncatedRNN(nn.RNN):
    """An `nn.RNN` whose state is detached every few steps."""

    every: int

    def forward(self, input: Any, hx: State = None) -> Any:
        """Run in pieces, as `nn.RNN` runs at once."""
        return _in_pieces(super().forward, self, self.every, input, hx)


class TruncatedLSTM(nn.LSTM):
    """An `nn.LSTM` whose state is detached every few steps."""

    every: int

    def forward(self, input: Any, hx: State = None) -> Any:
        """Run in pieces, as `nn.LSTM` runs at once."""
        return _in_pieces(super().forward, self, self.every, input, hx)


class TruncatedGRU(nn.GRU):
    """An `nn.GRU` whose state is detached every few steps."""

    every: int

    def forward(self, input: Any, hx: State = None) -> Any:
        """Run in pieces, as `nn.GRU` runs at once."""
        return _in_pieces(super().forward, self, self.every, input, hx)


_TRUNCATED: Final[dict[type[nn.Module], Any]] = {
    nn.RNN: TruncatedRNN,
    nn.LSTM: TruncatedLSTM,
    nn.GRU: TruncatedGRU,
}


def truncated(layer: nn.RNNBase, every: int) -> nn.Module:
    """Return a layer with the same parameters whose state is detached every few steps.

    Args:
        layer: An `nn.RNN`, `nn.LSTM` or `nn.GRU` that reads in one direction.
        every: Steps from one cut to the next.
    """
    new = twin_of(layer)
    new.__class__ = _TRUNCATED[type(layer)]
    new.every = every  # type: ignore[assignment]
    return new


def pieces_of(steps: int, every: int) -> list[int]:
    """Return the lengths of the pieces that a sequence is run in; a short one comes first.

    What is read at the end of a sequence then hears a whole piece.

    Args:
        steps: Length of the sequence.
        every: Length of a piece.

    Example:
        >>> pieces_of(10, 4)
        [2, 4, 4]
    """
    short = steps % every
    return [*([short] if short else []), *[every] * (steps // every)]


def _in_pieces(run: Callable[..., Any], layer: Any, every: int, signal: Any, state: State) -> Any:
    if not torch.is_grad_enabled():
        return run(signal, state)
    if isinstance(signal, PackedSequence):
        return _packed_in_pieces(run, every, signal, state)
    axis = 1 if layer.batch_first and signal.dim() > 2 else 0
    outputs: list[Tensor] = []
    for piece in signal.split(pieces_of(signal.shape[axis], every), axis):
        output, state = run(piece, state if not outputs else _map(state, Tensor.detach))
        outputs.append(output)
    return torch.cat(outputs, axis), state


def _packed_in_pieces(
    run: Callable[..., Any], every: int, packed: PackedSequence, state: State
) -> tuple[PackedSequence, State]:
    """Run a packed batch, from which short sequences drop out: their states wait for the end."""
    state = _ordered(state, packed.sorted_indices)
    counts = packed.batch_sizes.split(pieces_of(len(packed.batch_sizes), every))
    rows = packed.data.split([int(count.sum()) for count in counts])
    outputs: list[Tensor] = []
    for data, count in zip(rows, counts, strict=True):
        running = int(count[0])
        given = _map(state, partial(torch.narrow, dim=1, start=0, length=running))
        if outputs:
            given = _map(given, Tensor.detach)
        output, new = run(PackedSequence(data, count), given)
        outputs.append(output.data)
        state = _joined(new, state, running)
    indices = packed.sorted_indices, packed.unsorted_indices
    output = PackedSequence(torch.cat(outputs), packed.batch_sizes, *indices)
    return output, _ordered(state, packed.unsorted_indices)


def _joined(new: State, old: State, running: int) -> State:
    """Return the states of the sequences that run on, and behind them of those that ended."""
    if isinstance(new, tuple):
        before = old if isinstance(old, tuple) else (None,) * len(new)
        return tuple(_beside(a, b, running) for a, b in zip(new, before, strict=True))
    return _beside(new, old, running)


def _beside(new: Any, old: Any, running: int) -> Tensor:
    joined: Tensor = new if old is None else torch.cat([new, old[:, running:]], 1)
    return joined


def _ordered(state: State, indices: Tensor | None) -> State:
    return state if indices is None else _map(state, lambda t: t.index_select(1, indices))


def _map(state: State, change: Callable[[Tensor], Tensor]) -> State:
    if isinstance(state, tuple):
        return tuple(change(one) for one in state)
    return None if state is None else change(state)
