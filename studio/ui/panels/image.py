"""The Image panel: a form for pictures beside the board of their takes. What the form asks for is worked out
in ui/brief.py.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from studio import loras, presets
from studio.errors import InvalidInput, NotFound, StudioError
from studio.families import family
from studio.studio import Studio
from studio.types import Artifact, Json, Model, Request
from studio.ui import brief, films, form, pictures, run
from studio.ui.board import Board
from studio.ui.fast_gradio import gradio as gr
from studio.ui.form import QUIET
from studio.ui.picture_fields import ONCE, PANEL, WISHED, PictureFields
from studio.ui.widgets import ModelMenu, Problem, notes_value, picture_value, start_value

TITLE = "Image"
ICON = "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4"
HISTORY = 40  # prompts
LOOK = "() => { window.atelierBoard?.poke('image'); dispatchEvent(new CustomEvent('atelier:queue')); }"
RESIZED = "(size, w, h) => (size.includes('x') ? size.split('x').map(Number) : [w, h])"
ADD_EMBEDDING = "(name, prompt) => ['', name ? (prompt.trimEnd() + ' <' + name + '>').trimStart() : prompt]"
ADD_LORA = "(id, prompt) => ['', id ? (prompt.trimEnd() + ' <lora:' + id + ':1>').trimStart() : prompt]"
WISHES = f"(...chosen) => window.atelierBoard.wished('{PANEL}', {json.dumps(WISHED)}, ...chosen)"

CHOSEN = f"""(model) => {{
  (window.atelierModels ??= {{}}).{PANEL} = model;
  window.atelierBoard?.showFields?.('{PANEL}');
}}"""

Updates = dict[Any, Any]  # components to gr.update: gradio adds the events of components at run time


def build(studio: Studio, demo: gr.Blocks) -> None:
    ImagePanel(studio, demo)
    run.publish(studio)


class ImagePanel:
    """The components, and the handlers between them and the studio."""

    def __init__(self, studio: Studio, demo: gr.Blocks) -> None:
        self.studio = studio
        self.examples = presets.briefs(PANEL)
        with gr.Row(elem_classes="ws"):
            with gr.Column(elem_classes="side"):
                self.drawn = PictureFields(studio)
                self.form = form.Form(PANEL, self.drawn.fields, shortcuts=("size",))
                self.problem = Problem(PANEL)
                self.go = gr.Button("Generate", variant="primary", elem_id="image-go", elem_classes="go")
            with gr.Column(elem_classes="stage"):
                self.board = Board(
                    PANEL,
                    invitation="Describe a picture",
                    examples=[e.prompt for e in self.examples],
                    restores=True,
                )
        self.connect(demo)

    # --- wiring

    def connect(self, demo: gr.Blocks) -> None:
        beside = (self.drawn.notes, self.drawn.start, self.drawn.reference, self.drawn.control)
        inputs = self.form.inputs(*beside)
        outputs = [
            *self.form.fields.values(),
            *beside,
            self.problem,
            self.drawn.start_fold,
            self.drawn.extend_fold,
            self.drawn.reference_fold,
            self.drawn.control_fold,
            self.drawn.lora,
            self.drawn.embedding,
            self.drawn.wishes,
        ]
        fields = self.form.fields
        self.go.click(self.pressed, inputs, outputs, **QUIET).then(None, js=LOOK)
        self.board.when_asked(self.act, inputs, outputs)
        shown = [fields[name] for name in ("size", "width", "height")]
        self.drawn.start.act(self.begun, fields["model"], shown, **QUIET)
        self.drawn.notes.act(self.noted, inputs, self.drawn.notes, trigger_mode="always_last", **QUIET)
        adding = [self.drawn.lora, fields["prompt"]]
        self.drawn.lora.input(None, adding, adding, js=ADD_LORA)
        adding = [self.drawn.embedding, fields["prompt"]]
        self.drawn.embedding.input(None, adding, adding, js=ADD_EMBEDDING)
        sides = [fields["width"], fields["height"]]
        fields["size"].input(None, [fields["size"], *sides], sides, js=RESIZED)
        for name in ("width", "height"):
            fields[name].input(None, None, fields["size"], js=f"() => '{pictures.CUSTOM}'")
        wished = [fields[name] for name in WISHED]
        fields["model"].input(None, [fields["model"], *wished], wished, js=WISHES)
        fields["model"].change(None, fields["model"], None, js=CHOSEN)
        shown = [fields[name] for name in ("model", "style", "size")]
        fields["model"].change(self.model_shown, fields["model"], shown, **QUIET)
        demo.load(self.opened, None, [self.drawn.notes, *self.drawn.menus()], **QUIET)
        self.form.lock_typed_seed()
        self.form.remember(demo, [n for n in fields if n not in ("x", "y", "x_values", "y_values", *ONCE)])

    def opened(self) -> Updates:
        """On page load: the history, and what was added since the program started."""
        return {self.drawn.notes: self.notes_now(), **self.menus({}, {})}

    def menus(self, _: Json, __: Mapping[str, Any]) -> Updates:
        """What there is to choose from now: it may have been taught or downloaded a moment ago."""
        return self.drawn.menus()

    def notes_now(self, **known: Any) -> Json:
        return notes_value(PANEL, **{"history": list(self.studio.library.prompts(PANEL, HISTORY)), **known})

    # --- Generate

    def pressed(self, given: dict[gr.components.Component, Any]) -> Updates:
        """The button. Everything wrong with the form is told under its field, and then nothing is queued."""
        values, notes = self.form.read(given), given[self.drawn.notes] or {}
        try:
            start, mask = ((given[self.drawn.start] or {}).get(k) or None for k in ("sha256", "mask"))
            asked = brief.Brief(
                values=values,
                start=start,
                mask=mask,
                reference=(given[self.drawn.reference] or {}).get("sha256") or None,
                control=(given[self.drawn.control] or {}).get("sha256") or None,
                parent=notes.get("parent"),
                kept=notes.get("kept") or {},
            )
            plan = brief.plan(self.studio, asked)
        except StudioError as error:
            return self.told(error)
        outcome = run.submit(self.studio, plan.requests, panel=PANEL, group=plan.group)
        if outcome.problem:
            return self.told(outcome.problem)
        shown = {k: notes[k] for k in ("parent", "before", "kept", "note") if k in notes}
        return {
            self.problem: {},
            self.form.fields["seed"]: plan.seed,
            self.drawn.notes: self.notes_now(**shown),
        }

    def told(self, error: StudioError | None) -> Updates:
        return {self.problem: form.problem(PANEL, error)}

    # --- what the board asks for

    def act(self, given: dict[gr.components.Component, Any], event: gr.EventData) -> Updates:
        asked: Json = dict(event._data or {})
        does = {
            "use": self.use,
            "edit": self.edit,
            "vary": self.vary,
            "start": self.start_from,
            "inpaint": self.inpaint,
            "extend": self.extend,
            "enlarge": self.enlarge,
            "reference": self.refer,
            "control": self.follow,
            "walk": self.walk,
            "example": self.example,
            "restored": self.restored,
            "open": self.open,
            "received": self.received,
            "menus": self.menus,
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
        sha = str(asked["sha256"])
        return self.show_request(self.studio.take(sha), parent=sha, count=values.get("num_images_per_prompt"))

    def vary(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        strength = "strong" if asked.get("strength") == "strong" else "subtle"
        count = form.whole(values, "num_images_per_prompt", "Variations")
        outcome = run.submit(self.studio, [self.studio.vary(str(asked["sha256"]), strength, count)], panel=PANEL)
        return self.told(outcome.problem)

    def start_from(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        kept = self.studio.library.artifact(str(asked["sha256"]))
        if kept.media_type == "video/mp4":
            kept = films.last_frame(self.studio, kept)
        if not kept.media_type.startswith("image/"):
            raise InvalidInput("Only a picture can be the start of one.", "Choose another take.")
        name = str(kept.meta.get("prompt") or kept.meta.get("name") or "")[:80]
        return {
            self.drawn.start: start_value(kept.sha256, name=name),
            self.drawn.start_fold: gr.update(open=True),
            **self.size_of(kept.width, kept.height),
        }

    def inpaint(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        kept = self.studio.library.artifact(str(asked["sha256"]))
        words = {}
        if kept.job and not str(values.get("prompt") or "").strip():
            words = self.form.fill({"prompt": self.studio.take(kept.sha256).prompt})
        start = start_value(kept.sha256, name=str(kept.meta.get("prompt") or "")[:80], paint=True)
        return {**self.start_from(asked, values), **words, self.drawn.start: start}

    def extend(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        """The take as the picture that grows; the size at which is painted stays as it was set."""
        kept = self.studio.library.artifact(str(asked["sha256"]))
        words = {}
        if kept.job and not str(values.get("prompt") or "").strip():
            words = self.form.fill({"prompt": self.studio.take(kept.sha256).prompt})
        start = start_value(kept.sha256, name=str(kept.meta.get("prompt") or "")[:80])
        strength = {p.name: p for p in family("diffusion").params("outpaint")}["strength"].default
        opened = {self.drawn.start_fold: gr.update(open=True), self.drawn.extend_fold: gr.update(open=True)}
        return {self.drawn.start: start, **opened, **words, **self.form.fill({"strength": strength})}

    def refer(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        """The take as the picture that new ones shall resemble."""
        kept = self.studio.library.artifact(str(asked["sha256"]))
        shown = picture_value("reference", kept.sha256, called(kept))
        return {self.drawn.reference: shown, self.drawn.reference_fold: gr.update(open=True, visible=True)}

    def follow(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        """The take as the picture whose outlines new ones follow."""
        kept = self.studio.library.artifact(str(asked["sha256"]))
        shown = picture_value("control", kept.sha256, called(kept))
        return {self.drawn.control: shown, self.drawn.control_fold: gr.update(open=True, visible=True)}

    def enlarge(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        """By the model and as many times as were chosen; where nothing was, by the first model that enlarges."""
        chosen = {name: str(asked[name]) for name in ("model", "factor", "method") if asked.get(name) is not None}
        request = pictures.enlarge_request(self.studio, str(asked["sha256"]), **chosen)
        return self.told(run.submit(self.studio, [request], panel=PANEL).problem)

    def walk(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        request = pictures.walk_request(self.studio, str(asked["sha256"]), str(asked["to"]), asked)
        return self.told(run.submit(self.studio, [request], panel=PANEL).problem)

    def received(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        """Words from another panel; what is made of them descends from the work that they come from."""
        words = str(asked.get("text") or "")[:2000]
        parent = str(asked["sha256"]) if asked.get("sha256") else None
        return {**self.form.fill({"prompt": words}), self.drawn.notes: self.notes_now(parent=parent)}

    def example(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        chosen = self.examples[int(asked.get("index", 0)) % len(self.examples)]
        return self.form.fill({"prompt": chosen.prompt, "style": chosen.style, **chosen.params})

    def restored(self, asked: Json, _: Mapping[str, Any]) -> Updates:
        """The settings that a dropped file carried inside."""
        told = asked.get("restored") or {}
        plain = told.get("request")
        if isinstance(plain, dict):
            try:
                request = Request.from_dict(plain)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise InvalidInput(
                    "The settings in that file are damaged.", "Use it as a start picture instead."
                ) from error
            return self.show_request(request)
        params = told.get("params") or {}
        names = ("width", "height", "num_inference_steps", "guidance_scale", "scheduler", "seed")
        known = {
            name: params[name] for name in names if params.get(name) is not None and self.holds(name, params[name])
        }
        shown = {
            "prompt": told.get("prompt", ""),
            "negative_prompt": told.get("negative_prompt", ""),
            "style": "",
            "lock": "seed" in known,
            **known,
        }
        return {
            **self.form.fill(shown),
            **self.size_of(known.get("width"), known.get("height")),
            self.drawn.notes: self.notes_now(),
        }

    def open(self, asked: Json, values: Mapping[str, Any]) -> Updates:
        """A picture of the library, opened here: with its settings where it was made here, as a start picture
        otherwise.
        """
        sha = str(asked["sha256"])
        try:
            return self.show_request(self.studio.take(sha))
        except NotFound:
            return self.start_from(asked, values)

    # --- putting values into the form

    def show_request(self, request: Request, *, parent: str | None = None, count: Any = None) -> Updates:
        """Every field as the request has it. What has no field is kept beside the prompt, so that nothing is
        lost.
        """
        params = dict(request.params)
        if request.task == "latent_walk":
            params = {
                k: v for k, v in params.items() if not k.startswith("to_") and k not in ("frames", "fps", "format")
            }
        shown = {name: value for name, value in params.items() if self.holds(name, value)}
        hidden = {
            name: value for name, value in params.items() if name not in self.form.fields and value not in (None, "")
        }
        known = {m for _, m in self.drawn.models()}
        values = {
            **{name: 0 if name.startswith("extend_") and name != "extend_to" else "" for name in brief.GROWN},
            "hires_scale": 1,
            "variation_seed": 0,
            "variation_strength": 0,
            "many": "",
            "masked_area": "padding_mask_crop" in shown,
            **shown,
            "prompt": loras.put_in(request.prompt, request.adapters),
            "style": "",
            "seed": request.seed,
            "lock": True,
            "negative_prompt": str(params.get("negative_prompt") or ""),
        }
        if request.model in known:
            values["model"] = request.model
        if count is not None:
            values["num_images_per_prompt"] = count
        start, mask = (self.known_input(request, role) for role in ("init_image", "mask_image"))
        kept = {
            "params": hidden if hidden.get("variations") else {},
        }
        return {
            **self.form.fill(values),
            **self.size_of(params.get("width"), params.get("height")),
            self.drawn.start: start_value(start, mask),
            self.drawn.start_fold: gr.update(open=bool(start)),
            self.drawn.reference: picture_value("reference", self.known_input(request, "reference")),
            self.drawn.control: picture_value("control", self.known_input(request, "control")),
            self.drawn.notes: self.notes_now(parent=parent, before=request.prompt if parent else "", kept=kept),
        }

    def known_input(self, request: Request, role: str) -> str | None:
        """The file of that role, if it is in this library."""
        for given in request.inputs:
            if given.role == role:
                try:
                    return self.studio.library.artifact(given.artifact).sha256
                except NotFound:
                    return None
        return None

    def holds(self, name: str, value: Any) -> bool:
        component = self.form.fields.get(name)
        if isinstance(component, ModelMenu):
            return self.drawn.offers(name, value)
        return component is not None and form.fits(component, value)

    def size_of(self, width: Any, height: Any, model: Model | None = None) -> Updates:
        if not isinstance(width, int) or not isinstance(height, int):
            return {}
        known = {value for _, value in pictures.sizes(*self.drawn.side(model or self.drawn.first_model()))}
        shape = f"{width}x{height}"
        return self.form.fill({"width": width, "height": height, "size": shape if shape in known else pictures.CUSTOM})

    # --- small answers

    def begun(self, id: str | None, event: gr.EventData) -> Updates:
        """A picture was chosen to begin with: a new one of its shape, of the size that the model was made for."""
        kept = self.studio.library.artifact(str(dict(event._data or {}).get("sha256")))
        if not (kept.width and kept.height):
            return {self.form.fields["size"]: gr.skip()}
        model = next((m for m in self.studio.catalog.models() if m.id == id), None)
        ratio = min(max(kept.width / kept.height, 0.25), 4.0)
        return self.size_of(*pictures.shaped(ratio, *self.drawn.side(model)), model)

    def noted(self, given: dict[gr.components.Component, Any], event: gr.EventData) -> Any:
        """The line under the prompt, or the end of a branch."""
        notes = given[self.drawn.notes] or {}
        asked: Json = dict(event._data or {})
        if asked.get("do") == "detach":
            return self.notes_now(note=notes.get("note", ""))
        text = brief.note(self.studio, self.form.read(given), str(asked.get("prompt") or ""))
        return gr.skip() if text == notes.get("note", "") else {**notes, "note": text}

    def model_shown(self, id: str | None) -> Sequence[Any]:
        """Another model: what is told of it, the styles and the shapes that it knows."""
        model = next((m for m in self.studio.catalog.models() if m.id == id), None)
        styles, shapes = pictures.style_menu(self.studio, model), pictures.sizes(*self.drawn.side(model))
        return gr.update(info=pictures.described(model)), gr.update(choices=styles), gr.update(choices=shapes)


def called(kept: Artifact) -> str:
    return str(kept.meta.get("prompt") or kept.meta.get("name") or "")[:80]
