"""What a starter's card says of its training, and figures that come later."""

import json
import tomllib
from pathlib import Path

from studio.families.training.run_folder import RunFolder
from studio.families.training.starter_card import add_figures, keep_cost_of, training_cost, write_starter_card
from studio.settings import ROOT


def folder_of(tmp_path: Path, *rows: dict[str, object]) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    (run.folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return run


def test_time_is_counted_over_new_starts_and_stages_side_by_side(tmp_path: Path) -> None:
    run = folder_of(
        tmp_path,
        {"seconds": 10, "stage": "model", "tokens": 1},
        {"seconds": 100, "stage": "decoder", "tokens": 7},
        {"seconds": 130, "stage": "model", "tokens": 2},
        {"seconds": 160, "stage": "decoder"},
        {"seconds": 5, "stage": "model", "tokens": 3},  # went on after a stop
        {"seconds": 65, "stage": "model", "loss": 0.5},
    )
    cost = training_cost(run, {"tokens": ("model", "tokens"), "pictures": ("judge", "pictures")})
    assert cost["minutes"] == 4 and cost["tokens"] == 3 and "pictures" not in cost and cost["before"] is None


def test_a_card_keeps_what_the_start_had_cost_and_takes_figures(tmp_path: Path) -> None:
    tables = {"trained": {"minutes": 9, "before": None}, "knows": {"words": ["sea", 'a "b"']}}
    told = {"id": "starter-x", "family": "gan", "name": "X", "summary": "s", "description": "d", "limits": "l"}
    write_starter_card(tmp_path, tasks=("explore",), **told, **tables)
    add_figures(tmp_path, {"kid": 0.5, "by kind": {"candle holder": 0.9}})
    card = tomllib.loads((tmp_path / "card.toml").read_text("utf-8"))
    assert card["source"] == "starter" and card["knows"] == tables["knows"] and card["trained"] == {"minutes": 9}
    assert card["figures"] == {"kid": 0.5, "by kind": {"candle holder": 0.9}}
    run = folder_of(tmp_path, {"seconds": 1, "stage": "model"})
    keep_cost_of(tmp_path, run)
    assert training_cost(run, {})["before"] == {"minutes": 9}


def test_every_starter_is_told_of_in_a_short_sentence() -> None:
    cards = [tomllib.loads(path.read_text("utf-8")) for path in (ROOT / "assets" / "models").glob("*/card.toml")]
    menus = [card for card in cards if card["id"] != "starter-sketch"]  # chosen by the drawing, not from a menu
    assert len(menus) == 5 and all(0 < len(card["summary"]) <= 90 and card["summary"][-1] == "." for card in menus)
