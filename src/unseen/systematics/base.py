"""What every nuisance parameter has in common: the declarative table's row, and the object that it becomes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator
from torch import Tensor

from unseen.errors import NuisanceError, SchemaError, did_you_mean
from unseen.events import Schema
from unseen.registry import NamedConfig
from unseen.systematics.batch import Batch
from unseen.systematics.prior import Prior

__all__ = ["Kind", "Nuisance", "NuisanceConfig"]

Kind = Literal["shape", "weight", "norm"]
KINDS = ("shape", "weight", "norm")


class NuisanceConfig(NamedConfig):
    """One row of the table of nuisances: which distortion (`name`), its size, its prior, and what it is called.

    `kind`: `shape` moves objects, `weight` changes the weights of events one by one, `norm` those of whole processes.
    """

    kind: ClassVar[Kind] = "shape"
    about: ClassVar[str] = ""

    label: str | None = Field(default=None, description="Name of the parameter; default: that of the distortion.")
    prior: Prior = Field(default=Prior(), description="Gaussian prior; one unit of nu is one standard deviation.")
    reference: str | None = Field(default=None, description="Where the size comes from, for the record.")

    @model_validator(mode="before")
    @classmethod
    def _said_kind(cls, content: Any) -> Any:
        """A table may say the kind beside the name, which decides it."""
        if not isinstance(content, Mapping) or "kind" not in content:
            return content
        if content["kind"] != cls.kind:
            raise ValueError(
                f"this is of the kind '{cls.kind}', not '{content['kind']}': correct the kind or leave it out"
            )
        return {name: value for name, value in content.items() if name != "kind"}

    @property
    def parameter(self) -> str:
        """What the nuisance parameter is called."""
        return self.label or self.name

    @property
    def columns(self) -> tuple[str, ...]:
        """Record columns of the events that the distortion reads."""
        return ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Processes that it names; events of all others stay as they are."""
        return ()

    @property
    def magnitude(self) -> float:
        """Relative change at nu = 1 where one number says it, else NaN."""
        return float(getattr(self, "size", "nan"))

    def collections(self, schema: Schema) -> tuple[str, ...]:
        """The collections that it acts on, in this schema; SchemaError if it has nothing to act on."""
        return ()

    @abstractmethod
    def distort(self, batch: Batch, nu: Tensor) -> Batch:
        """The batch at nu (b,); exactly the input where nu is 0. Smooth in nu, except where objects come and go."""

    def _existing(self, names: tuple[str, ...], schema: Schema) -> tuple[str, ...]:
        found = tuple(name for name in names if schema.has(name))
        if not found:
            known = [c.name for c in schema.collections]
            raise SchemaError(
                f"nuisance '{self.parameter}' acts on {', '.join(names)}, schema '{schema.name}' has "
                f"{', '.join(known)}{did_you_mean(names[0], known)}"
            )
        return found


@dataclass(frozen=True, eq=False)
class Nuisance:
    """A nuisance parameter: a name, a prior, and a distortion that is the identity at nu = 0.

    * `distort(x, nu)`: with `takes="arrays"`, x (n, ...) and nu (n,) to x of the same shape, or to the positive factor
      (n,) on the weights for the kinds `weight` and `norm`; with `takes="events"`, a `Batch` and nu (n,) to a `Batch`.
    * size: relative change at nu = 1, for the record; NaN where one number does not say it
    * columns: record columns of the events that it reads (`takes="events"`)

    Errors: NuisanceError (no name, unknown kind).
    """

    name: str
    distort: Callable[[Any, Any], Any]
    kind: Kind = "shape"
    size: float = float("nan")
    prior: Prior = field(default_factory=Prior)
    reference: str = ""
    takes: Literal["arrays", "events"] = "arrays"
    columns: tuple[str, ...] = ()
    config: NuisanceConfig | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise NuisanceError("a nuisance needs a name")
        if self.kind not in KINDS or self.takes not in ("arrays", "events"):
            raise NuisanceError(
                f"nuisance '{self.name}': kind is one of {', '.join(KINDS)} and takes is arrays or events; got kind "
                f"'{self.kind}', takes '{self.takes}'"
            )

    def in_widths(self) -> Nuisance:
        """The same with nu in standard deviations of the prior, which is the unit Gaussian then.

        Errors: NuisanceError (a prior whose mean is not 0, where the nominal events are).
        """
        mean, width = self.prior.mean, self.prior.width
        if mean != 0.0:
            raise NuisanceError(
                f"nuisance '{self.name}' has a prior of mean {mean:g}, and nu is thrown around the nominal events, at "
                "0: leave the mean out, and give what was measured of nu to the search (`data.auxiliary` of a run, "
                "`unseen search --auxiliary`)"
            )
        if width == 1.0:
            return self
        return replace(self, distort=partial(_scaled, self.distort, width), prior=Prior(), size=float("nan"))

    @classmethod
    def of(cls, config: NuisanceConfig) -> Nuisance:
        """The nuisance that a row of the table describes."""
        return cls(
            name=config.parameter,
            distort=config.distort,
            kind=config.kind,
            size=config.magnitude,
            prior=config.prior,
            reference=config.reference or config.about,
            takes="events",
            columns=config.columns,
            config=config,
        )


def _scaled(distort: Callable[[Any, Any], Any], width: float, x: Any, nu: Any) -> Any:
    """A distortion at nu in units of `width`."""
    return distort(x, width * nu)
