"""The fields of the Music panel as components: what every mode has, and those that one mode alone has."""

import secrets
from collections.abc import Mapping
from typing import Any

from studio.families import family
from studio.families.audio.folders import can_be_taught, clones, makes_songs, voices_of
from studio.families.family import Param
from studio.music.soundfont import soundfonts
from studio.studio import Studio
from studio.types import Model
from studio.ui import composing, form
from studio.ui.composing import COUNT, PANEL, TASKS
from studio.ui.fast_gradio import gradio as gr
from studio.ui.widgets import ModelMenu, ModelWishes, PromptNotes, StartScore, VoiceRecording

WISHED = (  # follow the model
    "temperature",
    "top_p",
    "bars",
    "seconds",
    "guidance_scale",
    "num_inference_steps",
    "audio.temperature",
    "audio.top_p",
    "speech.temperature",
)
# rows of fields by mode; what a family declares beyond them stands in a fold below
ROWS = {
    "score": (("style", "key"), ("metre", "tempo", "bars"), ("instruments", "density"), ("lyrics",)),
    "audio": (("lyrics",), ("seconds", "guidance_scale", "num_inference_steps"), ("negative_prompt",)),
    "speech": (("voice", "speed"), ("language", "pause")),
}
SONG = (("bpm", "timesignature"), ("keyscale", "vocal_language"))  # of models that make songs
FOLDED = {  # by the title of the fold
    "score": {"Sampling": ("temperature", "top_p"), "Sound": ("reverb", "lufs")},
    "audio": {"Sampling": ("temperature", "top_k", "top_p"), "Cover": ("strength",)},
    "speech": {"Sampling": ("temperature",)},
}
FREE = {
    "tempo": "Tempo (0: auto)",
    "bars": "Bars (0: auto)",
    "bpm": "Beats a minute (0: auto)",
}  # numbers for which 0 leaves it to the words
LABELS = {"strength": "Change (0: near what is covered)", "pause": "Pause (seconds)"}
PLACEHOLDERS = {"instruments": "cello, piano", "lyrics": "Words to sing", "language": "eng, deu …"}
SUNG_IN = (
    ("by the letters", ""),
    ("English", "en"),
    ("Chinese", "zh"),
    ("Japanese", "ja"),
    ("Korean", "ko"),
    ("Spanish", "es"),
    ("French", "fr"),
    ("German", "de"),
    ("Italian", "it"),
    ("Portuguese", "pt"),
    ("Russian", "ru"),
    ("Ukrainian", "uk"),
    ("Polish", "pl"),
    ("Dutch", "nl"),
    ("Turkish", "tr"),
    ("Arabic", "ar"),
    ("Hebrew", "he"),
    ("Hindi", "hi"),
    ("Vietnamese", "vi"),
)
KEYS = ("", *(tonic + mode for mode in ("", "m") for tonic in "C Db D Eb E F F# G Ab A Bb B".split()))


