"""Read a TARGET and import the file or module it points at."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from unvanish.core.errors import TargetError
from unvanish.core.stack import Owner, display_path, owner_of
from unvanish.core.verbs import running_verb
from unvanish.recipe.suggest import command, listing, nearest
from unvanish.recipe.usercode import reported, surroundings

_FILE: Final = re.compile(r"(?P<file>.*\.pyw?)(?::{1,2}(?P<name>.*))?$", re.IGNORECASE)
_DOTTED: Final = re.compile(r"(?P<module>\w+(?:\.\w+)*)(?::(?P<name>.*))?$")
_NAME: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*$")
_ZOO: Final = "unvanish.zoo.patients"
_WEIGHTS: Final = {".pt", ".pth", ".ckpt", ".safetensors", ".bin", ".onnx"}

_imported: set[str] = set()
"""Names of the user's modules that earlier targets brought into `sys.modules`."""
_kept: set[Path] = set()
"""Files that are gone, and can be imported all the same; see `kept_files`."""


@dataclass(frozen=True, slots=True)
class Address:
    """A TARGET, read but not yet looked up.

    Attributes:
        text: As the user wrote it.
        module: Dotted name of the module; empty for a file.
        file: The file; None for a module.
        name: What to take from it, may be dotted; empty if it was not said.
    """

    text: str
    module: str = ""
    file: Path | None = None
    name: str = ""

    @property
    def place(self) -> str:
        """The target without its name: ``train.py``, ``package.module`` or ``zoo:NAME``."""
        if self.file is not None:
            return display_path(str(self.file))
        if self.module.startswith(_ZOO + "."):
            return f"zoo:{self.module.removeprefix(_ZOO + '.')}"
        return self.module

    def named(self, name: str) -> str:
        """Return the literal target for another name in the same file."""
        return f"{self.place}:{name}"

    @property
    def is_users(self) -> bool:
        """Whether the code is the user's to edit, rather than a library's or ours."""
        if self.file is not None:
            return True
        if self.module.partition(".")[0] == "unvanish":
            return False
        file = getattr(sys.modules.get(self.module), "__file__", None)
        return isinstance(file, str) and owner_of(file) is Owner.USER

    @property
    def folders(self) -> tuple[str, ...]:
        """What the user's code expects on ``sys.path``: the first in front, the rest behind."""
        if self.file is None:
            return () if self.module.startswith(_ZOO) else (str(Path.cwd()),)
        folder = self.file.resolve().parent
        root = _package_root(folder)
        return (str(folder),) if root == folder else (str(root), str(folder))


@contextmanager
def kept_files(files: Iterable[Path]) -> Iterator[None]:
    """Let a TARGET name files that are gone, whose text the importer has from elsewhere.

    Args:
        files: Absolute paths.

    Yields:
        Nothing.
    """
    before = set(_kept)
    _kept.update(files)
    try:
        yield
    finally:
        _kept.intersection_update(before)


def parse(text: str) -> Address:
    """Read a TARGET.

    Args:
        text: ``file.py[:name]``, ``package.module[:name]`` or ``zoo:NAME``.

    Returns:
        The address; a file exists.

    Raises:
        TargetError: If it is none of the three, or the file is not there.
    """
    if text.startswith("zoo:"):
        return _zoo_address(text)
    if match := _FILE.match(text):
        file = Path(match["file"]).expanduser()
        if file.is_file() or file.absolute() in _kept:
            return Address(text, file=file, name=_valid_name(text, match["name"] or ""))
        raise _missing_file(file, match["name"] or "")
    stem, _, name = text.partition(":")
    if not stem:
        raise TargetError(f"{text!r} is no target", help=_grammar())
    for path in (Path(text).expanduser(), Path(stem).expanduser()):
        if path.is_file() or (path.is_dir() and not _DOTTED.match(text)):
            raise _not_python(path)
    if match := _DOTTED.match(text):
        if Path(text).is_dir() and not (Path(text) / "__init__.py").is_file():
            raise _not_python(Path(text))
        return Address(text, module=match["module"], name=_valid_name(text, match["name"] or ""))
    if "/" in stem or "\\" in stem:
        raise _missing_file(Path(f"{stem}.py"), name)
    raise TargetError(f"{text!r} is no target", help=_grammar())


