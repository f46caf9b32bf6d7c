"""Tiny random networks of every family of `transformers`, each with a batch and a loss."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Mapping
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from tests.networks.transformers_batches import LABELS, LAYOUTS, Batch
from tests.networks.transformers_configs import tiny
from tests.networks.transformers_tables import OVERRIDES
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig
from transformers.models.auto import configuration_auto, modeling_auto

MAX_PARAMETERS = 7_000_000

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


class NotBuildableError(Exception):
    """A network that this machinery cannot build; the message says why."""


@dataclasses.dataclass(frozen=True)
class Network:
    """What a check takes."""

    model: nn.Module
    batch: Any
    loss: Callable[..., Tensor] | None
    layout: str


def outputs_of(output: Any) -> list[Tensor]:
    """All tensors in an output that a loss can pull on; a masked logit is none of them."""
    if isinstance(output, Tensor):
        usable = output.requires_grad and output.is_floating_point() and output.numel()
        return [output] if usable and bool(output.isfinite().all()) else []
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, list | tuple):
        return [t for part in output for t in outputs_of(part)]
    return []


def distance(output: Any, targets: list[Tensor]) -> Tensor:
    """The distance of every output from its target, added up; a logit of -10,000 weighs little."""
    pairs = zip(outputs_of(output), targets, strict=True)
    return sum((functional.smooth_l1_loss(*pair) for pair in pairs), torch.zeros(()))


def target_for(output: Tensor) -> Tensor:
    """A random target that the output can reach, whatever nonlinearity it went through."""
    values = output.detach()
    if values.min() >= 0:
        return values.flatten()[torch.randperm(values.numel())].view_as(values)
    if values.abs().max() <= 1:
        return torch.empty_like(values).uniform_(-0.9, 0.9)
    return torch.randn_like(values)


def config_of(architecture: Architecture) -> PreTrainedConfig:
    """The tiny configuration of an architecture."""
    kind = getattr(transformers, architecture.class_name, None)
    config_class = getattr(kind, "config_class", None)
    if config_class is None:
        raise NotBuildableError(f"transformers lacks what {architecture.class_name} needs")
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
        NotBuildableError: With the reason.
    """
    torch.manual_seed(0)
    config = config_of(architecture)
    kind = getattr(transformers, architecture.class_name)
    with torch.device("meta"):
        count = sum(p.numel() for p in kind(config).parameters())
    if count > MAX_PARAMETERS:
        raise NotBuildableError(f"{count:,} parameters")
    model = kind(config).train()
    errors = []
    for labels, layout in itertools.product((True, False), LAYOUTS):
        try:
            batch = Batch(model, architecture.model_type, architecture.head, layout, labels=labels)
            inputs = batch.make()
            output = model(**inputs)
        except Exception as error:
            errors.append(f"{layout}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
            continue
        loss = output.get("loss") if isinstance(output, Mapping) else None
        if isinstance(loss, Tensor) and loss.numel() == 1 and loss.requires_grad:
            return Network(model, inputs, None, layout)
        targets = [target_for(o) for o in outputs_of(output)]
        if targets:
            return Network(model, (inputs, targets), distance, layout)
        errors.append(f"{layout}: no output that a loss can pull on")
    raise NotBuildableError(f"{errors[0]}; without labels: {errors[len(LAYOUTS)]}")
