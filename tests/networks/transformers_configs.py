"""Configurations of `transformers` made tiny: the same kind of network, two layers, 32 wide."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import transformers
from tests.networks.transformers_tables import (
    FIRST_PLAIN_TOKEN,
    FIRST_SPECIAL_TOKEN,
    HEAD_WIDTH,
    HEADS,
    OVERRIDES,
    SHRINKERS,
)
from transformers import PreTrainedConfig


def tiny(
    config: PreTrainedConfig,
    overrides: Mapping[str, Any] | None = None,
    special: dict[str, int] | None = None,
) -> PreTrainedConfig:
    """A configuration of the same class with everything large made small.

    Args:
        config: What to shrink; the defaults of its class, say.
        overrides: Values to use instead. A mapping for a nested configuration is applied to it.
        special: The special tokens given out so far, by name; nested configurations share them.

    Returns:
        A new configuration.
    """
    overrides = {**OVERRIDES.get(config.model_type, {}), **(overrides or {})}
    special = {} if special is None else special
    values = {name: value for name, value in fields(config) if value is not None}
    layers = _kept_layers(values)
    changed: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, PreTrainedConfig):
            inner = overrides.pop(name, None)
            if isinstance(inner, PreTrainedConfig):
                changed[name] = inner
            elif "timm" in value.model_type:
                changed[name] = _instead_of_timm(value)
            else:
                changed[name] = tiny(value, inner, special)
        elif name in layers:
            changed[name] = [_shrunk(name, value[i]) for i in layers[name]]
        elif is_token(name):
            changed[name] = _special_token(name, value, special)
        elif isinstance(value, dict) and name.startswith("rope"):
            changed[name] = _tiny_rope(value)
        elif name == "num_key_value_heads" and (
            value == values.get("num_attention_heads") or "kv_lora_rank" in values
        ):
            changed[name] = HEADS
        else:
            changed[name] = _shrunk(name, value)
    outputs = len(getattr(config, "out_features", None) or ())
    if layers:
        changed["num_hidden_layers"] = len(next(iter(layers.values())))
    elif "num_hidden_layers" in changed:
        changed["num_hidden_layers"] = max(changed["num_hidden_layers"], outputs)
    defaults = dict(fields(type(config)()))
    changed = {
        name: value
        for name, value in changed.items()
        if isinstance(value, PreTrainedConfig) or value != defaults.get(name)
    } | overrides
    small = type(config)(**changed)
    if outputs > 1 and not {"out_features", "out_indices"} & set(changed):
        small = type(config)(**changed, out_features=small.stage_names[-outputs:])
    return small


def fields(config: PreTrainedConfig) -> Iterator[tuple[str, Any]]:
    """The names and values that the configuration's own class declares."""
    base = {field.name for field in dataclasses.fields(PreTrainedConfig)}
    for field in dataclasses.fields(config):
        if field.init and (field.name not in base or is_token(field.name)):
            # Raises where the value differs from layer to layer.
            with contextlib.suppress(AttributeError, RuntimeError):
                yield field.name, getattr(config, field.name)


def _instead_of_timm(timm: PreTrainedConfig) -> PreTrainedConfig:
    """A ResNet with as many outputs, since the package `timm` is not installed."""
    outputs = len(getattr(timm, "out_indices", None) or [0])
    return transformers.ResNetConfig(
        embedding_size=16,
        hidden_sizes=[16, 16, 32, 32],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=[f"stage{4 - i}" for i in reversed(range(outputs))],
    )


def _kept_layers(values: Mapping[str, Any]) -> dict[str, list[int]]:
    """The lists with an entry a layer, and the layers to keep: one of every kind, at least two."""
    depth = values.get("num_hidden_layers")
    lists = {
        name: value
        for name, value in values.items()
        if isinstance(value, list | tuple) and len(value) == depth and depth > 4
    }
    if not lists:
        return {}
    kinds: dict[tuple[str, ...], int] = {}
    for index, kind in enumerate(zip(*lists.values(), strict=True)):
        kinds.setdefault(tuple(map(str, kind)), index)
    kept = sorted(kinds.values())[:4]
    return dict.fromkeys(lists, kept if len(kept) > 1 else 2 * kept)


def is_token(name: str) -> bool:
    """Whether a field holds the number of a special token."""
    return bool(re.fullmatch(r".*(_token_id|_token_ids|_token_index|token_idx)", name))


def _special_token(name: str, value: Any, special: dict[str, int]) -> Any:
    if isinstance(value, int) and value >= FIRST_PLAIN_TOKEN:
        stem = re.sub(r"_(id|ids|index)$", "", name)
        return special.setdefault(stem, FIRST_SPECIAL_TOKEN + len(special))
    if isinstance(value, list | tuple):
        return type(value)(_special_token(f"{name}{i}", v, special) for i, v in enumerate(value))
    return value


def _tiny_rope(value: Mapping[str, Any]) -> dict[str, Any]:
    small = {k: _tiny_rope(v) if isinstance(v, dict) else v for k, v in value.items()}
    half = HEAD_WIDTH // 2
    for key in ("mrope_section", "xdrope_section"):
        if isinstance(small.get(key), list):
            parts = len(small[key])
            small[key] = [half - (parts - 1) * (half // parts)] + [half // parts] * (parts - 1)
            small["partial_rotary_factor"] = 1.0
    for key in ("long_factor", "short_factor"):
        if key in small:
            small[key] = small[key][:half]
    if "original_max_position_embeddings" in small:
        small["original_max_position_embeddings"] = 32
    return small


def _shrunk(name: str, value: Any) -> Any:
    if isinstance(value, float) and name.endswith("layerdrop"):
        return 0.0  # a layer left out at random has no gradient
    if name == "initializer_range" and value < 1e-4:
        return 0.02  # 1e-10 is for weights that are read from a file
    if name == "freeze_backbone_batch_norms":
        return False  # frozen with the statistics of pretrained weights
    shrinker = next((s for pattern, s in SHRINKERS if re.fullmatch(pattern, name)), None)
    return value if shrinker is None else _each(value, shrinker)


def _each(value: Any, shrinker: Callable[[int], int]) -> Any:
    if isinstance(value, list | tuple):
        new = [_each(v, shrinker) for v in value]
        return value if new == list(value) else new
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return shrinker(value)
    return value


def find(config: PreTrainedConfig, *names: str) -> Any:
    """The first value of one of these names in a configuration or in those nested in it."""
    level = [config]
    while level:
        for inner in level:
            for name in names:
                with contextlib.suppress(AttributeError):
                    value = getattr(inner, name)
                    if value is not None:
                        return value
        level = [v for c in level for _, v in fields(c) if isinstance(v, PreTrainedConfig)]
    return None
