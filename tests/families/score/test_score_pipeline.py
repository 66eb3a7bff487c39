"""Every task of the family on a tiny model: takes repeat, bars add up, what is not to change stays to the tick."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from studio.errors import Cancelled, InvalidInput, ModelError
from studio.families import family
from studio.families.score.arrangement import melody_on_top
from studio.families.score.check_pieces import check, uneven_bars
from studio.families.score.generate import generate
from studio.families.score.grammar import Written
from studio.families.score.piece import BASS, CHORDS, MELODY
from studio.families.score.pipeline import ScorePipeline, load
from studio.families.score.wishes import Wish
from studio.music import files
from studio.music.instruments import instrument
from studio.music.score import Note, Score, Track
from tests.families.score.tiny_scores import CPU, Desk, asked, tune, write_model, write_score


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ScorePipeline:
    return load(write_model(tmp_path_factory.mktemp("tiny"), context=160), CPU)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_score(tmp_path / "source.mid", tune(8))


def outside(score: Score, first: int, last: int) -> list[tuple[str, Note]]:
    """The notes of the tune's tracks that begin in no bar from `first` to `last`, from 1."""
    inside = range((first - 1) * 1920, last * 1920)
    return [(track.name, note) for track in score.tracks[:3] for note in track.notes if note.onset not in inside]


def sound_right(score: Score) -> None:
    for track in score.tracks:
        player = instrument(track.program)
        for note in track.notes:
            assert note.onset + note.duration <= score.length
            assert track.drums or player.lowest <= note.pitch <= player.highest, (track.name, note)


