"""Writes MusicXML 4.0 (https://www.w3.org/2021/06/musicxml40/) of a score. Reading it is read_musicxml.py's business.

Durations are the score's own ticks, so nothing is lost where a value on paper is only near; velocities are kept as the
`dynamics` of notes.
"""

import json
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from studio.music.instruments import PROGRAMS
from studio.music.midi import channels
from studio.music.notation import CLEFS, Bar, Part, Written, notate, quantised, rough, spell
from studio.music.score import HELD, QUARTER, Note, Score, Track

SETTINGS_FIELD = "atelier"  # name of the miscellaneous field that holds the settings
FORTE = 90  # the velocity that `dynamics` counts in per cent of
MOST_MARKS = 40  # tempi beyond which they are heard but no longer written: a played rubato
# percussion keys on the staff as drummers write them: bass drum below, snare in the middle, cymbals above
_DRUM_PLACES = {
    **dict.fromkeys((35, 36), "F4"),
    **dict.fromkeys((37, 38, 39, 40), "C5"),
    **dict.fromkeys((41, 43), "A4"),
    **dict.fromkeys((45, 47), "D5"),
    **dict.fromkeys((48, 50), "E5"),
    **dict.fromkeys((42, 46), "G5"),
    44: "D4",
    **dict.fromkeys((49, 52, 55, 57), "A5"),
    **dict.fromkeys((51, 53, 59), "F5"),
}
_CROSSES = {42, 44, 46, 49, 51, 52, 53, 55, 57, 59, 37}


def write_musicxml(score: Score, settings: Mapping[str, Any] | None = None, *, ids: bool = False) -> bytes:
    """UTF-8 bytes of a partwise score. A score that was played freely is quantised first. `ids`: notes carry one each,
    "n" with the track's index, "-" and the note's index.
    """
    if rough(score):
        score = quantised(score)
    parts = notate(score)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(
        '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
        '"http://www.musicxml.org/dtds/partwise.dtd">'
    )
    lines.append('<score-partwise version="4.0">')
    lines += _head(score, settings)
    lines.append("<part-list>")
    for index, (track, channel) in enumerate(zip(score.tracks, channels(score), strict=True), 1):
        lines += _score_part(index, track, channel)
    lines.append("</part-list>")
    for index, part in enumerate(parts, 1):
        lines += _part(index, part, score, ids)
    lines.append("</score-partwise>\n")
    return "\n".join(lines).encode()


def _head(score: Score, settings: Mapping[str, Any] | None) -> list[str]:
    lines = [f"<work><work-title>{_safe(score.title)}</work-title></work>"] if score.title else []
    lines += ["<identification>", "<encoding><software>Atelier</software></encoding>"]
    if settings is not None:
        text = _safe(json.dumps(settings))
        field = f'<miscellaneous-field name="{SETTINGS_FIELD}">{text}</miscellaneous-field>'
        lines.append(f"<miscellaneous>{field}</miscellaneous>")
    return [*lines, "</identification>"]


def _safe(text: str) -> str:
    """Escaped, without what XML 1.0 cannot hold."""
    return escape("".join(sign for sign in text if sign >= " " or sign in "\t\n"))


def _score_part(index: int, track: Track, channel: int) -> list[str]:
    name = _safe(track.name)
    lines = [f'<score-part id="P{index}">', f"<part-name>{name}</part-name>"]
    keys = sorted({note.pitch for note in track.notes}) if track.drums else [0]
    for key in keys:
        sound = f"Percussion key {key}" if track.drums else PROGRAMS[track.program]
        lines.append(
            f'<score-instrument id="P{index}-I{key}"><instrument-name>{sound}</instrument-name></score-instrument>'
        )
    for key in keys:
        unpitched = f"<midi-unpitched>{key + 1}</midi-unpitched>" if track.drums else ""
        lines.append(
            f'<midi-instrument id="P{index}-I{key}"><midi-channel>{channel + 1}</midi-channel>'
            f"<midi-program>{track.program + 1}</midi-program>{unpitched}</midi-instrument>"
        )
    return [*lines, "</score-part>"]


def _part(index: int, part: Part, score: Score, ids: bool) -> list[str]:
    lines = [f'<part id="P{index}">']
    numbers = {note: f"n{index - 1}-{place}" for place, note in enumerate(part.track.notes)} if ids else {}
    pickup = bool(part.bars) and part.bars[0].irregular and len(part.bars) > 1
    for bar in part.bars:
        implicit = ' implicit="yes"' if bar.irregular else ""
        lines.append(f'<measure number="{bar.index + (not pickup)}"{implicit}>')
        lines += _attributes(bar, part)
        if index == 1:
            lines += _tempi(bar, score)
        first = True
        for staff, voices in enumerate(bar.voices):
            for number, voice in enumerate(voices):
                if not first:
                    lines.append(f"<backup><duration>{bar.metre.length}</duration></backup>")
                first = False
                lines += _voice(voice, bar, part, index, (staff, number), numbers)
        if bar is part.bars[-1]:
            lines.append('<barline location="right"><bar-style>light-heavy</bar-style></barline>')
        lines.append("</measure>")
    return [*lines, "</part>"]


