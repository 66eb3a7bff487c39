"""Prompt styles, presets (named partial requests) and example briefs: small TOML files, shipped or the
person's own.

Knows those files and the words of a prompt; dynamic prompts are in wildcards.py, what a model knows is in its
card. A damaged file costs only itself: every reader gives what could be read, and the problems beside it.
"""

import difflib
import hashlib
import json
import os
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

from studio.errors import DiskFull, InvalidInput, NotFound
from studio.settings import PRESETS
from studio.types import Request

Problems = tuple[InvalidInput, ...]

PLACEHOLDER = "{prompt}"
MAX_FILE_BYTES = 2_000_000
REQUEST_FIELDS = tuple(f.name for f in dataclass_fields(Request))

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_TAG = re.compile(r"<[^<>]{0,200}>")
_STOP = frozenset(
    "a an the and or of on in at by to from with without into onto over under near above below behind beside "
    "between is are it its this that these those his her their some very two three four five one as "
    "while".split()
)
_IRREGULAR = {
    "mice": "mouse", "geese": "goose", "people": "person", "men": "man", "women": "woman",
    "children": "child",
    "teeth": "tooth", "feet": "foot", "oxen": "ox", "colour": "color", "colours": "color", "grey": "gray",
    "watercolour": "watercolor", "watercolours": "watercolor",
}  # fmt: skip
_RESERVED = re.compile(r"(con|prn|aux|nul|conin|conout|clock|com\d?|lpt\d?)", re.IGNORECASE)  # device names of Windows


