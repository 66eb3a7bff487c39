"""The command `design`: shapes with their exports, sprites, and what it says where it cannot."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import trimesh

from studio.adoption import recover
from studio.cli import main
from studio.design.glb import about_inside
from studio.library.thumbnails import Thumbnails

pytestmark = [pytest.mark.model, pytest.mark.timeout(280)]


def command(home: Path, *words: str) -> tuple[int, list[dict], str]:
    said, complained = io.StringIO(), io.StringIO()
    with redirect_stdout(said), redirect_stderr(complained):
        code = main(["design", *words, "--home", str(home)])
    return code, [json.loads(line) for line in said.getvalue().splitlines()], complained.getvalue()


def test_shapes_come_with_their_exports_and_lead_to_more(tmp_path: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "out"
    quick = ("--num-inference-steps", "2", "--cells", "32", "--out", str(out))
    words = ("shape", "a shiny bowl, 9 cm wide", "--seed", "7", "--count", "1", "--export", "stl,3mf,obj", *quick)
    code, rows, complained = command(home, *words)
    assert code == 0 and len(rows) == 1 and "shiny" in complained
    for kind in ("stl", "3mf", "obj"):
        assert max(trimesh.load_scene(rows[0][kind]).to_mesh().extents[:2]) == pytest.approx(90, abs=0.1)
    shape = Path(rows[0]["path"])
    assert about_inside(shape.read_bytes())["record"]["seed"] == 7
    found = recover(shape, shape.name)
    assert found and found.prompt == "a shiny bowl, 9 cm wide"
    assert Thumbnails(tmp_path / "small").get(rows[0]["sha256"], shape, 128).stat().st_size > 300
    code, rows, _ = command(home, "shape", "--morph", str(shape), rows[0]["stl"], "--steps", "1", *quick)
    assert code == 0 and rows[0]["amount"] == 0.5 and rows[0]["watertight"]


def test_sprites_and_films_of_the_starter(tmp_path: Path) -> None:
    out = ("--out", str(tmp_path / "out"))
    code, rows, _ = command(tmp_path / "home", "explore", "sprites", "--label", "wizard", "--count", "4", *out)
    assert code == 0 and [Path(row["path"]).suffix for row in rows] == [".png", ".json"]
    words = ("walk", "--stops", "1:knight,2:robot", "--frames", "48", "--format", "mp4", "--no-loop")
    code, rows, _ = command(tmp_path / "home", "explore", *words, *out)
    assert code == 0 and rows[0]["frames"] == 49 and rows[0]["fps"] == 24 and rows[0]["flicker"] < 0.6


def test_what_cannot_be_done_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.stl").write_bytes(b"nothing")
    for words, said in (
        (("shape", "a vase", "--export", "dwg"), "'dwg'"),
        (("shape", "a vase", "--export", "stl"), "--out"),
        (("shape", "--vary", str(tmp_path / "none.glb")), "no file"),
        (("shape", "--vary", str(tmp_path / "bad.stl")), "bad.stl"),
        (("shape", "a vase", "--kind", "boat"), "'boat'"),
        (("shape", "a vase", "--height", "3"), "Height is 3"),
        (("explore", "map", "--source", str(tmp_path / "bad.stl")), "terrain"),
    ):
        code, rows, complained = command(tmp_path / "home", *words)
        assert code in (1, 2) and said in complained and "Traceback" not in complained and not rows, complained
