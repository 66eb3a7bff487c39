"""`bench craft` measures what it says, on pictures drawn by chance and on a person's own."""

from pathlib import Path

import pytest

from studio.bench import craft
from studio.errors import InvalidInput


def test_seams_and_nodes_are_counted(tmp_path: Path) -> None:
    sources = [craft.drawn(seed) for seed in range(4)]
    seams = craft.patterns(sources)
    assert seams["pictures"] == 4 and seams["seamless"] == 4 > seams["seamless_before"]
    traced = craft.drawings(sources[:2])
    assert traced["inert"] == traced["fewer_nodes"] == 2 and traced["ssim_least"] > 0.8
    for number, picture in enumerate(sources[:2]):
        picture.resize((300, 200)).save(tmp_path / f"{number}.png")
    crops = list(craft.pictures(tmp_path, 3))
    assert [crop.size for crop in crops] == [(craft.SIDE, craft.SIDE)] * 3
    assert craft.drawn(1).tobytes() == sources[1].tobytes()


def test_a_folder_without_pictures_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no picture"):
        list(craft.pictures(tmp_path, 1))
