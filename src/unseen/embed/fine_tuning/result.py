"""What a fine-tuning gives, and its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unseen.embed.fine_tuning.settings import FineTuneConfig
from unseen.embed.model import DESCRIPTION, WEIGHTS, Model
from unseen.errors import CorruptFileError, MissingFileError, UnseenError
from unseen.events.atomic import write_json
from unseen.systematics import DensityRatio

__all__ = ["FILES", "FineTuned", "finished"]

HISTORY = "history.json"
SETTINGS = "fine_tuning.json"
RATIO = "ratio"
# The description comes last: with it the folder is whole.
FILES = (DESCRIPTION, WEIGHTS, HISTORY, SETTINGS)

Entry = Mapping[str, float | int | None]


@dataclass(frozen=True, eq=False)
class FineTuned:
    """The fine-tuned model, the ratio of rates r(z; nu) in its embedding, and the history of the training.

    An entry of `history` for every epoch: `train_` and `val_` of `loss` and of every term (`contrastive`, the method's
    name, `distillation`), the learning rate, and two closures on held-out events at held-out nu, as mean squared pulls
    of the differences between events at nu and nominal ones: `val_closure` with the ratio as it is then (1: closed),
    `val_shift` without. `ratio.report` has the numbers of the last fit.
    """

    model: Model
    ratio: DensityRatio
    history: Sequence[Entry]

    def save(self, folder: str | Path, config: FineTuneConfig) -> None:
        """Write the folder: ratio, settings, history, model. `unseen.load` opens the model. Errors: DiskSpaceError."""
        folder = Path(folder)
        self.ratio.save(folder / RATIO)
        write_json(folder / SETTINGS, config.model_dump(mode="json"))
        write_json(folder / HISTORY, list(self.history))
        self.model.save(folder)

    @classmethod
    def load(cls, folder: str | Path) -> FineTuned:
        """Open what `save` wrote. Errors: MissingFileError, CorruptFileError."""
        folder = Path(folder)
        path = folder / HISTORY
        model = Model.load(folder)
        if not path.is_file():
            raise MissingFileError(f"{folder} holds no fine-tuned model: it has no {HISTORY}")
        try:
            history: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise CorruptFileError(f"{path} is not valid JSON ({error}); fine-tune again") from error
        return cls(model, DensityRatio.load(folder / RATIO), history)


def finished(out: Path, fingerprint: str) -> FineTuned | None:
    """What is in `out` if it is whole and of this fingerprint."""
    try:
        found = FineTuned.load(out)
    except UnseenError:
        return None
    return found if found.model.provenance.get("fingerprint") == fingerprint else None
