"""What `Studio.submit` needs to teach a model a data set, or to measure one: a frozen data set and settings."""

import json
import secrets
from collections.abc import Mapping, Sequence

from studio import presets
from studio.errors import InvalidInput
from studio.families import family
from studio.families.audio.folders import can_be_taught
from studio.lab.caption_words import SAID
from studio.lab.dataset import Dataset
from studio.lab.items import Item
from studio.lab.probe import ATTRIBUTES, JUDGE, JUDGED, Probe
from studio.lab.recipe import PRESETS, lora_params, scratch_params, sound_lora_params, text_lora_params
from studio.presets import Preset
from studio.studio import Studio, inputs_of
from studio.types import Adapter, Artifact, Input, Model, Request, Value

SAMPLED = 12  # denoising steps of the pictures on the way of a training
CONTEXT = 512  # tokens of a row of text at most
# what teaches a model a LoRA, by the kind of the data, and how what it holds is called
LORAS = {"image": "train_lora", "text": "train_text_lora", "sound": "train_sound_lora"}
HELD = {"image": "pictures", "text": "texts", "score": "scores", "shape": "shapes", "sound": "sounds"}


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
    """What `submit` needs to teach `base` these pictures, texts or sounds; `changes` go before what the preset says,
    which is one of ours or of the person's.
    """
    model = studio.catalog.model(base)
    task = lora_task(model, dataset)
    frozen = freeze(studio, dataset)
    given = {k: v for k, v in (changes or {}).items() if v is not None}
    return Request(
        task=task,
        model=model.id,
        prompt=name.strip() or dataset.name,
        inputs=(Input(role="dataset", artifact=frozen.sha256),),
        params={**lora_values(studio, dataset, model, preset), **given},
        seed=seed,
    )


def lora_task(model: Model, dataset: Dataset) -> str:
    """What teaches the model this kind of data. InvalidInput where it cannot learn it."""
    task, holds = LORAS.get(dataset.kind, ""), HELD[dataset.kind]
    if not learns(model, dataset.kind):
        said = f"{dataset.name} holds {holds}, which {model.name} cannot be taught."
        raise InvalidInput(said, f"Choose a model that learns {holds}.", field="base")
    return task


def learns(model: Model, kind: str) -> bool:
    """Whether a LoRA of that kind of data can be taught to it."""
    able = LORAS.get(kind, "") in family(model.family).trainings
    return able and (kind != "sound" or can_be_taught(model.folder))


def kind_learnt(model: Model) -> str:
    """The kind of data of which the model can learn a LoRA. InvalidInput where there is none."""
    kinds = [kind for kind in LORAS if learns(model, kind)]
    if not kinds:
        hint = "Choose one that makes pictures from words, a language model, or MusicGen."
        raise InvalidInput(f"{model.name} cannot be taught a LoRA.", hint, field="base")
    return kinds[0]


def check_preset(studio: Studio, kind: str, name: str) -> None:
    """InvalidInput where there is no such preset for that kind of data, ours or the person's."""
    there = (*PRESETS, *(kept.name for kept in own_presets(studio, kind)))
    if name not in there:
        hint = f"Choose one of {', '.join(there)}."
        raise InvalidInput(f"There is no preset {name!r} for this data.", hint, field="preset")


def learnt_items(dataset: Dataset) -> list[Item]:
    """What a training learns from: neither what is held out nor what is left out."""
    return [item for item in dataset.items if item.usable and item.included and item.split == "train"]


def lora_values(studio: Studio, dataset: Dataset, model: Model, preset: str) -> dict[str, Value]:
    """Params of a LoRA on that data set by a preset of ours or of the person's. InvalidInput."""
    check_preset(studio, dataset.kind, preset)
    own = {kept.name: kept for kept in own_presets(studio, dataset.kind)}
    ours = preset if preset in PRESETS else PRESETS[1]  # for what a preset of the person's leaves open
    learnt = learnt_items(dataset)
    if dataset.kind == "text":
        values = dict(text_lora_params(ours, sum(item.length for item in learnt), model.size, CONTEXT))
    elif dataset.kind == "sound":
        values = dict(sound_lora_params(ours, sum(item.length for item in learnt) / 1000, model.size))
        guidance = studio.catalog.defaults(model, "text_to_audio").get("guidance_scale")
        values |= {} if guidance is None else {"guidance_scale": max(1.0, float(str(guidance)))}
    else:
        values = dict(lora_settings(studio, model, ours, len(learnt)))
    kept = own[preset].fields.get("params") if preset in own else None
    return {**values, **kept} if isinstance(kept, dict) else values


def own_presets(studio: Studio, kind: str) -> list[Preset]:
    """The person's own settings of LoRAs that learn that kind of data, by name."""
    known = presets.load_presets(studio.settings.home)
    return [preset for preset in known if kind_of(preset) == kind]


def kind_of(preset: Preset) -> str:
    """The kind of data that a preset's settings are for; "" for a preset of something else than a LoRA."""
    params = preset.fields.get("params")
    if preset.fields.get("task") == LORAS["image"] and isinstance(params, dict) and "max_length" in params:
        return "text"  # those for texts were once kept under the other task's name
    return next((kind for kind, task in LORAS.items() if task == preset.fields.get("task")), "")


def keep_preset(studio: Studio, kind: str, name: str, params: Mapping[str, Value]) -> None:
    """Settings of a LoRA that learns that kind of data, under a name. InvalidInput, DiskFull."""
    if kind not in LORAS:
        raise InvalidInput("No LoRA learns this kind of data.", "Choose a data set of pictures, texts or sounds.")
    if name.strip().casefold() in PRESETS:
        hint = "Choose another name."
        raise InvalidInput(f"{name.strip()!r} is the name of a preset of the program.", hint, field="name")
    presets.save_preset(studio.settings.home, name, {"task": LORAS[kind], "params": params})


