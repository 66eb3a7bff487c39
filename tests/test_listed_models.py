"""Every class that presets/models lists for texts, sound, speech, captions, shapes and depth, at tiny size with
random weights: it stands in the menu of its panel, what Generate asks for is done by the worker, and the work is kept.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import soundfile
from PIL import Image

from studio.families.model_card import write_card
from studio.hub.listed import Listed, listed
from studio.settings import Settings
from studio.studio import Studio
from studio.types import JobState, Request
from studio.ui import composing, designing, prompt_help, run, writing
from tests.families.audio import tiny as sounds
from tests.families.audio import tiny_listed as more_sounds
from tests.families.captioning import tiny_captioner
from tests.families.causal_lm import tiny_listed as texts
from tests.families.depth import tiny_maps
from tests.families.shapes import test_shap_e
from tests.lengths import ALL

MEDIA = ("text", "music", "sound", "speech", "3d")
USUAL = (
    "Qwen3ForCausalLM",
    "StableAudioPipeline",
    "VitsModel",
    "ShapEPipeline",
    "BlipForConditionalGeneration",
    "DepthAnythingForDepthEstimation",
)
BUILDERS: Mapping[str, Callable[[Path], object]] = {
    **{kind: partial(texts.build, kind) for kind in texts.configs({})},
    "BlipForConditionalGeneration": partial(tiny_captioner.build, "blip"),
    "MusicgenForConditionalGeneration": sounds.musicgen,
    "MusicgenMelodyForConditionalGeneration": partial(sounds.musicgen, melody=True),
    "StableAudio3Pipeline": more_sounds.stable_audio_3,
    "AceStepPipeline": sounds.ace_step,
    "StableAudioPipeline": sounds.stable_audio,
    "AudioLDM2Pipeline": sounds.audioldm2,
    "LongCatAudioDiTPipeline": sounds.longcat,
    "PocketTTSForConditionalGeneration": more_sounds.pocket_tts,
    "GradiumPhononTTSForConditionalGeneration": more_sounds.phonon,
    "VitsModel": sounds.vits,
    "SpeechT5ForTextToSpeech": sounds.speecht5,
    "BarkModel": sounds.bark,
    "CsmForConditionalGeneration": sounds.csm,
    "DiaForConditionalGeneration": more_sounds.dia,
    "VibeVoiceForConditionalGeneration": more_sounds.vibevoice,
    "DepthAnythingForDepthEstimation": tiny_maps.depth_anything,
    "VitPoseForPoseEstimation": tiny_maps.vitpose,
    "MarigoldDepthPipeline": tiny_maps.marigold,
    "MarigoldIntrinsicsPipeline": partial(tiny_maps.marigold, materials=True),
    "ShapEPipeline": lambda folder: test_shap_e.written(folder.parent / "made").rename(folder),
}
SHORT = {"seed": 5, "lock": True}


def offered() -> dict[str, Listed]:
    """One entry for each class that runs here."""
    return {entry.pipeline: entry for entry in listed() if entry.medium in MEDIA and entry.runs}


def named(entry: Listed) -> Any:
    return pytest.param(entry, id=entry.pipeline, marks=() if entry.pipeline in USUAL else pytest.mark.full)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One with a folder for each class, with the card that a download of its entry leaves."""
    home = tmp_path_factory.mktemp("home")
    for pipeline, entry in offered().items():
        if ALL or pipeline in USUAL:
            folder = home / "models" / pipeline
            BUILDERS[pipeline](folder)
            write_card(folder, {"name": entry.name, "family": entry.family, "tasks": list(entry.tasks)})
    with Studio(Settings.load({"home": str(home), "device": "cpu"})) as one:
        yield one


def asked_for(studio: Studio, entry: Listed, tmp_path: Path) -> tuple[str, Request]:
    """The panel, and what its button asks for when the form is filled for a short try."""
    task, values = entry.tasks[0], {**SHORT, "model": entry.pipeline}
    if task == "text":
        words = {**values, "mode": "write", "prompt": "The fox", "max_new_tokens": 6, "num_return_sequences": 1}
        return writing.PANEL, writing.request(studio, writing.Writing(values=words))
    if task in ("text_to_audio", "text_to_speech"):
        mode = "audio" if task == "text_to_audio" else "speech"
        sound = {"seconds": 1.0, "num_inference_steps": 2} if mode == "audio" else {}
        brief = {**values, **sound, "mode": mode, "prompt": "a small fox", "num_return_sequences": 1}
        return composing.PANEL, composing.request(studio, composing.Composing(values=brief))
    if task == "text_to_shape":
        own = {"num_inference_steps": 2, "cells": 32, "num_return_sequences": 1}
        form = {**values, "bench": "shape", "prompt": "a vase", **{f"{task}.{k}": v for k, v in own.items()}}
        return designing.PANEL, designing.plan(studio, designing.Designing(values=form)).requests[0]
    Image.radial_gradient("L").resize((96, 64)).save(tmp_path / "ball.png")
    kept = studio.library.keep(tmp_path / "ball.png", media_type="image/png", meta={"name": "ball"})
    if task in ("depth_map", "materials", "pose_map"):
        bench, tray = designing.BENCH_OF[task], [{"sha256": kept.sha256, "media_type": "image/png"}]
        form = {**values, "bench": bench, f"act.{bench}": task, f"{task}.num_inference_steps": 2}
        return designing.PANEL, designing.plan(studio, designing.Designing(values=form, pieces=tray)).requests[0]
    assert task == "caption"
    return prompt_help.ASIDE, prompt_help.describe_request(studio, kept.sha256)


MADE = {
    "text": "text/plain",
    "text_to_audio": "audio/flac",
    "text_to_speech": "audio/flac",
    "text_to_shape": "model/gltf-binary",
    "caption": "text/plain",
    "depth_map": "image/png",
    "pose_map": "image/png",
    "materials": "image/png",
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("entry", [named(entry) for entry in offered().values()])
def test_a_listed_model_runs_through_its_panel(studio: Studio, entry: Listed, tmp_path: Path) -> None:
    task = entry.tasks[0]
    found = {model.id: model for model in studio.catalog.models(task)}
    assert entry.pipeline in found and found[entry.pipeline].family == entry.family
    panel, request = asked_for(studio, entry, tmp_path)
    assert request.model == entry.pipeline
    outcome = run.submit(studio, [request], panel=panel)
    assert outcome.problem is None, outcome.problem
    job = studio.wait(outcome.jobs[0].id, timeout=240)
    assert job.state is JobState.done, (job.error, job.hint)
    made = studio.library.outputs(job.id)
    assert {one.media_type for one in made} == {MADE[task]} and made[0].path.stat().st_size > 0
    if task in ("text_to_audio", "text_to_speech"):
        samples, rate = soundfile.read(made[0].path)
        assert abs(samples).max() > 0.01 and float(str(made[0].meta["lufs"])) > -60
        assert task == "text_to_speech" or abs(len(samples) / rate - 1) < 0.05


def test_what_is_listed_is_tried_here_or_said_not_to_run() -> None:
    for entry in listed():
        if entry.medium in MEDIA:
            assert entry.pipeline in BUILDERS if entry.runs else "yet" in entry.note, entry.id
