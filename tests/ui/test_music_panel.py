"""The Music panel in a browser, on starter-music: from a brief over takes that are heard to notes changed by hand, bars
reworked, files of every format, and back from a dropped file.
"""

import io
import json
import re
import time
import zipfile
from pathlib import Path

import mido
import numpy as np
import pyloudnorm
import pytest
import soundfile
from playwright.sync_api import Locator, Page, expect

from studio.library.library import Library
from studio.music.soundfont import default_soundfont
from studio.settings import Settings
from tests.ui.served import Served, serving
from tests.ui.story import SLOWLY, wait_until

LEFT = ("ERR_CONNECTION_REFUSED", "ERR_ABORTED", "AbortError", "Connection errored out", "404", "400")
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.console(*LEFT)]
BRIEF = "a slow waltz in D minor for cello and piano, 4 bars"
LYRICS = "Row on, river!"
TARGET = -20.0  # LUFS


class Desk:
    """The Music panel in a page."""

    def __init__(self, page: Page, served: Served) -> None:
        self.page, self.served = page, served
        self.status = page.locator("#music-status")
        self.tiles = page.locator("#music-board .bd-grid .bd-tile")
        self.head = page.locator("#music-board .bd-head")

    def open(self) -> "Desk":
        wait_until(self.page, lambda: self.served.ask("/atelier/ready").json()["ready"], 60)
        self.page.goto(self.served.link)
        self.page.locator("#tab-music-button").click()
        expect(self.page.locator("#music-go")).to_be_visible(timeout=30_000)
        return self

    def field(self, name: str) -> Locator:
        return self.page.locator(f"#music-{name} :is(textarea, input)").first

    def fill(self, **values: object) -> None:
        for name, value in values.items():
            self.field(name).fill(str(value))
            self.field(name).blur()

    def press(self, *keys: str) -> None:
        self.page.locator("#music-board .bd-strip").focus()
        for key in keys:
            self.page.keyboard.press(key)

    def done(self, count: int) -> None:
        finished = self.page.locator('#music-board .bd-grid .bd-tile[data-state="done"]')
        expect(self.tiles).to_have_count(count, timeout=SLOWLY)
        expect(finished).to_have_count(count, timeout=SLOWLY)

    def choose(self, model: str, first: str) -> None:
        """`first`: the one that stands there when the mode's models have come."""
        expect(self.field("model")).to_have_value(first, timeout=20_000)
        self.field("model").click()
        self.page.get_by_role("option", name=model, exact=True).last.click()

    def heard(self, model: str) -> None:
        """The newest job is this model's, and its take is a sound that is drawn and plays."""
        wait_until(self.page, lambda: self.jobs()[-1:] != [] and self.jobs()[-1]["model"] == model, 20)
        wait_until(self.page, lambda: self.jobs()[-1]["state"] == "done", SLOWLY / 1000)
        key = f'[data-key^="{self.jobs()[-1]["id"]}"]'  # the take before this one may still stand there
        expect(self.page.locator(f"#music-board .bd-grid .bd-tile{key}")).to_have_count(1, timeout=SLOWLY)
        self.done(1)
        assert self.jobs()[-1]["takes"][0]["media_type"] == "audio/flac"
        expect(self.tiles.locator(".mu-tile .mu-hear")).to_have_count(1)
        self.tiles.locator(".mu-hear").click()
        wait_until(self.page, self.playing, 30)

    def jobs(self) -> list[dict]:
        return self.served.ask("/atelier/board/music").json()["jobs"]

    def playing(self) -> bool:
        return self.page.evaluate("window.atelierBoard.player.playing")

    def notes(self, sha256: str) -> list:
        score = self.served.ask(f"/atelier/music/score/{sha256}").json()["score"]
        return [[track["name"], track["notes"]] for track in score["tracks"]]


def test_from_a_brief_to_files_and_back(page: Page, home: Path, tmp_path: Path) -> None:
    with serving(home) as served:
        desk = Desk(page, served).open()
        takes_come_from_a_brief(desk)
        they_are_drawn_however_late_their_notes_come(desk)
        they_are_heard_and_compared_in_step(desk)
        notes_are_changed_by_hand(desk)
        changed_notes_that_were_left_can_be_kept(desk)
        bars_are_reworked(desk)
        files = exported(desk, tmp_path)
        the_sound_is_right(files)
        the_loop_has_no_click(desk)
        a_dropped_file_brings_its_settings_back(desk, files["mid"])
        page.goto("about:blank")
    the_tree_is_in_the_library(Settings(home=home))


