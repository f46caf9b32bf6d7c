"""Lines to paste that are too long for the screen are broken, and mean the same."""

from __future__ import annotations

import ast

import pytest

from unvanish.show.snippets import fitted

LINES = (
    'treated = unvanish.treat(model, "he", (inputs, target), loss, optimizer=optimizer)',
    'treated = unvanish.treat(model, ["layer-normalised-gradient", "centre-and-unit-variance", '
    '"a, b (c)"], (inputs, target), loss, optimizer=optimizer, autocast="bfloat16")',
    "model, optimizer, loss = treated.model, treated.optimizer, treated.loss",
    "    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)",
    "for group in optimizer.param_groups:",
)


@pytest.mark.parametrize("room", [39, 51, 71, 200])
@pytest.mark.parametrize("line", LINES)
def test_a_broken_line_means_what_it_meant(line: str, room: int) -> None:
    pieces = fitted(line, room)
    body = " pass" if line.endswith(":") else ""
    assert ast.dump(ast.parse("\n".join(pieces).strip() + body)) == ast.dump(
        ast.parse(line.strip() + body)
    )
    assert all(len(piece) <= room for piece in pieces) or room < 51
    assert all(piece == piece.rstrip() for piece in pieces)


def test_a_line_that_fits_is_left_alone() -> None:
    assert fitted("import unvanish", 20) == ["import unvanish"]
    assert fitted("", 20) == [""]


def test_a_comment_stays_a_comment() -> None:
    pieces = fitted("# train under torch.autocast(device_type, dtype=torch.bfloat16)", 40)
    assert len(pieces) == 3
    assert all(piece.startswith("# ") and len(piece) <= 40 for piece in pieces)
