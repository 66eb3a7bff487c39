"""Composes lo-fi, ambient, house, blues and chiptune by rule: loops, their harmony, bass lines and drum patterns."""

import numpy as np

from studio.families.score.harmony import BLUES, PENTATONIC, Chord, Line, Sketch, chords, play_bar, vary
from studio.families.score.piece import BASS, CHORDS, MELODY, Piece

Cells = list[tuple[int, int, int]]
KICK, SNARE, CLAP, CLOSED, OPEN, CRASH, RIDE, STICK = 36, 38, 39, 42, 46, 49, 51, 37
LOFI = (
    ("ii:m9 V:9 I:maj9 vi:m7", "I:maj9 vi:m9 ii:m9 V:9", "IV:maj7 iii:m7 ii:m9 I:maj9", "I:maj7 IV:maj9 iii:m7 vi:m9"),
    ("i:m9 iv:m7 bVII:9 bIII:maj7", "i:m9 bVI:maj7 iv:m9 v:m7", "iv:m9 v:m7 i:m9 i:m7", "i:m7 bVII:9 bVI:maj9 v:m7"),
)
AMBIENT = (
    ("I:add9 IV:add9 vi:madd9 IV:maj7", "I:sus2 V:sus2 vi:madd9 IV:add9", "IV:maj9 I:add9 IV:maj9 vi:m7"),
    ("i:madd9 bVI:add9 bIII:add9 bVII:sus2", "i:madd9 iv:m7 bVI:maj7 i:m7", "i:sus2 bVII:add9 bVI:maj9 bVI:maj7"),
)
HOUSE = (
    ("I:maj7 vi:m7 ii:m7 V:7", "vi:m7 IV:maj7 I:maj7 V", "IV:maj7 V:7 iii:m7 vi:m7", "I IV:maj7 vi:m7 V"),
    ("i:m7 bVI:maj7 bIII:maj7 bVII", "i:m9 i:m9 iv:m9 iv:m9", "i:m7 iv:m7 bVI:maj7 v:m7", "i:m7 bVII bVI:maj7 bVII"),
)
CHIP = (
    ("I V vi IV", "I vi IV V", "IV V iii vi IV V I I", "I bVII IV I", "vi IV I V"),
    ("i bVI bIII bVII", "i bVII bVI V", "i iv bVII bIII", "i bVI iv V", "i v bVI bVII"),
)
BLUES_FORMS = (
    "I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7",
    "I7 IV7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 I7",
    "I7 IV7 I7 I7 IV7 IV7 I7 VI7 ii7 V7 I7 V7",
)
MINOR_BLUES = ("i7 i7 i7 i7 iv7 iv7 i7 i7 bVI:7 V7 i7 V7", "i7 iv7 i7 i7 iv7 iv7 i7 i7 V7 iv7 i7 i7")


def _start(
    style: str, seed: int, salt: int, minor: float, tempi: tuple[int, int]
) -> tuple[np.random.Generator, Sketch]:
    rng = np.random.default_rng([seed, salt])
    mode = int(rng.random() < minor)
    return rng, Sketch((4, 4), int(rng.integers(12)), mode, int(rng.integers(*tempi)), style)


def _loop(rng: np.random.Generator, plans: tuple[tuple[str, ...], tuple[str, ...]], mode: int) -> list[Chord]:
    return chords(str(rng.choice(plans[mode])))


