"""The prompt graph that ComfyUI writes into its pictures, walked back from the sampler to the words and
settings.

Knows the nodes of ComfyUI itself and the shape of most others: a node that is not known is passed through
along its links. Visits are counted, so that no graph, however knotted, takes long.
"""

from collections.abc import Iterator
from typing import Any

from studio.library.peers import Recovered, as_json, as_text, file_stem, recovered, table

MAX_NODES = 5000
MAX_VISITS = 2000

Node = dict[str, Any]

_WORDS = ("text", "text_g", "text_l", "clip_l", "t5xxl", "prompt", "string", "value", "string_a", "string_b")
_CONDITIONING = (
    "conditioning",
    "conditioning_1",
    "conditioning_2",
    "conditioning_to",
    "conditioning_from",
    "cond",
)
_LATENT = ("latent_image", "samples", "latent", "latents", "pixels", "image")
_SCALAR = ("value", "int", "float", "number", "seed", "noise_seed", "string", "text")
_PARTS = ("noise", "guider", "sampler", "sigmas")  # nodes that hold settings of SamplerCustomAdvanced
_MODEL = ("ckpt_name", "unet_name", "model_name", "model_path")


def read(text: str) -> Recovered | None:
    """What the graph says, by its first sampler that starts from an empty latent, else by its first. None: no
    sampler.
    """
    plain = as_json(text)
    if plain is None:
        return None
    nodes = {
        key: node
        for key, node in list(plain.items())[:MAX_NODES]
        if isinstance(table(node).get("class_type"), str) and isinstance(table(node).get("inputs"), dict)
    }
    return _Graph(nodes).read()


class _Graph:
    def __init__(self, nodes: dict[str, Node]) -> None:
        self.nodes = nodes
        self.visits = MAX_VISITS

    def read(self) -> Recovered | None:
        samplers = [node for node in self.nodes.values() if self.samples(node)]
        if not samplers:
            return None
        sampler = next((node for node in samplers if self.size(node)[0]), samplers[0])
        settings = self.settings(sampler)
        width, height = self.size(sampler)
        strength = self.scalar(settings.get("denoise"))
        model, loras = self.model(settings.get("model"))
        return recovered(
            "comfyui",
            prompt=self.words(settings.get("positive", settings.get("conditioning")), "positive"),
            negative=self.words(settings.get("negative"), "negative"),
            steps=self.scalar(settings.get("steps")),
            guidance=self.scalar(settings.get("cfg")),
            seed=self.scalar(settings.get("seed", settings.get("noise_seed"))),
            width=width,
            height=height,
            sampler=self.scalar(settings.get("sampler_name")),
            schedule=self.scalar(settings.get("scheduler")),
            strength=None if strength == 1 else strength,
            model=model,
            loras=loras,
        )

    @staticmethod
    def samples(node: Node) -> bool:
        inputs = node["inputs"]
        guided = "positive" in inputs or "guider" in inputs
        return guided and bool({"seed", "noise_seed", "noise", "latent_image", "steps"} & inputs.keys())

    def settings(self, sampler: Node) -> dict[str, Any]:
        """The sampler's inputs, with those of the nodes that hold its noise, guidance and steps."""
        merged: dict[str, Any] = {}
        for part in _PARTS:
            merged |= table((self.node(sampler["inputs"].get(part)) or {}).get("inputs"))
        return merged | sampler["inputs"]

    def node(self, link: Any) -> Node | None:
        """The node at the other end of a link, which is a list [id, output]; None for anything else or too
        many visits.
        """
        self.visits -= 1
        if self.visits < 0 or not (isinstance(link, list) and len(link) == 2 and isinstance(link[0], str | int)):
            return None
        return self.nodes.get(str(link[0]))

    def scalar(self, value: Any) -> Any:
        for _ in range(10):
            if not isinstance(value, list):
                return value
            inputs = (self.node(value) or {"inputs": {}})["inputs"]
            value = next((inputs[key] for key in _SCALAR if key in inputs), None)
        return None

    def words(self, link: Any, role: str, depth: int = 0) -> str:
        """The texts that a conditioning or text link leads to, each once."""
        node = self.node(link)
        if node is None or depth > 30 or node["class_type"] == "ConditioningZeroOut":
            return ""
        inputs = node["inputs"]
        texts = [
            as_text(inputs[key], 100_000) if isinstance(inputs[key], str) else self.words(inputs[key], role, depth + 1)
            for key in _WORDS
            if key in inputs
        ]
        if not any(texts):
            texts = [self.words(inputs[key], role, depth + 1) for key in (role, *_CONDITIONING) if key in inputs]
        return ", ".join(dict.fromkeys(text for text in texts if text))

    def size(self, sampler: Node) -> tuple[Any, Any]:
        for node in self.upstream(sampler):
            width, height = (self.scalar(node["inputs"].get(side)) for side in ("width", "height"))
            if isinstance(width, int) and isinstance(height, int):
                return width, height
        return None, None

    def upstream(self, node: Node) -> Iterator[Node]:
        """The nodes that the latent comes from, nearest first; not past another sampler."""
        for _ in range(20):
            link = next((node["inputs"][key] for key in _LATENT if isinstance(node["inputs"].get(key), list)), None)
            found = self.node(link)
            if found is None or self.samples(found):
                return
            yield found
            node = found

    def model(self, link: Any) -> tuple[str, list[tuple[Any, Any]]]:
        """The checkpoint's name and the LoRAs on the way to it, nearest the checkpoint first."""
        loras: list[tuple[Any, Any]] = []
        for _ in range(50):
            inputs = (self.node(link) or {"inputs": {}})["inputs"]
            if isinstance(inputs.get("lora_name"), str):
                loras.append((file_stem(inputs["lora_name"]), self.scalar(inputs.get("strength_model"))))
            for entry in (table(value) for key, value in inputs.items() if key.startswith("lora_")):
                if entry.get("on") and entry.get("lora"):
                    loras.append((file_stem(entry["lora"]), entry.get("strength")))
            name = next((file_stem(inputs[key]) for key in _MODEL if isinstance(inputs.get(key), str)), "")
            if name:
                return name, loras[::-1]
            link = inputs.get("model")
        return "", loras[::-1]
