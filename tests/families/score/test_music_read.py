"""Files that the tests write, read back as notes in whole bars."""

import tarfile
from fractions import Fraction
from pathlib import Path

import pytest

from studio.errors import InvalidInput
from studio.families.score.corpus import load_pieces, read_file, read_folder, save_pieces
from studio.families.score.piece import BASS, CHORDS, MELODY
from studio.families.score.read_abc import read_abc
from studio.families.score.read_kern import length_of, pitch_of, read_kern
from studio.families.score.read_score import pace
from tests.families.score.tiny_tunes import KERN, hymn, musicxml, write_tunes


def abc(music: str, key: str = "C", unit: str = "1/4") -> list[tuple[float, float, int]]:
    measured = read_abc(f"X:1\nM:4/4\nL:{unit}\nK:{key}\n{music}\n")
    return [(float(onset), float(length), int(pitch)) for onset, length, pitch, _ in measured.notes]


def test_abc_lengths_and_octaves() -> None:
    assert abc("C,2 c'/2 z/ _B3/4|") == [(0, 2, 48), (2, 0.5, 84), (3, 0.75, 70)]


def test_abc_key_and_accidentals_end_with_the_bar() -> None:
    assert [note[2] for note in abc("F ^G G | G F c", "D")] == [66, 68, 68, 67, 66, 73]
    assert [note[2] for note in abc("B E A", "Cm")] == [70, 63, 68]
    assert [note[2] for note in abc("F C", "Ador")] == [66, 60]


def test_abc_ties_tuplets_and_broken_rhythm() -> None:
    assert abc("C2- | C D")[:2] == [(0, 3, 60), (3, 1, 62)]
    assert abc("(3CDE F")[3] == (2, 1, 65)
    assert abc("C>D E<F") == [(0, 1.5, 60), (1.5, 0.5, 62), (2, 0.5, 64), (2.5, 1.5, 65)]
    assert abc("[CE]2 G") == [(0, 2, 60), (0, 2, 64), (2, 1, 67)]


def test_abc_passes_over_words_and_decorations() -> None:
    assert [note[2] for note in abc('"Am"C !fermata!D {e}E\nw: la la la')] == [60, 62, 64]


def test_abc_without_notes_says_so() -> None:
    with pytest.raises(InvalidInput, match="no notes"):
        read_abc("X:1\nK:C\n")


def test_abc_voices_keep_their_order_whatever_stands_between() -> None:
    head = "X:1\nM:4/4\nL:1/4\nV:S\nV:A\nV:B clef=bass\nK:C\n\n% the music\n"
    notes = read_abc(f"{head}[V:S] c4|\n[V:A] E4|\n[V:B] C,4|\n").notes
    assert [(int(pitch), int(part)) for _, _, pitch, part in notes] == [(72, MELODY), (64, CHORDS), (48, BASS)]


def test_a_hymn_has_parts_key_tempo_and_a_pickup(tmp_path: Path) -> None:
    (tmp_path / "a.abc").write_text(hymn(1), "utf-8")
    (piece,) = read_file(tmp_path / "a.abc")
    assert (piece.metre, piece.bars, piece.style, piece.tempo) == ((4, 4), 9, "hymn", 96)
    assert set(piece.notes[:, 3]) == {MELODY, CHORDS, BASS}
    assert piece.notes[0, 0] == 72, "the pickup is the last quarter of the first bar"
    assert piece.opens and piece.closes


def test_kern_words() -> None:
    assert [pitch_of(text) for text in ("4c", "8CC#", "2.ee-", "16bn", "4r")] == [60, 37, 75, 71, None]
    lengths = [length_of(text) for text in ("4c", "8.d", "0e", "3%2f", "12g", ".")]
    assert lengths == [1, Fraction(3, 4), 8, Fraction(8, 3), Fraction(1, 3), None]


def test_kern_staves_ties_chords_triplets_and_split_spines() -> None:
    kern = read_kern(KERN)
    assert kern.bars[:3] == [0, 3, 6]
    assert kern.metres[0] == (3, 4)
    upper = kern.staves[2]
    assert (0.0, 2.5, 69) in upper, "the tied a"
    assert (0.0, 2.0, 72) in upper
    assert (3.0, 3.0, 65) in upper, "the second voice of the split spine"
    assert not [note for note in upper if note[2] == 74 and note[0] > 3.5], "the grace note"
    assert len([note for note in upper if note[1] == pytest.approx(1 / 3)]) == 3


def test_styles_come_from_title_and_staves(tmp_path: Path) -> None:
    (tmp_path / "a.krn").write_text(KERN, "utf-8")
    (tmp_path / "b.musicxml").write_text(musicxml(), "utf-8")
    (mazurka,), (song,) = read_file(tmp_path / "a.krn"), read_file(tmp_path / "b.musicxml")
    assert (mazurka.style, mazurka.bars, mazurka.tempo) == ("mazurka", 4, 108)
    assert (song.style, song.bars, song.metre) == ("lied", 6, (3, 4))
    assert song.notes[:4, [0, 2, 3]].tolist() == [[0, 74, MELODY], [0, 60, CHORDS], [0, 67, CHORDS], [0, 48, BASS]]


def test_what_does_not_fit_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.krn").write_text("**kern\n4c\n*-\n", "utf-8")
    (tmp_path / "b.mxl").write_bytes(b"no zip")
    for name in ("a.krn", "b.mxl"):
        with pytest.raises(InvalidInput, match=name):
            read_file(tmp_path / name)


def test_a_folder_is_read_with_its_archives(tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.mkdir()
    write_tunes(loose)
    packed = tmp_path / "packed"
    packed.mkdir()
    with tarfile.open(packed / "tunes.tar.xz", "w:xz") as tar:
        for path in sorted(loose.iterdir()):
            tar.add(path, path.name)
    pieces, told = read_folder(loose)
    again, _ = read_folder(packed)
    assert told == {"read": 10, "refused": 1}
    save_pieces(tmp_path / "pieces.npz", again)
    for one, other in zip(pieces, load_pieces(tmp_path / "pieces.npz"), strict=True):
        assert (one.notes == other.notes).all()
        assert (one.metre, one.style, one.work, one.closes) == (other.metre, other.style, other.work, other.closes)


@pytest.mark.parametrize(("words", "tempo"), [("Andantino mosso", 84), ("Andante", 76), ("Presto", 160), ("", 0)])
def test_words_suggest_a_tempo(words: str, tempo: int) -> None:
    assert pace(words) == tempo
