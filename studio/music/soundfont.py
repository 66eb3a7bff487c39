"""Reads SoundFont 2 files (SoundFont Technical Specification 2.04) and their Vorbis-packed kin, SF3: presets, their
zones and samples. Knows no notes in time and makes no sound.
"""

import importlib.util
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from studio.errors import InvalidInput, NotFound

Floats = NDArray[np.floating]
HINT = "Choose an .sf2 or .sf3 file."
LARGEST = 4_000_000_000  # bytes
# Generators by their number in the specification
START, END, LOOP_START, LOOP_END, START_COARSE = 0, 1, 2, 3, 4
MOD_LFO_PITCH, VIBRATO_PITCH, MOD_ENV_PITCH, CUTOFF, RESONANCE, MOD_LFO_CUTOFF, MOD_ENV_CUTOFF, END_COARSE = range(
    5, 13
)
PAN = 17
MOD_LFO_DELAY, MOD_LFO_RATE, VIBRATO_DELAY, VIBRATO_RATE = 21, 22, 23, 24
MOD_DELAY, MOD_ATTACK, MOD_HOLD, MOD_DECAY, MOD_SUSTAIN = 25, 26, 27, 28, 29
DELAY, ATTACK, HOLD, DECAY, SUSTAIN, RELEASE, KEY_TO_HOLD, KEY_TO_DECAY = range(33, 41)
INSTRUMENT, KEYS, VELOCITIES, LOOP_START_COARSE, ATTENUATION, LOOP_END_COARSE = 41, 43, 44, 45, 48, 50
COARSE_TUNE, FINE_TUNE, SAMPLE, MODES, SCALE, EXCLUSIVE, ROOT = 51, 52, 53, 54, 56, 57, 58
_DEFAULTS = {CUTOFF: 13500, SCALE: 100, ROOT: -1} | dict.fromkeys(
    (MOD_LFO_DELAY, VIBRATO_DELAY, MOD_DELAY, MOD_ATTACK, MOD_HOLD, MOD_DECAY, *range(DELAY, SUSTAIN), RELEASE), -12000
)
# what a preset may not add to its instruments
_ABSOLUTE = {
    *(START, END, LOOP_START, LOOP_END, START_COARSE, END_COARSE, LOOP_START_COARSE, LOOP_END_COARSE),
    *(INSTRUMENT, KEYS, VELOCITIES, SAMPLE, MODES, EXCLUSIVE, ROOT),
}
_RECORDS = {
    "phdr": [("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("rest", "V12")],
    "pbag": [("generator", "<u2"), ("modulator", "<u2")],
    "pgen": [("kind", "<u2"), ("amount", "<i2")],
    "inst": [("name", "S20"), ("bag", "<u2")],
    "ibag": [("generator", "<u2"), ("modulator", "<u2")],
    "igen": [("kind", "<u2"), ("amount", "<i2")],
    "shdr": [
        ("name", "S20"),
        ("start", "<u4"),
        ("end", "<u4"),
        ("loop_start", "<u4"),
        ("loop_end", "<u4"),
        ("rate", "<u4"),
        ("root", "u1"),
        ("correction", "i1"),
        ("link", "<u2"),
        ("kind", "<u2"),
    ],
}
_VORBIS = 0x10  # of a sample's kind, in SF3


@dataclass(frozen=True, eq=False)
class Zone:
    """One sample of an instrument: for which keys and velocities (inclusive), and all its generators."""

    keys: tuple[int, int]
    velocities: tuple[int, int]
    generators: dict[int, int]
    sample: int

    def __getitem__(self, generator: int) -> int:
        return self.generators.get(generator, _DEFAULTS.get(generator, 0))


@dataclass(frozen=True)
class Sample:
    """`frames` in -1..1; the loop is [loop_start, loop_end) within them; `root` the MIDI pitch, with cents."""

    frames: Floats
    loop_start: int
    loop_end: int
    rate: int
    root: int
    cents: int


class SoundFont:
    """An opened file; what is asked for is read from it then. Nothing of it changes, so threads may share it."""

    def __init__(self, path: Path) -> None:
        try:
            if path.stat().st_size > LARGEST:
                raise InvalidInput(f"{path.name} is larger than {LARGEST // 10**9} GB.", HINT)
            self._bytes = np.memmap(path, np.uint8, "r")
        except (OSError, ValueError) as problem:
            raise InvalidInput(f"{path.name} cannot be read: {problem}.", HINT) from problem
        self.name = path.stem
        chunks = dict(self._chunks(path.name))
        if "smpl" not in chunks or not all(record in chunks for record in _RECORDS):
            raise InvalidInput(f"{path.name} is no SoundFont, or not a whole one.", HINT)
        self._samples = chunks["smpl"]
        self._tables = {
            name: np.frombuffer(self._bytes[begin : begin + size // width * width].tobytes(), kind)
            for name, (begin, size) in chunks.items()
            if name in _RECORDS
            for kind in [np.dtype(_RECORDS[name])]
            for width in [kind.itemsize]
        }
        headers = self._tables["phdr"][:-1]
        self.presets = {(int(row["bank"]), int(row["program"])): index for index, row in enumerate(headers)}
        if not self.presets:
            raise InvalidInput(f"{path.name} holds no instrument.", HINT)

    def _chunks(self, name: str) -> Iterator[tuple[str, tuple[int, int]]]:
        """Name, first byte and size of every chunk inside the lists of the file."""
        data = self._bytes
        if len(data) < 12 or data[:4].tobytes() != b"RIFF" or data[8:12].tobytes() != b"sfbk":
            raise InvalidInput(f"{name} is no SoundFont.", HINT)
        at = 12
        while at + 8 <= len(data):
            kind, size = struct.unpack("<4sI", data[at : at + 8].tobytes())
            if kind == b"LIST":
                at += 12
                continue
            if at + 8 + size > len(data):
                raise InvalidInput(f"{name} breaks off.", "Fetch the file once more.")
            yield kind.decode("latin-1"), (at + 8, size)
            at += 8 + size + size % 2

    def zones(self, program: int, *, drums: bool = False) -> tuple[Zone, ...]:
        """The zones of a General MIDI program or drum kit; where the file lacks it, of the nearest that it has."""
        bank = 128 if drums else 0
        for place in ((bank, program), (bank, program // 8 * 8), (bank, 0)):
            if place in self.presets:
                return self._zones_of(self.presets[place])
        return self._zones_of(next(iter(self.presets.values())))

    def _zones_of(self, preset: int) -> tuple[Zone, ...]:
        found = []
        for added in self._bags("p", "phdr", preset, INSTRUMENT):
            for own in self._bags("i", "inst", added[INSTRUMENT], SAMPLE):
                keys, velocities = (
                    (max(a[0], b[0]), min(a[1], b[1]))
                    for a, b in ((_range(added, kind), _range(own, kind)) for kind in (KEYS, VELOCITIES))
                )
                if keys[0] <= keys[1] and velocities[0] <= velocities[1]:
                    whole = dict(own)
                    for kind, amount in added.items():
                        if kind not in _ABSOLUTE:
                            whole[kind] = whole.get(kind, _DEFAULTS.get(kind, 0)) + amount
                    found.append(Zone(keys, velocities, whole, own[SAMPLE] & 0xFFFF))
        return tuple(found)

    def _bags(self, letter: str, headers: str, index: int, end: int) -> Iterator[dict[int, int]]:
        """The generators of each zone that names its `end`, those of a global first zone beneath them."""
        table, bags, generators = self._tables[headers], self._tables[letter + "bag"], self._tables[letter + "gen"]
        if not 0 <= index < len(table) - 1:
            return
        shared: dict[int, int] = {}
        for bag in range(int(table["bag"][index]), min(int(table["bag"][index + 1]), len(bags) - 1)):
            rows = generators[int(bags["generator"][bag]) : int(bags["generator"][bag + 1])]
            zone = {int(row["kind"]): int(row["amount"]) for row in rows}
            if end in zone:
                yield shared | zone
            elif not shared:
                shared = zone

    def sample(self, zone: Zone) -> Sample:
        """The recording of a zone with the zone's own start, end and loop."""
        header = self._tables["shdr"][zone.sample]
        begin, end = int(header["start"]), int(header["end"])
        first, size = self._samples
        if int(header["kind"]) & _VORBIS:
            packed = self._bytes[first + begin : first + end].tobytes()
            frames = soundfile.read(io.BytesIO(packed), dtype="float32")[0]
            loop = int(header["loop_start"]), int(header["loop_end"])
        else:
            end = min(end, size // 2)
            frames = self._bytes[first + 2 * begin : first + 2 * end].view("<i2").astype(np.float32) / 32768
            loop = int(header["loop_start"]) - begin, int(header["loop_end"]) - begin
        cut = max(zone[START] + 32768 * zone[START_COARSE], 0)
        stop = len(frames) + min(zone[END] + 32768 * zone[END_COARSE], 0)
        return Sample(
            frames=np.asarray(frames[cut:stop], np.float32),
            loop_start=loop[0] + zone[LOOP_START] + 32768 * zone[LOOP_START_COARSE] - cut,
            loop_end=min(loop[1] + zone[LOOP_END] + 32768 * zone[LOOP_END_COARSE], stop) - cut,
            rate=int(header["rate"]) or 44100,
            root=zone[ROOT] if zone[ROOT] >= 0 else min(int(header["root"]), 127),
            cents=int(header["correction"]),
        )


def _range(generators: dict[int, int], kind: int) -> tuple[int, int]:
    amount = generators.get(kind, 0x7F00) & 0xFFFF
    return amount & 0xFF, amount >> 8


def default_soundfont() -> Path:
    """The General MIDI soundfont that is installed with the program. NotFound if it is not."""
    spec = importlib.util.find_spec("pretty_midi")  # found, never imported: its package carries the file
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, "TimGM6mb.sf2")
        if path.is_file():
            return path
    raise NotFound("The General MIDI soundfont is not installed.", "Install the program again, or choose a soundfont.")


def soundfonts(home: Path) -> dict[str, Path]:
    """The installed soundfonts by name, the one that comes with the program first; others lie in home/soundfonts."""
    default = default_soundfont()
    found = {default.stem: default}
    for path in sorted(Path(home, "soundfonts").glob("*")):
        if path.suffix.lower() in (".sf2", ".sf3"):
            found[path.stem] = path
    return found


def soundfont_named(name: str, home: Path) -> str:
    """The path of the soundfont of that name; "" for the built-in one, which has the empty name. NotFound."""
    if not name:
        return ""
    known = soundfonts(home)
    if name not in known:
        said = f"There is no soundfont {name[:80]!r}."
        hint = f"Put its file into {Path(home, 'soundfonts')}, or choose one of: {', '.join(known)}."
        raise NotFound(said, hint, field="soundfont")
    return str(known[name])


def open_soundfont(path: str = "") -> SoundFont:
    """The soundfont at a path, or the default. NotFound, InvalidInput."""
    chosen = Path(path) if path else default_soundfont()
    if not chosen.is_file():
        raise NotFound(f"There is no soundfont {chosen.name}.", "Choose another one, or put its file back.")
    return _opened(chosen, chosen.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _opened(path: Path, _changed: int) -> SoundFont:
    return SoundFont(path)
