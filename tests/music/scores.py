"""Small scores that the tests compose themselves."""

import random

from studio.music.score import QUARTER, Note, Score, Track, check, tidy

BAR = 3 * QUARTER


def waltz(seed: int = 1, bars: int = 8, *, drums: bool = True) -> Score:
    """A pickup and bars of 3/4 in C minor: violin with syllables, piano in two hands with voices, cello, drums; dotted
    and tied notes, triplets, notes over bar lines, a change of tempo.
    """
    draw = random.Random(seed)
    end = QUARTER + BAR * bars
    violin, hands, cello, kit = [], [], [], []
    lyrics = []
    tick = QUARTER
    while tick < end:
        length = draw.choice([480, 240, 720, 120, 360, 960, 160])
        if length == 160:
            tick += -tick % QUARTER
            violin += [Note(tick + 160 * k, 160, draw.choice([63, 65, 67, 68]), 70) for k in range(3)]
            tick += QUARTER
            continue
        violin.append(Note(tick, length, draw.choice([60, 62, 63, 66, 67, 70, 71, 72, 75]), draw.choice([64, 80, 96])))
        if len(lyrics) < 4:
            lyrics.append((tick, ("sa-", "lu-", "té", "là")[len(lyrics)]))
        tick += length
    for start in range(QUARTER, end, BAR):
        root = draw.choice([36, 41, 43])
        cello.append(Note(start, BAR, root + 12, 75))
        hands.append(Note(start, BAR, root + 12, 60))
        hands += [
            Note(start + QUARTER * k, 2 * QUARTER - QUARTER * (k > 1), 60 + p, 66) for k in (1, 2) for p in (3, 7)
        ]
        kit += [Note(start, 240, 36, 90), Note(start + QUARTER, 240, 42, 60), Note(start + 2 * QUARTER, 120, 38, 80)]
    named = [("Violin", 40, False, violin), ("Piano", 0, False, hands), ("Cello", 42, False, cello)]
    named += [("Drums", 0, True, kit)] if drums else []
    tracks = []
    for name, program, is_kit, notes in named:
        cut = (note._replace(duration=min(note.duration, end - note.onset)) for note in notes if note.onset < end)
        tracks.append(Track(name, program, is_kit, tidy(cut), tuple(lyrics) if name == "Violin" else ()))
    metres = ((0, 1, 4), (QUARTER, 3, 4))
    return check(
        Score(tuple(tracks), end, ((0, 97.5), (QUARTER + BAR, 120.0)), metres, ((0, -3, "minor"),), "Valse & Cie")
    )


def sounding(score: Score) -> list[list[tuple[int, int, int]]]:
    """Onset, duration and pitch of every track's notes."""
    return [[note[:3] for note in track.notes] for track in score.tracks]
