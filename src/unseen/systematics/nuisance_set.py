"""Several nuisance parameters at once: `distort(events, nu)`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from unseen.errors import NuisanceError, SchemaError, ShapeError, did_you_mean
from unseen.events import Events, Schema
from unseen.registry import parse_settings
from unseen.systematics import apply, checks
from unseen.systematics.base import Nuisance, NuisanceConfig
from unseen.systematics.prior import Prior
from unseen.systematics.table import BUILT_IN, NUISANCES, SystematicsConfig

__all__ = ["LIMIT", "Distorted", "NuisanceSet"]

LIMIT = 5.0  # standard deviations of the prior beyond which nu is taken for a mistake
X = TypeVar("X", Events, NDArray[Any])


class Distorted(NamedTuple):
    """Objects (b, slots, features), present (b, slots), and the factor on the event weight (b,)."""

    objects: Tensor
    present: Tensor
    factor: Tensor


@dataclass(frozen=True, eq=False)
class NuisanceSet:
    """Nuisance parameters in the order in which they act; nu (n, k) has one column for each. Errors: NuisanceError.

    >>> import unseen
    >>> nuisances = unseen.NuisanceSet.builtin()
    >>> nuisances.names[:2]
    ('jet-scale', 'jet-resolution')
    """

    nuisances: tuple[Nuisance, ...]

    def __init__(self, nuisances: Iterable[Nuisance | NuisanceConfig]):
        made = tuple(Nuisance.of(each) if isinstance(each, NuisanceConfig) else each for each in nuisances)
        checks.unique_names(made)
        object.__setattr__(self, "nuisances", made)

    @classmethod
    def builtin(cls, schema: Schema | None = None) -> NuisanceSet:
        """Every built-in nuisance that needs the objects only; with a schema, those that it has objects for."""
        configs = [NUISANCES[name](name=name) for name in BUILT_IN]
        return cls(configs if schema is None else [each for each in configs if _applies(each, schema)])

    @classmethod
    def parse(cls, table: SystematicsConfig | Iterable[str | Mapping[str, Any]]) -> NuisanceSet:
        """From the table of a configuration. Errors: UnknownNameError, NuisanceError, ConfigError.

        >>> NuisanceSet.parse(["jet-scale", {"name": "normalisation", "label": "lumi", "size": 0.025}]).names
        ('jet-scale', 'lumi')
        """
        if not isinstance(table, SystematicsConfig):
            table = parse_settings(SystematicsConfig, {"nuisances": tuple(table)}, "nuisances")
        return cls(table.nuisances)

    def table(self) -> list[dict[str, Any]]:
        """Name, kind, size, prior and reference of every nuisance, for a report; `parse` reads configurations.

        The size is None where one number does not say it: what is written as JSON has no NaN.
        """
        return [
            {
                "name": each.name,
                "kind": each.kind,
                "size": None if math.isnan(each.size) else each.size,
                "prior": each.prior.model_dump(),
                "reference": each.reference,
            }
            for each in self.nuisances
        ]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns of nu."""
        return tuple(each.name for each in self.nuisances)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that `distort_tensors` has to be given: of the record, and `label`."""
        return tuple(dict.fromkeys(column for each in self.nuisances for column in each.columns))

    def __len__(self) -> int:
        return len(self.nuisances)

    def subset(self, *names: str) -> NuisanceSet:
        """Some of them, in the order given. Errors: NuisanceError (no such name)."""
        for name in names:
            if name not in self.names:
                raise NuisanceError(f"no nuisance '{name}'{did_you_mean(name, self.names)}")
        return NuisanceSet([self.nuisances[self.names.index(name)] for name in names])

    def nu(self, **values: float) -> NDArray[np.float32]:
        """One value of nu, (k,): those named (`_` for `-`), the others 0. Errors: NuisanceError (no such name)."""
        result = np.zeros(len(self), dtype=np.float32)
        for name, value in values.items():
            known = {each.replace("-", "_"): i for i, each in enumerate(self.names)}
            if name.replace("-", "_") not in known:
                raise NuisanceError(f"no nuisance '{name}'{did_you_mean(name, self.names)}")
            result[known[name.replace("-", "_")]] = value
        return result

    @property
    def unit(self) -> bool:
        """Whether every prior is the unit Gaussian: nu in standard deviations around the nominal events."""
        return all(each.prior == Prior() for each in self.nuisances)

    @property
    def unit_note(self) -> dict[str, str]:
        """What goes into the keys of results made `in_widths`; nothing where `unit`, where that changes nothing."""
        return {} if self.unit else {"nu": "in widths of the priors"}

    def in_widths(self) -> NuisanceSet:
        """The same distortions with nu in standard deviations of their priors, as ratios and searches have it.

        Errors: NuisanceError (a prior whose mean is not 0).

        >>> wide = NuisanceSet.parse([{"name": "jet-scale", "prior": {"width": 2.0}}])
        >>> wide.unit, wide.in_widths().unit
        (False, True)
        """
        return NuisanceSet(each.in_widths() for each in self.nuisances)

    def require_unit(self) -> None:
        """NuisanceError unless `unit`: a search throws nu, and constrains it, in standard deviations of its prior."""
        for each in self.nuisances:
            if each.prior != Prior():
                raise NuisanceError(
                    f"nuisance '{each.name}' has a prior of mean {each.prior.mean:g} and width {each.prior.width:g}: a "
                    "density ratio is learned with nu in standard deviations around the nominal events, so pass "
                    "`nuisances.in_widths()` and values of nu in these units, or give one standard deviation as `size`"
                )

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """n values of nu from the priors, (n, k)."""
        mean, width = self._priors()
        return (mean + width * rng.standard_normal((n, len(self)))).astype(np.float32)

    def pull(self, nu: ArrayLike) -> NDArray[np.float64]:
        """(nu - mean) / width of the priors, of the shape of nu; minus half its square is the prior's logarithm."""
        mean, width = self._priors()
        result: NDArray[np.float64] = (np.asarray(nu, dtype=np.float64) - mean) / width
        return result

    def _priors(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        priors = [each.prior for each in self.nuisances]
        return np.array([each.mean for each in priors]), np.array([each.width for each in priors])

    def distort(self, data: X, nu: ArrayLike, *, seed: int = 0, limit: float = LIMIT) -> X:
        """The data at nu, float (n, k) or (k,): events or a plain array (n, ...), in the same order and number.

        Events: weights carry the factors of weight and norm nuisances, `nu` is what was asked for, and
        `record["selected"]` says which events pass the schema's selection now (`select` applies it). Rows with nu = 0
        are the input bit for bit. Random parts are fixed by the event and `seed`, and the same for every nu. Arrays:
        the shape nuisances; `factor` gives the weights.
        Errors: ShapeError, NonFiniteError, NuisanceRangeError (beyond `limit` prior widths), NuisanceError (not the
        identity at 0, distorted before, missing columns), SchemaError (nothing to act on), WeightError.
        """
        values = checks.checked_nu(nu, len(data), self.nuisances, limit)
        if isinstance(data, Events):
            return apply.to_events(self.nuisances, data, values, seed)
        return apply.to_array(self.nuisances, data, values)

    def factor(self, data: Events | NDArray[Any], nu: ArrayLike, *, limit: float = LIMIT) -> NDArray[np.float64]:
        """The factor on the weights at nu, (n,), of the weight and norm nuisances; 1 where nu = 0.

        Errors: those of `distort`.
        """
        values = checks.checked_nu(nu, len(data), self.nuisances, limit)
        if isinstance(data, Events):
            return apply.event_factor(self.nuisances, data, values)
        return apply.array_factor(self.nuisances, data, values)

    def distort_tensors(
        self,
        objects: Tensor,
        present: Tensor,
        nu: Tensor,
        *,
        schema: Schema,
        columns: Mapping[str, Tensor] | None = None,
        classes: Sequence[str] = (),
        seed: int = 0,
    ) -> Distorted:
        """The same for a batch on any device, inside training: differentiable in nu, no values are waited for.

        objects float32 (b, slots, features), present bool (b, slots), nu float32 (b, k) or (k,); `columns`: those in
        `NuisanceSet.columns`; `classes`: label names; `seed`: another one gives other random parts. Only shapes are
        checked: `check` looks at the rest once. Errors: ShapeError, NuisanceError (a column is missing).
        """
        if nu.shape not in ((len(objects), len(self)), (len(self),)):
            raise ShapeError(
                f"nu has shape {tuple(nu.shape)}; expected ({len(objects)}, {len(self)}) or ({len(self)},)"
            )
        batch = apply.run(self.nuisances, schema, objects, present, nu.expand(len(objects), -1), columns, classes, seed)
        return Distorted(*batch)

    def check(self, events: Events) -> None:
        """Look before long work: the identity at zero, finite values at +-1 and +-2, collections, columns, processes.

        Errors: NuisanceError, NonFiniteError, SchemaError, ShapeError, WeightError.
        """
        head = events[checks.sampled(len(events))]
        for column in range(len(self)):
            for value in (-2.0, -1.0, 1.0, 2.0):
                nu = np.zeros(len(self), dtype=np.float32)
                nu[column] = self.nuisances[column].prior.mean + value * self.nuisances[column].prior.width
                self.distort(head, nu)
        checks.columns_there(events, self.nuisances)
        checks.processes_there(events.label_names, self.nuisances, "these events")


def _applies(config: NuisanceConfig, schema: Schema) -> bool:
    try:
        config.collections(schema)
    except SchemaError:
        return False
    return True
