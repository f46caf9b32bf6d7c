"""A cure as one strict JSON file, and back, without losing a bit. Needs no torch.

The layout is that of a saved recording (`unvanish.core.codec`), which a cure holds up to three of.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from unvanish.core.codec import (
    Json,
    check_header,
    decode_recording,
    encode_recording,
    from_text,
    reason_of,
    to_text,
)
from unvanish.core.cures import Cure
from unvanish.core.errors import UnvanishError
from unvanish.core.packing import MalformedError, hints_of, packer, unpacker
from unvanish.core.records import SCHEMA

FORMAT: Final = "unvanish cure"
"""What ``format`` says in a saved cure."""

_LOOKS: Final = ("before", "after", "rechecked")
"""Fields of a cure that are recordings."""


def encode_cure(cure: Cure) -> Json:
    """Turn a cure into a document of dicts, lists, strings and finite numbers."""
    document: Json = {"format": FORMAT, "schema": SCHEMA}
    for field, hint in hints_of(Cure):
        value = getattr(cure, field.name)
        if field.name in _LOOKS:
            document[field.name] = None if value is None else encode_recording(value)
        else:
            document[field.name] = packer(hint)(value)
    return document


def decode_cure(document: Mapping[str, Any]) -> Cure:
    """Turn a document back into the cure it was made from.

    Args:
        document: What `encode_cure` returned, perhaps by way of a file.

    Returns:
        The cure, as plain data: it can be shown, and not built.

    Raises:
        UnvanishError: If it is no cure, comes from a newer version, or is damaged.
    """
    check_header(document, FORMAT, "cure")
    try:
        values: Json = {}
        for field, hint in hints_of(Cure):
            raw = document[field.name]
            if field.name in _LOOKS:
                values[field.name] = None if raw is None else decode_recording(raw)
            else:
                values[field.name] = unpacker(hint)(raw)
        cure = Cure(**values)
        if not isinstance(document["before"], Mapping):
            raise MalformedError("before is no recording")
        if cure.proof is not None and cure.proof.chosen:
            cure.proof.arm(cure.proof.chosen)
    except (MalformedError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnvanishError(f"the cure is damaged: {reason_of(error)}") from None
    return cure


def save_cure(cure: Cure, path: str | Path) -> None:
    """Write a cure to a file that `unvanish show` opens, as one line of JSON in UTF-8.

    Args:
        cure: The cure.
        path: File to write; an existing one is replaced.
    """
    Path(path).write_text(to_text(encode_cure(cure)) + "\n", encoding="utf-8")


def load_cure(path: str | Path) -> Cure:
    """Read a cure from a file.

    Args:
        path: A file that `save_cure` wrote.

    Returns:
        The cure, equal to the saved one in every bit.

    Raises:
        UnvanishError: If the file is missing, no cure, or from a newer version.
    """
    document = read(path)
    try:
        return decode_cure(document)
    except UnvanishError as error:
        raise UnvanishError(error.what, where=str(path), help=error.help) from None


def holds_cure(path: str | Path) -> bool:
    """Tell whether a file says of itself that it is a saved cure.

    Args:
        path: Any file; one that is not there, or is no JSON, is none.
    """
    try:
        return read(path).get("format") == FORMAT
    except UnvanishError:
        return False


def read(path: str | Path) -> Json:
    """Read the JSON object in a file.

    Args:
        path: Any file.

    Returns:
        The document.

    Raises:
        UnvanishError: If the file is missing, or no JSON object.
    """
    try:
        return from_text(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UnvanishError(f"the report cannot be read: {reason}", where=str(path)) from None
    except UnvanishError as error:
        raise UnvanishError(error.what, where=str(path), help=error.help) from None
