"""The Design panel: benches from shape to concept sheet beside the board of their takes. What the form asks for is
worked out in ui/designing.py; what is asked of shapes and of latent places in ui/modelling.py and ui/exploring.py.
"""

import json
from collections.abc import Mapping
from typing import Any

from studio import presets
from studio.errors import InvalidInput, NotFound, StudioError
from studio.studio import Studio
from studio.types import Json, Request
from studio.ui import designing, form, run, sketching
from studio.ui.board import Board
from studio.ui.design_fields import SENTENCES, WISHED, DesignFields, field_id
from studio.ui.designing import ACTS, PANEL
from studio.ui.fast_gradio import gradio as gr
from studio.ui.form import QUIET
from studio.ui.sketch_pad import sketch_value
from studio.ui.widgets import Problem, notes_value, tray_value

TITLE = "Design"
ICON = "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9"
HISTORY = 40  # prompts
LOOK = "() => { window.atelierBoard?.poke('design'); dispatchEvent(new CustomEvent('atelier:queue')); }"
WISHES = f"(...chosen) => window.atelierBoard.wished('{PANEL}', {json.dumps(WISHED)}, ...chosen)"
ACTIONS = (
    "pick",
    "star",
    "vary-subtle",
    "vary-strong",
    "tools",
    "edit",
    "use",
    "piece",
    "to-image",
    "to-text",
    "to-music",
    "ancestry",
    "export",
    "trash",
)

Updates = dict[Any, Any]


def build(studio: Studio, demo: gr.Blocks) -> None:
    DesignPanel(studio, demo)


