"""Recordings and diagnoses as strict JSON, and back, without losing a bit.

The layout follows from the type hints of the records, so a new field needs no code here.
Three conventions keep a file small, fast and valid JSON:

- A tuple of records is stored by columns; a column that holds the default everywhere is
  left out, and one with few distinct values is a palette ``{"of": [...], "at": [...]}``.
- ``inf``, ``-inf`` and ``nan`` are the strings ``"inf"``, ``"-inf"`` and ``"nan"``.
- Every document carries ``format`` and ``schema``; a newer schema is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from unvanish.core.errors import UnvanishError
from unvanish.core.findings import Diagnosis
from unvanish.core.glossary import Quantity
from unvanish.core.packing import (
    MalformedError,
    exactly,
    hints_of,
    number_in,
    number_out,
    packer,
    unpacker,
)
from unvanish.core.records import SCHEMA, Profile, Recording
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict

Json = dict[str, Any]

_RECORDING: Final = "unvanish recording"
_DIAGNOSIS: Final = "unvanish diagnosis"
_KINDS: Final = {kind.kind: kind for kind in (Clear, Found, NotApplicable, NotMeasured)}
_ADDED: Final = frozenset(
    {
        *("data", "steps", "noise", "trial", "training", "strays", "truncations", "lookups"),
        *("terms", "term_trial", "counterfactuals", "crossing", "running_statistics"),
    }
)
"""Fields of a recording that earlier versions of this layout did not write."""

# --- documents -----------------------------------------------------------------------


def encode_recording(recording: Recording) -> Json:
    """Turn a recording into a document of dicts, lists, strings and finite numbers."""
    document: Json = {"format": _RECORDING}
    for field, hint in hints_of(Recording):
        value = getattr(recording, field.name)
        if field.name == "profiles":
            document["profiles"] = {
                quantity.value: {
                    "sites": list(profile.values),
                    "values": [number_out(value) for value in profile.values.values()],
                }
                for quantity, profile in value.items()
            }
        elif field.name == "later":
            document["later"] = None if value is None else encode_recording(value)
        else:
            document[field.name] = packer(hint)(value)
    return document


def decode_recording(document: Mapping[str, Any]) -> Recording:
    """Turn a document back into the recording it was made from.

    Args:
        document: What `encode_recording` returned, perhaps by way of a file.

    Returns:
        The recording; every index in it points at an existing site.

    Raises:
        UnvanishError: If it is no recording, comes from a newer version, or is damaged.
    """
    check_header(document, _RECORDING, "recording")
    try:
        return _recording_in(document)
    except (MalformedError, KeyError, TypeError, ValueError) as error:
        raise UnvanishError(f"the recording is damaged: {reason_of(error)}") from None


def encode_diagnosis(diagnosis: Diagnosis) -> Json:
    """Turn a diagnosis into a document of dicts, lists, strings and finite numbers."""
    return {
        "format": _DIAGNOSIS,
        "schema": SCHEMA,
        "verdicts": {
            code: {"kind": verdict.kind, **packer(type(verdict))(verdict)}
            for code, verdict in diagnosis.verdicts.items()
        },
        "names": dict(diagnosis.names),
    }


def decode_diagnosis(document: Mapping[str, Any]) -> Diagnosis:
    """Turn a document back into the diagnosis it was made from.

    Args:
        document: What `encode_diagnosis` returned, perhaps by way of a file.

    Returns:
        The diagnosis.

    Raises:
        UnvanishError: If it is no diagnosis, comes from a newer version, or is damaged.
    """
    check_header(document, _DIAGNOSIS, "diagnosis")
    try:
        verdicts: dict[str, Verdict] = {}
        for code, raw in document["verdicts"].items():
            rest = {key: value for key, value in raw.items() if key != "kind"}
            verdicts[code] = unpacker(_KINDS[raw["kind"]])(rest)
        return Diagnosis(verdicts, unpacker(Mapping[str, str])(document["names"]))
    except (MalformedError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnvanishError(f"the diagnosis is damaged: {reason_of(error)}") from None


# --- text and files ------------------------------------------------------------------


def to_text(document: Json) -> str:
    """Write a document as compact, strict JSON on one line."""
    return json.dumps(document, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def from_text(text: str) -> Json:
    """Read strict JSON.

    Args:
        text: The text of one document.

    Returns:
        The document.

    Raises:
        UnvanishError: If the text is not strict JSON or no JSON object.
    """

    def refuse(name: str) -> float:
        raise ValueError(f"the bare word {name} is not JSON")

    try:
        document = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise UnvanishError(f"this is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise UnvanishError("this is JSON, but not a recording or a diagnosis")
    return document


def save(recording: Recording, path: str | Path) -> None:
    """Write a recording to a file, as one line of JSON in UTF-8.

    Args:
        recording: The recording.
        path: File to write; an existing one is replaced.
    """
    Path(path).write_text(to_text(encode_recording(recording)) + "\n", encoding="utf-8")


def load(path: str | Path) -> Recording:
    """Read a recording from a file.

    Args:
        path: A file that `save` wrote.

    Returns:
        The recording, equal to the saved one in every bit.

    Raises:
        UnvanishError: If the file is missing, no recording, or from a newer version.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UnvanishError(f"the recording cannot be read: {reason}", where=str(path)) from None
    try:
        return decode_recording(from_text(text))
    except UnvanishError as error:
        raise UnvanishError(error.what, where=str(path), help=error.help) from None


