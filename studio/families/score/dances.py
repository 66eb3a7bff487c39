"""Composes jigs, reels, marches and rags by rule: strains of eight bars, their harmony, rhythm and accompaniment."""

import numpy as np

from studio.families.score.harmony import MAJOR, MINOR, Chord, Line, Sketch, chords, play_bar, vary
from studio.families.score.piece import CHORDS, Piece

Cells = list[tuple[int, int, int]]
# Two chords a bar, eight bars a strain; the fourth bar opens (half cadence), the eighth closes.
TUNES = {
    0: (
        "I I I I IV IV V V I I IV IV I V I I",
        "I I IV IV I I V V I I IV IV V V I I",
        "I I V V I I V V I I IV I IV V I I",
        "I I vi vi IV IV V V I I vi vi IV V I I",
        "IV IV I I IV IV V V IV IV I I ii V I I",
        "V V I I V V I I IV IV I I IV V I I",
    ),
    1: (
        "i i i i bVII bVII bVII bVII i i i i bVII v i i",
        "i i bVII bVII i i bVII bVII i i bVII bVII bVII bVII i i",
        "i i bIII bIII bVII bVII i i bIII bIII bVII bVII i v i i",
        "bIII bIII bVII bVII i i v v bIII bIII bVII bVII i bVII i i",
    ),
}
MARCHES = (
    "I I I I V7 V7 V7 I I I I7 IV IV I V7 I",
    "I I V7 V7 V7 V7 I I I I IV IV I V7 I I",
    "I V7 I I I V7 I I II7 II7 V V II7 II7 V7 V7",
    "vi vi III7 III7 vi vi II7 V7 I I IV IV I V7 I I",
)
RAGS = (
    "I I V7 V7 V7 V7 I I I I7 IV iv I VI7 II7 V7",
    "I VI7 II7 II7 V7 V7 I V7 I VI7 II7 II7 V7 V7 I I",
    "I I IV I I VI7 II7 V7 I I IV I II7 V7 I I",
    "V7 V7 I I V7 V7 I I V7 V7 I VI7 II7 V7 I I",
    "vi III7 vi vi IV I II7 V7 I I IV iv I VI7 II7:7 V7",
)


