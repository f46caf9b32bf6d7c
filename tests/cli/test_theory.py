"""`unvanish theory`: the page of an activation, and the map of all."""

import json

import pytest
from click.testing import CliRunner

from unvanish.cli import app
from unvanish.theory.activations import ACTIVATIONS


def run(*args):
    return CliRunner().invoke(app, ("theory", *args))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_has_a_page(name):
    result = run(name, "--depth", "20")
    assert result.exit_code == 0, result.output
    for heading in ("Plain layers", "Critical initialisation", "With skips", "over 20"):
        assert heading in result.stdout
    document = json.loads(run(name, "--format", "json").stdout)
    assert document["activation"] == name
    assert len(document["initialisations"][0]["log10_gain"]) == 31


def test_the_page_says_what_is_known():
    page = " ".join(run("sigmoid").stdout.split())
    assert "Its slope is at most 0.25, at 0" in page
    assert "sigma_w = 10.149" in page
    assert "LayerNorm: 0.3909 a layer, -12.2 decades over 30" in page
    assert "There is none" in run("softplus").stdout


def test_one_initialisation_at_one_depth():
    document = json.loads(run("relu", "--init", "he", "--depth", "7", "--format", "json").stdout)
    (he,) = document["initialisations"]
    assert he["log10_gain"] == pytest.approx([0.0] * 8, abs=1e-9)
    assert he["chi_1"] == pytest.approx(1.0)


def test_the_map_has_every_activation_and_marks_what_vanishes():
    lines = {line.split()[0]: line for line in run().stdout.splitlines() if line.strip()}
    assert set(ACTIVATIONS) - {"identity"} <= set(lines)
    assert lines["sigmoid"].split()[1:3] == ["-25.6", "v"]
    assert lines["relu"].split()[-1] == "0.0"
    document = json.loads(run("--depth", "5", "--format", "json").stdout)
    assert document["log10_gain"]["relu"]["he"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("tahn",), "did you mean 'tanh'"),
        (("tanh", "--init", "foo"), "known are default, lecun"),
        (("softplus", "--init", "critical"), "has no critical initialisation"),
        (("--init", "he"), "unvanish theory tanh --init he"),
    ],
)
def test_wrong_use_gets_one_message(args, said):
    result = run(*args)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_the_map_over_depth_and_weight_scale(tmp_path):
    lines = run("--map").stdout.splitlines()
    assert sum(line.strip().startswith(tuple(ACTIVATIONS)) for line in lines) >= 13
    tanh = run("tanh", "--map", "--depth", "60").stdout
    assert "over 1 to 60 layers" in " ".join(tanh.split())
    both = run("--map", "--activation", "relu", "--activation", "gelu", "--format", "json")
    document = json.loads(both.stdout)
    assert [one["activation"] for one in document["maps"]] == ["relu", "gelu"]
    file = tmp_path / "map.svg"
    written = run("--map", "softplus", "--format", "svg", "--output", str(file))
    assert str(file) in written.stdout
    assert file.read_text().startswith("<svg")
    assert run("--map", "softplus", "--format", "json").exit_code == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--map", "--activation", "tahn"), "did you mean 'tanh'"),
        (("tanh", "--format", "svg"), "go with --map"),
        (("tanh", "--map", "--init", "he"), "leave --init out"),
        (("--map", "--output", "/nowhere/at/all.svg"), "cannot be written"),
    ],
)
def test_wrong_use_of_the_map(args, said):
    result = run(*args)
    assert result.exit_code == 2
    assert said in result.stderr
