"""The remedies, one a file. A new one is a file, a test and a line in this tuple.

Other packages offer theirs as entry points in the group ``unvanish.remedies``.
"""

from typing import Final

from unvanish.treat.protocol import Remedy
from unvanish.treat.remedies.attention_scale import AttentionScale
from unvanish.treat.remedies.batch_first import BatchFirst
from unvanish.treat.remedies.batch_norm import BatchNorm
from unvanish.treat.remedies.bfloat16 import BFloat16
from unvanish.treat.remedies.bound_exponent import BoundExponent
from unvanish.treat.remedies.break_symmetry import BreakSymmetry
from unvanish.treat.remedies.carry_gate import CarryGate
from unvanish.treat.remedies.centralise_gradient import CentraliseGradient
from unvanish.treat.remedies.checkpoint_gradient import CheckpointGradient
from unvanish.treat.remedies.chrono import Chrono
from unvanish.treat.remedies.clip_layer import ClipByLayer
from unvanish.treat.remedies.clip_norm import ClipByNorm
from unvanish.treat.remedies.clip_percentile import ClipByPercentile
from unvanish.treat.remedies.clip_units import ClipByUnits
from unvanish.treat.remedies.clip_value import ClipByValue
from unvanish.treat.remedies.critical import Critical
from unvanish.treat.remedies.curvature_learning_rate import CurvatureLearningRate
from unvanish.treat.remedies.deep_norm import DeepNorm
from unvanish.treat.remedies.delta_orthogonal import DeltaOrthogonal
from unvanish.treat.remedies.depth_scaled_init import DepthScaledInit
from unvanish.treat.remedies.drop_inner_softmax import DropInnerSoftmax
from unvanish.treat.remedies.drop_norm import DropNorm
from unvanish.treat.remedies.elu import Elu
from unvanish.treat.remedies.fixup import Fixup
from unvanish.treat.remedies.float32_islands import Float32Islands
from unvanish.treat.remedies.float32_weights import Float32Weights
from unvanish.treat.remedies.folded_kernel_shape import FoldedKernelShape
from unvanish.treat.remedies.forget_bias import ForgetBias
from unvanish.treat.remedies.gated_cell import GatedCell
from unvanish.treat.remedies.gelu import Gelu
from unvanish.treat.remedies.group_norm import GroupNorm
from unvanish.treat.remedies.guard_singularity import GuardSingularity
from unvanish.treat.remedies.he import He
from unvanish.treat.remedies.highway import Highway
from unvanish.treat.remedies.jacobian_tuning import JacobianTuning
from unvanish.treat.remedies.keel import Keel
from unvanish.treat.remedies.kfac import KroneckerFactors
from unvanish.treat.remedies.layer_norm import LayerNorm
from unvanish.treat.remedies.layer_normalised_gradient import LayerNormalisedGradient
from unvanish.treat.remedies.layer_scale import LayerScale
from unvanish.treat.remedies.layer_wise_rates import LayerWiseRates
from unvanish.treat.remedies.leaky_relu import LeakyRelu
from unvanish.treat.remedies.learning_rate_range import LearningRateRange
from unvanish.treat.remedies.lecun import LeCun
from unvanish.treat.remedies.less_dropout import LessDropout
from unvanish.treat.remedies.logit_scale import LogitScale
from unvanish.treat.remedies.logits_loss import LogitsLoss
from unvanish.treat.remedies.looks_linear import LooksLinear
from unvanish.treat.remedies.loss_balancing import LossBalancing
from unvanish.treat.remedies.loss_scaling import LossScaling
from unvanish.treat.remedies.lower_epsilon import LowerEpsilon
from unvanish.treat.remedies.lstm_cell import LstmCell
from unvanish.treat.remedies.lsuv import LSUV
from unvanish.treat.remedies.match_shapes import MatchShapes
from unvanish.treat.remedies.muon import MuonRemedy
from unvanish.treat.remedies.non_saturating_gan import NonSaturatingGan
from unvanish.treat.remedies.open_gate import OpenGate
from unvanish.treat.remedies.orthogonal import Orthogonal
from unvanish.treat.remedies.orthogonal_recurrence import OrthogonalRecurrence
from unvanish.treat.remedies.output_scale import OutputScale
from unvanish.treat.remedies.positive_output import PositiveOutput
from unvanish.treat.remedies.pre_norm import PreNorm
from unvanish.treat.remedies.prelu import Prelu
from unvanish.treat.remedies.query_key_norm import QueryKeyNorm
from unvanish.treat.remedies.reattach import Reattach
from unvanish.treat.remedies.recurrent_layer_norm import RecurrentLayerNorm
from unvanish.treat.remedies.relu import Relu
from unvanish.treat.remedies.reparameterise import Reparameterise
from unvanish.treat.remedies.residual import Residual
from unvanish.treat.remedies.revive_dead_units import ReviveDeadUnits
from unvanish.treat.remedies.rezero import ReZero
from unvanish.treat.remedies.rms_norm import RmsNorm
from unvanish.treat.remedies.running_statistics import RunningMomentum
from unvanish.treat.remedies.scaled_residual import ScaledResidual
from unvanish.treat.remedies.selu import Selu
from unvanish.treat.remedies.shampoo import ShampooRemedy
from unvanish.treat.remedies.shaped_activation import ShapedActivation
from unvanish.treat.remedies.silu import Silu
from unvanish.treat.remedies.siren import Siren
from unvanish.treat.remedies.skip_init import SkipInit
from unvanish.treat.remedies.smooth_activation import SmoothActivation
from unvanish.treat.remedies.soap import Soap
from unvanish.treat.remedies.soften_router import SoftenRouter
from unvanish.treat.remedies.standardise_input import StandardiseInput
from unvanish.treat.remedies.standardise_target import StandardiseTarget
from unvanish.treat.remedies.straight_through import StraightThroughEstimator
from unvanish.treat.remedies.straight_through_choice import StraightThroughChoice
from unvanish.treat.remedies.straight_through_codes import StraightThroughCodes
from unvanish.treat.remedies.surrogate_gradient import SurrogateGradient
from unvanish.treat.remedies.surrogate_width import SurrogateWidth
from unvanish.treat.remedies.t_fixup import TFixup
from unvanish.treat.remedies.tailored_activation import TailoredActivation
from unvanish.treat.remedies.train_parameter import TrainParameter
from unvanish.treat.remedies.truncated_sequences import TruncatedSequences
from unvanish.treat.remedies.trust_ratio import TrustRatio
from unvanish.treat.remedies.unit_variance import CentreAndUnitVariance
from unvanish.treat.remedies.warm_up import WarmUpRemedy
from unvanish.treat.remedies.weight_decay_off import WeightDecayOff
from unvanish.treat.remedies.weight_standardisation import WeightStandardisation
from unvanish.treat.remedies.xavier import Xavier

