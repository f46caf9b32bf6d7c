"""The picture for the README: complete, well formed, and free of anything from elsewhere."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from tests.show.fixtures import CASES

from unvanish.show.picture import Background, picture
from unvanish.show.terminal import render


@pytest.mark.parametrize("background", Background)
@pytest.mark.parametrize("name", ["sick", "healthy", "hostile", "long_paths"])
def test_the_picture_holds_the_text_and_nothing_from_elsewhere(
    name: str, background: Background
) -> None:
    recording, found, target = CASES[name]()
    svg = picture(recording, found, target=target, title="unvanish check", background=background)
    assert "@font-face" not in svg
    assert "@import" not in svg
    assert "<script" not in svg
    assert "href" not in svg
    assert re.findall(r"[a-z]+://[^\"' )]+", svg) == ["http://www.w3.org/2000/svg"]
    root = ElementTree.fromstring(svg)
    drawn = "".join("".join(root.itertext()).split())
    text = render(recording, found, target=target)
    for line in text.splitlines():
        for word in line.split():
            assert word in drawn


def test_the_picture_is_the_same_every_time() -> None:
    recording, found, target = CASES["sick"]()
    assert picture(recording, found, target=target) == picture(recording, found, target=target)


def test_light_and_dark_differ_in_colour_only() -> None:
    recording, found, target = CASES["sick"]()
    dark, light = (picture(recording, found, target=target, background=b) for b in Background)
    strip = re.compile(r"#[0-9a-f]{6}|rgba\([^)]*\)")
    assert dark != light
    assert strip.sub("", dark) == strip.sub("", light)
