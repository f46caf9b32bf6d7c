"""Recurrent layers and cells that standardise what each gate sums up, at every step.

They are called, and return, as those of `torch.nn` do, and have all of their parameters by the
same names. They hold gains beside them: ``norm_ih`` and ``norm_hh`` for what comes from the input
and from the state, and in an LSTM ``norm_cell`` and ``norm_cell_shift`` for the cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

EPSILON: Final = 1e-5
"""Added to the variance, as in PyTorch's LayerNorm."""

_GATES: Final = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}

_NAMES: Final = (
    "weight_ih weight_hh bias_ih bias_hh norm_ih norm_hh norm_cell norm_cell_shift".split()
)

State = tuple[Tensor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recurrence:
    """The parameters of one layer in one direction, and what it computes from step to step."""

    mode: str
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    norm_ih: Tensor
    norm_hh: Tensor
    norm_cell: Tensor | None
    norm_cell_shift: Tensor | None

    def read(self, signal: Tensor) -> Tensor:
        """Return what the gates hear from the input, at every step at once."""
        return self._heard(signal, self.weight_ih, self.norm_ih, self.bias_ih)

    def step(self, read: Tensor, state: State) -> State:
        """Return the next state."""
        hidden = state[0]
        recalled = self._heard(hidden, self.weight_hh, self.norm_hh, self.bias_hh)
        if self.mode == "LSTM":
            return self._lstm(read + recalled, state[1])
        if self.mode == "GRU":
            return (_gru(read, recalled, hidden),)
        summed = read + recalled
        return (torch.relu(summed) if self.mode == "RNN_RELU" else torch.tanh(summed),)

    def _lstm(self, summed: Tensor, cell: Tensor) -> State:
        enter, keep, candidate, leave = summed.chunk(4, dim=-1)
        cell = torch.sigmoid(keep) * cell + torch.sigmoid(enter) * torch.tanh(candidate)
        shown = F.layer_norm(cell, cell.shape[-1:], self.norm_cell, self.norm_cell_shift, EPSILON)
        return torch.sigmoid(leave) * torch.tanh(shown), cell

    def _heard(self, signal: Tensor, weight: Tensor, gain: Tensor, bias: Tensor | None) -> Tensor:
        units = gain.shape[0] // _GATES[self.mode]
        by_gate = F.linear(signal, weight).unflatten(-1, (-1, units))
        heard = F.layer_norm(by_gate, (units,), eps=EPSILON).flatten(-2) * gain
        return heard if bias is None else heard + bias


def _gru(read: Tensor, recalled: Tensor, hidden: Tensor) -> Tensor:
    reset, update, candidate = read.chunk(3, dim=-1)
    reset_too, update_too, candidate_too = recalled.chunk(3, dim=-1)
    new = torch.tanh(candidate + torch.sigmoid(reset + reset_too) * candidate_too)
    return new + torch.sigmoid(update + update_too) * (hidden - new)


class _LayerNormLayer(nn.RNNBase):
    """A recurrent layer whose gates are standardised; mixed into one of `torch.nn`."""

    def __init__(self, *args: Any, input_gain: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.proj_size:
            raise ValueError(f"{type(self).__name__} has no proj_size")
        self.input_gain = input_gain
        like = self.weight_hh_l0
        assert isinstance(like, Tensor)
        for suffix in self._suffixes():
            _add_gains(self, suffix, self.mode, self.hidden_size, like)
        _reset_gains(self, input_gain)

    def reset_parameters(self) -> None:
        """Draw the weights as `torch.nn` does, and put the gains back."""
        super().reset_parameters()
        if hasattr(self, "input_gain"):
            _reset_gains(self, self.input_gain)

    def forward(self, input: Tensor, hx: Any = None) -> tuple[Tensor, Any]:
        """Return the outputs at all steps, and the last state, as `torch.nn` has them.

        Args:
            input: A sequence, or a batch of them.
            hx: The state to begin with; zeros without one.

        Raises:
            TypeError: If the sequences are packed.
            ValueError: If the input has neither two axes nor three.
        """
        if isinstance(input, PackedSequence):
            raise TypeError(f"{type(self).__name__} takes no packed sequence; pass the padded one")
        if input.dim() not in (2, 3):
            raise ValueError(f"expected input to be 2D or 3D, got {input.dim()}D")
        batched = input.dim() == 3
        signal = input if batched else input.unsqueeze(0 if self.batch_first else 1)
        self.check_input(signal, None)
        if self.batch_first:
            signal = signal.transpose(0, 1)
        starts = self._starts(signal, hx, batched=batched)
        ends: list[State] = []
        for layer in range(self.num_layers):
            ways = []
            for suffix in self._suffixes()[layer * self._ways : (layer + 1) * self._ways]:
                outputs, end = _run(
                    _recurrence_of(self, self.mode, suffix),
                    signal,
                    tuple(start[len(ends)] for start in starts),
                    backwards=suffix.endswith("_reverse"),
                )
                ways.append(outputs)
                ends.append(end)
            signal = torch.cat(ways, dim=-1) if len(ways) > 1 else ways[0]
            if self.dropout and layer + 1 < self.num_layers:
                signal = F.dropout(signal, self.dropout, self.training)
        last = tuple(torch.stack(each) for each in zip(*ends, strict=True))
        if not batched:
            signal, last = signal.squeeze(1), tuple(each.squeeze(1) for each in last)
        elif self.batch_first:
            signal = signal.transpose(0, 1)
        return signal, last if self.mode == "LSTM" else last[0]

    @property
    def _ways(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffixes(self) -> tuple[str, ...]:
        ends = ("", "_reverse") if self.bidirectional else ("",)
        return tuple(f"_l{layer}{end}" for layer in range(self.num_layers) for end in ends)

    def _starts(self, signal: Tensor, hx: Any, *, batched: bool) -> State:
        shape = (self.num_layers * self._ways, signal.shape[1], self.hidden_size)
        tensors = 2 if self.mode == "LSTM" else 1
        if hx is None:
            return tuple(signal.new_zeros(shape) for _ in range(tensors))
        given = tuple(hx) if tensors == 2 else (hx,)
        starts = given if batched else tuple(each.unsqueeze(1) for each in given)
        for start in starts:
            self.check_hidden_size(start, shape)
        return starts


class LayerNormRNN(_LayerNormLayer, nn.RNN):  # type: ignore[misc]
    """An `nn.RNN` whose summed inputs are standardised at every step."""


class LayerNormGRU(_LayerNormLayer, nn.GRU):  # type: ignore[misc]
    """An `nn.GRU` whose gates are standardised at every step."""


class LayerNormLSTM(_LayerNormLayer, nn.LSTM):  # type: ignore[misc]
    """An `nn.LSTM` whose gates and cell are standardised at every step."""


class _LayerNormCell(nn.RNNCellBase):
    """A recurrent cell whose gates are standardised; mixed into one of `torch.nn`."""

    def __init__(self, *args: Any, input_gain: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.input_gain = input_gain
        _add_gains(self, "", _mode_of(self), self.hidden_size, self.weight_hh)
        _reset_gains(self, input_gain)

    def reset_parameters(self) -> None:
        """Draw the weights as `torch.nn` does, and put the gains back."""
        super().reset_parameters()
        if hasattr(self, "input_gain"):
            _reset_gains(self, self.input_gain)

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """Return the next state, as `torch.nn` has it.

        Args:
            input: What is read at this step, of a sample or of a batch.
            hx: The state before; zeros without one.

        Raises:
            ValueError: If the input has neither one axis nor two.
        """
        if input.dim() not in (1, 2):
            raise ValueError(f"expected input to be 1D or 2D, got {input.dim()}D")
        mode = _mode_of(self)
        if hx is None:
            shape = (*input.shape[:-1], self.hidden_size)
            state: State = tuple(input.new_zeros(shape) for _ in range(1 + (mode == "LSTM")))
        else:
            state = tuple(hx) if mode == "LSTM" else (hx,)
        one = _recurrence_of(self, mode, "")
        state = one.step(one.read(input), state)
        return state if mode == "LSTM" else state[0]


class LayerNormRNNCell(_LayerNormCell, nn.RNNCell):
    """An `nn.RNNCell` whose summed inputs are standardised."""


class LayerNormGRUCell(_LayerNormCell, nn.GRUCell):
    """An `nn.GRUCell` whose gates are standardised."""


class LayerNormLSTMCell(_LayerNormCell, nn.LSTMCell):
    """An `nn.LSTMCell` whose gates and cell are standardised."""


_NORMALISED: Final[dict[type[nn.Module], Any]] = {
    nn.RNN: LayerNormRNN,
    nn.GRU: LayerNormGRU,
    nn.LSTM: LayerNormLSTM,
    nn.RNNCell: LayerNormRNNCell,
    nn.GRUCell: LayerNormGRUCell,
    nn.LSTMCell: LayerNormLSTMCell,
}
KINDS: Final = tuple(_NORMALISED)
"""The layers and cells that have a standardised form."""


def normalised(old: nn.Module, input_gain: float) -> nn.Module:
    """Return the standardised form of a recurrent layer or cell, which holds its very parameters.

    Args:
        old: One of `KINDS`.
        input_gain: What the gates hear of the input, where they hear 1 of the state.
    """
    like = next(old.parameters())
    made: dict[str, Any] = {"device": like.device, "dtype": like.dtype}
    if isinstance(old, nn.RNN | nn.RNNCell):
        made["nonlinearity"] = old.nonlinearity
    if isinstance(old, nn.RNNBase):
        for name in ("num_layers", "batch_first", "dropout", "bidirectional"):
            made[name] = getattr(old, name)
    make = _NORMALISED[type(old)]
    new: nn.Module = make(
        old.input_size, old.hidden_size, bias=old.bias, input_gain=input_gain, **made
    )
    for name, parameter in old.named_parameters():
        setattr(new, name, parameter)
    return new


def _run(
    recurrence: _Recurrence, signal: Tensor, state: State, *, backwards: bool
) -> tuple[Tensor, State]:
    """Run one layer in one direction over all steps, which are the first axis."""
    outputs = []
    steps = recurrence.read(signal).unbind(0)
    for read in reversed(steps) if backwards else steps:
        state = recurrence.step(read, state)
        outputs.append(state[0])
    return torch.stack(outputs[::-1] if backwards else outputs), state


def _recurrence_of(module: nn.Module, mode: str, suffix: str) -> _Recurrence:
    own: dict[str, Any] = {name: getattr(module, name + suffix, None) for name in _NAMES}
    return _Recurrence(mode=mode, **own)


def _mode_of(cell: nn.RNNCellBase) -> str:
    if isinstance(cell, nn.RNNCell):
        return f"RNN_{cell.nonlinearity.upper()}"
    return "LSTM" if isinstance(cell, nn.LSTMCell) else "GRU"


def _add_gains(module: nn.Module, suffix: str, mode: str, units: int, like: Tensor) -> None:
    sizes = {"norm_ih": _GATES[mode] * units, "norm_hh": _GATES[mode] * units}
    if mode == "LSTM":
        sizes |= {"norm_cell": units, "norm_cell_shift": units}
    for name, size in sizes.items():
        empty = torch.empty(size, device=like.device, dtype=like.dtype)
        module.register_parameter(name + suffix, nn.Parameter(empty))


def _reset_gains(module: nn.Module, input_gain: float) -> None:
    for name, parameter in module.named_parameters():
        if name.startswith("norm_cell_shift"):
            nn.init.zeros_(parameter)
        elif name.startswith("norm_"):
            nn.init.constant_(parameter, input_gain if name.startswith("norm_ih") else 1.0)
