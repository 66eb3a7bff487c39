"""A copy of the program with one more family, so that whole-program tests need no weights and start fast."""

import shutil
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent

TOY_FAMILY = {
    "__init__.py": '''
        """Toy: draws squares."""
        from studio.families.family import Family, Param
        FAMILY = Family(name="toy", title="Toy", media="image", tasks={"toy": (
            Param(name="num_images_per_prompt", type=int, default=2, minimum=1, maximum=16),
            Param(name="pause", type=float, default=0.0, minimum=0.0, maximum=60.0),
            Param(name="diary", type=str, default=""),)})
    ''',
    "pipeline.py": '''
        """Toy: draws squares, one a take, and notes every finished take in a diary."""
        import os
        import time
        import numpy as np
        from PIL import Image
        class Toy:
            def size(self): return 0
            def run(self, request, context):
                count = request.params["num_images_per_prompt"]
                noise = np.random.default_rng(request.seed)
                for k in range(count):
                    context.check()
                    picture = Image.fromarray(noise.integers(0, 255, (96, 96, 3), dtype="uint8"))
                    context.preview(k, picture.save)
                    time.sleep(request.params["pause"])
                    meta = {"seed": request.seed + k, "prompt": request.prompt}
                    context.output(k, picture.save, ".png", "image/png", meta)
                    if request.params.get("diary"):
                        line = f"{context.staging.name} {k}\\n".encode()
                        with open(request.params["diary"], "ab", buffering=0) as diary:
                            diary.write(line)
                            os.fsync(diary.fileno())
                    context.progress(k + 1, count)
        def load(folder, device): return Toy()
    ''',
}


def copy_of_the_house(target: Path) -> Path:
    """The package copied, assets and presets linked."""
    shutil.copytree(ROOT / "studio", target / "studio", ignore=shutil.ignore_patterns("__pycache__"))
    (target / "assets").symlink_to(ROOT / "assets")
    (target / "presets").symlink_to(ROOT / "presets")
    return target


def house_with_a_toy(target: Path) -> Path:
    """What a new family touches: its folder and one word."""
    house = copy_of_the_house(target)
    families = house / "studio" / "families" / "__init__.py"
    text = families.read_text("utf-8")
    assert '"diffusion",' in text
    families.write_text(text.replace('"diffusion",', '"diffusion", "toy",', 1), "utf-8")
    folder = house / "studio" / "families" / "toy"
    folder.mkdir()
    for name, body in TOY_FAMILY.items():
        (folder / name).write_text(textwrap.dedent(body).lstrip(), "utf-8")
    return house


def add_toy_model(home: Path) -> None:
    model = home / "models" / "squares"
    model.mkdir(parents=True)
    (model / "card.toml").write_text('id = "squares"\nfamily = "toy"\nname = "Squares"\ntasks = ["toy"]\n')
