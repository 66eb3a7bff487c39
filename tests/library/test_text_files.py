"""A text as a file for other programs, opened again by what reads such files."""

from io import BytesIO

import docx
import pytest

from studio.errors import InvalidInput
from studio.library.text_files import FORMATS, text_file

TEXT = "The sea is <b>wide</b> & green,\nthe lamp is lit.\n\nسلام 👋 \x07bell"
SETTINGS = {"model": "starter-text", "seed": 7, "prompt": 'a "poem"'}


def written(form: str) -> bytes:
    return text_file(form, TEXT, "The <Keeper>", SETTINGS)


def test_plain_text_is_the_text() -> None:
    assert written("txt").decode() == TEXT


def test_markdown_keeps_lines_and_settings() -> None:
    text = written("md").decode()
    assert text.startswith('---\ntitle: "The <Keeper>"\nmodel: "starter-text"\nseed: 7\nprompt: "a \\"poem\\""\n---\n')
    assert "green,  \nthe lamp is lit.\n\nسلام" in text


def test_a_page_holds_no_markup_of_the_text() -> None:
    page = written("html").decode()
    assert "&lt;b&gt;wide&lt;/b&gt; &amp; green,<br>the lamp" in page
    assert "<title>The &lt;Keeper&gt;</title>" in page and "<dt>seed</dt><dd>7</dd>" in page


def test_a_document_opens_with_its_paragraphs_and_settings() -> None:
    document = docx.Document(BytesIO(written("docx")))
    words = [paragraph.text for paragraph in document.paragraphs]
    assert words[0] == "The <Keeper>"
    assert "The sea is <b>wide</b> & green,\nthe lamp is lit." in words
    assert any("سلام 👋" in text and "\x07" not in text for text in words)
    assert '"seed": 7' in document.core_properties.comments


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no format 'exe'"):
        text_file("exe", TEXT, "x", {})
    assert set(FORMATS) == {"txt", "md", "html", "docx"}
