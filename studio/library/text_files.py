"""A kept text as a file for other programs: plain text, Markdown, a web page, a Word document, with how it was made."""

import html
import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import docx

from studio.errors import InvalidInput

FORMATS = {
    "txt": ("text/plain", ".txt"),
    "md": ("text/markdown", ".md"),
    "html": ("text/html", ".html"),
    "docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx"),
}
MAX_KEYWORDS = 250  # characters: Word's limit for such a property is 255


def text_file(format: str, text: str, title: str, settings: Mapping[str, Any]) -> bytes:
    """The bytes of that file. InvalidInput for an unknown format."""
    if format not in FORMATS:
        raise InvalidInput(f"There is no format {format[:20]!r}.", f"There are: {', '.join(FORMATS)}.", field="format")
    if format == "txt":
        return text.encode()
    if format == "md":
        return _markdown(text, title, settings).encode()
    if format == "html":
        return _page(text, title, settings).encode()
    return _document(text, title, settings)


def paragraphs(text: str) -> list[str]:
    """Parts between empty lines; line breaks inside one stay, as in a poem."""
    return [part.strip("\n") for part in text.replace("\r\n", "\n").split("\n\n") if part.strip()]


def _markdown(text: str, title: str, settings: Mapping[str, Any]) -> str:
    """Front matter in YAML, of which JSON's values are a part; two spaces keep a line's end."""
    head = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in {"title": title, **settings}.items()]
    body = "\n\n".join(part.replace("\n", "  \n") for part in paragraphs(text))
    return "---\n" + "\n".join(head) + "\n---\n\n" + body + "\n"


def _page(text: str, title: str, settings: Mapping[str, Any]) -> str:
    name = html.escape(title)
    body = "\n".join(f"<p>{html.escape(part).replace(chr(10), '<br>')}</p>" for part in paragraphs(text))
    rows = "".join(
        f"<dt>{html.escape(key.replace('_', ' '))}</dt><dd>{html.escape(str(value))}</dd>"
        for key, value in settings.items()
    )
    style = "body{max-width:40rem;margin:3rem auto;padding:0 1rem;font:1.05rem/1.65 Georgia,serif}dl{color:#666}"
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{name}</title>\n<style>{style}</style>\n'
        f"<h1>{name}</h1>\n{body}\n<details><summary>How this was made</summary><dl>{rows}</dl></details>\n</html>\n"
    )


def _document(text: str, title: str, settings: Mapping[str, Any]) -> bytes:
    document = docx.Document()
    document.add_heading(printable(title), 1)
    for part in paragraphs(text):
        paragraph = document.add_paragraph()
        for number, line in enumerate(part.split("\n")):
            run = paragraph.add_run(printable(line))
            if number + 1 < len(part.split("\n")):
                run.add_break()
    properties = document.core_properties
    properties.title, properties.author = printable(title)[:250], ""
    properties.comments = printable(json.dumps(dict(settings), ensure_ascii=False))[:MAX_KEYWORDS]
    document.add_heading("How this was made", 2)
    for name, value in settings.items():
        document.add_paragraph(printable(f"{name.replace('_', ' ')}: {value}"), style="List Bullet")
    file = BytesIO()
    document.save(file)
    return file.getvalue()


def printable(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(char for char in text if char in "\t\n" or (ord(char) >= 32 and not 0xD800 <= ord(char) <= 0xDFFF))
