"""What a Jacobian estimate leaves behind: plain numbers, without torch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialJacobian:
    """The Jacobian from one layer to the end, as one row of a profile.

    Attributes:
        layer: Path of the module whose output is differentiated by.
        size: Entries of that output per sample.
        apjn: Averaged partial Jacobian norm, |J|_F^2 over the entries of the end, per sample.
        standard_error: Of ``apjn``, over the random directions.
    """

    layer: str
    size: int
    apjn: float
    standard_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JacobianEstimate:
    """Matrix-free estimates of one Jacobian J = d end / d start, per sample.

    Attributes:
        start: Path of the module whose output is differentiated by; ``""`` is the input.
        end: Path of the module whose output is differentiated; ``""`` is the network.
        inputs: Entries of the start per sample.
        outputs: Entries of the end per sample.
        samples: Samples in the batch.
        coupled: Whether one sample's end depends on another's start (BatchNorm, contrastive
            losses). The batch is then one Jacobian, and ``inputs`` and ``outputs`` count all.
        probes: Random directions.
        trace: |J|_F^2 = tr J^T J, the sum of the squared singular values.
        standard_error: Of ``trace``, over the random directions.
        spread: Variance of the squared singular values over their squared mean: 0 is an
            isometry up to scale.
        singular_values: The largest singular values, the largest first: one row a sample.
        residual: Largest relative error of these, as Lanczos' own residuals bound it.
        method: How J u was computed: ``"double backward"``, ``"difference"``; ``""`` where no
            singular values were asked for.
        dtype: Type it was computed in.
        layers: The same norm from layers between start and end, input side first.
    """

    start: str = ""
    end: str = ""
    inputs: int
    outputs: int
    samples: int
    coupled: bool
    probes: int
    trace: float
    standard_error: float
    spread: float = math.nan
    singular_values: tuple[tuple[float, ...], ...] = ()
    residual: float = math.nan
    method: str = ""
    dtype: str = ""
    layers: tuple[PartialJacobian, ...] = ()

    @property
    def rank_bound(self) -> int:
        """Number of singular values, min(inputs, outputs)."""
        return min(self.inputs, self.outputs)

    @property
    def mean_square(self) -> float:
        """Mean of the squared singular values: chi^L in mean-field theory."""
        return self.trace / max(1, self.rank_bound)

    @property
    def apjn(self) -> float:
        """Averaged partial Jacobian norm, |J|_F^2 over the entries of the end."""
        return self.trace / max(1, self.outputs)

    @property
    def largest(self) -> float:
        """Largest singular value of any sample; ``nan`` where none was computed."""
        return max((row[0] for row in self.singular_values if row), default=math.nan)

    @property
    def anisotropy(self) -> float:
        """Largest singular value over their root mean square: 1 for an isometry."""
        size = math.sqrt(self.mean_square)
        return self.largest / size if size > 0.0 else math.nan

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; a number that is not finite becomes text or null."""
        document = {key: _plain(value) for key, value in asdict(self).items()}
        for name in ("mean_square", "apjn", "largest", "anisotropy"):
            document[name] = _plain(getattr(self, name))
        return document


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
