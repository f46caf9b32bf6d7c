"""The rules on a watched run, one a file. A new rule is a file, a test and a line here."""

from typing import Final

from unvanish.core.protocols import RunRule
from unvanish.diagnose.running.rules.after_spike import DeadAfterSpike
from unvanish.diagnose.running.rules.clipping import ClippingAlwaysActive
from unvanish.diagnose.running.rules.dying import DyingUnits
from unvanish.diagnose.running.rules.exploding import ExplodingInRun
from unvanish.diagnose.running.rules.frozen import FrozenLayers
from unvanish.diagnose.running.rules.loss_course import LossCourse
from unvanish.diagnose.running.rules.no_learning import NoLearning
from unvanish.diagnose.running.rules.noisy import NoisyRun
from unvanish.diagnose.running.rules.saturation import SaturationDrift
from unvanish.diagnose.running.rules.step_size import StepTooLong
from unvanish.diagnose.running.rules.underflow import UnderflowInRun
from unvanish.diagnose.running.rules.vanishing import VanishingInRun

BUILTIN_RUN_RULES: Final[tuple[RunRule, ...]] = (
    FrozenLayers(),
    VanishingInRun(),
    ExplodingInRun(),
    DyingUnits(),
    SaturationDrift(),
    NoisyRun(),
    LossCourse(),
    NoLearning(),
    UnderflowInRun(),
    ClippingAlwaysActive(),
    StepTooLong(),
    DeadAfterSpike(),
)
