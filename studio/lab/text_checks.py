"""One text file of a training set: its encoding, its language roughly, its plain text, chats record by record.

It reads plain text, Markdown, Word (.docx), PDF and JSON Lines. It knows the bytes of one file, not the other ones.
A copy is UTF-8 with \\n line ends; a record of a chat is one JSON file {"messages": [{"role", "content"}, ...]}.
"""

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pypdf
import pypdf.errors

from studio.errors import InvalidInput
from studio.lab.duplicates import text_look
from studio.lab.encodings import decode, language_of, tidy
from studio.lab.items import Cleaned, Problem

SUFFIXES = frozenset((".txt", ".text", ".md", ".markdown", ".docx", ".pdf", ".jsonl"))
MOST_XML = 64 * 2**20  # bytes of a Word document's text part
MOST_PAGES = 5_000
SHORT = 20  # characters; less teaches nothing

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant"}  # the names of ShareGPT's exports


def clean_text(data: bytes, name: str, folder: Path) -> tuple[Cleaned, ...]:
    """The checked text, or one for each record of a chat file, copies in `folder`; without a copy if unusable."""
    found = Cleaned(name=name, source_sha256=hashlib.sha256(data).hexdigest())
    suffix = Path(name).suffix.lower()
    problems: list[Problem] = []
    try:
        if not data:
            raise InvalidInput(f"{name} is empty (0 bytes).")
        if suffix == ".jsonl":
            return _records(data, found, folder)
        text, encoding = read_text(data, name)
        if encoding not in ("", "ascii", "utf-8", "utf-8-sig"):
            sentence, how = f"It is written in {encoding}.", "Converted to UTF-8."
            problems.append(Problem(kind="encoding", sentence=sentence, mended=True, how=how))
        if len(text) < SHORT:
            raise InvalidInput(f"{name} holds {len(text)} characters of text; at least {SHORT} are needed.")
    except InvalidInput as error:
        problem = Problem(kind="unreadable" if data else "empty", sentence=error.message, how="Left out.")
        return (replace(found, problems=(problem,)),)
    return (_kept(found, text, text, ".txt", folder, problems),)


def read_text(data: bytes, name: str) -> tuple[str, str]:
    """The plain text of a document, with \\n line ends, and its encoding ("" where its format settles that).
    InvalidInput.
    """
    suffix = Path(name).suffix.lower()
    if suffix == ".docx":
        return tidy(_of_word(data, name)), ""
    if suffix == ".pdf":
        return tidy(_of_pdf(data, name)), ""
    text, encoding = decode(data, name)
    return tidy(text), encoding


def _kept(found: Cleaned, text: str, copy: str, suffix: str, folder: Path, problems: list[Problem]) -> Cleaned:
    """`text` is what is looked at, `copy` what is written."""
    raw = copy.encode("utf-8", "replace")
    sha256 = hashlib.sha256(raw).hexdigest()
    file = folder / f"{sha256}{suffix}"
    file.write_bytes(raw)
    kept = replace(found, file=file, sha256=sha256, suffix=suffix, length=len(text), language=language_of(text))
    return replace(kept, look=text_look(text), problems=tuple(problems))


def _of_word(data: bytes, name: str) -> str:
    """The paragraphs of word/document.xml (ISO/IEC 29500)."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open("word/document.xml") as stream:
            raw = stream.read(MOST_XML + 1)
    except (zipfile.BadZipFile, KeyError, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        raise InvalidInput(f"{name} is damaged, or not a Word document.") from error
    if len(raw) > MOST_XML or b"<!DOCTYPE" in raw[:1000] or b"<!ENTITY" in raw:
        raise InvalidInput(f"{name} is not a Word document that can be read safely.")
    try:
        root = ElementTree.fromstring(raw)
    except ElementTree.ParseError as error:
        raise InvalidInput(f"{name} is a damaged Word document.") from error
    marks = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n"}
    paragraphs = []
    for paragraph in root.iter(f"{_W}p"):
        pieces = ((e.text or "") if e.tag == f"{_W}t" else marks.get(e.tag, "") for e in paragraph.iter())
        paragraphs.append("".join(pieces))
    return "\n\n".join(p for p in paragraphs if p.strip())


def _of_pdf(data: bytes, name: str) -> str:
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted:
            raise InvalidInput(f"{name} is locked with a password.")
        if len(reader.pages) > MOST_PAGES:
            raise InvalidInput(f"{name} has {len(reader.pages)} pages, more than {MOST_PAGES}.")
        text = "\n\n".join(page.extract_text() for page in reader.pages)
    except (pypdf.errors.PyPdfError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise InvalidInput(f"{name} is a damaged PDF file.") from error  # what pypdf lets through of damaged files
    except (RecursionError, OSError, NotImplementedError) as error:
        raise InvalidInput(f"{name} is a PDF file that cannot be read.") from error
    if not text.strip():
        raise InvalidInput(f"{name} holds pictures of pages, no text.")
    return text


def _records(data: bytes, found: Cleaned, folder: Path) -> tuple[Cleaned, ...]:
    text, _ = decode(data, found.name)
    kept: list[Cleaned] = []
    broken = 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = _record(json.loads(line))
        except (ValueError, RecursionError):
            record = None
        if record is None:
            broken += 1
            continue
        read, copy, suffix = record
        sha256 = hashlib.sha256(line.strip().encode("utf-8", "replace")).hexdigest()
        one = replace(found, name=f"{found.name} #{number}", source_sha256=sha256)
        kept.append(_kept(one, read, copy, suffix, folder, []))
    if broken or not kept:
        sentence = f"{broken} lines of {found.name} hold neither a chat nor a text."
        problem = Problem(kind="broken", sentence=sentence, how="Left out.")
        kept.append(replace(found, problems=(problem,)))
    return tuple(kept)


def _record(plain: Any) -> tuple[str, str, str] | None:
    """(text to look at, copy, suffix) of {"messages"}, {"conversations"}, {"prompt", "completion"} or {"text"}."""
    if not isinstance(plain, dict):
        return None
    if isinstance(plain.get("text"), str) and len(tidy(plain["text"])) >= SHORT:
        text = tidy(plain["text"])
        return text, text, ".txt"
    turns = plain.get("messages") or plain.get("conversations")
    if turns is None and isinstance(plain.get("prompt"), str) and isinstance(plain.get("completion"), str):
        turns = [{"role": "user", "content": plain["prompt"]}, {"role": "assistant", "content": plain["completion"]}]
    if not isinstance(turns, list) or not turns:
        return None
    messages = []
    for turn in turns:
        if not isinstance(turn, dict):
            return None
        role, content = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
        if not isinstance(role, str) or not isinstance(content, str):
            return None
        messages.append({"role": _ROLES.get(role, role), "content": tidy(content)})
    read = "\n\n".join(m["content"] for m in messages)
    return (read, json.dumps({"messages": messages}, ensure_ascii=False), ".json") if read.strip() else None
