"""A cure as text and as JSON: the numbers, the words, the width."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.show import cures
from tests.show.fixtures import healthy, sick

from unvanish.core.cures import Cure
from unvanish.core.proofs import Conclusion, Harm, Proof, Role
from unvanish.show.arms import Scale
from unvanish.show.cure import render_cure
from unvanish.show.cure_json import cure_json, text_of
from unvanish.show.following import STALE, command_of


def text(cure: Cure, **options: Any) -> str:
    look = healthy() if cure.before == healthy()[0] else sick()
    return render_cure(cure, before=look[1], **options)


def line_with(words: str, page: str) -> str:
    return next(line for line in page.splitlines() if words in line)


@pytest.mark.parametrize("name", cures.EVERY)
@pytest.mark.parametrize("width", [60, 80, 96])
@pytest.mark.parametrize("ascii", [False, True])
@pytest.mark.parametrize("verbose", [False, True])
def test_every_line_fits_and_colour_adds_codes_only(
    name: str, width: int, ascii: bool, verbose: bool
) -> None:
    cure = cures.EVERY[name]()
    plain = text(cure, width=width, ascii=ascii, verbose=verbose)
    too_long = [line for line in plain.splitlines() if len(line) > width]
    assert too_long == []
    assert not ascii or plain.isascii()
    painted = text(cure, width=width, ascii=ascii, verbose=verbose, color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == plain
    assert "\x1b[" in painted


def test_the_table_has_every_arm_that_was_judged() -> None:
    page = text(cures.cure(), width=96)
    assert line_with("control   ", page).split() == [
        "–",
        "control",
        "9.9",
        "%",
        *"9.6 .. 10.1".split(),
    ]
    chosen = line_with("he + relu   ", page)
    assert chosen.split() == [
        "✓", "he", "+", "relu", "96.0", "%", "94.4", "..", "97.2",
        "+86.1", "(84.7", "..", "87.5)", "x0.1", "x1.1",
    ]  # fmt: skip
    order = [page.index(f"  {name} ") for name in ("control", "he + relu", "residual")]
    assert order == sorted(order)
    assert "1 of 5 runs without a result: the loss is nan at step 17" in page
    assert "whatever they promise (gelu, batch-norm, xavier)" in page


def test_a_narrow_table_keeps_what_matters() -> None:
    page = text(cures.cure(), width=60)
    assert "96.0 %    +86.1 (84.7 .. 87.5)" in page
    assert "by seed" not in page


def test_the_verdict_is_told_in_the_units_of_the_table() -> None:
    page = " ".join(text(cures.cure()).split())
    assert "cured: the network as it is does not learn; with he + relu" in page
    assert (
        "accuracy 9.9 % → 96.0 %: +86.1 points, 95 % interval 84.7 .. 87.5, over 5 pairs of runs "
        "with equal seeds; exact p 0.031, the least that 5 pairs can give; 5 of 5 reach 55.0 %"
    ) in page


def test_numbers_of_the_sentence_are_not_told_twice() -> None:
    said = "he + relu cures it: accuracy 0.099 as it is, 0.96 treated; better by 0.861"
    page = text(cures.cure(said=said, proof=cures.proof(said=said)))
    assert "cured: he + relu cures it\n" in page
    assert "0.861" not in page


def test_a_sentence_without_an_answer_keeps_its_numbers() -> None:
    said = "he makes no difference: accuracy 0.1 as it is, 0.1 treated"
    proof = cures.proof(conclusion=Conclusion.NO_EFFECT, said=said, chosen="")
    page = text(cures.cure(conclusion=Conclusion.NO_EFFECT, said=said, proof=proof))
    assert "no-effect: he makes no difference: accuracy 0.1 as it is, 0.1 treated\n" in page


def test_a_control_at_another_rate_has_a_name_of_its_own() -> None:
    proof = cures.proof()
    tuned = replace(proof.arms[0], name="rate x10", role=Role.CANDIDATE, rate_factor=10.0)
    page = text(cures.cure(proof=replace(proof, arms=(*proof.arms, tuned))), width=96)
    assert line_with("learning rate alone", page).split()[-2:] == ["x10", "x1.0"]


def test_a_difference_that_is_not_that_of_the_means_is_explained() -> None:
    said = "what is worse than the best constant answer counts as"
    loss = replace(cures.ACCURACY, name="loss", higher_is_better=False, chance=0.05)
    assert f"{said} 0.05" in " ".join(text(cures.cure(proof=cures.proof(endpoint=loss))).split())
    # A share of right answers is compared as it is.
    assert said not in " ".join(text(cures.cure()).split())


def test_dropped_arms_say_why() -> None:
    page = " ".join(text(cures.cure()).split())
    assert "3 treatments dropped in the first tries after 75 steps" in page
    assert "batch-norm: its best validation score was 0.42" in page


def test_what_was_never_trained_is_counted_and_told_when_asked() -> None:
    assert "1 treatment failed on a copy, 1 remedy does not fit" in text(cures.cure())
    page = text(cures.cure(), verbose=True)
    assert "fixup failed on a copy: a residual block is needed" in page
    assert "forget-bias does not fit: there is no nn.LSTM in it" in page
    assert "fixed: samples, split and order of the batches" in page


def test_harms_that_are_worse_stand_out() -> None:
    worse = Harm(name="dead units", control=0.0, treated=0.4, is_worse=True, said="40 % are dead")
    proof = cures.proof(harms=(*cures.proof().harms, worse))
    page = text(cures.cure(proof=proof))
    assert "harm: 40 % are dead" in page
    assert "2 % of the units" not in page
    assert "same: 2 % of the units are dead" in text(cures.cure(proof=proof), verbose=True)
    assert "harm: none in 2 comparisons beside the endpoint" in text(cures.cure())


def test_a_healthy_network_is_told_shortly() -> None:
    page = text(cures.well())
    assert "healthy: the network learns as it is" in page
    assert len(page.splitlines()) < 10
    assert "write:" not in page


def test_without_a_trial_nothing_is_called_proven() -> None:
    page = text(cures.untried())
    assert "cannot: no trial could be made: there are no data to train on" in page
    assert "change, not proven: he + relu" in page
    assert "left: write in the recipe: def data()" in page
    assert "exact p" not in page
    assert "save:" not in page


def test_a_partial_trial_says_so() -> None:
    page = text(cures.undecided())
    assert "inconclusive, as far as it came: two runs do not decide it" in page
    assert "+0.67" in page
    assert "interval" not in page, "one pair has none"
    assert "loss (lower is better) on 64 samples that are trained on as well" in page


def test_the_next_commands_are_literal() -> None:
    command = "unvanish cure model.py:Net --data digits --budget 300steps"
    page = text(cures.cure())
    assert f"write: {command} --write\n" in page
    assert f"save: {command} --save cured\n" in page
    assert "write: unvanish cure run.json --write\n" in text(cures.cure(), file="run.json")
    assert "show: unvanish show run.json\n" in text(cures.cure(), file="run.json")
    spaced = replace(cures.cure().origin, target="my net.py", seed=3, input_shape=(3, 8))
    assert command_of(cures.cure(origin=spaced)).startswith(
        "unvanish cure 'my net.py' --data digits --input-shape 3,8 --seed 3"
    )


def test_a_network_given_in_python_has_calls_instead_of_commands() -> None:
    given = replace(cures.cure().origin, is_given=True)
    page = text(cures.cure(origin=given))
    assert "write: cured.write()\n" in page
    assert "build: cured.build(seed=0)\n" in page
    assert "unvanish cure" not in page


def test_what_may_decide_it_is_named() -> None:
    assert "help: the same command goes on where it was" in text(cures.undecided())
    begin = "again: unvanish cure model.py:Net --data digits --budget"
    proof = cures.proof(conclusion=Conclusion.INCONCLUSIVE, chosen="")
    page = text(cures.cure(conclusion=Conclusion.INCONCLUSIVE, proof=proof), width=96)
    assert f"{begin} 300steps --seeds 10\n" in page
    page = text(cures.cure(conclusion=Conclusion.NO_EFFECT, proof=proof), width=96)
    assert f"{begin} 1200steps\n" in page
    late = replace(proof, is_partial=True, notes=("the budget of 60 seconds was used up",))
    page = text(cures.cure(conclusion=Conclusion.INCONCLUSIVE, proof=late))
    assert "help: a larger --budget, or fewer steps" in page


def test_what_was_written_is_told() -> None:
    cure = cures.cure(
        written=("model.py",), backups=("model.py.orig",), warnings=("model.py is not committed",)
    )
    page = render_cure(cure, before=sick()[1], rechecked=sick()[1])
    assert "written: model.py was written; model.py.orig holds it as it was" in page
    assert "the file was checked again: UV101, UV202 is left" in " ".join(page.split())
    assert "warning: model.py is not committed" in page
    assert "write:" not in page


def test_accuracies_are_per_cent_only_where_they_are_shares() -> None:
    share = Scale.of(cures.ACCURACY, (0.1, math.nan, 0.9))
    assert (share.value(0.961), share.change(-0.05), share.span(0.1, 1)) == (
        "96.1 %",
        "-5.0",
        "10.0 .. 100.0",
    )
    already = Scale.of(replace(cures.ACCURACY, goal=90.0), (96.1,))
    assert already.value(96.1) == "96.1"
    loss = Scale.of(replace(cures.ACCURACY, name="loss"), (0.1,))
    assert loss.value(0.1) == "0.1"


def test_a_hostile_name_cannot_steer_the_terminal() -> None:
    proof = cures.proof()
    arms = (replace(proof.arms[0], name="\x1b[31mcontrol"), *proof.arms[1:])
    page = text(cures.cure(proof=replace(proof, arms=arms)))
    assert "\x1b" not in page


def test_an_empty_trial_is_no_error() -> None:
    proof = Proof(endpoint=cures.ACCURACY, conclusion=Conclusion.INCONCLUSIVE, is_partial=True)
    page = text(cures.cure(proof=proof, conclusion=Conclusion.INCONCLUSIVE, said="nothing ran"))
    assert "inconclusive, as far as it came: nothing ran" in page


def document(cure: Cure) -> dict[str, Any]:
    made = cure_json(cure, before=sick()[1], after=healthy()[1] if cure.after else None)
    result: dict[str, Any] = json.loads(json.dumps(made, allow_nan=False))
    return result


def test_the_document_has_the_trial_in_numbers() -> None:
    made = document(cures.cure())
    assert made["schema"] == 1
    assert (made["verdict"], made["remedies"], made["rate_factor"]) == (
        "cured",
        ["he", "relu"],
        0.1,
    )
    assert made["interval"] == [0.847, 0.875]
    names = [arm["name"] for arm in made["arms"]]
    assert names[:2] == ["control", "he + relu, rate x0.1"]
    chosen, residual = made["arms"][1], made["arms"][2]
    assert chosen["role"] == "candidate"
    assert chosen["metric"] == [0.961, 0.958, 0.967, 0.944, 0.972]
    assert chosen["difference"]["mean"] == 0.861
    assert chosen["difference"]["p"] == 2.0**-5
    assert chosen["milliseconds_per_step"] == pytest.approx(2.3)
    assert residual["metric"][2] is None
    assert residual["runs"][2]["diverged"] == "the loss is nan at step 17"
    assert made["arms"][0]["difference"] is None
    assert made["check"]["worst"] == healthy()[1].worst
    assert made["before"]["worst"] == "error"
    assert made["edit"]["agrees"] is True
    assert made["endpoint"]["chance"] == 0.1011


def test_numbers_that_json_cannot_hold() -> None:
    made = document(cures.undecided())
    assert made["interval"] == ["-inf", "inf"]
    assert made["check"] is None
    assert made["patch"] == ""
    assert made["is_partial"] is True


@pytest.mark.parametrize("name", cures.EVERY)
def test_every_document_is_strict_json_with_the_same_keys(name: str) -> None:
    assert list(document(cures.EVERY[name]())) == list(document(cures.cure()))


def test_the_patch_is_a_diff_that_patch_takes() -> None:
    assert text_of(cures.PATCH).startswith("--- model.py\n+++ model.py\n@@ -1,5 +1,5 @@\n")
    pasted = replace(cures.PATCH, files=(), snippet="import unvanish\n")
    assert text_of(pasted) == "import unvanish\n"


def test_every_field_of_the_document_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
    section = page.split("## The document of `cure`")[1].split("\n## ")[0]
    made = document(cures.cure())
    arm = made["arms"][1]
    parts = (made, arm, arm["runs"][0], made["comparison"], made["endpoint"], made["trial"])
    fields = {name for part in parts for name in part} | set(made["harms"][0])
    assert {name for name in fields if f"`{name}`" not in section} == set()


LONG = ("layer-normalised-gradient", "centre-and-unit-variance", "weight-standardisation")


def wide() -> Cure:
    """A cure with all that is long: names of remedies, paths, harms, lines to paste."""
    found = cures.cure()
    assert found.proof is not None
    assert found.patch is not None
    path = "/home/somebody/a_rather_long_folder_name/experiments/2024/deep_sigmoid_network.py"
    named = " + ".join(LONG)
    arms = tuple(
        replace(arm, name=named, remedies=LONG, rate_factor=1.0)
        if arm.name == found.proof.chosen
        else arm
        for arm in found.proof.arms
    )
    harm = Harm(name="x", is_worse=True, said=f"14 of 17 layers starve in {path}: 0 before it was")
    snippet = (
        "import unvanish\n\n"
        f"treated = unvanish.treat(model, {list(LONG)}, (inputs, target), loss, "
        "optimizer=optimizer)\nmodel, optimizer = treated.model, treated.optimizer\n"
    )
    return replace(
        found,
        proof=replace(found.proof, arms=arms, chosen=named, harms=(harm,)),
        patch=replace(found.patch, files=(), snippet=snippet, unsafe=f"{path} cannot be parsed"),
        remedies=LONG,
        saved=path.removesuffix(".py"),
        warnings=(f"{path} has changes that are not committed",),
    )


@pytest.mark.parametrize("width", [60, 80, 96])
def test_long_names_paths_and_lines_to_paste_stay_inside(width: int) -> None:
    lines = text(wide(), width=width).splitlines()
    assert [line for line in lines if len(line) > width or line != line.rstrip()] == []


@pytest.mark.parametrize("width", [60, 80])
def test_the_name_of_a_combination_is_broken_between_words(width: int) -> None:
    page = text(wide(), width=width)
    table = page[page.index("  arm ") : page.index("dropped:")]
    assert "…" not in table
    words = set(re.findall(r"[a-z]+", table))
    assert {part for name in LONG for part in name.split("-")} <= words


def test_what_was_edited_while_it_was_tried_is_not_to_be_saved() -> None:
    found = cures.cure()
    assert found.patch is not None
    said = f"model.py was {STALE}: run again"
    stale = replace(found, patch=replace(found.patch, files=(), snippet="", unsafe=said))
    page = text(stale)
    assert f"the source is not edited: {said}" in " ".join(page.split())
    assert "save:" in text(found)
    assert "save:" not in page
    assert "paste instead" not in page


@pytest.mark.parametrize("ascii", [False, True])
def test_a_verdict_with_much_behind_it_is_told_again_in_the_last_line(ascii: bool) -> None:
    arrow = "->" if ascii else "→"
    short, long = (text(cures.cure(), ascii=ascii, verbose=v).splitlines() for v in (False, True))
    assert long[-1] == f"cured: accuracy 9.9 % {arrow} 96.0 %"
    assert not short[-1].startswith("cured")