class MusicFields:
    """Draws them where it is constructed; `fields` are those that are settings, by name."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.fields: dict[str, Any] = {}
        self.groups: dict[str, Any] = {}
        self.draw()

    # --- drawing

    def draw(self) -> None:
        fields, models = self.fields, self.models("score")
        fields["mode"] = gr.Radio(
            list(composing.MODES), value="score", label="Mode", elem_id="music-mode", interactive=True
        )
        fields["prompt"] = gr.Textbox(
            label="Brief",
            lines=3,
            max_lines=14,
            elem_id="music-prompt",
            max_length=20_000,
            placeholder="A sad slow waltz in D minor for cello and piano, 16 bars",
        )
        self.notes = PromptNotes(PANEL)
        for mode in TASKS:
            with gr.Column(visible=mode == "score", elem_id=f"music-{mode}-fields") as self.groups[mode]:
                self.draw_mode(mode)
        fields["model"] = ModelMenu(
            models,
            value=models[0][1] if models else None,
            label="Model",
            elem_id="music-model",
            interactive=True,
            info=described(self.first("score"), "score"),
        )
        with gr.Row():
            first = secrets.randbelow(form.MAX_SEED)
            fields["seed"] = gr.Number(first, label="Seed", precision=0, elem_id="music-seed", min_width=80)
            fields["lock"] = gr.Checkbox(value=False, label="Lock", elem_id="music-lock", min_width=60)
        fields[COUNT] = gr.Slider(
            1, 8, value=3, step=1, label="Takes", elem_id="music-count", buttons=[], interactive=True
        )
        self.wishes = ModelWishes(PANEL, self.wished())

    def draw_mode(self, mode: str) -> None:
        declared = {param.name: param for param in family(composing.FAMILIES[mode]).params(TASKS[mode])}
        model = self.first(mode)
        for row in ROWS[mode]:
            with gr.Row():
                for name in row:
                    if name in declared:
                        self.setting(declared[name], mode, model)
        if mode == "audio":
            with gr.Column(visible=songs(model), elem_id="music-song", elem_classes=["gap-less"]) as self.song:
                for row in SONG:
                    with gr.Row():
                        for name in row:
                            self.setting(declared[name], mode, model)
            taught = self.loras()
            with gr.Row(visible=takes_loras(model) and len(taught) > 1, elem_id="music-lora-row") as self.lora_row:
                self.fields["adapter"] = gr.Dropdown(
                    taught, value="", label="LoRA", elem_id="music-adapter", interactive=True, min_width=120, scale=2
                )
                self.fields["adapter_weight"] = gr.Number(
                    1.0, label="Weight", elem_id="music-adapter-weight", min_width=60
                )
        if mode == "speech":
            self.recording = VoiceRecording(PANEL, speaks_as(model))
        if mode == "score":
            with gr.Accordion("Begin with notes", open=False, elem_id="music-start-fold") as self.start_fold:
                self.start = StartScore(PANEL)
        for title, names in FOLDED[mode].items():
            folded = [name for name in names if name in declared]
            if folded:
                with gr.Accordion(title, open=False, elem_id=f"music-{mode}-{title.lower()}"):
                    with gr.Row():
                        for name in folded:
                            self.setting(declared[name], mode, model)
                    if title == "Sound":
                        self.setting(declared["soundfont"], mode, model)

    def setting(self, param: Param, mode: str, model: Model | None) -> None:
        """One field; a name that two modes share gets one component in each, the second under `mode.name`."""
        name = param.name if param.name not in self.fields else f"{mode}.{param.name}"
        wanted = self.defaults(model, mode).get(param.name, param.default)
        elem_id = form.elem_id(PANEL, name.replace(".", "-"))
        if param.name in ("voice", "soundfont", "vocal_language"):
            self.fields[name] = self.menu(param, elem_id, model)
        elif param.name == "key" or (param.choices and "" in param.choices):
            offered = KEYS if param.name == "key" else param.choices
            choices = [(shown(param.name, choice), choice) for choice in offered]
            self.fields[name] = gr.Dropdown(
                choices,
                value=str(param.default or ""),
                label=param.label or param.name,
                elem_id=elem_id,
                interactive=True,
                min_width=80,
            )
        elif param.type is str and not param.choices:
            self.fields[name] = gr.Textbox(
                label=param.label or param.name,
                placeholder=PLACEHOLDERS.get(param.name, ""),
                lines=3 if param.name == "lyrics" else 1,
                max_lines=12 if param.name == "lyrics" else 1,
                info="A syllable a note of the melody" if name == "lyrics" else None,
                elem_id=elem_id,
                interactive=True,
                min_width=80,
            )
        else:
            label = FREE.get(param.name) or LABELS.get(param.name) or param.label or param.name
            self.fields[name] = form.field(param, PANEL, typed=True, value=wanted, elem_id=elem_id, label=label)

    def menu(self, param: Param, elem_id: str, model: Model | None) -> gr.Dropdown:
        """A list of names; where more may be meant than those, one that takes typed text."""
        choices = {"voice": voices(model), "soundfont": self.soundfonts(), "vocal_language": list(SUNG_IN)}[param.name]
        kind = ModelMenu if param.name == "soundfont" else gr.Dropdown
        return kind(
            choices,
            value="",
            label=param.label,
            allow_custom_value=param.name != "soundfont",
            elem_id=elem_id,
            interactive=True,
            min_width=80,
        )

    # --- what there is to choose from

    def soundfonts(self) -> list[tuple[str, str]]:
        """The built-in one, then the files of the home's soundfonts folder."""
        _, *own = soundfonts(self.studio.settings.home)
        return [("the built-in one", ""), *((name, name) for name in own)]

    def models(self, mode: str) -> list[tuple[str, str]]:
        return [(model.name, model.id) for model in self.studio.catalog.models(TASKS[mode])]

    def loras(self) -> list[tuple[str, str]]:
        """Adapters that were taught to a model of sounds here, with its name."""
        return form.taught(self.studio, "audio")

    def first(self, mode: str) -> Model | None:
        known = self.studio.catalog.models(TASKS[mode])
        return known[0] if known else None

    def defaults(self, model: Model | None, mode: str) -> Mapping[str, Any]:
        return self.studio.catalog.defaults(model, TASKS[mode]) if model else {}

    def wished(self) -> dict[str, dict[str, Any]]:
        """By model id, what it wants in the fields of WISHED."""
        found: dict[str, dict[str, Any]] = {}
        for mode, task in TASKS.items():
            for model in self.studio.catalog.models(task):
                names = {
                    composing.field_of(self.fields, mode, name): value
                    for name, value in self.defaults(model, mode).items()
                }
                found[model.id] = {name: value for name, value in names.items() if name in WISHED}
        return found


def voices(model: Model | None) -> list[tuple[str, str]]:
    return [("the model's own", ""), *((name, name) for name in (voices_of(model.folder) if model else ()))]


def songs(model: Model | None) -> bool:
    return model is not None and makes_songs(model.folder)


def takes_loras(model: Model | None) -> bool:
    return model is not None and can_be_taught(model.folder)


def speaks_as(model: Model | None) -> bool:
    """Whether it can speak in the voice of a recording."""
    return model is not None and clones(model.folder)


def shown(name: str, choice: str) -> str:
    """A choice as a musician says it."""
    if not choice:
        return "auto"
    if name == "key":
        return f"{choice[:-1]} minor" if choice.endswith("m") else f"{choice} major"
    return choice.replace("_", " ")


def described(model: Model | None, mode: str) -> str:
    if model is None:
        kind = {"score": "composes", "audio": "makes sounds", "speech": "speaks"}[mode]
        return f"No model that {kind} is installed. Put its folder into the home's models folder."
    return model.summary
