"""How works enter the library: a person's own files as clean copies, finished ones with their settings inside."""

import json
import secrets
import struct
from pathlib import Path

import soundfile

from studio import sound_intake
from studio.design.glb import about_inside, with_about
from studio.errors import InvalidInput, StudioError
from studio.intake import clean_copy, is_picture
from studio.library import provenance
from studio.library.library import Library
from studio.music.midi import read_midi, write_midi
from studio.types import Artifact, Value

TEXTS = (".txt", ".text", ".md", ".markdown", ".docx", ".pdf")
MOST_TEXT = 500_000  # characters; as many can be gone on from
UPLOAD = "upload"  # the role of what is dropped on the page, which may be anything
MODELS = (".safetensors", ".ckpt", ".gguf", ".pt", ".pth")
SHAPES = (".glb", ".stl", ".3mf", ".obj", ".ply")
# what full disks, and readers and writers of damaged files, raise: a take that meets one of them stays in staging
UNKEPT = (
    StudioError,
    OSError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
SCORES = ("beginning",)  # roles of scores alone: what is none is told as a bad score, not as a bad picture


def adopt(library: Library, staging: Path, file: Path, *, name: str, role: str) -> Artifact:
    """A picture as PNG, a score as MIDI, a sound as FLAC, a shape as GLB, whatever it came as; as an upload a text as
    plain UTF-8, too. InvalidInput for anything else.
    """
    kind = "shape" if Path(name).suffix.lower() in SHAPES else sound_intake.kind(file, name)
    kind = "score" if role in SCORES else kind
    kind = "text" if not kind and role == UPLOAD and Path(name).suffix.lower() in TEXTS else kind
    if not kind and role == UPLOAD and not is_picture(file, name):
        raise unknown(file, name)
    suffix, media_type = {
        "score": (".mid", "audio/midi"),
        "sound": (".flac", "audio/flac"),
        "shape": (".glb", "model/gltf-binary"),
        "text": (".txt", "text/plain"),
    }.get(kind, (".png", "image/png"))
    target = staging / f"adopt-{secrets.token_hex(6)}{suffix}"
    facts: dict[str, Value] = {}
    try:
        if kind == "score":
            facts = sound_intake.clean_score(file, target, name)
        elif kind == "sound":
            facts = sound_intake.clean_sound(file, target, name)
        elif kind == "shape":
            facts = clean_shape(file, target, name)
        elif kind == "text":
            facts = clean_text(file, target, name)
        else:
            clean_copy(file, target, name)
        return library.keep(target, media_type=media_type, meta={"name": name, "role": role, **facts})
    finally:
        target.unlink(missing_ok=True)


def unknown(file: Path, name: str) -> InvalidInput:
    """What is said of a file that no part of the program reads."""
    if not file.stat().st_size:
        return InvalidInput(f"{name} is empty (0 bytes).", "Choose another file.")
    if Path(name).suffix.lower() in MODELS:
        return InvalidInput(f"{name} is a model, no work.", "Give its path in Models: it is used where it lies.")
    said = f"{name} is no picture, score, sound, shape or text that is read here."
    kinds = "PNG, JPEG, WebP, GIF; MIDI, MusicXML, ABC; WAV, FLAC, MP3, OGG; GLB, STL, OBJ; TXT, MD, DOCX, PDF"
    return InvalidInput(said, f"There is a reader for {kinds}.")


def clean_text(file: Path, target: Path, name: str) -> dict[str, Value]:
    """Writes the plain text of a document and says how many words it has. InvalidInput where it has none."""
    from studio.lab.text_checks import read_text  # pypdf takes a while to import: the page starts without it

    text, _ = read_text(file.read_bytes(), name)
    if not text.strip():
        raise InvalidInput(f"{name} holds no text.", "Choose another file.")
    if len(text) > MOST_TEXT:
        how = f"At most {MOST_TEXT:,} can be gone on from: split it. In Train a model is taught longer ones."
        raise InvalidInput(f"{name} has {len(text):,} characters.", how)
    target.write_text(text.replace("\x00", ""), "utf-8", "replace")
    return {"words": len(text.split())}


def clean_shape(file: Path, target: Path, name: str) -> dict[str, Value]:
    """Writes a mesh as GLB with a picture of it inside; one of ours stays as it is. What a printer asks of it."""
    from studio.design import mesh_files, meshes, rendering  # scipy takes a while to import: the page starts without it

    mesh = mesh_files.read_mesh(file, name)
    data = file.read_bytes() if Path(name).suffix.lower() == ".glb" else b""
    if not (data and about_inside(data, name)):
        data = mesh_files.glb_of(mesh, {"name": name}, rendering.png_of(rendering.render(*mesh)))
    target.write_bytes(data)
    return dict(meshes.checked(mesh).as_dict())  # type: ignore[arg-type]


def recover(file: Path, name: str) -> provenance.Recovered | None:
    """The settings that a work carries inside, or None. Its kind is told by `name`: an upload lies under another."""
    suffix = Path(name).suffix.lower()
    if suffix == ".glb":
        record = about_inside(file.read_bytes(), name).get("record")
        return provenance.own_record(json.dumps(record)) if record else None
    if suffix in (".gif", ".mp4"):
        from studio.design import films

        try:
            inside = provenance.own_record(films.record_inside(file, suffix))
        except (InvalidInput, OSError):  # damaged, or another program's
            inside = None
        return inside or (provenance.read(file) if suffix == ".gif" else None)
    if not sound_intake.kind(file, name):
        return provenance.read(file)
    from studio.music import files  # heavy, as below

    inside = files.settings_inside(file.read_bytes(), name)
    return provenance.own_record(json.dumps(inside)) if inside else None


def embed(file: Path, media_type: str, record: provenance.Provenance) -> None:
    """Writes the complete record into a finished file, in place, where its kind can carry it. Whatever fails, the file
    is whole or as it was. DiskFull, InvalidInput.
    """
    if media_type == "image/png":
        provenance.write_png(file, file, record)
    elif media_type == "model/gltf-binary":
        provenance.write_whole(file, with_about(file.read_bytes(), {"record": json.loads(record.json())}))
    elif media_type in ("image/gif", "video/mp4"):
        from studio.design import films  # Pillow's writers and numpy: the page starts without them

        films.with_record(file, record.json())
    elif media_type == "audio/midi":
        score = read_midi(file.read_bytes(), file.name)
        provenance.write_whole(file, write_midi(score, json.loads(record.json())))
    elif media_type == "audio/flac":
        from studio.music.sound import audio_file  # scipy.signal takes a second to import: the page starts without it

        try:
            samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
            data = audio_file(samples.astype("float32"), "flac", json.loads(record.json()), rate=rate)
        except soundfile.LibsndfileError as error:
            raise InvalidInput(f"{file.name} is no sound that can be read.", "Make it again.") from error
        provenance.write_whole(file, data)


def unkept(error: Exception | str, file: Path) -> StudioError:
    """What is told of a finished file that could not be kept."""
    if isinstance(error, StudioError):
        return error
    why = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return StudioError(
        f"The finished file {file.name} could not be kept: {why}.",
        f"It stays in {file.parent} and is taken in when the program starts again.",
    )
