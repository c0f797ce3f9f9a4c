"""A run whose data are not there says one sentence and leaves nothing."""

from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("recipe", "dataset"),
    [("mnist", "cifar100"), ("mnist", "tiny-imagenet"), ("mnist", "kmnist"), ("cifar10-resnet", "image-stream")],
)
def test_missing_data_is_one_sentence(
    taut, tmp_path: Path, recipe: str, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    missing = tmp_path / "nowhere"
    outcome = taut("train", recipe, "--dataset", dataset, "--data-root", missing)
    assert outcome.code == 1
    assert outcome.out == ""
    assert len(outcome.err.splitlines()) == 1
    assert f"{dataset} is not there" in outcome.err
    assert str(missing / dataset) in outcome.err
    assert "nothing is downloaded here" in outcome.err
    assert list(tmp_path.iterdir()) == []
