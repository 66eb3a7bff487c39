import errno
import os
import struct
import subprocess
import sys
import textwrap
import threading
import time
import wave
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio.errors import Busy, DiskFull, InvalidInput, NotFound
from studio.library.files import extension_of, hash_file, media_type_of
from studio.library.lock import HomeLock
from studio.library.query import Query

ROOT = Path(__file__).parents[2]


def run_child(code: str, *given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *given],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


class TestStore:
    def test_a_file_moves_under_its_hash_with_its_ending(self, house: Any) -> None:
        file = house.picture()
        content = file.read_bytes()
        sha256, size = hash_file(file)
        kept = house.library.keep(file, media_type="image/png")
        assert kept.path == house.home / "files" / sha256[:2] / f"{sha256}.png"
        assert (kept.sha256, kept.size, kept.path.read_bytes()) == (sha256, size, content)
        assert not file.exists() and list((house.home / "files" / "incoming").iterdir()) == []

    @pytest.mark.parametrize(
        ("media_type", "extension"),
        [("image/png", ".png"), ("image/jpeg", ".jpg"), ("audio/wav", ".wav"), ("image/svg+xml", ".svg"),
         ("application/x-never-heard-of", ".bin"), ("model/gltf-binary", ".glb")],
    )  # fmt: skip
    def test_endings(self, media_type: str, extension: str) -> None:
        assert extension_of(media_type) == extension
        if extension != ".bin":
            assert media_type_of(Path("x" + extension.upper())) == media_type

    @pytest.mark.parametrize("media_type", ["", "png", "image/../../x", "image/png; charset=x", "IMAGE/PNG\n", "a/b/c"])
    def test_no_media_type_becomes_a_path(self, house: Any, media_type: str) -> None:
        file = house.picture()
        with pytest.raises(InvalidInput):
            house.library.keep(file, media_type=media_type)
        assert file.is_file()

    def test_what_is_no_file_is_refused(self, house: Any) -> None:
        with pytest.raises(NotFound, match=r"gone\.png"):
            house.library.keep(house.home / "gone.png", media_type="image/png")
        with pytest.raises(InvalidInput, match="plain file"):
            house.library.keep(house.home / "staging", media_type="image/png")
        link = house.home / "staging" / "link.png"
        link.symlink_to(house.picture())
        with pytest.raises(InvalidInput, match="plain file"):
            house.library.keep(link, media_type="image/png")

    def test_from_another_file_system(self, house: Any) -> None:
        shm = Path("/dev/shm")
        if not shm.is_dir() or shm.stat().st_dev == house.home.stat().st_dev:
            pytest.skip("there is no second file system")
        file = shm / f"atelier-test-{os.getpid()}.txt"
        file.write_text("from afar", "utf-8")
        kept = house.library.keep(file, media_type="text/plain")
        assert kept.path.read_text("utf-8") == "from afar" and not file.exists()

    def test_keeping_a_stored_file_again_leaves_it_there(self, house: Any) -> None:
        kept = house.take()
        again = house.library.keep(kept.path, media_type="image/png")
        assert again.sha256 == kept.sha256 and kept.path.is_file()

    def test_a_damaged_file_is_replaced_by_its_true_bytes(self, house: Any) -> None:
        kept = house.library.keep(house.text("true"), media_type="text/plain")
        kept.path.write_text("false", "utf-8")
        again = house.library.keep(house.text("true"), media_type="text/plain")
        assert again.path.read_text("utf-8") == "true"
        (aside,) = (house.home / "files" / "quarantine").iterdir()
        assert aside.read_text("utf-8") == "false"

    def test_sizes_and_lengths(self, house: Any) -> None:
        turned = house.home / "staging" / "turned.jpg"
        exif = Image.Exif()
        exif[0x0112] = 6  # the camera was held upright
        Image.new("RGB", (40, 20)).save(turned, exif=exif)
        kept = house.library.keep(turned, media_type="image/jpeg")
        assert (kept.width, kept.height) == (20, 40)
        sound = house.home / "staging" / "sound.wav"
        with wave.open(str(sound), "wb") as stream:
            stream.setparams((1, 2, 8000, 0, "NONE", ""))
            stream.writeframes(bytes(8000))
        assert house.library.keep(sound, media_type="audio/wav").duration == pytest.approx(0.5)
        told = house.library.keep(
            house.text("x"), media_type="video/mp4", meta={"width": 64, "height": 48, "duration": 2}
        )
        assert (told.width, told.height, told.duration) == (64, 48, 2.0)
        broken = house.library.keep(house.text("no picture"), media_type="image/png")
        assert (broken.width, broken.height) == (None, None)


