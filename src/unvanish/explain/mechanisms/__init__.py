"""The mechanisms, one a file. A new one is a file, a test and a line in this tuple.

Other packages offer theirs as entry points in the group ``unvanish.mechanisms``.
"""

from typing import Final

from unvanish.core.protocols import Mechanism
from unvanish.explain.mechanisms.bias import Bias
from unvanish.explain.mechanisms.closed_gates import ClosedGates
from unvanish.explain.mechanisms.dead_units import DeadUnits
from unvanish.explain.mechanisms.dropout import Dropout
from unvanish.explain.mechanisms.gradient_hooks import GradientHooks
from unvanish.explain.mechanisms.input_scale import InputScale
from unvanish.explain.mechanisms.loss_saturation import LossSaturation
from unvanish.explain.mechanisms.missing_normalisation import MissingNormalisation
from unvanish.explain.mechanisms.missing_skips import MissingSkips
from unvanish.explain.mechanisms.normalisation import Normalisation
from unvanish.explain.mechanisms.other_steps import OtherSteps
from unvanish.explain.mechanisms.post_norm import PostNorm
from unvanish.explain.mechanisms.precision import Precision
from unvanish.explain.mechanisms.recurrence import Recurrence
from unvanish.explain.mechanisms.saturation import Saturation
from unvanish.explain.mechanisms.scaling_steps import ScalingSteps
from unvanish.explain.mechanisms.slope_cap import SlopeCap
from unvanish.explain.mechanisms.softmax_saturation import SoftmaxSaturation
from unvanish.explain.mechanisms.unscaled_branches import UnscaledBranches
from unvanish.explain.mechanisms.weights_too_large import WeightsTooLarge
from unvanish.explain.mechanisms.weights_too_small import WeightsTooSmall
from unvanish.explain.mechanisms.zero_derivative import ZeroDerivative
from unvanish.explain.mechanisms.zero_weights import ZeroWeights

BUILTIN_MECHANISMS: Final[tuple[Mechanism, ...]] = (
    GradientHooks(),
    SlopeCap(),
    Saturation(),
    DeadUnits(),
    ZeroDerivative(),
    WeightsTooSmall(),
    WeightsTooLarge(),
    ZeroWeights(),
    ScalingSteps(),
    UnscaledBranches(),
    PostNorm(),
    Normalisation(),
    SoftmaxSaturation(),
    ClosedGates(),
    Dropout(),
    Bias(),
    InputScale(),
    LossSaturation(),
    Precision(),
    OtherSteps(),
    Recurrence(),
    MissingSkips(),
    MissingNormalisation(),
)
