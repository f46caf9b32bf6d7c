"""`unvanish zoo`: the list, a patient's page, and its trial."""

import json

import pytest
from click.testing import CliRunner

from unvanish.cli import app
from unvanish.zoo.patient import patient_of, patients


def run(*args):
    return CliRunner().invoke(app, args)


def test_the_list_has_every_patient():
    result = run("zoo")
    assert result.exit_code == 0
    listed = [line.split()[0] for line in result.stdout.splitlines() if line[:1].isalpha()]
    assert set(patients()) <= set(listed)


def test_the_list_as_json_says_what_is_known():
    documents = {d["name"]: d for d in json.loads(run("zoo", "--format", "json").stdout)}
    assert list(documents)
    assert set(documents) == set(patients())
    sigmoid = documents["deep_sigmoid"]
    assert sigmoid["codes"] == ["UV101"]
    assert sigmoid["cause"] == "activation-slope"
    assert sigmoid["half"] in {"development", "reserved"}


@pytest.mark.parametrize("name", patients())
def test_every_patient_has_a_page(name):
    result = run("zoo", name)
    assert result.exit_code == 0, result.stderr
    assert f"unvanish check zoo:{name}" in result.stdout
    assert ("Known cure" in result.stdout) is patient_of(name).is_sick


def test_the_trial_trains_both_arms():
    document = json.loads(run("zoo", "deep-sigmoid", "--train", "--format", "json").stdout)
    assert document["trial"]["cured"]["reached"]
    assert not document["trial"]["sick"]["reached"]


def test_an_unknown_name_gets_the_nearest():
    result = run("zoo", "deep_sigmoids")
    assert result.exit_code == 2
    assert "unvanish zoo deep_sigmoid" in result.stderr


def test_a_trial_needs_a_name():
    result = run("zoo", "--train")
    assert result.exit_code == 2
    assert "unvanish zoo NAME --train" in result.stderr
