"""Files let fall on the page beside pictures: texts go into the library, in the Text panel into its notebook as well;
of what is not read one sentence says so.
"""

import io
from collections.abc import Iterator
from urllib.parse import urlencode

import docx
import pytest
from playwright.sync_api import Page, expect

from tests.lab.test_text_checks import pdf
from tests.ui.served import Answer, Served, serving

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.console("400")]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("home")) as running:
        running.wait_usable()
        yield running


def upload(served: Served, name: str, data: bytes, role: str = "upload") -> Answer:
    headers = {"content-type": "application/octet-stream", "origin": served.url.rstrip("/")}
    return served.ask(
        f"/atelier/upload?{urlencode({'name': name, 'role': role})}", method="POST", headers=headers, body=data
    )


def word(text: str) -> bytes:
    document, kept = docx.Document(), io.BytesIO()
    document.add_paragraph(text)
    document.save(kept)
    return kept.getvalue()


def drop(page: Page, name: str, data: bytes, where: str = "body") -> None:
    page.evaluate(
        """([data, name, where]) => {
          const carried = new DataTransfer();
          carried.items.add(new File([new Uint8Array(data)], name));
          for (const kind of ['dragenter', 'dragover', 'drop']) {
            const how = { bubbles: true, cancelable: true, dataTransfer: carried };
            document.querySelector(where).dispatchEvent(new DragEvent(kind, how));
          }
        }""",
        [list(data), name, where],
    )


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("plain.txt", "Two lines\r\nof été".encode("cp1252"), "Two lines\nof été"),
        ("notes.md", b"# A night <b>at sea</b>\n", "# A night <b>at sea</b>"),
        ("letter.docx", word("Dear reader"), "Dear reader"),
        ("page.PDF", pdf("A page that was printed"), "A page that was printed"),
    ],
)
def test_a_text_is_kept_plain(name: str, data: bytes, text: str, served: Served) -> None:
    told = upload(served, name, data).json()
    assert told["media_type"] == "text/plain" and told["restored"] is None and told["name"] == name
    kept = served.ask(f"/atelier/files/{told['sha256']}").body.decode("utf-8")
    assert kept.strip() == text


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("table.xlsx", b"PK\x03\x04", "table.xlsx is no picture, score, sound, shape or text that is read here."),
        ("film.mkv", b"\x1aE\xdf\xa3", "TXT, MD, DOCX, PDF"),
        ("noname", b"\x00\x01", "noname is no picture"),
        ("dream.pth", b"\x80\x04.", "Give its path in Models"),
        ("empty.txt", b"", "empty"),
        ("blank.md", b" \n\n ", "blank.md holds no text."),
        ("cut.docx", b"PK\x03\x04 nothing", "not a Word document"),
        ("scan.pdf", b"%PDF-1.4 nothing more", "PDF"),
        ("long.txt", b"words " * 100_000, "At most 500,000"),
        ("cut.png", b"\x89PNG\r\n\x1a\n", "cut.png"),
    ],
)
def test_what_is_not_read_is_one_sentence(name: str, data: bytes, said: str, served: Served) -> None:
    answer = upload(served, name, data)
    told = answer.json()
    assert answer.status == 400 and said in f"{told['error']} {told['hint']}"


def test_a_field_for_pictures_takes_no_text(served: Served) -> None:
    answer = upload(served, "plain.txt", b"Two lines", role="init_image")
    assert answer.status == 400 and "not a picture" in answer.json()["error"]


def test_a_text_goes_into_the_notebook(page: Page, served: Served) -> None:
    page.goto(served.link)
    notebook = page.locator("#text-prompt textarea")
    page.locator("#image-go").wait_for(timeout=30_000)
    drop(page, "night.md", b"It was dark at sea.")  # on the Image panel it is kept and offered
    page.get_by_role("button", name="Put into the notebook").click(timeout=20_000)
    expect(notebook).to_have_value("It was dark at sea.", timeout=20_000)
    expect(page.locator("#text-mode input[value=write]")).to_be_checked()
    drop(page, "letter.docx", word("Dear reader"), "#text-board")  # what stands there is not written over
    expect(page.locator(".at-toast").last).to_contain_text("letter.docx is in the library.", timeout=20_000)
    expect(notebook).to_have_value("It was dark at sea.")
    notebook.fill("")
    drop(page, "page.pdf", pdf("A page"), "#text-board")
    expect(notebook).to_have_value("A page", timeout=20_000)
    expect(page.locator(".at-toast").last).to_contain_text("It stands in the notebook.")
    drop(page, "dream.safetensors", b"12345678", "#text-board")
    page.get_by_role("button", name="Open Models").click()
    expect(page.get_by_role("button", name="Use models of another program")).to_be_visible(timeout=20_000)
    page.goto("about:blank")
