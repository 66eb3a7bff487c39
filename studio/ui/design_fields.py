"""The fields of the Design panel as components: benches, the acts of each, and the settings of each act."""

import secrets
from collections.abc import Mapping
from typing import Any

from studio.families import family
from studio.families.family import Param
from studio.studio import Studio
from studio.types import Model
from studio.ui import designing, form, pictures, sketching
from studio.ui.designing import ACTS, BENCHES, PANEL, TILE, Act
from studio.ui.fast_gradio import gradio as gr
from studio.ui.sketch_pad import SketchPad
from studio.ui.widgets import ModelMenu, ModelWishes, PromptNotes, Tray

WISHED = (  # follow the model
    "tile.num_inference_steps",
    "tile.guidance_scale",
    "sketch.num_inference_steps",
    "sketch.guidance_scale",
    "text_to_shape.num_inference_steps",
    "depth_map.num_inference_steps",
    "materials.num_inference_steps",
)
WORKS = ("num_inference_steps", "guidance_scale")
SENTENCES = {  # of each act, what it does
    "text_to_shape": "Closed meshes in real millimetres, checked for printing.",
    "sketch": "Pictures that keep to the outline of what you draw.",
    TILE: "Pictures whose edges meet, so that they repeat without a seam.",
    "make_seamless": "The pictures of the tray, joined so that they repeat without a seam.",
    "recolour": "The pictures of the tray in the colours of a palette.",
    "vectorise": "The pictures of the tray as clean SVG drawings.",
    "cut_out": "What stands in front, on transparent ground.",
    "palette": "The colours of each picture with names, contrast and harmonies.",
    "depth_map": "How near what is seen lies, the nearest white: for reliefs, and for pictures that keep to it.",
    "pose_map": "How the person in each picture stands, as a skeleton that pictures can keep to.",
    "materials": "Colour without light, roughness and metal of what is seen: textures for rendering.",
    "mock_up": "The pictures of the tray on products.",
    "upscale": "The pictures of the tray, larger and as sharp as they can be without inventing anything.",
    "print_pdf": "A page for the printer, with bleed and crop marks.",
    "explore": "Pictures in one pass: characters and landscapes by the dozen.",
    "map_latents": "Many pictures around one, by the two directions that change most. Click a cell to go there.",
    "latent_directions": "What each direction changes, a row each.",
    "walk_latents": "A film from one picture to the next.",
    "sprite_sheet": "Characters on one transparent sheet, with a JSON of their places.",
    "terrain": "Land from a landscape, or from a picture of the tray: height map, OBJ and a model to print.",
    "sheet": "Everything in the tray on one page, as PDF and as HTML.",
}
PLACEHOLDERS = {
    "palette": "#0a7f8c, teal, cream",
    "colour": "its own",
    "stops": "7, 12, 30:wizard",
    "label": "any",
    "captions": "One line for each piece",
    "size": "A4 or 210x297",
}


