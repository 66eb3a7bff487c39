"""The rules of the house, read from the source by `ast`: imports, heavy modules, children, sizes, and two toys."""

import ast
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import add_toy_model, copy_of_the_house, house_with_a_toy

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "studio"
SOURCES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"torch", "diffusers", "transformers", "peft", "accelerate"}

# which layer may import which: the first word of the module path below studio
LAYERS = {
    "types": set(),
    "errors": set(),
    "marks": set(),
    "__init__": set(),
    "settings": {"errors"},
    "families": {"types", "errors", "families", "music", "design"},  # declarations; for pipelines see below
    "presets": {"errors", "settings", "types", "wildcards"},
    "wildcards": {"errors", "settings", "types"},
    "prompt_lists": {"errors", "types", "families"},
    "text_templates": {"errors", "types", "presets"},
    "intake": {"errors", "settings", "types"},
    "sound_intake": {"errors", "types", "music"},
    "adoption": {"errors", "types", "intake", "sound_intake", "library", "lab", "music", "design"},
    "loras": {"errors", "types"},
    "wording": {"errors", "types", "families", "loras", "presets", "wildcards"},
    "catalog": {"errors", "settings", "types", "families"},
    "companions": {"errors", "settings", "types", "families", "catalog"},
    "engine": {"errors", "settings", "types", "families", "engine"},
    "library": {"errors", "settings", "types", "library", "design", "__init__"},
    "lab": {"errors", "settings", "types", "design", "families", "music", "lab"},
    "music": {"errors", "marks", "types", "music"},  # light: for the page's process and for the worker
    "design": {"errors", "marks", "types", "design"},  # light, likewise
    "install": {"install"},  # runs before anything else is there: standard library only
    "doctor": {"errors", "settings", "types", "catalog", "engine", "install", "__init__"},
    "bench": {"errors", "settings", "types", "catalog", "design", "engine", "families", "intake", "music", "studio"},
    "evaluations": {"errors", "settings", "types", "lab", "studio"},
    "checkpoints": {"errors", "types", "families", "studio"},
    "teaching": {"errors", "types", "families", "lab", "presets", "studio"},
    "studio": {
        "errors",
        "settings",
        "types",
        "families",
        "presets",
        "wildcards",
        "loras",
        "intake",
        "adoption",
        "catalog",
        "engine",
        "hub",
        "library",
        "lab",
        "music",
        "__init__",
    },
    "ui": {
        "errors",
        "settings",
        "types",
        "families",
        "presets",
        "wildcards",
        "loras",
        "wording",
        "prompt_lists",
        "text_templates",
        "intake",
        "catalog",
        "engine",
        "library",
        "lab",
        "music",
        "design",
        "companions",
        "hub",
        "origin",
        "studio",
        "teaching",
        "checkpoints",
        "voices",
        "ui",
        "__init__",
    },
    "hub": {
        "errors",
        "settings",
        "types",
        "families",
        "catalog",
        "companions",
        "library",
    },  # light: torch stays with the worker
    "terminal": {"errors", "settings", "types", "studio"},
    "origin": {"errors", "marks", "types", "library", "origin", "__init__"},
    "origin_commands": {"errors", "settings", "origin", "terminal"},
    "music_commands": {"errors", "settings", "types", "families", "catalog", "music", "studio", "terminal"},
    "craft_commands": {"design", "errors", "settings", "types", "families", "studio", "terminal"},
    "sound_commands": {"errors", "settings", "types", "families", "studio", "terminal", "voices"},
    "voices": {"errors", "types", "families", "studio"},
    "shape_commands": {
        "adoption",
        "errors",
        "settings",
        "types",
        "families",
        "catalog",
        "design",
        "studio",
        "terminal",
    },
    "design_commands": {"settings", "craft_commands", "shape_commands"},
    "text_commands": {
        "errors",
        "settings",
        "types",
        "families",
        "catalog",
        "studio",
        "terminal",
        "text_templates",
    },
    "model_commands": {
        "errors",
        "settings",
        "types",
        "families",
        "catalog",
        "companions",
        "engine",
        "hub",
        "studio",
        "terminal",
    },
    "training_commands": {
        "errors",
        "settings",
        "types",
        "families",
        "lab",
        "studio",
        "teaching",
        "evaluations",
        "terminal",
    },
    "image_commands": {
        "errors",
        "settings",
        "types",
        "families",
        "prompt_lists",
        "wording",
        "studio",
        "terminal",
    },
    "bench_commands": {"settings", "types", "terminal", "bench"},
    "cli": {
        "errors",
        "settings",
        "library",
        "studio",
        "terminal",
        "bench_commands",
        "design_commands",
        "image_commands",
        "model_commands",
        "music_commands",
        "origin",
        "origin_commands",
        "sound_commands",
        "text_commands",
        "training_commands",
        "ui",
        "doctor",
        "__init__",
    },
    "__main__": {"cli"},
}
WORKER_SIDE = {"types", "errors", "families", "presets", "settings", "lab", "music", "wildcards", "design", "intake"}


