"""The Text panel: a form for drafts beside the board on which they stream. What the form asks for is worked out in
ui/writing.py.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from studio import presets
from studio.errors import InvalidInput, StudioError
from studio.studio import Studio
from studio.types import Job, Json, Request
from studio.ui import form, run, templating, writing
from studio.ui.board import Board
from studio.ui.door import api_key, switch_api
from studio.ui.fast_gradio import gradio as gr
from studio.ui.form import QUIET
from studio.ui.text_fields import WISHED, TextFields, described
from studio.ui.widgets import Problem, notes_value
from studio.ui.writing import PANEL

TITLE = "Text"
ICON = "M5 5h14M5 10h14M5 15h9M5 20h6"
HISTORY = 40  # prompts
LOOK = "() => { window.atelierBoard?.poke('text'); dispatchEvent(new CustomEvent('atelier:queue')); }"
WISHES = f"(...chosen) => window.atelierBoard.wished('{PANEL}', {json.dumps(WISHED)}, ...chosen)"
ACTIONS = (
    "pick",
    "star",
    "open-up",
    "continue",
    "more",
    "edit",
    "use",
    "rewrite",
    "notebook",
    "copy",
    "to-image",
    "to-music",
    "to-design",
    "ancestry",
    "export",
    "merge",
    "trash",
)
PROMPTS = {
    "brief": ("Brief", "A poem about the sea and a lighthouse"),
    "write": ("Notebook", "Begin to write; Generate goes on from the end."),
    "chat": ("Message", "Ask, or tell it what to do."),
}

Updates = dict[Any, Any]


def build(studio: Studio, demo: gr.Blocks) -> None:
    TextPanel(studio, demo)


class TextPanel:
    """The components, and the handlers between them and the studio."""

    def __init__(self, studio: Studio, demo: gr.Blocks) -> None:
        self.studio = studio
        self.examples = presets.briefs(PANEL)
        with gr.Row(elem_classes="ws"):
            with gr.Column(elem_classes="side"):
                self.drawn = TextFields(studio)
                self.form = form.Form(PANEL, self.drawn.fields)
                self.draw_api()
                self.problem = Problem(PANEL)
                self.go = gr.Button("Generate", variant="primary", elem_id="text-go", elem_classes="go")
            with gr.Column(elem_classes="stage"):
                self.board = Board(
                    PANEL,
                    invitation="Brief a text",
                    examples=[f"{example.title}: {example.prompt}" for example in self.examples],
                    actions=ACTIONS,
                    icon="page",
                    restores=True,
                )
        self.connect(demo)

    def draw_api(self) -> None:
        with gr.Accordion("API for other programs", open=False, elem_id="text-api-fold"):
            self.api = gr.Checkbox(value=False, label="On, in OpenAI's form, at /v1", elem_id="text-api")
            self.key = gr.Textbox(
                label="Key", value="", elem_id="text-api-key", interactive=False, visible=False, buttons=["copy"]
            )

    # --- wiring

    def connect(self, demo: gr.Blocks) -> None:
        drawn, fields = self.drawn, self.form.fields
        inputs = self.form.inputs(drawn.notes, drawn.talk)
        outputs = [*fields.values(), drawn.notes, drawn.talk, drawn.templates]
        outputs += [self.problem, drawn.wishes, drawn.lora_row]
        self.go.click(self.pressed, inputs, outputs, **QUIET).then(None, js=LOOK)
        self.board.when_asked(self.act, inputs, outputs)
        drawn.tools.act(self.act, inputs, outputs, **QUIET).then(None, js=LOOK)
        drawn.templates.act(self.template, inputs, outputs, **QUIET)
        drawn.talk.act(self.notes_now, None, drawn.notes, **QUIET)
        drawn.notes.act(self.noted, inputs, drawn.notes, trigger_mode="always_last", **QUIET)
        wished = [fields[name] for name in WISHED]
        fields["model"].input(None, [fields["model"], *wished], wished, js=WISHES)
        fields["model"].change(self.model_shown, fields["model"], fields["model"], **QUIET)
        shaped = [fields["prompt"], drawn.tools, drawn.talk, drawn.brief_fields, drawn.chat_fields, self.go]
        fields["mode"].change(self.mode_shown, fields["mode"], shaped, **QUIET)
        self.api.input(self.api_switched, self.api, self.key, **QUIET)
        menus = [drawn.wishes, fields["model"], fields["adapter"], drawn.lora_row]
        demo.load(self.opened, None, [drawn.notes, drawn.templates, *menus, self.api, self.key], **QUIET)
        self.form.lock_typed_seed()
        self.form.remember(demo, list(fields))

    def opened(self) -> Updates:
        """On page load: the history, and models that were added since the program started."""
        key = api_key(self.studio.settings.home)
        shown = {self.api: bool(key), self.key: gr.update(value=key, visible=bool(key))}
        shown[self.drawn.templates] = templating.shown(self.studio)
        return {self.drawn.notes: self.notes_now(), **self.menus({}, {}), **shown}

    def api_switched(self, on: bool) -> Any:
        """A new key each time it is switched on; the old one means nothing from then on."""
        return gr.update(value=switch_api(self.studio.settings.home, on), visible=on)

    def menus(self, _: Json, __: Mapping[str, Any]) -> Updates:
        return {
            self.drawn.wishes: {"panel": PANEL, "models": self.drawn.wished()},
            self.form.fields["model"]: gr.update(choices=self.drawn.models()),
            self.form.fields["adapter"]: gr.update(choices=self.drawn.loras()),
            self.drawn.lora_row: gr.update(visible=len(self.drawn.loras()) > 1),
        }

    def notes_now(self, **known: Any) -> Json:
        return notes_value(PANEL, **{"history": list(self.studio.library.prompts(PANEL, HISTORY)), **known})

    def mode_shown(self, mode: str) -> Sequence[Any]:
        """Another mode: its words for the prompt, and only the fields that mean something in it."""
        label, placeholder = PROMPTS.get(mode, PROMPTS["brief"])
        lines = 14 if mode == "write" else 4
        return (
            gr.update(label=label, placeholder=placeholder, lines=lines),
            {"panel": PANEL, "shown": mode == "write"},
            {"panel": PANEL, "shown": mode == "chat"},
            gr.update(visible=mode == "brief"),
            gr.update(visible=mode == "chat"),
            gr.update(value="Send" if mode == "chat" else "Generate"),
        )

    def model_shown(self, id: str | None) -> Any:
        model = next((m for m in self.studio.catalog.models() if m.id == id), None)
        return gr.update(info=described(model))

    # --- Generate

    def pressed(self, given: dict[gr.components.Component, Any]) -> Updates:
        """The button. Everything wrong with the form is told under its field, and then nothing is queued."""
        notes, values = given[self.drawn.notes] or {}, self.form.read(given)
        parent, kept = notes.get("parent"), notes.get("kept") or {}
        talks = values.get("mode") == "chat"
        try:
            if talks:
                answered = writing.answered(given[self.drawn.talk] or {})
                parent, kept = (answered, {}) if answered else (parent, kept)
            request = writing.request(self.studio, writing.Writing(values=values, parent=parent, kept=kept))
        except StudioError as error:
            return self.told(error)
        outcome = run.submit(self.studio, [request], panel=PANEL)
        if outcome.problem:
            return self.told(outcome.problem)
        if talks:
            return self.said(outcome.jobs[0])
        shown = {name: notes[name] for name in ("parent", "before", "kept") if name in notes}
        return {
            self.problem: {},
            self.form.fields["seed"]: request.seed,
            self.drawn.notes: self.notes_now(**shown),
        }

    def said(self, job: Job) -> Updates:
        """A message is on its way: the page empties its field, where nothing else stands there by now."""
        return {
            self.problem: {},
            self.form.fields["seed"]: job.request.seed,
            self.drawn.notes: self.notes_now(),
            self.drawn.talk: {"panel": PANEL, "sent": {"job": job.id, "text": job.request.prompt}},
        }

    def told(self, error: StudioError | None) -> Updates:
        return {self.problem: form.problem(PANEL, error)}

    def queued(self, request: Request) -> Updates:
        return self.told(run.submit(self.studio, [request], panel=PANEL).problem)

    # --- what the board and the notebook's tools ask for

    def act(self, given: dict[gr.components.Component, Any], event: gr.EventData) -> Updates:
        asked: Json = dict(event._data or {})
        does = {
            "use": self.use,
            "edit": self.edit,
            "more": self.more,
            "continue": self.go_on,
            "branch": self.branch,
            "notebook": self.notebook,
            "passage": self.passage,
            "example": self.example,
            "restored": self.restored,
            "open": self.notebook,
            "received": self.received,
            "menus": self.menus,
            "taught": self.taught,
        }.get(str(asked.get("do")))
        if does is None:
            return self.told(None)
        try:
            return {self.problem: {}, **does(asked, self.form.read(given))}
        except StudioError as error:
            return self.told(error)

    def template(self, given: dict[gr.components.Component, Any], event: gr.EventData) -> Updates:
        """What is asked of the templates; what is wrong with a name stands beside the menu, the rest under fields."""
        asked: Json = dict(event._data or {})
        values = self.form.read(given)
        try:
            told, filled = templating.act(self.studio, asked, values)
        except StudioError as error:
            at = str(asked.get("name") or "")
            if error.field and error.field not in ("name", "template"):
                return {**self.told(error), self.drawn.templates: templating.shown(self.studio, at=at)}
            problem = f"{error.message} {error.hint}".strip()
            return {self.drawn.templates: templating.shown(self.studio, at=at, problem=problem)}
        fitting = {k: v for k, v in filled.items() if k in self.form.fields and form.fits(self.form.fields[k], v)}
        return {self.problem: {}, self.drawn.templates: told, **self.form.fill(fitting)}

    def use(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        """The form as it was for exactly this draft; Generate writes it again."""
        return self.show_request(self.studio.take(str(asked["sha256"])))

    def edit(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        """As `use`, for as many drafts as are set; what is written next is a branch of this draft, or its answer."""
        sha256 = str(asked["sha256"])
        request = writing.origin(self.studio, sha256, values)
        shown = self.show_request(request, parent=sha256, count=values.get("num_return_sequences"))
        if request.params.get("mode") == "chat":  # the next message, not the last one again; what is begun stays
            shown[self.form.fields["prompt"]] = gr.skip()
            shown[self.form.fields["lock"]] = gr.skip()
            shown[self.drawn.notes] = self.notes_now()
            shown[self.drawn.talk] = {"panel": PANEL, "reply": sha256}
        return shown

    def more(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        return self.queued(writing.again(self.studio, str(asked["sha256"]), values))

    def go_on(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        sha256 = str(asked["sha256"])
        return self.queued(writing.going_on(self.studio, sha256, self.text(sha256), values))

    def branch(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        tokens = asked.get("tokens")
        if not isinstance(tokens, list) or not all(isinstance(token, int) and token >= 0 for token in tokens):
            raise InvalidInput("It is not said where to branch.", "Open the draft up again.")
        return self.queued(writing.branched(self.studio, str(asked["sha256"]), tokens, values))

    def notebook(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        sha256 = str(asked["sha256"])
        text = self.text(sha256)
        return {
            **self.form.fill({"mode": "write", "prompt": text}),
            self.drawn.notes: self.notes_now(parent=sha256, before=text),
        }

    def passage(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        return self.queued(writing.rewritten(self.studio, values, asked))

    def received(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        """A brief from another panel; what is written of it descends from the work that it comes from."""
        words = str(asked.get("text") or "")[:2000]
        parent = str(asked["sha256"]) if asked.get("sha256") else None
        return {
            **self.form.fill({"mode": "brief", "prompt": words}),
            self.drawn.notes: self.notes_now(parent=parent),
        }

    def example(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        chosen = self.examples[int(asked.get("index", 0)) % len(self.examples)]
        empty = {name: "" for name in writing.ONLY["brief"] if name in self.form.fields and name != "length"}
        return self.form.fill({**empty, "prompt": chosen.prompt, **chosen.params})

    def restored(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        """The settings of a draft of the library."""
        plain = (asked.get("restored") or {}).get("request")
        if not isinstance(plain, dict) or plain.get("task") != writing.TASK:
            raise InvalidInput("That text was not written by a model here.", "Put it into the notebook instead.")
        return self.show_request(Request.from_dict(plain))

    def taught(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        """A LoRA that was just learnt, chosen, with the model that it was taught to."""
        shown = self.menus({}, {})
        adapter, model = self.form.fields["adapter"], self.form.fields["model"]
        known = self.drawn.loras()
        if str(asked.get("adapter")) in {id for _, id in known}:
            shown[adapter] = gr.update(choices=known, value=str(asked["adapter"]))
        if str(asked.get("base")) in {id for _, id in self.drawn.models()}:
            shown[model] = gr.update(choices=self.drawn.models(), value=str(asked["base"]))
        return shown

    def text(self, sha256: str) -> str:
        kept = self.studio.library.artifact(sha256)
        if not kept.media_type.startswith("text/"):
            raise InvalidInput("Only a text can be gone on from.", "Choose a draft.")
        return kept.path.read_text("utf-8")

    # --- putting values into the form

    def show_request(self, request: Request, *, parent: str | None = None, count: Any = None) -> Updates:
        """Every field as the request has it; what was decided of the text beforehand is kept beside the prompt."""
        params = dict(request.params)
        shown = {
            name: value
            for name, value in params.items()
            if name in self.form.fields and form.fits(self.form.fields[name], value)
        }
        empty = {name: "" for name in ("genre", "audience", "keywords", "title", "tone", "language", "system")}
        words = params.get("word_filter")
        filtered = {"filter": "\n".join(map(str, words)), "filtered": True} if isinstance(words, list) else {}
        values = {**empty, **shown, **filtered, "prompt": request.prompt, "seed": request.seed, "lock": True}
        if request.model in {id for _, id in self.drawn.models()}:
            values["model"] = request.model
        values |= form.adapter_values(request.adapters)
        if count is not None:
            values["num_return_sequences"] = count
        alone = (*writing.DECIDED, "messages")
        decided = {name: params[name] for name in alone if params.get(name) and parent is None}
        notes = self.notes_now(
            parent=parent, before=request.prompt if parent else "", kept={"params": decided} if decided else {}
        )
        shown = {**self.form.fill(values), self.drawn.notes: notes}
        if params.get("mode") == "chat" and parent is None:
            shown[self.drawn.talk] = {"panel": PANEL, "again": True}
        return shown

    # --- small answers

    def noted(self, given: dict[gr.components.Component, Any], event: gr.EventData) -> Any:
        """What the words are read as, or the end of a branch."""
        notes = given[self.drawn.notes] or {}
        asked: Json = dict(event._data or {})
        if asked.get("do") == "detach":
            return self.notes_now(note=notes.get("note", ""))
        text = writing.read_as(self.studio, self.form.read(given), str(asked.get("prompt") or ""))
        return gr.skip() if text == notes.get("note", "") else {**notes, "note": text}
