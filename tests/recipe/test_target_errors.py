"""Every way a TARGET can be wrong: what, where, and the literal line to write."""

import pytest
import torch

from unvanish.core.errors import (
    CouldNotMeasureError,
    MissingExtraError,
    TargetError,
    import_optional,
)
from unvanish.recipe import load


def error_of(target, **options):
    with pytest.raises(TargetError, match=r"\w") as caught:
        load(target, seed=0, **options)
    assert caught.value.exit_code == 2
    return caught.value


NETS = """
    from torch import nn
    class First(nn.Linear):
        def __init__(self): super().__init__(2, 2)
    class Second(First): pass
    def helper(): return 3
    class Needy(nn.Module):
        def __init__(self, width, depth): super().__init__()
    def broken():
        return inner()
    def inner():
        return [][1]
    def build_pair(): return First(), 3
    def nothing(): pass
    number = 3
"""


def test_missing_file_names_the_nearest(write):
    write("train.py", NETS)
    error = error_of("trian.py:First")
    assert error.what == "there is no file trian.py"
    assert error.help == "did you mean unvanish check train.py:First?"


def test_missing_file_lists_what_there_is(write):
    write("train.py", NETS)
    error = error_of("zzz.py")
    assert "train.py" in error.help


def test_missing_folder(write):
    write("train.py", NETS)
    assert error_of("nowhere/train.py").what == "there is no folder nowhere"


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("notes.txt", "notes.txt is not a Python file"),
        ("best.pt", "best.pt holds weights, not the code of a network"),
        ("run.ipynb", "run.ipynb is a notebook, not a Python file"),
    ],
)
def test_not_a_python_file(write, file, what):
    write(file, "")
    assert error_of(file).what == what
    assert error_of(f"{file}:Net").what == what


def test_folder(write):
    write("project/train.py", NETS)
    error = error_of("project")
    assert error.what == "project is a folder, not a Python file"
    assert error.help.endswith("unvanish check project/train.py")


@pytest.mark.parametrize("target", ["", "a b", "net.py:3x", "a:b:c"])
def test_grammar(write, target):
    write("net.py", NETS)
    assert "file.py[:name]" in error_of(target).help


def test_path_without_suffix(write):
    write("src/net.py", NETS)
    assert "src/net.py:First" in error_of("src/net:First").help


def test_missing_module(write):
    write("pack/__init__.py", "")
    write("pack/nets.py", NETS)
    error = error_of("pack.nest")
    assert error.what == "no module named 'pack.nest'"
    assert "unvanish check pack.nets" in error.help


def test_missing_patient():
    error = error_of("zoo:deep_sigmod")
    assert error.help == "unvanish check zoo:deep_sigmoid"


def test_missing_name_names_the_nearest(write):
    write("net.py", NETS)
    error = error_of("net.py:Frist")
    assert error.what == "net.py has no 'Frist'"
    assert error.help == "did you mean unvanish check net.py:First?"


def test_missing_name_lists_what_there_is(write):
    write("net.py", NETS)
    error = error_of("net.py:qqqqqqq")
    assert "net.py:First" in error.help
    assert "net.py:Second" in error.help


def test_missing_attribute(write):
    write("net.py", NETS)
    assert error_of("net.py:First.forwrad").help.startswith(
        "did you mean unvanish check net.py:First.forward"
    )


def test_several_networks_are_listed_as_literal_targets(write):
    write("net.py", "from torch import nn\na = nn.Linear(2, 2)\nb = nn.Linear(2, 2)")
    error = error_of("net.py")
    assert error.what == "net.py holds 2 networks: a, b"
    assert "  unvanish check net.py:a\n  unvanish check net.py:b" in error.help


def test_no_network(write):
    write("net.py", "x = 1")
    assert error_of("net.py").help == "add to net.py: def model(): return Net()"


def test_neither_network_nor_factory(write):
    write("net.py", NETS)
    assert error_of("net.py:number").what.startswith("number is an int, not a network")


def test_import_that_fails_shows_the_users_frames_only(write):
    write("helper.py", "def go():\n    raise KeyError('missing')")
    write("train.py", "import torch\nimport helper\n\nhelper.go()")
    error = error_of("train.py")
    assert error.what == "importing train.py raised KeyError: 'missing'"
    assert error.where.splitlines() == [
        "helper.py:2 in go: raise KeyError('missing')",
        "train.py:4 in <module>: helper.go()",
    ]


def test_only_the_last_frames_are_shown(write):
    write("net.py", "def f(n):\n    return f(n - 1) if n else 1 / 0\nf(9)")
    lines = error_of("net.py").where.splitlines()
    assert lines == [
        "net.py:2 in f: return f(n - 1) if n else 1 / 0   (10 times)",
        "net.py:3 in <module>: f(9)",
    ]