def takes_come_from_a_brief(desk: Desk) -> None:
    desk.field("prompt").press_sequentially(BRIEF)
    expect(desk.page.locator("#music-notes .bd-note")).to_have_text(
        re.compile("Read as: waltz · D minor · .*4 bars.*cello, piano")
    )
    desk.fill(seed=7, count=2, lyrics=LYRICS)
    desk.page.locator("#music-score-sound button").first.click()
    desk.fill(reverb=0.4, lufs=TARGET)
    desk.page.locator("#music-lock input").check()
    desk.page.keyboard.press("Control+Enter")
    desk.done(2)
    job = desk.jobs()[-1]
    assert [take["media_type"] for take in job["takes"]] == ["audio/midi"] * 2
    first, second = (desk.notes(take["sha256"]) for take in job["takes"])
    assert first != second and all(notes for _, notes in first)
    assert any("Cello" in name for name, _ in [*first, *second])
    assert [text for _, text in words_of(desk, job["takes"][0]["sha256"]) if text != "_"] == [
        "Row",
        "on,",
        "riv-",
        "er!",
    ]
    pages = desk.served.ask(f"/atelier/music/engraved/{job['takes'][0]['sha256']}").json()["pages"]
    assert ">riv<" in "".join(pages) and ">er!<" in "".join(pages)


def they_are_drawn_however_late_their_notes_come(desk: Desk) -> None:
    """The canvas has its size before there is anything to paint on it."""
    slow = "**/atelier/music/score/*"
    desk.page.route(slow, lambda route: (time.sleep(0.5), route.continue_()))
    desk.open()
    drawn = """() => [...document.querySelectorAll("#music-board .bd-tile canvas.mu-small")].map((small) =>
        small.width > 0 && small.getContext("2d").getImageData(0, 0, small.width, small.height).data.some(Boolean))"""
    wait_until(desk.page, lambda: desk.page.evaluate(drawn) == [True] * 4, 30)  # two on the stage, two in the strip
    desk.page.unroute(slow)


def words_of(desk: Desk, sha256: str) -> list:
    """(tick, syllable) of the first part."""
    return desk.served.ask(f"/atelier/music/score/{sha256}").json()["score"]["tracks"][0]["lyrics"]


def they_are_heard_and_compared_in_step(desk: Desk) -> None:
    page = desk.page
    desk.tiles.first.locator(".mu-hear").click()
    wait_until(page, desk.playing, 60)
    desk.press("1", "x", "2", "x", "c")
    expect(page.locator(".bd-compare .mu-tile")).to_have_count(2)
    before = page.evaluate("[window.atelierBoard.player.address, window.atelierBoard.player.time]")
    page.keyboard.press("x")
    expect(page.locator(".bd-compare .bd-cell").nth(1)).to_have_class(re.compile(r"\bat\b"))
    wait_until(page, lambda: page.evaluate("window.atelierBoard.player.address") != before[0], 60)
    assert desk.playing()
    assert page.evaluate("window.atelierBoard.player.time") >= before[1]  # it went on where the other one was
    page.keyboard.press(" ")
    wait_until(page, lambda: not desk.playing())
    page.keyboard.press("1")
    page.keyboard.press("Escape")
    expect(page.locator("#music-board .bd-grid .bd-tile.picked")).to_have_count(1)


def notes_are_changed_by_hand(desk: Desk) -> None:
    page = desk.page
    page.locator("#music-board .bd-actions").get_by_role("button", name="Change notes by hand").click()
    roll = page.locator("canvas.mu-roll")
    expect(page.get_by_role("button", name="Keep as a new take")).to_be_disabled()
    source = desk.jobs()[-1]["takes"][0]["sha256"]
    before = desk.notes(source)
    roll.focus()
    page.keyboard.press("n")  # the first note
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Control+z")
    page.get_by_role("button", name="Keep as a new take").click()
    expect(desk.head).to_contain_text("Notes by hand", timeout=20_000)
    desk.done(1)
    job = desk.jobs()[-1]
    after = desk.notes(job["takes"][0]["sha256"])
    moved = [(a, b) for (_, x), (_, y) in zip(before, after, strict=True) for a, b in zip(x, y, strict=True) if a != b]
    assert [(b[2] - a[2], a[0] == b[0]) for a, b in moved] == [(1, True)]
    assert job["parent"] == source
    assert words_of(desk, job["takes"][0]["sha256"]) == words_of(desk, source)


