"""`unvanish zoo`: the list of patients, one patient's page, and its trial."""

from __future__ import annotations

import difflib
import inspect
import json
from typing import Any

from unvanish.cli.screen import Screen
from unvanish.core.errors import UnvanishError
from unvanish.show.page import render_list, render_page
from unvanish.zoo.patient import half_of, module_of, patient_of, patients
from unvanish.zoo.training import Outcome, train


def zoo_list(screen: Screen, *, as_json: bool) -> str:
    """Return every patient in a line, the sick ones first."""
    names = sorted(patients(), key=lambda name: (not patient_of(name).is_sick, name))
    if as_json:
        return json.dumps([_document(name) for name in names], indent=2) + "\n"
    return render_list(
        [
            (name, " ".join(patient_of(name).codes) or "healthy", _title(module_of(name)))
            for name in names
        ],
        command="unvanish zoo NAME",
        purpose="shows one of them, unvanish check zoo:NAME examines it",
        width=screen.width,
        color=screen.color,
        ascii=screen.ascii,
    )


def zoo_page(name: str, screen: Screen, *, trial: bool, seed: int, as_json: bool) -> str:
    """Return what is known about one patient.

    Args:
        name: Name of the patient; dashes stand for underscores.
        screen: Where it will be shown.
        trial: Whether to train it, sick and cured, for its budget.
        seed: Seed of the trial.
        as_json: Whether to return JSON.

    Raises:
        UnvanishError: If there is no such patient; it names the nearest one.
    """
    name = _known(name)
    patient = patient_of(name)
    arms = ("sick", "cured") if patient.is_sick else ("healthy",)
    outcomes = {arm: train(name, cured=arm == "cured", seed=seed) for arm in arms} if trial else {}
    if as_json:
        return json.dumps(_document(name, outcomes), indent=2) + "\n"
    state = " ".join(patient.codes) if patient.is_sick else "healthy"
    return render_page(
        _page(name, outcomes),
        code=f"zoo:{name}",
        name=f"({patient.family}, {state})",
        width=screen.width,
        color=screen.color,
        ascii=screen.ascii,
    )


def _known(name: str) -> str:
    wanted = name.removeprefix("zoo:").replace("-", "_")
    if wanted in patients():
        return wanted
    near = difflib.get_close_matches(wanted, patients(), n=1, cutoff=0.4)
    raise UnvanishError(
        f"the zoo has no patient {name!r}",
        help=f"unvanish zoo {near[0]}" if near else "unvanish zoo   lists all of them",
    )


def _title(module: Any) -> str:
    return inspect.cleandoc(module.__doc__ or "").split("\n\n", 1)[0].replace("\n", " ")


def _page(name: str, outcomes: dict[str, Outcome]) -> str:
    module, patient = module_of(name), patient_of(name)
    parts = [inspect.cleandoc(module.__doc__ or "")]
    if patient.is_sick:
        said = f"{' and '.join(patient.codes)}, because of {patient.cause}."
        if patient.also:
            said += f" It may bring {', '.join(patient.also)} with it."
        parts += ["## What has to be found", said, "## Known cure", f"{patient.cure}."]
    else:
        parts += ["## What has to be found", "Nothing at or above a warning."]
    relation = "at least" if module.HIGHER_IS_BETTER else "at most"
    who = "The cured network" if patient.is_sick else "The network"
    budget = f"{who} reaches a metric of {relation} {module.GOAL:g} in {patient.steps:,} steps"
    parts += ["## Budget", f"{budget}{', the sick one does not' if patient.is_sick else ''}."]
    if outcomes:
        parts += ["## Trial", "\n".join(_said(arm, o) for arm, o in outcomes.items())]
    if patient.source:
        parts += ["## Source", patient.source]
    parts += ["## Half", f"{half_of(name).value.capitalize()}."]
    parts += ["## Try it", f"    unvanish check zoo:{name}\n    unvanish zoo {name} --train"]
    return "\n\n".join(parts)


def _said(arm: str, outcome: Outcome) -> str:
    verdict = "reaches" if outcome.reached else "misses"
    return f"- {arm}: metric {outcome.metric:.4g}, {verdict} the goal of {outcome.goal:g}"


def _document(name: str, outcomes: dict[str, Outcome] | None = None) -> dict[str, Any]:
    module, patient = module_of(name), patient_of(name)
    document: dict[str, Any] = {
        "name": name,
        "about": _title(module),
        "family": patient.family,
        "codes": list(patient.codes),
        "cause": patient.cause.value if patient.cause else None,
        "also": list(patient.also),
        "cure": patient.cure or None,
        "goal": float(module.GOAL),
        "higher_is_better": bool(module.HIGHER_IS_BETTER),
        "steps": patient.steps,
        "half": half_of(name).value,
        "source": patient.source or None,
    }
    if outcomes:
        document["trial"] = {
            arm: {
                "metric": None if outcome.metric != outcome.metric else outcome.metric,
                "reached": outcome.reached,
                "steps": outcome.steps,
            }
            for arm, outcome in outcomes.items()
        }
    return document