def test_missing_package_says_how_to_install_it(write):
    write("train.py", "import no_such_package_here")
    error = error_of("train.py")
    assert error.what.startswith("importing train.py raised ModuleNotFoundError")
    assert "-m pip install no_such_package_here" in error.help


def test_syntax_error_names_the_line(write):
    write("net.py", "x = 1\ndef f(:\n    pass")
    error = error_of("net.py")
    assert "a syntax error" in error.what
    assert error.where == "net.py:2: def f(:"


def test_script_that_exits_at_import(write):
    write(
        "net.py",
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('x')\np.parse_args()",
    )
    error = error_of("net.py")
    assert error.what == "importing net.py called sys.exit(2)"
    assert "__main__" in error.help


def test_a_parser_at_import_does_not_read_our_arguments(write):
    write(
        "net.py",
        "import argparse\nfrom torch import nn\n"
        "args = argparse.ArgumentParser().parse_args()\nmodel = nn.Linear(2, 2)",
    )
    assert load("net.py", seed=0).model.in_features == 2


def test_constructor_with_arguments(write):
    write("net.py", NETS)
    error = error_of("net.py:Needy")
    assert error.what == "Needy needs 2 arguments that cannot be guessed: width, depth"
    assert error.where == "net.py:7"
    assert error.help.startswith(
        "write in net.py: def model(): return Needy(width=..., depth=...)\n"
        "  then: unvanish check net.py"
    )


def test_factory_that_raises(write):
    write("net.py", NETS)
    error = error_of("net.py:broken")
    assert error.what == "broken() raised IndexError: list index out of range"
    assert [line.split(":")[0] for line in error.where.splitlines()] == ["net.py", "net.py"]


@pytest.mark.parametrize(
    ("name", "what", "help"),
    [
        ("helper", "helper() returned a int, not an nn.Module", "let helper return the network"),
        ("nothing", "nothing() returned nothing, not an nn.Module", "let nothing return"),
        ("build_pair", "build_pair() returned a tuple, not an nn.Module", "build_pair()[0]"),
    ],
)
def test_factory_without_a_module(write, name, what, help):
    write("net.py", NETS)
    error = error_of(f"net.py:{name}")
    assert error.what == what
    assert help in error.help


def test_out_of_memory_while_building(write):
    write("net.py", "from torch import nn\ndef model(): raise MemoryError")
    with pytest.raises(CouldNotMeasureError, match="ran out of memory") as caught:
        load("net.py", seed=0)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(("device", "guess"), [("gpu", "cuda"), ("cup", "cpu"), ("quark", "cpu")])
def test_unknown_device(write, device, guess):
    write("net.py", NETS)
    error = error_of("net.py:First", device=device)
    assert error.what == f"there is no device {device!r}"
    assert error.help == f"unvanish check net.py:First --device {guess}"


def test_cuda_not_available(write, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    write("net.py", NETS)
    error = error_of("net.py:First", device="cuda")
    assert error.what.startswith("cuda is not available on this machine")
    assert error.help == "unvanish check net.py:First --device cpu"


def test_cuda_index_out_of_range(write, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    write("net.py", NETS)
    assert error_of("net.py:First", device="cuda:2").help.endswith("--device cuda:1")


def test_a_package_without_a_network_names_its_modules(write):
    write("parcel/__init__.py", "")
    write("parcel/nets.py", NETS)
    assert error_of("parcel").help == (
        "name the module that holds the network:\n  unvanish check parcel.nets"
    )


def test_a_library_is_not_to_be_edited():
    help = error_of("torch.nn:Linear").help
    assert help.startswith("write in a file of your own, net.py:\n  from torch.nn import Linear")


def test_a_module_whose_package_has_another_name(write):
    write("net.py", "raise ModuleNotFoundError(name='cv2')")
    assert "-m pip install opencv-python, or" in error_of("net.py").help


def test_memory_that_ran_out_while_building_blames_no_batch(write):
    write(
        "net.py",
        "def model(): raise RuntimeError('[enforce fail at alloc.cpp:1] DefaultCPUAllocator: '\n"
        '  "can\'t allocate memory: you tried to allocate 360000000000 bytes.")',
    )
    with pytest.raises(CouldNotMeasureError, match="building the model ran out") as caught:
        load("net.py", seed=0)
    assert caught.value.what.endswith("model() tried to allocate 335.3 GiB")
    assert "batch" not in caught.value.help


def test_exit_at_import(write):
    write("net.py", "exit()")
    assert error_of("net.py").what == "importing net.py called exit()"


def test_a_missing_extra_names_the_package_first():
    with pytest.raises(MissingExtraError, match="digits data needs") as caught:
        import_optional("skimage_is_not_here.data", extra="demo", purpose="the digits data")
    assert caught.value.help.startswith("pip install skimage_is_not_here   or")
    assert caught.value.help.endswith("pip install 'unvanish[demo]'")
