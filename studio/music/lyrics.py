"""Words under a melody: parted into syllables, laid under its notes, carried along when the notes change.

Knows no file format. A track's lyrics are (tick, syllable): one that goes on ends in "-", and a note over which the
syllable before is held has HELD.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pyphen

from studio.errors import InvalidInput
from studio.music.score import HELD, MAX_EVENTS, QUARTER, Note, Score, Track

LONGEST = 20_000  # characters of words
HOLDING = (0.0, 0.3, 0.8, 1.5)  # what it costs to hold a syllable over one note more, by those it is held over already
EVEN = 4.0  # what it costs that a word comes early or late, by the square of the share of the piece
BARS_A_SYLLABLE = 0.36  # of 4/4, as melodies are sung
# words by which a language is known; where none of them stands, it is the first
COMMON = {
    "en_US": "the and of to in my you is that for with on it her his not are from we all a i me was but be so at",
    "de": "der die das und ist nicht ein eine mit ich du den dem im auf zu es wie von wir",
    "fr": "le la les et des un une est dans je tu que qui pas pour mon ma au du il",
    "es": "el la los y de un una es en que mi no por con las su del se tu al",
    "it": "il la di e che un una è non mi per con del lo gli nel della sono si le",
    "pt": "o a os e de um uma é não que do da em meu minha com por se no na",
    "nl": "de het een en is niet van ik je dat in op met zijn mijn er maar voor aan te",
    "pl": "i w nie na się jest z że do mój moja jak to a ja ty od po był dla",
    "sv": "och det är en ett jag du inte som på med av för min den till har de om vi",
    "ru": "и в не на я что он с как это мой ты по но она из за от мы у",
}
VOWELS = frozenset("aeiouyæøœıаеёиоуыэюяіїєαεηιουω")
# consonants that begin a syllable together
_ONSETS = re.compile(r"(?:[bcdfgkpt][rl]|[cst]h|ph|wh|gh|qu|sch|chr|thr|shr|s[cklmnptw]|str|spr|scr|spl)$")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*", re.U)
_SINGLE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # scripts in which a sign is a syllable


def syllables_of(text: str) -> list[list[str]]:
    """The syllables of each line that has any; those that go on end in "-". Lines like [Chorus] are left out.

    Hyphens that are written part words as they stand; all others are parted by the dictionaries of the language that
    the words are most likely in, and by vowels where a dictionary would not break a line.
    """
    if len(text) > LONGEST:
        raise InvalidInput(f"The lyrics have {len(text):,} characters.", f"Give at most {LONGEST:,}.", field="lyrics")
    language = language_of(text)
    lines = []
    for line in text.splitlines():
        if re.fullmatch(r"\s*[\[(].*[\])]\s*:?\s*", line):
            continue
        parts = [part for word in line.split() for part in _parted(word, language)]
        if parts:
            lines.append(parts)
    return lines


def language_of(text: str) -> str:
    """The name of a pyphen dictionary."""
    words = [word.lower() for word in _WORD.findall(text)]
    counts = {name: sum(word in known.split() for word in words) for name, known in COMMON.items()}
    return max(counts, key=lambda name: counts[name])


def _parted(word: str, language: str) -> list[str]:
    """One word with its punctuation."""
    pieces: list[str] = []
    for piece in re.split(r"(?<=\w)-+(?=\w)", word):
        if _SINGLE.search(piece):
            pieces += re.findall(rf"{_SINGLE.pattern}[^\w]*|[^\W_]+[^\w]*", piece)
            continue
        found = _WORD.search(piece)
        if not found:
            if pieces and piece.strip("-–—"):
                pieces[-1] += piece  # signs that stand alone belong to the syllable before
            continue
        whole = list(_inner(found[0], language))
        whole[0] = piece[: found.start()] + whole[0]
        whole[-1] += piece[found.end() :]
        pieces += whole
    clean = [piece.replace("_", "").replace("-", "").strip() for piece in pieces]
    clean = [piece for piece in clean if piece]
    return [piece + "-" for piece in clean[:-1]] + clean[-1:]


@lru_cache(maxsize=4096)
def _inner(word: str, language: str) -> tuple[str, ...]:
    """A word of letters alone."""
    points = pyphen.Pyphen(lang=language, left=2, right=2).positions(word)
    ends = [*points, len(word)]
    pieces = [word[a:b] for a, b in zip([0, *points], ends, strict=True)]
    english = language.startswith("en")
    return tuple(part for i, piece in enumerate(pieces) for part in _by_vowels(piece, english, i == len(pieces) - 1))


def _by_vowels(piece: str, english: bool, last: bool) -> list[str]:
    """Parted before each vowel but the first, together with the consonants that begin its syllable."""
    plain = _plain(piece)
    groups = [found.span() for found in re.finditer(f"[{''.join(VOWELS)}]+", re.sub("qu", "qq", plain))]
    if groups and plain.startswith("y") and len(plain) > 1 and groups[0] != (0, 1):
        groups[0] = (1, groups[0][1])  # a consonant: yes, you
    if english and last and len(groups) > 1 and _mute(plain, groups[-1][0]):
        groups.pop()
    cuts = []
    for (_, end), (begin, _) in zip(groups, groups[1:], strict=False):
        between = plain[end:begin]
        together = _ONSETS.search(between)
        cuts.append(begin - (len(together[0]) if together else min(len(between), 1)))
    return [piece[a:b] for a, b in zip([0, *cuts], [*cuts, len(piece)], strict=True)]


def _plain(text: str) -> str:
    """In small letters without accents, of the same length."""
    signs = (unicodedata.normalize("NFD", sign)[0].lower() for sign in text)
    return "".join(sign[:1] or " " for sign in signs)


def _mute(word: str, at: int) -> bool:
    """Whether the last vowel of an English word is an e that is not spoken: love, loved, loves."""
    end = word[at:]
    if end == "e":
        return not re.search(r"[^aeiouylr]l$|[aeiouy]$", word[:at])
    if end == "ed":
        return word[at - 1] not in "td"
    return end == "es" and word[at - 1] not in "szxcg" and word[at - 2 : at] not in ("sh", "ch")


def bars_for(text: str, metre: tuple[int, int], most: int) -> int:
    """How many bars of a melody such words want, in fours; 8 to `most`."""
    many = sum(map(len, syllables_of(text)))
    bars = many * BARS_A_SYLLABLE * metre[1] / metre[0]
    return min(max(4 * math.ceil(bars / 4), 8), most)


def melody_of(score: Score) -> int | None:
    """The track that is sung: the first that has words, else the first that is no percussion; None without notes."""
    able = [index for index, track in enumerate(score.tracks) if track.notes and not track.drums]
    return next((index for index in able if score.tracks[index].lyrics), able[0] if able else None)


def line_of(track: Track) -> list[Note]:
    """The highest note at each onset."""
    line: dict[int, Note] = {}
    for note in track.notes:
        if note.onset not in line or note.pitch > line[note.onset].pitch:
            line[note.onset] = note
    return [line[tick] for tick in sorted(line)]


def with_words(score: Score, text: str) -> tuple[Score, str]:
    """The words under the melody, and a sentence about those that found no note or ""."""
    lines = syllables_of(text)
    at = melody_of(score)
    if not lines or at is None:
        return score, ""
    track = score.tracks[at]
    lyrics, rest = lay(line_of(track), lines, score)
    sung = replace(track, lyrics=tuple(lyrics))
    many = sum(map(len, lines))
    left = f"The words have {many} syllables and the melody {many - len(rest)} notes: it ends before {_shown(rest)}."
    tracks = (*score.tracks[:at], sung, *score.tracks[at + 1 :])
    return replace(score, tracks=tracks), f"{left} Ask for more bars or give fewer words." if rest else ""


def carried(before: Score, after: Score) -> tuple[Score, str]:
    """The words of a score under its changed notes, and a sentence about those that found no note or "".

    What stands before and behind the notes that changed stays; between, the words are laid anew. Where the track that
    was sung is gone, they go to the melody.
    """
    at = melody_of(before)
    if at is None or not before.tracks[at].lyrics:
        return after, ""
    old = before.tracks[at]
    same = [k for k, track in enumerate(after.tracks) if (track.name, track.program) == (old.name, old.program)]
    silent = replace(after, tracks=tuple(replace(track, lyrics=()) for track in after.tracks))
    to = at if at in same else same[0] if same else melody_of(silent)
    if to is None or not after.tracks[to].notes:
        return silent, ""
    track = after.tracks[to]
    lyrics, rest = _moved(old, track, after)
    said = f"The melody has too few notes now: it ends before {_shown(rest)}. Give it more notes." if rest else ""
    sung = replace(track, lyrics=tuple(lyrics))
    return replace(silent, tracks=(*silent.tracks[:to], sung, *silent.tracks[to + 1 :])), said


def _moved(old: Track, track: Track, score: Score) -> tuple[list[tuple[int, str]], list[str]]:
    """Lyrics of `old` under the notes of `track`, and the syllables that are left."""
    was, line = [note.onset for note in line_of(old)], line_of(track)
    now = [note.onset for note in line]
    head = next((k for k, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), min(len(was), len(now)))
    behind = zip(reversed(was[head:]), reversed(now[head:]), strict=False)
    tail = next((k for k, (a, b) in enumerate(behind) if a != b), min(len(was), len(now)) - head)
    if len(was) == len(now):
        places = dict(zip(was, now, strict=True))
        return sorted((places.get(tick, tick), text) for tick, text in old.lyrics), []
    first = was[head] if head < len(was) else score.length + 1
    last = was[len(was) - tail] if tail else score.length + 1
    kept = [pair for pair in old.lyrics if pair[0] < first]
    inner = [text for tick, text in old.lyrics if first <= tick < last and text != HELD]
    ends = [pair for pair in old.lyrics if pair[0] >= last]
    middle = line[head : len(line) - tail]
    if len(inner) > len(middle):  # the rest of the piece moves along
        inner += [text for _, text in ends if text != HELD]
        middle, ends = line[head:], []
    lyrics, rest = lay(middle, [inner] if inner else [], score)
    return [*kept, *lyrics, *ends], rest


def _shown(rest: Sequence[str]) -> str:
    words = " ".join(rest[:6]).replace("- ", "").rstrip("-")
    return f"“{words}…”" if len(rest) > 6 else f"“{words}”"


def lay(line: Sequence[Note], lines: Sequence[Sequence[str]], score: Score) -> tuple[list[tuple[int, str]], list[str]]:
    """Syllables under the notes of a melody in time, and those for which there is no note.

    Where there are more notes, the shortest way is looked for (Viterbi) on which syllables are held over short,
    unaccented notes that follow without a rest, lines begin on accents or after rests, and words come evenly.
    """
    syllables = [syllable for words in lines for syllable in words]
    starts, count = set(), 0
    for words in lines:
        starts.add(count)
        count += len(words)
    notes = line[:MAX_EVENTS]
    if not syllables or not notes:
        return [], syllables
    if len(syllables) >= len(notes):
        return [(note.onset, text) for note, text in zip(notes, syllables, strict=False)], syllables[len(notes) :]
    accents = [_accent(score, notes, k) for k in range(len(notes))]
    begins = np.array([j in starts for j in range(len(syllables))])
    taken = _path(np.array(accents), begins)
    found, at = [], 0
    for note, takes in zip(notes, taken, strict=True):
        found.append((note.onset, syllables[at] if takes else HELD))
        at += takes
    return found, []


def _accent(score: Score, notes: Sequence[Note], k: int) -> float:
    """How much a note wants a syllable of its own, 0 to 1; 2 after a rest."""
    note = notes[k]
    if not k or note.onset - (notes[k - 1].onset + notes[k - 1].duration) >= QUARTER // 2:
        return 2.0
    starts = score.bar_starts
    bar = starts[int(np.searchsorted(starts, note.onset, "right")) - 1] if starts else 0
    place = note.onset - bar
    strong = 0.5 if not place else 0.3 if not place % QUARTER else 0.1 if not place % (QUARTER // 2) else 0.0
    leap = abs(note.pitch - notes[k - 1].pitch)
    return strong + min(note.duration / QUARTER, 1.0) * 0.3 + (0.2 if not leap or leap > 2 else 0.0)


def _path(accents: np.ndarray, begins: np.ndarray) -> list[bool]:
    """Of each note whether it takes the next syllable, at the least cost; the first does. More notes than syllables."""
    many, words = len(accents), len(begins)
    cost = np.full((len(HOLDING), words + 1), np.inf)  # by the notes that the last syllable is held, by syllables
    cost[0, 0] = 0.0
    came = np.zeros((many, len(HOLDING), words + 1), np.int8)  # from which row of `cost`
    places = np.arange(words + 1) / words
    for k, accent in enumerate(accents.tolist()):
        after = np.full_like(cost, np.inf)
        came[k, 0, 1:] = cost[:, :-1].argmin(0)
        after[0, 1:] = cost[:, :-1].min(0) + np.where(begins, 0.6 * max(1.0 - accent, 0.0), 0.0)
        held = cost + accent + np.array(HOLDING)[:, None]
        held[:, 0] = np.inf  # nothing is held before the first word
        after[1:] = held[:-1]
        came[k, 1:] = np.arange(len(HOLDING) - 1)[:, None]
        longer = held[-1] < after[-1]
        after[-1, longer], came[k, -1, longer] = held[-1, longer], len(HOLDING) - 1
        cost = after + EVEN * ((k + 1) / many - places) ** 2
    at, row = words, int(cost[:, words].argmin())
    found = []
    for k in range(many - 1, -1, -1):
        takes = row == 0
        row = int(came[k, row, at])
        found.append(takes)
        at -= takes
    return found[::-1]