def test_a_brief_becomes_takes_with_all_that_it_says(tiny: ScorePipeline, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    words = "a sad slow waltz in F# minor with cello and piano, 4 bars"
    tiny.run(asked("text_to_score", words, density="sparse"), desk)
    assert [meta["seed"] for _, meta in desk.takes] == [5, 6] and not desk.warnings
    for score, (_, meta) in zip(desk.scores, desk.takes, strict=True):
        assert (score.bars, score.metre_at(0), score.key_at(0)) == (4, (3, 4), (3, "minor"))
        assert round(score.tempi[0][1]) == 106 == meta["tempo"]
        assert {track.program for track in score.tracks} == {42, 0}
        assert (meta["style"], meta["key"], meta["metre"], meta["bars"]) == ("waltz", "F#m", "3/4", 4)
        assert meta["instruments"] == ["Cello", "Acoustic Grand Piano"]
        sound_right(score)
    assert desk.steps[-1] == (8, 8) and desk.steps == sorted(desk.steps)
    assert all(Score.from_json(json.loads(data)).notes >= 0 for data in desk.previews)


def test_a_take_alone_is_the_take_in_its_batch(tiny: ScorePipeline, source: Path, tmp_path: Path) -> None:
    cases: dict[str, dict[str, Any]] = {"text_to_score": {"bars": 2}, "vary_score": {"from_bar": 2, "to_bar": 2}}
    for task, params in cases.items():
        together, again, alone = (Desk(tmp_path, source=source) for _ in range(3))
        tiny.run(asked(task, "a lo-fi piece", seed=5, num_return_sequences=3, **params), together)
        tiny.run(asked(task, "a lo-fi piece", seed=5, num_return_sequences=3, **params), again)
        tiny.run(asked(task, "a lo-fi piece", seed=7, num_return_sequences=1, **params), alone)
        assert [data for data, _ in together.takes] == [data for data, _ in again.takes]
        assert together.takes[2][0] == alone.takes[0][0]
        assert len({data for data, _ in together.takes}) == 3


def test_a_full_context_moves_on(tiny: ScorePipeline, tmp_path: Path) -> None:
    desk, alone = Desk(tmp_path), Desk(tmp_path)
    tiny.run(asked("text_to_score", "a hymn", bars=12), desk)
    tiny.run(asked("text_to_score", "a hymn", seed=6, bars=12, num_return_sequences=1), alone)
    assert [score.bars for score in desk.scores] == [12, 12]
    assert min(score.notes for score in desk.scores) + 9 + 3 * 12 > 160, "more than the context holds"
    assert desk.takes[1][0] == alone.takes[0][0]


def test_a_piece_that_has_ended_does_not_hold_up_longer_ones(tiny: ScorePipeline) -> None:
    wishes = [Wish("hymn", bars) for bars in (1, 6, 6, 6, 6)]
    made = generate(tiny.model, tiny.vocabulary, wishes, seed=3)
    assert [tiny.vocabulary.decode(tokens).bars for tokens in made] == [1, 6, 6, 6, 6]
    assert max(map(len, made)) > 160 > len(made[0]), "the context was full when one had ended"


def test_stop_keeps_whole_bars(tiny: ScorePipeline, source: Path, tmp_path: Path) -> None:
    cases: dict[str, dict[str, Any]] = {"text_to_score": {"bars": 30}, "vary_score": {"strength": 1.0}}
    for task, params in cases.items():
        desk = Desk(tmp_path, stop_after=150, source=source)
        with pytest.raises(Cancelled):
            tiny.run(asked(task, "a jig", **params), desk)
        assert desk.takes
        for score, (_, meta) in zip(desk.scores, desk.takes, strict=True):
            assert meta["bars"] == score.bars and score.length % score.bar_starts[-1 if score.bars == 1 else 1] == 0
            assert score.bars < 30


def test_a_source_goes_on(tiny: ScorePipeline, source: Path, tmp_path: Path) -> None:
    desk = Desk(tmp_path, source=source)
    tiny.run(asked("continue_score", bars=3), desk)
    for score, (_, meta) in zip(desk.scores, desk.takes, strict=True):
        assert score.bars == 11 and (meta["new_from"], meta["new_to"]) == (9, 11)
        assert outside(score, 9, 11) == outside(tune(8), 9, 11) and score.tempi == tune().tempi
        assert [track.program for track in score.tracks] == [73, 46, 32] and score.notes > tune(8).notes
        sound_right(score)


@pytest.mark.parametrize("task", ["fill_score", "vary_score"])
def test_bars_that_are_not_asked_for_stay_to_the_tick(
    task: str, tiny: ScorePipeline, source: Path, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, source=source)
    tiny.run(asked(task, from_bar=3, to_bar=4), desk)
    for score, (_, meta) in zip(desk.scores, desk.takes, strict=True):
        assert outside(score, 3, 4) == outside(tune(8), 3, 4)
        assert (score.length, score.tempi) == (tune(8).length, tune().tempi)
        assert (meta["new_from"], meta["new_to"]) == (3, 4)
        assert score.tracks != tune(8).tracks


def test_strength_decides_how_much_stays(tiny: ScorePipeline, source: Path, tmp_path: Path) -> None:
    stays = []
    for strength in (0.0, 0.4, 1.0):
        desk = Desk(tmp_path, source=source)
        tiny.run(asked("vary_score", from_bar=1, to_bar=2, strength=strength, num_return_sequences=1), desk)
        before, after = (
            {(i, *note) for i, track in enumerate(score.tracks) for note in track.notes if note.onset < 2 * 1920}
            for score in (tune(8), desk.scores[0])
        )
        stays.append(len(before & after) / len(before))
    assert stays[0] == 1.0 > stays[1] > 0.3 and stays[2] < 0.1


def test_an_empty_gap_is_found(tiny: ScorePipeline, tmp_path: Path) -> None:
    whole = tune(6)
    tracks = [
        Track(t.name, t.program, t.drums, tuple(n for n in t.notes if n.onset // 1920 not in (2, 3)))
        for t in whole.tracks
    ]
    source = write_score(tmp_path / "gap.mid", Score(tuple(tracks), whole.length))
    desk = Desk(tmp_path, source=source)
    tiny.run(asked("fill_score"), desk)
    assert {(meta["new_from"], meta["new_to"]) for _, meta in desk.takes} == {(3, 4)}


def test_a_melody_gets_chords_and_bass(tiny: ScorePipeline, tmp_path: Path) -> None:
    desk = Desk(tmp_path, source=write_score(tmp_path / "short.mid", tune(3)))
    tiny.run(asked("harmonise_score", style="lied"), desk)
    for score in desk.scores:
        assert score.tracks[0].notes == tune(3).tracks[0].notes
        assert [track.name.split(" - ")[0] for track in score.tracks] == ["Flute", "Chords", "Bass"]
        heard = {note.onset // 1920 for note in score.tracks[1].notes}
        assert heard == set(range(3)), "every bar has a chord"
        sound_right(score)


def test_another_style_keeps_the_melodys_outline(tiny: ScorePipeline, tmp_path: Path) -> None:
    desk = Desk(tmp_path, source=write_score(tmp_path / "short.mid", tune(3)))
    tiny.run(asked("restyle_score", "its earlier brief: a waltz", style="lo-fi"), desk)
    for score, (_, meta) in zip(desk.scores, desk.takes, strict=True):
        assert 0.5 <= meta["melody_kept"] <= 1.0 and meta["style"] == "lo-fi" and score.bars == 3
        lead = {(note.onset, note.pitch % 12) for note in score.tracks[0].notes}
        assert {(i * 960, n.pitch % 12) for i, n in enumerate(tune(3).tracks[0].notes[::2])} <= lead


def test_notes_that_come_first(tiny: ScorePipeline, tmp_path: Path) -> None:
    notes = tuple(Note(i * 480, 480, pitch, 80) for i, pitch in enumerate((62, 65, 69, 67, 65, 64, 62, 61)))
    played = write_score(tmp_path / "keys.mid", Score((Track("Keyboard", 0, False, notes),), 8 * 480))
    desk = Desk(tmp_path, beginning=played)
    tiny.run(asked("text_to_score", "a waltz in D minor, 6 bars"), desk)
    for score in desk.scores:
        lead = {(note.onset, note.pitch) for note in score.tracks[0].notes}
        assert {(note.onset, note.pitch) for note in notes} <= lead
        assert (score.bars, score.metre_at(0)) == (6, (3, 4))
    with pytest.raises(InvalidInput, match="3 bars already"):
        tiny.run(asked("text_to_score", "a waltz, 3 bars"), Desk(tmp_path, beginning=played))


@pytest.mark.parametrize(
    ("task", "params", "said"),
    [
        ("fill_score", {"from_bar": 5, "to_bar": 3}, "Bar 5 comes after bar 3"),
        ("vary_score", {"from_bar": 3, "to_bar": 9}, "has 8 bars, not 9"),
        ("fill_score", {}, "No bar of the score is empty"),
        ("restyle_score", {}, "No style is named"),
        ("text_to_score", {"prompt": "a fast and slow jig"}, "slow and for fast"),
        ("text_to_score", {"instruments": "cello, wardrobe"}, "'wardrobe' is not known"),
        ("text_to_score", {"tempo": 5.0}, "tempo is 5"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    task: str, params: dict, said: str, tiny: ScorePipeline, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=said):
        tiny.run(asked(task, params.pop("prompt", ""), **params), Desk(tmp_path, source=source))


def test_sources_that_are_none(tiny: ScorePipeline, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    with pytest.raises(InvalidInput):
        tiny.run(asked("continue_score"), Desk(tmp_path, source=picture))
    odd = write_score(tmp_path / "odd.mid", tune(4, metres=((0, 5, 4),)))
    with pytest.raises(InvalidInput, match="5/4, which this model cannot write"):
        tiny.run(asked("continue_score"), Desk(tmp_path, source=odd))
    mixed = write_score(tmp_path / "mixed.mid", tune(4, metres=((0, 4, 4), (3840, 3, 4))))
    with pytest.raises(InvalidInput, match="metre changes at bar 3"):
        tiny.run(asked("vary_score"), Desk(tmp_path, source=mixed))


@pytest.mark.parametrize(
    "wrong", [{"bars": 500}, {"key": "H"}, {"metre": "7/8"}, {"style": "polka"}, {"num_return_sequences": 99}]
)
def test_the_declaration_names_the_wrong_field(wrong: dict) -> None:
    with pytest.raises(InvalidInput) as told:
        family("score").validate(asked("text_to_score", **wrong))
    assert told.value.field == next(iter(wrong))


def test_a_folder_without_a_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        load(tmp_path, CPU)


def test_files_of_drawn_briefs_have_full_bars_and_no_note_out_of_range(tiny: ScorePipeline) -> None:
    told = check(tiny.composer, 3)
    assert told["pieces"] == 3 and told["notes"] > 100
    assert (told["bars_uneven"], told["notes_astray"], told["bars_missing"]) == (0, 0, 0)
    sheet = files.write_score(tune(2), "musicxml").decode()
    assert uneven_bars(sheet.encode()) == (0, 6)
    short = re.sub(r"<note>.*?</note>", "", sheet, count=1, flags=re.S)
    assert uneven_bars(short.encode())[0] == 1, "a note less is heard"


def test_words_lie_under_the_melody_and_stay_when_it_is_reworked(tiny: ScorePipeline, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    lyrics = "one little river and over the water we go home"
    tiny.run(asked("text_to_score", "a song in 4/4 for flute and piano", lyrics=lyrics, num_return_sequences=1), desk)
    voice = desk.scores[0].tracks[0]
    sung = [text for _, text in voice.lyrics if text != "_"]
    assert desk.scores[0].bars == 8 and "".join(sung).replace("-", "").startswith("onelittleriver")
    assert {tick for tick, _ in voice.lyrics} <= {note.onset for note in voice.notes}
    assert not any(track.lyrics for track in desk.scores[0].tracks[1:])
    source = write_score(tmp_path / "sung.mid", desk.scores[0])
    again = Desk(tmp_path, source=source)
    tiny.run(asked("vary_score", from_bar=3, to_bar=4, num_return_sequences=1), again)
    after = again.scores[0].tracks[0]
    assert {pair for pair in voice.lyrics if pair[0] < 2 * 1920} <= set(after.lyrics)
    assert {tick for tick, _ in after.lyrics} <= {note.onset for note in after.notes}


def test_too_many_words_are_told(tiny: ScorePipeline, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    tiny.run(asked("text_to_score", "for flute", bars=2, lyrics="la " * 400, num_return_sequences=1), desk)
    assert any("400 syllables" in warning and "more bars" in warning for warning in desk.warnings)


def test_the_highest_of_four_voices_is_the_melody() -> None:
    """Of a model that learnt hymns with the bass as their first voice."""
    chord = [(MELODY, 43), (CHORDS, 62), (CHORDS, 67), (BASS, 55)]
    written = [
        Written(bar, place, 24, part, pitch, False) for bar in (0, 1) for place in (0, 24) for part, pitch in chord
    ]
    held = [Written(2, 0, 48, CHORDS, 71, False), Written(2, 24, 24, CHORDS, 64, False)]
    meant = melody_on_top([*written, *held], 96)
    assert {(note.part, note.pitch) for note in meant[:-2]} == {(MELODY, 67), (CHORDS, 62), (CHORDS, 55), (BASS, 43)}
    assert [(note.part, note.pitch) for note in meant[-2:]] == [(MELODY, 71), (CHORDS, 64)]
    assert len(meant) == len(written) + 2