@dataclass(frozen=True, kw_only=True)
class Style:
    """A way to draw: `prompt` holds {prompt} where the person's words go; `words` are what a model must know
    for it.
    """

    id: str
    name: str
    prompt: str
    negative_prompt: str = ""
    words: tuple[str, ...] = ()
    pack: str = ""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named partial request: `fields` holds some of the fields of Request.to_dict()."""

    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Brief:
    """An example to start from: a prompt, perhaps a style, and params."""

    prompt: str
    style: str = ""
    title: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


# --- styles


def styles(home: Path | None = None) -> tuple[Style, ...]:
    """The shipped styles, the starters' pack first, then those of home/styles; a style of one's own replaces
    its id.
    """
    return read_styles(home)[0]


def read_styles(home: Path | None = None) -> tuple[tuple[Style, ...], Problems]:
    """All styles that can be read, and one InvalidInput for each file or entry that cannot, naming file and
    line.
    """
    shipped = sorted((PRESETS / "styles").glob("*.toml"), key=lambda path: (path.stem != "starter", path.stem))
    own = sorted((home / "styles").glob("*.toml")) if home else []
    found: dict[str, Style] = {}
    problems: list[InvalidInput] = []
    for path in (*shipped, *own):
        try:
            text = _read_text(path)
            plain = _parse_toml(path, text)
        except InvalidInput as problem:
            problems.append(problem)
            continue
        pack = plain.get("pack") if isinstance(plain.get("pack"), str) else path.stem
        entries = plain.get("style", [])
        for place, entry in enumerate(entries if isinstance(entries, list) else [entries]):
            try:
                style = _style(entry, str(pack))
                found[style.id] = style
            except InvalidInput as problem:
                line = _line_of_table(text, "style", place)
                problems.append(InvalidInput(f"{path}, line {line}: {problem.message}", problem.hint))
    return tuple(found.values()), tuple(problems)


def _style(entry: object, pack: str) -> Style:
    if not isinstance(entry, dict):
        raise InvalidInput("a style is a table.", "Begin each with [[style]].")
    for key in ("id", "name", "prompt", "negative_prompt"):
        value = entry.get(key, "")
        if not isinstance(value, str) or (not value.strip() and key != "negative_prompt"):
            raise InvalidInput(f"the style's {key} is {value!r}, not a text.", f'Write {key} = "...".')
    if entry["prompt"].count(PLACEHOLDER) != 1:
        raise InvalidInput(
            f"the prompt of the style {entry['id']!r} does not hold {PLACEHOLDER} exactly once.",
            f'Write for instance prompt = "{PLACEHOLDER}, pixel art".',
        )
    words = entry.get("words", [])
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InvalidInput(
            f"the words of the style {entry['id']!r} are not a list of texts.", 'Write words = ["pixel"].'
        )
    texts = {key: entry.get(key, "").strip() for key in ("id", "name", "prompt", "negative_prompt")}
    return Style(**texts, words=tuple(words), pack=pack)


def find_style(style_id: str, known: Iterable[Style]) -> Style:
    """The style of that id. Raises NotFound."""
    by_id = {entry.id: entry for entry in known}
    if style_id not in by_id:
        near = difflib.get_close_matches(style_id, by_id, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Some that there are: {', '.join(list(by_id)[:12])}."
        raise NotFound(f"There is no style {style_id!r}.", hint)
    return by_id[style_id]


def style(style_id: str, home: Path | None = None) -> Style:
    """The shipped style of that id, or the one of home/styles. Raises NotFound."""
    return find_style(style_id, styles(home))


def apply_style(style: Style, prompt: str, negative_prompt: str = "") -> tuple[str, str]:
    """Prompt and negative prompt in that style. Apply it after wildcards are expanded, so that each is done
    once.
    """
    before, after = style.prompt.split(PLACEHOLDER)
    styled = f"{before}{prompt.strip()}{after}" if prompt.strip() else f"{before}{after}".strip(" ,")
    negatives = [text.strip() for text in (negative_prompt, style.negative_prompt) if text.strip()]
    return styled, ", ".join(negatives)


# --- the words that a model knows


def unknown_words(prompt: str, known_words: Iterable[str]) -> tuple[str, ...]:
    """The words of a prompt that are not known, lower case, each once, in the order of the prompt.

    Known words may be phrases. Small words, numbers, <lora:...> tags, simple plurals and British spellings do
    not count.
    """
    known = {root for phrase in known_words for word in _words(phrase) for root in _roots(word)}
    asked = dict.fromkeys(word for word in _words(_TAG.sub(" ", prompt)) if word not in _STOP)
    return tuple(word for word in asked if known.isdisjoint(_roots(word)))


def style_is_known(style: Style, known_words: Iterable[str]) -> bool:
    """Whether a model that knows these words can be expected to draw in that style."""
    return not unknown_words(" ".join(style.words), known_words)


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFC", text).casefold())


def _roots(word: str) -> set[str]:
    """The word and what it may be the plural of."""
    word = re.sub(r"['’]s$", "", word)
    roots = {word, _IRREGULAR.get(word, word)}
    if len(word) > 3:
        for ending, instead in (("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"), ("ves", "fe")):
            if word.endswith(ending) and not word.endswith("ss"):
                roots.add(word[: -len(ending)] + instead)
    return roots


# --- presets


def save_preset(home: Path, name: str, fields: Mapping[str, Any]) -> Path:
    """Keep some fields of Request.to_dict() under a name; the same name again replaces them.

    Raises InvalidInput for a name that cannot be shown or that a preset of another task has, or a field that no
    request has; DiskFull when it cannot be written.
    """
    name = _name(name)
    before = next((preset for preset in load_presets(home) if preset.name == name), None)
    if before and before.fields.get("task") != fields.get("task"):
        said = f"{name!r} is the name of a preset for something else."
        raise InvalidInput(said, "Choose another name.", field="name")
    unknown = sorted(set(fields) - set(REQUEST_FIELDS))
    if unknown:
        raise InvalidInput(f"A request has no field {unknown[0]!r}.", f"It has {', '.join(REQUEST_FIELDS)}.")
    path = home / "presets" / file_name(name)
    body = {key: value for key, value in fields.items() if value is not None}
    _write_atomically(path, f"name = {_toml(name)}\nfields = {_toml(body)}\n")
    return path


def _name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > 80 or not name.isprintable():
        raise InvalidInput(f"{name[:80]!r} cannot be the name of a preset.", "Use 1 to 80 letters.", field="name")
    return name


def rename_preset(home: Path, name: str, new: str) -> None:
    """Raises NotFound, InvalidInput for a name that cannot be shown or is taken, DiskFull."""
    name, new = name.strip(), _name(new)
    known = {preset.name: preset for preset in load_presets(home)}
    if name not in known:
        raise NotFound(f"There is no preset {name!r}.", "It may be deleted already; reload the page.")
    if new == name:
        return
    if new in known:
        raise InvalidInput(f"There is a preset {new!r} already.", "Choose another name.", field="name")
    save_preset(home, new, known[name].fields)
    delete_preset(home, name)


def delete_preset(home: Path, name: str) -> None:
    """Remove one. Raises NotFound."""
    path = home / "presets" / file_name(name.strip())
    if not path.is_file():
        raise NotFound(f"There is no preset {name!r}.", "It may be deleted already; reload the page.")
    path.unlink()


def load_presets(home: Path) -> tuple[Preset, ...]:
    """The presets of home/presets that can be read, by name."""
    return read_presets(home)[0]


def read_presets(home: Path) -> tuple[tuple[Preset, ...], Problems]:
    """All presets that can be read, by name, and one InvalidInput for each file that cannot."""
    found: list[Preset] = []
    problems: list[InvalidInput] = []
    for path in sorted((home / "presets").glob("*.toml")):
        try:
            plain = _parse_toml(path, _read_text(path))
        except InvalidInput as problem:
            problems.append(problem)
            continue
        name, fields = plain.get("name", path.stem), plain.get("fields")
        if isinstance(name, str) and isinstance(fields, dict):
            found.append(Preset(name=name, fields={k: v for k, v in fields.items() if k in REQUEST_FIELDS}))
        else:
            problems.append(InvalidInput(f"{path} holds no table `fields`.", "Save the preset again, or delete it."))
    return tuple(sorted(found, key=lambda preset: preset.name.casefold())), tuple(problems)


def file_name(name: str, suffix: str = ".toml") -> str:
    """A file name for any text: small ASCII letters, digits and dashes, never a device name of Windows, at
    most 60 long.

    Different texts give different names: a text that had to be changed gets a piece of its hash.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-")
    if slug == name and not _RESERVED.fullmatch(slug):
        return slug + suffix
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{slug or 'preset'}-{digest}{suffix}"