def lora_settings(studio: Studio, model: Model, preset: str, pictures: int) -> Mapping[str, Value]:
    """Params of train_lora by a preset; samples are drawn as the model draws in its panel, in SAMPLED steps at most."""
    used = studio.catalog.defaults(model, "text_to_image")
    side, steps = (int(str(used.get(name) or usual)) for name, usual in (("width", 512), ("num_inference_steps", 25)))
    return {
        **lora_params(preset, max(1, pictures), model.size, side),
        "guidance_scale": used.get("guidance_scale", 7.0),
        "num_inference_steps": min(SAMPLED, steps),
    }


def measurable(model: Model) -> bool:
    known = any(task.startswith("evaluate_") for task in family(model.family).trainings)
    return known and (model.family != "diffusion" or "text_to_image" in model.tasks)


def evaluation_of(model: Model) -> str:
    """The task that measures such a model. InvalidInput where none does."""
    if not measurable(model):
        hint = "Its own figures stand on its card: see Models." if model.card.get("figures") else "Choose another."
        raise InvalidInput(f"{model.name} cannot be measured here.", hint, field="model")
    return next(task for task in family(model.family).trainings if task.startswith("evaluate_"))


def judged_by(model: Model) -> tuple[str, ...]:
    """What can be told of a model's pictures without captions: the colour of any, more by a judge of its own."""
    return ("colour", *(JUDGED if (model.folder / JUDGE).is_file() else ()))


def attributes_of(studio: Studio, model: Model) -> tuple[str, ...]:
    """What a probe of a model's pictures can count: also what captions say, where a captioner is installed."""
    able = {*judged_by(model), *(SAID if studio.catalog.models("caption") else ())}
    return tuple(attribute for attribute in ATTRIBUTES if attribute in able)


def evaluation_request(
    studio: Studio,
    model: str,
    dataset: Dataset | None = None,
    adapters: tuple[Adapter, ...] = (),
    probe: Probe | Sequence[Probe] | None = None,
    seed: int = 0,
    changes: Mapping[str, Value] | None = None,
) -> Request:
    """What `submit` needs to measure a model, with `adapters` before and after: against the held-out part of a data
    set, and by bias probes; with neither, on pairs of things and places that its training never had.

    `changes` are settings of the task: pictures, combinations, num_inference_steps, drafts ... InvalidInput.
    """
    probes = (probe,) if isinstance(probe, Probe) else tuple(probe or ())
    for one in probes:
        one.check()
    measured = studio.catalog.model(model)
    task = evaluation_of(measured)
    if measured.family == "diffusion":
        _check_attributes(studio, measured, probes)
    if dataset:
        _check_kind(dataset, measured, "makes")
    frozen = freeze(studio, dataset) if dataset else None
    given: dict[str, Value] = {}
    if measured.family == "diffusion":
        given = {"pictures": 24 if frozen else 0, "combinations": 0 if frozen or probes else 24}
        if any(one.attribute not in judged_by(measured) for one in probes):
            given["captioner"] = studio.catalog.default("caption").id
    if probes and "probes" not in {param.name for param in family(measured.family).params(task)}:
        raise InvalidInput(f"{measured.name} follows no words, so it cannot be probed.", "Leave out the prompts.")
    if measured.family == "causal_lm" and any(not one.words for one in probes):
        hint = "Name some, such as he, she."
        raise InvalidInput("A probe of texts needs the words that are counted.", hint, field="words")
    if measured.family != "gan":
        given["probes"] = json.dumps([one.to_dict() for one in probes])
    told = [dataset.name] if dataset else []
    told += [f"“{prompt}”" for one in probes for prompt in one.prompts]
    return Request(
        task=task,
        model=measured.id,
        prompt=f"{model}: {', '.join(told) or 'new combinations'}"[:200],
        inputs=inputs_of(frozen.sha256 if frozen else None, "dataset"),
        adapters=adapters,
        params={**given, **{k: v for k, v in (changes or {}).items() if v is not None}},
        seed=seed,
    )


def _check_attributes(studio: Studio, model: Model, probes: Sequence[Probe]) -> None:
    """InvalidInput where a probe asks for what nothing can tell of the model's pictures."""
    able = attributes_of(studio, model)
    wrong = next((probe.attribute for probe in probes if probe.attribute not in able), "")
    if wrong in SAID:
        hint = "Get a captioning model, BLIP for instance, in Models: its captions tell that."
        said = f"Nothing installed can tell the {wrong} in the pictures of {model.name}."
        raise InvalidInput(said, hint, field="attribute")
    if wrong:
        said = f"{model.name} has no judge that could tell the {wrong} in its pictures."
        raise InvalidInput(said, f"It can be probed for the {', '.join(able)}.", field="attribute")
    for probe in probes:
        counted = SAID[probe.attribute] if probe.attribute not in judged_by(model) else probe.words
        unknown = [word for word in probe.words if word not in counted]
        if unknown:
            said = f"Captions are not searched for the {probe.attribute} {unknown[0]!r}."
            raise InvalidInput(said, f"Name some of {', '.join(counted)}, or none.", field="words")


def _check_kind(dataset: Dataset, model: Model, verb: str) -> None:
    """InvalidInput where the data set holds something else than that model `learns` or `makes`."""
    media = family(model.family).media
    if media in LORAS and dataset.kind != media:
        holds = HELD[dataset.kind]
        other = "texts" if media == "text" else "pictures"
        hint = f"Choose a model that {verb} {holds}."
        raise InvalidInput(f"{dataset.name} holds {holds}, and {model.name} {verb} {other}.", hint, field="base")


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
