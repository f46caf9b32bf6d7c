"""The rules, one a file. A new rule is a file, a test and a line in this tuple."""

from typing import Final

from unvanish.core.protocols import Rule
from unvanish.diagnose.rules.dead import DeadUnits
from unvanish.diagnose.rules.detached import DetachedParameter
from unvanish.diagnose.rules.exploding import ExplodingGradient
from unvanish.diagnose.rules.non_finite import NonFinite
from unvanish.diagnose.rules.not_measured import CouldNotMeasure
from unvanish.diagnose.rules.saturated import SaturatedActivation
from unvanish.diagnose.rules.through_time import VanishingThroughTime
from unvanish.diagnose.rules.underflow import PrecisionUnderflow
from unvanish.diagnose.rules.vanishing import VanishingGradient

BUILTIN_RULES: Final[tuple[Rule, ...]] = (
    VanishingGradient(),
    ExplodingGradient(),
    SaturatedActivation(),
    DeadUnits(),
    VanishingThroughTime(),
    PrecisionUnderflow(),
    NonFinite(),
    DetachedParameter(),
    CouldNotMeasure(),
)
