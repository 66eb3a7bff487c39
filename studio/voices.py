"""Whose voice a speech model speaks in: one that its folder names, or that of a recording, with consent.

Knows folders, loads no model.
"""

from studio.errors import InvalidInput
from studio.families.audio import CONSENT
from studio.families.audio.folders import chosen_voice, clones, voices_of
from studio.studio import Studio
from studio.types import Input, Model


def spoken_by(studio: Studio, model: Model, voice: str, recording: str | None, consent: str) -> tuple[Input, ...]:
    """The inputs of a request that speaks so; `recording` is a sha256. InvalidInput, NotFound."""
    chosen_voice(model.name, voices_of(model.folder), voice.strip())
    if not recording:
        return ()
    if not clones(model.folder):
        said = f"{model.name} cannot speak in the voice of a recording."
        raise InvalidInput(said, "Remove it, or choose a model that can (Pocket TTS, VibeVoice).", field="recording")
    kept = studio.library.artifact(recording)
    if not kept.media_type.startswith("audio/") or kept.media_type == "audio/midi":
        said = f"{str(kept.meta.get('name') or 'That file')[:80]} is no recording of a voice."
        raise InvalidInput(said, "Give a sound file: WAV, FLAC, MP3 or OGG.", field="recording")
    if consent != CONSENT:
        said = "It is not said that the voice of this recording may be used."
        raise InvalidInput(said, f"Agree to the sentence: {CONSENT}", field="recording")
    return (Input(role="voice", artifact=kept.sha256),)
