"""How a piece begins: with notes that are given, or with all the instruments that were named. Knows no model."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from studio.errors import InvalidInput
from studio.families.score.arrangement import SCALE, fifths_of
from studio.families.score.grammar import GivenBar
from studio.families.score.params import MOST_BARS
from studio.families.score.piece import BASS, CHORDS, DRUMS, MELODY, bar_ticks
from studio.families.score.sources import given_notes, metre_of, read_source
from studio.families.score.styles import style_of
from studio.families.score.vocabulary import Vocabulary
from studio.families.score.wishes import Asked, settled
from studio.music.score import Score

EVERY = 4  # bars in which each instrument that was named is heard


def first_beats(one: Asked) -> dict[int, GivenBar]:
    """All bars free to the parts that have an instrument; where instruments were named, none keeps silent for long, and
    where there are words, the melody begins every bar."""
    parts = one.setting.parts
    wanted = parts & {CHORDS, BASS, DRUMS} if one.named else frozenset()
    sung = parts & {MELODY} if one.sung else frozenset()
    return {
        bar: GivenBar(free=parts, wanted=sung | wanted if bar % EVERY == 0 else sung) for bar in range(one.wish.bars)
    }


def rebarred(score: Score, metre: tuple[int, int]) -> Score:
    """The same notes in bars of one metre."""
    full = bar_ticks(metre) * SCALE
    return replace(score, metres=((0, *metre),), length=-(-score.length // full) * full)


def beginning_with(one: Asked, score: Score, params: Mapping[str, Any], words: str) -> Asked:
    """The brief, with metre, key and tempo of the score whose notes come first where it says nothing of them."""
    said = settled(params, words)
    own = metre_of(*score.metre_at(0))
    fits = own is not None and not said["metre"] and (not one.wish.style or own in style_of(one.wish.style).metres)
    metre = own if own and fits else one.wish.metre
    source = read_source(rebarred(score, metre), 0, rebarred(score, metre).bars, before=0, after=0)
    has = len(source.bars)
    if has >= one.wish.bars and not said["bars"]:
        bars = min(has + 8, MOST_BARS)
        one = replace(one, wish=replace(one.wish, bars=bars), setting=replace(one.setting, bars=bars))
    if has >= one.wish.bars:
        said_bars = f"The beginning has {has} bars already, and {one.wish.bars} are asked for."
        raise InvalidInput(said_bars, "Ask for more bars, or give a shorter beginning.", field="bars")
    tonic, mode = (one.wish.tonic, one.wish.mode) if said["key"] else source.key()
    tempo = one.setting.tempo if said["tempo"] else score.tempi[0][1] if score.tempi else 120.0
    fifths = one.setting.fifths if said["key"] else fifths_of(tonic, mode or 0)
    setting = replace(one.setting, metre=metre, fifths=fifths, mode=mode or 0, tempo=tempo)
    return replace(one, wish=replace(one.wish, metre=metre, tonic=tonic, mode=mode), setting=setting)


def opening_bars(one: Asked, score: Score, vocabulary: Vocabulary) -> dict[int, GivenBar]:
    """The score's notes in the first bars; parts that it does not have are composed to them."""
    whole = rebarred(score, one.wish.metre)
    source = read_source(whole, 0, whole.bars, before=0, after=0)
    total, tonic, parts = one.wish.bars, one.wish.tonic, one.setting.parts
    given = {bar: GivenBar(free=parts) for bar in range(total)}
    for bar in range(len(source.bars)):
        notes = [note for note in source.by_bar[bar] if note.part in parts]
        own = parts - source.parts
        room: dict[int, int] = {}
        if bar == len(source.bars) - 1 and MELODY in source.parts:  # goes on behind the last note
            ends = max((n.place + n.length for n in notes if n.part == MELODY), default=0)
            room, own = dict.fromkeys(range(min(ends, bar_ticks(one.wish.metre))), 0), own | {MELODY}
        given[bar] = GivenBar(given_notes(notes, vocabulary, source.metre, tonic, total - bar), own, room=room)
    return given
