"""Views: stochastic transformations for contrastive learning. Extending is one file and one line in `VIEWS`."""

from unseen.views.add_objects import AddObjectsConfig
from unseen.views.base import NamedView, View, ViewConfig, Viewed, apply_views
from unseen.views.crop import CropConfig
from unseen.views.decay_taus import DecayTausConfig
from unseen.views.drop import DropConfig
from unseen.views.flip import FlipConfig
from unseen.views.kick_met import KickMetConfig
from unseen.views.mask_features import MaskFeaturesConfig
from unseen.views.one_of import OneOfConfig
from unseen.views.overlay import OverlayConfig
from unseen.views.rescale_pt import RescalePtConfig
from unseen.views.resimulate import Resimulate, ResimulateConfig, refuse_partners
from unseen.views.rotate import Rotate, RotateConfig
from unseen.views.scale_energy import ScaleEnergyConfig
from unseen.views.shift_met import ShiftMetConfig
from unseen.views.smear_angle import AngleResolution, SmearAngleConfig
from unseen.views.smear_pt import Resolution, SmearPtConfig
from unseen.views.split import SplitConfig

__all__ = [
    "VIEWS",
    "AddObjectsConfig",
    "AngleResolution",
    "CropConfig",
    "DecayTausConfig",
    "DropConfig",
    "FlipConfig",
    "KickMetConfig",
    "MaskFeaturesConfig",
    "NamedView",
    "OneOfConfig",
    "OverlayConfig",
    "RescalePtConfig",
    "Resimulate",
    "ResimulateConfig",
    "Resolution",
    "Rotate",
    "RotateConfig",
    "ScaleEnergyConfig",
    "ShiftMetConfig",
    "SmearAngleConfig",
    "SmearPtConfig",
    "SplitConfig",
    "View",
    "ViewConfig",
    "Viewed",
    "apply_views",
    "refuse_partners",
]

VIEWS: dict[str, type[ViewConfig]] = {
    "rotate": RotateConfig,
    "flip": FlipConfig,
    "drop": DropConfig,
    "mask-features": MaskFeaturesConfig,
    "smear-pt": SmearPtConfig,
    "smear-angle": SmearAngleConfig,
    "split": SplitConfig,
    "scale-energy": ScaleEnergyConfig,
    "crop": CropConfig,
    "add-objects": AddObjectsConfig,
    "rescale-pt": RescalePtConfig,
    "shift-met": ShiftMetConfig,
    "overlay": OverlayConfig,
    "decay-taus": DecayTausConfig,
    "kick-met": KickMetConfig,
    "one-of": OneOfConfig,
    "resimulate": ResimulateConfig,
}
