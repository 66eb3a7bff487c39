"""What all commands have in common, and `library`: what they refuse is one sentence, and a closed pipe is no fault."""

import io
import os
import subprocess
import sys
import zipfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from PIL import Image

from studio.cli import main
from studio.settings import Settings
from studio.studio import Studio


def command(home: Path, *words: str) -> tuple[int, str, str]:
    said, complained = io.StringIO(), io.StringIO()
    with redirect_stdout(said), redirect_stderr(complained):
        code = main([*words, "--home", str(home)])
    return code, said.getvalue(), complained.getvalue()


@pytest.fixture
def works(tmp_path: Path, home: Path) -> list[str]:
    """The ids of twenty works in the home."""
    with Studio(Settings(home=home)) as studio:
        ids = []
        for number in range(20):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"red-{number}.png")
            ids.append(studio.adopt(tmp_path / f"red-{number}.png").sha256)
    return ids


def packed(file: Path) -> int:
    with zipfile.ZipFile(file) as archive:
        return len([name for name in archive.namelist() if name != "index.json"])


def test_works_are_exported_by_the_ids_that_the_list_shows(tmp_path: Path, home: Path, works: list[str]) -> None:
    _, listed, _ = command(home, "library", "list")
    shown = [line.split()[0] for line in listed.splitlines()[:-1]]
    target = tmp_path / "chosen.zip"
    for words, many in ((shown[:1], 1), (shown[:3], 3), (works[:2], 2), ([shown[0].upper()], 1), (["red"], 20)):
        target.unlink(missing_ok=True)
        code, _, complained = command(home, "library", "export", *words, "--out", str(target))
        assert code == 0 and packed(target) == many, complained


def test_an_export_of_nothing_writes_no_file(tmp_path: Path, home: Path, works: list[str]) -> None:
    target = tmp_path / "none.zip"
    for words, said in (
        (["0123456789ab"], "'0123456789ab'"),
        ([works[0][:12], "0123456789ab"], "'0123456789ab'"),
        (["a zeppelin"], "'a zeppelin'"),
        (["f" * 64], "ffff"),
    ):
        code, printed, complained = command(home, "library", "export", *words, "--out", str(target))
        assert code == 2 and said in complained and "library list" in complained and not printed
        assert not target.exists()


def test_an_id_that_two_works_begin_with_is_not_guessed(tmp_path: Path, home: Path, works: list[str]) -> None:
    same = "ab" * 4
    with Studio(Settings(home=home)) as studio, studio.library._db.writing() as connection:
        for number, id in enumerate(works[:2]):
            connection.execute("UPDATE artifacts SET sha256 = ? WHERE sha256 = ?", (f"{same}{number}{id[9:]}", id))
    code, _, complained = command(home, "library", "export", same, "--out", str(tmp_path / "one.zip"))
    assert code == 2 and "More than one" in complained and f"{same}0" in complained and f"{same}1" in complained


def test_a_limit_is_one_or_more(home: Path) -> None:
    for limit in ("0", "-3"):
        code, printed, complained = command(home, "library", "list", "--limit", limit)
        assert code == 2 and limit in complained and not printed


@pytest.mark.parametrize("below", ["", "below"])
def test_a_home_that_is_no_folder_is_one_sentence(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("not a folder", "utf-8")
    home = tmp_path / "file" / below
    for words in (
        ("library", "list"),
        ("api", "on"),
        ("origin", "--watermark", "on"),
        ("text", "the sea"),
        ("ui", "--no-browser", "--port", "0"),
    ):
        code, printed, complained = command(home, *words)
        assert code == 2 and "is no folder" in complained and "--home" in complained and not printed, words
    assert (tmp_path / "file").read_text("utf-8") == "not a folder"


@pytest.mark.parametrize(
    "words",
    [
        ("text", "the sea"),
        ("image", "a fox"),
        ("music", "a waltz"),
        ("speech", "Good morning."),
        ("sound", "rain on a roof"),
        ("design", "shape", "a vase"),
        ("design", "explore"),
        ("design", "palette", __file__),
        ("evaluate", "starter-image"),
    ],
)
def test_an_out_that_is_no_folder_is_refused_before_the_work(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "file").write_text("not a folder", "utf-8")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        code, printed, complained = command(tmp_path / "home", *words, "--out", str(out))
        assert code == 2 and f"--out {out} cannot be used" in complained and not printed
    assert not (tmp_path / "home").exists()


def test_a_zip_that_cannot_be_written_is_one_sentence(tmp_path: Path, home: Path, works: list[str]) -> None:
    (tmp_path / "file").write_text("not a folder", "utf-8")
    for out, said in ((tmp_path / "file" / "works.zip", "is no folder"), (tmp_path, "is a folder")):
        code, printed, complained = command(home, "library", "export", works[0], "--out", str(out))
        assert code == 2 and f"--out {out} cannot be used" in complained and said in complained and not printed


def test_a_closed_pipe_ends_a_command_without_a_word(home: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    words = ["models", "available", "--home", str(home)]
    done = subprocess.run([sys.executable, "-m", "studio", *words], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.returncode == 141 and not done.stderr


def test_a_file_that_is_not_there_is_named_as_it_was_typed(tmp_path: Path, home: Path) -> None:
    none = str(tmp_path / "none.txt")
    for words in (
        ("origin", none),
        ("speech", "--file", none),
        ("sound", "a waltz", "--melody", none),
        ("image", "--from", none),
        ("music", "a song", "--lyrics", f"@{none}"),
        ("text", "the sea", "--json-schema", none),
    ):
        code, printed, complained = command(home, *words)
        assert code == 2 and f"There is no file {none}." in complained and not printed, complained


def test_what_is_asked_for_is_what_a_wrong_file_is_measured_by(tmp_path: Path, home: Path) -> None:
    for words, said in (
        (("music", "a waltz", "--beginning", __file__), "test_commands.py is no score. Give a MIDI"),
        (("design", "shape", "--vary", __file__), f"{__file__} is no shape. Give a file of .glb"),
        (("music", "a waltz", "--key", "H"), "Choose one of C, "),
    ):
        code, printed, complained = command(home, *words)
        assert code == 2 and said in complained.replace("\n", " ") and not printed, complained
