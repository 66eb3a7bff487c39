"""The Models tab: a host for assets/ui/models.js, which asks our own routes for all that it shows."""

from studio.studio import Studio
from studio.ui.fast_gradio import gradio as gr

TITLE = "Models"
ICON = "M4 6h16v5H4zM4 13h16v5H4zM8 8.5h.1M8 15.5h.1"


def build(studio: Studio, demo: gr.Blocks) -> None:
    gr.HTML(
        html_template='<div class="at mdl" data-panel="models"></div>',
        js_on_load="window.atelier.models(element.querySelector('.mdl'))",
        elem_id="models",
        elem_classes="models-host",
        apply_default_css=False,
        padding=False,
    )
