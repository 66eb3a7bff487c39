"""The look as gradio wants it: theme tokens, the rail's icons as masks, and the tags in the page's head."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gradio as gr

STYLES = (
    "studio.css",
    "library.css",
    "train.css",
    "board.css",
    "conversation.css",
    "music.css",
    "design.css",
    "models.css",
    "care.css",
    "shape.css",
    "sketch.css",
    "films.css",
)
# each uses those before it
SCRIPTS = (
    "base.js",
    "studio.js",
    "shell.js",
    "chooser.js",
    "library-grid.js",
    "library-detail.js",
    "library.js",
    "train-data.js",
    "train-run.js",
    "train.js",
    "found-models.js",
    "models.js",
    "care.js",
)

METRICS = {
    "block_shadow": "none",
    "block_shadow_dark": "none",
    "input_shadow": "none",
    "input_shadow_dark": "none",
    "button_primary_shadow": "none",
    "button_secondary_shadow": "none",
    "block_padding": "4px 0",
    "block_title_text_size": "12px",
    "block_title_text_weight": "400",
    "block_label_text_size": "12px",
    "block_label_text_weight": "400",
    "block_info_text_size": "12px",
    "input_border_width": "1px",
    "input_padding": "7px 9px",
    "button_large_padding": "9px 14px",
    "button_large_text_size": "14px",
    "button_large_text_weight": "700",
    "button_small_text_weight": "400",
    "button_medium_text_weight": "400",
    "layout_gap": "8px",
    "form_gap_width": "0px",
}


def both(light: str, dark: str, *names: str) -> dict[str, str]:
    """Tokens that have one value a scheme."""
    return {key: value for name in names for key, value in ((name, light), (f"{name}_dark", dark))}


def theme() -> "gr.themes.Base":
    """Flat, dense, neutral; one violet."""
    import gradio as gr

    sizes = gr.themes.sizes
    base = gr.themes.Base(
        primary_hue=gr.themes.colors.violet,
        neutral_hue=gr.themes.colors.zinc,
        spacing_size=sizes.spacing_sm,
        radius_size=sizes.radius_sm,
        text_size=sizes.text_sm,
        # bundled, and whole at these two weights: others lack letters, which mixes faces within a word
        font=[gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif"],
        font_mono=[gr.themes.LocalFont("IBM Plex Mono", weights=(400, 700)), "ui-monospace", "monospace"],
    )
    return base.set(**colours(), **METRICS)


def colours() -> dict[str, str]:
    """Every pair of text and ground reaches WCAG AA."""
    return {
        **both("#18181b", "#ededf0", "body_text_color", "block_info_text_color"),
        **both(
            "#55555e",
            "#b0b0ba",
            "body_text_color_subdued",
            "block_label_text_color",
            "block_title_text_color",
            "accordion_text_color",
            "input_placeholder_color",
        ),
        **both("#f1f1f4", "#0e0e11", "body_background_fill"),
        **both("#ffffff", "#16161a", "background_fill_primary"),
        **both("#fafafb", "#1b1b20", "background_fill_secondary"),
        **both(
            "transparent",
            "transparent",
            "block_background_fill",
            "block_label_background_fill",
            "block_title_background_fill",
            "panel_background_fill",
        ),
        **both("0px", "0px", "block_border_width", "block_label_border_width", "panel_border_width"),
        **both("#ffffff", "#202026", "input_background_fill", "input_background_fill_focus"),
        **both("#c9c9d1", "#3a3a43", "input_border_color"),
        **both(
            "#6d28d9",
            "#a78bfa",
            "input_border_color_focus",
            "slider_color",
            "checkbox_background_color_selected",
            "checkbox_border_color_selected",
            "checkbox_border_color_focus",
        ),
        **both("#ffffff", "#202026", "checkbox_background_color"),
        **both(
            "transparent",
            "transparent",
            "checkbox_label_background_fill",
            "checkbox_label_background_fill_hover",
        ),
        **both("#dfdfe5", "#2b2b32", "border_color_primary"),
        **both("#ededf1", "#26262d", "button_secondary_background_fill"),
        **both("#e2e2e8", "#31313a", "button_secondary_background_fill_hover"),
        **both("#18181b", "#ededf0", "button_secondary_text_color"),
        **both("#6d28d9", "#7c3aed", "button_primary_background_fill"),
        **both("#5b21b6", "#6d28d9", "button_primary_background_fill_hover"),
        **both("#ffffff", "#ffffff", "button_primary_text_color"),
        **both("#ede9fe", "#2a2440", "color_accent_soft"),
        **both(
            "#6d28d9",
            "#a78bfa",
            "link_text_color",
            "link_text_color_hover",
            "link_text_color_visited",
            "link_text_color_active",
        ),
    }


def icon_css(icons: Mapping[str, str]) -> str:
    """Each tab's icon as a mask in the text's colour: no icon font, no request."""
    rules = []
    for name, path in icons.items():
        picture = (
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' "
            "stroke='black' stroke-width='1.6' stroke-linecap='round' stroke-linejoin='round'%3E"
            f"%3Cpath d='{path}'/%3E%3C/svg%3E"
        )
        rules.append(f'#tab-{name}-button::before{{--icon:url("{picture}")}}')
    return "\n".join(rules)


def opening_tags(folder: Path) -> str:
    """For the beginning of the head: the scheme before any paint, then our scripts, before gradio's."""
    scripts = (f'<script defer src="{versioned(folder, name)}"></script>' for name in SCRIPTS)
    scheme = f"<script>{(folder / 'scheme.js').read_text('utf-8')}</script>"
    icon = '<link rel="icon" type="image/svg+xml" href="/favicon.ico">'
    return "\n".join([scheme, icon, '<meta name="color-scheme" content="light dark">', *scripts])


def closing_tags(folder: Path) -> str:
    """For the end of the head: our style sheets, so that they win over gradio's of the same weight."""
    found = (versioned(folder, name) for name in STYLES)
    return "\n".join(f'<link rel="stylesheet" href="{address}">' for address in found)


def versioned(folder: Path, name: str) -> str:
    """The address of an asset with its content's hash, so that browsers may keep it for ever."""
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()[:12]
    return f"/atelier/ui/{name}?v={digest}"