# --- the parts -----------------------------------------------------------------------


def reason_of(error: Exception) -> str:
    """Say what is wrong with a document, from the exception that reading it raised."""
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)


def check_header(document: Mapping[str, Any], form: str, noun: str) -> None:
    """Refuse a document of another kind or of a newer version.

    Args:
        document: Any JSON object.
        form: What its ``format`` has to be.
        noun: What it has to be, in words.

    Raises:
        UnvanishError: If it is something else.
    """
    if document.get("format") != form:
        raise UnvanishError(
            f"this is not a {noun} of unvanish",
            help="recording.save('run.json') writes one" if form == _RECORDING else "",
        )
    schema = document.get("schema")
    if type(schema) is not int or schema < 1:
        raise UnvanishError(f"the {noun} has no valid schema number, but {schema!r}")
    if schema > SCHEMA:
        raise UnvanishError(
            f"the {noun} was written by a newer unvanish: "
            f"its schema is {schema}, this version reads up to {SCHEMA}",
            help="pip install --upgrade unvanish",
        )


def _recording_in(document: Mapping[str, Any]) -> Recording:
    values: Json = {}
    for field, hint in hints_of(Recording):
        if field.name in _ADDED and field.name not in document:
            continue  # written before this field existed
        raw = document[field.name]
        if field.name == "profiles":
            values["profiles"] = {Quantity(q): _profile_in(Quantity(q), p) for q, p in raw.items()}
        elif field.name == "later":
            if raw is not None:
                check_header(raw, _RECORDING, "recording")
            values["later"] = None if raw is None else _recording_in(raw)
        else:
            values[field.name] = unpacker(hint)(raw)
    recording = Recording(**values)
    _check_indices(recording)
    return recording


def _profile_in(quantity: Quantity, raw: Mapping[str, Any]) -> Profile:
    sites = [exactly(int)(index) for index in raw["sites"]]
    numbers = [number_in(value) for value in raw["values"]]
    return Profile(quantity, dict(zip(sites, numbers, strict=True)))


def _check_indices(recording: Recording) -> None:
    count = len(recording.sites)
    if any(site.index != position for position, site in enumerate(recording.sites)):
        raise MalformedError("the sites are not numbered in order")
    pointers = [
        *(edge.producer for edge in recording.edges),
        *(edge.consumer for edge in recording.edges),
        *(index for profile in recording.profiles.values() for index in profile.values),
        *(use.site for parameter in recording.parameters for use in parameter.uses),
        *(gap.site for gap in recording.gaps if gap.site is not None),
        *(stray.site for stray in recording.strays),
        *(one.site for one in recording.running_statistics),
        *(one.target for one in recording.counterfactuals),
        *(one.origin for one in recording.counterfactuals if one.origin is not None),
        *(tensor.site for tensor in recording.data if tensor.site is not None),
    ]
    if pointers and not (min(pointers) >= 0 and max(pointers) < count):
        raise MalformedError(f"something points outside its {count} sites")