def _tune_bar(rng: np.random.Generator, line: Line, pair: tuple[Chord, Chord], beats: int, each: int) -> Cells:
    """A bar of running eighths: a chord tone at the head of each beat, scale or broken chord within."""
    cells: Cells = []
    for half in range(beats):
        what = pair[half * 2 // beats]
        broken = rng.random() < 0.35
        for i in range(each):
            place = (half * each + i) * 12
            if i == 0:
                pitch = line.to_chord(what)
            elif broken:
                pitch = line.to_chord(what, 7)
            else:
                pitch = line.by_step()
            cells.append((place, 12, pitch))
        if rng.random() < (0.22 if each == 3 else 0.15):  # the swing of the dance: a long and a short note
            place, _, pitch = cells[-each]
            cells[-each:] = [(place, 24, pitch), cells[-1]] if each == 3 else [(place, 24, pitch), *cells[-each + 2 :]]
    return cells


def _closing(cells: Cells, line: Line, bar: int, beat: int) -> Cells:
    """The bar with the tonic held on its last beat."""
    head = [cell for cell in cells if cell[0] < bar - beat]
    line.at = head[-1][2] if head else line.at
    return [*head, (bar - beat, beat, line.home())]


def _strain(rng: np.random.Generator, line: Line, plan: list[Chord], bar: int, beats: int, each: int) -> list[Cells]:
    """Eight bars of melody: a b a c, d b' a' close, as country-dance tunes go."""
    pairs = [(plan[2 * i], plan[2 * i + 1]) for i in range(8)]
    bars = [_tune_bar(rng, line, pair, beats, each) for pair in pairs]
    if pairs[2] == pairs[0] or rng.random() < 0.5:
        bars[2] = vary(rng, bars[0], line, 0.1)
    if rng.random() < 0.6:
        bars[4] = vary(rng, bars[0], line, 0.15)
        bars[5] = vary(rng, bars[1], line, 0.15)
    if rng.random() < 0.4:
        bars[6] = vary(rng, bars[2], line, 0.3)
    bars[7] = _closing(bars[7], line, bar, each * 12)
    return bars


def _dance(style: str, seed: int, metre: tuple[int, int], beats: int, each: int, tempi: tuple[int, int]) -> Piece:
    rng = np.random.default_rng([seed, beats])
    mode = int(rng.random() < 0.35)
    tonic = int(rng.choice((2, 7, 9, 0) if mode == 0 else (4, 9, 11, 2)))
    sketch = Sketch(metre, tonic, mode, int(rng.integers(*tempi)), style)
    low = 62 if rng.random() < 0.8 else 57
    line = Line(rng, tonic, MINOR if mode else MAJOR, low, low + 21)
    form = str(rng.choice(["AB", "AABB", "AABB", "AAB", "AA"]))
    plans = {part: chords(str(rng.choice(TUNES[mode]))) for part in "AB"}
    strains = {}
    for part in "AB":
        line.at = sketch.near(0, 72 if part == "A" else 76)
        strains[part] = _strain(rng, line, plans[part], sketch.bar, beats, each)
    accompanied = rng.random() < 0.75
    for i, part in enumerate(form):
        for j, cells in enumerate(strains[part]):
            bar = 8 * i + j
            again = i > 0 and form[i - 1] == part and j not in (0, 7)
            play_bar(sketch, bar, vary(rng, cells, line, 0.04) if again else cells)
            if accompanied:
                _boom_chick(sketch, bar, (plans[part][2 * j], plans[part][2 * j + 1]), each)
    return sketch.finish(8 * len(form), f"composed-{style}-{seed}")


def _boom_chick(sketch: Sketch, bar: int, pair: tuple[Chord, Chord], each: int) -> None:
    """A bass note on each half of the bar and a chord after it."""
    start = bar * sketch.bar
    half = sketch.bar // 2
    for i, what in enumerate(pair):
        sketch.low(start + i * half, 12 if each == 3 else 24, what, 0 if i == 0 or pair[0] != what else 7)
        sketch.block(start + i * half + 24, 12 if each == 3 else 24, what, 60)


def jig(seed: int) -> Piece:
    """6/8, two groups of three running eighths."""
    return _dance("jig", seed, (6, 8), 2, 3, (160, 186))


def reel(seed: int) -> Piece:
    """4/4 in running eighths, grouped in fours."""
    return _dance("reel", seed, (4, 4), 2, 4, (176, 224))


MARCH_RHYTHMS = (
    ((0, 18), (18, 6), (24, 24)),
    ((0, 24), (24, 18), (42, 6)),
    ((0, 12), (12, 12), (24, 24)),
    ((0, 18), (18, 6), (24, 18), (42, 6)),
    ((0, 36), (36, 12)),
    ((0, 24), (24, 24)),
)


def march(seed: int) -> Piece:
    """2/4: dotted fanfare rhythms over an oom-pah of root and fifth; strains of sixteen bars, side drum."""
    rng = np.random.default_rng([seed, 24])
    tonic = int(rng.choice((10, 3, 5, 8, 0)))
    sketch = Sketch((2, 4), tonic, 0, int(rng.integers(108, 126)), "march")
    line = Line(rng, tonic, MAJOR, 60, 82)
    drums = rng.random() < 0.6
    form = str(rng.choice(["A", "AB", "AA", "AB"]))
    strains: dict[str, tuple[list[Chord], list[Cells]]] = {}
    for part in "AB":
        plan = chords(str(rng.choice(MARCHES)))
        plan[-2:] = chords("V7 I")
        line.at = sketch.near(0, 70)
        cells = _march_melody(rng, line, plan)
        strains[part] = (plan, cells)
    for i, part in enumerate(form):
        plan, melody = strains[part]
        for j, what in enumerate(plan):
            bar = 16 * i + j
            start = bar * sketch.bar
            play_bar(sketch, bar, melody[j])
            last = j == 15
            sketch.low(start, 24, what)
            sketch.block(start + (0 if last else 24 if rng.random() < 0.5 else 12), 24 if last else 12, what, 58)
            if not last:
                sketch.low(start + 24, 24, what, -5 if rng.random() < 0.7 else 0)
                sketch.block(start + 36, 12, what, 58)
            if drums:
                _side_drum(sketch, start, last)
    return sketch.finish(16 * len(form), f"composed-march-{seed}")


def _march_melody(rng: np.random.Generator, line: Line, plan: list[Chord]) -> list[Cells]:
    rhythm = [MARCH_RHYTHMS[int(rng.integers(len(MARCH_RHYTHMS)))] for _ in range(4)]
    bars: list[Cells] = []
    for j, what in enumerate(plan):
        cells: Cells = []
        for k, (place, duration) in enumerate(rhythm[j % 4]):
            strong = place in (0, 24)
            pitch = line.to_chord(what, 7) if strong or (k and rng.random() < 0.3) else line.by_step()
            cells.append((place, duration, pitch))
        if j in (8, 9) and rng.random() < 0.6:
            cells = vary(rng, bars[j - 8], line, 0.1)
        bars.append(cells)
    bars[7] = [(0, 36, line.to_chord(plan[7]))]
    bars[15] = [(0, 24, line.home())]
    return bars


def _side_drum(sketch: Sketch, start: int, last: bool) -> None:
    sketch.hit(start, 36)
    for place in (0,) if last else (0, 12, 24, 30, 36):
        sketch.hit(start + place, 38)
    if not last:
        sketch.hit(start + 24, 36)


# Right-hand rhythms of a bar of 2/4 in sixteenths: short-long-short syncopation within and across the beat.
RAG_RHYTHMS = (
    ((0, 6), (6, 12), (18, 6), (24, 12), (36, 12)),
    ((0, 6), (6, 12), (18, 12), (30, 6), (36, 12)),
    ((0, 6), (6, 6), (12, 6), (18, 12), (30, 6), (36, 12)),
    ((0, 12), (12, 6), (18, 12), (30, 6), (36, 6), (42, 6)),
    ((6, 6), (12, 6), (18, 12), (30, 6), (36, 12)),
    ((0, 6), (6, 12), (18, 6), (24, 6), (30, 12), (42, 6)),
)


def rag(seed: int) -> Piece:
    """2/4: a syncopated right hand over the left hand's stride; secondary dominants; strains of sixteen bars."""
    rng = np.random.default_rng([seed, 48])
    tonic = int(rng.choice((0, 5, 10, 3, 8, 7)))
    sketch = Sketch((2, 4), tonic, 0, int(rng.integers(72, 100)), "rag")
    line = Line(rng, tonic, MAJOR, 65, 88)
    form = str(rng.choice(["A", "AA", "AB", "AB"]))
    plan: list[Chord] = []
    melody: list[Cells] = []
    for i, part in enumerate(form):
        if i == 0 or part != form[i - 1]:
            plan = chords(str(rng.choice(RAGS)))
            plan[-3:] = chords("II7 V7 I")
            rhythm = [RAG_RHYTHMS[int(rng.integers(len(RAG_RHYTHMS)))] for _ in range(3)]
            line.at = sketch.near(0, 76)
            melody = [_rag_bar(rng, line, what, rhythm[(0, 1, 0, 2)[j % 4]]) for j, what in enumerate(plan)]
            for j in (8, 9, 10):
                melody[j] = vary(rng, melody[j - 8], line, 0.1) if plan[j] == plan[j - 8] else melody[j]
            melody[7] = melody[7][:3]
            melody[15] = [(0, 24, line.home())]
        for j, what in enumerate(plan):
            _stride(sketch, 16 * i + j, what, melody[j], rng, j == 15)
    return sketch.finish(16 * len(form), f"composed-rag-{seed}")


def _rag_bar(rng: np.random.Generator, line: Line, what: Chord, rhythm: tuple[tuple[int, int], ...]) -> Cells:
    cells: Cells = []
    for place, duration in rhythm:
        if duration >= 12 or rng.random() < 0.5:
            pitch = line.to_chord(what, 6)
        else:
            pitch = line.by_step() + (int(rng.random() < 0.12) * -1)  # now and then a chromatic neighbour
        cells.append((place, duration, pitch))
    return cells


def _stride(sketch: Sketch, bar: int, what: Chord, melody: Cells, rng: np.random.Generator, last: bool) -> None:
    """Bass octave, chord, bass on the fifth, chord; long right-hand notes doubled an octave below."""
    start = bar * sketch.bar
    play_bar(sketch, bar, melody)
    for place, duration, pitch in melody:
        if duration >= 12:
            play_bar(sketch, bar, [(place, duration, pitch - 12)])
    steps = ((0, 0),) if last else ((0, 0), (24, -5))
    for place, step in steps:
        root = sketch.near(what.root + step, 43)
        sketch.low(start + place, 12, what, step, 43)
        sketch.low(start + place, 12, what, step, root - 12)
        sketch.block(start + place + 12, 12, what, 58)
    if last and rng.random() < 0.5:
        sketch.add(start + 36, 12, sketch.near(0, 55), CHORDS)