def lofi(seed: int) -> Piece:
    """Slow swung beat, ninth chords as soft stabs, a pentatonic melody with rests; eight-bar halves."""
    rng, sketch = _start("lo-fi", seed, 1, 0.45, (68, 92))
    plan = _loop(rng, LOFI, sketch.mode)
    bars = int(rng.choice([8, 12, 16, 16]))
    line = Line(rng, sketch.tonic, PENTATONIC[sketch.mode], 64, 84)
    late = 16 if rng.random() < 0.7 else 12  # swung or straight second eighth
    kicks = [int(k) for k in rng.choice([0, 24 + late, 48, 60, 72 + late], 3, replace=False)]
    motif = [_sparse(rng, line, plan[i % len(plan)], late) for i in range(4)]
    drums_from = int(rng.choice([0, 0, 4]))
    for bar in range(bars):
        start, what = bar * sketch.bar, plan[bar % len(plan)]
        last = bar == bars - 1
        what = Chord(0, "m9" if sketch.mode else "maj9") if last else what
        sketch.block(start, 96 if last else 36, what, 62)
        sketch.low(start, 48, what)
        if not last:
            sketch.block(start + 24 + late + 12, 36, what, 62)
            sketch.low(start + 48 + (late if rng.random() < 0.5 else 0), 24, what, int(rng.choice([0, 7, 12])))
        if bar >= 2 or rng.random() < 0.5:
            cells = motif[bar % 4]
            play_bar(sketch, bar, [(0, 96, line.home())] if last else vary(rng, cells, line, 0.12))
        if bar >= drums_from and not last:
            for kick in {0, *kicks[:2]}:
                sketch.hit(start + kick, KICK)
            for place in (24, 72):
                sketch.hit(start + place, SNARE)
            for beat in range(4):
                sketch.hit(start + 24 * beat, CLOSED)
                sketch.hit(start + 24 * beat + late, CLOSED)
    return sketch.finish(bars, f"composed-lo-fi-{seed}")


def _sparse(rng: np.random.Generator, line: Line, what: Chord, late: int) -> Cells:
    """A bar with a few notes off the beat and a long one."""
    places = sorted(
        rng.choice([0, late, 24, 24 + late, 48, 48 + late, 72], int(rng.integers(2, 5)), replace=False).tolist()
    )
    ends = [*places[1:], 96]
    return [
        (
            place,
            end - place if end - place in (8, 12, 16, 24, 48) else 24,
            line.to_chord(what) if i == 0 else line.by_step(),
        )
        for i, (place, end) in enumerate(zip(places, ends, strict=True))
    ]


