"""The fields of the Text panel as components, with what the installed models want in them."""

import secrets
from collections.abc import Mapping
from typing import Any

from studio.families import family
from studio.families.family import Param
from studio.studio import Studio
from studio.types import Model
from studio.ui import form, templating, writing
from studio.ui.fast_gradio import gradio as gr
from studio.ui.widgets import BriefTemplates, Conversation, ModelMenu, ModelWishes, NotebookTools, PromptNotes
from studio.ui.writing import PANEL, TASK

WISHED = ("max_new_tokens", "temperature", "top_p", "keyword_bias")  # fields that follow the model
GENRES = (
    "",
    "article",
    "story",
    "scene",
    "play",
    "poem",
    "lyrics",
    "essay",
    "letter",
    "advert",
    "product text",
    "game narrative",
    "game dialogue",
    "code",
)
TONES = ("", "plain", "warm", "funny", "solemn", "dark", "dreamy", "persuasive", "dry")
STEERING = (
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "top_n_sigma",
    "xtc_probability",
    "xtc_threshold",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
    "dry_multiplier",
    "dry_base",
    "dry_allowed_length",
    "repeat_last_n",
    "keyword_bias",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
)


class TextFields:
    """Draws them where it is constructed; `fields` are those that are settings, by name."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.params = {param.name: param for param in family("causal_lm").params(TASK)}
        self.fields: dict[str, Any] = {}
        self.draw()

    # --- drawing

    def draw(self) -> None:
        fields, model = self.fields, self.first_model()
        fields["mode"] = gr.Radio(
            list(writing.MODES), value="brief", label="Mode", elem_id="text-mode", interactive=True
        )
        fields["prompt"] = gr.Textbox(
            label="Brief",
            lines=4,
            max_lines=18,
            elem_id="text-prompt",
            max_length=500_000,
            placeholder="A poem about the sea and a lighthouse",
        )
        self.notes = PromptNotes(PANEL)
        self.talk = Conversation(PANEL)
        self.tools = NotebookTools(PANEL)
        with gr.Column(elem_id="text-brief-fields", elem_classes=["gap-less"]) as self.brief_fields:
            self.draw_brief(fields)
        with gr.Column(visible=False, elem_id="text-chat-fields") as self.chat_fields:
            fields["system"] = self.line("system", "Role", "You are a careful editor.", lines=2)
        models = self.models()
        fields["model"] = ModelMenu(
            models,
            value=models[0][1] if models else None,
            label="Model",
            elem_id="text-model",
            interactive=True,
            info=described(model),
        )
        taught = self.loras()
        with gr.Row(visible=len(taught) > 1, elem_id="text-lora-row") as self.lora_row:
            fields["adapter"] = gr.Dropdown(
                taught, value="", label="LoRA", elem_id="text-adapter", interactive=True, min_width=120, scale=2
            )
            fields["adapter_weight"] = gr.Number(1.0, label="Weight", elem_id="text-adapter-weight", min_width=60)
        with gr.Row():
            fields["max_new_tokens"] = self.setting("max_new_tokens", model, label="Longest (tokens)")
            fields["temperature"] = self.setting("temperature", model, label="Temperature")
        with gr.Row():
            first = secrets.randbelow(form.MAX_SEED)
            fields["seed"] = gr.Number(first, label="Seed", precision=0, elem_id="text-seed", min_width=80)
            fields["lock"] = gr.Checkbox(value=False, label="Lock", elem_id="text-lock", min_width=60)
        fields["num_return_sequences"] = gr.Slider(
            1, 8, value=4, step=1, label="Drafts", elem_id="text-count", buttons=[], interactive=True
        )
        self.draw_folds(fields, model)
        self.wishes = ModelWishes(PANEL, self.wished())

    def draw_brief(self, fields: dict[str, Any]) -> None:
        self.templates = BriefTemplates(PANEL, templating.shown(self.studio))
        with gr.Row():
            fields["genre"] = self.menu("genre", "Genre", GENRES, "any")
            fields["tone"] = self.menu("tone", "Tone", TONES, "any", allow_custom_value=True)
        with gr.Row():
            fields["audience"] = self.menu("audience", "For", ("", "everyone", "children"), "anyone")
            fields["keywords"] = self.line("keywords", "Keywords", "sea, lighthouse")
        with gr.Row():
            fields["title"] = self.line("title", "Title", "free")
            fields["language"] = self.line("language", "Language", "as asked")
            fields["length"] = gr.Number(
                0, label="Words (0: free)", precision=0, minimum=0, elem_id="text-length", min_width=60
            )

    def draw_folds(self, fields: dict[str, Any], model: Model | None) -> None:
        with gr.Accordion("Sampling", open=False, elem_id="text-sampling-fold"):
            known = [name for name in STEERING if name in self.params]
            for left, right in zip(known[::2], [*known[1::2], None], strict=False):
                with gr.Row():
                    for name in (left, right):
                        if name:
                            fields[name] = self.setting(name, model, label=self.params[name].label)
        with gr.Accordion("Limits and form", open=False, elem_id="text-rules-fold"):
            with gr.Row():
                fields["seconds"] = self.setting("seconds", model, label="Seconds (0: free)")
                fields["quantization"] = gr.Dropdown(
                    [("as they are", "none"), ("8 bits", "int8")],
                    value="none",
                    label="Weights",
                    elem_id="text-quantization",
                    interactive=True,
                    min_width=80,
                )
            fields["stop"] = self.line("stop", "Stop at (one a line)", "", lines=2)
            fields["regex"] = self.line("regex", "Must match (regular expression)", r"\d+\. .+")
            fields["json_schema"] = self.line(
                "json_schema", "Must be JSON of this schema", '{"type": "object"}', lines=2
            )
            fields["filter"] = self.line("filter", "Words that must not come", "one a line or with commas", lines=2)
            fields["filtered"] = gr.Checkbox(value=True, label="Filter these words", elem_id="text-filtered")

    def line(self, name: str, label: str, placeholder: str, lines: int = 1) -> gr.Textbox:
        return gr.Textbox(
            label=label,
            placeholder=placeholder,
            lines=lines,
            max_lines=max(lines, 6),
            elem_id=form.elem_id(PANEL, name),
            interactive=True,
            min_width=60,
        )

    def menu(self, name: str, label: str, choices: tuple[str, ...], none: str, **more: Any) -> gr.Dropdown:
        return gr.Dropdown(
            [(choice or none, choice) for choice in choices],
            value="",
            label=label,
            elem_id=form.elem_id(PANEL, name),
            interactive=True,
            min_width=80,
            **more,
        )

    def setting(self, name: str, model: Model | None, *, label: str) -> gr.components.Component:
        """A declared number to type, with what this model wants as its value."""
        param: Param = self.params[name]
        wanted = self.defaults(model).get(name, param.default)
        return form.field(param, PANEL, typed=True, value=wanted, label=label, info=None)

    # --- what there is to choose from

    def models(self) -> list[tuple[str, str]]:
        return [(model.name, model.id) for model in self.studio.catalog.models(TASK)]

    def loras(self) -> list[tuple[str, str]]:
        """Adapters that were taught to a language model here, with its name."""
        return form.taught(self.studio, "causal_lm")

    def first_model(self) -> Model | None:
        known = self.studio.catalog.models(TASK)
        return known[0] if known else None

    def defaults(self, model: Model | None) -> Mapping[str, Any]:
        return self.studio.catalog.defaults(model, TASK) if model else {}

    def wished(self) -> dict[str, dict[str, Any]]:
        """By model id, what it wants in the fields of WISHED."""
        found = {}
        for model in self.studio.catalog.models(TASK):
            known = self.defaults(model)
            found[model.id] = {name: known[name] for name in WISHED if name in known}
        return found


def described(model: Model | None) -> str:
    if model is None:
        return "No text model is installed. Put a transformers folder into the home's models folder."
    return model.summary
