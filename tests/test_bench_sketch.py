"""`bench sketch`: its drawings and its table."""

import numpy as np
import pytest

from studio.bench import sketch
from studio.bench.drawn_things import drawings
from studio.bench.sketch_sides import place_in
from studio.design.line_art import strokes, thin_lines
from studio.families.model_card import read_card
from studio.presets import unknown_words
from studio.settings import ASSETS


def test_the_drawings_are_lines_of_things_that_the_starter_knows() -> None:
    drawn = list(drawings())
    assert len({one.prompt for one in drawn}) == len(drawn) >= 24
    known = read_card(ASSETS / "models" / "starter-image")["knows"]["words"]
    for one in drawn:
        assert not unknown_words(one.prompt, known), one.prompt
        assert strokes(one.picture) is not None, one.prompt
        assert 150 < thin_lines(one.picture).sum() < 6000, one.prompt
    assert [np.asarray(a.picture).tobytes() for a in drawings(1)] == [
        np.asarray(b.picture).tobytes() for b in drawings(1)
    ]
    assert np.asarray(next(drawings(1)).picture).tobytes() != np.asarray(drawn[0].picture).tobytes()


def test_the_place_of_every_drawing_is_known() -> None:
    assert place_in("a fish underwater") == "underwater"
    assert place_in("a star on a blue background") == "blue"
    assert all(place_in(one.prompt) for one in drawings())


def test_figures_have_intervals_and_stand_in_a_table() -> None:
    low = sketch.interval([0.2, 0.4, 0.6])
    assert low[0] == pytest.approx(0.4) and low[1] < 0.4 < low[2]
    figures = {key: low for key in (*sketch.FIGURES, "colour")}
    lines = sketch.table({"drawn": {"words alone": figures, "starter-sketch": figures}})
    assert len(lines) == 3 and "0.400 [" in lines[1]
