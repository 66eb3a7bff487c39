"""Who plays what: instruments named in words, given to the four parts of a piece. Knows no notes."""

import re
from collections.abc import Sequence

from studio.errors import InvalidInput
from studio.families.score.arrangement import Voice
from studio.families.score.piece import BASS, CHORDS, DRUMS, MELODY, PARTS
from studio.families.score.styles import style_of
from studio.music.instruments import DRUMS as KIT
from studio.music.instruments import EVERYDAY, Instrument, instrument, instrument_of

MOST = 8
ENSEMBLES = {
    "string quartet": ("violin", "violin", "viola", "cello"),
    "string trio": ("violin", "viola", "cello"),
    "piano trio": ("violin", "piano", "cello"),
    "jazz trio": ("piano", "double bass", "drums"),
    "jazz quartet": ("saxophone", "piano", "upright bass", "drums"),
    "wind trio": ("flute", "clarinet", "bassoon"),
    "woodwind quartet": ("flute", "oboe", "clarinet", "bassoon"),
    "wind quintet": ("flute", "oboe", "clarinet", "horn", "bassoon"),
    "brass quartet": ("trumpet", "trumpet", "horn", "tuba"),
    "brass quintet": ("trumpet", "trumpet", "horn", "trombone", "tuba"),
    "orchestral": ("violin", "oboe", "horn", "cello"),
    "symphonic": ("violin", "oboe", "horn", "cello"),
    "cinematic": ("violin", "horn", "cello"),
    "rock band": ("electric guitar", "electric piano", "bass guitar", "drums"),
}
# Words that mean an instrument only where instruments are listed ("with", "for", "on" before them).
VAGUE = {"beat", "beats", "bottle", "chip", "chiptune", "chorus", "horn", "keys", "lead", "saw", "square", "sweep"} | {
    "alto", "bass", "bells", "orchestra", "soprano", "synth", "tenor", "voice", "voices", "brass band", "drum"
}  # fmt: skip
POLYPHONIC = {"piano", "chromatic percussion", "organ", "guitar", "ensemble", "synth pad", "synth effects"}
LOW = {"Contrabass", "Cello", "Tuba", "Bassoon", "Trombone", "Baritone Sax", "Timpani"}
LISTED = re.compile(r"\b(?:with|for|by|on|played|featuring|and|plus)\b", re.I)
UNWANTED = re.compile(r"\b(?:no|not|without|except) (?:any |a |the )?$")
TWO = re.compile(r"^(?:two|2)\s", re.I)


def instruments_in(words: str) -> list[str]:
    """The instruments that a brief names, in its order; ensembles as their players."""
    plain = words.lower()
    found: list[tuple[int, str]] = []
    for name in sorted({**ENSEMBLES, **EVERYDAY}, key=len, reverse=True):
        for match in re.finditer(rf"\b{re.escape(name)}(?:e?s)?\b", plain):
            before = plain[: match.start()]
            if (name not in VAGUE or LISTED.search(before)) and not UNWANTED.search(before):
                twice = re.search(r"\b(?:two|2) $", before) is not None
                players = ENSEMBLES.get(name, (name,) * (1 + twice))
                found += [(match.start(), player) for player in players]
            plain = before + " " * len(match[0]) + plain[match.end() :]
    return [name for _, name in sorted(found, key=lambda pair: pair[0])][:MOST]


def blanked(words: str) -> str:
    """A brief without the instruments that it names."""
    names = "|".join(re.escape(name) for name in sorted({**ENSEMBLES, **EVERYDAY}, key=len, reverse=True))
    return re.sub(rf"\b(?:{names})(?:e?s)?\b", " ", words, flags=re.I)


def programs_of(text: str) -> list[Instrument]:
    """The instruments of a list such as "cello, piano". InvalidInput names the first that is none."""
    found: list[Instrument] = []
    for name in re.split(r"[,;\n]", text):
        name = name.strip()
        if not name:
            continue
        if name.lower() in ENSEMBLES:
            found += [instrument_of(player) or instrument(0) for player in ENSEMBLES[name.lower()]]
            continue
        meant = instrument_of(name)
        if meant is None:
            said = f"The instrument {name[:60]!r} is not known."
            raise InvalidInput(said, "Name it as in cello, electric guitar, tenor sax or drums.", field="instruments")
        found += [meant] * (2 if TWO.match(name) else 1)
    if len(found) > MOST:
        raise InvalidInput(f"{len(found)} instruments are asked for.", f"At most {MOST}.", field="instruments")
    return found


def voices_for(players: Sequence[Instrument], style: str) -> tuple[tuple[Voice, ...], list[str]]:
    """The voices of a piece of that style for these players, and what could not be met; none: as the style has it."""
    usual = style_of(style)
    pitched = [player for player in players if not player.drums]
    if pitched:
        voices = _pitched(pitched, usual.parts)
    else:
        programs = (*usual.programs, KIT)
        voices = [_voice(part, instrument(programs[part])) for part in usual.parts if part != DRUMS or not players]
    warnings = []
    if len(pitched) < len(players):
        if DRUMS in usual.parts:
            voices.append(_voice(DRUMS, instrument(KIT)))
        else:
            named = f"In the style {style}" if style else "Without a style"
            warnings.append(f"{named} this model writes no drums; march, lo-fi, house, blues and chiptune have them.")
    return tuple(voices), warnings


def _pitched(players: list[Instrument], parts: Sequence[int]) -> list[Voice]:
    """The first has the melody, one of those that are low has the bass, all others share the chords."""
    rest = list(players)
    lead = next(
        (player for player in rest if player.family != "bass" and player.name not in ("Contrabass", "Tuba")), rest[0]
    )
    rest.remove(lead)
    voices = [_voice(MELODY, lead)]
    if not rest:
        return (
            [*voices, *(_voice(part, lead) for part in (CHORDS, BASS) if part in parts)] if _chordal(lead) else voices
        )
    low = next((player for player in reversed(rest) if player.family == "bass" or player.name in LOW), None)
    if low:
        rest.remove(low)
    chordal = next((player for player in rest if _chordal(player)), lead if low and _chordal(lead) else None)
    if chordal in rest:
        rest.remove(chordal)  # takes what is left over
        rest.append(chordal)
    elif chordal:
        rest.append(chordal)
    if not rest and low:
        rest = [] if BASS in parts else [low]
    voices += [_voice(CHORDS, player, rank) for rank, player in enumerate(rest)]
    if low and low not in rest:
        # a style for two hands has its bass in the chords
        voices.append(_voice(BASS, low) if BASS in parts else _voice(CHORDS, low, len(rest), lowest=True))
    elif not low and chordal and BASS in parts:
        voices.append(_voice(BASS, chordal))
    return voices


def _chordal(player: Instrument) -> bool:
    return player.family in POLYPHONIC or player.name in ("Orchestral Harp", "Koto", "Banjo", "Sitar")


def _voice(part: int, player: Instrument, rank: int = 0, *, lowest: bool = False) -> Voice:
    name = PARTS[DRUMS].capitalize() if part == DRUMS else f"{PARTS[part].capitalize()} - {player.name}"
    chords = part == DRUMS or _chordal(player)
    return Voice(part, 0 if part == DRUMS else player.program, name, rank, many=chords, lowest=lowest)