def _attributes(bar: Bar, part: Part) -> list[str]:
    inner = []
    if bar.index == 0:
        inner.append(f"<divisions>{QUARTER}</divisions>")
    if bar.shown_key and not part.track.drums:
        fifths, mode = bar.shown_key
        inner.append(f"<key><fifths>{fifths}</fifths><mode>{mode}</mode></key>")
    if bar.shown_metre:
        beats, unit = bar.shown_metre
        inner.append(f"<time><beats>{beats}</beats><beat-type>{unit}</beat-type></time>")
    if bar.index == 0:
        if len(part.clefs) > 1:
            inner.append(f"<staves>{len(part.clefs)}</staves>")
        for number, name in enumerate(part.clefs, 1):
            sign, line, octave = CLEFS[name]
            which = f' number="{number}"' if len(part.clefs) > 1 else ""
            place = f"<line>{line}</line>" if line else ""
            moved = f"<clef-octave-change>{octave}</clef-octave-change>" if octave else ""
            inner.append(f"<clef{which}><sign>{sign}</sign>{place}{moved}</clef>")
    return ["<attributes>", *inner, "</attributes>"] if inner else []


def _tempi(bar: Bar, score: Score) -> list[str]:
    lines = []
    for tick, tempo in score.tempi:
        if bar.start <= tick < bar.start + bar.metre.length:
            offset = f"<offset>{tick - bar.start}</offset>" if tick > bar.start else ""
            sound = f'<sound tempo="{tempo:.10g}"/>'
            if len(score.tempi) <= MOST_MARKS:
                mark = f"<metronome><beat-unit>quarter</beat-unit><per-minute>{tempo:.4g}</per-minute></metronome>"
                kind = f"<direction-type>{mark}</direction-type>"
                lines.append(f'<direction placement="above">{kind}{offset}{sound}</direction>')
            else:
                lines.append(f'<sound tempo="{tempo:.10g}">{offset}</sound>')
    return lines


def _voice(
    voice: list[Written], bar: Bar, part: Part, index: int, place: tuple[int, int], numbers: dict[Note, str]
) -> list[str]:
    staff, number = place
    lines = []
    ending = [f"<voice>{staff * 4 + number + 1}</voice>"]
    for symbol in voice:
        duration = f"<duration>{symbol.span.end - symbol.span.start}</duration>"
        if symbol.hidden:
            lines.append(f"<forward>{duration}</forward>")
            continue
        for chord, note in enumerate(symbol.notes or (None,)):
            mark = numbers.get(note, "") if note and not symbol.tied_back else ""
            loud = f' dynamics="{note.velocity * 100 / FORTE:.2f}"' if note else ""
            lines.append(f"<note{f' id={quoteattr(mark)}' if mark else ''}{loud}>")
            lines.append("<chord/>" if chord else "")
            lines += _pitch(note, bar, part.track, symbol)
            lines.append(duration)
            lines += [f'<tie type="{kind}"/>' for kind in _ties(symbol)]
            if part.track.drums and note:
                lines.append(f'<instrument id="P{index}-I{note.pitch}"/>')
            lines += ending
            lines += _value(symbol, note, part, staff)
            lines += _notations(symbol, chord)
            if symbol.lyric and not chord:
                lines += _lyric(symbol)
            lines.append("</note>")
    return [line for line in lines if line]


def _pitch(note: Note | None, bar: Bar, track: Track, symbol: Written) -> list[str]:
    if note is None:
        return ['<rest measure="yes"/>' if symbol.whole_bar else "<rest/>"]
    if track.drums:
        place = _DRUM_PLACES.get(note.pitch, "B4")
        step, octave = f"<display-step>{place[0]}</display-step>", f"<display-octave>{place[1]}</display-octave>"
        return [f"<unpitched>{step}{octave}</unpitched>"]
    name = spell(note.pitch, *bar.key)
    alter = f"<alter>{name.alter}</alter>" if name.alter else ""
    return [f"<pitch><step>{name.step}</step>{alter}<octave>{max(name.octave, 0)}</octave></pitch>"]


def _ties(symbol: Written) -> list[str]:
    if not symbol.notes:
        return []
    return ["stop"] * symbol.tied_back + ["start"] * symbol.tied_on


def _value(symbol: Written, note: Note | None, part: Part, staff: int) -> list[str]:
    """Type, dots, accidental, tuplet ratio, notehead, staff and beams, in the schema's order."""
    span, lines = symbol.span, []
    if not symbol.whole_bar:
        lines.append(f"<type>{span.value}</type>")
        lines += ["<dot/>"] * span.dots
    if note and note.pitch in symbol.accidentals:
        lines.append(f"<accidental>{symbol.accidentals[note.pitch]}</accidental>")
    if span.tuplet:
        actual, normal = span.tuplet.actual, span.tuplet.normal
        ratio = f"<actual-notes>{actual}</actual-notes><normal-notes>{normal}</normal-notes>"
        lines.append(f"<time-modification>{ratio}<normal-type>{span.tuplet.unit}</normal-type></time-modification>")
    if note and part.track.drums and note.pitch in _CROSSES:
        lines.append("<notehead>x</notehead>")
    if len(part.clefs) > 1:
        lines.append(f"<staff>{staff + 1}</staff>")
    if note is None or note is symbol.notes[0]:
        lines += [f'<beam number="{level}">{word}</beam>' for level, word in enumerate(symbol.beams, 1)]
    return lines


def _notations(symbol: Written, chord: int) -> list[str]:
    inner = [f'<tied type="{kind}"/>' for kind in _ties(symbol)]
    if symbol.span.tuplet and not chord:
        inner += ['<tuplet type="start" bracket="yes"/>'] * symbol.span.first
        inner += ['<tuplet type="stop"/>'] * symbol.span.last
    return ["<notations>", *inner, "</notations>"] if inner else []


def _lyric(symbol: Written) -> list[str]:
    extend = f'<extend type="{symbol.extend}"/>' if symbol.extend else ""
    if symbol.lyric == HELD:
        return [f'<lyric number="1">{extend}</lyric>']
    text = _safe(symbol.lyric.rstrip("-") or " ")
    return [f'<lyric number="1"><syllabic>{symbol.syllabic}</syllabic><text>{text}</text>{extend}</lyric>']
