"""Operations by the names a user would write, read off functions and autograd nodes."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

Node = Any
"""An autograd node. PyTorch offers no public type that covers C++ and Python nodes."""

_NODE_OPS: Final = {
    "addmm": "linear",
    "mm": "matmul",
    "bmm": "matmul",
    "baddbmm": "matmul",
    "mv": "matmul",
    "dot": "matmul",
    "convolution": "conv",
    "mkldnn_convolution": "conv",
    "cudnn_convolution": "conv",
    "native_layer_norm": "layer_norm",
    "native_batch_norm": "batch_norm",
    "cudnn_batch_norm": "batch_norm",
    "mkldnn_batch_norm": "batch_norm",
    "native_group_norm": "group_norm",
    "fused_rms_norm": "rms_norm",
    "safe_softmax": "softmax",
    "native_dropout": "dropout",
    "embedding_bag": "embedding",
    "mkldnn_rnn_layer": "rnn_layer",
    "cudnn_rnn": "rnn_layer",
    "t": "transpose",
    "unsafe_view": "view",
    "reshape_alias": "view",
    "as_strided": "view",
    "to_copy": "to",
    "prelu_kernel": "prelu",
    "threshold": "relu",
}

VIEW_OPS: Final = frozenset(
    "view transpose permute expand unsqueeze squeeze slice select alias clone to contiguous "
    "reshape flatten unflatten split chunk unbind unsafe_split split_with_sizes detach copy "
    "copy_slices narrow movedim swapaxes view_as float double half bfloat16 type type_as "
    "getitem stack cat repeat masked_fill roll flip cpu cuda contiguous_format".split()
)
"""Operations that move numbers without changing them."""

STEP_OPS: Final = frozenset(
    "sign sgn round floor ceil trunc fix bernoulli heaviside clamp clip clamp_min clamp_max".split()
)
"""Operations whose derivative PyTorch takes to be zero, everywhere or out of a range."""

MATMUL_OPS: Final = frozenset(
    "linear matmul conv conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d "
    "embedding bilinear einsum addmm mm bmm baddbmm mv rnn_layer lstm gru rnn_tanh rnn_relu "
    "lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell multi_head_attention_forward embedding_bag "
    "chain_matmul tensordot addbmm mkldnn_rnn_layer trilinear sparse_mm".split()
)
"""Operations that combine features: those with a weight count as one layer of depth."""

LAYER_FUNCTIONS: Final = MATMUL_OPS - set(
    "matmul mm bmm baddbmm mv einsum tensordot chain_matmul".split()
)
"""Functions that only make sense on a signal, even where no input can be traced back."""

RECURRENT_FUNCTIONS: Final = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})

LOSS_FUNCTIONS: Final = frozenset(
    "cross_entropy nll_loss mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy "
    "binary_cross_entropy_with_logits kl_div gaussian_nll_loss poisson_nll_loss ctc_loss "
    "margin_ranking_loss triplet_margin_loss hinge_embedding_loss cosine_embedding_loss "
    "multi_margin_loss multilabel_margin_loss soft_margin_loss multilabel_soft_margin_loss".split()
)

HOOK_STEP: Final = "backward_hook_function"
"""The step that PyTorch puts beside a module with hooks on its gradient."""

_DUNDERS: Final = {
    "getitem": "getitem",
    "rsub": "sub",
    "radd": "add",
    "rmul": "mul",
    "rtruediv": "div",
    "truediv": "div",
    "rmatmul": "matmul",
    "rpow": "pow",
    "iadd": "add",
    "imul": "mul",
    "isub": "sub",
    "itruediv": "div",
}


@lru_cache(maxsize=4096)
def clean(name: str) -> str:
    """Turn a function's ``__name__`` into the operation it performs: ``relu_`` is ``relu``."""
    name = name.strip("_")
    return _DUNDERS.get(name, name)


@lru_cache(maxsize=4096)
def op_of_node(name: str) -> str:
    """Turn an autograd node's name into an operation: ``AddmmBackward0`` is ``linear``."""
    base = re.sub(r"Backward\d*$", "", name.rsplit("::", 1)[-1])
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", base).lower()
    snake = snake.strip("_")
    return _NODE_OPS.get(snake, snake)


def is_leaf_node(node: Node) -> bool:
    """Tell whether a node stands for a parameter: it has nowhere to pass the gradient on."""
    return type(node).__name__ == "AccumulateGrad"


def shape_of(node: Node) -> tuple[int, ...]:
    """Return the shape of a node's first output, or () where the node does not tell."""
    try:
        return tuple(int(n) for n in node._input_metadata[0].shape)
    except (AttributeError, IndexError, TypeError, RuntimeError):
        return ()
