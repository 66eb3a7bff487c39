"""The fields of the Image panel as components, with what the installed models want in them."""

import secrets
from collections.abc import Mapping
from typing import Any

from studio.families import family
from studio.families.diffusion.painting_params import SHAPES, SIDES
from studio.families.diffusion.reference_folders import USUAL_SCALE
from studio.families.family import Param
from studio.studio import Studio
from studio.types import Model
from studio.ui import brief, films, form, pictures
from studio.ui.fast_gradio import gradio as gr
from studio.ui.widgets import (
    ModelMenu,
    ModelWishes,
    OtherPicture,
    PromptHelp,
    PromptList,
    PromptNotes,
    StartPicture,
    picture_value,
)

PANEL = "image"
ONCE = (
    "many",
    "masked_area",
    "padding_mask_crop",
    "extend_left",
    "extend_right",
    "extend_top",
    "extend_bottom",
    "extend_to",
    "variation_seed",
    "variation_strength",
)
"""Fields of one picture: they are neither remembered nor left standing when another take's settings are shown."""
WISHED = (
    "size",
    "width",
    "height",
    "num_inference_steps",
    "guidance_scale",
    "scheduler",
    "num_frames",
    "frame_rate",
)  # fields that follow the model


class PictureFields:
    """Draws them where it is constructed; `fields` are those that are settings, by name."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.fields = self.draw_fields()

    # --- drawing

    def draw_fields(self) -> dict[str, Any]:
        params = {
            p.name: p
            for task in ("text_to_image", "image_to_image", "outpaint", "inpaint")
            for p in family("diffusion").params(task)
        }
        model = self.first_model()
        fields: dict[str, Any] = {}
        fields["prompt"] = gr.Textbox(
            label="Prompt",
            lines=3,
            max_lines=10,
            elem_id="image-prompt",
            max_length=100_000,
            placeholder="A red fox in the snow at sunset",
        )
        self.notes = PromptNotes(PANEL)
        PromptHelp(PANEL)
        self.lora = gr.Dropdown(
            self.loras(),
            value="",
            label="Add a LoRA",
            elem_id="image-lora",
            info="It is put into the prompt, where the number is its weight.",
            interactive=True,
            visible=bool(self.studio.catalog.adapters()),
        )
        self.embedding = gr.Dropdown(
            self.embeddings(),
            value="",
            label="Add an embedding",
            elem_id="image-embedding",
            info="Its name is put into the prompt; it may stand under Avoid as well.",
            interactive=True,
            visible=len(self.embeddings()) > 1,
        )
        fields["style"] = gr.Dropdown(
            pictures.style_menu(self.studio, model),
            value="",
            label="Style",
            elem_id="image-style",
            interactive=True,
        )
        fields["negative_prompt"] = form.field(params["negative_prompt"], PANEL, lines=1, max_lines=4)
        models = self.models()
        fields["model"] = ModelMenu(
            models,
            value=models[0][1] if models else None,
            label="Model",
            elem_id="image-model",
            interactive=True,
            info=pictures.described(model),
        )
        self.draw_size(fields, params, model)
        with gr.Row():
            fields["num_inference_steps"] = self.field(params["num_inference_steps"], model, typed=True)
            fields["guidance_scale"] = self.field(params["guidance_scale"], model, typed=True)
        lengths = {param.name: param for param in family("video").params("text_to_video")}
        with gr.Row(elem_id="image-film"):
            for name in ("num_frames", "frame_rate"):
                fields[name] = form.field(lengths[name], PANEL, typed=True)
        with gr.Row():
            first = secrets.randbelow(form.MAX_SEED)
            fields["seed"] = gr.Number(first, label="Seed", precision=0, elem_id="image-seed", min_width=80)
            fields["lock"] = gr.Checkbox(value=False, label="Lock", elem_id="image-lock", min_width=60)
        fields["num_images_per_prompt"] = self.field(params["num_images_per_prompt"], model)
        self.draw_folds(fields, params, model)
        self.wishes = ModelWishes(PANEL, self.wished())
        return fields

    def draw_size(self, fields: dict[str, Any], params: Mapping[str, Param], model: Model | None) -> None:
        width, height = self.side(model)
        with gr.Row():
            fields["size"] = gr.Dropdown(
                pictures.sizes(width, height),
                value=f"{width}x{height}",
                label="Size",
                elem_id="image-size",
                interactive=True,
                min_width=110,
                scale=2,
            )
            fields["width"] = form.field(params["width"], PANEL, typed=True, value=width, min_width=60)
            fields["height"] = form.field(params["height"], PANEL, typed=True, value=height, min_width=60)

    def draw_folds(self, fields: dict[str, Any], params: Mapping[str, Param], model: Model | None) -> None:
        with gr.Accordion("Start from a picture", open=False, elem_id="image-start-fold") as self.start_fold:
            self.start = StartPicture(PANEL)
            fields["strength"] = self.field(params["strength"], model)
            fields["mask_blur"] = self.field(params["mask_blur"], model)
            with gr.Row():
                fields["masked_area"] = gr.Checkbox(
                    value=False,
                    label="Only around the mask",
                    elem_id="image-masked-area",
                    min_width=110,
                    info="For faces and small things.",
                )
                fields["padding_mask_crop"] = form.field(
                    params["padding_mask_crop"], PANEL, typed=True, value=32, label="Pixels around it", min_width=80
                )
        self.draw_extend(fields, params)
        self.draw_reference(fields, params)
        self.draw_control(fields, params)
        with gr.Accordion("Larger, by a second pass", open=False, elem_id="image-hires-fold"):
            fields["hires_scale"] = form.field(params["hires_scale"], PANEL, value=1)
            with gr.Row():
                fields["hires_strength"] = form.field(params["hires_strength"], PANEL, typed=True, value=0.4)
                fields["hires_steps"] = form.field(params["hires_steps"], PANEL, typed=True, value=0)
        with gr.Accordion("Sampler and pattern", open=False, elem_id="image-more-fold"):
            fields["scheduler"] = self.field(params["scheduler"], model)
            fields["tiling"] = self.field(params["tiling"], model)
            towards, how_far = params["variation_seed"], params["variation_strength"]
            fields[towards.name] = form.field(towards, PANEL, typed=True, value=0, info=towards.help)
            fields[how_far.name] = form.field(how_far, PANEL, info=how_far.help)
            fields["safety_filter"] = gr.Dropdown(
                [("on, where the model brings one", ""), ("off", "off")],
                value="",
                label=params["safety_filter"].label,
                elem_id="image-safety-filter",
                interactive=True,
                info=params["safety_filter"].help,
            )
        with gr.Accordion("Many prompts", open=False, elem_id="image-many-fold"):
            fields["many"] = gr.Textbox(
                label="One prompt a line, instead of the one above",
                lines=3,
                max_lines=12,
                elem_id="image-many",
                max_length=2_000_000,
                placeholder="Or a table whose first line says: prompt, seed, width, height …",
            )
            PromptList(PANEL, "image-many")
        with gr.Accordion("X/Y grid", open=False, elem_id="image-grid-fold"):
            choices = [("none", ""), *brief.axes(self.studio, model.id if model else "")]
            for side in ("x", "y"):
                with gr.Row():
                    fields[side] = gr.Dropdown(
                        choices,
                        value="",
                        label=side.upper(),
                        elem_id=f"image-{side}",
                        interactive=True,
                        min_width=100,
                    )
                    fields[f"{side}_values"] = gr.Textbox(
                        label=f"{side.upper()} values",
                        elem_id=f"image-{side}-values",
                        min_width=100,
                        placeholder="4, 8, 12" if side == "x" else "1-4",
                    )

    def draw_control(self, fields: dict[str, Any], params: Mapping[str, Param]) -> None:
        there = bool(self.studio.catalog.controlnets())
        with gr.Accordion(
            "Follow a picture's outlines", open=False, visible=there, elem_id="image-control-fold"
        ) as self.control_fold:
            self.control = OtherPicture(PANEL, "control")
            with gr.Row():
                fields["controlnet"] = ModelMenu(
                    self.controlnets(), value="", label="ControlNet", elem_id="image-controlnet", interactive=True
                )
                kinds = [("as it wants", ""), *((kind, kind) for kind in params["control_kind"].choices)]
                fields["control_kind"] = gr.Dropdown(
                    kinds,
                    value="",
                    label="What is seen",
                    elem_id="image-control-kind",
                    interactive=True,
                )
            strength = params["controlnet_conditioning_scale"]
            fields[strength.name] = form.field(strength, PANEL, value=1, label="How closely")
            with gr.Row():
                for name, usual in (("control_guidance_start", 0), ("control_guidance_end", 1)):
                    label = params[name].label.removeprefix("Control ").capitalize()
                    fields[name] = form.field(params[name], PANEL, typed=True, value=usual, label=label)

    def controlnets(self) -> list[tuple[str, str]]:
        return [("the first for the model", ""), *((one.id, one.id) for one in self.studio.catalog.controlnets())]

    def draw_reference(self, fields: dict[str, Any], params: Mapping[str, Param]) -> None:
        there = bool(self.studio.catalog.references())
        with gr.Accordion(
            "Reference picture", open=False, visible=there, elem_id="image-reference-fold"
        ) as self.reference_fold:
            self.reference = OtherPicture(PANEL, "reference")
            fields["ip_adapter"] = ModelMenu(
                self.references(), value="", label="IP-Adapter", elem_id="image-ip-adapter", interactive=True
            )
            fields["ip_adapter_scale"] = form.field(params["ip_adapter_scale"], PANEL, value=USUAL_SCALE)

    def draw_extend(self, fields: dict[str, Any], params: Mapping[str, Param]) -> None:
        with gr.Accordion("Extend the start picture", open=False, elem_id="image-extend-fold") as self.extend_fold:
            with gr.Row():
                for side in SIDES:
                    name = f"extend_{side}"
                    fields[name] = form.field(params[name], PANEL, typed=True, value=0, min_width=56)
            fields["extend_to"] = gr.Dropdown(
                [("as the sides say", ""), *((shape, shape) for shape in SHAPES)],
                value="",
                label="To the shape",
                elem_id="image-extend-to",
                interactive=True,
                info="The border is painted; every pixel of the picture stays.",
            )

    def field(self, param: Param, model: Model | None, *, typed: bool = False) -> gr.components.Component:
        """A declared field with what this model wants as its value."""
        wanted = self.defaults(model).get(param.name, param.default)
        if param.choices and wanted not in param.choices:
            wanted = param.default
        return form.field(param, PANEL, typed=typed, value=wanted)

    # --- what there is to choose from

    def menus(self) -> dict[Any, Any]:
        """By component: what lies in the folders now, which may be more than when the page was built."""
        catalog = self.studio.catalog
        loras, embeddings, references = self.loras(), self.embeddings(), self.references()
        led, steered = bool(catalog.references()), bool(catalog.controlnets())
        return {
            self.wishes: {"panel": PANEL, "models": self.wished(), "lacking": [] if led else ["reference"]},
            self.lora: gr.update(choices=loras, visible=bool(catalog.adapters())),
            self.embedding: gr.update(choices=embeddings, visible=len(embeddings) > 1),
            self.fields["model"]: gr.update(choices=self.models()),
            self.fields["ip_adapter"]: gr.update(choices=references),
            self.fields["controlnet"]: gr.update(choices=self.controlnets()),
            self.reference_fold: gr.update(visible=led),
            self.control_fold: gr.update(visible=steered),
            # no picture stays in a fold that cannot be seen: it would be sent and refused
            self.reference: gr.skip() if led else picture_value("reference"),
            self.control: gr.skip() if steered else picture_value("control"),
        }

    def offers(self, name: str, value: Any) -> bool:
        """Whether a menu of what lies beside models holds that value now; True for every other field."""
        menu = {"controlnet": self.controlnets, "ip_adapter": self.references}.get(name)
        return menu is None or value in {id for _, id in menu()}

    def models(self) -> list[tuple[str, str]]:
        return [(model.name, model.id) for model in films.makers(self.studio)]

    def loras(self) -> list[tuple[str, str]]:
        """Every adapter, with the model and the word that it was taught with where that is known."""
        found = [("none", "")]
        for id in self.studio.catalog.adapters():
            facts = self.studio.catalog.adapter_facts(id)
            if facts.get("family") in ("causal_lm", "audio"):  # one for texts or sounds
                continue
            told = ", ".join(str(facts[name]) for name in ("base", "trigger") if facts.get(name))
            found.append((f"{id} ({told})" if told else id, id))
        return found

    def embeddings(self) -> list[tuple[str, str]]:
        return [("none", ""), *((name, name) for name in self.studio.catalog.embeddings())]

    def references(self) -> list[tuple[str, str]]:
        return [("the first for the model", ""), *((one.id, one.id) for one in self.studio.catalog.references())]

    def first_model(self) -> Model | None:
        known = self.studio.catalog.models("text_to_image")
        return known[0] if known else None

    def defaults(self, model: Model | None) -> Mapping[str, Any]:
        return self.studio.catalog.defaults(model, films.first_task(model)) if model else {}

    def wished(self) -> dict[str, dict[str, Any]]:
        """By model id, what it wants in the fields of WISHED."""
        found = {}
        for model in films.makers(self.studio):
            width, height = self.side(model)
            shape = {"size": f"{width}x{height}", "width": width, "height": height}
            known: dict[str, Any] = {"scheduler": "default", **shape, **self.defaults(model)}
            found[model.id] = {name: known[name] for name in WISHED if name in known}
        return found

    def side(self, model: Model | None) -> tuple[int, int]:
        wanted = self.defaults(model)
        return int(wanted.get("width", 512)), int(wanted.get("height", 512))
