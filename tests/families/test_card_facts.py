"""What cards tell a person: every figure of the starters in plain words, and cards that people write."""

import pytest

from studio.families.card_facts import card_facts
from studio.families.figure_words import FIGURE_WORDS
from studio.families.model_card import read_card
from studio.settings import ASSETS

STARTERS = sorted(path.parent for path in (ASSETS / "models").glob("*/card.toml"))
TOLD_BESIDE = {"means", "command", "date"}


@pytest.mark.parametrize("folder", STARTERS, ids=lambda folder: folder.name)
def test_all_that_a_starter_measured_is_told_in_words(folder) -> None:
    card = read_card(folder)
    facts = card_facts(card)
    figures = card["figures"]
    known = {*FIGURE_WORDS, *TOLD_BESIDE}
    assert not {name for name in figures if not {name, name.partition("_by_")[0]} & known}
    cells = sum(len(row) - 1 for table in facts["tables"] for row in table["rows"])
    assert len(facts["figures"]) + cells >= len(figures) - len(TOLD_BESIDE)
    assert facts["limits"] and facts["data"] and facts["trained"] and facts["measured"] == figures["date"]
    names = [name for name, _ in facts["figures"]]
    assert len(set(names)) == len(names) and not any("_" in name for name in names)


def test_figures_have_their_units_and_intervals() -> None:
    figures = {
        "recall": 0.748,
        "held_out_bytes": 2734483,
        "autoencoder_psnr_scenes": 27.11,
        "likeness": {"value": 0.31, "low": 0.2, "high": 0.4},  # of a model that was taught here
        "drawings": {"drawn": 26, "held_out_scenes": 24},
        "key_found_by_style": {"hymn": 1.0, "waltz": 0.29},
        "style_found_by_style": {"hymn": 0.5},
        "drawn": {"words_alone": {"f1": [0.14, 0.115, 0.165], "recall": [0.356, 0.297, 0.412]}},
        "means": "what it means",
        "command": "how it is measured",
    }
    facts = card_facts({"figures": figures})
    assert facts["figures"] == [
        ["Real ones that lie among its own", "74.8 %"],
        ["Bytes of such texts", "2,734,483"],
        ["Sharpness that the autoencoder keeps, of scenes (PSNR)", "27.11 dB"],
        ["Likeness", "0.31 (0.2 to 0.4)"],
        ["Drawings that were measured", "drawings by hand 26, outlines of scenes that it never saw 24"],
    ]
    assert facts["tables"] == [
        {
            "title": "By style",
            "columns": ["Pieces heard in their key", "Pieces whose style the judge hears"],
            "rows": [["Hymn", "100 %", "50 %"], ["Waltz", "29 %", ""]],
        },
        {
            "title": "Drawings by hand",
            "columns": ["Lines kept (F1)", "Lines found"],
            "rows": [["By words alone", "0.14 (0.115 to 0.165)", "35.6 % (29.7 to 41.2 %)"]],
        },
    ]
    assert (facts["means"], facts["command"]) == ("what it means", "how it is measured")


@pytest.mark.parametrize(
    "card",
    [{}, {"figures": "good", "data": 3, "trained": [1], "knows": None}, {"figures": {"a": {}, "b": [], "c": [1, 2]}}],
)
def test_a_card_that_somebody_wrote_is_told_as_far_as_it_can_be_read(card: dict) -> None:
    facts = card_facts(card)
    assert not facts["tables"] and not facts["credits"] and not facts["trained"] and facts["limits"] == ""


def test_a_training_that_went_on_is_told_by_its_parts() -> None:
    before = {"date": "2026-01-01", "minutes": 50, "tokens": 1000}
    trained = {"date": "2026-01-02", "minutes": 8, "machine": "2 cores", "tokens": 64000, "before": before}
    told = card_facts({"trained": trained, "data": {"licence": "CC0-1.0", "train": 49152}})
    assert told["trained"] == ["2026-01-02, 8 min, 2 cores, 64,000 tokens", "2026-01-01, 50 min, 1,000 tokens"]
    assert told["data"] == [["Taught on", "49,152"]] and told["credits"] == ["CC0-1.0"]
