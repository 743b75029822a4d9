"""The kernel test as a contender, with any calibration that a study of power can use."""

from __future__ import annotations

from collections.abc import Mapping

from numpy.typing import ArrayLike

from unseen.errors import ConfigError
from unseen.power.candidate import KernelCandidate
from unseen.power.contender import Contender, Reading
from unseen.search import KernelTest, Null
from unseen.search.calibrate import Request, analytic_or_why, calibrated
from unseen.search.parallel import blockwise
from unseen.search.simulation import Simulation

__all__ = ["kernel_contender"]

CALIBRATIONS = ("auto", "toys", "linear", "asymptotic")


def kernel_contender(
    test: KernelTest,
    pool: ArrayLike,
    signals: Mapping[str, ArrayLike],
    *,
    calibration: str = "auto",
    reference: str = "auto",
    seed: int = 1,
    widths: bool = False,
) -> Contender:
    """Return a fitted kernel test with the events its toys are made of; `widths` reads each width by itself too.

    `pool` (n, d) is simulated background, `signals` events (n, d) by name; neither is used for anything else.
    `calibration`: toys (null toys of the test's statistic, thrown with the study), linear (the same, of statistic
    linear), asymptotic (its analytic null), auto (that one if it passes its check, else toys). `reference` as for
    `KernelTest.calibrate`.
    """
    if calibration not in CALIBRATIONS:
        raise ConfigError(
            f"calibration '{calibration}' cannot serve a power study (permutations belong to one data set); choose one "
            f"of {', '.join(CALIBRATIONS)}"
        )
    if calibration in ("linear", "asymptotic") and test.mode != "linear":
        raise ConfigError(f"calibration '{calibration}' is the null of statistic 'linear', not '{test.mode}'")
    pseudo_data = test.pseudo_data(pool, signals, reference=reference)
    analytic = _analytic(test, pseudo_data.simulation, calibration, seed)
    name = "linear" if test.mode == "linear" else "toys"
    columns = tuple(range(pseudo_data.n_maps))
    readings = [Reading("kernel", columns, test.mode, test.combination, name, analytic=analytic)]
    if widths and len(columns) > 1:
        readings += [Reading(f"kernel_width_{k}", (k,), test.mode, calibration=name) for k in columns]
    return Contender(KernelCandidate(pseudo_data), tuple(readings))


def _analytic(test: KernelTest, simulation: Simulation, calibration: str, seed: int) -> Null | None:
    """Return the analytic null where it is asked for, or where it passes its check; ConfigError for shape alone."""
    if test.mode != "linear" or calibration in ("toys", "linear"):
        return None
    if test.normalisation == "free":
        if calibration == "asymptotic":
            raise ConfigError(
                "with free normalisation the null depends on the number of data events, and so on the injection: use "
                "calibration 'linear'"
            )
        return None
    request = Request(calibration, test.mode, test.combination, None, seed, None)
    with blockwise():
        return (
            calibrated(simulation, request) if calibration == "asymptotic" else analytic_or_why(simulation, request)[0]
        )
