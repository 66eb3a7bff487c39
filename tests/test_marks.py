"""Every export says that a trained model made it, told by readers that are not ours: Pillow, pypdf, mutagen, mido,
trimesh; and a dropped film brings its settings back.
"""

import io
import json
from pathlib import Path

import mido
import mutagen
import numpy as np
import pypdf
import pytest
import trimesh
from PIL import Image

from studio.adoption import embed, recover
from studio.design.films import write_film
from studio.design.mesh_files import glb_of
from studio.design.meshes import Mesh
from studio.design.print_pdf import Page, pdf_of
from studio.library.provenance import Provenance, write_jpeg, write_png, write_webp
from studio.marks import SENTENCE, SOURCE_TYPE
from studio.music.engrave import score_pdf
from studio.music.files import write_score
from studio.music.score import Note, Score, Track
from studio.music.sound import AUDIO_FORMATS, audio_file
from studio.types import Request

REQUEST = Request(task="walk_latents", model="tiny", prompt="a fox = a; b # c \\ “d”", seed=7)
RECORD = Provenance(request=REQUEST.to_dict(), prompt=REQUEST.prompt, seed=7, model="tiny", versions={"atelier": "0"})


def tags_of(file: Path) -> str:
    found = mutagen.File(file)
    assert found is not None
    return str(dict(found.tags or {}))


def score() -> Score:
    notes = tuple(Note(480 * k, 480, 60 + k, 90) for k in range(4))
    return Score(
        tracks=(Track(name="melody", program=0, drums=False, notes=notes),),
        length=1920,
        tempi=((0, 100.0),),
        metres=((0, 4, 4),),
        keys=(),
        title="Four notes",
    )


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_pictures(tmp_path: Path, kind: str) -> None:
    source, target = tmp_path / "a.png", tmp_path / f"b.{kind}"
    Image.new("RGB", (16, 16), "teal").save(source)
    {"png": write_png, "jpg": write_jpeg, "webp": write_webp}[kind](source, target, RECORD)
    with Image.open(target) as opened:
        opened.load()
        xmp = opened.info.get("xmp") or opened.info.get("XML:com.adobe.xmp") or b""
    assert SOURCE_TYPE in (xmp.decode() if isinstance(xmp, bytes) else xmp)


@pytest.mark.parametrize("kind", list(AUDIO_FORMATS))
def test_sounds(tmp_path: Path, kind: str) -> None:
    wave = np.sin(np.linspace(0, 900, 44_100)).astype(np.float32)[:, None] * 0.1
    file = tmp_path / f"a.{kind}"
    file.write_bytes(audio_file(np.repeat(wave, 2, 1), kind, {"seed": 7}))
    if kind == "wav":  # mutagen reads no RIFF INFO
        assert SOURCE_TYPE.encode() in file.read_bytes()
        return
    assert SOURCE_TYPE in tags_of(file)


def test_scores() -> None:
    tracks = mido.MidiFile(file=io.BytesIO(write_score(score(), "mid", {"seed": 7}))).tracks
    assert SENTENCE in [message.text for track in tracks for message in track if message.type == "text"]


def test_documents() -> None:
    for data in (
        pdf_of(Image.new("RGB", (64, 64), "teal"), Page((85, 55), 3, True, "cover"), "Card", REQUEST.to_dict()),
        score_pdf(score(), {"seed": 7}),
    ):
        about = pypdf.PdfReader(io.BytesIO(data)).metadata
        assert about and about["/Keywords"] == SENTENCE and "seed" in str(about["/atelier"])


def test_shapes(tmp_path: Path) -> None:
    box = trimesh.creation.box((10, 10, 10))
    file = tmp_path / "a.glb"
    file.write_bytes(glb_of(Mesh(box.vertices.astype(np.float32), box.faces.astype(np.int32)), {}))
    embed(file, "model/gltf-binary", RECORD)
    data = file.read_bytes()
    plain = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    assert plain["asset"]["extras"]["digitalSourceType"] == SOURCE_TYPE
    assert trimesh.load_scene(file).to_mesh().is_watertight


@pytest.mark.parametrize(("kind", "media_type"), [("gif", "image/gif"), ("mp4", "video/mp4")])
def test_films_say_it_and_bring_their_settings_back(tmp_path: Path, kind: str, media_type: str) -> None:
    file = tmp_path / f"a.{kind}"
    frames = [Image.new("RGB", (32, 32), (8 * k, 90, 120)) for k in range(8)]
    write_film(file, frames, 8)
    embed(file, media_type, RECORD)
    found = recover(file, file.name)
    assert found and found.prompt == REQUEST.prompt and found.request and found.request["seed"] == 7
    if kind == "mp4":
        assert SOURCE_TYPE in tags_of(file)
    else:
        with Image.open(file) as film:
            assert getattr(film, "n_frames", 1) == 8
    (tmp_path / f"b.{kind}").write_bytes(b"no film")
    assert recover(tmp_path / f"b.{kind}", "b") is None
