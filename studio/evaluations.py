"""What the command `evaluate` needs around a job: a data set from an id or a folder, and the results in a folder."""

import shutil
from pathlib import Path

from studio.errors import InvalidInput
from studio.lab.dataset import Dataset, datasets
from studio.studio import Studio
from studio.types import Artifact, Job


def dataset_of(studio: Studio, named: str, caption: str = "", kind: str = "image") -> Dataset:
    """The data set of that id, or else a new one of what lies at that path, which the person says is theirs to use.

    InvalidInput where there is neither.
    """
    for known in datasets(studio.datasets):
        if known.id == named:
            return known
    source = Path(named)
    if not source.exists():
        known = ", ".join(dataset.id for dataset in datasets(studio.datasets)) or "none"
        raise InvalidInput(f"There is no {named}.", f"Give a folder, a zip or a data set. There are: {known}.")
    dataset = Dataset.create(studio.datasets, source.stem, kind)
    dataset.add([source])
    if caption:
        dataset.set_captions({item.id: caption for item in dataset.items})
    dataset.set_consent(True)
    return dataset


def copy_results(studio: Studio, job: Job, artifact: Artifact, target: Path | None) -> Path:
    """evaluation.json, card.md and samples/ into `target`; where they lie, which is the run's own folder for None."""
    kept = studio.training_folder(job.request)
    if target is None:
        return kept
    (target / "samples").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(artifact.path, target / "evaluation.json")
    shutil.copyfile(kept / "card.md", target / "card.md")
    for sheet in sorted((kept / "samples").glob("*.webp")):
        shutil.copyfile(sheet, target / "samples" / sheet.name)
    return target
