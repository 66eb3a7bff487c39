"""Words under a melody: syllables, how they are laid, what becomes of them when notes change, and every format."""

from dataclasses import replace

import pytest
from music21 import converter

from studio.errors import InvalidInput
from studio.music.engrave import engrave
from studio.music.files import SCORE_FORMATS, read_score, write_score
from studio.music.lyrics import bars_for, carried, language_of, line_of, syllables_of, with_words
from studio.music.score import HELD, Note, Score, Track

GRACE = "Amazing grace! How sweet the sound\nthat saved a wretch like me!"


def song(count: int, length: int = 480) -> Score:
    """A voice of so many notes that rise and fall, and an organ."""
    notes = tuple(Note(length * k, length, 60 + (0, 2, 4, 5, 7, 5, 4, 2)[k % 8]) for k in range(count))
    end = -(-count * length // 1920) * 1920
    organ = Track("Organ", 19, False, tuple(Note(tick, 1920, 48) for tick in range(0, end, 1920)))
    return Score((Track("Voice", 52, False, notes), organ), end)


def words(score: Score) -> list[str]:
    return [text for _, text in score.tracks[0].lyrics]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Amazing water, over little tables", "A- maz- ing wa- ter, o- ver lit- tle ta- bles"),
        ("he loved and wanted the well-known roses", "he loved and want- ed the well- known ros- es"),
        ("Der Mond ist aufgegangen", "Der Mond ist auf- ge- gan- gen"),
        ("Au clair de la lune, mon ami Pierrot", "Au clair de la lu- ne, mon a- mi Pier- rot"),
        ("[Chorus]\n la la — la!\n\n(softly)", "la la la!"),
        ("さくら", "さ- く- ら"),
        ("12 + 5 !", ""),
    ],
)
def test_words_are_parted_into_syllables(text: str, parts: str) -> None:
    assert " ".join(part for line in syllables_of(text) for part in line) == parts


def test_the_language_is_known_by_its_small_words() -> None:
    assert [language_of(text) for text in (GRACE, "Der Mond ist auf", "la rose et la vie", "")] == [
        *("en_US", "de", "fr", "en_US")
    ]
    with pytest.raises(InvalidInput, match="characters"):
        syllables_of("la " * 9000)


def test_a_syllable_a_note_and_what_finds_none_is_said() -> None:
    score, said = with_words(song(14), GRACE)
    assert words(score) == [
        "A-",
        "maz-",
        "ing",
        "grace!",
        "How",
        "sweet",
        "the",
        "sound",
        *"that saved a wretch like me!".split(),
    ]
    assert not said and not score.tracks[1].lyrics
    score, said = with_words(song(6), GRACE)
    assert (
        words(score)[-1] == "sweet" and "14 syllables" in said and "6 notes" in said and "the sound that saved" in said
    )
    assert with_words(song(4), " ") == (song(4), "")


def test_where_notes_are_many_syllables_are_held_over_weak_ones() -> None:
    score, said = with_words(song(40, 240), GRACE)
    found = words(score)
    assert not said and len(found) == 40 and found[0] == "A-"
    assert [text for text in found if text != HELD] == [part for line in syllables_of(GRACE) for part in line]
    held = [tick for tick, text in score.tracks[0].lyrics if text == HELD]
    assert sum(tick % 480 > 0 for tick in held) > 0.5 * len(held), "off the beat"
    runs = "".join("_" if text == HELD else "x" for text in found)
    assert "_____" not in runs, "they come evenly"


def test_no_syllable_is_held_over_a_rest() -> None:
    notes = tuple(Note(tick, 240, 60) for tick in (0, 480, 960, 1440, 2880, 3360))
    score, _ = with_words(Score((Track("Voice", 52, False, notes),), 3840), "one two three")
    assert dict(score.tracks[0].lyrics)[2880] != HELD


