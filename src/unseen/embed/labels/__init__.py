"""Label encodings: from an event's simulation record and kinematics to the classes that training tells apart."""

from unseen.embed.labels.base import LABELS, Labelling, encode

__all__ = ["LABELS", "Labelling", "encode"]
