"""A SimCLR-like contrastive network in which ``F.normalize`` was forgotten.

The similarities are inner products of whole feature vectors, divided by a temperature that is
meant for cosines. The softmax over them is one-hot on whichever image has the longest vector,
so the loss starts in the hundreds and its gradient pulls at a handful of images.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import held_out_digits, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import nearest_neighbour_accuracy, two_views

PATIENT = Patient(
    family="contrastive learning",
    codes=("UV203",),
    cause=Cause.LOSS_SATURATION,
    also=("UV102", "UV101", "UV404", "UV405", "UV502"),
    cure="features of length one",
    steps=150,
    variants={"width": (64, 256)},
    source="Chen and others (2020), A simple framework for contrastive learning",
)
GOAL = 0.9
HIGHER_IS_BETTER = True

TEMPERATURE = 0.05
