"""UV901: what could not be seen, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.incidents import Gap
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotMeasured, Verdict

_MAIN: Final = Quantity.LOG10_ACTIVATION_GRAD_RMS


@final
@dataclass(frozen=True, kw_only=True)
class CouldNotMeasure:
    """Something of the network could not be seen, so nothing is said about it.

    ## What it measures
    The gaps that the observer left while it looked: steps that PyTorch runs as one piece,
    quantities that do not exist for a type, a probe that failed, a step at which `unvanish`
    itself failed, which its authors want to hear of. The limit is zero gaps
    (`max_gaps`), since every gap is a place where a sickness could hide. A gap is a note
    while the rest was judged, and a warning where the gradient over depth itself, which
    most rules stand on, is missing.

    ## Why it hurts
    What was not measured looks exactly like what is healthy, unless somebody says so.

    ## When it stays silent
    When everything that was looked for was seen.

    ## False alarms
    A fused step (LSTM, attention) may be healthy inside: the finding says only that nobody
    looked.

    ## What helps
    Each gap carries its own reason. Often it is a fused kernel, which a float64 copy of the
    network or `torch.nn.attention.sdpa_kernel(SDPBackend.MATH)` takes apart.

    ## Source
    Paszke and others (2019): some operations are one opaque node in the recorded graph.
    """

    code: ClassVar[str] = "UV901"
    name: ClassVar[str] = "not-measured"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["paszke2019"],)

    max_gaps: int = 0

    def examine(self, recording: Recording) -> Verdict:
        """Report the gaps of a recording."""
        if not recording.sites and not recording.gaps:
            return NotMeasured("anything at all: the recording holds no steps")
        gaps = list(recording.gaps)
        if not len(recording[_MAIN]) and not any(_is_main(gap) for gap in gaps):
            gaps.insert(0, Gap("the gradient over depth", "no step reported one"))
        if len(gaps) <= self.max_gaps:
            return Clear(summary="everything that was looked for was seen")
        return Found((self._finding(recording, gaps),))

    def _finding(self, recording: Recording, gaps: list[Gap]) -> Finding:
        # Many steps may have a gap for one reason: say each reason once.
        reasons = list(dict.fromkeys((gap.what, gap.why) for gap in gaps))
        main = not len(recording[_MAIN]) or any(_is_main(gap) for gap in gaps)
        first, why = reasons[0]
        others = f" ({len(reasons) - 1} more could not)" if len(reasons) > 1 else ""
        places = {gap.site for gap in gaps if gap.site is not None}
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING if main else Severity.NOTE,
            message=f"{first} could not be measured: {why}{others}",
            sites=tuple(site for site in recording.sites if site.index in places),
            measured=float(len(gaps)),
            expected=0.0,
            limit=float(self.max_gaps),
            unit="gaps",
            notes=tuple(f"{what} could not be measured: {why}" for what, why in reasons[1:]),
            help=("read the other verdicts as verdicts about the rest of the network only",),
        )


def _is_main(gap: Gap) -> bool:
    words = (_MAIN.value, "gradient over depth", "gradients below the range")
    return any(word in gap.what for word in words)
