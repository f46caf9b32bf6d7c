"""LSTM layers with the interface of a plain recurrent layer: one state goes in, one comes out.

An LSTM hands on two tensors, and code written for `nn.RNN` carries one. The other one goes along
with it, as an attribute of the tensor that is handed out. It is found again when that tensor comes
back, or when it comes back detached.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor, nn

_MARK: Final = "_unvanish_cell_state"


@dataclass(frozen=True, slots=True)
class _Handed:
    """What goes along with a state: the cell state, and how often the state was written to."""

    cell: Tensor
    version: int


class CellStates:
    """Finds the cell state that belongs to a state which a layer handed out before."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: tuple[Tensor, _Handed] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> CellStates:
        twin = CellStates()
        memo[id(self)] = twin
        return twin

    def __reduce__(self) -> tuple[type[CellStates], tuple[()]]:
        return CellStates, ()

    def hand_out(self, state: Tensor, cell: Tensor) -> Tensor:
        """Return a state that its cell state goes along with."""
        setattr(state, _MARK, _Handed(cell, _version(state)))
        self._last = (state.detach(), _Handed(cell.detach(), _version(state)))
        return state

    def knows(self, state: Tensor) -> bool:
        """Tell whether a state is one that was handed out, as it was or detached."""
        return self._found(state) is not None

    def of(self, state: Tensor) -> Tensor:
        """Return the cell state of a state; the state itself where it was not handed out."""
        found = self._found(state)
        return state if found is None else found

    def _found(self, state: Tensor) -> Tensor | None:
        handed: _Handed | None = getattr(state, _MARK, None)
        if handed is None and self._last is not None and not state.requires_grad:
            last, kept = self._last
            # It is held here, so that no other tensor can lie at its address.
            same = state.data_ptr() == last.data_ptr() and state.stride() == last.stride()
            handed = kept if same and state.shape == last.shape else None
        if handed is None or handed.version != _version(state):
            return None
        return handed.cell


class SingleStateLSTM(nn.LSTM):
    """An LSTM that is called and returns as `nn.RNN` does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cell_states = CellStates()

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:  # type: ignore[override]
        """Return the outputs and the last state.

        Args:
            input: As `nn.RNN` takes it.
            hx: A state; the cell state begins as the state does where this layer did not make it.
        """
        given = None if hx is None else (hx, self.cell_states.of(hx))
        output, (state, cell) = super().forward(input, given)
        return output, self.cell_states.hand_out(state, cell)


class SingleStateLSTMCell(nn.LSTMCell):
    """An LSTM cell that is called and returns as `nn.RNNCell` does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cell_states = CellStates()

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Return the next state.

        Args:
            input: As `nn.RNNCell` takes it.
            hx: A state; the cell state begins as the state does where this cell did not make it.
        """
        given = None if hx is None else (hx, self.cell_states.of(hx))
        state, cell = super().forward(input, given)
        return self.cell_states.hand_out(state, cell)


def _version(state: Tensor) -> int:
    return 0 if state.is_inference() else state._version
