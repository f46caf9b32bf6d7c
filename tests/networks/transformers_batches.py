"""Batches for networks of `transformers`, made from the names of a forward pass's parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from tests.networks.transformers_configs import find
from tests.networks.transformers_tables import (
    FIRST_PLAIN_TOKEN,
    FIRST_SPECIAL_TOKEN,
    VOCABULARY,
)
from torch import Tensor, nn
from transformers import PreTrainedConfig

SAMPLES, TOKENS, LABELS = 4, 12, 4

# What the names leave open: how many images, which axis is time.
LAYOUTS = ("plain", "sized", "several", "video", "time first", "channels")


class Batch:
    """Makes the inputs of one network by the names of its forward's parameters."""

    def __init__(
        self, model: nn.Module, model_type: str, head: str, layout: str, *, labels: bool
    ) -> None:
        self.model, self.config = model, model.config
        self.model_type, self.head = model_type, head
        self.layout, self.labels = layout, labels
        parameters = [
            p
            for p in inspect.signature(model.forward).parameters.values()
            if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        ]
        self.names = {p.name for p in parameters}
        self.required = {p.name for p in parameters if p.default is p.empty}
        self.inputs: dict[str, Any] = {}

    def make(self) -> dict[str, Any]:
        self._vision()
        self.inputs |= PIXELS.get(self.model_type, lambda _: {})(self)
        self._audio()
        self._text()
        self._labels()
        self.inputs |= INPUTS.get(self.model_type, lambda _: {})(self)
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
        if getattr(self.config, "audio_config", self.config) is None:
            return
        if "input_values" in self.names:
            channels = find(self.config, "audio_channels")
            shape = (SAMPLES, channels or 1, 3200) if self.layout == "channels" else (SAMPLES, 3200)
            self.inputs["input_values"] = torch.randn(shape)
        if "input_features" in self.names:
            mels = (
                find(
                    self._part("audio"),
                    "num_mel_bins",
                    "feature_projection_input_dim",
                    "input_dim",
                    "input_feat_per_channel",
                    "feature_size",
                    "mel_bins",
                )
                or 16
            )
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
    return {
        "input_values": torch.randn(SAMPLES, batch.config.max_length, batch.config.num_mel_bins)
    }


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
    "clap": lambda b: {
        "input_features": torch.randn(SAMPLES, 1, 64, b.config.audio_config.num_mel_bins)
    },
    "decision_transformer": _decisions,
    "funnel": lambda b: {"labels": b.inputs["input_ids"] % 2} if "pre-" in b.head else {},
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
