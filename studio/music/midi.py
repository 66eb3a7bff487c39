"""Standard MIDI files (RP-001) in and out. Notes, tempi, metres, keys, programs, names, syllables and one text with the
settings pass; controllers, bends and system messages are passed over.

Our own reader, because it must say in one sentence what is wrong with a broken file, and read a large one in a second.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from studio.errors import InvalidInput
from studio.marks import SENTENCE
from studio.music.instruments import PROGRAMS
from studio.music.score import (
    MAX_NOTES,
    MAX_TRACKS,
    QUARTER,
    TEMPO_RANGE,
    UNITS,
    Note,
    Score,
    Track,
    bar_ticks,
    check,
    metres_of,
    tidy,
)

LARGEST = 4_000_000  # bytes: more than 200,000 notes need
AGAIN = "Fetch or save the file once more."
SETTINGS = "atelier "  # what the text that holds the settings begins with
TEXT, COPYRIGHT, NAME, LYRIC, END, TEMPO, METRE, KEY = 0x01, 0x02, 0x03, 0x05, 0x2F, 0x51, 0x58, 0x59
DRUM_CHANNEL = 9
_DATA_BYTES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}


@dataclass
class _Stream:
    """What one MTrk chunk holds; ticks as the file counts them."""

    name: str = ""
    notes: dict[tuple[int, int], list[Note]] = field(default_factory=dict)  # (channel, program) -> notes
    lyrics: list[tuple[int, str]] = field(default_factory=list)
    programs: dict[int, int] = field(default_factory=dict)
    meta: list[tuple[int, int, bytes]] = field(default_factory=list)  # tempo, metre, key: tick, kind, body
    texts: list[str] = field(default_factory=list)
    end: int = 0


def read_midi(data: bytes, name: str = "The file") -> Score:
    """The score of a MIDI file of type 0 or 1. InvalidInput says what is wrong with another."""
    quarter, chunks = _chunks(data, name)
    streams: list[_Stream] = []
    programs: dict[int, int] = {}
    count = 0
    for chunk in chunks:
        streams.append(_stream(chunk, name, programs))
        count += sum(map(len, streams[-1].notes.values()))
        if count > MAX_NOTES:
            raise InvalidInput(f"{name} holds more than {MAX_NOTES:,} notes.", "Give a shorter piece.")
    tracks = [track for stream in streams for track in _tracks(stream, quarter)]
    if not tracks:
        raise InvalidInput(f"{name} holds no notes.", "Give a MIDI file with music in it.")
    return _score(streams, tracks, quarter)


def texts_inside(data: bytes, name: str = "The file") -> list[str]:
    """All text events, in order."""
    _, chunks = _chunks(data, name)
    return [text for chunk in chunks for text in _stream(chunk, name, {}).texts]


def _chunks(data: bytes, name: str) -> tuple[int, list[bytes]]:
    """Ticks of a quarter and the bodies of the tracks."""
    if len(data) > LARGEST:
        raise InvalidInput(
            f"{name} is {len(data) / 1e6:.0f} MB large.", f"Give a MIDI file of at most {LARGEST // 10**6} MB."
        )
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        data = data[20:]
    if data[:4] != b"MThd" or len(data) < 14:
        raise InvalidInput(f"{name} is no MIDI file.", "Give a file that begins with MThd.")
    size, kind, count, division = struct.unpack(">IHHH", data[4:14])
    if kind == 2:
        raise InvalidInput(f"{name} is of type 2: its tracks are pieces of their own.", "Save it as type 0 or 1.")
    if kind > 2:
        raise InvalidInput(
            f"{name} says it is of type {kind}, which does not exist.", "Give a MIDI file of type 0 or 1."
        )
    if division == 0:
        raise InvalidInput(f"{name} divides a quarter note into 0 ticks.", "Save it again in a music program.")
    if division & 0x8000:
        raise InvalidInput(f"{name} counts in frames of film, not in quarter notes.", "Save it with ticks per quarter.")
    at, chunks = 8 + size, []
    while at + 8 <= len(data) and len(chunks) < count:
        kind_of, length = struct.unpack(">4sI", data[at : at + 8])
        if kind_of == b"MTrk":
            if at + 8 + length > len(data):
                raise InvalidInput(f"{name} breaks off inside its music.", AGAIN)
            chunks.append(data[at + 8 : at + 8 + length])
        at += 8 + length
    if len(chunks) < count:
        raise InvalidInput(f"{name} announces {count} tracks and holds {len(chunks)}.", AGAIN)
    if count > MAX_TRACKS:
        raise InvalidInput(f"{name} has {count} tracks.", f"Give at most {MAX_TRACKS}.")
    return division, chunks


def _stream(chunk: bytes, name: str, programs: dict[int, int]) -> _Stream:
    """Read one track; `programs` are those of earlier tracks by channel, for tracks that name none."""
    stream = _Stream()
    sounding: dict[int, list[tuple[int, int]]] = {}  # channel * 128 + pitch -> onsets and velocities
    for now, status, body in _events(chunk, name):
        kind, channel = status & 0xF0, status & 0x0F
        if kind == 0x90 and body[1]:
            sounding.setdefault(channel * 128 + body[0], []).append((now, body[1]))
        elif kind in (0x80, 0x90):
            if started := sounding.get(channel * 128 + body[0]):
                _sound(stream, channel, body[0], started.pop(0), now, programs)
        elif kind == 0xC0:
            stream.programs[channel] = programs[channel] = body[0]
        elif status == 0xFF:
            _meta(stream, now, body[0], body[1:])
        stream.end = now
    for place, started in sounding.items():
        for begun in started:
            _sound(stream, place // 128, place % 128, begun, stream.end, programs)
    return stream


def _sound(
    stream: _Stream, channel: int, pitch: int, begun: tuple[int, int], end: int, programs: dict[int, int]
) -> None:
    """Take a note; one without length is left out."""
    onset, velocity = begun
    if end > onset:
        program = stream.programs.get(channel, programs.get(channel, 0))
        stream.notes.setdefault((channel, program), []).append(Note(onset, end - onset, pitch, velocity))


def _events(chunk: bytes, name: str) -> Iterator[tuple[int, int, bytes]]:
    """(tick, status, data bytes); of a meta event the kind comes first in its bytes."""
    at, now, running = 0, 0, 0
    try:
        while at < len(chunk):
            step, at = _number(chunk, at)
            now += step
            status = chunk[at]
            if status < 0x80:
                status = running
            else:
                at += 1
            size = _DATA_BYTES.get(status & 0xF0)
            if size:
                running = status
                body = chunk[at : at + size]
                if len(body) < size or max(body) > 127:
                    raise InvalidInput(f"{name} is damaged at tick {now}.", AGAIN)
                yield now, status, body
                at += size
            elif status in (0xF0, 0xF7):
                length, at = _number(chunk, at)
                at += length
            elif status == 0xFF:
                kind = chunk[at]
                length, at = _number(chunk, at + 1)
                yield now, status, bytes([kind]) + chunk[at : at + length]
                at += length
                if kind == END:
                    return
            else:
                raise InvalidInput(f"{name} is damaged at tick {now}.", AGAIN)
    except IndexError:
        raise InvalidInput(f"{name} breaks off inside its music.", AGAIN) from None


def _number(chunk: bytes, at: int) -> tuple[int, int]:
    """A quantity of variable length, and the place after it."""
    value = 0
    for _ in range(4):
        byte = chunk[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return value, at


def _meta(stream: _Stream, now: int, kind: int, body: bytes) -> None:
    if kind == NAME and not stream.name:
        stream.name = _decoded(body)
    elif kind == LYRIC:
        stream.lyrics.append((now, _decoded(body)))
    elif kind in (TEXT, COPYRIGHT):
        stream.texts.append(_decoded(body))
    elif kind in (TEMPO, METRE, KEY):
        stream.meta.append((now, kind, body))


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8").strip("\0 \r\n")
    except UnicodeDecodeError:
        return body.decode("latin-1").strip("\0 \r\n")


def _tracks(stream: _Stream, quarter: int) -> list[Track]:
    """One track for each channel and program; the syllables go to the first."""
    tracks = []
    for (channel, program), notes in sorted(stream.notes.items(), key=lambda item: item[0][0]):
        drums = channel == DRUM_CHANNEL
        name = stream.name if len(stream.notes) == 1 else ""
        name = name or ("Drums" if drums else PROGRAMS[program])
        scaled = (Note(*_scaled(note, quarter), note.pitch, note.velocity) for note in notes)
        lyrics = tuple((round(tick * QUARTER / quarter), text[:500]) for tick, text in stream.lyrics)
        tracks.append(Track(name[:500], program, drums, tidy(scaled), () if tracks else lyrics))
    return tracks


def _scaled(note: Note, quarter: int) -> tuple[int, int]:
    """Onset and duration in our ticks: both ends are rounded, so that what touched still touches."""
    onset = round(note.onset * QUARTER / quarter)
    return onset, max(round((note.onset + note.duration) * QUARTER / quarter) - onset, 1)


def _score(streams: list[_Stream], tracks: list[Track], quarter: int) -> Score:
    tempi: dict[int, float] = {}
    metres: dict[int, tuple[int, int]] = {}
    keys: dict[int, tuple[int, str]] = {}
    for now, kind, body in (event for stream in streams for event in stream.meta):
        tick = round(now * QUARTER / quarter)
        if kind == TEMPO and len(body) == 3 and any(body):
            tempi[tick] = min(max(_tempo(int.from_bytes(body, "big")), TEMPO_RANGE[0]), TEMPO_RANGE[1])
        elif kind == METRE and len(body) >= 2 and 1 <= body[0] <= 64 and 1 << body[1] in UNITS:
            metres[tick] = (body[0], 1 << body[1])
        elif kind == KEY and len(body) == 2 and -7 <= (body[0] + 128) % 256 - 128 <= 7:
            keys[tick] = ((body[0] + 128) % 256 - 128, "minor" if body[1] else "major")
    reach = max(note.onset + note.duration for track in tracks for note in track.notes)
    end = max(round(stream.end * QUARTER / quarter) for stream in streams)
    if not metres or min(metres):
        metres[0] = (4, 4)
    if not tempi or min(tempi):
        tempi[0] = 120.0
    title = streams[0].name if streams[0].name and not streams[0].notes else ""
    score = Score(
        tracks=tuple(tracks),
        length=max(reach, end),
        tempi=_changes(tempi),
        metres=_changes(metres),
        keys=_changes(keys),
        title=title[:500],
    )
    return check(_whole_bars(score, reach))


def _tempo(microseconds: int) -> float:
    """Quarters a minute, in as few decimals as give the same microseconds again."""
    exact = 60_000_000 / microseconds
    return (
        next(
            (
                t
                for t in (round(exact), round(exact, 1), round(exact, 2), round(exact, 3))
                if t and round(60_000_000 / t) == microseconds
            ),
            exact,
        )
        * 1.0
    )


def _changes(events: Mapping[int, Any]) -> tuple[Any, ...]:
    """Sorted, what changes nothing left out."""
    kept: list[Any] = []
    for tick in sorted(events):
        value = events[tick] if isinstance(events[tick], tuple) else (events[tick],)
        if not kept or kept[-1][1:] != value:
            kept.append((tick, *value))
    return tuple(kept)


def _whole_bars(score: Score, reach: int) -> Score:
    """With the bar of the last note filled, and with as many empty bars behind it as the file has whole ones."""
    beats, unit = score.metre_at(score.length)
    longer = replace(score, length=score.length + bar_ticks(beats, unit))
    length = next(start for start in [*longer.bar_starts, longer.length] if start >= reach)
    length = max([length, *(start for start in longer.bar_starts if start <= score.length)])
    bars = replace(score, length=length, metres=tuple(metre for metre in score.metres if metre[0] < length))
    lengths = ((end - start, bars.metre_at(start)) for start, end in zip(bars.bar_starts, bars.bar_ends, strict=True))
    return replace(
        bars,
        tempi=tuple(tempo for tempo in score.tempi if tempo[0] < length),
        metres=metres_of(lengths),
        keys=tuple(key for key in score.keys if key[0] < length),
    )


def write_midi(score: Score, settings: Mapping[str, Any] | None = None) -> bytes:
    """A file of type 1: a track with title, settings, tempi, metres and keys, then one for each track."""
    head: list[tuple[int, int, bytes]] = []
    if score.title:
        head.append((0, 0, _meta_event(NAME, score.title.encode())))
    if settings is not None:
        head.append((0, 0, _meta_event(TEXT, (SETTINGS + json.dumps(settings)).encode())))
        head.append((0, 0, _meta_event(TEXT, SENTENCE.encode())))
    for tick, tempo in score.tempi:
        head.append((tick, 1, _meta_event(TEMPO, min(round(60_000_000 / tempo), 0xFFFFFF).to_bytes(3, "big"))))
    for tick, beats, unit in score.metres:
        head.append((tick, 1, _meta_event(METRE, bytes([beats, unit.bit_length() - 1, 24, 8]))))
    for tick, fifths, mode in score.keys:
        head.append((tick, 1, _meta_event(KEY, bytes([fifths % 256, mode == "minor"]))))
    chunks = [_chunk(head, score.length)]
    for track, channel in zip(score.tracks, channels(score), strict=True):
        chunks.append(_chunk(_messages(track, channel), score.length))
    return struct.pack(">4sIHHH", b"MThd", 6, 1, len(chunks), QUARTER) + b"".join(chunks)


def channels(score: Score) -> list[int]:
    """The channel of each track: tracks of one program share one where there are more than fifteen tracks."""
    free = [channel for channel in range(16) if channel != DRUM_CHANNEL]
    melodic = [track for track in score.tracks if not track.drums]
    own = len(melodic) <= len(free)
    seen: dict[int, int] = {}
    found = []
    for index, track in enumerate(score.tracks):
        mark = index if own else track.program
        if not track.drums and mark not in seen:
            seen[mark] = free[len(seen) % len(free)]
        found.append(DRUM_CHANNEL if track.drums else seen[mark])
    return found


def _messages(track: Track, channel: int) -> list[tuple[int, int, bytes]]:
    """(tick, order, bytes): at one tick, notes end before others begin."""
    found = [(0, 0, _meta_event(NAME, track.name.encode())), (0, 1, bytes([0xC0 | channel, track.program]))]
    found += [(tick, 1, _meta_event(LYRIC, text.encode())) for tick, text in track.lyrics]
    for note in track.notes:
        found.append((note.onset, 3, bytes([0x90 | channel, note.pitch, note.velocity])))
        found.append((note.onset + note.duration, 2, bytes([0x80 | channel, note.pitch, 64])))
    return found


def _meta_event(kind: int, body: bytes) -> bytes:
    return bytes([0xFF, kind]) + _quantity(len(body)) + body


def _quantity(value: int) -> bytes:
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))


def _chunk(events: list[tuple[int, int, bytes]], length: int) -> bytes:
    events.sort(key=lambda event: event[:2])
    end = max(length, events[-1][0] if events else 0)
    body, now = bytearray(), 0
    for tick, _, message in [*events, (end, 9, _meta_event(END, b""))]:
        body += _quantity(tick - now) + message
        now = tick
    return struct.pack(">4sI", b"MTrk", len(body)) + bytes(body)
