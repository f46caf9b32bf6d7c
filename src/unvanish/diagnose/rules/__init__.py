"""The rules, one a file. A new rule is a file, a test and a line in this tuple."""

from typing import Final

from unvanish.core.protocols import Rule
from unvanish.diagnose.rules.attention import AttentionCollapse
from unvanish.diagnose.rules.closed_gate import ClosedGate
from unvanish.diagnose.rules.collapse import ForwardCollapse
from unvanish.diagnose.rules.critical_depth import CriticalDepth
from unvanish.diagnose.rules.dead import DeadUnits
from unvanish.diagnose.rules.decay import WeightDecay
from unvanish.diagnose.rules.detached import DetachedParameter
from unvanish.diagnose.rules.drowned_term import DrownedTerm
from unvanish.diagnose.rules.exploding import ExplodingGradient
from unvanish.diagnose.rules.frozen import FrozenEarlyLayers
from unvanish.diagnose.rules.gradient_trap import GradientTrap
from unvanish.diagnose.rules.input_scale import InputScale
from unvanish.diagnose.rules.lagging_statistics import LaggingStatistics
from unvanish.diagnose.rules.learning_rate import LearningRate
from unvanish.diagnose.rules.missing_parameter import MissingParameter
from unvanish.diagnose.rules.mixed_samples import MixedSamples
from unvanish.diagnose.rules.noisy import NoisyUpdates
from unvanish.diagnose.rules.non_finite import NonFinite
from unvanish.diagnose.rules.not_measured import CouldNotMeasure
from unvanish.diagnose.rules.optimiser_floor import OptimiserFloor
from unvanish.diagnose.rules.output_loss_pair import OutputLossPair
from unvanish.diagnose.rules.overconfident import OverconfidentStart
from unvanish.diagnose.rules.saturated import SaturatedActivation
from unvanish.diagnose.rules.saturated_output import SaturatedOutput
from unvanish.diagnose.rules.shattering import IllConditionedJacobian
from unvanish.diagnose.rules.symmetric import SymmetricOrZeroInit
from unvanish.diagnose.rules.target_scale import TargetScale
from unvanish.diagnose.rules.through_time import VanishingThroughTime
from unvanish.diagnose.rules.underflow import PrecisionUnderflow
from unvanish.diagnose.rules.vanishing import VanishingGradient
from unvanish.diagnose.rules.zero_derivative import ZeroDerivative

BUILTIN_RULES: Final[tuple[Rule, ...]] = (
    VanishingGradient(),
    ExplodingGradient(),
    ForwardCollapse(),
    SymmetricOrZeroInit(),
    CriticalDepth(),
    IllConditionedJacobian(),
    SaturatedActivation(),
    DeadUnits(),
    SaturatedOutput(),
    OutputLossPair(),
    ZeroDerivative(),
    VanishingThroughTime(),
    AttentionCollapse(),
    ClosedGate(),
    OptimiserFloor(),
    PrecisionUnderflow(),
    NonFinite(),
    LearningRate(),
    NoisyUpdates(),
    WeightDecay(),
    DetachedParameter(),
    FrozenEarlyLayers(),
    InputScale(),
    MissingParameter(),
    GradientTrap(),
    TargetScale(),
    OverconfidentStart(),
    DrownedTerm(),
    LaggingStatistics(),
    MixedSamples(),
    CouldNotMeasure(),
)
