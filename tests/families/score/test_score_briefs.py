"""What the words of a brief say, and who plays what."""

import pytest

from studio.errors import InvalidInput
from studio.families.score.briefs import read_brief, unmet, unread
from studio.families.score.decoding import chance_of
from studio.families.score.instruments import programs_of, voices_for
from studio.families.score.piece import BASS, CHORDS, DRUMS, MELODY
from studio.families.score.wishes import asked, key_name, key_of, settled


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "a sad slow waltz in D minor with cello and piano, 16 bars",
            {"style": "waltz", "key": "Dm", "tempo": 106.0, "bars": 16, "instruments": "cello, piano"},
        ),
        ("something happy", {"mode": "major"}),
        ("not too sad, in G", {"key": "G"}),
        ("12-bar blues in E with sax, drums", {"style": "blues", "key": "E", "bars": 12, "instruments": "sax, drums"}),
        ("lo-fi beats for studying, 80 bpm", {"style": "lo-fi", "tempo": 80.0}),
        ("a march in F# major, twenty-four bars, 2/4", {"style": "march", "key": "F#", "bars": 24, "metre": "2/4"}),
        ("a romantic waltz", {"style": "waltz"}),
        ("a nocturne in c-sharp minor", {"style": "piano", "key": "C#m"}),
        ("a piece in a minor key", {"mode": "minor"}),
        ("song in Eb, andante, for flute", {"style": "lied", "key": "Eb", "tempo": 78.0, "instruments": "flute"}),
        ("two violins and a cello, sparse", {"instruments": "violin, violin, cello", "density": "sparse"}),
        ("techno in Am, very fast", {"style": "house", "key": "Am", "tempo": 186.0}),
        ("", {}),
    ],
)  # fmt: skip
def test_words(words: str, said: dict) -> None:
    assert read_brief(words) == said


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ("a jig and a reel", "style"),
        ("in D minor and in C major", "key"),
        ("slow and fast", "tempo"),
        ("500 bars", "bars"),
        ("0 bars", "bars"),
        ("8 bars, 16 bars", "bars"),
        ("in 3/4 and 4/4", "metre"),
        ("at 900 bpm", "tempo"),
    ],
)
def test_words_that_cannot_be_met_name_their_field(words: str, field: str) -> None:
    with pytest.raises(InvalidInput) as told:
        read_brief(words)
    assert told.value.field == field


def test_the_nearest_metre_is_taken_and_said() -> None:
    assert read_brief("a dance in 7/8") == {"metre": "6/8"} and "6/8 is the nearest" in unmet("a dance in 7/8")[0]
    one = asked({}, "a jig in 4/4 with drums", chance_of(1))
    assert one.wish.metre == (4, 4) and len(one.warnings) == 2, "neither this metre nor drums are known of jigs"


def test_settings_go_before_words() -> None:
    found = settled({"style": "jig", "bars": 8, "key": ""}, "a slow waltz in D minor, 16 bars")
    assert (found["style"], found["bars"], found["key"]) == ("jig", 8, "Dm")
    assert found["tempo"] == 115.0, "slow for a jig"
    one = asked({"style": "jig", "key": "Gb"}, "16 bars", chance_of(3))
    assert (one.key, one.wish.tonic, one.setting.metre, one.setting.tempo) == ("Gb", 6, (6, 8), 174)


def test_keys_have_their_spelling() -> None:
    names = "C Db D Eb E F F# Gb G Ab A Bb B Cb C# Am Bbm Bm Cm C#m Dm D#m Ebm Em Fm F#m Gm G#m".split()
    for name in names:
        tonic, mode, fifths = key_of(name)
        assert key_name(fifths, mode) == name and -7 <= fifths <= 7 and 0 <= tonic < 12
    assert key_of("A#m")[2] == 7 and key_of("G#")[2] == -4, "a key that nobody writes is written as its twin"


@pytest.mark.parametrize(
    ("words", "style", "played"),
    [
        ("cello, piano", "hymn", [(MELODY, 42), (CHORDS, 0), (BASS, 0)]),
        ("cello, piano", "waltz", [(MELODY, 42), (CHORDS, 0)]),
        ("piano", "hymn", [(MELODY, 0), (CHORDS, 0), (BASS, 0)]),
        ("flute", "waltz", [(MELODY, 73)]),
        ("string quartet", "hymn", [(MELODY, 40), (CHORDS, 40), (CHORDS, 41), (BASS, 42)]),
        ("bass, sax, drums, piano", "blues", [(MELODY, 65), (CHORDS, 0), (BASS, 33), (DRUMS, 0)]),
        ("violin, cello", "hymn", [(MELODY, 40), (BASS, 42)]),
        ("violin, piano, cello", "waltz", [(MELODY, 40), (CHORDS, 0), (CHORDS, 42)]),
        ("", "lo-fi", [(MELODY, 11), (CHORDS, 4), (BASS, 33), (DRUMS, 0)]),
    ],
)
def test_who_plays_what(words: str, style: str, played: list) -> None:
    voices, warnings = voices_for(programs_of(words), style)
    assert [(voice.part, voice.program) for voice in voices] == played and not warnings


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("a sad slow waltz in D minor for cello and piano, 16 bars", []),
        ("a song about my grandmother's garden in spring", ["grandmother's", "garden", "spring"]),
        ("not too fast, 6/8, 120 bpm, no drums", []),
        ("jazz with two violins, très joyeux", ["jazz", "très", "joyeux"]),
        ("", []),
    ],
)
def test_words_that_nothing_is_taken_from_are_named(words: str, left: list[str]) -> None:
    assert unread(words) == left
    assert [sentence for sentence in unmet(words) if "Nothing was taken" in sentence] == (
        [f"Nothing was taken from the words: {', '.join(left)}."] if left else []
    )


def test_what_a_brief_does_not_want_is_not_played() -> None:
    assert read_brief("a march for trumpet, no drums")["instruments"] == "trumpet"
    assert "instruments" not in read_brief("lo-fi without a piano")
    assert read_brief("an epic orchestral battle")["instruments"] == "violin, oboe, horn, cello"
