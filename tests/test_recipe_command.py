"""`train RECIPE --json`: what the recipe's run writes into its folder stands on stdout too, a JSON line each."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.cli import main
from studio.settings import PRESETS


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """A recipe's run listens for SIGTERM and Ctrl+C."""
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """The generator's, with a few drawings."""
    text = (PRESETS / "recipes" / "starter-gan.toml").read_text("utf-8")
    for usual, few in (
        ("train = 49152", "train = 32"),
        ("held_out = 1024", "held_out = 8"),
        ("part = 512", "part = 16"),
    ):
        assert usual in text
        text = text.replace(usual, few)
    (tmp_path / "few.toml").write_text(text, "utf-8")
    return tmp_path / "few.toml"


@pytest.mark.parametrize("behind", [True, False], ids=["behind the recipe", "before it"])
def test_a_recipe_tells_its_figures(recipe: Path, home: Path, capsys: pytest.CaptureFixture[str], behind: bool) -> None:
    run = home / "run"
    options = [str(recipe), "--out", str(run), "--stage", "drawings"]
    words = [*options, "--json"] if behind else ["--json", *options]
    assert main(["train", "--home", str(home), *words]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert told == [*logged, {"state": "done"}] and len(logged) == 3

    assert main(["train", "--home", str(home), *options, "--stage", "drawings"]) == 0
    assert capsys.readouterr().out == ""  # without --json nothing is said
