"""Tiny random networks of every family of `transformers`, each with a batch and a loss."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from tests.networks.transformers_tables import (
    HEAD_WIDTH,
    HEADS,
    OVERRIDES,
    SHRINKERS,
    VOCABULARY,
)
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.models.auto import configuration_auto, modeling_auto

SAMPLES, TOKENS, LABELS = 4, 12, 4
FIRST_PLAIN_TOKEN, FIRST_SPECIAL_TOKEN = 40, 100
MAX_PARAMETERS = 7_000_000

# ------------------------------------------------------------------ which networks there are

# The head first that gives the network a loss of its own; at most two of a type are taken.
HEADS_IN_ORDER = {
    "causal LM": "FOR_CAUSAL_LM",
    "masked LM": "FOR_MASKED_LM",
    "image-text-to-text": "FOR_IMAGE_TEXT_TO_TEXT",
    "multimodal LM": "FOR_MULTIMODAL_LM",
    "seq2seq LM": "FOR_SEQ_TO_SEQ_CAUSAL_LM",
    "speech seq2seq": "FOR_SPEECH_SEQ_2_SEQ",
    "image classification": "FOR_IMAGE_CLASSIFICATION",
    "object detection": "FOR_OBJECT_DETECTION",
    "universal segmentation": "FOR_UNIVERSAL_SEGMENTATION",
    "instance segmentation": "FOR_INSTANCE_SEGMENTATION",
    "semantic segmentation": "FOR_SEMANTIC_SEGMENTATION",
    "CTC": "FOR_CTC",
    "RNNT": "FOR_RNNT",
    "TDT": "FOR_TDT",
    "audio classification": "FOR_AUDIO_CLASSIFICATION",
    "audio frame classification": "FOR_AUDIO_FRAME_CLASSIFICATION",
    "time series prediction": "FOR_TIME_SERIES_PREDICTION",
    "video classification": "FOR_VIDEO_CLASSIFICATION",
    "depth estimation": "FOR_DEPTH_ESTIMATION",
    "masked image modelling": "FOR_MASKED_IMAGE_MODELING",
    "causal image modelling": "FOR_CAUSAL_IMAGE_MODELING",
    "image matting": "FOR_IMAGE_MATTING",
    "image to image": "FOR_IMAGE_TO_IMAGE",
    "keypoint detection": "FOR_KEYPOINT_DETECTION",
    "keypoint matching": "FOR_KEYPOINT_MATCHING",
    "pose estimation": "FOR_POSE_ESTIMATION",
    "normal estimation": "FOR_NORMAL_ESTIMATION",
    "pointmap estimation": "FOR_POINTMAP_ESTIMATION",
    "zero-shot object detection": "FOR_ZERO_SHOT_OBJECT_DETECTION",
    "zero-shot image classification": "FOR_ZERO_SHOT_IMAGE_CLASSIFICATION",
    "visual question answering": "FOR_VISUAL_QUESTION_ANSWERING",
    "document question answering": "FOR_DOCUMENT_QUESTION_ANSWERING",
    "text to waveform": "FOR_TEXT_TO_WAVEFORM",
    "text to spectrogram": "FOR_TEXT_TO_SPECTROGRAM",
    "text recognition": "FOR_TEXT_RECOGNITION",
    "table recognition": "FOR_TABLE_RECOGNITION",
    "decision": "FOR_DECISION",
    "retrieval": "FOR_RETRIEVAL",
    "pre-training": "FOR_PRETRAINING",
    "mask generation": "FOR_MASK_GENERATION",
    "sequence classification": "FOR_SEQUENCE_CLASSIFICATION",
    "token classification": "FOR_TOKEN_CLASSIFICATION",
    "question answering": "FOR_QUESTION_ANSWERING",
    "backbone": "FOR_BACKBONE",
    "base": "",
}


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A class of `transformers`: what kind of network, with which head."""

    model_type: str
    head: str
    class_name: str

    def __str__(self) -> str:
        return f"{self.model_type}, {self.head}"


