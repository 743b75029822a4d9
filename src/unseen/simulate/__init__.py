"""Simulated collisions: Pythia 8 processes, a parametrised detector, samples on disk."""

from unseen.simulate.processes import Filter, Process, Slice, load_processes
from unseen.simulate.run import Progress, check, simulate
from unseen.simulate.settings import SimulationConfig
from unseen.simulate.shower_weights import weight_columns

__all__ = [
    "Filter",
    "Process",
    "Progress",
    "SimulationConfig",
    "Slice",
    "check",
    "load_processes",
    "simulate",
    "weight_columns",
]
