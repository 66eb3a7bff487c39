"""A training without early stopping begins from the state in which the same one stopped early."""

from pathlib import Path

from studio.lab.training_folders import begin_from, folder_of, stopped_before
from studio.types import Request

STOPPED = Request(task="train_lora", model="m", seed=3, params={"max_train_steps": 9, "early_stopping": True})


def test_only_going_on_finds_the_stopped_one(tmp_path: Path) -> None:
    on = STOPPED.with_params(early_stopping=False)
    assert stopped_before(on) == STOPPED and stopped_before(STOPPED) is None
    assert stopped_before(Request(task="other", model="m")) is None
    assert folder_of(tmp_path, on) != folder_of(tmp_path, STOPPED)
    assert folder_of(tmp_path, on.replace(params=dict(reversed(on.params.items())))) == folder_of(tmp_path, on)


def test_the_state_is_copied_once_and_without_what_belongs_to_the_end(tmp_path: Path) -> None:
    on = STOPPED.with_params(early_stopping=False)
    source, target = folder_of(tmp_path, STOPPED), folder_of(tmp_path, on)
    begin_from(tmp_path, STOPPED, on)
    assert not target.exists()  # nothing has stopped
    (source / "adapters").mkdir(parents=True)
    for name in ("state.pt", "state.pt.tmp", "card.json", "adapters/000002.safetensors"):
        (source / name).write_text("then")
    begin_from(tmp_path, STOPPED, on)
    assert sorted(p.name for p in target.rglob("*") if p.is_file()) == ["000002.safetensors", "state.pt"]
    (source / "state.pt").write_text("now")
    begin_from(tmp_path, STOPPED, on)
    assert (target / "state.pt").read_text() == "then"  # it has gone its own way since
