"""A checkpoint in which anything has changed is never continued from."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from tests.embed.toy import toy_settings
from unseen.embed import train
from unseen.embed.checkpoint import BOOK, read_checkpoint, seal_checkpoint
from unseen.errors import CorruptFileError
from unseen.events import Events

DELETE = "delete it to train from the start"


class StopHereError(Exception):
    pass


def stop_after(epochs: int) -> Any:
    def progress(done: int, total: int, values: Mapping[str, float]) -> None:
        if done == epochs:
            raise StopHereError

    return progress


@pytest.fixture(scope="module")
def whole(toy: Events, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The checkpoint of a training that was stopped after an epoch."""
    folder = tmp_path_factory.mktemp("training")
    with pytest.raises(StopHereError):
        train(toy, toy_settings(), folder, seed=1, progress=stop_after(1))
    return (folder / "last.ckpt").read_bytes()


def write(path: Path, content: Any) -> None:
    torch.save(content, path)
    seal_checkpoint(path)


def test_a_checkpoint_is_an_archive_that_torch_reads(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(whole)
    found = read_checkpoint(path)
    assert found is not None
    stored = torch.load(path, weights_only=True)
    assert stored["state_dict"].keys() == found["state_dict"].keys()
    assert stored["callbacks"][BOOK]["history"] == found["book"]["history"]
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    assert read_checkpoint(tmp_path / "none.ckpt") is None


def test_other_weights_are_not_continued_from(whole: bytes, toy: Events, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(whole)
    found = read_checkpoint(path)
    assert found is not None
    weights = found["state_dict"]["network.encoder.layers.2.weight"].numpy().tobytes()
    at = whole.index(weights)
    path.write_bytes(whole[:at] + np.ones(16, np.float32).tobytes() + whole[at + 64 :])
    # torch opens it as if nothing had happened
    assert (
        torch.load(path, weights_only=True)["state_dict"]["network.encoder.layers.2.weight"].ravel()[:16] == 1
    ).all()
    with pytest.raises(CorruptFileError, match=f"does not match its own hash.*{DELETE}"):
        train(toy, toy_settings(), tmp_path, seed=1)


def test_any_flipped_bit_is_named(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    rng = np.random.default_rng(1)
    ends = range(8 * (len(whole) - 400), 8 * len(whole), 7)  # the directory of the archive, the label, the hash
    for bit in (*rng.integers(0, 8 * len(whole), 200).tolist(), *ends):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(CorruptFileError, match=DELETE):
            read_checkpoint(path)


def test_a_checkpoint_that_ends_early_is_named(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    for length in (0, 1, 63, 64, 100, len(whole) // 2, len(whole) - 65, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptFileError, match=r"last\.ckpt is damaged"):
            read_checkpoint(path)


def test_a_checkpoint_of_a_version_without_hashes_is_named(whole: bytes, toy: Events, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(whole)
    torch.save(torch.load(path, weights_only=True), path)
    with pytest.raises(CorruptFileError, match=f"another version of unseen.*{DELETE}"):
        train(toy, toy_settings(), tmp_path, seed=1)


def test_a_whole_checkpoint_of_something_else_is_named(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(whole)
    content = torch.load(path, weights_only=True)
    content["callbacks"][BOOK]["format"] = 99
    write(path, content)
    with pytest.raises(CorruptFileError, match=f"has format 99, this version of unseen continues format.*{DELETE}"):
        read_checkpoint(path)
    del content["callbacks"][BOOK]["format"], content["callbacks"][BOOK]["best"]
    write(path, content)
    with pytest.raises(CorruptFileError, match="has format None"):
        read_checkpoint(path)
    for other in ({"weights": torch.ones(3)}, [1, 2], [], {"callbacks": [], "state_dict": {}}, "text", Path("x")):
        write(path, other)
        with pytest.raises(CorruptFileError, match=f"damaged.*{DELETE}"):
            read_checkpoint(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "not of torch")
    seal_checkpoint(path)
    with pytest.raises(CorruptFileError, match=DELETE):
        read_checkpoint(path)


@pytest.mark.parametrize("moment", ["while torch writes", "before the hash", "before the file gets its name"])
def test_a_kill_while_a_checkpoint_is_written_loses_no_earlier_one(
    moment: str, toy: Events, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first epoch's file is there, whole, whatever became of the second's, and the bits come out the same."""

    class KilledError(BaseException):
        pass

    def kill(*args: Any, **kwargs: Any) -> None:
        raise KilledError

    def half(trainer: pl.Trainer, path: Path, *args: Any, **kwargs: Any) -> None:
        Path(path).write_bytes(b"PK\x03\x04")
        raise KilledError

    def break_the_next(done: int, total: int, values: Mapping[str, float]) -> None:
        if moment == "while torch writes":
            monkeypatch.setattr(pl.Trainer, "save_checkpoint", half)
        elif moment == "before the hash":
            monkeypatch.setattr("unseen.embed.bookkeeping.seal_checkpoint", kill)
        else:
            monkeypatch.setattr("unseen.events.atomic.os.replace", kill)

    with pytest.raises(KilledError):
        train(toy, toy_settings(), tmp_path / "cut", seed=1, progress=break_the_next)
    monkeypatch.undo()
    found = read_checkpoint(tmp_path / "cut" / "last.ckpt")
    assert found is not None
    assert len(found["book"]["history"]) == 1
    train(toy, toy_settings(), tmp_path / "cut", seed=1)
    train(toy, toy_settings(), tmp_path / "whole", seed=1)
    for name in ("model.safetensors", "model.json", "history.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