# --- briefs


def briefs(panel: str) -> tuple[Brief, ...]:
    """The example briefs of a panel, from presets/briefs/<panel>.toml; none where there is no such file."""
    path = PRESETS / "briefs" / f"{panel}.toml"
    if not path.is_file():
        return ()
    names = {f.name for f in dataclass_fields(Brief)}
    entries = _parse_toml(path, _read_text(path)).get("brief", [])
    return tuple(Brief(**{k: v for k, v in entry.items() if k in names}) for entry in entries)


# --- files


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.", "Check the file's permissions.") from error
    if len(raw) > MAX_FILE_BYTES:
        raise InvalidInput(f"{path} is larger than 2 MB.", "Split it into several files.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InvalidInput(f"{path}, line {line}: this is not UTF-8 text.", "Save the file as UTF-8.") from error


def _parse_toml(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        where = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = where[1] if where else text.count("\n") + 1
        what = re.sub(r"\s*\(at .*\)$", "", str(error)).rstrip(".")
        raise InvalidInput(f"{path}, line {line}: {what}.", "Correct that line, or delete the file.") from error


def _line_of_table(text: str, table: str, place: int) -> int:
    """The line of the n-th [[table]], counted from 1; 1 where the tables are written in another way."""
    heads = [n for n, line in enumerate(text.splitlines(), 1) if re.match(rf"\s*\[\[\s*{table}\s*\]\]", line)]
    return heads[place] if place < len(heads) else 1


def _toml(value: Any) -> str:
    """A value as inline TOML. Raises InvalidInput for what TOML cannot hold."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _toml_text(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(item) for item in value if item is not None)}]"
    if isinstance(value, Mapping):
        pairs = (f"{_toml_text(str(key))} = {_toml(item)}" for key, item in value.items() if item is not None)
        return f"{{{', '.join(pairs)}}}"
    raise InvalidInput(f"A preset cannot hold {value!r}.", "It holds texts, numbers, lists and tables.")


def _toml_text(text: str) -> str:
    whole = text.encode("utf-8", "replace").decode()  # half a surrogate pair is no character
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")


def _write_atomically(path: Path, text: str) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, "utf-8")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise DiskFull(
            f"{path} cannot be written: {error.strerror}.", "Make room on the disk and try again."
        ) from error