def ambient(seed: int) -> Piece:
    """Very slow: pads over two bars each, a drone, single long tones and small echoes above; no drums."""
    rng, sketch = _start("ambient", seed, 2, 0.5, (50, 72))
    plan = _loop(rng, AMBIENT, sketch.mode)
    hold = int(rng.choice([1, 2]))
    bars = int(rng.choice([8, 12, 16, 24]))
    line = Line(rng, sketch.tonic, PENTATONIC[sketch.mode], 67, 91)
    drone = rng.random() < 0.4
    for bar in range(bars):
        start = bar * sketch.bar
        what = plan[bar // hold % len(plan)] if bar < bars - hold else Chord(0, "madd9" if sketch.mode else "add9")
        if bar % hold == 0:
            sketch.block(start, 96 * min(hold, 2), what, 60)
            sketch.low(start, 96 * min(hold, 2), Chord(0) if drone else what)
        if bar == 0 or rng.random() < 0.2:
            continue
        if bar == bars - 1:
            play_bar(sketch, bar, [(0, 96, line.home(7 if rng.random() < 0.4 else 0))])
        elif rng.random() < 0.4:
            first = line.to_chord(what, 9)
            play_bar(sketch, bar, [(0, 48, first), (48, 24, line.by_step()), (72, 24, line.by_step())])
        else:
            place = int(rng.choice([0, 24, 48]))
            play_bar(sketch, bar, [(place, 96 - place, line.to_chord(what, 9))])
    return sketch.finish(bars, f"composed-ambient-{seed}")


STABS = ((0, 18, 36, 60, 78), (6, 30, 54, 78), (0, 18, 42, 66, 84), (12, 36, 60, 84), (0, 18, 36, 54, 72))


def house(seed: int) -> Piece:
    """Four on the floor, open hats and bass off the beat, claps on two and four, stabs across the sixteenths."""
    rng, sketch = _start("house", seed, 3, 0.65, (118, 130))
    plan = _loop(rng, HOUSE, sketch.mode)
    bars = int(rng.choice([8, 16, 16]))
    stabs = STABS[int(rng.integers(len(STABS)))]
    line = Line(rng, sketch.tonic, PENTATONIC[sketch.mode], 69, 88)
    places = sorted(rng.choice(np.arange(0, 96, 6), int(rng.integers(3, 6)), replace=False).tolist())
    riff = [(place, 6 if rng.random() < 0.5 else 12, line.by_step(0.4)) for place in places]
    off = rng.random() < 0.6
    sings_from = int(rng.choice([0, 4, bars // 2]))
    hats_from = int(rng.choice([0, 0, 4]))
    for bar in range(bars):
        start, what = bar * sketch.bar, plan[bar % len(plan)]
        if bar == bars - 1:
            what = Chord(0, "m7" if sketch.mode else "maj7")
        for beat in range(4):
            sketch.hit(start + 24 * beat, KICK)
            if bar >= hats_from:
                sketch.hit(start + 24 * beat + 12, OPEN)
            sketch.low(start + 24 * beat + (12 if off else 0), 12, what, 12 * int(rng.random() < 0.15), 38)
        for place in (24, 72):
            sketch.hit(start + place, CLAP)
        for place in stabs:
            sketch.block(start + place, 6, what, 62)
        if bar % 8 == 7:
            for place in (84, 90):
                sketch.hit(start + place, SNARE)
        if bar >= sings_from:
            play_bar(sketch, bar, riff if bar % 4 != 3 else vary(rng, riff, line, 0.5))
    sketch.add((bars - 1) * sketch.bar, 48, sketch.near(0, 76), MELODY)
    return sketch.finish(bars, f"composed-house-{seed}")


def blues(seed: int) -> Piece:
    """Twelve bars in swung eighths: walking or shuffling bass, call and response on the blues scale, a turnaround."""
    rng, sketch = _start("blues", seed, 4, 0.3, (84, 132))
    plan = chords(str(rng.choice(MINOR_BLUES if sketch.mode else BLUES_FORMS)))
    choruses = int(rng.choice([1, 1, 2]))
    scale = BLUES if sketch.mode or rng.random() < 0.5 else (*PENTATONIC[0], 3)
    line = Line(rng, sketch.tonic, scale, 60, 80)
    walking = rng.random() < 0.6
    drums = rng.random() < 0.7
    for chorus in range(choruses):
        call = [_lick(rng, line, plan[i]) for i in range(2)]
        for i, what in enumerate(plan):
            bar = 12 * chorus + i
            last = chorus == choruses - 1 and i == 11
            what = Chord(0, "m7" if sketch.mode else "7") if last else what
            start = bar * sketch.bar
            if last:
                cells = [(0, 48, line.home())]
            elif i % 4 in (0, 1) and i < 8:
                cells = vary(rng, call[i % 4], line, 0.15)
            else:
                cells = _lick(rng, line, what) if i % 4 == 2 or i > 7 else []
            play_bar(sketch, bar, cells)
            _blues_bass(rng, sketch, start, what, walking, last)
            for place in (0,) if last else ((24, 72) if walking else (0, 40, 64)):
                sketch.block(start + place, 48 if last else 12, what, 58)
            for beat in range(1 if last or not drums else 4):
                if drums:
                    sketch.hit(start + 24 * beat, RIDE)
                    sketch.hit(start + 24 * beat + 16, RIDE)
                    sketch.hit(start + 24 * beat, KICK if beat % 2 == 0 else SNARE)
    return sketch.finish(12 * choruses, f"composed-blues-{seed}")


def _lick(rng: np.random.Generator, line: Line, what: Chord) -> Cells:
    """Swung eighths that fall more than they rise, with rests."""
    cells: Cells = []
    if rng.random() < 0.4:
        line.to_chord(what, 12)
    line.direction = -1 if rng.random() < 0.7 else 1
    place = int(rng.choice([0, 16, 24]))
    while place < 88 and len(cells) < 7:
        long = rng.random() < 0.25
        step = (24 if long else 16) if place % 24 == 0 else 8
        pitch = line.to_chord(what) if place % 48 == 0 and rng.random() < 0.6 else line.by_step(0.3)
        cells.append((place, step, pitch))
        place += step
        if len(cells) > 3 and rng.random() < 0.3:
            break
    return cells


def _blues_bass(rng: np.random.Generator, sketch: Sketch, start: int, what: Chord, walking: bool, last: bool) -> None:
    if last:
        sketch.low(start, 48, what)
        return
    third = 3 if "m" in what.kind else 4
    if walking:
        steps = ((0, third, 7, 9), (0, third, 7, 10), (0, 7, third, 2), (12, 10, 7, third))[int(rng.integers(4))]
        for beat, step in enumerate(steps):
            sketch.low(start + 24 * beat, 24, Chord(what.root), 0, 41) if step == 0 else sketch.add(
                start + 24 * beat, 24, sketch.near(what.root, 41) + step, BASS
            )
        return
    for beat in range(4):  # the shuffle of fifth and sixth
        root = sketch.near(what.root, 41)
        sketch.add(start + 24 * beat, 16, root + (0, 4, 7, 9)[beat] if third == 4 else root + (0, 3, 7, 10)[beat], BASS)
        sketch.add(start + 24 * beat + 16, 8, root, BASS)


CHIP_RHYTHMS = (
    ((0, 12), (12, 12), (24, 24), (48, 12), (60, 12), (72, 24)),
    ((0, 18), (18, 18), (36, 12), (48, 24), (72, 12), (84, 12)),
    ((0, 24), (24, 12), (36, 12), (48, 36), (84, 12)),
    ((0, 6), (6, 6), (12, 12), (24, 12), (36, 12), (48, 24), (72, 24)),
    ((0, 18), (18, 18), (36, 18), (54, 18), (72, 24)),
)


def chiptune(seed: int) -> Piece:
    """Fast: a pulse-wave tune, chords broken into sixteenths as one voice must, octave bass, noise drums."""
    rng, sketch = _start("chiptune", seed, 5, 0.5, (128, 168))
    plan = _loop(rng, CHIP, sketch.mode)
    bars = int(rng.choice([8, 8, 16]))
    scale = (0, 2, 3, 5, 7, 8, 10) if sketch.mode else (0, 2, 4, 5, 7, 9, 11)
    line = Line(rng, sketch.tonic, scale, 69, 91)
    rhythm = [CHIP_RHYTHMS[int(rng.integers(len(CHIP_RHYTHMS)))] for _ in range(2)]
    pattern = [int(k) for k in rng.choice([0, 1, 2, 3], 4)] if rng.random() < 0.3 else [0, 1, 2, 1]
    each = 6 if rng.random() < 0.7 else 12
    tune: list[Cells] = []
    for bar in range(min(bars, 8)):
        what = plan[bar % len(plan)]
        cells = [
            (place, duration, line.to_chord(what, 7) if place in (0, 48) else line.by_step(0.3))
            for place, duration in rhythm[bar % 2]
        ]
        tune.append(vary(rng, tune[bar - 4], line, 0.15) if bar in (4, 5) else cells)
    for bar in range(bars):
        start, what = bar * sketch.bar, plan[bar % len(plan)]
        last = bar == bars - 1
        if last:
            what = Chord(0, "m" if sketch.mode else "")
        play_bar(sketch, bar, [(0, 48, line.home())] if last else tune[bar % 8])
        tones = sorted({sketch.near(tone, 62) for tone in what.tones})
        tones.append(tones[0] + 12)
        for i in range(48 // each if last else 96 // each):
            sketch.add(start + i * each, each, tones[pattern[i % 4]], CHORDS)
        for i in range(4 if last else 8):
            sketch.add(start + 12 * i, 12, sketch.near(what.root, 40) + 12 * (i % 2), BASS)
        for beat in range(1 if last else 4):
            sketch.hit(start + 24 * beat, KICK if beat % 2 == 0 else SNARE)
            sketch.hit(start + 24 * beat + 12, CLOSED)
    return sketch.finish(bars, f"composed-chiptune-{seed}")