class DesignPanel:
    """The components, and the handlers between them and the studio."""

    def __init__(self, studio: Studio, demo: gr.Blocks) -> None:
        self.studio = studio
        self.examples = presets.briefs(PANEL)
        with gr.Row(elem_classes="ws"):
            with gr.Column(elem_classes="side"):
                self.drawn = DesignFields(studio)
                self.form = form.Form(PANEL, self.drawn.fields)
                self.problem = Problem(PANEL)
                self.go = gr.Button("Generate", variant="primary", elem_id="design-go", elem_classes="go")
            with gr.Column(elem_classes="stage"):
                self.board = Board(
                    PANEL,
                    invitation="Make something to print, tile or place",
                    examples=[example.prompt for example in self.examples],
                    actions=ACTIONS,
                    icon="cube",
                    restores=True,
                    told={"patterns": True},
                )
        self.connect(demo)

    # --- wiring

    def connect(self, demo: gr.Blocks) -> None:
        drawn, fields = self.drawn, self.form.fields
        inputs = self.form.inputs(drawn.notes, drawn.tray, drawn.sketch)
        shaped = [drawn.words, drawn.pieces, drawn.by_model, drawn.told, *drawn.choosers.values()]
        outputs = [
            *fields.values(),
            drawn.notes,
            drawn.tray,
            drawn.sketch,
            self.problem,
            *shaped,
            *drawn.groups.values(),
        ]
        self.go.click(self.pressed, inputs, outputs, **QUIET).then(None, js=LOOK)
        self.board.when_asked(self.act, inputs, outputs)
        drawn.notes.act(self.noted, inputs, drawn.notes, trigger_mode="always_last", **QUIET)
        choosing = [fields["bench"], *(fields[f"act.{bench}"] for bench in drawn.choosers)]
        changed = [fields["prompt"], fields["model"], drawn.tray, *shaped, *drawn.groups.values()]
        for chooser in choosing:
            chooser.change(self.bench_shown, {*choosing, fields["model"], drawn.tray}, changed, **QUIET)
        wished = [fields[name] for name in WISHED if name in fields]
        fields["model"].input(None, [fields["model"], *wished], wished, js=WISHES)
        fields["model"].change(self.model_shown, fields["model"], fields["model"], **QUIET)
        opened = demo.load(self.opened, None, [drawn.notes, drawn.wishes], **QUIET)
        # what the browser put back in the meantime decides which models are offered
        opened.then(self.models_now, {*choosing, fields["model"]}, fields["model"], **QUIET)
        self.form.lock_typed_seed()
        self.form.remember(demo, [name for name in fields if name != "model"])

    def opened(self) -> Updates:
        """On page load: the history, and what models want that were added since the program started."""
        wishes = {"panel": PANEL, "models": self.drawn.wished()}
        return {self.drawn.notes: self.notes_now(), self.drawn.wishes: wishes}

    def models_now(self, given: dict[gr.components.Component, Any]) -> Any:
        """The models of the act that is shown; the chosen one stays where it can do that."""
        values = self.form.read(given)
        act = designing.act_of(values)
        models = self.drawn.models(act)
        known = [id for _, id in models]
        chosen = values.get("model") if values.get("model") in known else known[0] if known else None
        return gr.update(choices=models, value=chosen) if act.model else gr.skip()

    def notes_now(self, **known: Any) -> Json:
        return notes_value(PANEL, **{"history": list(self.studio.library.prompts(PANEL, HISTORY)), **known})

    def bench_shown(self, given: dict[gr.components.Component, Any]) -> Updates:
        """Another bench or act: only its fields, its models, its words."""
        values = self.form.read(given)
        act = designing.act_of(values)
        return self.shape_of(act, values.get("model"), given.get(self.drawn.tray))

    def shape_of(self, act: designing.Act, model: Any, tray: Json | None) -> Updates:
        drawn, bench = self.drawn, designing.BENCH_OF[act.task]
        models = drawn.models(act)
        known = [id for _, id in models]
        chosen = model if model in known else known[0] if known else None
        told: Updates = {
            self.form.fields["prompt"]: gr.update(label=act.words or "Words", placeholder=act.example),
            drawn.words: gr.update(visible=bool(act.words)),
            drawn.pieces: gr.update(visible=bool(act.pieces)),
            drawn.by_model: gr.update(visible=act.model),
            drawn.told: SENTENCES[act.task],
            drawn.tray: {**(tray or tray_value()), "wanted": act.pieces},
            **{chooser: gr.update(visible=name == bench) for name, chooser in drawn.choosers.items()},
            **{group: gr.update(visible=task == act.task) for task, group in drawn.groups.items()},
        }
        if act.model:
            told[self.form.fields["model"]] = gr.update(choices=models, value=chosen, info=drawn.described(chosen))
        else:
            told[self.form.fields["model"]] = gr.skip()
        return told

    def model_shown(self, id: str | None) -> Any:
        return gr.update(info=self.drawn.described(id))

    # --- Generate

    def pressed(self, given: dict[gr.components.Component, Any]) -> Updates:
        """The button. Everything wrong with the form is told under its field, and then nothing is queued."""
        notes, values = given[self.drawn.notes] or {}, self.form.read(given)
        asked = designing.Designing(
            values=values,
            pieces=(given[self.drawn.tray] or {}).get("pieces") or (),
            drawing=(given[self.drawn.sketch] or {}).get("sha256"),
            parent=notes.get("parent"),
            kept=notes.get("kept") or {},
        )
        act = designing.act_of(values)
        try:
            plan = designing.plan(self.studio, asked)
        except StudioError as error:
            return self.told(error, act.task)
        outcome = run.submit(self.studio, plan.requests, panel=PANEL, group=plan.group)
        if outcome.problem:
            return self.told(outcome.problem, act.task)
        shown = {name: notes[name] for name in ("parent", "before", "kept", "note") if name in notes}
        return {
            self.problem: {},
            **({self.form.fields["seed"]: plan.seed} if act.model else {}),
            self.drawn.notes: self.notes_now(**shown),
        }

    def told(self, error: StudioError | None, task: str = "") -> Updates:
        plain = form.problem(PANEL, error)
        if error and error.field and f"{task}.{error.field}" in self.form.fields:
            plain["field"] = field_id(task, error.field)
        return {self.problem: plain}

    def queued(self, *requests: Request) -> Updates:
        group = run.new_group() if len(requests) > 1 else ""
        return self.told(run.submit(self.studio, requests, panel=PANEL, group=group).problem)

    # --- what the board asks for

    def act(self, given: dict[gr.components.Component, Any], event: gr.EventData) -> Updates:
        asked: Json = dict(event._data or {})
        does = {
            "use": self.use,
            "edit": self.edit,
            "vary": self.vary,
            "tool": self.tool,
            "palette": self.palette,
            "open": self.open,
            "example": self.example,
            "received": self.received,
            "restored": self.restored,
            "menus": self.menus,
        }.get(str(asked.get("do")))
        values = {**self.form.read(given), "pieces": (given[self.drawn.tray] or {}).get("pieces") or []}
        try:
            if does is None and asked.get("do") in designing.REWORKS:
                rework = designing.REWORKS[str(asked["do"])]
                return self.queued(rework(self.studio, str(asked["sha256"]), asked))
            return {self.problem: {}, **(does(asked, values) if does else {})}
        except StudioError as error:
            return self.told(error, designing.act_of(values).task)

    def menus(self, _: Json, values: Mapping[str, Any]) -> Updates:
        act = designing.act_of(values)
        return {self.form.fields["model"]: gr.update(choices=self.drawn.models(act))} if act.model else {}

    def use(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        """The form as it was for exactly this take; Generate makes it again."""
        return self.show_request(self.studio.take(str(asked["sha256"])))

    def edit(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        """As `use`, and what is made next is a branch of this take."""
        sha256 = str(asked["sha256"])
        return self.show_request(designing.made_by(self.studio, sha256), parent=sha256)

    def vary(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        return self.queued(*designing.varied(self.studio, str(asked["sha256"]), str(asked.get("strength"))))

    def tool(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        requests = designing.tool(self.studio, str(asked["sha256"]), str(asked.get("task")), values)
        return self.queued(*requests)

    def palette(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        """These colours for the next recolouring."""
        chosen = {"bench": "pattern", "act.pattern": "recolour", "recolour.palette": str(asked.get("colours"))[:2000]}
        tray = {"pieces": values["pieces"], "wanted": "picture", "restore": True}
        return {**self.shape_of(ACTS["recolour"], None, tray), **self.form.fill(chosen)}

    def open(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        """A work of the library, opened here: with its settings where it was made here, as a piece otherwise."""
        sha256 = str(asked["sha256"])
        try:
            return self.show_request(designing.made_by(self.studio, sha256))
        except (NotFound, InvalidInput):
            pieces = [*values["pieces"], designing.piece(self.studio, sha256)]
            return {self.drawn.tray: tray_value(pieces, designing.act_of(values).pieces, restore=False)}

    def received(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        """A brief from another panel, for the act that is shown, or for a shape where that asks for no words."""
        words = " ".join(str(asked.get("text") or "").split())[:400]
        parent = str(asked["sha256"]) if asked.get("sha256") else None
        updates = self.form.fill({"prompt": words})
        if not designing.act_of(values).words:
            tray = {"pieces": values["pieces"], "wanted": "picture", "restore": True}
            act = ACTS["text_to_shape"]
            told = self.shape_of(act, None, tray)
            told[self.form.fields["prompt"]] = gr.update(label=act.words, placeholder=act.example, value=words)
            updates = {**told, **self.form.fill({"bench": "shape"})}
        return {**updates, self.drawn.notes: self.notes_now(parent=parent)}

    def example(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        chosen = self.examples[int(asked.get("index", 0)) % len(self.examples)]
        values = {"prompt": chosen.prompt, **chosen.params}
        return self.form.fill(values)

    def restored(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        """The settings that a dropped file carried inside."""
        plain = (asked.get("restored") or {}).get("request")
        if not isinstance(plain, dict):
            return self.told(None)
        try:
            request = Request.from_dict(plain)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput("The settings in that file are damaged.", "Use it as a piece instead.") from error
        return self.show_request(request)

    # --- putting values into the form

    def show_request(self, request: Request, *, parent: str | None = None) -> Updates:
        """Every field as the request has it; what it worked on lies in the tray."""
        task, values = designing.form_values(request)
        shown = {
            name: value
            for name, value in values.items()
            if name in self.form.fields and (name == "model" or form.fits(self.form.fields[name], value))
        }
        pieces = []
        for given in request.inputs:
            try:
                pieces.append(designing.piece(self.studio, given.artifact))
            except NotFound:
                continue
        kept = {"axes": request.params["axes"]} if request.params.get("axes") else {}
        before = request.prompt if parent else ""
        tray = {**tray_value(pieces, ACTS[task].pieces), "restore": not pieces}
        updates = self.shape_of(ACTS[task], request.model, tray)
        filled = self.form.fill({name: value for name, value in shown.items() if name != "model"})
        words = self.form.fields["prompt"]
        merged = {**updates, **filled}
        merged[words] = gr.update(
            label=ACTS[task].words or "Words", placeholder=ACTS[task].example, value=values["prompt"]
        )
        if task == "sketch":
            merged[self.drawn.sketch] = sketch_value(sketching.source_of(request), "The drawing of this take")
        merged[self.drawn.notes] = self.notes_now(parent=parent, before=before, kept=kept)
        return merged

    # --- small answers

    def noted(self, given: dict[gr.components.Component, Any], event: gr.EventData) -> Any:
        """The end of a branch."""
        notes = given[self.drawn.notes] or {}
        asked: Json = dict(event._data or {})
        return self.notes_now(note=notes.get("note", "")) if asked.get("do") == "detach" else gr.skip()