def changed_notes_that_were_left_can_be_kept(desk: Desk) -> None:
    page = desk.page
    source = desk.jobs()[-1]["takes"][0]["sha256"]
    page.locator("#music-board .bd-actions").get_by_role("button", name="Change notes by hand").click()
    page.locator("canvas.mu-roll").focus()
    page.keyboard.press("n")
    page.keyboard.press("ArrowUp")
    page.locator("#music-board .bd-strip .bd-tile").first.click()
    page.locator("#music-board .bd-toast").get_by_role("button", name="Keep as a new take").click()
    wait_until(page, lambda: desk.jobs()[-1]["parent"] == source)
    expect(page.locator("#music-board .bd-grid")).to_be_visible()  # again, with what is new
    desk.done(1)
    assert desk.notes(desk.jobs()[-1]["takes"][0]["sha256"]) != desk.notes(source)


def bars_are_reworked(desk: Desk) -> None:
    """Two bars varied, the others as they were; then chords and a bass under the melody."""
    page = desk.page
    source = desk.jobs()[-1]["takes"][0]["sha256"]
    desk.press("g", "w")
    dialog = page.locator("dialog.mu-rework")
    dialog.locator("[name=from_bar]").fill("2")
    dialog.locator("[name=to_bar]").fill("3")
    dialog.locator("[name=count]").fill("2")
    dialog.get_by_role("button", name="Make").click()
    expect(desk.head).to_contain_text("Varied", timeout=20_000)
    desk.done(2)
    bar = 3 * 480
    for take in desk.jobs()[-1]["takes"]:
        assert outside(desk.notes(take["sha256"]), bar, 3 * bar) == outside(desk.notes(source), bar, 3 * bar)
    desk.press("g", "w")
    dialog.get_by_text("Harmonise", exact=True).click()
    dialog.locator("[name=style]").select_option("hymn")
    dialog.locator("[name=count]").fill("1")
    dialog.get_by_role("button", name="Make").click()
    expect(desk.head).to_contain_text("Harmonised", timeout=20_000)
    desk.done(1)


def outside(tracks: list, first: int, last: int) -> set:
    """Notes that begin and end outside of these ticks."""
    return {tuple(note) for _, notes in tracks for note in notes if note[0] + note[1] <= first or note[0] >= last}


def exported(desk: Desk, folder: Path) -> dict[str, Path]:
    desk.press("g")
    files = {}
    for form in ("wav", "flac", "ogg", "mp3", "mid", "musicxml", "abc", "svg", "pdf", "stems"):
        desk.press("d")
        with desk.page.expect_download() as waiting:
            desk.page.locator(f"[data-format={form}]").click()
        files[form] = folder / waiting.value.suggested_filename
        waiting.value.save_as(files[form])
        expect(desk.page.locator(".mu-formats")).to_have_count(0)
    notes = sum(len(notes) for _, notes in desk.notes(desk.jobs()[-1]["takes"][0]["sha256"]))
    messages = [m for track in mido.MidiFile(files["mid"]).tracks for m in track if m.type == "note_on" and m.velocity]
    assert len(messages) == notes
    assert b"<score-partwise" in files["musicxml"].read_bytes()
    assert files["abc"].read_text("utf-8").lstrip().startswith(("%", "X:"))
    assert files["pdf"].read_bytes().startswith(b"%PDF")
    svg = files["svg"].read_text("utf-8")
    assert "<svg" in svg and "<script" not in svg
    assert len(zipfile.ZipFile(io.BytesIO(files["stems"].read_bytes())).namelist()) >= 2
    return files


def the_sound_is_right(files: dict[str, Path]) -> None:
    for form in ("wav", "flac", "ogg", "mp3"):
        samples, rate = soundfile.read(files[form], always_2d=True)
        assert rate == 44_100 and samples.shape[1] == 2
        assert 0.05 < np.abs(samples).max() <= 1.0
        assert abs(pyloudnorm.Meter(rate).integrated_loudness(samples) - TARGET) < 0.5, form


def the_loop_has_no_click(desk: Desk) -> None:
    sha256 = desk.jobs()[-1]["takes"][0]["sha256"]
    sound = desk.served.ask(f"/atelier/music/sound/{sha256}?loop=1").body
    samples, _ = soundfile.read(io.BytesIO(sound), always_2d=True)
    steps = np.abs(np.diff(samples, axis=0)).max(1)
    seam = np.abs(samples[0] - samples[-1]).max()
    assert seam <= np.quantile(steps, 0.999)


