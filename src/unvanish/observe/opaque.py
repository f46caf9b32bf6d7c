"""Operations that PyTorch fuses into one node, and how to make it run them in steps.

Found for torch 2.13 on CPU: a float32 `nn.LSTM` is one oneDNN node, and
`scaled_dot_product_attention` is one flash-attention node. Both have a plain form that
computes the same numbers up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Final

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

OPAQUE_NODES: Final = (
    "MkldnnRnnLayerBackward",
    "CudnnRnnBackward",
    "MiopenRnnBackward",
    "ScaledDotProduct",
    "CheckpointFunctionBackward",
    "CompiledFunctionBackward",
)


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


def decomposed(name: str, kwargs: Mapping[str, Any]) -> Any:
    """Return a context in which the named function runs step by step, where it can."""
    if name == "lstm":
        return _without_fused_rnn()
    if name in ("gru", "rnn_tanh", "rnn_relu") and torch.cuda.is_available():
        return _without_fused_rnn()
    if name == "scaled_dot_product_attention" and not kwargs.get("enable_gqa"):
        return sdpa_kernel(SDPBackend.MATH)
    return nullcontext()


def is_opaque(node_name: str) -> bool:
    """Tell whether a node stands for several steps that cannot be looked into."""
    return node_name.startswith(OPAQUE_NODES)
