"""The Music panel: a form for scores, sounds and speech beside the board on which takes are heard. What the form asks
for is worked out in ui/composing.py.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from studio import presets
from studio.errors import InvalidInput, StudioError
from studio.families import family
from studio.families.audio import CONSENT
from studio.studio import Studio
from studio.types import Json, Model, Request
from studio.ui import composing, form, run
from studio.ui.board import Board
from studio.ui.composing import COUNT, PANEL, TASKS
from studio.ui.fast_gradio import gradio as gr
from studio.ui.form import QUIET
from studio.ui.music_fields import WISHED, MusicFields, described, songs, speaks_as, takes_loras, voices
from studio.ui.widgets import Problem, notes_value, recording_value, start_score_value

TITLE = "Music"
ICON = "M9 18V6l10-2v12M9 18a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0zM19 16a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0z"
HISTORY = 40  # prompts
LOOK = "() => { window.atelierBoard?.poke('music'); dispatchEvent(new CustomEvent('atelier:queue')); }"
WISHES = f"(...chosen) => window.atelierBoard.wished('{PANEL}', {json.dumps(WISHED)}, ...chosen)"
ACTIONS = (
    "pick",
    "star",
    "hear",
    "vary-subtle",
    "vary-strong",
    "rework",
    "more",
    "edit",
    "use",
    "notes",
    "cover",
    "to-design",
    "ancestry",
    "export",
    "trash",
)
PROMPTS = {
    "score": ("Brief", "A sad slow waltz in D minor for cello and piano, 16 bars"),
    "audio": ("Sound", "Rain on a tin roof, far thunder"),
    "speech": ("Text to say", "Good evening. The boat leaves at seven."),
}

Updates = dict[Any, Any]


def build(studio: Studio, demo: gr.Blocks) -> None:
    MusicPanel(studio, demo)


class MusicPanel:
    """The components, and the handlers between them and the studio."""

    def __init__(self, studio: Studio, demo: gr.Blocks) -> None:
        self.studio = studio
        self.examples = presets.briefs(PANEL)
        styles = next((p.choices for p in family("score").params("restyle_score") if p.name == "style"), ())
        with gr.Row(elem_classes="ws"):
            with gr.Column(elem_classes="side"):
                self.drawn = MusicFields(studio)
                self.form = form.Form(PANEL, self.drawn.fields)
                self.problem = Problem(PANEL)
                self.go = gr.Button("Generate", variant="primary", elem_id="music-go", elem_classes="go")
            with gr.Column(elem_classes="stage"):
                self.board = Board(
                    PANEL,
                    invitation="Describe a piece of music",
                    examples=[example.prompt for example in self.examples],
                    actions=ACTIONS,
                    icon="note",
                    restores=True,
                    told={"styles": [style for style in styles if style]},
                )
        self.connect(demo)

    # --- wiring

    def connect(self, demo: gr.Blocks) -> None:
        drawn, fields = self.drawn, self.form.fields
        inputs = self.form.inputs(drawn.notes, drawn.start, drawn.recording)
        outputs = [*fields.values(), drawn.notes, self.problem, drawn.wishes, drawn.start, drawn.start_fold]
        outputs += [drawn.recording, drawn.lora_row]
        self.go.click(self.pressed, inputs, outputs, **QUIET).then(None, js=LOOK)
        self.board.when_asked(self.act, inputs, outputs)
        drawn.notes.act(self.noted, inputs, drawn.notes, trigger_mode="always_last", **QUIET)
        wished = [fields[name] for name in WISHED if name in fields]
        fields["model"].input(None, [fields["model"], *wished], wished, js=WISHES)
        fitting = [fields["model"], fields["voice"], drawn.recording, drawn.song, fields["adapter"], drawn.lora_row]
        fields["model"].change(self.model_shown, [fields["mode"], *fitting[:3]], fitting, **QUIET)
        shaped = [fields["prompt"], fields["model"], drawn.notes, *drawn.groups.values()]
        fields["mode"].change(self.mode_shown, [fields["mode"], fields["model"], drawn.notes], shaped, **QUIET)
        opened = demo.load(self.opened, None, [drawn.notes, drawn.wishes, fields["soundfont"]], **QUIET)
        # the mode may have been changed in the meantime: it decides which models are offered
        opened.then(self.models_now, fields["mode"], fields["model"], **QUIET)
        self.form.lock_typed_seed()
        self.form.remember(demo, [name for name in fields if name != "model"])

    def opened(self) -> Updates:
        """On page load: the history, and what models want that were added since the program started."""
        wishes = {"panel": PANEL, "models": self.drawn.wished()}
        fonts = gr.update(choices=self.drawn.soundfonts())
        return {self.drawn.notes: self.notes_now(), self.drawn.wishes: wishes, self.form.fields["soundfont"]: fonts}

    def models_now(self, mode: str) -> Any:
        return gr.update(choices=self.drawn.models(composing.mode_of({"mode": mode})))

    def menus(self, _: Json, values: Mapping[str, Any]) -> Updates:
        mode = composing.mode_of(values)
        return {
            self.drawn.wishes: {"panel": PANEL, "models": self.drawn.wished()},
            self.form.fields["model"]: gr.update(choices=self.drawn.models(mode)),
            **self.menu_of_loras(values.get("model")),
        }

    def menu_of_loras(self, id: Any) -> Updates:
        model = next((m for m in self.studio.catalog.models() if m.id == id), None)
        return {
            self.form.fields["adapter"]: gr.update(choices=self.drawn.loras()),
            self.drawn.lora_row: gr.update(visible=self.offers_loras(model)),
        }

    def notes_now(self, **known: Any) -> Json:
        return notes_value(PANEL, **{"history": list(self.studio.library.prompts(PANEL, HISTORY)), **known})

    def mode_shown(self, mode: str, model: str | None, notes: Json | None) -> Sequence[Any]:
        """Another mode: its words for the prompt, its models, and only its fields."""
        label, placeholder = PROMPTS.get(mode, PROMPTS["score"])
        models = self.drawn.models(mode)
        known = {id for _, id in models}
        chosen = model if model in known else models[0][1] if models else None
        told = described(self.drawn.first(mode), mode)
        return (
            gr.update(label=label, placeholder=placeholder, lines=8 if mode == "speech" else 3),
            gr.update(choices=models, value=chosen, info=told),
            {**(notes or self.notes_now()), "note": ""} if mode != "score" else gr.skip(),
            *(gr.update(visible=name == mode) for name in TASKS),
        )

    def model_shown(self, mode: str, id: str | None, voice: str | None, recording: Json | None) -> Sequence[Any]:
        """Another model: what it is, the voices it has, and the fields that only some have."""
        model = next((m for m in self.studio.catalog.models() if m.id == id), None)
        offered = voices(model)
        kept = voice if voice in {name for _, name in offered} else ""
        return (
            gr.update(info=described(model, mode if mode in TASKS else "score")),
            gr.update(choices=offered, value=kept) if mode == "speech" else gr.skip(),
            {**(recording or {}), **recording_value(speaks_as(model), **self.recorded(recording))},
            gr.update(visible=songs(model)),
            gr.update(choices=self.drawn.loras()),
            gr.update(visible=self.offers_loras(model)),
        )

    def offers_loras(self, model: Model | None) -> bool:
        return takes_loras(model) and len(self.drawn.loras()) > 1

    def recorded(self, recording: Json | None) -> dict[str, Any]:
        """The recording that was chosen already."""
        return {name: recording[name] for name in ("sha256", "name", "agreed") if recording and name in recording}

    # --- Generate

    def pressed(self, given: dict[gr.components.Component, Any]) -> Updates:
        """The button. Everything wrong with the form is told under its field, and then nothing is queued."""
        notes = given[self.drawn.notes] or {}
        try:
            asked = composing.Composing(
                values=self.form.read(given),
                begins=given[self.drawn.start] or {},
                parent=notes.get("parent"),
                kept=notes.get("kept") or {},
                recording=given[self.drawn.recording] or {},
            )
            request = composing.request(self.studio, asked)
        except StudioError as error:
            return self.told(error)
        outcome = run.submit(self.studio, [request], panel=PANEL)
        if outcome.problem:
            return self.told(outcome.problem, composing.mode_of(asked.values))
        shown = {name: notes[name] for name in ("parent", "before", "kept", "note") if name in notes}
        return {
            self.problem: {},
            self.form.fields["seed"]: request.seed,
            self.drawn.notes: self.notes_now(**shown),
        }

    def told(self, error: StudioError | None, mode: str = "score") -> Updates:
        problem = form.problem(PANEL, error)
        if error and (own := composing.field_of(self.form.fields, mode, error.field)) != error.field:
            problem["field"] = form.elem_id(PANEL, own.replace(".", "-"))
        return {self.problem: problem}

    def queued(self, request: Request) -> Updates:
        return self.told(run.submit(self.studio, [request], panel=PANEL).problem)

    # --- what the board asks for

    def act(self, given: dict[gr.components.Component, Any], event: gr.EventData) -> Updates:
        asked: Json = dict(event._data or {})
        does = {
            "use": self.use,
            "edit": self.edit,
            "vary": self.vary,
            "more": self.more,
            "rework": self.rework,
            "cover": self.cover,
            "example": self.example,
            "restored": self.restored,
            "open": self.open,
            "menus": self.menus,
            "received": self.received,
            "taught": self.taught,
        }.get(str(asked.get("do")))
        if does is None:
            return self.told(None)
        try:
            return {self.problem: {}, **does(asked, self.form.read(given))}
        except StudioError as error:
            return self.told(error)

    def use(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        """The form as it was for exactly this take; Generate makes it again."""
        return self.show_request(self.studio.take(str(asked["sha256"])))

    def edit(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        """As `use`, for as many takes as are set, and what is made next is a branch of this take."""
        sha256 = str(asked["sha256"])
        return self.show_request(self.studio.take(sha256), parent=sha256, count=values.get(COUNT))

    def vary(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        strength = str(asked.get("strength"))
        return self.queued(composing.varied(self.studio, str(asked["sha256"]), strength, values))

    def more(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        return self.queued(composing.again(self.studio, str(asked["sha256"]), values))

    def rework(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        return self.queued(composing.reworked(self.studio, str(asked["sha256"]), asked, values))

    def cover(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        """The form for an audio model that follows this take's melody."""
        sha256 = str(asked["sha256"])
        kept = self.studio.library.artifact(sha256)
        if not self.drawn.models("audio"):
            raise InvalidInput(
                "No model that makes sounds is installed.", "Put its folder into the home's models folder first."
            )
        words = str(kept.meta.get("prompt") or values.get("prompt") or "")
        return {
            **self.form.fill({"mode": "audio", "prompt": words}),
            self.drawn.notes: self.notes_now(parent=sha256, before=words, kept={"cover": sha256}),
        }

    def taught(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        """A LoRA that was just learnt, chosen, with the model that it was taught to and the word that calls it."""
        base, adapter, word = (str(asked.get(name) or "") for name in ("base", "adapter", "trigger"))
        models, known = self.drawn.models("audio"), self.drawn.loras()
        if base not in {id for _, id in models} or adapter not in {id for _, id in known}:
            raise InvalidInput("This LoRA or its model is not there any more.", "Teach it again, or get the model.")
        return {
            **self.form.fill({"mode": "audio", "prompt": word, "adapter_weight": 1.0}),
            self.form.fields["model"]: gr.update(choices=models, value=base),
            self.form.fields["adapter"]: gr.update(choices=known, value=adapter),
            self.drawn.lora_row: gr.update(visible=True),
        }

    def received(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        """Words from another panel: those of a text are sung, by a model of sounds where one is being asked, else as
        syllables under a melody; all others are a brief. What is made of them descends from the work they come from.
        """
        text = str(asked.get("text") or "")[:5000]
        parent = str(asked["sha256"]) if asked.get("sha256") else None
        notes = {self.drawn.notes: self.notes_now(parent=parent)}
        if asked.get("lyrics"):
            mode = "audio" if composing.mode_of(values) == "audio" and self.drawn.models("audio") else "score"
            field = composing.field_of(self.form.fields, mode, "lyrics")
            return {**self.form.fill({"mode": mode, field: text}), **notes}
        return {**self.form.fill({**self.empty(), "mode": "score", "prompt": " ".join(text.split())[:400]}), **notes}

    def example(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        chosen = self.examples[int(asked.get("index", 0)) % len(self.examples)]
        return self.form.fill({**self.empty(), "mode": "score", "prompt": chosen.prompt, **chosen.params})

    def restored(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        """The settings that a dropped file carried inside."""
        plain = (asked.get("restored") or {}).get("request")
        if not isinstance(plain, dict):
            return self.told(None)
        try:
            request = Request.from_dict(plain)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput("The settings in that file are damaged.", "Begin a piece with it instead.") from error
        if request.task not in TASKS.values():
            return self.told(None)
        seed = (asked.get("restored") or {}).get("params", {}).get("seed")  # of this take, not of its brief
        if isinstance(seed, int):
            request = request.replace(seed=seed).with_params(**{COUNT: 1})
        return self.show_request(request)

    def open(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        """A piece of the library, opened here: a score to begin with, a sound to cover."""
        kept = self.studio.library.artifact(str(asked["sha256"]))
        if kept.media_type == "audio/midi":
            name = str(kept.meta.get("name") or kept.meta.get("prompt") or "A score")[:80]
            return {
                **self.form.fill({"mode": "score"}),
                self.drawn.start: start_score_value(kept.sha256, name),
                self.drawn.start_fold: gr.update(open=True),
            }
        if kept.media_type.startswith("audio/"):
            return self.cover(asked, {})
        raise InvalidInput("That is no music.", "Choose a score or a sound.")

    # --- putting values into the form

    def empty(self) -> dict[str, Any]:
        """What the fields of a score hold where the words decide."""
        return {
            name: ""
            for name in ("style", "key", "metre", "density", "instruments", "lyrics")
            if name in self.form.fields
        }

    def show_request(self, request: Request, *, parent: str | None = None, count: Any = None) -> Updates:
        """Every field as the request has it."""
        if request.task not in TASKS.values():
            raise InvalidInput(
                "This take was made from another one, not from a brief.", "Choose the take that it came from."
            )
        mode = next(mode for mode, task in TASKS.items() if task == request.task)
        params = dict(request.params)
        named = {composing.field_of(self.form.fields, mode, name): value for name, value in params.items()}
        shown = {
            name: value
            for name, value in named.items()
            if name in self.form.fields and form.fits(self.form.fields[name], value)
        }
        values = {**self.empty(), **shown, "mode": mode, "prompt": request.prompt, "seed": request.seed, "lock": True}
        values |= form.adapter_values(request.adapters)
        if count is not None:
            values[COUNT] = count
        begins = next((given.artifact for given in request.inputs if given.role == "beginning"), None)
        cover = next((given.artifact for given in request.inputs if given.role == "melody"), None)
        voice = next((given.artifact for given in request.inputs if given.role == "voice"), None)
        updates = {
            **self.form.fill(values),
            self.drawn.start: start_score_value(begins, "Notes that it began with" if begins else ""),
            self.drawn.notes: self.notes_now(
                parent=parent, before=request.prompt if parent else "", kept={"cover": cover} if cover else {}
            ),
        }
        if voice:
            kept = self.studio.library.artifact(voice)
            named = str(kept.meta.get("name") or "The recording")
            agreed = params.get("consent") == CONSENT
            updates[self.drawn.recording] = recording_value(True, kept.sha256, named, agreed)
        models = self.drawn.models(mode)
        if request.model in {id for _, id in models}:
            updates[self.form.fields["model"]] = gr.update(choices=models, value=request.model)
        if request.adapters:
            updates[self.form.fields["adapter"]] = gr.update(choices=self.drawn.loras(), value=request.adapters[0].id)
        return updates

    # --- small answers

    def noted(self, given: dict[gr.components.Component, Any], event: gr.EventData) -> Any:
        """What the words are read as, or the end of a branch."""
        notes = given[self.drawn.notes] or {}
        asked: Json = dict(event._data or {})
        if asked.get("do") == "detach":
            return self.notes_now(note=notes.get("note", ""))
        text = composing.read_as(self.form.read(given), str(asked.get("prompt") or ""))
        return gr.skip() if text == notes.get("note", "") else {**notes, "note": text}
