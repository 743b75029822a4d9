"""What an event is: the columnar container, its schema, files, selection and observables."""

from unseen.events.events import Events
from unseen.events.read import read
from unseen.events.sample import Sample, write_sample
from unseen.events.schema import ADC2021, SCHEMAS, Collection, Cut, Requirement, Schema, Selection
from unseen.events.selection import select
from unseen.events.shards import ShardInfo, map_shard, valid_shard, write_shard

__all__ = [
    "ADC2021",
    "SCHEMAS",
    "Collection",
    "Cut",
    "Events",
    "Requirement",
    "Sample",
    "Schema",
    "Selection",
    "ShardInfo",
    "map_shard",
    "read",
    "select",
    "valid_shard",
    "write_sample",
    "write_shard",
]