def architectures(heads_per_type: int = 2) -> dict[str, Architecture]:
    """All architectures by name, of every model type the first heads of `HEADS_IN_ORDER`."""
    found: dict[str, list[Architecture]] = {t: [] for t in configuration_auto.CONFIG_MAPPING_NAMES}
    classes: set[str] = set()
    for head, mapping in HEADS_IN_ORDER.items():
        names = getattr(modeling_auto, f"MODEL_{mapping}_MAPPING_NAMES".replace("__", "_"))
        for model_type, class_names in names.items():
            class_name = class_names if isinstance(class_names, str) else class_names[0]
            family = configuration_auto.CONFIG_MAPPING_NAMES[model_type].removesuffix("Config")
            own = class_name.lower().startswith(family.lower())
            if own and class_name not in classes and len(found[model_type]) < heads_per_type:
                classes.add(class_name)
                found[model_type].append(Architecture(model_type, head, class_name))
    return {str(a): a for many in found.values() for a in many}


# ------------------------------------------------------------------ tiny configurations


def tiny(config: PreTrainedConfig, overrides: Mapping[str, Any] | None = None) -> PreTrainedConfig:
    """A configuration of the same class with everything large made small.

    Args:
        config: What to shrink; the defaults of its class, say.
        overrides: Values to use instead. A mapping for a nested configuration is applied to it.

    Returns:
        A new configuration.
    """
    overrides = {**OVERRIDES.get(config.model_type, {}), **(overrides or {})}
    values = {name: value for name, value in _fields(config) if value is not None}
    layers = _kept_layers(values)
    changed: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, PreTrainedConfig):
            inner = overrides.get(name)
            if not isinstance(inner, PreTrainedConfig):
                changed[name] = _tiny_backbone(value) if "timm" in value.model_type else tiny(value, inner)
                overrides.pop(name, None)
        elif name in layers:
            changed[name] = [_shrunk(name, value[i]) for i in layers[name]]
        elif _is_token(name):
            changed[name] = _special_token(name, value)
        elif isinstance(value, dict) and name.startswith("rope"):
            changed[name] = _tiny_rope(value)
        elif name == "num_key_value_heads" and (
            value == values.get("num_attention_heads") or "kv_lora_rank" in values
        ):
            changed[name] = HEADS
        else:
            changed[name] = _shrunk(name, value)
    count = next((len(indices) for indices in layers.values()), None)
    if count is not None:
        changed["num_hidden_layers"] = count
    outputs = len(getattr(config, "out_features", None) or ())
    if outputs > 1 and "num_hidden_layers" in changed:
        changed["num_hidden_layers"] = max(changed["num_hidden_layers"], outputs)
    defaults = dict(_fields(type(config)()))
    changed = {name: v for name, v in changed.items() if v != defaults.get(name)} | overrides
    small = type(config)(**changed)
    if outputs > 1 and not {"out_features", "out_indices"} & set(changed):
        small = type(config)(**changed, out_features=small.stage_names[-outputs:])
    return small


def _fields(config: PreTrainedConfig) -> Iterator[tuple[str, Any]]:
    base = {field.name for field in dataclasses.fields(PreTrainedConfig)}
    for field in dataclasses.fields(config):
        if field.init and (field.name not in base or _is_token(field.name)):
            # Raises where the value differs from layer to layer.
            with contextlib.suppress(AttributeError, RuntimeError):
                yield field.name, getattr(config, field.name)


def _tiny_backbone(timm: PreTrainedConfig) -> PreTrainedConfig:
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


def _is_token(name: str) -> bool:
    return bool(re.fullmatch(r".*(_token_id|_token_ids|_token_index|token_idx)", name))


_SPECIAL_TOKENS: dict[str, int] = {}


def _special_token(name: str, value: Any) -> Any:
    if isinstance(value, int) and value >= FIRST_PLAIN_TOKEN:
        stem = re.sub(r"_(id|ids|index)$", "", name)
        return FIRST_SPECIAL_TOKEN + _SPECIAL_TOKENS.setdefault(stem, len(_SPECIAL_TOKENS)) % 28
    if isinstance(value, list | tuple) and value:
        return type(value)(_special_token(f"{name}{i}", v) for i, v in enumerate(value))
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
        return 0.0
    shrinker = next((s for pattern, s in SHRINKERS if re.fullmatch(pattern, name)), None)
    return value if shrinker is None else _each(value, shrinker)


def _each(value: Any, shrinker: Callable[[int], int]) -> Any:
    if isinstance(value, list | tuple):
        new = [_each(v, shrinker) for v in value]
        return value if new == list(value) else new
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return shrinker(value)
    return value


# ------------------------------------------------------------------------------ batches


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
        level = [v for c in level for _, v in _fields(c) if isinstance(v, PreTrainedConfig)]
    return None


