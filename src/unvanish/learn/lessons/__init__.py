"""The lessons, one a file, and the order to read them in."""

from __future__ import annotations

from typing import Any, Final

from unvanish.learn.lesson import Lesson
from unvanish.learn.lessons.clipping import LESSON as CLIPPING
from unvanish.learn.lessons.cnn_edges import LESSON as CNN_EDGES
from unvanish.learn.lessons.curvature import LESSON as CURVATURE
from unvanish.learn.lessons.depth import LESSON as DEPTH
from unvanish.learn.lessons.derivatives import LESSON as DERIVATIVES
from unvanish.learn.lessons.edge_of_chaos import LESSON as EDGE_OF_CHAOS
from unvanish.learn.lessons.frozen_early_layers import LESSON as FROZEN_EARLY_LAYERS
from unvanish.learn.lessons.healthy_but_not_learning import LESSON as HEALTHY_BUT_NOT_LEARNING
from unvanish.learn.lessons.initialisation import LESSON as INITIALISATION
from unvanish.learn.lessons.monitoring import LESSON as MONITORING
from unvanish.learn.lessons.noise import LESSON as NOISE
from unvanish.learn.lessons.normalisation import LESSON as NORMALISATION
from unvanish.learn.lessons.numerics import LESSON as NUMERICS
from unvanish.learn.lessons.product import LESSON as PRODUCT
from unvanish.learn.lessons.proving import LESSON as PROVING
from unvanish.learn.lessons.relu_family import LESSON as RELU_FAMILY
from unvanish.learn.lessons.residual import LESSON as RESIDUAL
from unvanish.learn.lessons.saturation import LESSON as SATURATION
from unvanish.learn.lessons.through_time import LESSON as THROUGH_TIME
from unvanish.learn.lessons.transformers import LESSON as TRANSFORMERS
from unvanish.learn.lessons.tuning import LESSON as TUNING
from unvanish.learn.lessons.weights import LESSON as WEIGHTS
from unvanish.learn.lessons.what_vanishes import LESSON as WHAT_VANISHES
from unvanish.learn.lessons.worked_example import LESSON as WORKED_EXAMPLE

LESSONS: Final[tuple[Lesson[Any], ...]] = (
    WHAT_VANISHES,
    WORKED_EXAMPLE,
    DERIVATIVES,
    PRODUCT,
    WEIGHTS,
    DEPTH,
    FROZEN_EARLY_LAYERS,
    SATURATION,
    RELU_FAMILY,
    INITIALISATION,
    NORMALISATION,
    RESIDUAL,
    CLIPPING,
    CURVATURE,
    CNN_EDGES,
    THROUGH_TIME,
    TRANSFORMERS,
    EDGE_OF_CHAOS,
    NUMERICS,
    NOISE,
    HEALTHY_BUT_NOT_LEARNING,
    MONITORING,
    PROVING,
    TUNING,
)
"""All lessons in reading order."""
