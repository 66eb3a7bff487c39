"""What the Train panel asks for while another tab adds and deletes."""

import contextlib
import threading
from pathlib import Path

from PIL import Image

from studio.errors import NotFound
from studio.lab.dataset import Dataset
from studio.settings import Settings
from studio.studio import Studio
from studio.ui.training import TrainDesk


def test_data_sets_that_come_and_go_while_they_are_shown(home: Path) -> None:
    studio = Studio(Settings.load({"home": str(home)}))
    desk = TrainDesk(studio)
    pictures = [home / f"{number}.png" for number in range(4)]
    for number, path in enumerate(pictures):
        Image.new("RGB", (300 + 20 * number, 300), (40 * number, 20, 90)).save(path)
    shown, wrong, over = "none", [], threading.Event()

    def look() -> None:
        while not over.is_set():
            try:
                desk.overview()  # always there
                with contextlib.suppress(NotFound):  # that one is gone
                    for item in desk.data.state(shown)["items"]:
                        desk.data.picture(shown, item["id"])
            except Exception as error:  # noqa: BLE001  (whatever it is, a thread must not keep it to itself)
                wrong.append(error)

    looking = [threading.Thread(target=look) for _ in range(2)]
    for thread in looking:
        thread.start()
    for number in range(8):
        shown = Dataset.create(studio.datasets, f"Mine {number}").id
        desk.data.add(shown, pictures, {path: path.name for path in pictures}, {})
        desk.act({"action": "delete", "dataset": shown})
    over.set()
    for thread in looking:
        thread.join()
    assert not wrong, wrong[0]


def test_a_model_says_what_it_can_be_taught(home: Path) -> None:
    with Studio(Settings.load({"home": str(home)})) as studio:
        desk = TrainDesk(studio)
        pictures = [home / f"{number}.png" for number in range(2)]
        for number, path in enumerate(pictures):
            Image.new("RGB", (300 + 20 * number, 300), (90 * number, 20, 90)).save(path)
        mine = Dataset.create(studio.datasets, "Mine").id
        desk.data.add(mine, pictures, {path: path.name for path in pictures}, {})
        told = desk.plan({"dataset": mine, "base": "starter-image", "preset": "quick"})["advice"]
    assert "are few" in told and "never seen a photograph" in told