def a_dropped_file_brings_its_settings_back(desk: Desk, file: Path) -> None:
    """The file of a reworked take is a piece to begin with; that of a brief fills the form again."""
    page = desk.page
    first = desk.jobs()[0]["takes"][1]["sha256"]
    data = desk.served.ask(f"/atelier/music/export/{first}?format=mid").body
    desk.fill(prompt="something else", seed=99, count=1)
    drop(page, data, "waltz.mid")
    expect(desk.field("prompt")).to_have_value(BRIEF, timeout=20_000)
    expect(desk.field("seed")).to_have_value("8")  # of the second take
    drop(page, file.read_bytes(), file.name)
    expect(page.locator(".at-toast").last).to_be_visible()
    drop(page, b"MThd\x00\x00\x00\x06\x00\x02\x00\x01\x00\x60", "broken.mid")
    expect(page.locator(".at-toast.failed")).to_be_visible(timeout=20_000)


def drop(page: Page, data: bytes, name: str) -> None:
    page.evaluate(
        """([data, name]) => {
          const carried = new DataTransfer();
          carried.items.add(new File([new Uint8Array(data)], name));
          const where = document.querySelector('#music-board .bd-stage');
          for (const kind of ['dragenter', 'dragover', 'drop']) {
            where.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: carried }));
          }
        }""",
        [list(data), name],
    )


def the_tree_is_in_the_library(settings: Settings) -> None:
    library = Library(settings.database, settings.files, settings.cache)
    try:
        jobs = {str(job.request.task): job for job in library.jobs(limit=20)}
        assert {"text_to_score", "edit_score", "vary_score", "harmonise_score"} <= set(jobs)
        last = library.outputs(jobs["harmonise_score"].id)[0]
        tasks = {node.job.request.task for node in library.lineage(last.sha256).nodes if node.job}
        assert {"text_to_score", "edit_score", "vary_score", "harmonise_score"} <= tasks
    finally:
        library.close()


def test_notes_of_the_keyboard_begin_a_piece_and_what_is_wrong_is_said(page: Page, home: Path) -> None:
    with serving(home) as served:
        desk = Desk(page, served).open()
        page.locator("#music-start-fold > button").click()
        for pitch in (60, 64, 67, 72):
            page.locator(f'#music-start [data-pitch="{pitch}"]').click()
        expect(page.locator(".mu-played")).to_have_text("C4 E4 G4 C5")
        desk.fill(prompt="a march in C major, 4 bars", count=1)
        page.keyboard.press("Control+Enter")
        desk.done(1)
        tracks = dict(desk.notes(desk.jobs()[-1]["takes"][0]["sha256"]))
        begun = [note[2] % 12 for note in sorted(next(iter(tracks.values())))[:8]]
        assert [pitch for pitch in begun if pitch in (0, 4, 7)][:3] == [0, 4, 7]
        desk.fill(bars=500)
        page.keyboard.press("Control+Enter")
        expect(page.locator("#music-bars input")).to_have_attribute("aria-invalid", "true")
        page.locator("#music-mode").get_by_text("Speech", exact=True).click()
        desk.fill(prompt="Good evening.")
        page.keyboard.press("Control+Enter")
        expect(page.locator("#music-model .bd-problem")).to_contain_text("No model of this kind is installed.")


def test_the_routes_refuse_what_is_no_score(home: Path) -> None:
    with serving(home) as served:
        served.wait_usable()
        head = {"Authorization": f"Bearer {served.token}", "Content-Type": "application/json"}
        gone = "0" * 64
        assert served.ask(f"/atelier/music/score/{gone}", headers=head).status == 404
        assert served.ask(f"/atelier/music/sound/{gone}?tracks=1", headers=head).status == 404
        assert served.ask(f"/atelier/music/sound/{gone}?tracks=a", headers=head).status == 400
        assert served.ask(f"/atelier/music/export/{gone}?format=exe", headers=head).status == 404
        body = json.dumps({"sha256": gone, "score": {}}).encode()
        assert served.ask("/atelier/music/keep", method="POST", headers=head, body=body).status == 404


