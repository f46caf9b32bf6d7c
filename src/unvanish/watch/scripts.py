"""Run somebody's script as Python would, and be told when it imports torch.

Nothing here imports torch: a script may set the environment before it does.
"""

from __future__ import annotations

import importlib.util
import io
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any, Final

from unvanish.core.errors import TargetError

_OWN_FOLDERS: Final = tuple(
    f"{Path(__file__).resolve().parents[1] / name}{os.sep}" for name in ("watch", "cli")
)
"""Folders whose frames stand in a traceback only because the script is watched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What is to be run.

    Attributes:
        name: Path of a file, a folder or a zip file; or the dotted name of a module.
        arguments: The words after it.
        is_module: Whether it is the dotted name of a module, as for ``python -m``.
    """

    name: str
    arguments: tuple[str, ...] = ()
    is_module: bool = False

    def __str__(self) -> str:
        return " ".join([*(["-m"] if self.is_module else []), self.name, *self.arguments])

    def check(self) -> None:
        """Say that a file is not there before anything is started.

        Raises:
            TargetError: If it is not there.
        """
        if self.is_module or Path(self.name).exists():
            return
        is_dotted = self.name.replace(".", "").isidentifier() and not self.name.endswith(".py")
        raise TargetError(
            f"there is no file {self.name}",
            where=str(Path.cwd()),
            help=f"unvanish run -m {self.name}   runs a module" if is_dotted else "",
        )


def load(script: Script) -> CodeType:
    """Make a script ``__main__``, with its own arguments and import path, and return its code.

    The module stays ``__main__``, as whatever runs at the very end of the process expects it to.
    What compiling it, or importing the packages around it, raises passes through.

    Args:
        script: What is to be run.

    Returns:
        What `run` takes.

    Raises:
        TargetError: If there is no such module.
    """
    main = ModuleType("__main__")
    vars(main).update(__builtins__=sys.modules["builtins"], __annotations__={})
    sys.modules["__main__"] = main
    return _module_code(script, main) if script.is_module else _file_code(script, main)


def run(code: CodeType) -> None:
    """Run the code that `load` returned. What it raises passes through."""
    exec(code, vars(sys.modules["__main__"]))


def _file_code(script: Script, main: ModuleType) -> CodeType:
    """Fill in what Python gives a script, and compile it."""
    sys.argv = [script.name, *script.arguments]
    path = Path(script.name).absolute()
    if pkgutil.get_importer(script.name) is not None:  # a folder or a zip file
        _set_first_path(str(path))
        return _found_code("__main__", script, main)
    _set_first_path(str(path.resolve().parent))
    vars(main).update(
        __file__=str(path),
        __cached__=None,
        __loader__=SourceFileLoader("__main__", str(path)),
    )
    with io.open_code(str(path)) as file:
        return compile(file.read(), str(path), "exec", dont_inherit=True)


def _module_code(script: Script, main: ModuleType) -> CodeType:
    """Find a module as ``python -m`` does: its packages are imported, it is not."""
    sys.argv = ["-m", *script.arguments]
    _set_first_path(str(Path.cwd()))
    code = _found_code(script.name, script, main)
    sys.argv = [str(main.__file__), *script.arguments]
    return code


def _found_code(name: str, script: Script, main: ModuleType) -> CodeType:
    """Find a module that is to run as ``__main__``, fill in what Python gives it, return its code.

    Raises:
        TargetError: If there is none that can be run.
    """
    if name == "__main__":
        del sys.modules[name]  # it would be found in place of the folder's own
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        spec = None
    finally:
        sys.modules["__main__"] = main
    loader: Any = spec.loader if spec is not None else None
    code = loader.get_code(spec.name) if spec is not None and loader is not None else None
    if spec is None or code is None:
        what = f"there is no module {name}" if script.is_module else f"cannot run {script.name}"
        raise TargetError(
            f"{what}, or it has no code to run",
            where=str(Path.cwd()),
            help="unvanish run path/to/script.py   runs a file" if script.is_module else "",
        )
    vars(main).update(
        __file__=spec.origin,
        __cached__=spec.cached,
        __loader__=loader,
        __package__=spec.parent,
        __spec__=spec,
    )
    assert isinstance(code, CodeType)
    return code


def _set_first_path(folder: str) -> None:
    """Put the script's folder where Python puts it: in place of that of our own command."""
    if not sys.flags.safe_path:
        sys.path[:1] = [folder]


# --- what the script raised --------------------------------------------------------


def forget_our_frames(error: BaseException) -> None:
    """Take the frames of the watch out of a traceback, and out of those of its causes.

    Args:
        error: What the script raised; its tracebacks are changed.
    """
    for each in _chain(error):
        kept: TracebackType | None = None
        for entry in reversed(list(_entries(each.__traceback__))):
            if not entry.tb_frame.f_code.co_filename.startswith(_OWN_FOLDERS):
                entry.tb_next = kept
                kept = entry
        each.__traceback__ = kept


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions


def _entries(entry: TracebackType | None) -> Iterator[TracebackType]:
    while entry is not None:
        yield entry
        entry = entry.tb_next


# --- the moment torch is there -----------------------------------------------------


@contextmanager
def called_after_import(module: str, callback: Callable[[], None]) -> Iterator[None]:
    """Call back once a module has been imported; at once if it has been.

    Args:
        module: A top-level module, such as ``"torch"``.
        callback: Called within the import statement, when the module is complete.

    Yields:
        Nothing; afterwards nobody waits any more.
    """
    if module in sys.modules:
        callback()
        yield
        return
    waiting = _Waiting(module, callback)
    sys.meta_path.insert(0, waiting)
    try:
        yield
    finally:
        waiting.leave()


class _Waiting(MetaPathFinder):
    """Finds nothing itself, and is there when one module is found."""

    def __init__(self, module: str, callback: Callable[[], None]) -> None:
        self._module = module
        self._callback = callback

    def leave(self) -> None:
        """Wait no longer."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Let the others find the module, and shadow how its loader runs it for one time."""
        del path, target
        if fullname != self._module:
            return None
        self.leave()
        spec = importlib.util.find_spec(fullname)
        loader: Any = spec.loader if spec is not None else None
        if loader is None or "exec_module" in vars(loader):
            return spec
        callback = self._callback

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            loader.exec_module(module)
            callback()

        loader.exec_module = exec_module
        return spec
