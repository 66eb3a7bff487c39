"""What a captioning model is shown of a data set, and its answer as one change that can be undone."""

import json
from pathlib import Path

import pytest

from studio.errors import InvalidInput
from studio.lab.captions import take_captions, to_caption
from studio.lab.dataset import Dataset
from tests.lab.drawn import picture


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    made = Dataset.create(tmp_path / "datasets", "toys")
    for k in range(3):
        picture(k, 80, 60).save(tmp_path / f"{'IMG_' if k else 'a red ball '}{k}.png")
    made.add(sorted(tmp_path.glob("*.png")))
    return made


def test_pictures_are_listed_all_or_those_without_words(dataset: Dataset) -> None:
    told = to_caption(dataset)
    assert told["dataset"] == dataset.id and all(Path(one["file"]).is_file() for one in told["pictures"])
    assert [one["id"] for one in told["pictures"]] == [item.id for item in dataset.items]
    bare = [item for item in dataset.items if not item.caption]
    assert 0 < len(bare) < 3 and [one["id"] for one in to_caption(dataset, True)["pictures"]] == [i.id for i in bare]
    dataset.set_captions({item.id: "a ball" for item in dataset.items})
    with pytest.raises(InvalidInput, match="Every picture has a caption"):
        to_caption(dataset, missing_only=True)
    with pytest.raises(InvalidInput, match="holds no pictures"):
        to_caption(Dataset.create(dataset.folder.parent, "nothing"))


def test_the_answer_is_one_change(dataset: Dataset, tmp_path: Path) -> None:
    before = [item.caption for item in dataset.items]
    ids = [item.id for item in dataset.items]
    answer = tmp_path / "answer.json"
    answer.write_text(json.dumps({"captions": {ids[0]: "a dog", ids[1]: "", ids[2]: "a cat", "gone": "x"}}))
    assert take_captions(dataset.folder.parent, dataset.id, answer) == 2
    assert [item.caption for item in dataset.items] == ["a dog", before[1], "a cat"]
    assert dataset.undo() and [item.caption for item in dataset.items] == before
    assert take_captions(dataset.folder.parent, "deleted", answer) == 0