def test_models_of_sound_and_speech_run_on_the_same_board(page: Page, home: Path) -> None:
    """MusicGen, Stable Audio, VITS and Bark of random weights: heard, covered, said, exported."""
    from tests.families.audio import tiny

    for make in (tiny.musicgen, tiny.stable_audio, tiny.vits, tiny.bark):
        make(home / "models" / f"tiny-{make.__name__.replace('_', '-')}")
    with serving(home) as served:
        desk = Desk(page, served).open()
        page.locator("#music-mode").get_by_text("Sound", exact=True).click()
        for model, before in (("musicgen", "musicgen"), ("stable-audio", "musicgen")):
            desk.choose(f"tiny-{model}", f"tiny-{before}")
            desk.fill(prompt="rain on a roof", seconds=1, count=1)
            page.keyboard.press("Control+Enter")
            desk.heard(f"tiny-{model}")
        page.locator("#music-mode").get_by_text("Speech", exact=True).click()
        for model, before in (("vits", "bark"), ("bark", "vits")):
            desk.choose(f"tiny-{model}", f"tiny-{before}")
            desk.fill(prompt="Good evening. All aboard.", count=1)
            page.keyboard.press("Control+Enter")
            desk.heard(f"tiny-{model}")
        desk.press("d")
        with page.expect_download() as waiting:
            page.locator("[data-format=ogg]").click()
        samples, _ = soundfile.read(waiting.value.path())
        assert np.abs(samples).max() > 0.01


def test_a_recording_speaks_a_song_has_a_key_and_a_soundfont_is_chosen(page: Page, home: Path, tmp_path: Path) -> None:
    from tests.families.audio import tiny, tiny_listed

    tiny_listed.pocket_tts(home / "models" / "tiny-pocket")
    tiny.vits(home / "models" / "tiny-vits")
    tiny.ace_step(home / "models" / "tiny-songs")
    (home / "soundfonts").mkdir()
    (home / "soundfonts" / "grand.sf2").symlink_to(default_soundfont())
    soundfile.write(tmp_path / "mine.wav", np.sin(np.arange(16_000) / 6) * 0.5, 16_000)
    with serving(home) as served:
        desk = Desk(page, served).open()
        speaks_as_recorded(desk, tmp_path / "mine.wav")
        sings_in_a_key(desk)
        page.locator("#music-mode").get_by_text("Compose", exact=True).click()
        page.locator("#music-score-sound > button").click()
        desk.field("soundfont").click()
        page.get_by_role("option", name="grand", exact=True).click()
        desk.fill(prompt=BRIEF, count=1)
        page.keyboard.press("Control+Enter")
        wait_until(page, lambda: desk.jobs()[-1]["settings"].get("soundfont") == "grand", 30)
        wait_until(page, lambda: desk.jobs()[-1]["state"] == "done", SLOWLY / 1000)
        sha256 = desk.jobs()[-1]["takes"][0]["sha256"]
        assert served.ask(f"/atelier/music/sound/{sha256}").status == 200
        page.goto("about:blank")


def speaks_as_recorded(desk: Desk, recording: Path) -> None:
    page = desk.page
    page.locator("#music-mode").get_by_text("Speech", exact=True).click()
    desk.choose("tiny-vits", "tiny-pocket")
    expect(page.locator("#music-recording .bd-drop")).to_have_count(0)
    desk.field("voice").click()
    expect(page.get_by_role("option", name="2", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    desk.choose("tiny-pocket", "tiny-vits")
    page.locator("#music-recording input[type=file]").set_input_files(recording)
    expect(page.locator("#music-recording .bd-voicename")).to_contain_text("mine.wav", timeout=20_000)
    desk.fill(prompt="Good evening.", count=1)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#music-recording .bd-problem")).to_contain_text("may be used")
    page.get_by_label("This is my voice, or I may use it.").check()
    page.keyboard.press("Control+Enter")
    desk.heard("tiny-pocket")
    (job,) = desk.jobs()
    assert job["settings"]["consent"] == "This is my voice, or I may use it."
    assert [given["role"] for given in job["inputs"]] == ["voice"]


def sings_in_a_key(desk: Desk) -> None:
    page = desk.page
    page.locator("#music-mode").get_by_text("Sound", exact=True).click()
    expect(page.locator("#music-song")).to_be_visible(timeout=20_000)
    desk.field("keyscale").click()
    page.get_by_role("option", name="D minor", exact=True).click()
    desk.fill(prompt="a ballad", bpm=90, seconds=1, count=1)
    page.keyboard.press("Control+Enter")
    desk.heard("tiny-songs")
    assert [desk.jobs()[-1]["settings"][name] for name in ("keyscale", "bpm")] == ["D minor", 90]
