"""A checkpoint is whole, absent, or refused; metrics end where the checkpoint says."""

import json
from pathlib import Path

import pytest
import torch

from taut.errors import UserError
from taut.files import write_bytes, write_json
from taut.training import checkpoint as module
from taut.training.checkpoint import Checkpoint, Counters, load_checkpoint, save_checkpoint
from taut.training.metrics import Meter, MetricsLog


def example(step: int = 7) -> Checkpoint:
    return Checkpoint(
        counters=Counters(step=step, seconds=1.5, metrics_bytes=10, data="abc"),
        model={"weight": torch.rand(3, 4).T, "bias": torch.rand(2)},
        trainer={"random.0.cpu": torch.get_rng_state(), "optimizer.0.step": torch.tensor(3.0)},
    )


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    saved = example()
    save_checkpoint(tmp_path, saved)
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert loaded.counters == saved.counters
    for mine, theirs in ((saved.model, loaded.model), (saved.trainer, loaded.trainer)):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_there_may_be_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "absent") is None


def test_only_the_newest_is_kept(tmp_path: Path) -> None:
    for step in (9, 10, 100):
        save_checkpoint(tmp_path, example(step))
    assert [path.name for path in tmp_path.iterdir()] == ["000000100"]


@pytest.mark.parametrize("name", ["model.safetensors", "trainer.safetensors", "trainer.json"])
def test_one_flipped_bit_anywhere_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    path = save_checkpoint(tmp_path, example()) / name
    content = path.read_bytes()
    for position in {0, 1, 8, len(content) // 3, len(content) // 2, len(content) - 3}:
        damaged = bytearray(content)
        damaged[position] ^= 0x04
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"checkpoint .*000000007 is damaged") as refusal:
            load_checkpoint(tmp_path)
        assert "\n" not in str(refusal.value)
    path.write_bytes(content)
    assert load_checkpoint(tmp_path) is not None


def test_a_changed_counter_is_refused(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, example()) / "trainer.json"
    path.write_text(path.read_text().replace('"step": 7', '"step": 8'))
    with pytest.raises(UserError, match=r"is damaged \(trainer.json does not match its checksum\)"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "trainer.safetensors", "trainer.json"])
def test_a_missing_or_truncated_part_is_refused(tmp_path: Path, name: str) -> None:
    path = save_checkpoint(tmp_path, example()) / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="is damaged"):
        load_checkpoint(tmp_path)
    path.unlink()
    with pytest.raises(UserError, match="is damaged"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("dies_at", [0, 1, 2])
def test_dying_in_the_middle_of_a_save_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    save_checkpoint(tmp_path, example(1))
    written: list[Path] = []

    def dying(path: Path, content: bytes) -> None:
        if len(written) == dies_at:
            path.write_bytes(content[: len(content) // 2])
            raise KeyboardInterrupt
        written.append(path)
        write_bytes(path, content)

    monkeypatch.setattr(module, "write_bytes", dying)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, example(2))
    monkeypatch.undo()
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert loaded.counters.step == 1
    save_checkpoint(tmp_path, example(2))
    assert [path.name for path in tmp_path.iterdir()] == ["000000002"]


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, example(1))
    bad = example(2)
    bad.model["bias"][0] = float("inf")
    with pytest.raises(UserError, match="bias is not finite after step 2"):
        save_checkpoint(tmp_path, bad)
    kept = load_checkpoint(tmp_path)
    assert kept is not None
    assert kept.counters.step == 1


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for step in ("os.fsync", "pathlib.Path.replace"):
        with monkeypatch.context() as patch:
            patch.setattr(step, full)
            with pytest.raises(UserError, match="No space"):
                write_json(path, {"a": 2})
        assert json.loads(path.read_text()) == {"a": 1}
        assert list(tmp_path.iterdir()) == [path]


def test_the_log_is_cut_to_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path, keep_bytes=0)
    log.write({"step": 1})
    length = log.sync()
    log.write({"step": 2})
    log.close()
    resumed = MetricsLog(path, keep_bytes=length)
    resumed.write({"step": 2, "again": True})
    resumed.close()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"step": 1}, {"step": 2, "again": True}]


def test_a_log_shorter_than_the_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("{}\n")
    with pytest.raises(UserError, match="has 3 bytes, the checkpoint was written when it had 4"):
        MetricsLog(path, keep_bytes=4)


def test_the_meter_holds_each_step_and_comes_back() -> None:
    meter = Meter(3, "cpu")
    meter.add({"loss": torch.tensor(1.0, requires_grad=True), "accuracy": torch.tensor(0.5)})
    meter.add({"loss": torch.tensor(2.0), "accuracy": torch.tensor(0.25)})
    assert meter.values().tolist() == [[1.0, 0.5], [2.0, 0.25]]
    other = Meter(3, "cpu")
    other.restore(meter.values().clone(), meter.names)
    other.add({"loss": torch.tensor(3.0), "accuracy": torch.tensor(0.0)})
    assert other.values()[:, 0].tolist() == [1.0, 2.0, 3.0]
    meter.reset()
    assert meter.values().shape == (0, 2)
