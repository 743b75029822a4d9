"""Label encodings. Extending is one file and one line in `LABELS`."""

from unseen.embed.labels.base import LabelConfig, Labelling, encode
from unseen.embed.labels.factor import Factor
from unseen.embed.labels.final_state import FinalStateConfig
from unseen.embed.labels.groups import GroupsConfig
from unseen.embed.labels.hierarchy import HierarchyConfig
from unseen.embed.labels.kinematic import KinematicConfig
from unseen.embed.labels.none import NoneConfig
from unseen.embed.labels.population import population, population_table
from unseen.embed.labels.process import ProcessConfig
from unseen.embed.labels.signals import SignalsConfig

__all__ = [
    "LABELS",
    "Factor",
    "FinalStateConfig",
    "GroupsConfig",
    "HierarchyConfig",
    "KinematicConfig",
    "LabelConfig",
    "Labelling",
    "NoneConfig",
    "ProcessConfig",
    "SignalsConfig",
    "encode",
    "population",
    "population_table",
]

LABELS: dict[str, type[LabelConfig]] = {
    "none": NoneConfig,
    "process": ProcessConfig,
    "groups": GroupsConfig,
    "final-state": FinalStateConfig,
    "kinematic": KinematicConfig,
    "hierarchy": HierarchyConfig,
    "signals": SignalsConfig,
}
