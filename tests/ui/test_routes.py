"""Our own routes, by raw HTTP: files by their hash and inert, actions and uploads that answer in sentences."""

import urllib.parse
from collections.abc import Iterator

import pytest

from tests.ui.served import Served, furnish, keep_file, serving

JSON = "application/json"
BYTES = "application/octet-stream"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("routed") / "home"
    furnish(home, [{"prompt": "a red fox"}, {"prompt": "a blue fox", "parent": 0}])
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>"
    keep_file(home, "page.html", b"<script>document.title = 'run'</script>", "text/html")
    keep_file(home, "drawing.svg", svg, "image/svg+xml")
    with serving(home) as running:
        running.wait_usable()
        yield running


def works(served: Served) -> dict[str, str]:
    """Hashes by the kind of file."""
    return {item["media_type"]: item["sha256"] for item in served.ask("/atelier/find").json()["items"]}


def test_html_and_svg_are_handed_over_inert(served: Served) -> None:
    for kind in ("text/html", "image/svg+xml"):
        answer = served.ask(f"/atelier/files/{works(served)[kind]}")
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("application/octet-stream")
        assert answer.headers["content-disposition"].startswith("attachment")
        assert "sandbox" in answer.headers["content-security-policy"]
        assert "script-src" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_pictures_are_shown_where_they_stand_and_kept_for_ever(served: Served) -> None:
    picture = works(served)["image/png"]
    answer = served.ask(f"/atelier/files/{picture}")
    assert answer.status == 200 and answer.body.startswith(b"\x89PNG")
    assert answer.headers["content-disposition"].startswith("inline")
    assert "immutable" in answer.headers["cache-control"]
    again = served.ask(f"/atelier/files/{picture}", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status == 304
    part = served.ask(f"/atelier/files/{picture}", headers={"Range": "bytes=0-7"})
    assert (part.status, part.body) == (206, answer.body[:8])
    taken = served.ask(f"/atelier/files/{picture}?download=1")
    assert taken.headers["content-disposition"].startswith('attachment; filename="a-')
    assert served.ask(f"/atelier/thumbs/{picture}").headers["content-type"] == "image/webp"


def test_actions_want_json_and_answer_in_sentences(served: Served) -> None:
    plain = served.ask("/atelier/act", method="POST", headers={"Content-Type": "text/plain"}, body=b'{"action":"undo"}')
    assert plain.status == 415
    for given in (
        {"action": "explode"},
        {"action": "star"},
        {"action": "tag", "sha256": "x", "tags": 3},
        {},
        ["star"],
    ):
        answer = served.post("/atelier/act", given)
        assert answer.status in (400, 404), given
        assert answer.json()["error"].endswith("."), answer.body
    assert served.ask("/atelier/act", method="POST", headers={"Content-Type": JSON}, body=b"{").status == 400
    assert served.post("/atelier/act", {"action": "star", "sha256": "0" * 64}).status == 404


@pytest.mark.parametrize(
    ("name", "data"),
    [("empty.png", b""), ("text.png", b"not a picture"), ("cut.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 40)],
)
def test_bad_uploads_end_in_one_sentence(served: Served, name: str, data: bytes) -> None:
    before = served.ask("/atelier/find").json()["total"]
    answer = served.ask(
        f"/atelier/upload?name={name}",
        method="POST",
        headers={"Content-Type": "application/octet-stream", "Content-Length": str(len(data))},
        body=data,
    )
    assert answer.status == 400
    assert name in answer.json()["error"] and answer.json()["hint"]
    assert served.ask("/atelier/find").json()["total"] == before
    assert list((served.home / "cache" / "uploads").iterdir()) == []


def test_an_upload_comes_back_with_its_settings(served: Served) -> None:
    picture = works(served)["image/png"]
    data = served.ask(f"/atelier/files/{picture}").body
    name = urllib.parse.quote("../../a fox.png")
    answer = served.ask(
        f"/atelier/upload?name={name}",
        method="POST",
        headers={"Content-Type": "application/octet-stream"},
        body=data,
    )
    assert answer.status == 200
    told = answer.json()
    assert told["name"] == "a fox.png" and told["media_type"] == "image/png" and told["restored"] is None


def test_a_blind_choice_is_kept_until_it_is_taken_back(served: Served) -> None:
    picture = works(served)["image/png"]
    blind = {"seed": 3, "order": [picture]}
    assert served.post("/atelier/act", {"action": "pick", "sha256": picture, "blind": blind}).status == 200
    told = served.ask(f"/atelier/artifact/{picture}").json()
    assert told["picked"] and told["blind"]
    assert served.post("/atelier/act", {"action": "pick", "sha256": picture, "on": False}).status == 200
    told = served.ask(f"/atelier/artifact/{picture}").json()
    assert not told["picked"] and not told["blind"]


def test_the_ancestry_says_what_changed(served: Served) -> None:
    items = {i["prompt"]: i["sha256"] for i in served.ask("/atelier/find").json()["items"]}
    told = served.ask(f"/atelier/lineage/{items['a blue fox']}").json()
    parent, child = sorted(told["nodes"], key=lambda node: node["depth"])
    assert (parent["sha256"], child["parents"]) == (items["a red fox"], [items["a red fox"]])
    assert child["changed"]["prompt"] == [["same", "a "], ["del", "red"], ["add", "blue"], ["same", " fox"]]
    assert child["changed"]["settings"] == {"num_inference_steps": [20, 21]}
    assert told["labels"] == {"num_inference_steps": "Steps"}


def test_what_can_be_filtered_by(served: Served) -> None:
    told = served.ask("/atelier/facets").json()
    assert set(told) == {"tags", "models", "trash"} and told["trash"] == 0


@pytest.mark.parametrize(
    "asked",
    ["offset=x", "limit=x", "after=nan", "sort=sideways", "after=1e999", "offset=-5", "offset=nan", "limit=inf"],
)
def test_a_nonsense_query_is_answered_in_a_sentence(served: Served, asked: str) -> None:
    answer = served.ask(f"/atelier/find?{asked}")
    assert answer.status in (200, 400), answer.body
    assert "items" in answer.json() or answer.json()["error"].endswith(".")


def test_what_is_not_there_is_said(served: Served) -> None:
    for path in ("files", "thumbs", "lineage", "artifact"):
        answer = served.ask(f"/atelier/{path}/{'0' * 64}")
        assert answer.status == 404 and answer.json()["error"], path
    assert served.ask("/atelier/previews/nothing/0").status == 204
    assert served.ask("/atelier/nothing").status == 404
    assert served.post("/atelier/export", {"shas": ["0" * 64]}).status == 404
    assert served.post("/atelier/act", {"action": "cancel", "job": "nothing"}).status == 404


def test_downloads_carry_the_marks_that_were_switched_on(served: Served) -> None:
    picture = works(served)["image/png"]
    kept = served.ask(f"/atelier/files/{picture}").body
    assert served.ask(f"/atelier/files/{picture}?download=1").body == kept
    on = served.post("/atelier/origin/choose", {"watermark": True, "credentials": True}).json()
    assert on["watermark"] and on["credentials"] and on["can_sign"]
    try:
        taken = served.ask(f"/atelier/files/{picture}?download=1")
        assert taken.body != kept and taken.headers["cache-control"] == "no-store"
        assert served.ask(f"/atelier/files/{picture}").body == kept
        looked = {}
        for name, data in (("taken.png", taken.body), ("kept.png", kept)):
            asked = {"Content-Type": BYTES}
            path = f"/atelier/origin/look?name={name}"
            looked[name] = served.ask(path, method="POST", headers=asked, body=data).json()
        assert looked["taken.png"]["has_watermark"] and looked["taken.png"]["credentials"]["unchanged"]
        assert not looked["kept.png"]["has_watermark"] and looked["kept.png"]["credentials"] is None
    finally:
        off = served.post("/atelier/origin/choose", {"watermark": False, "credentials": False}).json()
    assert not off["watermark"] and not off["credentials"]
