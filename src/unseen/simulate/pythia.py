"""Pythia 8 behind numpy: quiet, checked settings, batches as flat columns."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.errors import MissingExtraError, PythiaSettingsError
from unseen.simulate.particles import Particles

__all__ = ["Generator", "RawBatch", "captured", "check_settings", "pythia_module"]

COMMON = ("Beams:eCM=13000", "Random:setSeed=on")
# Both fidelities switch off tau spin correlations (2-4 ms per tau); fast also leaves out multi-parton interactions.
FIDELITY = {"fast": ("TauDecays:mode=0", "PartonLevel:MPI=off"), "full": ("TauDecays:mode=0",)}


def pythia_module() -> ModuleType:
    """The pythia8mc module. Errors: MissingExtraError."""
    try:
        import pythia8mc
    except ImportError as error:
        raise MissingExtraError("simulation needs Pythia 8: pip install 'unseen[hep]'") from error
    module: ModuleType = pythia8mc
    return module


@contextlib.contextmanager
def captured() -> Iterator[Callable[[], str]]:
    """Collect what the C++ side prints, so that its complaint can go into the error message."""
    sys.stdout.flush()
    with tempfile.TemporaryFile() as sink:
        saved = [os.dup(1), os.dup(2)]
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)

        def text() -> str:
            ctypes.CDLL(None).fflush(None)
            sink.seek(0)
            return sink.read().decode(errors="replace")

        try:
            yield text
        finally:
            for number, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, number)
                os.close(copy)


# Columns of the event record in the order of `nextBatch`, which leaves out the names when no event survives.
COLUMNS = ("id", "status", "mother1", "mother2", "daughter1", "daughter2", "col", "acol", "p", "m")


class RawBatch:
    """One `nextBatch` as numpy: the whole event record (N rows), `offsets` (n + 1) and per-event `info` columns.

    `parent` (n,) says from which of the `generated` events a record was made: each from its own, unless given. `info`
    replaces columns of that name. `weight_names` are those of the columns of `weights()`, the nominal weight first.
    """

    def __init__(
        self,
        batch: Any,
        generated: int | None = None,
        parent: NDArray[np.int64] | None = None,
        info: Mapping[str, NDArray[Any]] | None = None,
        weight_names: Sequence[str] = (),
    ):
        events, self._info = batch.layout.contents
        self._columns = events.content.contents
        self._known = dict(info or {})
        self.weight_names = tuple(weight_names)
        self.offsets: NDArray[np.int64] = np.asarray(events.offsets.data, dtype=np.int64)
        self.generated = len(batch) if generated is None else generated
        self.parent: NDArray[np.int64] = np.arange(len(batch)) if parent is None else parent
        self.p = np.stack([axis.data for axis in self._columns[COLUMNS.index("p")].contents], axis=1)

    def column(self, name: str) -> NDArray[Any]:
        """A column of the event record: id, status, mother1, ..., m, (N,)."""
        return np.asarray(self._columns[COLUMNS.index(name)].data)

    def info(self, name: str) -> NDArray[Any]:
        """An event quantity such as pT2Hat, (n,)."""
        return self._known[name] if name in self._known else np.asarray(self._info.content(name).data)

    def weights(self) -> NDArray[np.float64]:
        """Event weights, (n, len(weight_names)): the nominal one and those of variations."""
        known = self._known.get("weights")
        values = np.asarray(self._info.content("weights").content.data) if known is None else known
        return values.reshape(len(self.parent), len(self.weight_names))

    def all(self) -> Particles:
        """Every entry of the event record."""
        return Particles(self.offsets, self.column("id"), self.p)

    def final(self) -> Particles:
        """The final-state particles."""
        return self.all().where(self.column("status") > 0)


class Generator:
    """A Pythia instance with checked settings and its own seed.

    `hooks` are UserHooks; the reference is kept here, because Pythia forgets a hook whose Python object is collected.
    Errors: PythiaSettingsError (names the setting, or what Pythia said at initialisation, and the process).
    """

    def __init__(self, name: str, settings: Sequence[str], seed: int, hooks: Any = None):
        strings = (*COMMON, *settings, f"Random:seed={seed}")
        pythia = _configured(name, (*strings, "Print:quiet=on"))
        if hooks is not None:
            pythia.setUserHooksPtr(hooks)
        with captured():
            started = pythia.init()
        if not started:
            raise PythiaSettingsError(
                f"process '{name}': Pythia does not start with settings {list(settings)}: {_complaint(name, strings)}"
            )
        self.name = name
        self.pythia = pythia
        self._hooks = hooks

    def batch(self, n: int) -> RawBatch:
        """At most n events; Pythia leaves out the few that it cannot finish."""
        with captured():
            return RawBatch(self.pythia.nextBatch(n), weight_names=self.weight_names())

    def weight_names(self) -> tuple[str, ...]:
        """Names of the weights of an event, the nominal one first."""
        return tuple(str(name) for name in self.pythia.infoPython().weightNameVector())

    def cross_section(self) -> tuple[float, float]:
        """Pythia's estimate so far and its error, in pb."""
        info = self.pythia.infoPython()
        return 1e9 * float(info.sigmaGen()), 1e9 * float(info.sigmaErr())


def _configured(name: str, settings: Sequence[str]) -> Any:
    pythia = pythia_module().Pythia("", False)
    for setting in settings:
        if not pythia.readString(setting, False):
            raise PythiaSettingsError(
                f"process '{name}': Pythia does not accept the setting '{setting}': "
                "check the name and the value in the Pythia 8.317 manual"
            )
    return pythia


def _complaint(name: str, settings: Sequence[str]) -> str:
    """What Pythia says when it is asked again, not quietly: quiet initialisation fails without a word."""
    with captured() as text:
        _configured(name, settings).init()
        lines = [line.strip(" |") for line in text().splitlines()]
    said = [line for line in lines if line.startswith("PYTHIA") and ("Error" in line or "Abort" in line)]
    return "; ".join(said) or "it gives no reason"


@cache
def check_settings(name: str, settings: tuple[str, ...]) -> None:
    """Let Pythia read the settings and initialise, once per program. Errors: PythiaSettingsError."""
    Generator(name, (*settings, *FIDELITY["fast"]), seed=1)
