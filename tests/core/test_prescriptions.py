"""What was tried, in a line a person can read."""

from unvanish.core.prescriptions import Advice, Option, Outlook

GOOD = Option(remedies=("he", "relu"), outlook=Outlook(), cures=("UV101", "UV103"))
POOR = Option(
    remedies=("clip-norm",),
    outlook=Outlook(findings={"UV404": "error", "UV202": "note"}),
    brings=("UV404",),
)
NONE = Option(remedies=("siren",), failed="its first layer takes words")


def test_an_option_is_one_line() -> None:
    assert str(GOOD) == "he + relu: cures UV101, UV103; leaves nothing"
    assert str(POOR) == "clip-norm: cures nothing; brings UV404; leaves UV404"
    assert str(NONE) == "siren: its first layer takes words"


def test_advice_is_a_line_an_option() -> None:
    assert str(Advice(before=Outlook(), options=(GOOD, NONE))).splitlines() == [
        "1. he + relu: cures UV101, UV103; leaves nothing",
        "2. siren: its first layer takes words",
    ]
    assert str(Advice(before=Outlook(), nothing="it is fine")) == "it is fine"
    assert str(Advice(before=Outlook())) == "no remedy fits what was found"