def modules_of(path: Path) -> Iterator[tuple[str, bool]]:
    """Every imported module of a file, with whether it is named at the top level (not inside a function)."""
    tree = ast.parse(path.read_text("utf-8"))
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((a.name, id(node) in top) for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, id(node) in top
            if node.module == "studio" or node.module.startswith("studio."):
                yield from ((f"{node.module}.{a.name}", id(node) in top) for a in node.names)


def own(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def is_worker_side(path: Path) -> bool:
    """Where torch is at home: a family's files beside its declaration, the worker, its device, the lab's figures."""
    relative = path.relative_to(PACKAGE).as_posix()
    in_family = relative.startswith("families/") and relative.count("/") == 2 and path.name != "__init__.py"
    return in_family or relative in (
        "engine/worker.py",
        "engine/device.py",
        "engine/context.py",
        "engine/cache.py",
        "engine/probe.py",
        "lab/evaluate.py",
        "bench/image_sides.py",
        "bench/sketch_sides.py",
        "bench/train_sides.py",
        "bench/text_sides.py",
        "bench/llama_cpp_sides.py",
        "bench/music_sides.py",
        "bench/musicgen_sides.py",
    )


def test_there_is_something_to_check() -> None:
    assert len(SOURCES) > 20


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_run_one_way(path: Path) -> None:
    allowed = WORKER_SIDE if is_worker_side(path) and own(path) == "families" else LAYERS[own(path)]
    for module, _ in modules_of(path):
        if module.startswith("studio."):
            target = module.split(".")[1]
            if target in LAYERS:
                assert target in allowed or target == own(path), f"{path} imports {module}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_heavy_modules_stay_at_home(path: Path) -> None:
    for module, _ in modules_of(path):
        first = module.split(".")[0]
        if first in HEAVY:
            assert is_worker_side(path), f"{path} imports {module}"
        if first == "gradio":
            assert own(path) == "ui", f"{path} imports gradio"
        if first == "sqlite3":
            assert own(path) == "library", f"{path} imports sqlite3"
        if first in ("subprocess", "multiprocessing"):
            assert path.relative_to(PACKAGE).as_posix() in CHILD_PROCESSES, f"{path} imports {module}"


# the engine starts the worker, downloads are processes of their own, the probe asks a child about the device, the
# window starts a browser, films are written by ffmpeg
CHILD_PROCESSES = {
    "engine/engine.py",
    "engine/child.py",
    "engine/probe.py",
    "hub/downloads.py",
    "ui/window.py",
    "bench/image.py",
    "design/films.py",
    "install/environment.py",
    "install/hardware.py",
    "install/steps.py",
}


def test_no_import_cycle() -> None:
    graph: dict[str, set[str]] = {}
    names = {
        "studio"
        if p.name == "__init__.py" and p.parent == PACKAGE
        else ".".join(("studio", *p.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): p
        for p in SOURCES
    }
    for name, path in names.items():
        graph[name] = {m for m, top in modules_of(path) if top and m in names and m != name}
        graph[name].discard("studio")  # the package itself imports nothing
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for target in graph[name]:
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("module", ["studio.ui.app", "studio.studio", "studio.cli"])
def test_the_page_loads_no_torch(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'torch', 'diffusers', 'transformers', 'peft'}} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip().splitlines()[-1] == "[]"


def test_the_worker_loads_no_gradio_and_no_sqlite() -> None:
    code = "import sys, studio.engine.worker; print(sorted({'gradio', 'sqlite3'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip().splitlines()[-1] == "[]"


LONG_IS_FINE = ("pipeline.py", "train.py")  # a pipeline's run and a training loop read best from top to bottom
BLIND_IS_FINE = {
    "engine/worker.py",
    "engine/engine.py",
    "ui/run.py",
    "ui/app.py",
    "ui/routes.py",
}  # the process boundaries


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_sizes_and_manners(path: Path) -> None:
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), f"{path} does not say what it knows"
    assert not {"utils", "common", "misc", "manager"} & set(path.stem.split("_"))
    assert len(text.splitlines()) <= 600, f"{path} is long: does it hold more than one thing?"
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and path.name not in LONG_IS_FINE:
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 80, f"{path}:{node.lineno} {node.name} has {length} lines"
        assert not isinstance(node, ast.Global), f"{path}:{node.lineno} has a global"
        if isinstance(node, ast.ExceptHandler):
            blind = node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException")
            assert not blind or path.relative_to(PACKAGE).as_posix() in BLIND_IS_FINE, (
                f"{path}:{node.lineno} is a blind except"
            )


def test_templates_never_hold_unescaped_data() -> None:
    """In a gr.HTML template `${value}` is not escaped and `{{value}}` is; three braces are not either."""
    for path in (PACKAGE / "ui").rglob("*.py"):
        assert "${" not in path.read_text("utf-8"), path
        assert "{{{" not in path.read_text("utf-8"), path
    for path in (ROOT / "assets" / "ui").rglob("*.js"):
        assert "innerHTML" not in path.read_text("utf-8"), path


def test_a_new_family_is_a_folder_and_one_word(tmp_path: Path) -> None:
    house = house_with_a_toy(tmp_path / "house")
    add_toy_model(tmp_path / "home")
    script = textwrap.dedent("""
        from pathlib import Path
        from studio.settings import Settings
        from studio.studio import Studio
        from studio.types import Request
        with Studio(Settings.load({"home": Path("HOME")})) as studio:
            job = studio.submit(Request(task="toy", model="squares", prompt="two squares", seed=7), panel="test")
            done = studio.wait(job.id, timeout=60)
            print(done.state, len(studio.library.outputs(job.id)), done.error)
    """).replace("HOME", str(tmp_path / "home"))
    told = subprocess.run([sys.executable, "-c", script], cwd=house, capture_output=True, text=True, timeout=110)
    assert told.stdout.strip() == "done 2", told.stdout + told.stderr


def test_a_new_panel_is_a_file_and_one_word(tmp_path: Path) -> None:
    house = copy_of_the_house(tmp_path / "house")
    panels = house / "studio" / "ui" / "panels" / "__init__.py"
    text = panels.read_text("utf-8")
    assert '"library"' in text
    panels.write_text(text.replace('"library"', '"library", "toy"', 1), "utf-8")
    (house / "studio" / "ui" / "panels" / "toy.py").write_text(
        textwrap.dedent('''
        """Toy panel."""
        TITLE = "Toy"
        ICON = "M4 4h16v16H4z"
        def build(studio, demo):
            import gradio as gr
            gr.Textbox("hello", elem_id="toy-text")
    '''),
        "utf-8",
    )
    script = textwrap.dedent("""
        from pathlib import Path
        from studio.settings import Settings
        from studio.studio import Studio
        from studio.ui.app import build
        with Studio(Settings.load({"home": Path("HOME")})) as studio:
            demo = build(studio)
            labels = [b.label for b in demo.blocks.values() if type(b).__name__ == "Tab"]
            ids = {b.elem_id for b in demo.blocks.values()}
            print("Toy" in labels, "toy-text" in ids)
    """).replace("HOME", str(tmp_path / "home"))
    told = subprocess.run([sys.executable, "-c", script], cwd=house, capture_output=True, text=True, timeout=110)
    assert told.stdout.strip() == "True True", told.stdout + told.stderr
