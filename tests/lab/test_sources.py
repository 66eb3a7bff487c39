"""Archives that mean harm, and names that say nothing."""

import zipfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from studio.errors import InvalidInput
from studio.lab import sources
from studio.lab.dataset import Dataset
from studio.lab.sources import caption_of_name, gather
from tests.lab.drawn import encoded, picture

PNG = frozenset((".png",))


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return path


def test_an_archive_with_evil_members(tmp_path: Path) -> None:
    good = encoded(picture(1))
    path = archive(
        tmp_path / "a.zip",
        {
            "cats/good cat.png": good,
            "cats/good cat.txt": b"a cat at home",
            "../../escaped.png": encoded(picture(2)),
            "/etc/absolute.png": encoded(picture(3)),
            "C:/windows.png": encoded(picture(4)),
            "..\\..\\back.png": encoded(picture(5)),
            "inner.zip": b"PK\x03\x04 whatever",
            "__MACOSX/cats/._good cat.png": b"litter",
            "cats/.hidden.png": b"litter",
        },
    )
    with zipfile.ZipFile(path, "a") as made:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        made.writestr(link, "/etc/passwd")
    before = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*"))
    dataset = Dataset.create(tmp_path / "datasets", "cats")
    report = dataset.add([path])
    assert [(item.name, item.caption) for item in dataset.items] == [("cats/good cat.png", "a cat at home")]
    assert report.problems == {"archive": 5, "other": 1}
    now = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if "datasets" not in p.parts)
    assert now == before


def test_a_bomb_is_refused_by_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "bomb.zip", {f"{n}.png": bytes(2**20) for n in range(4)})
    monkeypatch.setattr(sources, "MOST_UNPACKED", 3 * 2**20)
    with ExitStack() as opened:
        gathered = gather([path], {}, PNG, opened, {})
    assert not gathered.found and "more than is read" in gathered.left[0][1].sentence


def test_a_member_that_is_too_large_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "large.zip", {"large.png": bytes(2**21), "small.png": encoded(picture(1))})
    monkeypatch.setattr(sources, "MOST_BYTES", 2**20)
    dataset = Dataset.create(tmp_path / "datasets", "x")
    report = dataset.add([path])
    assert report.included == 1 and report.problems == {"unreadable": 1}


def test_a_damaged_archive(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"a.png": encoded(picture(1)), "b.png": encoded(picture(2))})
    data = bytearray(path.read_bytes())
    data[60:90] = bytes(30)
    path.write_bytes(data)
    dataset = Dataset.create(tmp_path / "datasets", "x")
    report = dataset.add([path])
    assert report.included == 1 and report.problems == {"unreadable": 1}
    with pytest.raises(InvalidInput, match="The list"):
        dataset.add([])


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_FILES", 3)
    for n in range(5):
        (tmp_path / f"{n}.png").write_bytes(b"x")
    with ExitStack() as opened, pytest.raises(InvalidInput, match="more than 3"):
        gather([tmp_path], {}, PNG, opened, {})


def test_files_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for n in (10, 9, 1, 100):
        (tmp_path / f"f{n}.png").write_bytes(b"x")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / "to nowhere.png").symlink_to(tmp_path / "gone.png")
    with ExitStack() as opened:
        gathered = gather([tmp_path], {}, PNG, opened, {})
    assert [found.name for found in gathered.found] == ["f1.png", "f9.png", "f10.png", "f100.png"]
    assert not gathered.left


@pytest.mark.parametrize(
    ("name", "caption"),
    [
        ("animals/red-fox_02 (1).jpg", "red fox"),
        ("IMG_1234.JPG", ""),
        ("DSC00012.jpg", ""),
        ("PXL_20240101_120000.jpg", ""),
        ("00.jpg", ""),
        ("3f9a8b7c6d5e4f30.png", ""),
        ("550e8400-e29b-41d4-a716-446655440000.png", ""),
        ("Screenshot 2024-01-01 at 10.00.00.png", ""),
        ("A boat at sea, evening.png", "A boat at sea, evening"),
        ("image of a fox.png", "image of a fox"),
        ("häuschen_am_see copy.webp", "häuschen am see"),
        ("Copy of tower.png", "tower"),
        ("___.png", ""),
    ],
)
def test_captions_of_file_names(name: str, caption: str) -> None:
    assert caption_of_name(name) == caption
