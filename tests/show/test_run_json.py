"""The JSON of a watched run: strict, in a fixed order, and one line for many numbers."""

from __future__ import annotations

import json
import math

import pytest
from tests.core.runs import CONDITIONS, fill

from unvanish.core.findings import Diagnosis, Finding, Severity
from unvanish.core.glossary import LayerQuantity
from unvanish.core.runfile import RunWriter
from unvanish.core.runs import LayerSeries, RunRecording
from unvanish.core.verdicts import Clear, Found, NotMeasured
from unvanish.show.run_json import run_json, run_lines

DIAGNOSIS = Diagnosis(
    {
        "UV603": Found(
            (
                Finding(
                    code="UV603",
                    name="exploding-in-time",
                    severity=Severity.ERROR,
                    message="the loss is no number any more",
                    measured=math.inf,
                    notes=("began at step 2 (last sound sample at step 1)",),
                ),
            )
        ),
        "UV604": Clear(0.75, "fraction", "no unit is dead"),
        "UV609": NotMeasured("no backward pass was seen"),
    },
    {"UV603": "exploding-in-time", "UV604": "dying-units", "UV609": "underflow-in-time"},
)


@pytest.fixture
def run() -> RunRecording:
    writer = fill(RunWriter())
    writer.close()
    return writer.recording()


def test_the_document(run: RunRecording) -> None:
    document = run_json(run, DIAGNOSIS)
    assert list(document) == [
        "schema",
        "kind",
        "target",
        "worst",
        "verdicts",
        "findings",
        "details",
        "started",
        "last_step",
        "is_ended",
        "conditions",
        "layers",
        "events",
        "by_step",
        "by_layer",
    ]
    assert (document["schema"], document["kind"]) == (1, "run")
    assert document["target"] == CONDITIONS.target
    assert document["worst"] == "error"
    assert document["verdicts"] == {"UV603": "found", "UV604": "clear", "UV609": "not-measured"}
    assert document["findings"][0]["measured"] == "inf"
    assert document["details"]["UV609"]["missing"] == "no backward pass was seen"
    assert document["layers"][1]["name"] == "generator relu"
    assert document["layers"][0]["built"]["line"] == 12
    assert document["events"][0] == {
        "step": 2,
        "kind": "non-finite",
        "text": "the loss is nan",
        "layer": -1,
    }
    assert document["by_step"]["loss"] == {
        "unit": "",
        "steps": [0, 1, 2, 3, 4],
        "values": [2.302585092994046, 1.75, None, "inf", 1.5],
    }
    assert document["by_layer"]["log10_param_grad_rms"] == {
        "unit": "decades",
        "steps": [0, 2, 4],
        "rows": [[-2.5, -1.25, 0.0], ["-inf", None, "inf"], [-0.5, -0.75, -3.0]],
    }


def test_the_text_is_the_document(run: RunRecording) -> None:
    def refuse(word: str) -> float:
        raise AssertionError(word)

    document = run_json(run, DIAGNOSIS)
    text = "".join(run_lines(document))
    assert json.loads(text, parse_constant=refuse) == document
    assert text.isascii()
    assert text.endswith("}\n")
    assert '\n      "values": [2.302585092994046, 1.75, null, "inf", 1.5]\n' in text
    assert '\n        ["-inf", null, "inf"],\n' in text


def test_nothing_was_watched() -> None:
    document = run_json(RunRecording(), Diagnosis())
    assert document["worst"] == "not-measured"
    assert json.loads("".join(run_lines(document))) == document


def test_numbers_of_32_bits_are_short() -> None:
    import array

    quantity = LayerQuantity.SLOPE_RMS
    row = array.array("f", [0.1, 1 / 3])
    run = RunRecording(by_layer={quantity: LayerSeries(quantity, (0,), (row,))})
    (short,) = run_json(run, Diagnosis())["by_layer"]["slope_rms"]["rows"]
    assert short == [0.100000001, 0.333333343]
    assert array.array("f", short) == row
