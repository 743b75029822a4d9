"""Pseudo-data: toys with signal events among their background, for a study of power (spec section 8)."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from unseen.errors import UnknownNameError, did_you_mean
from unseen.search.features import Features
from unseen.search.parallel import blockwise
from unseen.search.profile_nuisances import columns_for
from unseen.search.profile_ratio import RatioSource
from unseen.search.refit import Recipe, toy_statistics
from unseen.search.simulation import Simulation
from unseen.search.validate import Floats, Keys, as_events, check_disjoint, row_keys

__all__ = ["PseudoData", "make_pseudo_data"]

Held = tuple[Features, Tensor]  # of the union, and the factor that guides its fits


@dataclass(frozen=True)
class PseudoData:
    """A fitted test, simulated background, and signals z (n_signal, d) in standardised units.

    `beside` (n_signal, p) are the signals' columns psi where nuisance parameters are profiled.

    Can be sent to other processes: what it has computed stays behind. May be used by several threads at once; each of
    them then computes with one thread of torch's, and one map's features are kept for all.
    """

    simulation: Simulation
    signals: Mapping[str, Floats]
    mode: str
    beside: Mapping[str, Floats] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _held: dict[tuple[int, str | None], tuple[Features, Tensor]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def n_maps(self) -> int:
        """Number of widths of all embeddings."""
        return self.simulation.n_maps

    def statistics(
        self,
        k: int,
        n_toys: int,
        seed: int,
        signal: str | None = None,
        n_signal: int = 0,
        n_data: int | None = None,
        nu: tuple[float, ...] | None = None,
    ) -> Floats:
        """Return t (n_toys,) at map k of toys with `n_signal` events of `signal` each.

        The toys of a seed are the same at all maps. `n_data` fixes the number of background events among the data, `nu`
        the true values of profiled nuisance parameters, which else are thrown: the background's rates follow them.
        Raises NotEnoughEventsError if background or signal cannot supply them.
        """
        with blockwise():
            union, chord = self._union(k, signal)
            z = self._signal(signal)
            plan = self.simulation.plan(n_toys, seed, n_data, (n_signal, len(z)), nu)
            fitted = self.simulation.fitted
            weights = torch.from_numpy(np.concatenate([self.simulation.weights, np.zeros(len(z))]))
            recipe = Recipe.of(fitted, k, self.mode)
            on_device = weights.to(fitted.compute.device)
            return toy_statistics(plan, union, on_device, chord, fitted.form(k), recipe, lambda _: None)[0]

    def _signal(self, name: str | None) -> Floats:
        """Return the events (n, d) of a signal, none for None."""
        if name is None:
            return np.empty((0, self.simulation.fitted.z.shape[1]))
        if name not in self.signals:
            raise UnknownNameError(f"no signal '{name}'{did_you_mean(name, self.signals)}")
        return self.signals[name]

    def _union(self, k: int, signal: str | None) -> Held:
        """Return the features of reference, pool and signal at map k, and the factor that guides the fits."""
        with self._lock:
            if (k, signal) not in self._held:
                for key in [key for key in self._held if key[0] != k]:
                    del self._held[key]
                fitted, z = self.simulation.fitted, self._signal(signal)
                phi, chord = self.simulation.union(k), fitted.reference_features(k)[1]
                if signal is not None:
                    phi = phi.join(fitted.features(k, z, phi.held_bytes, self.beside.get(signal)))
                self._held[k, signal] = phi, chord
                fitted.form(k)
            return self._held[k, signal]

    def __getstate__(self) -> dict[str, Any]:
        fitted = replace(self.simulation.fitted, _held={}, _planned={}, _chords={}, _forms={})
        simulation = replace(self.simulation, fitted=fitted, _held={})
        return {"simulation": simulation, "signals": dict(self.signals), "mode": self.mode, "beside": dict(self.beside)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in (state | {"_lock": threading.Lock(), "_held": {}}).items():
            object.__setattr__(self, name, value)


def make_pseudo_data(
    simulation: Simulation,
    pool_keys: Keys,
    signals: Mapping[str, ArrayLike],
    mode: str,
    ratios: Mapping[str, RatioSource] | None = None,
    delta: RatioSource | None = None,
) -> PseudoData:
    """Check `signals`, events (n, d) by name that nothing else has used, and put them beside the simulation.

    With profiled nuisance parameters, `ratios` by the same names, or a function `delta` for all of them.

    Errors: ShapeError, NonFiniteError, NotEnoughEventsError, OverlapError.
    """
    fitted, z, beside = simulation.fitted, {}, {}
    for name, events in signals.items():
        title = f"signal '{name}'"
        x = as_events(title, events, fitted.z.shape[1])
        keys = row_keys(x)
        fitted.check_new(title, keys)
        check_disjoint(title, keys, "the pool", pool_keys)
        z[name] = fitted.settings.scale(x)
        columns = columns_for(fitted.nuisances, title, (ratios or {}).get(name, delta), x)
        if columns is not None:
            beside[name] = columns
    return PseudoData(simulation, z, mode, beside)