BUILTIN_REMEDIES: Final[tuple[Remedy, ...]] = (
    He(),
    Xavier(),
    LeCun(),
    Orthogonal(),
    DeltaOrthogonal(),
    Critical(),
    LooksLinear(),
    Siren(),
    BreakSymmetry(),
    OutputScale(),
    LSUV(),
    CentreAndUnitVariance(),
    JacobianTuning(),
    FoldedKernelShape(),
    ForgetBias(),
    Chrono(),
    OpenGate(),
    CarryGate(),
    OrthogonalRecurrence(),
    GatedCell(),
    LstmCell(),
    ReviveDeadUnits(),
    Relu(),
    LeakyRelu(),
    Prelu(),
    Elu(),
    Selu(),
    Gelu(),
    Silu(),
    SmoothActivation(),
    TailoredActivation(),
    ShapedActivation(),
    PreNorm(),
    DepthScaledInit(),
    BatchNorm(),
    LayerNorm(),
    RecurrentLayerNorm(),
    RmsNorm(),
    GroupNorm(),
    WeightStandardisation(),
    ClipByNorm(),
    ClipByValue(),
    ClipByLayer(),
    ClipByUnits(),
    ClipByPercentile(),
    TrustRatio(),
    LayerNormalisedGradient(),
    CentraliseGradient(),
    LowerEpsilon(),
    Soap(),
    ShampooRemedy(),
    MuonRemedy(),
    KroneckerFactors(),
    CurvatureLearningRate(),
    LayerWiseRates(),
    LearningRateRange(),
    WarmUpRemedy(),
    WeightDecayOff(),
    LossScaling(),
    BFloat16(),
    Float32Islands(),
    Float32Weights(),
    StandardiseInput(),
    StandardiseTarget(),
    GuardSingularity(),
    BoundExponent(),
    PositiveOutput(),
    LogitsLoss(),
    LossBalancing(),
    MatchShapes(),
    BatchFirst(),
    DropInnerSoftmax(),
    LogitScale(),
    DropNorm(),
    RunningMomentum(),
    LessDropout(),
    NonSaturatingGan(),
    StraightThroughEstimator(),
    StraightThroughChoice(),
    StraightThroughCodes(),
    SurrogateGradient(),
    SurrogateWidth(),
    Reparameterise(),
    Reattach(),
    CheckpointGradient(),
    TrainParameter(),
    TruncatedSequences(),
    Residual(),
    ScaledResidual(),
    ReZero(),
    LayerScale(),
    Highway(),
    AttentionScale(),
    QueryKeyNorm(),
    SoftenRouter(),
    TFixup(),
    Fixup(),
    SkipInit(),
    DeepNorm(),
    Keel(),
)
