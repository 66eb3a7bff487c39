"""Metadata inside picture files: what made them, written so that we and others can read it, and read back.

Written are the A1111 `parameters` text, our own complete JSON, and an XMP packet that says by IPTC's
DigitalSourceType whether a trained model made the picture. No pixel changes. Knows which text means what;
containers.py knows where texts lie.
"""

import io
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from studio.design.ground import opaque
from studio.errors import DiskFull, InvalidInput, NotFound
from studio.library import a1111, comfyui, containers, peers
from studio.library.peers import Recovered

FORMAT = 1  # of our JSON
FORMATS = ("PNG", "JPEG", "WEBP")
COUNTS = {"num_images_per_prompt", "num_return_sequences"}  # how many takes a request asks for
EXIF_PROMPT = 8000  # characters of each prompt in a JPEG's comment, whose segment holds 64 kB; our JSON has all

_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
<xmp:CreatorTool>{tool}</xmp:CreatorTool>
<Iptc4xmpExt:DigitalSourceType>{source_type}</Iptc4xmpExt:DigitalSourceType>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Everything about how one picture was made. `composite`: it began with another picture, not with noise
    alone. `own_work`: no model took part, neither in it nor in what it came from.
    """

    request: Mapping[str, Any]  # Request.to_dict()
    prompt: str
    negative_prompt: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None  # of this picture, not of the request
    model: str = ""
    width: int = 0
    height: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)  # "atelier" and the libraries
    job: str = ""
    index: int = 0
    parents: tuple[str, ...] = ()  # sha256 of the pictures that it came from
    composite: bool = False
    own_work: bool = False

    @property
    def tool(self) -> str:
        return f"Atelier {self.versions.get('atelier', '')}".strip()

    def json(self) -> str:
        """Our record in ASCII, so that any text chunk holds it."""
        tables = {"request": dict(self.request), "params": dict(self.params), "versions": dict(self.versions)}
        return json.dumps({"format": FORMAT, "software": self.tool, **vars(self), **tables}, default=str)

    def xmp(self) -> str:
        kind = "compositeWithTrainedAlgorithmicMedia" if self.composite else "trainedAlgorithmicMedia"
        kind = "algorithmicallyEnhanced" if self.own_work else kind
        tool = re.sub(r"[^\w .+-]", "", self.tool)
        return _XMP.format(tool=tool, source_type=_SOURCE_TYPES + kind)

    def a1111(self, longest: int = peers.MAX_PROMPT) -> str:
        """The `parameters` text; prompts beyond `longest` characters are cut."""
        adapters = self.request.get("adapters", ())
        params, _ = of_take(self.params, 0, self.index)
        return a1111.write(
            self.prompt[:longest],
            self.negative_prompt[:longest],
            params,
            seed=self.seed,
            model=self.model,
            size=(self.width, self.height) if self.width and self.height else None,
            version=self.tool,
            loras=[(str(a["id"]), float(a.get("weight", 1.0))) for a in adapters][: peers.MAX_LORAS],
        )


def of_take(params: Mapping[str, Any], seed: int, index: int) -> tuple[dict[str, Any], int]:
    """Params and seed that make take `index` of a batch again, alone."""
    own = {**params, **dict.fromkeys(COUNTS & params.keys(), 1)}
    varied = peers.whole(own.get("variation_seed"), 0, 2**64 - 1)
    if own.get("variation_strength") and varied is not None:
        return {**own, "variation_seed": varied + index}, seed
    return own, seed + index


# --- writing


def write_png(source: Path | Image.Image, target: Path, record: Provenance) -> None:
    """The picture as PNG with its record. A PNG file only gets chunks more; source and target may be the same
    file.

    Raises InvalidInput for a damaged source, DiskFull when the target cannot be written; then an old target
    is intact.
    """
    texts = {
        "parameters": record.a1111(),
        containers.OWN_KEYWORD: record.json(),
        containers.XMP_KEYWORD: record.xmp(),
    }
    write_whole(target, containers.png_with(_encoded(source, "PNG"), texts))


def write_jpeg(source: Path | Image.Image, target: Path, record: Provenance, quality: int = 95) -> None:
    """The picture as JPEG with its record; a JPEG file is not encoded again. Raises as write_png."""
    data = _encoded(source, "JPEG", quality=quality, subsampling=0)
    comment = record.a1111(EXIF_PROMPT)
    write_whole(target, containers.jpeg_with(data, comment, record.tool, record.xmp(), record.json()))


def write_webp(source: Path | Image.Image, target: Path, record: Provenance, quality: int | None = None) -> None:
    """The picture as WebP with its record, lossless without a `quality`; a WebP file is not encoded again."""
    how = {"lossless": True} if quality is None else {"quality": quality}
    data = _encoded(source, "WEBP", **how)
    write_whole(target, containers.webp_with(data, record.a1111(), record.tool, record.xmp(), record.json()))


def _encoded(source: Path | Image.Image, form: str, **how: Any) -> bytes:
    """The bytes of the picture in that format: as they are where they have it, else encoded."""
    if isinstance(source, Path):
        data = _bytes(source)
        if containers.kind(data[:12]) == form:
            return data
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return _encode(image, form, how)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise InvalidInput(f"{source} is not a picture that can be read.", "Use a PNG, JPEG or WebP.") from error
    return _encode(source, form, how)


def _encode(image: Image.Image, form: str, how: Mapping[str, Any]) -> bytes:
    if form == "JPEG" and image.mode not in ("RGB", "L"):
        image = opaque(image)
    buffer = io.BytesIO()
    image.save(buffer, form, **how)
    return buffer.getvalue()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.", "It may have been moved or deleted.") from error
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read: {error.strerror}.", "Check the file and its permissions."
        ) from error


def write_whole(target: Path, data: bytes) -> None:
    """The whole file, or the one that was there: written beside the target, on the disk, then renamed. DiskFull."""
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise DiskFull(
            f"{target} cannot be written: {error.strerror}.", "Make room on the disk, then try again."
        ) from error


# --- reading


def read(path: Path) -> Recovered | None:
    """What a picture file says about its making, whoever wrote it; None where it says nothing we understand.

    Never decodes the picture, and is bounded in time and memory for any file. Raises NotFound and
    InvalidInput only for a file that cannot be opened.
    """
    try:
        with path.open("rb") as file:
            texts = containers.texts(file)
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.", "It may have been moved or deleted.") from error
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read: {error.strerror}.", "Check the file and its permissions."
        ) from error
    return _understood(texts)


def _understood(texts: Mapping[str, str]) -> Recovered | None:
    """The first that makes sense: ours, then those certain by their key, then by their look."""
    parameters = texts.get("parameters", "")
    comment = texts.get("UserComment", "")
    scheme = texts.get("fooocus_scheme") or texts.get("MakerNote", "")
    software = texts.get("Software", "")
    is_fooocus = scheme in ("fooocus", "a1111") and ("Fooocus" in software or "fooocus_scheme" in texts)
    return (
        own_record(texts.get(containers.OWN_KEYWORD, ""))
        or peers.invokeai(texts.get("invokeai_metadata", ""))
        or _peers_json(parameters)
        or _peers_json(comment)
        or (a1111.read(parameters, "fooocus" if is_fooocus else "a1111") if _is_prose(parameters) else None)
        or (peers.novelai(texts.get("Comment", ""), texts.get("Description", ""), texts.get("Source", ""))
            if software == "NovelAI" else None)
        or comfyui.read(texts.get("prompt", ""))
        or comfyui.read(texts.get("Model", "").removeprefix("prompt:"))
        or (_comment(comment, is_fooocus) if _is_prose(comment) else None)
    )  # fmt: skip


def _peers_json(text: str) -> Recovered | None:
    return peers.swarmui(text) or peers.fooocus(text)


def _is_prose(text: str) -> bool:
    return bool(text.strip()) and peers.as_json(text) is None


def _comment(text: str, is_fooocus: bool) -> Recovered:
    """An EXIF comment: A1111's text, or somebody's words."""
    if a1111.parameters(text.strip().rpartition("\n")[2]) or "\nNegative prompt:" in text:
        return a1111.read(text, "fooocus" if is_fooocus else "a1111")
    return peers.recovered("exif", prompt=text)


def own_record(text: str) -> Recovered | None:
    """Our own JSON, which tells the whole batch, as what makes this take again, alone; None for any other text."""
    plain = peers.as_json(text)
    if plain is None or "request" not in plain:
        return None
    index = peers.whole(plain.get("index"), 0, 10**6) or 0
    request = plain["request"] if _is_sound(plain["request"]) else None
    if request:
        own, seed = of_take(request.get("params", {}), peers.whole(request.get("seed", 0), 0, 2**64 - 1) or 0, index)
        request = {**request, "params": own, "seed": seed}
    loras = [
        (a.get("id"), a.get("weight")) for a in map(peers.table, peers.items(peers.table(request).get("adapters")))
    ]
    params, _ = of_take(peers.table(plain.get("params")), 0, index)
    told = peers.recovered(
        "atelier",
        prompt=plain.get("prompt"),
        negative=plain.get("negative_prompt"),
        steps=params.get("num_inference_steps"),
        guidance=params.get("guidance_scale"),
        seed=plain.get("seed"),
        width=plain.get("width") or params.get("width"),
        height=plain.get("height") or params.get("height"),
        sampler=params.get("scheduler"),
        strength=params.get("strength"),
        model=plain.get("model"),
        loras=loras,
    )
    others = {k: v for k, v in params.items() if isinstance(v, str | int | float) and k not in told.params}
    return Recovered(
        source="atelier",
        prompt=told.prompt,
        negative_prompt=told.negative_prompt,
        params={**others, **told.params},
        request=request,
    )


def _is_sound(request: Any) -> bool:
    """Whether a stranger's dict can go through Request.from_dict and mean something."""
    if not isinstance(request, dict):
        return False
    texts = all(isinstance(request.get(key, ""), str) for key in ("task", "model", "prompt"))
    whole = {"task", "model"} <= request.keys() and peers.whole(request.get("seed", 0), 0, 2**64 - 1) is not None
    inputs, adapters = request.get("inputs", []), request.get("adapters", [])
    links = [request.get("parent") or "0" * 64]
    links += [peers.table(i).get("artifact") for i in inputs] if isinstance(inputs, list) else [None]
    return (
        texts
        and whole
        and isinstance(request.get("params", {}), dict)
        and all(isinstance(link, str) and _SHA256.fullmatch(link) for link in links)
        and (not inputs or all(isinstance(i.get("role"), str) for i in inputs))
        and isinstance(adapters, list)
        and all(isinstance(peers.table(a).get("id"), str) for a in adapters)
        and all(peers.number(a.get("weight", 1.0), -100, 100) is not None for a in adapters)
    )
