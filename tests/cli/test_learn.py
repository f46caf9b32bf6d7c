"""`unvanish learn`: the list, a lesson in each format, the glossary, and bad input."""

import json

import pytest
from click.testing import CliRunner

from unvanish.cli import app
from unvanish.core.glossary import GLOSSARY, RUN_GLOSSARY
from unvanish.learn.lessons import LESSONS


def run(*args):
    return CliRunner().invoke(app, ("learn", *args))


def test_the_list_has_every_lesson_in_reading_order():
    result = run()
    assert result.exit_code == 0, result.output
    listed = [line.split()[1] for line in result.stdout.splitlines()[: len(LESSONS)]]
    assert listed == [lesson.name for lesson in LESSONS]
    document = json.loads(run("--format", "json").stdout)
    assert [one["name"] for one in document["lessons"]] == [lesson.name for lesson in LESSONS]
    assert "[what-vanishes](what-vanishes.md)" in run("--format", "markdown").stdout


def test_the_list_is_a_line_a_lesson_at_eighty_columns():
    lines = run().stdout.splitlines()
    assert lines.index("") == len(LESSONS)


def test_a_lesson_as_a_new_user_sees_it():
    result = run("what-vanishes")
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    for part in (
        "claim: In a deep plain network",
        "--depth 20",
        "The claim holds: 3 of 3 points kept.",
        "What would show it wrong",
        "Question",
        "Answer",
        "next: unvanish learn worked-example",
    ):
        assert part in text
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_settings_are_taken_anywhere_and_the_claim_is_judged_anew():
    result = run("--init=he", "what-vanishes", "--depth", "4", "--activation", "relu")
    assert result.exit_code == 0, result.output
    assert "The claim does not hold under these settings" in result.stdout
    document = json.loads(
        run("what_vanishes", "--depth", "5", "--seed", "3", "--format", "json").stdout
    )
    assert document["settings"]["depth"] == 5
    assert document["settings"]["seed"] == 3
    assert len(document["evidence"]["plots"][0]["series"][0]["x"]) == 6
    assert {"says", "measured", "limit", "holds"} <= set(document["evidence"]["points"][0])


def test_a_lesson_can_be_named_by_its_number():
    assert json.loads(run("2", "--format", "json").stdout)["lesson"] == "worked-example"


def test_markdown_has_the_calculation_as_latex():
    page = run("worked-example", "--format", "markdown").stdout
    assert r"$$ y_3 = \sigma(z_3)" in page
    assert "<details><summary>Answer</summary>" in page


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_plot_is_drawn_into_a_file(tmp_path, ending):
    file = tmp_path / f"plot.{ending}"
    result = run("worked-example", "--plot", str(file))
    assert result.exit_code == 0, result.output
    assert f"wrote {file}" in "".join(result.stdout.splitlines())
    start = file.read_bytes()[:300]
    assert (
        start.startswith(b"\x89PNG") if ending == "png" else b"<svg" in start or b"<?xml" in start
    )


def test_without_matplotlib_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    result = run("worked-example", "--plot", str(tmp_path / "plot.png"))
    assert result.exit_code == 2
    assert "unvanish[plots]" in result.stderr


def test_the_glossary_defines_every_quantity():
    text = run("glossary").stdout
    entries = json.loads(run("glossary", "--format", "json").stdout)["glossary"]
    assert [one["quantity"] for one in entries] == [one.value for one in (*GLOSSARY, *RUN_GLOSSARY)]
    for one in entries:
        assert one["quantity"] in text
        assert one["meaning"]
    assert "| `slope_rms` |" in run("glossary", "--format", "markdown").stdout


@pytest.mark.parametrize(
    ("words", "said", "helped"),
    [
        (("wat-vanishes",), "there is no lesson wat-vanishes", "unvanish learn what-vanishes"),
        (("zzz",), "there is no lesson zzz", "lists all of them"),
        (("depth", "--dept", "3"), "has no setting --dept", "unvanish learn depth --depth"),
        (("what-vanishes", "--depth", "x"), "4 to 200, and not x", "--depth 4"),
        (("what-vanishes", "--depth", "1000"), "4 to 200, and not 1000", "--depth 200"),
        (("what-vanishes", "--depth", "5.5"), "takes a whole number", "--depth 5"),
        (("what-vanishes", "--depth", "nan"), "takes a whole number", "--depth 4"),
        (("what-vanishes", "--activation", "rellu"), "and not rellu", "--activation relu"),
        (("what-vanishes", "--depth"), "--depth needs a value", "--depth VALUE"),
        (("what-vanishes", "depth"), "one lesson at a time", "unvanish learn what-vanishes"),
        (("--depth", "3"), "--depth goes with a lesson", "unvanish learn what-vanishes --depth"),
        (("glossary", "--plot", "x.png"), "--plot goes with a lesson", "unvanish learn"),
        (("worked-example", "--plot", "x.zzz"), "does not end like a picture", "--plot x.png"),
        (("worked-example", "--plot", "/none/x.png"), "the plot cannot be written", ""),
        (("worked-example", "--plot", ""), "an empty name does not end like", "--plot lesson.png"),
    ],
)
def test_bad_input_is_one_message(words, said, helped):
    result = run(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    told = " ".join(result.stderr.split())
    assert said in told
    assert helped in told
    assert "Traceback" not in result.stderr


def test_bad_input_is_json_where_that_was_asked_for():
    result = run("nothing", "--format", "json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["what"] == "there is no lesson nothing"