@pytest.mark.parametrize("format", SCORE_FORMATS)
@pytest.mark.parametrize("count", [14, 31])
def test_words_pass_through_every_format(format: str, count: int) -> None:
    score, _ = with_words(song(count, 360), GRACE)
    again = read_score(write_score(score, format), f"song.{format}")
    assert again.tracks[0].lyrics == score.tracks[0].lyrics and words(again)


@pytest.mark.parametrize("format", SCORE_FORMATS)
def test_the_first_of_several_verses_is_kept(format: str) -> None:
    hymn = (
        "X:1\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|\nw:1.~Ho-ly is the first of ma-ny\nw:2.~An-y one\nCDEF|\nw:an-d here on\n"
    )
    score = read_score(hymn.encode(), "hymn.abc")
    assert words(score) == "1. Ho-|ly|is|the|first|of|ma-|ny|an-|d|here|on".split("|")
    assert read_score(write_score(score, format), format).tracks[0].lyrics == score.tracks[0].lyrics


def test_syllables_in_other_voices_keep_their_notes() -> None:
    """A note that begins while another sounds is in a second voice on paper."""
    notes = (Note(0, 1920, 60), Note(480, 480, 72), Note(960, 480, 74), Note(1920, 1920, 72))
    score, _ = with_words(Score((Track("Piano", 0, False, notes),), 3840), "a b c d")
    for format in SCORE_FORMATS:
        assert read_score(write_score(score, format), format).tracks[0].lyrics == score.tracks[0].lyrics, format


def test_music21_reads_the_words_and_verovio_draws_them() -> None:
    score, _ = with_words(song(20), GRACE)
    sheet = write_score(score, "musicxml").decode()
    notes = converter.parseData(sheet, format="musicxml").parts[0].flatten().notes
    told = [(lyric.syllabic, lyric.text) for note in notes for lyric in note.lyrics if lyric.text]
    assert told[:4] == [("begin", "A"), ("middle", "maz"), ("end", "ing"), ("single", "grace!")]
    page = "".join(engrave(score)["pages"])
    assert ">grace!<" in page and page.count('class="syl') == 14


def test_words_follow_notes_that_change() -> None:
    before, _ = with_words(song(14), GRACE)
    voice = before.tracks[0]
    moved = [note._replace(onset=note.onset + 120 * (k == 5)) for k, note in enumerate(voice.notes)]
    after, said = carried(before, replace(before, tracks=(replace(voice, notes=tuple(moved)), *before.tracks[1:])))
    assert (2520, "sweet") in after.tracks[0].lyrics and words(after) == words(before) and not said
    fewer = tuple(note for k, note in enumerate(voice.notes) if k not in (4, 5))
    after, said = carried(before, replace(before, tracks=(replace(voice, notes=fewer), *before.tracks[1:])))
    assert words(after) == words(before)[:12] and "like me!" in said
    more = (*voice.notes, Note(14 * 480, 480, 60), Note(15 * 480, 480, 62))
    after, said = carried(before, replace(before, tracks=(replace(voice, notes=more), *before.tracks[1:])))
    assert words(after) == words(before) and not said
    assert [note.onset for note in line_of(after.tracks[0])][:14] == [tick for tick, _ in after.tracks[0].lyrics]


def test_words_go_to_the_melody_where_their_track_is_gone() -> None:
    before, _ = with_words(song(14), GRACE)
    other = song(20)
    flute = replace(other.tracks[0], name="Flute", program=73)
    after, _ = carried(before, replace(other, tracks=(other.tracks[1], flute)[::-1]))
    assert after.tracks[0].lyrics and not after.tracks[1].lyrics
    assert carried(other, other) == (other, "")


def test_words_say_how_long_a_piece_wants_to_be() -> None:
    wanted = [bars_for(GRACE, (4, 4), 48), bars_for(GRACE * 4, (4, 4), 48), bars_for(GRACE * 40, (3, 4), 48)]
    assert wanted == [8, 20, 48]
