"""The Library tab: a host for assets/ui/library.js, which asks our own routes for all that it shows."""

from studio.studio import Studio
from studio.ui.fast_gradio import gradio as gr

TITLE = "Library"
ICON = "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z"


def build(studio: Studio, demo: gr.Blocks) -> None:
    gr.HTML(
        html_template='<div class="at lib" data-panel="library"></div>',
        js_on_load="window.atelier.library(element.querySelector('.lib'))",
        elem_id="library",
        elem_classes="library-host",
        apply_default_css=False,
        padding=False,
    )
