"""The one door to gradio: its import without the work that it does for the sake of editors alone.

`gradio.component_meta.create_or_modify_pyi` parses the source of every component class again at each import,
and writes a `.pyi` beside any module of ours that subclasses one. Without it the import takes about a third
less time. It is an internal of gradio: if the name is gone, nothing happens here, and a test notices that
nothing is saved any more.
"""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType

TARGET = "gradio.component_meta"
QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "GRADIO_RUN_HISTORY": "False"}


class _WithoutStubs(importlib.abc.MetaPathFinder):
    """Finds the target as usual, once, and replaces its stub writer after it has been executed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != TARGET:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        if "create_or_modify_pyi" in vars(module):
            vars(module)["create_or_modify_pyi"] = _write_nothing


def _write_nothing(*_: object, **__: object) -> None:
    """Stands in for the stub writer."""


def prepare() -> None:
    """To be called before gradio is imported for the first time; harmless afterwards."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if TARGET not in sys.modules and not any(isinstance(f, _WithoutStubs) for f in sys.meta_path):
        sys.meta_path.insert(0, _WithoutStubs())


prepare()

import gradio  # noqa: E402  (the hook must stand first)
import gradio.utils  # noqa: E402

# gradio sets matplotlib's backend around every event where that is installed, and two first events at once fail in its
# import; no figure is drawn here
if hasattr(gradio.utils, "MatplotlibBackendMananger"):
    gradio.utils.MatplotlibBackendMananger = contextlib.nullcontext  # type: ignore[assignment, misc]

# a menu whose value is put back before its choices are: nothing that the person at the terminal could mend
warnings.filterwarnings("ignore", message="The value passed into gr.Dropdown", category=UserWarning)

__all__ = ["gradio", "prepare"]
