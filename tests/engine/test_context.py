"""What a pipeline can do through its context, seen by the messages and files that come of it."""

import errno
import os
import time
from pathlib import Path

import pytest

from studio.engine.context import JobContext
from studio.engine.protocol import Message, Output, Preview, Progress, Run, Warning, parse
from studio.errors import Cancelled, DiskFull
from studio.types import Device


class Sent(list[Message]):
    def of(self, kind: type[Message]) -> list[Message]:
        return [message for message in self if isinstance(message, kind)]


def context(tmp_path: Path, sent: Sent, stopped: frozenset[str] = frozenset()) -> JobContext:
    run = Run(
        job="a",
        family="toy",
        folder="",
        request={},
        staging=str(tmp_path),
        inputs={"mask_image": ["m.png", "n.png"]},
        adapters=[("lora", 0.5)],
    )
    device = Device(kind="cpu", name="CPU")
    return JobContext(run, device, sent.append, lambda job: job in stopped)


def test_inputs_and_adapters_are_paths(tmp_path: Path) -> None:
    made = context(tmp_path, Sent())
    assert made.inputs == {"mask_image": (Path("m.png"), Path("n.png"))}
    assert made.adapters == ((Path("lora"), 0.5),) and made.staging == tmp_path


def test_check_raises_once_stopped(tmp_path: Path) -> None:
    context(tmp_path, Sent()).check()
    with pytest.raises(Cancelled):
        context(tmp_path, Sent(), frozenset("a")).check()


def test_progress_is_thinned_but_never_late(tmp_path: Path) -> None:
    sent = Sent()
    made = context(tmp_path, sent)
    for step in range(1, 100):
        made.progress(step, 1000)
    assert 5 <= len(sent) < 20
    held_back = sent[-1]
    time.sleep(0.06)
    made.check()
    assert sent[-1] != held_back and sent[-1] == Progress(job="a", step=99, steps=1000)
    made.progress(1000, 1000)
    assert sent[-1] == Progress(job="a", step=1000, steps=1000)
    before = len(sent)
    made.flush()
    assert len(sent) == before


def test_slow_steps_are_all_told(tmp_path: Path) -> None:
    sent = Sent()
    made = context(tmp_path, sent)
    for step in range(5):
        made.progress(step, 12, "denoising")
    assert len(sent) == 5


def test_all_takes_get_their_previews(tmp_path: Path) -> None:
    sent = Sent()
    made = context(tmp_path, sent)
    began = time.monotonic()
    while time.monotonic() - began < 0.5:
        for index in range(4):
            made.preview(index, lambda path: path.touch())
    seen = [message.index for message in sent if isinstance(message, Preview)]
    assert len(seen) <= 20 and {seen.count(index) for index in range(4)} <= {2, 3, 4}
    assert sorted(f.name for f in tmp_path.iterdir()) == [f"preview-{index}.jpg" for index in range(4)]


def test_a_preview_that_fails_is_no_matter_but_a_bug_is(tmp_path: Path) -> None:
    sent = Sent()
    made = context(tmp_path, sent)

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "full")

    made.preview(0, full)
    assert not sent
    with pytest.raises(ZeroDivisionError):
        made.preview(1, lambda path: print(1 / 0))  # noqa: T201


def test_an_output_is_described_before_it_has_its_name(tmp_path: Path) -> None:
    sent = Sent()
    seen: list[str] = []

    def save(path: Path) -> None:
        path.write_bytes(b"png")
        seen.extend(f.name for f in tmp_path.iterdir())

    context(tmp_path, sent).output(3, save, ".png", "image/png", {"seed": 7})
    assert seen == ["3.part.png"]
    assert sorted(f.name for f in tmp_path.iterdir()) == ["3.png", "3.png.json"]
    path = str(tmp_path / "3.png")
    assert sent == [Output(job="a", index=3, path=path, media_type="image/png", meta={"seed": 7})]
    assert parse((tmp_path / "3.png.json").read_text()) == sent[0]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    sent = Sent()

    def save(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with pytest.raises(DiskFull, match="disk is full"):
        context(tmp_path, sent).output(0, save, ".png", "image/png", {})
    assert list(tmp_path.iterdir()) == [] and not sent


def test_other_errors_of_saving_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        context(tmp_path, Sent()).output(0, lambda path: None, ".png", "image/png", {})


def test_a_warning_is_said_once(tmp_path: Path) -> None:
    sent = Sent()
    made = context(tmp_path, sent)
    made.warn("Unknown word: yak.")
    made.warn("Unknown word: yak.")
    assert sent == [Warning(job="a", text="Unknown word: yak.")]
