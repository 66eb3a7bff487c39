"""From the settings and words of a request to what the model is told, and to what is done around it. Knows no model."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from studio.errors import InvalidInput
from studio.families.score.arrangement import Setting, fifths_of
from studio.families.score.briefs import read_brief, unmet
from studio.families.score.instruments import programs_of, voices_for
from studio.families.score.params import DENSITIES, MOST_BARS, SLOWEST
from studio.families.score.piece import METRES, MODES, STYLES, TONICS
from studio.families.score.styles import TONICS as USUAL_TONICS
from studio.families.score.styles import style_of
from studio.families.score.vocabulary import ANY, CONTROLS, TEMPI, Vocabulary, class_of
from studio.music.lyrics import bars_for

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@dataclass(frozen=True)
class Wish:
    """What a piece shall be like; None leaves a control open. `bars` 1 to 48, `tempo` and `density` classes 0 to 4."""

    style: str | None
    bars: int
    metre: tuple[int, int] = (4, 4)
    tonic: int = 0
    mode: int | None = 0
    tempo: int | None = None
    density: int | None = None
    opens: bool = True
    closes: bool = True

    def head(self, vocabulary: Vocabulary) -> list[int]:
        """The tokens before the first bar."""
        said = {
            "style": ANY if self.style is None else STYLES[STYLES.index(self.style)],
            "mode": ANY if self.mode is None else MODES[self.mode],
            "key": TONICS[self.tonic],
            "metre": "{}/{}".format(*METRES[METRES.index(self.metre)]),
            "tempo": ANY if self.tempo is None else self.tempo,
            "density": ANY if self.density is None else self.density,
            "opens": "yes" if self.opens else "no",
            "closes": "yes" if self.closes else "no",
        }
        return [vocabulary.ids["BEGIN"], *(vocabulary.ids[f"{control}={said[control]}"] for control in CONTROLS)]


@dataclass(frozen=True)
class Asked:
    """What a brief comes to: a wish for the model, a setting for the score, and what had to be bent."""

    wish: Wish
    setting: Setting
    warnings: tuple[str, ...] = ()
    named: bool = False  # whether instruments were
    sung: bool = False  # whether there are words

    @property
    def key(self) -> str:
        """As in the settings: "F#m"."""
        return key_name(self.setting.fifths, self.setting.mode)


def key_name(fifths: int, mode: int) -> str:
    """ "F#m" of 3 sharps and minor."""
    place = fifths + 3 * mode + 1  # in the circle of fifths, from F
    letter = "FCGDAEB"[place % 7]
    signs = place // 7
    return letter + ("#" * signs if signs > 0 else "b" * -signs) + "m" * mode


def key_of(text: str) -> tuple[int, int, int]:
    """(tonic, mode, sharps or -flats) of a name such as "F#m"."""
    mode = int(text.endswith("m"))
    name = text.removesuffix("m")
    tonic = (LETTERS[name[0]] + name.count("#") - name[1:].count("b")) % 12
    fifths = fifths_of(tonic, mode)
    if "#" in name and fifths < 0 and fifths + 12 <= 7:
        fifths += 12
    elif "b" in name[1:] and fifths > 0 and fifths - 12 >= -7:
        fifths -= 12
    return tonic, mode, fifths


def settled(params: Mapping[str, Any], words: str) -> dict[str, Any]:
    """The settings, with what the words say where the settings are silent; "mode" as the words have it, or ""."""
    names = ("style", "key", "metre", "tempo", "bars", "instruments", "density")
    given = {name: params.get(name) for name in names if params.get(name)}
    said = read_brief(words, given)
    return {"mode": "", **dict.fromkeys(names, ""), **said, **given}


def asked(params: Mapping[str, Any], words: str, chance: np.random.Generator, known: Collection[str] = STYLES) -> Asked:
    """The wish and the setting of one take. What is left open is drawn from what is usual in the style. `known`: styles
    that the model has learnt. InvalidInput names the wrong field."""
    found = settled(params, words)
    warnings = unmet(words)
    style = str(found["style"])
    if style and style not in known:
        warnings.append(f"This model does not know the style {style}; it is left open.")
        style = ""
    usual = style_of(style)
    if style and not found["metre"]:
        metre = usual.metres[0]
    else:
        beats, unit = str(found["metre"] or "4/4").split("/")
        metre = (int(beats), int(unit))
        if style and metre not in usual.metres:
            first = "{}/{}".format(*usual.metres[0])
            warnings.append(
                f"The model knows the style {style} in {first}; in {found['metre']} it may not sound like it."
            )
    tempo = float(found["tempo"] or usual.tempo)
    if tempo < SLOWEST:
        raise InvalidInput(
            f"The tempo is {tempo:g}.", f"Ask for {SLOWEST:g} or more quarter notes a minute.", field="tempo"
        )
    draws = chance.random(2)
    if found["key"]:
        tonic, mode, fifths = key_of(str(found["key"]))
    else:
        mode = MODES.index(found["mode"]) if found["mode"] else int(draws[0] >= usual.major)
        tonic = USUAL_TONICS[mode][int(draws[1] * len(USUAL_TONICS[mode]))]
        fifths = fifths_of(tonic, mode)
    voices, bent = voices_for(programs_of(str(found["instruments"])), style)
    density = DENSITIES.index(found["density"]) if found["density"] else None
    lyrics = str(params.get("lyrics") or "")
    bars = int(found["bars"] or (bars_for(lyrics, metre, MOST_BARS) if lyrics.strip() else usual.bars))
    tempo_class = class_of(tempo, TEMPI) if found["tempo"] else None
    wish = Wish(style or None, bars, metre, tonic, mode, tempo_class, density)
    return Asked(
        wish,
        Setting(metre, bars, fifths, mode, tempo, voices, words.strip()[:120]),
        (*warnings, *bent),
        bool(found["instruments"]),
        bool(lyrics.strip()),
    )
