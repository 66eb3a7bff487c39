"""The command `music`: MIDI, MusicXML and sound of each take, and what it says where it cannot; `bench music`."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pyloudnorm
import pytest
import soundfile

from studio.bench import music as bench
from studio.cli import main
from studio.music.files import read_score, settings_inside
from studio.music.soundfont import default_soundfont
from studio.settings import Settings

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(280)]


def command(home: Path, *words: str) -> tuple[int, str, str]:
    said, complained = io.StringIO(), io.StringIO()
    with redirect_stdout(said), redirect_stderr(complained):
        code = main(["music", *words, "--home", str(home)])
    return code, said.getvalue(), complained.getvalue()


def test_a_json_line_a_take_and_three_files_of_each(tmp_path: Path) -> None:
    words = ("a slow waltz with cello, piano and drums", "--bars", "4", "--key", "Dm", "--count", "2", "--seed", "7")
    (tmp_path / "home" / "soundfonts").mkdir(parents=True)
    (tmp_path / "home" / "soundfonts" / "grand.sf2").symlink_to(default_soundfont())
    words = (*words, "--soundfont", "grand")
    (tmp_path / "words.txt").write_text("Down by the river", encoding="utf-8")
    sung = ("--lyrics", f"@{tmp_path / 'words.txt'}", "--reverb", "0", "--lufs", "-20")
    code, said, complained = command(tmp_path / "home", *words, *sung, "--out", str(tmp_path / "out"), "--json")
    rows = [json.loads(line) for line in said.splitlines()]
    assert code == 0 and [row["seed"] for row in rows] == [7, 8]
    assert "writes no drums" in complained, "a warning is said and is no failure"
    for row in rows:
        assert (row["bars"], row["key"], row["style"], row["metre"]) == (4, "Dm", "waltz", "3/4")
        by_format = [read_score(Path(row[name]).read_bytes(), name) for name in ("path", "musicxml")]
        assert [score.bars for score in by_format] == [4, 4]
        assert by_format[0].notes == by_format[1].notes > 0
        samples, rate = soundfile.read(row["wav"])
        assert rate == 44_100 and samples.shape[1] == 2 and 0.01 < abs(samples).max() < 1.0
        assert len(samples) / rate == pytest.approx(row["seconds"], abs=6.0), "and what sounds on behind the last bar"
        assert pyloudnorm.Meter(rate).integrated_loudness(samples) == pytest.approx(-20, abs=0.5)
        inside = settings_inside(Path(row["path"]).read_bytes())
        assert inside and inside["prompt"] == words[0]
        assert [inside["params"][name] for name in ("reverb", "lufs", "soundfont")] == [0, -20, "grand"]
        syllables = [[text for _, text in score.tracks[0].lyrics if text != "_"] for score in by_format]
        assert syllables == [["Down", "by", "the", "riv-", "er"]] * 2
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".mid", ".musicxml", ".wav"}


def test_what_cannot_be_done_is_one_sentence(tmp_path: Path) -> None:
    for words, said in (
        (("x", "--bars", "0"), "0 bars"),
        (("x", "--bars", "500"), "500"),
        (("x", "--key", "H"), "'H' is not known"),
        (("x", "--beginning", str(tmp_path / "none.mid")), "There is no file"),
        (("x", "--lyrics", f"@{tmp_path / 'none.txt'}"), "There is no file"),
        (("x", "--lufs", "-60"), "-60"),
        (("x", "--soundfont", "grand"), "There is no soundfont 'grand'"),
    ):
        code, printed, complained = command(tmp_path / "home", *words)
        assert code in (1, 2) and said in complained and "Traceback" not in complained and not printed


def test_both_sides_of_the_bench_write_the_same_notes(tmp_path: Path) -> None:
    figures = bench.run(Settings.load({"home": str(tmp_path)}), quick=True)
    found = figures["briefs"][0]
    assert found["same_notes"] and found["ratio"] > 0 and found["plays"] > 5 and len(figures["table"]) > 4