class Batch:
    """Makes the inputs of one network by the names of its forward's parameters."""

    def __init__(
        self, model: nn.Module, architecture: Architecture, layout: str, *, labels: bool
    ) -> None:
        self.model, self.config = model, model.config
        self.kind, self.head = architecture.model_type, architecture.head
        self.layout, self.labels = layout, labels
        self.names = {
            name
            for name, p in inspect.signature(model.forward).parameters.items()
            if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        }
        self.required = {
            name
            for name, p in inspect.signature(model.forward).parameters.items()
            if p.default is p.empty and name in self.names
        }
        self.inputs: dict[str, Any] = {}

    def make(self) -> dict[str, Any]:
        self._vision()
        self.inputs |= PIXELS.get(self.kind, lambda _: {})(self)
        self._audio()
        self._text()
        self._labels()
        self.inputs |= INPUTS.get(self.kind, lambda _: {})(self)
        return {name: value for name, value in self.inputs.items() if value is not None}

    # -- vision

    @property
    def image_size(self) -> tuple[int, int]:
        size = find(self._part("vision"), "image_size", "img_size", "input_size") or 64
        return (size, size) if isinstance(size, int) else tuple(size)[-2:]

    @property
    def channels(self) -> int:
        found = find(self._part("vision"), "num_channels", "in_channels", "in_chans")
        return found if isinstance(found, int) else 3

    def _part(self, kind: str) -> PreTrainedConfig:
        names = {
            "vision": ("vision_config", "image_config", "backbone_config", "thinker_config"),
            "audio": ("audio_config", "encoder_config", "audio_encoder_config", "speech_encoder"),
        }[kind]
        for name in names:
            inner = getattr(self.config, name, None)
            if isinstance(inner, PreTrainedConfig):
                return inner
        return self.config

    def _vision(self) -> None:
        names = self.names
        if getattr(self.config, "vision_config", self.config) is None:
            return
        if "image_grid_thw" in names or ("grid_thw" in names and "image_size" not in names):
            self._patches()
            return
        image = (self.channels, *self.image_size)
        frames = find(self.config, "num_frames", "frames_per_clip") or 2
        if "pixel_values" in names:
            shape = {
                "plain": (SAMPLES, *image),
                "several": (SAMPLES, 2, *image),
                "video": (SAMPLES, frames, *image),
            }[self.layout if self.layout in ("several", "video") else "plain"]
            self.inputs["pixel_values"] = torch.randn(shape)
        if "pixel_values_videos" in self.required:
            self.inputs["pixel_values_videos"] = torch.randn(SAMPLES, frames, *image)
        if "image_sizes" in names and self.layout == "sized":
            self.inputs["image_sizes"] = torch.tensor([self.image_size] * SAMPLES)

    def _patches(self) -> None:
        """Images cut into patches and laid end to end, as in Qwen2-VL."""
        config = self._part("vision")
        patch = find(config, "patch_size")
        merge = find(config, "spatial_merge_size", "merge_size") or 1
        depth = find(config, "temporal_patch_size", "patch_temporal") or 1
        side = 2 * merge
        grid = torch.tensor([[1, side, side]] * SAMPLES)
        values = torch.randn(SAMPLES * side * side, self.channels * depth * patch * patch)
        name = "image_grid_thw" if "image_grid_thw" in self.names else "grid_thw"
        first = "pixel_values" if "pixel_values" in self.names else "hidden_states"
        self.inputs |= {first: values, name: grid}

    # -- audio

    def _audio(self) -> None:
        if "input_values" in self.names:
            channels = find(self.config, "audio_channels")
            shape = (SAMPLES, channels or 1, 3200) if self.layout == "channels" else (SAMPLES, 3200)
            self.inputs["input_values"] = torch.randn(shape)
        if "input_features" in self.names:
            mels = find(
                self._part("audio"), "num_mel_bins", "feature_projection_input_dim", "input_dim",
                "input_feat_per_channel", "feature_size", "mel_bins",
            ) or 16
            positions = find(self._part("audio"), "max_source_positions")
            frames = 2 * positions if positions else 64
            shape = (frames, mels) if self.layout == "time first" else (mels, frames)
            self.inputs["input_features"] = torch.randn(SAMPLES, *shape)
            for mask in ("input_features_mask", "feature_attention_mask"):
                if mask in self.names:
                    self.inputs[mask] = torch.ones(SAMPLES, frames, dtype=torch.long)

    # -- text

    def tokens(self, length: int = TOKENS) -> Tensor:
        sizes = find(self.config, "vocab_size", "src_vocab_size")
        last = min(sizes or VOCABULARY, FIRST_SPECIAL_TOKEN)
        first = FIRST_PLAIN_TOKEN if last > FIRST_PLAIN_TOKEN + 8 else min(3, last - 1)
        return torch.randint(first, last, (SAMPLES, length))

    def _text(self) -> None:
        if "input_ids" in self.names:
            ids = self.tokens()
            if "classification" in self.head and isinstance(self.config.eos_token_id, int):
                ids[:, -1] = self.config.eos_token_id
            for kind in ("image", "audio"):
                if placeholder := self._placeholder(kind):
                    token, count = placeholder
                    ids = torch.cat(
                        (ids[:, :2], torch.full((SAMPLES, count), token), ids[:, 2:]), dim=1
                    )
                    if "mm_token_type_ids" in self.names:
                        self.inputs["mm_token_type_ids"] = (ids == token).long()
            self.inputs["input_ids"] = ids
            if "attention_mask" in self.names:
                self.inputs["attention_mask"] = torch.ones_like(ids)
            if "token_type_ids" in self.names and "token_type_ids" in self.required:
                self.inputs["token_type_ids"] = torch.zeros_like(ids)
            if "bbox" in self.names:
                corners = torch.randint(0, 30, (SAMPLES, ids.shape[1], 2))
                self.inputs["bbox"] = torch.cat((corners, corners + 8), dim=-1)
        if "return_loss" in self.names:
            self.inputs["return_loss"] = True

    def _placeholder(self, kind: str) -> tuple[int, int] | None:
        """The token that stands for an image or a sound, and how many of it a sample needs."""
        token = find(self.config, f"{kind}_token_id", f"{kind}_token_index")
        get = getattr(self.model, f"get_{kind}_features", None)
        inner = getattr(self.model, "model", None)
        get = get or getattr(inner, f"get_{kind}_features", None)
        if not isinstance(token, int) or get is None:
            return None
        wanted = {n for n in inspect.signature(get).parameters if n in self.inputs}
        if not wanted:
            return None
        with torch.no_grad():
            features = get(**{name: self.inputs[name] for name in wanted})
        features = getattr(features, "pooler_output", features)
        if not isinstance(features, Tensor):
            features = torch.cat([f.reshape(-1, f.shape[-1]) for f in features])
        return token, features.numel() // features.shape[-1] // SAMPLES

    # -- labels

    def _labels(self) -> None:
        names, head = self.names, self.head
        ids = self.inputs.get("input_ids")
        classes = torch.arange(SAMPLES) % LABELS
        if "start_positions" in names and ids is not None:
            self.inputs |= {"start_positions": classes + 1, "end_positions": classes + 3}
            return
        if {"mask_labels", "class_labels"} <= names:
            masks = (torch.rand(2, *self.image_size) > 0.5).float()
            self.inputs["mask_labels"] = [masks for _ in range(SAMPLES)]
            self.inputs["class_labels"] = [torch.tensor([0, 1]) for _ in range(SAMPLES)]
            return
        if "labels" not in names or not self.labels:
            if "decoder_input_ids" in names:
                self.inputs["decoder_input_ids"] = self.tokens()
            return
        if "detection" in head or "instance" in head:
            boxes = torch.tensor([[0.4, 0.4, 0.3, 0.3], [0.6, 0.5, 0.2, 0.4]])
            self.inputs["labels"] = [
                {"class_labels": torch.tensor([0, 1]), "boxes": boxes} for _ in range(SAMPLES)
            ]
        elif "segmentation" in head:
            self.inputs["labels"] = torch.randint(0, LABELS, (SAMPLES, *self.image_size))
        elif "token classification" in head:
            self.inputs["labels"] = torch.randint(0, LABELS, ids.shape)
        elif "classification" in head:
            self.inputs["labels"] = classes
        elif head in ("CTC", "RNNT", "TDT"):
            self.inputs["labels"] = torch.randint(1, 20, (SAMPLES, 4))
        elif ids is None or "decoder_input_ids" in names:
            self.inputs["labels"] = self.tokens()
        else:
            self.inputs["labels"] = ids.clone()


