"""The tools as jobs: asked without a model, done by the worker, kept with their ancestry."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.cli import main
from studio.errors import InvalidInput
from studio.families import families, family
from studio.families.craft import TEMPLATES
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Artifact, Input, JobState, Request


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with Studio(Settings.load({"home": tmp_path_factory.mktemp("home")})) as opened:
        yield opened


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("art") / "slope.png"
    y, x = np.mgrid[0:64, 0:80]
    Image.fromarray(np.stack([x * 3, y * 3, 200 - x - y], -1).astype(np.uint8)).save(file)
    return file


def made(studio: Studio, task: str, inputs: tuple[Input, ...], **params: object) -> list[Artifact]:
    job = studio.submit(Request(task=task, model="", inputs=inputs, params=params), panel="test")  # type: ignore[arg-type]
    done = studio.wait(job.id, timeout=60)
    assert done.state is JobState.done, f"{done.error} {done.hint}"
    assert (done.request.model, done.step) == ("", done.steps)
    return list(studio.library.outputs(job.id))


def test_names_of_tools_are_unique_and_products_are_drawn() -> None:
    from studio.design import mock_ups

    names = [task for one in families() for task in (*one.tools, *one.scratch)]
    assert len(names) == len(set(names))
    assert not {task for one in families() if one.name != "craft" for task in one.tasks} & set(family("craft").tools)
    assert tuple(mock_ups.TEMPLATES) == TEMPLATES


def test_from_a_picture_over_its_pattern_to_a_sheet(studio: Studio, picture: Path) -> None:
    source = (Input(role="source", artifact=studio.adopt(picture).sha256),)
    (tile,) = made(studio, "make_seamless", source)
    assert tile.meta["seam"] <= 1 < tile.meta["seam_before"]  # type: ignore[operator]
    of_tile = (Input(role="source", artifact=tile.sha256),)
    (swatches,) = made(studio, "palette", of_tile, colours=4)
    assert swatches.media_type == "application/json"
    (other,) = made(studio, "recolour", (*of_tile, Input(role="palette", artifact=swatches.sha256)), style="flat")
    with Image.open(other.path) as opened:
        colours = {f"#{r:02x}{g:02x}{b:02x}" for r, g, b in opened.convert("RGB").get_flattened_data()}
    assert colours <= set(swatches.meta["palette"])  # type: ignore[arg-type]
    (traced,) = made(studio, "vectorise", of_tile, colours=3)
    assert traced.path.suffix == ".svg" and traced.meta["nodes"]
    (cut,) = made(studio, "cut_out", source)
    with Image.open(cut.path) as opened:
        assert opened.mode == "RGBA"
    mocked = made(studio, "mock_up", (*source, *of_tile), templates=["card", "mug"], width=240)
    assert [one.meta["template"] for one in mocked] == ["card", "mug"] * 2
    (page,) = made(studio, "print_pdf", source, size="card")
    assert page.path.read_bytes().startswith(b"%PDF")
    pieces = [swatches, other, traced, cut, mocked[0]]
    given = tuple(Input(role="piece", artifact=one.sha256) for one in pieces)
    sheet = made(studio, "sheet", given, title="All of it", captions=["the palette"])
    assert [one.media_type for one in sheet] == ["application/pdf", "text/html"]
    assert {one.artifact for one in studio.take(sheet[0].sha256).inputs} == {one.sha256 for one in pieces}


@pytest.mark.parametrize(
    ("task", "params", "said"),
    [
        ("recolour", {}, "No palette"),
        ("recolour", {"palette": "bluish"}, "'bluish'"),
        ("mock_up", {"templates": ["boat"]}, "'boat'"),
        ("print_pdf", {"size": "A99"}, "'A99'"),
    ],
)
def test_what_cannot_be_done_is_said(
    studio: Studio, picture: Path, task: str, params: dict[str, object], said: str
) -> None:
    source = (Input(role="source", artifact=studio.adopt(picture).sha256),)
    job = studio.submit(Request(task=task, model="", inputs=source, params=params), panel="test")  # type: ignore[arg-type]
    done = studio.wait(job.id, timeout=60)
    assert done.state is JobState.failed and said in done.error and done.hint


def test_no_model_and_a_source_are_asked_for(studio: Studio, picture: Path) -> None:
    with pytest.raises(InvalidInput, match="source"):
        studio.submit(Request(task="cut_out", model=""), panel="test")
    source = (Input(role="source", artifact=studio.adopt(picture).sha256),)
    with pytest.raises(InvalidInput, match="asks no model"):
        studio.submit(Request(task="cut_out", model="starter-image", inputs=source), panel="test")


def test_the_command_writes_files_and_a_line_for_each(
    tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, out = str(tmp_path / "home"), str(tmp_path / "out")
    asked = ["design", "palette", str(picture), "--colours", "3", "--home", home, "--out", out, "--json"]
    assert main(asked) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["path"]).name for line in lines] == ["slope-palette.json"]
    assert len(lines[0]["palette"]) == 3
    assert {file.suffix for file in (tmp_path / "out").iterdir()} == {".json", ".png", ".css", ".gpl", ".ase"}
    assert (
        main(["design", "sheet", str(picture), lines[0]["path"], "--title", "Two", "--home", home, "--out", out]) == 0
    )
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["path"]).name for line in lines] == ["sheet.pdf", "sheet.html"]
    assert all(Path(line["path"]).stat().st_size > 500 for line in lines)
    assert main(["design", "cutout", str(tmp_path / "none.png"), "--home", home]) == 2
    assert "There is no file" in capsys.readouterr().err
