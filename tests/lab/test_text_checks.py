"""Texts: encodings, tidy copies, languages, Word, PDF, chats, and what is no text."""

import json
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from studio.errors import InvalidInput
from studio.lab.dataset import Dataset
from studio.lab.encodings import decode, language_of, repeated_paragraphs, tidy
from studio.lab.items import Cleaned
from studio.lab.text_checks import clean_text

SAMPLES = {
    "en": "The old woman lived in the house by the river, and she said that it was her home for all of her life.",
    "de": "Die alte Frau wohnte in dem Häuschen am Fluß, und sie sagte, daß es nicht das Haus ihrer Mutter war.",
    "fr": "La vieille femme était dans une maison près de la rivière; les enfants ne sont pas pour elle.",
    "es": "La vieja vivía en una casa del río, pero esta era la casa de los niños del pueblo.",
    "ru": "Старая женщина жила в доме у реки и говорила, что это дом её матери.",
    "ja": "おばあさんは川のそばの家に住んでいました。",
}


def clean(data: bytes, folder: Path, name: str) -> Cleaned:
    (found,) = clean_text(data, name, folder)
    return found


def kinds(found: Cleaned) -> list[str]:
    return [problem.kind for problem in found.problems]


@pytest.mark.parametrize("language", SAMPLES)
def test_languages_roughly(language: str) -> None:
    assert language_of(SAMPLES[language]) == language


def test_what_has_no_language() -> None:
    assert language_of("") == language_of("12 34 56") == language_of("xqz vrt plk mnb wqe rty") == ""


@pytest.mark.parametrize(
    ("language", "encoding"),
    [("de", "utf-8"), ("de", "utf-8-sig"), ("ru", "utf-16"), ("de", "cp1252"), ("fr", "cp1252"), ("es", "latin-1")]
    + [("ru", "cp1251"), ("ja", "shift_jis")],
)
def test_old_encodings_come_out_right(tmp_path: Path, language: str, encoding: str) -> None:
    text = (SAMPLES[language] + "\r\n") * 5
    found = clean(text.encode(encoding), tmp_path, "a.txt")
    assert found.file is not None and found.file.read_text("utf-8") == tidy(text)
    assert kinds(found) == ([] if encoding.startswith("utf-8") else ["encoding"])
    assert found.language == language and found.length == len(tidy(text))


@pytest.mark.parametrize(
    "data", [b"", b"\x00\x01\x02" * 50, b"\x7fELF" + bytes(100), b"\x89PNG\r\n\x1a\n" * 20, b"short"]
)
def test_what_is_no_text_is_left_out(tmp_path: Path, data: bytes) -> None:
    found = clean(data, tmp_path, "a.txt")
    assert found.file is None and len(found.problems) == 1 and not list(tmp_path.iterdir())


def test_binary_is_refused_everywhere() -> None:
    with pytest.raises(InvalidInput):
        decode(b"caption\0", "a.txt")
    with pytest.raises(InvalidInput):
        decode(b"\xff\xfe\x00", "a.txt")


def test_tidy() -> None:
    assert tidy("a\u0301  \r\nb\r\r\r\r\nc\x07\ufeff") == "\u00e1\nb\n\nc"


def word(*paragraphs: str, extra: str = "") -> bytes:
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    inside = "".join(f"<w:p><w:r><w:t>{p}</w:t><w:tab/><w:t>!</w:t></w:r></w:p>" for p in paragraphs)
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr(
            "word/document.xml", f'{extra}<w:document xmlns:w="{space}"><w:body>{inside}</w:body></w:document>'
        )
    return stream.getvalue()


def test_word_documents(tmp_path: Path) -> None:
    found = clean(word("The first paragraph.", "The second one."), tmp_path, "a.docx")
    assert found.file is not None
    assert found.file.read_text("utf-8") == "The first paragraph.\t!\n\nThe second one.\t!"
    bomb = word("&b;", extra='<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>')
    for data in (bomb, word("x")[:-40], b"PK\x03\x04 nonsense", word("a < b")):
        assert kinds(clean(data, tmp_path, "a.docx")) == ["unreadable"]


def pdf(text: str) -> bytes:
    """A smallest PDF with one line of text, its table of offsets right."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    data, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(data)
    data += b"xref\n0 6\n0000000000 65535 f \n" + table
    return data + b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start


def test_pdf_files(tmp_path: Path) -> None:
    found = clean(pdf("The text of a page in a PDF file"), tmp_path, "a.pdf")
    assert found.file is not None and found.file.read_text("utf-8") == "The text of a page in a PDF file"
    assert kinds(clean(pdf(""), tmp_path, "a.pdf")) == ["unreadable"]
    assert kinds(clean(b"%PDF-1.4 nothing more", tmp_path, "a.pdf")) == ["unreadable"]


def test_chats_become_one_item_a_record(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hello there"}, {"role": "assistant", "content": "Good day"}]
    lines = [
        json.dumps({"messages": turns}),
        json.dumps({"conversations": [{"from": "human", "value": "What now?"}, {"from": "gpt", "value": "Nothing."}]}),
        json.dumps({"prompt": "Two and two?", "completion": "Four."}),
        json.dumps({"text": "A plain text of sufficient length."}),
        "",
        '{"messages": [',
        json.dumps({"messages": [{"role": 3}]}),
        json.dumps([1, 2]),
    ]
    source = tmp_path / "chats.jsonl"
    source.write_text("\n".join(lines), "utf-8")
    dataset = Dataset.create(tmp_path / "datasets", "Chats", "text")
    report = dataset.add([source])
    usable = [item for item in dataset.items if item.usable]
    assert [item.name for item in usable] == [f"chats.jsonl #{n}" for n in (1, 2, 3, 4)]
    assert report.problems == {"broken": 1} and "3 lines" in dataset.items[-1].problems[0].sentence
    assert json.loads(dataset.path(usable[0]).read_text("utf-8")) == {"messages": turns}
    assert json.loads(dataset.path(usable[1]).read_text("utf-8"))["messages"][1]["role"] == "assistant"
    assert dataset.path(usable[3]).suffix == ".txt"


def test_texts_that_repeat_are_left_out(tmp_path: Path) -> None:
    source = tmp_path / "texts"
    source.mkdir()
    story = " ".join(f"word{n * 7919 % 500}" for n in range(300))
    for n in range(8):
        own = " ".join(f"own{n}x{m * 31 % 97}" for m in range(120))
        (source / f"{n}.txt").write_text(f"{own}\n\n{'The same licence stands in every file. ' * 4}", "utf-8")
    (source / "story.txt").write_text(story, "utf-8")
    (source / "story again.txt").write_text(story, "utf-8")
    (source / "story edited.md").write_text(story + " and a new end", "utf-8")
    dataset = Dataset.create(tmp_path / "datasets", "Texts", "text")
    report = dataset.add([source])
    assert report.problems == {"duplicate": 1, "near_duplicate": 1}
    assert (report.included, report.held_out) == (9, 1)
    assert any("paragraphs stand in more than one place" in sentence for sentence in report.sentences)
    assert repeated_paragraphs(["x" * 100 + "\n\n" + "y" * 100, "X" * 100]) == 1