class DesignFields:
    """Draws them where it is constructed; `fields` are those that are settings, by name ("<task>.<setting>")."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.fields: dict[str, Any] = {}
        self.groups: dict[str, Any] = {}  # by task
        self.choosers: dict[str, Any] = {}  # the row of acts, by bench
        self.draw()

    # --- drawing

    def draw(self) -> None:
        fields = self.fields
        shown = ACTS["text_to_shape"]
        fields["bench"] = gr.Radio(
            [(title, bench) for bench, (title, _) in BENCHES.items()],
            value="shape",
            label="Bench",
            elem_id="design-bench",
            interactive=True,
        )
        for bench, (_, acts) in BENCHES.items():
            if len(acts) > 1:
                with gr.Column(visible=False) as self.choosers[bench]:
                    fields[f"act.{bench}"] = gr.Radio(
                        [(act.title, act.task) for act in acts],
                        value=acts[0].task,
                        label="What",
                        elem_id=f"design-act-{bench}",
                        interactive=True,
                    )
        self.told = gr.Markdown(SENTENCES[shown.task], elem_id="design-told", elem_classes=["de-told"])
        with gr.Column(visible=True, elem_id="design-words") as self.words:
            fields["prompt"] = gr.Textbox(
                label=shown.words,
                lines=2,
                max_lines=8,
                elem_id="design-prompt",
                max_length=20_000,
                placeholder=shown.example,
            )
            self.notes = PromptNotes(PANEL)
        with gr.Column(visible=False, elem_id="design-pieces") as self.pieces:
            self.tray = Tray(PANEL)
        for task, act in ACTS.items():
            with gr.Column(visible=task == shown.task, elem_id=f"design-{task}-fields") as self.groups[task]:
                self.draw_act(act)
        models = self.models(shown)
        with gr.Column(visible=True, elem_id="design-models") as self.by_model:
            fields["model"] = ModelMenu(
                models,
                value=models[0][1] if models else None,
                label="Model",
                elem_id="design-model",
                interactive=True,
                info=self.described(models[0][1] if models else None),
            )
            with gr.Row():
                first = secrets.randbelow(form.MAX_SEED)
                fields["seed"] = gr.Number(first, label="Seed", precision=0, elem_id="design-seed", min_width=80)
                fields["lock"] = gr.Checkbox(value=False, label="Lock", elem_id="design-lock", min_width=60)
        self.wishes = ModelWishes(PANEL, self.wished())

    def draw_act(self, act: Act) -> None:
        declared = {param.name: param for param in designing.declared(act)}
        model = self.first(act)
        if act.task == TILE:
            self.fields["style"] = gr.Dropdown(
                pictures.style_menu(self.studio, model),
                value="",
                label="Style",
                elem_id="design-style",
                interactive=True,
            )
        if act.task == "sketch":
            self.draw_sketch(act, model)
            return
        first = [name for name in act.first if name in declared]
        for name in (first[at : at + 2] for at in range(0, len(first), 2)):
            with gr.Row():
                for one in name:
                    self.setting(declared[one], act, model)
        rest = [name for name in declared if name not in first]
        if rest:
            with gr.Accordion("More settings", open=False, elem_id=f"design-{act.task}-more"):
                for names in (rest[at : at + 2] for at in range(0, len(rest), 2)):
                    with gr.Row():
                        for one in names:
                            self.setting(declared[one], act, model)

    def draw_sketch(self, act: Act, model: Model | None) -> None:
        """The drawing bench: what ui/sketching.py reads."""
        known = {param.name: param for param in family("diffusion").params("image_to_image")}
        self.sketch = SketchPad(f"{PANEL}-sketch")
        self.fields["sketch.style"] = gr.Dropdown(
            pictures.style_menu(self.studio, model),
            value="",
            label="Style",
            elem_id=field_id("sketch", "style"),
            interactive=True,
        )
        self.fields["sketch.closely"] = gr.Slider(
            0,
            1,
            value=sketching.CLOSELY,
            step=0.05,
            label="How closely",
            info="0 takes the drawing as a hint, 1 keeps to its lines.",
            elem_id=field_id("sketch", "closely"),
            interactive=True,
            buttons=[],
        )
        self.setting(known["num_images_per_prompt"], act, model)
        with gr.Accordion("More settings", open=False, elem_id="design-sketch-more"):
            ways = [
                ("as the model can", "auto"),
                ("by a ControlNet", "controlnet"),
                ("begin with the drawing", "start"),
            ]
            self.fields["sketch.by"] = gr.Dropdown(
                ways, value="auto", label="How", elem_id=field_id("sketch", "by"), interactive=True
            )
            with gr.Row():
                for name in ("num_inference_steps", "guidance_scale"):
                    self.setting(known[name], act, model)
            self.setting(known["negative_prompt"], act, model)

    def setting(self, param: Param, act: Act, model: Model | None) -> None:
        name, elem_id = f"{act.task}.{param.name}", field_id(act.task, param.name)
        label = param.label or param.name.replace("_", " ")
        wanted = self.defaults(model, act).get(param.name, param.default)
        common: dict[str, Any] = {"elem_id": elem_id, "interactive": True, "min_width": 80}
        if param.name == "templates":
            choices = [(choice.replace("_", "-").capitalize(), choice) for choice in designing.templates()]
            self.fields[name] = gr.CheckboxGroup(choices, value=["mug"], label=label, **common)
        elif param.name == "label":
            self.fields[name] = gr.Dropdown(self.kinds(model), value="", label=label, allow_custom_value=True, **common)
        elif param.type is list or (param.type is str and not param.choices):
            lines = 3 if param.name == "captions" else 1
            placeholder = PLACEHOLDERS.get(param.name, "")
            value = str(param.default or "") if param.type is str else ""
            self.fields[name] = gr.Textbox(value, label=label, placeholder=placeholder, lines=lines, **common)
        elif param.choices:
            offered = [(choice.replace("_", " ") or "any", choice) for choice in param.choices]
            self.fields[name] = gr.Dropdown(offered, value=str(wanted or ""), label=label, **common)
        elif param.type is float and param.default is None:  # an attribute: empty leaves it to the words
            self.fields[name] = gr.Number(None, label=label, minimum=param.minimum, maximum=param.maximum, **common)
        else:
            typed = param.name in ("num_inference_steps", "guidance_scale", "width")
            self.fields[name] = form.field(param, PANEL, typed=typed, value=wanted, elem_id=elem_id, label=label)

    # --- what there is to choose from

    def models(self, act: Act) -> list[tuple[str, str]]:
        if not act.model:
            return []
        return [(model.name, model.id) for model in self.studio.catalog.models(designing.able_task(act))]

    def first(self, act: Act) -> Model | None:
        known = self.studio.catalog.models(designing.able_task(act)) if act.model else ()
        return known[0] if known else None

    def defaults(self, model: Model | None, act: Act) -> Mapping[str, Any]:
        return self.studio.catalog.defaults(model, designing.able_task(act)) if model else {}

    def kinds(self, model: Model | None) -> list[tuple[str, str]]:
        knows = model.card.get("knows", {}) if model else {}
        names = [kind for part in ("characters", "landscapes", "classes") for kind in knows.get(part, ())]
        return [("any", ""), *((name, name) for name in names)]

    def described(self, id: str | None) -> str:
        model = next((m for m in self.studio.catalog.models() if m.id == id), None)
        if model is None:
            return "No model for this is installed. Put its folder into the home's models folder."
        return model.summary

    def wished(self) -> dict[str, dict[str, Any]]:
        """By model id, what it wants in the fields of WISHED."""
        found: dict[str, dict[str, Any]] = {}
        for task in (TILE, "sketch", "text_to_shape", "depth_map", "materials"):
            act = ACTS[task]
            for model in self.studio.catalog.models(designing.able_task(act)):
                known = self.defaults(model, act)
                found.setdefault(model.id, {}).update(
                    {f"{task}.{name}": known[name] for name in WORKS if name in known}
                )
        return found


def field_id(task: str, name: str) -> str:
    """The id of an act's field in the page: design-mock-up-templates ..."""
    return form.elem_id(f"{PANEL}-{task.replace('_', '-')}", name)
