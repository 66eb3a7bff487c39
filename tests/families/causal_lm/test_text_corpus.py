"""Books, briefs, keywords and packed rows."""

import random
from pathlib import Path

import numpy as np
import pytest

from studio.errors import InvalidInput
from studio.families.causal_lm.books import Record, hold_out, read_books, read_functions
from studio.families.causal_lm.briefs import Brief
from studio.families.causal_lm.corpus import Piece, cut, learn_keywords, pack, pieces_of
from studio.families.causal_lm.keywords import Keywords
from studio.families.causal_lm.tokenizer import train_tokenizer
from tests.families.causal_lm.tiny_books import write_books


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    return read_books(write_books(tmp_path_factory.mktemp("books")))


def test_brief_is_what_a_person_would_write() -> None:
    brief = Brief("poem", "everyone", "", ("sea", "lighthouse"), "The\nKeeper")
    assert brief.lines() == (
        "<|brief|>genre: poem\nfor: everyone\nkeywords: sea, lighthouse\ntitle: The Keeper<|text|>"
    )
    assert Brief().lines() == "<|brief|><|text|>"


def test_whole_books_are_held_out(records: list[Record]) -> None:
    train, held = hold_out(records, 0.1, seed=1)
    assert not {(r.genre, r.book) for r in train} & {(r.genre, r.book) for r in held}
    for genre in ("story", "poem", "play", "essay", "letter"):
        share = sum(len(r.text) for r in held if r.genre == genre) / sum(
            len(r.text) for r in records if r.genre == genre
        )
        assert 0.04 < share < 0.17, genre
    assert hold_out(records, 0.1, seed=1)[1] == held


def test_the_end_of_an_only_book_is_held_out() -> None:
    diary = [Record("letter", "P.", "Diary", f"Day {i}", False, f"Entry {i}. " * 20) for i in range(40)]
    train, held = hold_out(diary, 0.1, seed=1)
    assert {record.title for record in held} == {"Day 36", "Day 37", "Day 38", "Day 39"}
    assert len(train) == 36


def test_a_passage_of_a_held_out_book_leaves_training() -> None:
    tale = " ".join(f"word{i}" for i in range(60))
    others = [Record("story", "B", f"book {i}", "t", False, f"other {i} " * 300) for i in range(20)]
    records = [Record("story", "A", f"twin {i}", "t", False, tale * 5) for i in range(2)] + others
    for seed in range(20):
        train, held = hold_out(records, 0.1, seed)
        twins = [record for record in held if record.author == "A"]
        if twins:
            assert not [record for record in train if record.author == "A"]
            return
    pytest.fail("no seed held a twin out")


def test_functions_lose_docstring_and_comments(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(
        'class A:\n    def size_of(self, path):\n        """Return the size. In bytes."""\n'
        "        # ask the system\n        return path.stat().st_size + self.extra_size_of_the_header\n",
        "utf-8",
    )
    (tmp_path / "broken.py").write_text("def (:", "utf-8")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "a.py").write_text(
        "def longer_than_sixty_characters(a, b):\n    return a * b * 1000000", "utf-8"
    )
    (only,) = read_functions(tmp_path)
    assert only.title == "Return the size"
    assert only.text == "def size_of(self, path):\n    return path.stat().st_size + self.extra_size_of_the_header"


def test_a_folder_without_books_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no \*\.jsonl\.xz"):
        read_books(tmp_path)


def test_keywords_are_nouns_that_are_rare_elsewhere() -> None:
    texts = ["He went quickly to the lighthouse by the sea and slept."] * 2 + [
        "He went on and on, and then he slept."
    ] * 98
    known = Keywords.learn(texts, [])
    assert known.of("The lighthouse stood by the sea, and quickly he slept.", "story") == ("lighthouse", "sea")


def test_rows_hold_every_piece_and_learn_no_control_line(records: list[Record]) -> None:
    tokenizer = train_tokenizer((record.text for record in records), 400, 128)
    pieces = list(pieces_of(records, tokenizer, learn_keywords(records)))
    rows = pack(pieces, tokenizer, {}, random.Random(0))
    assert rows.tokens.shape[1] == 129
    brief, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    assert (rows.tokens == brief).sum() == len(pieces)
    text = "".join(tokenizer.batch_decode([row[kept] for row, kept in zip(rows.tokens, rows.learned, strict=True)]))
    assert sorted(text.split("<|end|>")[:-1]) == sorted(piece.text for piece in pieces)
    assert rows.learned[rows.tokens == end].all()
    assert (rows.tokens == tokenizer.pad_token_id).mean() < 0.35
    again = pack(pieces, tokenizer, {}, random.Random(0))
    assert np.array_equal(rows.tokens, again.tokens)


def test_long_texts_are_cut_between_paragraphs() -> None:
    paragraphs = [f"Paragraph {i} says a little more than the last. " * 3 for i in range(12)]
    record = Record("essay", "A", "B", "T", False, "\n\n".join(text.strip() for text in paragraphs))
    tokenizer = train_tokenizer([record.text], 300, 200)
    parts = cut(record, tokenizer, 100)
    assert "\n\n".join(parts) == record.text
    assert all(len(tokenizer(part).input_ids) <= 104 for part in parts)
    pieces = list(pieces_of([record], tokenizer, Keywords({}, {})))
    assert [piece.brief.part for piece in pieces][:2] == ["beginning", "middle"]
    assert pieces[-1].brief.part == "end"
    (line,) = cut(Record("poem", "A", "B", "T", False, "short"), tokenizer, 100)
    assert Piece(Brief("poem"), line).text == "short"
