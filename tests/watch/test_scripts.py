"""The parts of running a script that a process of its own shows badly."""

import sys
import traceback
from textwrap import dedent
from types import ModuleType

import pytest

from unvanish.core.errors import TargetError
from unvanish.watch import scripts
from unvanish.watch.scripts import Script, called_after_import, forget_our_frames


@pytest.fixture
def lent(monkeypatch):
    """Give back what a script takes over."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "path", ["ours", *sys.path])


@pytest.mark.usefixtures("lent")
def test_a_script_is_main(write):
    file = write("train.py", "import sys\nwords = sys.argv\nfirst = sys.path[0]\n")
    scripts.run(scripts.load(Script(name=file, arguments=("--lr", "1"))))
    main = sys.modules["__main__"]
    assert main.words == ["train.py", "--lr", "1"]
    assert main.first != "ours"
    assert "ours" not in sys.path
    assert main.__file__.endswith("/train.py")


@pytest.mark.usefixtures("lent")
def test_an_encoding_and_a_future_are_the_scripts_own(tmp_path):
    file = tmp_path / "latin.py"
    file.write_bytes("# coding: latin-1\ndef f(x: undefined): ...\n".encode("latin-1"))
    with pytest.raises(NameError, match="undefined"):  # our own `annotations` is not inherited
        scripts.run(scripts.load(Script(name=str(file))))
    file.write_bytes("# coding: latin-1\nword = '\xfc'\n".encode("latin-1"))
    scripts.run(scripts.load(Script(name=str(file))))
    assert sys.modules["__main__"].word == "ü"


@pytest.mark.usefixtures("lent")
@pytest.mark.parametrize(
    ("script", "says"),
    [
        (Script(name="none.at.all", is_module=True), "there is no module none.at.all"),
        (Script(name="json.none", is_module=True), "there is no module json.none"),
        (Script(name="email", is_module=True), "there is no module email"),
        (Script(name="empty"), "cannot run empty"),
    ],
)
def test_what_cannot_be_run(write, script, says):
    write("empty/file.txt", "")
    with pytest.raises(TargetError, match=says):
        scripts.load(script)


def test_a_script_is_told_as_it_was_written():
    assert str(Script(name="pkg.train", arguments=("--lr", "1"), is_module=True)) == (
        "-m pkg.train --lr 1"
    )


@pytest.mark.usefixtures("lent")
def test_frames_of_ours_are_forgotten_wherever_they_stand(write):
    source = """
        from unvanish.watch.scripts import called_after_import

        def inside():
            raise KeyError("inner")

        try:
            with called_after_import("sys", inside):
                pass
        except KeyError as error:
            raise ValueError("outer") from error
    """
    file = write("train.py", dedent(source))
    with pytest.raises(ValueError, match="outer") as caught:
        scripts.run(scripts.load(Script(name=file)))
    forget_our_frames(caught.value)
    for error in (caught.value, caught.value.__cause__):
        frames = traceback.extract_tb(error.__traceback__)
        assert frames
        assert not any("/watch/scripts.py" in frame.filename for frame in frames)
    assert frames[0].name == "<module>"
    assert frames[-1].name == "inside"


def test_an_error_that_is_its_own_context_ends():
    one, two = ValueError("one"), ValueError("two")
    one.__context__, two.__context__ = two, one
    forget_our_frames(one)
    assert one.__context__ is two


@pytest.fixture
def importing(write, monkeypatch):
    """Import a fresh module from the working directory."""
    monkeypatch.syspath_prepend(".")

    def do(name, text=""):
        write(f"{name}.py", text)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    yield do
    for name in ("late_one", "late_two"):
        sys.modules.pop(name, None)


def test_the_call_comes_when_the_import_is_complete(importing):
    name = importing("late_one", "value = 7")
    seen = []
    with called_after_import(name, lambda: seen.append(sys.modules[name].value)):
        assert seen == []
        module = __import__(name)
        assert seen == [7]
        assert __import__(name) is module
    assert seen == [7]
    assert "exec_module" not in vars(module.__loader__)
    assert not any(type(finder).__name__ == "_Waiting" for finder in sys.meta_path)


def test_the_call_comes_at_once_where_it_was_imported_before():
    seen = []
    with called_after_import("sys", lambda: seen.append(1)):
        assert seen == [1]


def test_an_import_that_fails_fails_as_ever(importing):
    name = importing("late_two", "raise ImportError('broken inside')")
    seen = []
    with (
        called_after_import(name, lambda: seen.append(1)),
        pytest.raises(ImportError, match="broken inside"),
    ):
        __import__(name)
    with (
        called_after_import("no_such_module_here", lambda: seen.append(1)),
        pytest.raises(ModuleNotFoundError, match="no_such_module_here"),
    ):
        __import__("no_such_module_here")
    assert seen == []


def test_nobody_waits_after_the_block(importing):
    name = importing("late_one", "")
    seen = []
    with called_after_import(name, lambda: seen.append(1)):
        pass
    assert isinstance(__import__(name), ModuleType)
    assert seen == []
