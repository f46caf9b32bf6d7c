"""What remedies are called elsewhere, so that an unknown name leads to the one that is meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Final

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "adam": ("soap",),
    "adamw": ("soap",),
    "amp": ("bfloat16", "loss-scaling"),
    "batchnorm": ("batch-norm",),
    "bf16": ("bfloat16",),
    "bn": ("batch-norm",),
    "centering": ("centralise-gradient",),
    "clip": ("clip-norm", "clip-value"),
    "clip-grad": ("clip-norm", "clip-value"),
    "clip-grad-norm": ("clip-norm",),
    "clip-grad-value": ("clip-value",),
    "clipping": ("clip-norm", "clip-value"),
    "epsilon": ("lower-epsilon",),
    "fp16": ("loss-scaling", "bfloat16"),
    "float32": ("float32-weights", "float32-islands"),
    "fp32": ("float32-weights", "float32-islands"),
    "glorot": ("xavier",),
    "grad-scaler": ("loss-scaling",),
    "gradscaler": ("loss-scaling",),
    "groupnorm": ("group-norm",),
    "gru": ("gated-cell",),
    "kaiming": ("he",),
    "lamb": ("trust-ratio",),
    "lars": ("trust-ratio",),
    "layernorm": ("layer-norm", "recurrent-layer-norm"),
    "layerscale": ("layer-scale",),
    "learning-rate": ("learning-rate-range", "curvature-learning-rate"),
    "ln": ("layer-norm", "recurrent-layer-norm"),
    "lr": ("learning-rate-range", "curvature-learning-rate"),
    "lstm": ("lstm-cell", "forget-bias"),
    "msra": ("he",),
    "normalize-input": ("standardise-input",),
    "postnorm": ("deep-norm", "keel"),
    "prenorm": ("pre-norm",),
    "qk-norm": ("query-key-norm",),
    "resnet": ("residual",),
    "rmsnorm": ("rms-norm",),
    "skip": ("residual",),
    "skip-connection": ("residual",),
    "ste": ("straight-through",),
    "swish": ("silu",),
    "tbptt": ("truncated-sequences",),
    "warmup": ("warm-up",),
    "weight-decay": ("weight-decay-off",),
    "zscore": ("standardise-input",),
}
"""A name that is used elsewhere, to what it is called here."""


def nearest(wanted: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the names that may be meant, the likeliest first.

    Args:
        wanted: What was asked for, in small letters with hyphens.
        known: The names there are.
    """
    named = [alias for alias in ALIASES if f"-{alias}-" in f"-{wanted}-"]
    named.sort(key=len, reverse=True)
    if not named:
        named = difflib.get_close_matches(wanted, [*known, *ALIASES], n=6, cutoff=0.6)
    found = [one for name in named for one in ALIASES.get(name, (name,))]
    return tuple(dict.fromkeys(found))
