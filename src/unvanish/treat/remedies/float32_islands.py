"""Normalisations, softmaxes and the last layer in float32, inside of a network of 16 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.ending import spot_of
from unvanish.treat.precision import HALVES, Narrow, Widen, widen_parameters
from unvanish.treat.protocol import Case, Patient

_NORMS: Final = (
    nn.LayerNorm,
    nn.RMSNorm,
    nn.GroupNorm,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
)
_SOFTMAXES: Final = frozenset({"softmax", "log_softmax"})


@final
@dataclass(frozen=True, kw_only=True)
class Float32Islands:
    """Compute normalisations, softmaxes and the last layer in float32 in a network of 16 bits.

    ## When to use
    A network whose weights are stored in float16 or bfloat16 (`model.half()`), whose steps or
    gradients are rounded away (UV402) or overflow (UV403). Sums over many numbers, squares and
    exponentials are what 16 bits serve worst, and the gains and biases of norms are what a step
    moves least.

    ## What it changes
    The weights of normalisations and of the last layer are kept in float32, and their input is
    widened before them. What normalisations answer is narrowed again. The last layer answers
    float32, which its loss reads as it is. A softmax that is called between layers is widened and
    narrowed, too.

    ## What it costs
    Twice the memory for these weights, and the time of the casts.

    ## Settings
    dtype: the type of the network. last: whether the last layer is among them.

    ## Where we differ
    Micikevicius and others keep a float32 copy of every weight. The rest stays in 16 bits here: for
    a copy of all, ``model.float()`` under `torch.autocast`, which has these islands itself.

    ## Composes with
    Every other remedy.

    ## Evidence
    In bfloat16 a step of 1e-3 does not move a gain of 1, whose next number is 1 + 2^-7: in float32
    it does (see the test).

    ## Source
    Micikevicius and others (2018), sections 3.1 and 3.3.
    """

    name: ClassVar[str] = "float32-islands"
    treats: ClassVar[frozenset[str]] = frozenset({"UV402", "UV403"})
    change: ClassVar[Change] = Change.PRECISION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["micikevicius2018"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network whose weights are stored in 16 bits."""
        context = case.recording.context
        if not any(p.dtype in HALVES for p in case.model.parameters()):
            said = (
                f"autocast to {context.autocast} computes normalisations, softmaxes and losses in "
                "float32 by itself, and its weights are float32"
                if context.autocast
                else f"its weights are {context.dtype}, as an island would be"
            )
            return NotApplicable(said)
        norms, last = _norms(case), _last(case)
        if not norms and not last and not _softmaxes(case):
            return NotApplicable(
                "it has no normalisation, no softmax between layers, and its last layer is no "
                "linear layer or convolution of PyTorch's"
            )
        parts = [f"{len(norms)} normalisations"] if norms else []
        parts += ["the last layer"] if last else []
        parts += ["softmaxes"] if _softmaxes(case) else []
        dtype = next(p.dtype for p in case.model.parameters() if p.dtype in HALVES)
        return Prescription(
            remedy=self.name,
            why=f"{' and '.join(parts)} are computed in {str(dtype).removeprefix('torch.')}",
            change=self.change,
            keeps=self.keeps,
            settings={"dtype": str(dtype).removeprefix("torch."), "last": bool(last)},
            places=(*norms, *((last,) if last else ())),
            cost="twice the memory for these weights",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Widen the weights and what enters them."""
        dtype = str(prescription.settings["dtype"])
        last = prescription.places[-1] if prescription.settings["last"] else ""
        for path in prescription.places:
            module = patient.model.get_submodule(path)
            if any(p.dtype in HALVES for p in module.parameters()):
                widen_parameters(patient, path)
            _insert(patient, path, Widen(), "before", after="computes in float32")
            if path != last:
                _insert(patient, path, Narrow(dtype), "after")
        for site in _softmaxes(patient):
            function = spot_of(patient, site, "before").function
            _insert(patient, site.path, Widen(), "before", function, after="computes in float32")
            _insert(patient, site.path, Narrow(dtype), "after", function)
        if last:
            patient.notes.append("the network answers float32: its loss is computed in that")


def _insert(
    patient: Patient, path: str, part: nn.Module, where: str, function: str = "", *, after: str = ""
) -> None:
    patient.surgery.insert(
        path,
        part,
        where,
        function=function,
        before=f"{function or type(patient.model.get_submodule(path)).__name__}" if after else "",
        after=after,
    )


def _norms(case: Case) -> tuple[str, ...]:
    """Return the paths of the normalisations that the network calls and PyTorch brings."""
    called = {site.path for site in case.recording.signal_sites()}
    return tuple(
        path
        for path, module in case.model.named_modules()
        if isinstance(module, _NORMS) and path in called and path
    )


def _last(case: Case) -> str:
    """Return the path of the last layer, where it is a module of its own; else nothing."""
    outputs = [layer for layer in case.anatomy.layers if layer.is_output and layer.path]
    if len(outputs) != 1 or outputs[0].calls != 1:
        return ""
    module = case.model.get_submodule(outputs[0].path)
    plain = type(module) in (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    shared = sum(module is other for other in _all_modules(case.model)) > 1
    weight = getattr(module, "weight", None)
    tied = sum(p is weight for p in _all_parameters(case.model)) > 1
    return outputs[0].path if plain and not shared and not tied else ""


def _all_modules(model: nn.Module) -> list[nn.Module | None]:
    return [child for module in model.modules() for child in module._modules.values()]


def _all_parameters(model: nn.Module) -> list[nn.Parameter | None]:
    return [own for module in model.modules() for own in module._parameters.values()]


def _softmaxes(known: Case | Patient) -> list[Site]:
    """Return the first call of every softmax between layers that a forward calls itself."""
    found: dict[tuple[str, str], Site] = {}
    for site in known.anatomy.recording.signal_sites():
        if site.op in _SOFTMAXES and site.op == site.function and not site.is_output:
            found.setdefault((site.path, site.function), site)
    return list(found.values())
