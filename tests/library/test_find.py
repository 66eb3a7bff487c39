import time
from typing import Any

import pytest

from studio.errors import InvalidInput
from studio.library.query import Query


def shas(page: Any) -> list[str]:
    return [a.sha256 for a in page.items]


class TestFind:
    def test_words_of_prompt_negative_prompt_tags_model_and_name(self, house: Any) -> None:
        job = house.job("a Red fox, in the snow", params={"negative_prompt": "blurry"})
        fox = house.take(job)
        house.library.tag(fox.sha256, ["winter"])
        owl = house.take(prompt="an owl", name="IMG_0042.png", seed=8231)
        found = {
            text: shas(house.library.find(Query(text=text)))
            for text in (
                "red fox",
                "fo",
                "BLURRY",
                "winter",
                "starter-image",
                "0042",
                "8231",
                "snow red",
                "foxes",
                "",
            )
        }
        assert [t for t, s in found.items() if s == [fox.sha256]] == [
            "red fox", "fo", "BLURRY", "winter", "starter-image", "snow red",
        ]  # fmt: skip
        assert found["0042"] == found["8231"] == [owl.sha256]
        assert found["foxes"] == [] and len(found[""]) == 2

    @pytest.mark.parametrize(
        ("prompt", "asked"),
        [
            ("a fox 🦊 at dusk", "🦊"),
            ("thumbs 👍🏽 up", "👍"),
            ("heart ❤️", "❤"),
            ("שלום עולם", "עולם"),
            ("שָׁלוֹם", "שלום"),
            ("مدينة في الصحراء", "الصح"),
            ("雪地里的红狐狸", "红狐"),
            ("東京の夜景", "夜景"),
            ("crème brûlée", "creme BRULEE"),
            ("हिन्दी कविता", "कवि"),
            ("straße", "STRASSE"),
            ("x " * 50_000 + "needle", "needle "),
            ('the "old" house', '"old"'),
            ("it's NOT near", "NOT near"),
            ("ｆｕｌｌ width", "full"),
        ],
    )
    def test_every_script_is_found(self, house: Any, prompt: str, asked: str) -> None:
        kept = house.take(prompt=prompt)
        house.take(prompt="something else")
        page = house.library.find(Query(text=asked))
        expected = [] if asked == "needle " else [kept.sha256]  # beyond the words that are kept of one artifact
        assert shas(page) == expected

    @pytest.mark.parametrize(
        "text",
        ['"', "'", "*", "a*", "NEAR(a b)", "a AND", "OR", "-a", "prompt:x", "(", "^a", "{a}",
         "\x00", "\ud800", "a\"b",
         "🦊" * 30_000, "word " * 20_000, "x" * 100_000, "%", "_", "\u202e\u200f", "+", "a\nb"],
    )  # fmt: skip
    def test_no_text_breaks_the_search(self, house: Any, text: str) -> None:
        house.take(prompt="a plain one")
        started = time.perf_counter()
        page = house.library.find(Query(text=text))
        assert page.total in (0, 1)
        assert time.perf_counter() - started < 2

    def test_a_whole_long_prompt_finds_itself(self, house: Any) -> None:
        prompt = " ".join(f"word{n}" for n in range(15_000))
        kept = house.take(prompt=prompt)
        assert len(prompt) > 100_000
        assert shas(house.library.find(Query(text=prompt))) == [kept.sha256]

    def test_filters_hold_together(self, house: Any) -> None:
        library = house.library
        fox = house.take(house.job("fox", model="big", task="inpaint"))
        text = library.keep(house.text("a poem"), media_type="text/plain", meta={"name": "poem", "task": "write"})
        library.star(fox.sha256, True)
        library.tag(fox.sha256, ["Winter", "night sky"])
        library.tag(text.sha256, ["winter"])
        for query, expected in (
            (Query(media=("image",)), [fox]),
            (Query(media=("text/plain",)), [text]),
            (Query(media=("image", "text")), [text, fox]),
            (Query(media=("ima",)), []),
            (Query(starred=True), [fox]),
            (Query(starred=False), [text]),
            (Query(tags=("winter",)), [text, fox]),
            (Query(tags=("WINTER", "night  sky")), [fox]),
            (Query(model="big"), [fox]),
            (Query(task="write"), [text]),
            (Query(after=fox.created), [text, fox]),
            (Query(after=text.created + 1), []),
            (Query(before=text.created), [fox]),
            (Query(text="fox", media=("text",)), []),
            (
                Query(text="fox", media=("image",), starred=True, tags=("winter",), model="big", task="inpaint"),
                [fox],
            ),
        ):
            page = library.find(query)
            assert (list(page.items), page.total) == (
                [library.artifact(a.sha256) for a in expected],
                len(expected),
            ), query

    def test_pages_cover_everything_once_in_every_order(self, house: Any) -> None:
        kept = [house.take() for _ in range(11)]
        house.library.star(kept[3].sha256, True)
        for sort in ("newest", "oldest", "starred"):
            pages = [house.library.find(Query(sort=sort, offset=n, limit=4)) for n in (0, 4, 8, 12)]
            seen = [s for page in pages for s in shas(page)]
            assert sorted(seen) == sorted(a.sha256 for a in kept)
            assert {page.total for page in pages} == {11}
            if sort == "starred":
                assert seen[0] == kept[3].sha256
            else:
                assert seen == [a.sha256 for a in (kept if sort == "oldest" else kept[::-1])]
        with pytest.raises(InvalidInput, match="'size'"):
            house.library.find(Query(sort="size"))
