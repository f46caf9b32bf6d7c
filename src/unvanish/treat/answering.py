"""The answer of a network, without gradients where it does without them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from unvanish.observe.batch import call_model


def answer(model: nn.Module, inputs: Any) -> Any:
    """Run a network without gradients, and with them where it takes derivatives to answer.

    Args:
        model: The network.
        inputs: What it is run on.
    """
    try:
        with torch.no_grad():
            return call_model(model, inputs)
    except RuntimeError:
        with torch.enable_grad():
            return call_model(model, inputs)
