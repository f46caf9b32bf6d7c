"""Import edited files before they are written: their text is handed to Python's importer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any


@contextmanager
def overlaid(texts: Mapping[Path, str]) -> Iterator[None]:
    """Let every import inside the block read other text than stands in some files.

    No byte code of the edited files is read or written, and no file is touched.

    Args:
        texts: File to the text that is read in its place.

    Yields:
        Nothing.
    """
    resolved = {path.resolve(): text for path, text in texts.items()}
    original: Any = SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, fullname: str) -> CodeType | None:
        path = Path(loader.get_filename(fullname)).resolve()
        if path in resolved:
            code: CodeType = loader.source_to_code(resolved[path].encode("utf-8"), str(path))
            return code
        found: CodeType | None = original(loader, fullname)
        return found

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        SourceFileLoader.get_code = original  # type: ignore[method-assign]
