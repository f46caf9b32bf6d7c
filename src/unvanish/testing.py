"""Contract kits for plug-in authors, and recordings written by hand.

A rule is tested on numbers, without a network and without torch:

    from unvanish.testing import check_rule, recording_of

    check_rule(
        MyRule(),
        sick=recording_of("linear", "tanh", "linear", profiles={...: [None, 0.9, None]}),
        healthy=recording_of("linear", "tanh", "linear", profiles={...: [None, 0.1, None]}),
        not_measured=recording_of("linear", "tanh", "linear"),
    )

A rule on training runs is held to the same contract by `check_run_rule`, on runs that are written
by hand as `RunRecording`.

A remedy is held to its contract on a network, for which torch is loaded:

    from unvanish.testing import check_remedy

    check_remedy(MyRemedy(), lambda: nn.Sequential(...), (inputs, target))

Everything here raises plain `AssertionError` and works without pytest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from unvanish.core.codec import encode_diagnosis, encode_recording, to_text
from unvanish.core.conditions import RunContext
from unvanish.core.findings import Cause, Diagnosis, Finding
from unvanish.core.glossary import LayerQuantity, Quantity, StepQuantity
from unvanish.core.incidents import Gap
from unvanish.core.pages import PAGE_HEADINGS, page_of, sections_of, title_of
from unvanish.core.protocols import Rule, RunRule
from unvanish.core.records import Edge, Parameter, Profile, Recording, Role, Site
from unvanish.core.registry import lacking
from unvanish.core.runs import RunRecording
from unvanish.core.verdicts import Clear, Found, NotMeasured, Verdict
from unvanish.diagnose.run import judge
from unvanish.diagnose.running import judge_run

if TYPE_CHECKING:
    from unvanish.treat.contract import check_remedy

__all__ = ["check_remedy", "check_rule", "check_run_rule", "recording_of"]

_WIDTH: Final = 64
_CODE: Final = re.compile(r"[A-Z]{2,}[0-9]{3}")
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_WEIGHTED: Final = frozenset({"linear", "conv1d", "conv2d", "conv3d", "embedding", "bilinear"})
_SLOPE_CAPS: Final = {
    "sigmoid": 0.25,
    "tanh": 1.0,
    "hardtanh": 1.0,
    "hardsigmoid": 1.0 / 6.0,
    "softsign": 1.0,
}


def recording_of(
    *steps: str | Site,
    profiles: Mapping[Quantity, Sequence[float | None]] | None = None,
    parameters: Sequence[Parameter] | None = None,
    context: RunContext | None = None,
    gaps: Sequence[Gap] = (),
    later: Recording | None = None,
) -> Recording:
    """Write a recording of a chain of steps by hand.

    Args:
        *steps: One step each, input side first: the name of an operation, which becomes a
            step of 64 features at ``layers.N``, or a `Site` of your own, whose index is
            set here. The last weight-bearing step and what follows it shape the output.
        profiles: Quantity to one value a step; None where it was not measured.
        parameters: All parameters; by default a healthy weight and bias for every
            weight-bearing step given by name.
        context: Conditions of the look.
        gaps: What could not be seen.
        later: The recording after a few probe steps.

    Returns:
        The recording, with one edge from every step to the next.

    Raises:
        ValueError: If a profile does not have one value a step.

    Example:
        >>> recording = recording_of("linear", "tanh", "linear")
        >>> [site.name for site in recording.sites]
        ['layers.0 linear', 'layers.1 tanh', 'layers.2 linear']
    """
    sites = _chain(steps)
    measured = {}
    for quantity, values in (profiles or {}).items():
        if len(values) != len(sites):
            raise ValueError(f"{quantity.value} has {len(values)} values for {len(sites)} steps")
        pairs = {i: float(value) for i, value in enumerate(values) if value is not None}
        measured[quantity] = Profile(quantity, pairs)
    gradient = measured.get(Quantity.LOG10_ACTIVATION_GRAD_RMS)
    return Recording(
        sites=sites,
        edges=tuple(
            Edge(i, i + 1, gradient.get(i) - gradient.get(i + 1) if gradient else 0.0)
            for i in range(len(sites) - 1)
        ),
        profiles=measured,
        parameters=tuple(_parameters(sites, steps) if parameters is None else parameters),
        context=context or RunContext(batch_size=256),
        gaps=tuple(gaps),
        later=later,
    )


def check_rule(rule: Rule, *, sick: Recording, healthy: Recording, not_measured: Recording) -> None:
    """Check everything that `unvanish` expects of a rule.

    Args:
        rule: An instance of the rule.
        sick: A recording in which the rule has to find something.
        healthy: A recording that it has to clear, with a margin.
        not_measured: A recording that lacks what the rule needs.

    Raises:
        AssertionError: If the rule breaks the contract; the message says how to keep it.
    """
    _check_form(rule, Rule, (Quantity,))
    _check_page(rule)
    _check_sick(rule, _examine(rule, sick, "sick"))
    _check_healthy(_examine(rule, healthy, "healthy"))
    _check_unmeasured(
        _examine(rule, not_measured, "not measured"), _examine(rule, Recording(), "empty")
    )


def check_run_rule(
    rule: RunRule, *, sick: RunRecording, healthy: RunRecording, not_measured: RunRecording
) -> None:
    """Check everything that `unvanish` expects of a rule on training runs.

    Args:
        rule: An instance of the rule.
        sick: A run in which the rule has to find something, with the step at which it began.
        healthy: A run that it has to clear, with a margin.
        not_measured: A run that lacks what the rule needs.

    Raises:
        AssertionError: If the rule breaks the contract; the message says how to keep it.
    """
    _check_form(rule, RunRule, (LayerQuantity, StepQuantity))
    _check_page(rule)
    found = _examine_run(rule, sick, "sick")
    _check_sick(rule, found)
    assert isinstance(found, Found)
    for finding in found.findings:
        _demand(finding.step >= 0, "a finding must say in `step` at which step it began")
        _demand(bool(finding.notes), "a finding must say in `notes` in which samples it was seen")
    _check_healthy(_examine_run(rule, healthy, "healthy"))
    _check_unmeasured(
        _examine_run(rule, not_measured, "not measured"),
        _examine_run(rule, RunRecording(), "empty"),
    )


def _check_sick(rule: Rule | RunRule, found: Verdict) -> None:
    _demand(isinstance(found, Found), f"the sick recording must give Found, not {found}")
    assert isinstance(found, Found)
    for finding in found.findings:
        _check_finding(rule, finding)


def _check_healthy(clear: Verdict) -> None:
    _demand(isinstance(clear, Clear), f"the healthy recording must give Clear, not {clear}")
    assert isinstance(clear, Clear)
    _demand(clear.margin >= 0.0, f"the margin of Clear must not be negative, but is {clear.margin}")
    _demand(bool(clear.summary), "Clear must say in `summary` what was measured")
    _demand(bool(clear.unit) or clear.margin == math.inf, "Clear must name the unit of its margin")


def _check_unmeasured(gap: Verdict, empty: Verdict) -> None:
    _demand(
        isinstance(gap, NotMeasured), f"the unmeasured recording must give NotMeasured, not {gap}"
    )
    _demand(not isinstance(empty, Clear), "an empty recording must not be cleared")


def _check_form(
    rule: Rule | RunRule, protocol: type[Rule] | type[RunRule], kinds: tuple[type, ...]
) -> None:
    missing = lacking(rule, protocol)
    _demand(not missing, f"the rule lacks {', '.join(missing)}")
    _demand(bool(_CODE.fullmatch(rule.code)), f"{rule.code!r} is not letters and three digits")
    _demand(bool(_NAME.fullmatch(rule.name)), f"{rule.name!r} is not in kebab case")
    needs: object = rule.needs
    _demand(
        isinstance(needs, frozenset) and all(isinstance(q, kinds) for q in needs),
        f"`needs` must be a frozenset of {' and '.join(kind.__name__ for kind in kinds)}",
    )
    _demand(bool(rule.sources), "`sources` must say where the limit comes from")
    parameters = getattr(type(rule), "__dataclass_params__", None)
    _demand(
        parameters is not None and parameters.frozen,
        "a rule is a frozen dataclass: @dataclass(frozen=True, kw_only=True)",
    )


def _check_page(rule: Rule | RunRule) -> None:
    page = page_of(rule)
    title = title_of(page)
    _demand(bool(title) and not title.startswith("#"), "the page must begin with one sentence")
    sections = sections_of(page)
    _demand(
        tuple(sections) == PAGE_HEADINGS,
        "the class docstring must have the headings "
        + ", ".join(f"'## {heading}'" for heading in PAGE_HEADINGS)
        + f", in this order; it has {', '.join(sections) or 'none'}",
    )
    empty = [heading for heading, body in sections.items() if not body]
    _demand(not empty, f"nothing stands below {', '.join(empty)}")


def _check_finding(rule: Rule | RunRule, finding: Finding) -> None:
    _demand(finding.code == rule.code, f"the finding has code {finding.code}, not {rule.code}")
    _demand(finding.name == rule.name, f"the finding has name {finding.name}, not {rule.name}")
    _demand(
        # What could not be measured has no cause in the network.
        bool(finding.causes) or rule.code.startswith("UV9"),
        "a finding must name its causes, the primary one first",
    )
    _demand(all(isinstance(c, Cause) for c in finding.causes), "causes come from `Cause`")
    _demand(bool(finding.help), "a finding must say in `help` what to do")
    message = finding.message
    _demand(bool(message) and "\n" not in message, "the message must be one line")
    first = message.split(" ", 1)[0]
    plain_word = first[:1].isupper() and first[1:].islower()
    _demand(
        not plain_word and message[-1] not in ".?!",
        f"a message begins in lower case and ends without a full stop or a question: {message!r}",
    )
    _demand(bool(finding.unit), "a finding names the unit of its three numbers")
    # Beyond the limit as seen from what is expected; either side where nothing is expected.
    measured, expected, limit = finding.measured, finding.expected, finding.limit
    beyond = measured < limit if expected > limit else measured > limit
    if math.isnan(expected):
        beyond = measured != limit and not math.isnan(measured)
    _demand(beyond, f"measured {measured} is not beyond the limit {limit}, expected {expected}")


def _examine(rule: Rule, recording: Recording, which: str) -> Verdict:
    """Examine twice and see that neither the answer nor the recording changes."""
    before = to_text(encode_recording(recording))
    try:
        rule.examine(recording)
    except Exception as error:
        raise AssertionError(
            f"examine must not raise, but did on the {which} recording: "
            f"{type(error).__name__}: {error}"
        ) from error
    first, second = judge(rule, recording), judge(rule, recording)
    _demand(_text(first) == _text(second), f"two looks at the {which} recording differ")
    _demand(
        to_text(encode_recording(recording)) == before,
        f"examine must not change the {which} recording",
    )
    return first


def _examine_run(rule: RunRule, run: RunRecording, which: str) -> Verdict:
    """Examine twice and see that neither the answer nor the run changes."""
    before = repr(run)
    try:
        rule.examine(run)
    except Exception as error:
        raise AssertionError(
            f"examine must not raise, but did on the {which} run: {type(error).__name__}: {error}"
        ) from error
    first, second = judge_run(rule, run), judge_run(rule, run)
    _demand(_text(first) == _text(second), f"two looks at the {which} run differ")
    _demand(repr(run) == before, f"examine must not change the {which} run")
    return first


def _text(verdict: Verdict) -> str:
    return to_text(encode_diagnosis(Diagnosis({"": verdict})))


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


def _chain(steps: Sequence[str | Site]) -> tuple[Site, ...]:
    ops = [step if isinstance(step, str) else step.op for step in steps]
    weighted = [
        op in _WEIGHTED if isinstance(step, str) else bool(step.weights)
        for op, step in zip(ops, steps, strict=True)
    ]
    last = max((i for i, heavy in enumerate(weighted) if heavy), default=len(steps))
    sites, depth = [], 0
    for index, (step, heavy) in enumerate(zip(steps, weighted, strict=True)):
        depth += heavy
        if isinstance(step, Site):
            sites.append(replace(step, index=index))
            continue
        sites.append(
            Site(
                index=index,
                path=f"layers.{index}",
                op=step,
                function=step,
                depth=depth,
                role=Role.SIGNAL,
                size=256 * _WIDTH,
                shape=(256, _WIDTH),
                weights=(f"layers.{index}.weight",) if heavy else (),
                is_output=index >= last,
                can_saturate=step in _SLOPE_CAPS,
                slope_cap=_SLOPE_CAPS.get(step, float("nan")),
            )
        )
    return tuple(sites)


def _parameters(sites: Sequence[Site], steps: Sequence[str | Site]) -> list[Parameter]:
    parameters = []
    for site, step in zip(sites, steps, strict=True):
        if isinstance(step, str) and site.weights:
            weight = Parameter(
                name=f"{site.path}.weight",
                shape=(_WIDTH, _WIDTH),
                rms=_WIDTH**-0.5,
                log10_grad_rms=-2.0,
            )
            bias = Parameter(
                name=f"{site.path}.bias", shape=(_WIDTH,), rms=0.05, log10_grad_rms=-1.0
            )
            parameters += [weight, bias]
    return parameters


def __getattr__(name: str) -> object:
    """Load the kit for remedies when it is asked for, as it needs torch."""
    if name == "check_remedy":
        from unvanish.treat.contract import check_remedy

        return check_remedy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
