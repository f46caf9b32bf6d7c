"""Import edited files before they are written: their text is handed to Python's importer."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any


@contextmanager
def overlaid(texts: Mapping[Path, str]) -> Iterator[None]:
    """Let every import inside the block read other text than stands in some files.

    Modules of these files that were imported before are set aside, and are back afterwards. No
    byte code of the edited files is read or written, and no file is touched.

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
            code: CodeType = loader.source_to_code(resolved[path], str(path))
            return code
        found: CodeType | None = original(loader, fullname)
        return found

    aside = {
        name: module
        for name, module in list(sys.modules.items())
        if isinstance(file := getattr(module, "__file__", None), str)
        and Path(file).resolve() in resolved
    }
    for name in aside:
        del sys.modules[name]
    SourceFileLoader.get_code = get_code  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        sys.modules.update(aside)
        SourceFileLoader.get_code = original  # type: ignore[method-assign]