LAYOUTS = ("plain", "sized", "several", "video", "time first", "channels")


# ------------------------------------------------------------------------------ networks


class NotBuildable(Exception):
    """A network that this machinery cannot build; the message says why."""


@dataclasses.dataclass(frozen=True)
class Network:
    """What a check takes."""

    model: nn.Module
    batch: Any
    loss: Callable[..., Tensor] | None
    layout: str


def outputs_of(output: Any) -> list[Tensor]:
    """All tensors in an output that a loss can pull on."""
    if isinstance(output, Tensor):
        return [output] if output.requires_grad and output.is_floating_point() else []
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, list | tuple):
        return [t for part in output for t in outputs_of(part)]
    return []


def mean_square_of_outputs(output: Any, targets: list[Tensor]) -> Tensor:
    """Mean squared distance of every output from its target, added up."""
    found = outputs_of(output)
    return sum(((o - t) ** 2).mean() for o, t in zip(found, targets, strict=True))


def config_of(architecture: Architecture) -> PreTrainedConfig:
    """The tiny configuration of an architecture."""
    kind = getattr(transformers, architecture.class_name, None)
    config_class = getattr(kind, "config_class", None)
    if config_class is None:
        raise NotBuildable(f"transformers lacks what {architecture.class_name} needs")
    config = tiny(config_class(), OVERRIDES.get(str(architecture)))
    for name, value in {"pad_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 1}.items():
        if getattr(config, name, None) is None:
            setattr(config, name, value)
    config.num_labels = LABELS
    config.use_cache = False
    return config


def build(architecture: Architecture) -> Network:
    """Build a network with random weights, a batch and, where it has no loss itself, a loss.

    Raises:
        NotBuildable: With the reason.
    """
    torch.manual_seed(0)
    config = config_of(architecture)
    kind = getattr(transformers, architecture.class_name)
    with torch.device("meta"):
        count = sum(p.numel() for p in kind(config).parameters())
    if count > MAX_PARAMETERS:
        raise NotBuildable(f"{count:,} parameters")
    model = kind(config).train()
    errors = []
    for labels, layout in itertools.product((True, False), LAYOUTS):
        try:
            inputs = Batch(model, architecture, layout, labels=labels).make()
            output = model(**inputs)
        except Exception as error:
            errors.append(f"{layout}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
            continue
        loss = output.get("loss") if isinstance(output, Mapping) else None
        if isinstance(loss, Tensor) and loss.numel() == 1 and loss.requires_grad:
            return Network(model, inputs, None, layout)
        targets = [torch.randn_like(o) for o in outputs_of(output)]
        if targets:
            return Network(model, (inputs, targets), mean_square_of_outputs, layout)
        errors.append(f"{layout}: no output that a loss can pull on")
    raise NotBuildable(f"{errors[0]}; without labels: {errors[len(LAYOUTS)]}")


def _series(_: Batch) -> dict[str, Any]:
    return {
        "past_values": torch.randn(SAMPLES, 10),
        "past_time_features": torch.randn(SAMPLES, 10, 1),
        "past_observed_mask": torch.ones(SAMPLES, 10),
        "future_values": torch.randn(SAMPLES, 4),
        "future_time_features": torch.randn(SAMPLES, 4, 1),
    }


def _patch_series(batch: Batch) -> dict[str, Any]:
    return {"past_values": torch.randn(SAMPLES, batch.config.context_length, 1)}


def _flat_patches(batch: Batch) -> dict[str, Any]:
    patch = find(batch.config, "patch_size")
    count = 16
    return {
        "pixel_values": torch.randn(SAMPLES, count, batch.channels * patch * patch),
        "pixel_attention_mask": torch.ones(SAMPLES, count, dtype=torch.long),
        "spatial_shapes": torch.tensor([[4, 4]] * SAMPLES),
    }


def _regions(batch: Batch) -> dict[str, Any]:
    return {
        "visual_feats": torch.randn(SAMPLES, 4, batch.config.visual_feat_dim),
        "visual_pos": torch.rand(SAMPLES, 4, batch.config.visual_pos_dim),
        "labels": batch.inputs.get("labels") if "pre" in batch.head else None,
    }


def _spectrogram(batch: Batch) -> dict[str, Any]:
    return {"input_values": torch.randn(SAMPLES, batch.config.max_length, batch.config.num_mel_bins)}


def _one_image_each(batch: Batch) -> dict[str, Any]:
    ids = batch.inputs["input_ids"]
    return {
        "pixel_values": torch.randn(SAMPLES, 1, batch.channels, *batch.image_size),
        "image_attention_mask": torch.ones(*ids.shape, 1, dtype=torch.long),
    }


def _square_patches(batch: Batch) -> dict[str, Any]:
    patch = find(batch.config, "patch_size")
    return {"pixel_values": batch.inputs["pixel_values"].reshape(-1, batch.channels, patch, patch)}


def _two_tiles(batch: Batch) -> dict[str, Any]:
    return {
        "pixel_values": torch.randn(SAMPLES, 2, batch.channels, *batch.image_size),
        "image_sizes": torch.tensor([batch.image_size] * SAMPLES),
    }


def _latent_image(batch: Batch) -> dict[str, Any]:
    mask = torch.zeros_like(batch.inputs["input_ids"])
    mask[:, 1 : 1 + batch.config.latent_query_num] = 1
    return {"image_embeds_position_mask": mask}


def _decisions(batch: Batch) -> dict[str, Any]:
    config = batch.config
    return {
        "states": torch.randn(SAMPLES, TOKENS, config.state_dim),
        "actions": torch.randn(SAMPLES, TOKENS, config.act_dim),
        "rewards": torch.randn(SAMPLES, TOKENS, 1),
        "returns_to_go": torch.randn(SAMPLES, TOKENS, 1),
        "timesteps": torch.arange(TOKENS).repeat(SAMPLES, 1),
        "attention_mask": torch.ones(SAMPLES, TOKENS),
    }


def _queries(batch: Batch) -> dict[str, Any]:
    ids = batch.tokens()
    return {"qformer_input_ids": ids, "qformer_attention_mask": torch.ones_like(ids)}


def _task(batch: Batch) -> dict[str, Any]:
    return {"task_inputs": torch.randint(1, 99, (SAMPLES, batch.config.task_seq_len))}


def _masked_video(batch: Batch) -> dict[str, Any]:
    config = batch.config
    side = config.image_size // config.patch_size
    count = config.num_frames // config.tubelet_size * side * side
    return {"bool_masked_pos": (torch.arange(count) % 2 == 0).repeat(SAMPLES, 1)}


# Before the placeholders of the text are counted: what replaces the plain images.
PIXELS: dict[str, Callable[[Batch], dict[str, Any]]] = {
    "fuyu": lambda b: {"pixel_values": _flat_patches(b)["pixel_values"]},
    "granite4_vision": _two_tiles,
    "kimi_k25": _square_patches,
    "kimi_k25_vision": _square_patches,
    "lfm2_vl": _flat_patches,
    "lfm3_vl": _flat_patches,
    "llava_next": _two_tiles,
    "llava_next_video": _two_tiles,
    "llava_onevision": _two_tiles,
    "siglip2": _flat_patches,
    "siglip2_vision_model": _flat_patches,
}

# By model type, what else the forward pass wants, or wants otherwise; None takes an input away.
INPUTS: dict[str, Callable[[Batch], dict[str, Any]]] = {
    "audio-spectrogram-transformer": _spectrogram,
    "autoformer": _series,
    "clap": lambda b: {"input_features": torch.randn(SAMPLES, 1, 64, b.config.audio_config.num_mel_bins)},
    "decision_transformer": _decisions,
    "idefics": _one_image_each,
    "informer": _series,
    "instructblip": _queries,
    "instructblipvideo": _queries,
    "kosmos-2": _latent_image,
    "kosmos-2.5": _latent_image,
    "lxmert": _regions,
    "oneformer": _task,
    "patchtsmixer": _patch_series,
    "patchtst": _patch_series,
    "speech-encoder-decoder": lambda _: {"input_features": None},
    "time_series_transformer": _series,
    "videomae": _masked_video,
    "videomt": lambda b: {"pixel_values_videos": torch.randn(SAMPLES, 2, 3, *b.image_size)},
    "videoprism_vision_model": lambda b: {
        "pixel_values_videos": torch.randn(SAMPLES, 2, 3, *b.image_size)
    },
    "timesfm": lambda b: {
        "past_values": torch.randn(SAMPLES, b.config.context_length),
        "past_values_padding": torch.zeros(SAMPLES, b.config.context_length),
        "freq": torch.zeros(SAMPLES, 1, dtype=torch.long),
    },
    "timesfm2_5": lambda b: {
        "past_values": torch.randn(SAMPLES, b.config.context_length),
    },
    "visual_bert": lambda b: {
        "visual_embeds": torch.randn(SAMPLES, 4, b.config.visual_embedding_dim),
        "labels": None,
    },
    "xcodec": lambda _: {"input_values": torch.randn(SAMPLES, 1, 3200)},
}
