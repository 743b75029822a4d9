"""Studies: many embeddings compared by the power of the search on common events."""

from unseen.study.anomalies import ANOMALIES
from unseen.study.comparison import compare
from unseen.study.grid import Entry, entries
from unseen.study.numbers import power_numbers
from unseen.study.pools import StudyPools, draw_study_pools
from unseen.study.representations import REPRESENTATIONS
from unseen.study.rows import read_table
from unseen.study.settings import StudyConfig, load_study, parse_study

__all__ = [
    "ANOMALIES",
    "REPRESENTATIONS",
    "Entry",
    "StudyConfig",
    "StudyPools",
    "compare",
    "draw_study_pools",
    "entries",
    "load_study",
    "parse_study",
    "power_numbers",
    "read_table",
]