class TestThumbnails:
    def test_made_once_small_and_turned(self, house: Any) -> None:
        file = house.home / "staging" / "turned.jpg"
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (1200, 600), "red").save(file, exif=exif)
        kept = house.library.keep(file, media_type="image/jpeg")
        path = house.library.thumbnail(kept.sha256)
        with Image.open(path) as image:
            assert (image.format, image.size) == ("WEBP", (160, 320))
        before = path.stat().st_mtime_ns
        assert house.library.thumbnail(kept.sha256) == path and path.stat().st_mtime_ns == before
        with Image.open(house.library.thumbnail(kept.sha256, side=64)) as image:
            assert max(image.size) == 64

    def test_lost_and_empty_ones_are_made_again(self, house: Any) -> None:
        kept = house.take()
        path = house.library.thumbnail(kept.sha256)
        whole = path.read_bytes()
        path.write_bytes(b"")
        assert house.library.thumbnail(kept.sha256).read_bytes() == whole
        path.unlink()
        assert house.library.thumbnail(kept.sha256).read_bytes() == whole

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "I;16", "CMYK", "F"])
    def test_every_kind_of_picture(self, house: Any, mode: str) -> None:
        file = house.home / "staging" / "x.tiff"
        Image.new(mode, (50, 40)).save(file)
        kept = house.library.keep(file, media_type="image/tiff")
        with Image.open(house.library.thumbnail(kept.sha256)) as image:
            assert image.size == (50, 40), "small ones are not blown up"

    def test_no_picture_no_thumbnail(self, house: Any) -> None:
        for content in ("", "no picture", "\x89PNG\r\n\x1a\n"):
            kept = house.library.keep(house.text(content), media_type="image/png")
            with pytest.raises(NotFound, match="thumbnail"):
                house.library.thumbnail(kept.sha256)
        cut = house.picture(64, 64)
        cut.write_bytes(cut.read_bytes()[:60])
        with pytest.raises(NotFound):
            house.library.thumbnail(house.library.keep(cut, media_type="image/png").sha256)
        with pytest.raises(InvalidInput, match="5000"):
            house.library.thumbnail(house.take().sha256, side=5000)

    def test_a_vast_picture_is_not_decoded(self, house: Any) -> None:
        file = house.home / "staging" / "vast.png"
        header = struct.pack(">II5B", 50_000, 50_000, 8, 2, 0, 0, 0)
        chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1_000_000))), (b"IEND", b"")]
        file.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + b"".join(struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
        )
        kept = house.library.keep(file, media_type="image/png")
        started = time.perf_counter()
        with pytest.raises(NotFound):
            house.library.thumbnail(kept.sha256)
        assert time.perf_counter() - started < 1

    def test_many_threads_get_the_same_one(self, house: Any) -> None:
        kept = house.library.keep(house.picture(800, 600), media_type="image/png")
        found: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: found.append(house.library.thumbnail(kept.sha256).read_bytes()))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8 and len(set(found)) == 1
        assert not list((house.home / "cache").rglob("*.tmp"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("mounting a small disk takes root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


class TestDiskFull:
    def test_a_full_disk_loses_nothing_and_room_mends_it(
        self, small_disk: Path, tmp_path: Path, open_library: Any
    ) -> None:
        """The home lies on the small disk, staging on a large one: the copy does not fit."""
        library = open_library(small_disk)
        first = tmp_path / "first.txt"
        first.write_text("fits", "utf-8")
        kept = library.keep(first, media_type="text/plain")
        large = tmp_path / "large.bin"
        large.write_bytes(os.urandom(3_000_000))
        with pytest.raises(DiskFull, match="full") as caught:
            library.keep(large, media_type="application/octet-stream")
        assert "Free some space" in caught.value.hint
        assert large.stat().st_size == 3_000_000
        assert [p for p in (small_disk / "files").rglob("*") if p.is_file()] == [kept.path]
        large.write_bytes(os.urandom(300_000))
        assert library.keep(large, media_type="application/octet-stream").path.stat().st_size == 300_000
        assert library.check(repair=False).consistent
        library.close()

    def test_no_room_for_the_row(self, small_disk: Path, tmp_path: Path, open_library: Any) -> None:
        """Files that need no room (links within one disk), rows that find none."""
        library = open_library(small_disk)
        kept = []
        ballast = small_disk / "ballast"
        file = small_disk / "x.txt"
        with pytest.raises(DiskFull):
            for n in range(2000):
                file.write_text(f"take {n}", "utf-8")
                with ballast.open("ab") as stream:  # eat what is left, save for the pages that a file takes
                    _fill(stream, leave=16_384)
                kept.append(library.keep(file, media_type="text/plain", meta={"prompt": "word " * 3000}).sha256)
        text = f"take {len(kept)}"
        assert file.read_text("utf-8") == text
        ballast.unlink()
        assert {a.sha256 for a in library.find(Query(limit=5000)).items} == set(kept)
        assert library.keep(file, media_type="text/plain").path.read_text("utf-8") == text
        report = library.check(repair=False)
        assert report.consistent and report.files == len(kept) + 1, report
        library.close()

    def test_jobs_and_exports_say_it_too(self, small_disk: Path, open_library: Any) -> None:
        from studio.types import Job, JobState, Request

        library = open_library(small_disk)
        file = small_disk / "x.bin"
        file.write_bytes(os.urandom(700_000))
        kept = library.keep(file, media_type="application/octet-stream")
        with (small_disk / "ballast").open("wb") as stream:
            _fill(stream, leave=0)
        with pytest.raises(DiskFull):
            library.export([kept.sha256], small_disk / "out.zip")
        assert not list(small_disk.glob("*out.zip*"))
        request = Request(task="t", model="m", prompt="x" * 3_000_000)
        with pytest.raises(DiskFull):
            library.add_job(Job(id="j", request=request, state=JobState.queued, created=0.0))
        (small_disk / "ballast").unlink()
        with pytest.raises(NotFound):
            library.job("j")
        library.add_job(Job(id="j", request=request.replace(prompt="short"), state=JobState.queued, created=0.0))
        assert library.job("j").request.prompt == "short"
        library.close()

    def test_opening_without_any_room(self, small_disk: Path, open_library: Any) -> None:
        open_library(small_disk).close()
        with (small_disk / "ballast").open("wb") as stream:
            _fill(stream, leave=0)
        with pytest.raises(DiskFull, match="full"):
            open_library(small_disk)
        (small_disk / "ballast").unlink()
        library = open_library(small_disk)
        assert library.find(Query()).total == 0
        library.close()

    def test_a_limit_on_file_size_is_a_full_disk(self, tmp_path: Path) -> None:
        """Without root: the system refuses to let any file of the child grow beyond 1 MB."""
        code = """
            import resource, signal, sys
            from pathlib import Path
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            from studio.errors import DiskFull
            from studio.library.library import Library
            home, source = Path(sys.argv[1]), Path(sys.argv[2])
            library = Library(home / "library" / "library.sqlite", home / "files", home / "cache")
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
            try:
                library.keep(source, media_type="application/octet-stream")
            except DiskFull as error:
                print(error.message)
        """
        shm = Path("/dev/shm")
        other = shm if shm.is_dir() and shm.stat().st_dev != tmp_path.stat().st_dev else None
        if other is None:
            pytest.skip("there is no second file system, so nothing is copied")
        source = other / f"atelier-test-{os.getpid()}.bin"
        source.write_bytes(os.urandom(2_000_000))
        try:
            told = run_child(code, str(tmp_path), str(source))
            assert told.returncode == 0, told.stderr
            assert "full" in told.stdout and source.stat().st_size == 2_000_000
            assert not [p for p in (tmp_path / "files").rglob("*") if p.is_file()]
        finally:
            source.unlink()


def _fill(stream: Any, leave: int) -> None:
    room = os.statvfs(stream.name).f_bavail * os.statvfs(stream.name).f_frsize
    try:
        stream.write(bytes(max(0, room - leave)))
        stream.flush()
    except OSError as error:
        assert error.errno == errno.ENOSPC


class TestHomeLock:
    CHILD = """
        import sys, time
        from pathlib import Path
        from studio.library.lock import HomeLock
        lock = HomeLock(Path(sys.argv[1]))
        print("held", flush=True)
        time.sleep(60)
    """

    def test_a_second_program_is_told_who_holds_it_until_that_dies(self, tmp_path: Path) -> None:
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(self.CHILD), str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        with child:
            assert child.stdout is not None and child.stdout.readline() == b"held\n"
            with pytest.raises(Busy, match=str(child.pid)) as caught:
                HomeLock(tmp_path)
            assert caught.value.hint
            child.kill()
        HomeLock(tmp_path).release()

    def test_released_and_taken_again(self, tmp_path: Path) -> None:
        lock = HomeLock(tmp_path / "new")
        with pytest.raises(Busy, match=str(os.getpid())):
            HomeLock(tmp_path / "new")
        lock.release()
        lock.release()
        HomeLock(tmp_path / "new").release()
