"""Which models want few steps, by their folders alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from studio.families.diffusion.defaults import folder_defaults

SD, XL = "StableDiffusionPipeline", "StableDiffusionXLPipeline"


def model(folder: Path, pipeline: str, card: str = "", **configs: dict[str, Any]) -> Path:
    folder.mkdir()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": pipeline}), "utf-8")
    if card:
        (folder / "card.toml").write_text(card, "utf-8")
    for part, config in configs.items():
        (folder / part).mkdir()
        name = "scheduler_config.json" if part == "scheduler" else "config.json"
        (folder / part / name).write_text(json.dumps(config), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "pipeline", "card", "configs", "wanted"),
    [
        ("sd-turbo", SD, "", {}, (4, 0.0)),
        ("a", XL, '[hub]\nrepo = "stabilityai/sdxl-turbo"\n', {}, (4, 0.0)),
        ("dreamshaperXL_lightning", XL, "", {}, (4, 0.0)),
        ("sdxl-lightning-8step", XL, "", {}, (8, 0.0)),
        ("b", XL, 'file = "/models/Hyper-SDXL-1step.safetensors"\n', {}, (1, 0.0)),
        ("c", SD, "", {"scheduler": {"_class_name": "LCMScheduler"}}, (4, 1.5)),
        ("flux", "FluxPipeline", "", {"transformer": {"guidance_embeds": False}}, (4, 0.0)),
        ("flux-dev", "FluxPipeline", "", {"transformer": {"guidance_embeds": True}}, (28, 3.5)),
        ("turbogenerator", SD, "", {}, (25, 7.0)),
        ("my-turbo", "ZImagePipeline", "", {}, (9, 1.0)),
        ("plain", SD, "not toml", {}, (25, 7.0)),
    ],
)
def test_a_distilled_model_wants_few_steps(
    tmp_path: Path, name: str, pipeline: str, card: str, configs: dict[str, Any], wanted: tuple[int, float]
) -> None:
    found = folder_defaults(model(tmp_path / name, pipeline, card, **configs))
    assert (found["num_inference_steps"], found["guidance_scale"]) == wanted
    assert found.get("scheduler", "default") == ("lcm" if "scheduler" in configs else "default")
