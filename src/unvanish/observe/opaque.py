"""Operations that PyTorch fuses into one node, and how to make it run them in steps.

Found for torch 2.13 on CPU: a float32 `nn.LSTM` is one oneDNN node, and
`scaled_dot_product_attention` is one flash-attention node. Both have a plain form that
computes the same numbers up to rounding.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Final

import torch
import torch.utils.checkpoint
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from unvanish.core.operations import RECURRENT_FUNCTIONS
from unvanish.core.stack import stands_in

OPAQUE_NODES: Final = (
    "MkldnnRnnLayerBackward",
    "CudnnRnnBackward",
    "MiopenRnnBackward",
    "ScaledDotProduct",
    "CheckpointFunctionBackward",
    "CompiledFunctionBackward",
)
_SCRIPTED: Final = "DifferentiableGraphBackward"
"""A part of a scripted function, fused after its first calls."""


@contextmanager
def _without_fused_rnn() -> Iterator[None]:
    # torch.backends.mkldnn.flags also touches TF32 settings and warns about them.
    before = torch._C._get_mkldnn_enabled()
    cudnn_before = torch.backends.cudnn.enabled
    torch._C._set_mkldnn_enabled(False)
    if cudnn_before and torch.backends.cudnn.is_available():
        torch._C._set_cudnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(before)
        if cudnn_before and torch.backends.cudnn.is_available():
            torch._C._set_cudnn_enabled(cudnn_before)


def is_packing() -> bool:
    """Tell whether code of the user packs what nodes keep for the backward pass.

    A checkpoint does: it drops all of it, and runs its part of the forward pass again for it.
    """
    return torch._C._autograd._top_saved_tensors_default_hooks(True) is not None


def unfused(function: str) -> AbstractContextManager[None]:
    """Return a context in which one recurrent function runs step by step.

    Under a checkpoint it stays as it is: run again, it would be fused and keep other tensors.
    """
    if is_packing():
        return nullcontext()
    fused_everywhere = function == "lstm"
    fused_on_gpu = function in RECURRENT_FUNCTIONS and torch.cuda.is_initialized()
    return _without_fused_rnn() if fused_everywhere or fused_on_gpu else nullcontext()


class _PlainCheckpoint:
    """Stands in for the reentrant checkpoint: the same gradient, in the open.

    The real one runs the function without gradient, and again inside the backward pass,
    where nothing could be seen. It gives no gradient at all where none of its arguments
    asks for one; so does this.
    """

    @staticmethod
    @stands_in
    def apply(function: Callable[..., Any], preserve_rng: bool, *args: Any) -> Any:  # noqa: ARG004
        if not torch.is_grad_enabled():
            return function(*args)
        wanted = any(isinstance(a, Tensor) and a.requires_grad for a in args)
        before = _starved.get()
        _starved.set(before or not wanted)
        try:
            with torch.set_grad_enabled(wanted):
                return function(*args)
        finally:
            _starved.set(before)


_starved: ContextVar[bool] = ContextVar("inside a checkpoint that gives no gradient", default=False)


def in_starved_checkpoint() -> bool:
    """Tell whether a reentrant checkpoint runs none of whose inputs asks for a gradient."""
    return _starved.get()


@contextmanager
def in_the_open() -> Iterator[None]:
    """Run a forward pass with attention in plain steps and reentrant checkpoints unfolded."""
    original = torch.utils.checkpoint.CheckpointFunction
    torch.utils.checkpoint.CheckpointFunction = _PlainCheckpoint  # type: ignore[misc, assignment]
    try:
        with sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
            # The tape's module hooks are global; compiled parts run eagerly meanwhile.
            warnings.filterwarnings("ignore", message="Using `torch.compile.module.` when there")
            yield
    finally:
        torch.utils.checkpoint.CheckpointFunction = original  # type: ignore[misc]


def is_opaque(node_name: str) -> bool:
    """Tell whether a node stands for several steps that cannot be looked into."""
    return node_name.startswith(OPAQUE_NODES) or node_name.endswith(_SCRIPTED)
