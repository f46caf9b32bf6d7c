"""The map as a picture and as characters."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from unvanish.show.map import TRAINABLE, bin_of, draw_map, map_lines
from unvanish.theory.activations import ACTIVATIONS, activation
from unvanish.theory.landscape import landscape


def maps(*names, depth=30, columns=33):
    return [landscape(activation(name), depth, columns=columns) for name in names]


@pytest.mark.parametrize("names", [("tanh",), ("relu", "softplus"), tuple(ACTIVATIONS)[1:]])
def test_the_picture_is_self_contained_and_well_formed(names):
    svg = draw_map(maps(*names))
    root = ElementTree.fromstring(svg)
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    texts = [e for e in root.iter() if e.tag.endswith("text")]
    assert set(names) <= {t.text for t in texts}
    for text in texts:
        assert 0 < float(text.attrib["x"]) < width
        assert 0 < float(text.attrib["y"]) < height
    for forbidden in ("<script", "<image", "href", "@import", "nan"):
        assert forbidden not in svg
    assert re.findall(r"https?://[^\"]+", svg) == ["http://www.w3.org/2000/svg"]


def test_a_panel_is_covered_without_holes_and_overlaps():
    svg = draw_map(maps("gelu", columns=17))
    area = sum(
        float(width) * (float(bottom) - float(top))
        for top, width, bottom in re.findall(r"M[\d.]+ ([\d.]+)h([\d.]+)V([\d.]+)h", svg)
    )
    assert area == pytest.approx(252 * 150, rel=0.02)


def test_the_edge_is_drawn_where_there_is_one():
    # once in the legend, once in the panel
    assert draw_map(maps("relu")).count("stroke-dasharray") == 2
    assert draw_map(maps("softplus")).count("stroke-dasharray") == 1
    assert "no critical weights" in draw_map(maps("softplus"))
    assert "bias variance 0.173" in draw_map(maps("gelu"))


def test_colours_change_at_six_depth_scales():
    assert pytest.approx(1.303, abs=1e-3) == TRAINABLE
    assert bin_of(0.0) == bin_of(1.3) == bin_of(-1.3)
    assert [bin_of(v) for v in (-20, -8, -4, -2, 2, 4, 8, 20)] == [0, 1, 2, 3, 5, 6, 7, 8]


def test_the_characters():
    lines = map_lines(maps("relu", "sigmoid"))
    assert lines[1].startswith("relu ")
    assert lines[1].count("|") == 1
    row = lines[1].split()[1]
    assert row[0] == "V"
    assert row[-1] == "A"
    deep = map_lines(maps("tanh", depth=100))
    assert [line.split()[0] for line in deep[1:3]] == ["100", "92"]
    assert len({len(line) for line in deep[1:]}) == 1
    shallow = map_lines(maps("tanh", depth=2))
    assert len(shallow) == 3