def import_target(address: Address) -> ModuleType:
    """Import what an address points at, as if it were run in its own folder.

    Modules of the user's that an earlier target imported are imported anew, so that an
    edited file is read again.

    Args:
        address: From `parse`.

    Returns:
        The module.
    """
    for name in _imported:
        sys.modules.pop(name, None)
    _imported.clear()
    before = set(sys.modules)
    script = str(address.file) if address.file is not None else address.module
    try:
        with surroundings(address.folders, script), reported(f"importing {address.place}"):
            if address.file is not None:
                return _import_file(address.file)
            return _import_module(address)
    finally:
        new = set(sys.modules) - before
        _imported.update(name for name in new if _is_users(sys.modules[name]))


def _is_users(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or module.__name__.startswith("unvanish."):
        return False
    return owner_of(file) is Owner.USER


def _import_file(file: Path) -> ModuleType:
    file = file.resolve()
    root = _package_root(file.parent)
    if root != file.parent:  # part of a package: its relative imports have to work
        parts = file.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        module = importlib.import_module(name)
        if module.__file__ and Path(module.__file__).resolve() == file:
            return module
    taken = file.stem in sys.modules or file.stem in sys.stdlib_module_names
    name = f"_unvanish_target_{file.stem}" if taken or not file.stem.isidentifier() else file.stem
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise TargetError("this file cannot be imported", where=display_path(str(file)))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _import_module(address: Address) -> ModuleType:
    try:
        return importlib.import_module(address.module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if not f"{address.module}.".startswith(f"{missing}."):
            raise
        folder, _, leaf = missing.rpartition(".")
        here = Path.cwd().joinpath(*folder.split("."))
        files = [p.stem for p in here.glob("*.py")] if here.is_dir() else []
        close = nearest(leaf, files)
        prefix = f"{folder}." if folder else ""
        raise TargetError(
            f"no module named {missing!r}",
            where=address.text,
            help=f"did you mean {' or '.join(command(prefix + c) for c in close)}?"
            if close
            else _grammar(),
        ) from None


def _package_root(folder: Path) -> Path:
    while (folder / "__init__.py").is_file() and folder.parent != folder:
        folder = folder.parent
    return folder


def _grammar() -> str:
    return f"unvanish {running_verb()} file.py[:name], package.module[:name] or zoo:NAME"


def _valid_name(text: str, name: str) -> str:
    if name and not _NAME.match(name):
        raise TargetError(f"{name!r} is no Python name", where=text, help=_grammar())
    return name


def _zoo_address(text: str) -> Address:
    _, name, *rest = text.split(":")
    folder = Path(__file__).resolve().parent.parent / "zoo" / "patients"
    patients = sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_"))
    name = name.replace("-", "_")
    if name not in patients or rest:
        close = nearest(name, patients)
        raise TargetError(
            f"the zoo has no patient {name!r}",
            help=command(f"zoo:{close[0]}") if close else "unvanish zoo   lists all of them",
        )
    return Address(text, module=f"{_ZOO}.{name}")


def _missing_file(file: Path, name: str) -> TargetError:
    folder = file.parent
    suffix = f":{name}" if name else ""
    if not folder.is_dir():
        existing = next((p for p in folder.parents if p.is_dir()), Path())
        return TargetError(
            f"there is no folder {display_path(str(folder))}",
            where=str(file),
            help=f"look into {existing.resolve()} for the folder that was meant",
        )
    there = sorted(p.name for p in folder.glob("*.py"))
    close = nearest(file.name, there)
    if close:
        help = "did you mean " + " or ".join(command(f"{folder / c}{suffix}") for c in close)
        return TargetError(f"there is no file {file}", help=f"{help}?")
    help = f"Python files there: {listing(there)}" if there else "there is no Python file there"
    return TargetError(f"there is no file {file}", where=str(folder.resolve()), help=help)


def _not_python(path: Path) -> TargetError:
    if path.is_dir():
        files = sorted(p.name for p in path.glob("*.py"))
        return TargetError(
            f"{path} is a folder, not a Python file",
            help=f"name one of its files, such as {command(str(path / files[0]))}"
            if files
            else _grammar(),
        )
    if path.suffix in _WEIGHTS:
        return TargetError(
            f"{path} holds weights, not the code of a network",
            help="write in the file of the network:\n  def model():\n      net = Net()\n"
            f"      net.load_state_dict(torch.load({path.name!r}))\n      return net",
        )
    if path.suffix == ".ipynb":
        return TargetError(
            f"{path} is a notebook, not a Python file",
            help="write in the notebook: unvanish.checkup(model, (inputs, target))",
        )
    return TargetError(f"{path} is not a Python file", help=_grammar())
