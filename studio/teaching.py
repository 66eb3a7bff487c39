"""What `Studio.submit` needs to teach a model a data set, or to measure one: a frozen data set and settings."""

import json
import secrets
from collections.abc import Mapping, Sequence

from studio.families import family
from studio.lab.dataset import Dataset
from studio.lab.probe import Probe
from studio.lab.recipe import lora_params, scratch_params, text_lora_params
from studio.studio import Studio, inputs_of
from studio.types import Adapter, Artifact, Input, Model, Request, Value

SAMPLED = 12  # denoising steps of the pictures on the way of a training


def freeze(studio: Studio, dataset: Dataset) -> Artifact:
    """The data set as it is now, recorded: what a training is given. InvalidInput without consent or pictures."""
    manifest = dataset.manifest()
    splits = [item["split"] for item in manifest["items"]]
    target = studio.settings.staging / f"adopt-{secrets.token_hex(6)}.json"
    target.write_text(json.dumps(manifest), "utf-8")
    meta = {"name": dataset.name, "task": "dataset", "role": "dataset", "dataset": dataset.id, "kind": dataset.kind}
    counts = {"pictures": splits.count("train"), "held_out": splits.count("held_out")}
    try:
        return studio.library.keep(target, media_type="application/json", meta={**meta, **counts})
    finally:
        target.unlink(missing_ok=True)


def lora_request(
    studio: Studio,
    dataset: Dataset,
    *,
    base: str,
    name: str,
    preset: str,
    seed: int = 0,
    changes: Mapping[str, Value] | None = None,
) -> Request:
    """What `submit` needs to teach `base` these pictures or texts; `changes` go before what the preset says."""
    model = studio.catalog.model(base)
    frozen = freeze(studio, dataset)
    if family(model.family).media == "text":
        task = "train_text_lora"
        params = text_lora_params(preset, sum(item.length for item in dataset.items), model.size, 512)
    else:
        task, params = "train_lora", lora_settings(studio, model, preset, int(str(frozen.meta["pictures"])))
    given = {k: v for k, v in (changes or {}).items() if v is not None}
    return Request(
        task=task,
        model=model.id,
        prompt=name.strip() or dataset.name,
        inputs=(Input(role="dataset", artifact=frozen.sha256),),
        params={**params, **given},
        seed=seed,
    )


def lora_settings(studio: Studio, model: Model, preset: str, pictures: int) -> Mapping[str, Value]:
    """Params of train_lora by a preset; samples are drawn as the model draws in its panel, in SAMPLED steps at most."""
    used = studio.catalog.defaults(model, "text_to_image")
    side, steps = (int(str(used.get(name) or usual)) for name, usual in (("width", 512), ("num_inference_steps", 25)))
    return {
        **lora_params(preset, max(1, pictures), model.size, side),
        "guidance_scale": used.get("guidance_scale", 7.0),
        "num_inference_steps": min(SAMPLED, steps),
    }


def evaluation_request(
    studio: Studio,
    model: str,
    dataset: Dataset | None = None,
    adapters: tuple[Adapter, ...] = (),
    probe: Probe | Sequence[Probe] | None = None,
    seed: int = 0,
    changes: Mapping[str, Value] | None = None,
) -> Request:
    """What `submit` needs to measure a picture model, with `adapters` before and after: against the held-out part
    of a data set, and by bias probes; with neither, on pairs of things and places that its training never had.

    `changes` are settings of evaluate_pictures: pictures, combinations, num_inference_steps ... InvalidInput.
    """
    probes = (probe,) if isinstance(probe, Probe) else tuple(probe or ())
    for one in probes:
        one.check()
    frozen = freeze(studio, dataset) if dataset else None
    given: dict[str, Value] = {
        "pictures": 24 if frozen else 0,
        "combinations": 0 if frozen or probes else 24,
        "probes": json.dumps([one.to_dict() for one in probes]),
    }
    told = [dataset.name] if dataset else []
    told += [f"“{prompt}”" for one in probes for prompt in one.prompts]
    return Request(
        task="evaluate_pictures",
        model=studio.catalog.model(model).id,
        prompt=f"{model}: {', '.join(told) or 'new combinations'}"[:200],
        inputs=inputs_of(frozen.sha256 if frozen else None, "dataset"),
        adapters=adapters,
        params={**given, **{k: v for k, v in (changes or {}).items() if v is not None}},
        seed=seed,
    )


def scratch_request(
    studio: Studio,
    dataset: Dataset,
    *,
    kind: str,
    name: str,
    seconds: float = 180,
    seed: int = 0,
    changes: Mapping[str, Value] | None = None,
) -> Request:
    """What `submit` needs to teach these pictures to a model from nothing: a `vae`, a `gan` or a `diffusion` model.
    `changes` go before what the recipe says.
    """
    frozen = freeze(studio, dataset)
    fast = bool(studio.engine.device and studio.engine.device.kind != "cpu")
    params = scratch_params(kind, int(str(frozen.meta["pictures"])), seconds, fast)
    return Request(
        task=f"train_{kind}",
        model="",
        prompt=name.strip() or dataset.name,
        inputs=(Input(role="dataset", artifact=frozen.sha256),),
        params={**params, **{k: v for k, v in (changes or {}).items() if v is not None}},
        seed=seed,
    )
