"""Small components that panels share, each a gr.HTML whose page side is in assets/ui/fields.js: problems
under fields, the notes of a prompt, the picture to start from. They know fields by their ids, and no
family.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from studio.families.audio import CONSENT
from studio.types import Json
from studio.ui.fast_gradio import gradio as gr

_MOUNT = """
const begin = () => {
  const make = window.atelierBoard && window.atelierBoard.KIND;
  if (!make) return setTimeout(begin, 50);
  make(element, props, (name, data) => trigger('act', data), watch);
};
begin();
"""


class _Widget(gr.HTML):
    """A gr.HTML without a template of its own: its script draws it from `value` with textContent."""

    def __init__(self, kind: str, value: Json, **options: Any) -> None:
        super().__init__(
            value=value,
            html_template='<div class="bd-widget"></div>',
            js_on_load=_MOUNT.replace("KIND", kind),
            apply_default_css=False,
            **options,
        )

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}


class ModelMenu(gr.Dropdown):
    """A menu whose choices change with other fields. gradio refuses a value that the list of a moment ago lacks; this
    one passes it on, and who uses it says whether it can be used.
    """

    is_template = True  # drawn as the menu that it is

    def preprocess(self, payload: Any) -> Any:
        return payload


class Problem(_Widget):
    """What is wrong with the form: {field, message, hint}, shown under the field of that id, here when there
    is none.
    """

    def __init__(self, panel: str, **options: Any) -> None:
        super().__init__("problem", {}, elem_id=f"{panel}-error", elem_classes=["bd-problemhost"], **options)


class PromptNotes(_Widget):
    """Under a prompt: the take it branches from with the change marked, what wildcards become, unknown words,
    history.

    value: {prompt (its field's id), parent, before, kept, note, history}. Events `act`: {do: "notes",
    prompt}, {do: "detach"}.
    """

    def __init__(self, panel: str, **options: Any) -> None:
        super().__init__("promptNotes", notes_value(panel), elem_id=f"{panel}-notes", **options)


def notes_value(panel: str, **known: Any) -> Json:
    """`parent`: sha256 of the take that is branched from, `before` its prompt; `kept`: params and adapters of
    it that the form has no field for; `note`: a line on the prompt as it stands; `history`: earlier
    prompts, newest first.
    """
    return {
        "prompt": f"{panel}-prompt",
        "parent": None,
        "before": "",
        "kept": {},
        "note": "",
        "history": [],
        **known,
    }


class PromptHelp(_Widget):
    """Under a prompt: words that installed models offer for it; draws nothing where none is installed."""

    def __init__(self, panel: str, **options: Any) -> None:
        super().__init__("promptHelp", {"panel": panel}, elem_id=f"{panel}-help", padding=False, **options)


class PromptList(_Widget):
    """Reads a file of prompts into the text field of that id."""

    def __init__(self, panel: str, field: str, **options: Any) -> None:
        super().__init__("promptList", {"field": field}, elem_id=f"{panel}-list", **options)


class StartPicture(_Widget):
    """A picture to begin with, uploaded or of the library, and the mask that is painted over it."""

    def __init__(self, panel: str, **options: Any) -> None:
        super().__init__("startPicture", start_value(), elem_id=f"{panel}-start", **options)


def start_value(sha256: str | None = None, mask: str | None = None, name: str = "", paint: bool = False) -> Json:
    """`paint`: the page opens the picture for painting at once."""
    return {"sha256": sha256, "mask": mask, "name": name, "paint": paint}


class OtherPicture(_Widget):
    """A picture beside the one to begin with, uploaded or of the library: `role` of PICTURES."""

    def __init__(self, panel: str, role: str, **options: Any) -> None:
        super().__init__("otherPicture", picture_value(role), elem_id=f"{panel}-{role}", **options)


PICTURES = {  # by role: what an empty place asks for, what is said of a picture without a name, what the library is for
    "reference": (
        "Drop a picture to resemble, or choose one",
        "New pictures resemble this one.",
        "A picture to resemble",
    ),
    "control": (
        "Drop a picture to follow, or choose one",
        "New pictures follow this one.",
        "A picture to follow",
    ),
}


def picture_value(role: str, sha256: str | None = None, name: str = "") -> Json:
    asks, says, chooses = PICTURES[role]
    return {"role": role, "sha256": sha256, "name": name, "asks": asks, "says": says, "chooses": chooses}


class StartScore(_Widget):
    """What a piece begins with: a score of the library, or notes played on a small keyboard."""

    def __init__(self, panel: str, **options: Any) -> None:
        super().__init__("startScore", start_score_value(), elem_id=f"{panel}-start", **options)


def start_score_value(sha256: str | None = None, name: str = "") -> Json:
    """`notes` are (pitch, quarters) each; they count where no score is chosen."""
    return {"sha256": sha256, "name": name, "notes": []}


class VoiceRecording(_Widget):
    """A recording whose voice is to speak, uploaded here, and the sentence that one agrees to for it.

    value: {shown, sha256, name, agreed, sentence}.
    """

    def __init__(self, panel: str, shown: bool, **options: Any) -> None:
        super().__init__(
            "voiceRecording", recording_value(shown), elem_id=f"{panel}-recording", padding=False, **options
        )


def recording_value(shown: bool, sha256: str | None = None, name: str = "", agreed: bool = False) -> Json:
    return {"shown": shown, "sha256": sha256, "name": name, "agreed": agreed, "sentence": CONSENT}


class ModelWishes(_Widget):
    """Draws nothing: what each model wants in the fields, by model id, so that the page can put it in without asking.

    An answer from here would come later than what the person types meanwhile, and overwrite it.
    """

    def __init__(self, panel: str, models: Mapping[str, Mapping[str, Any]], **options: Any) -> None:
        value = {"panel": panel, "models": {id: dict(wanted) for id, wanted in models.items()}}
        super().__init__(
            "modelWishes", value, elem_id=f"{panel}-wishes", elem_classes=["unseen"], padding=False, **options
        )


class NotebookTools(_Widget):
    """Under the notebook: write the selection anew, shorter, longer, or something new at the cursor.

    value: {panel, shown}. Event `act`: {do: "passage", how, start, end} in characters of the panel's prompt.
    """

    def __init__(self, panel: str, **options: Any) -> None:
        super().__init__(
            "notebookTools", {"panel": panel, "shown": False}, elem_id=f"{panel}-tools", padding=False, **options
        )


class Conversation(_Widget):
    """Under a message: the answer that it goes on from, and a button to begin afresh; over the drafts what was said.

    value from the page: {panel, answers (sha256 or None), waiting: an answer is still being written}. To the page:
    `shown`; `reply`: the answer to go on from; `again`: what is asked for was answered already; `sent`: {job, text}.
    Event `act`: {do: "new"}.
    """

    def __init__(self, panel: str, **options: Any) -> None:
        value = {"panel": panel, "shown": False}
        super().__init__("conversation", value, elem_id=f"{panel}-talk", padding=False, **options)


class BriefTemplates(_Widget):
    """Over the fields of a brief: templates to choose, and to keep, rename and delete.

    value: {shipped, own (names), at (the chosen one), problem, note, deleted: {name, fields} | None}. Events `act`:
    {do: "template-" and use | keep | rename | delete | restore, name, new, fields}.
    """

    def __init__(self, panel: str, known: Json, **options: Any) -> None:
        super().__init__("briefTemplates", known, elem_id=f"{panel}-template", padding=False, **options)


class Tray(_Widget):
    """The pieces that tools work on: works of the library, taken there by hand or sent from any panel.

    value: {pieces: [{sha256, media_type, name}], wanted: "" | "picture" | "any"}. What is not wanted now is shown dim
    and kept; the browser keeps the tray until it is emptied.
    """

    def __init__(self, panel: str, **options: Any) -> None:
        super().__init__("tray", tray_value(), elem_id=f"{panel}-tray", **options)


def tray_value(pieces: Sequence[Mapping[str, Any]] = (), wanted: str = "picture", restore: bool = True) -> Json:
    """`restore`: an empty tray takes back what the browser kept."""
    return {"pieces": [dict(piece) for piece in pieces], "wanted": wanted, "restore": restore}
