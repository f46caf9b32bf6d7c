"""Under which conditions a recording was made: types, versions, what was inferred."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator
from typing import Final

import torch
from torch import nn

from unvanish.core.incidents import Gap
from unvanish.observe.failures import first_line
from unvanish.observe.look import Look

_REAL_PART: Final = {
    "complex32": "float16",
    "complex64": "float32",
    "complex128": "float64",
}


def common_dtype(model: nn.Module) -> str:
    """Name the commonest parameter type; for complex numbers, that of their parts."""
    counts: Counter[str] = Counter()
    for parameter in model.parameters():
        name = str(parameter.dtype).removeprefix("torch.")
        counts[_REAL_PART.get(name, name)] += parameter.numel()
    return counts.most_common(1)[0][0] if counts else "float32"


def leaf_modules(model: nn.Module) -> dict[str, int]:
    """Count the modules without children by class, commonest first."""
    counts = Counter(type(m).__name__ for m in model.modules() if next(m.children(), None) is None)
    return dict(counts.most_common())


def versions() -> dict[str, str]:
    """Return the versions of python, torch and unvanish."""
    from unvanish import __version__

    return {
        "unvanish": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


def unseen(first: Look, model: nn.Module) -> Iterator[Gap]:
    """Name what a look could not see into."""
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        yield Gap(
            "the activations inside of scripted modules",
            "TorchScript runs them out of sight; check the network as it was before "
            "torch.jit.script or torch.jit.trace",
        )
    opaque = [site for site in first.graph.sites if site.opaque]
    for site in opaque[:10]:
        yield Gap(
            f"the steps inside {site.name}",
            f"PyTorch runs them as one operation, {first.graph.notes[site.index].node.name()}",
            site.index,
        )
    yield from _own_faults(first)
    if first.loss.grad_fn is not None and first.probe is None:
        yield Gap(
            "propagation apart from the loss",
            "the model returns no output tensor besides its loss, so no probe could start there",
        )


def _own_faults(first: Look) -> Iterator[Gap]:
    """Name the steps at which our own code failed, while the rest was measured."""
    index, sites = first.graph.index, first.graph.sites
    forward = [(index[node], error) for node, error in first.tape.unmeasured if node in index]
    passes = [first.gradients, *([first.probe] if first.probe is not None else [])]
    backward = [item for one in passes for item in one.unmeasured.items()]
    for what, found in (("numbers", forward), ("gradient", backward)):
        for site, error in found[:10]:
            yield Gap(
                f"the {what} of {sites[site].name}",
                "unvanish itself failed there, please report it: "
                f"{type(error).__name__}: {first_line(error)}",
                site,
            )
