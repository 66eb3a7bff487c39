"""The Train tab: a host for assets/ui/train.js, which asks /atelier/train/ for all that it shows."""

from studio.studio import Studio
from studio.ui.fast_gradio import gradio as gr

TITLE = "Train"
ICON = "M4 19V5M4 19h16M7 15l4-5 3 3 5-7"


def build(studio: Studio, demo: gr.Blocks) -> None:
    gr.HTML(
        html_template='<div class="at trn" data-panel="train"></div>',
        js_on_load="window.atelier.train(element.querySelector('.trn'))",
        elem_id="train",
        elem_classes="train-host",
        apply_default_css=False,
        padding=False,
    )
