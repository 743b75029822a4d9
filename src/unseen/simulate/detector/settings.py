"""The parameters of the detector, in physical units; the defaults resemble CMS in the first years at 13 TeV."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "CalorimeterRegion",
    "CalorimeterSettings",
    "DetectorSettings",
    "EfficiencyRegion",
    "ElectronSettings",
    "JetRegion",
    "JetSettings",
    "MaterialRegion",
    "MetSettings",
    "MuonRegion",
    "MuonSettings",
    "TrackingSettings",
]

# Neutrinos, and the codes that generators give to stable dark particles: gravitons, dark matter, the lightest
# neutralino, the gravitino, and the lightest hidden-valley states.
INVISIBLE_IDS = (12, 14, 16, 18, 39, 51, 52, 53, 1000022, 1000039, 4900022, 4900023, 4900111, 4900211)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Region(_Frozen):
    """A ring of the detector, from the edge of the previous region to `abs_eta_max`."""

    abs_eta_max: float = Field(gt=0.0, description="Outer edge in |eta|.")


class CalorimeterRegion(_Region):
    """Relative energy resolution stochastic / sqrt(E) + noise / E + constant, added in quadrature; E in GeV."""

    stochastic: float = Field(ge=0.0, description="sqrt(GeV)")
    noise: float = Field(default=0.0, ge=0.0, description="GeV")
    constant: float = Field(ge=0.0)


class MuonRegion(_Region):
    """Relative pt resolution constant + slope * pt, added in quadrature; pt in GeV."""

    constant: float = Field(ge=0.0)
    slope: float = Field(default=0.0, ge=0.0, description="1/GeV")


class EfficiencyRegion(_Region):
    """Efficiency far above threshold."""

    plateau: float = Field(ge=0.0, le=1.0)


class MaterialRegion(_Region):
    """Material in which an electron radiates energy that is not recovered."""

    thickness: float = Field(ge=0.0, description="Radiation lengths; effective, as most of the radiation is recovered.")


class JetRegion(_Region):
    """Calibration and extra smearing of jets; pt in GeV.

    The calibrated pt is scale * pt + offset. What pile-up, noise and hadronic showers add to the fluctuations of the
    single particles is noise / pt + stochastic / sqrt(pt) + constant, added in quadrature.
    """

    scale: float = Field(gt=0.0)
    offset: float = Field(default=0.0, description="GeV")
    noise: float = Field(default=0.0, ge=0.0, description="GeV")
    stochastic: float = Field(default=0.0, ge=0.0, description="sqrt(GeV)")
    constant: float = Field(default=0.0, ge=0.0)


class _Lepton(_Frozen):
    pt_min: float = Field(default=3.0, ge=0.0, description="Lowest reconstructed pt, GeV.")
    abs_eta_max: float = Field(gt=0.0, description="Acceptance in |eta|.")
    efficiency: tuple[EfficiencyRegion, ...]
    turn_on: float = Field(gt=0.0, description="True pt at which the efficiency is half its plateau, GeV.")
    turn_on_width: float = Field(gt=0.0, description="Standard deviation of the turn-on, GeV.")
    isolation_radius: float = Field(default=0.4, gt=0.0)
    isolation_max: float = Field(
        default=0.45, gt=0.0, description="Largest sum of the pt of other particles in the cone, over the lepton's pt."
    )


class ElectronSettings(_Lepton):
    """Electrons: energy from the calorimeter, photons that they radiated collected around them."""

    abs_eta_max: float = Field(default=3.0, gt=0.0)
    efficiency: tuple[EfficiencyRegion, ...] = (
        EfficiencyRegion(abs_eta_max=1.5, plateau=0.89),
        EfficiencyRegion(abs_eta_max=3.0, plateau=0.77),
    )
    turn_on: float = Field(default=5.0, gt=0.0)
    turn_on_width: float = Field(default=4.0, gt=0.0)
    resolution: tuple[CalorimeterRegion, ...] = (
        CalorimeterRegion(abs_eta_max=1.5, stochastic=0.14, noise=0.4, constant=0.014),
        CalorimeterRegion(abs_eta_max=3.0, stochastic=0.21, noise=0.4, constant=0.021),
    )
    material: tuple[MaterialRegion, ...] = (
        MaterialRegion(abs_eta_max=1.5, thickness=0.015),
        MaterialRegion(abs_eta_max=3.0, thickness=0.022),
    )
    recovery_radius: float = Field(default=0.05, ge=0.0, description="Photons this close are the electron's.")


class MuonSettings(_Lepton):
    """Muons: momentum from the tracker and the muon chambers."""

    abs_eta_max: float = Field(default=2.4, gt=0.0)
    efficiency: tuple[EfficiencyRegion, ...] = (
        EfficiencyRegion(abs_eta_max=1.5, plateau=0.93),
        EfficiencyRegion(abs_eta_max=2.4, plateau=0.88),
    )
    turn_on: float = Field(default=3.5, gt=0.0)
    turn_on_width: float = Field(default=1.0, gt=0.0)
    resolution: tuple[MuonRegion, ...] = (
        MuonRegion(abs_eta_max=1.5, constant=0.01, slope=1e-4),
        MuonRegion(abs_eta_max=2.4, constant=0.018, slope=2e-4),
    )


class TrackingSettings(_Frozen):
    """Charged hadrons in the tracker."""

    abs_eta_max: float = Field(default=2.5, gt=0.0)
    pt_min: float = Field(default=0.5, ge=0.0, description="Softer charged particles curl up and are lost, GeV.")
    efficiency: float = Field(
        default=0.93, ge=0.0, le=1.0, description="Missed ones are seen by the hadronic calorimeter only."
    )
    constant: float = Field(default=0.015, ge=0.0, description="Relative pt resolution at low pt.")
    slope: float = Field(default=2e-4, ge=0.0, description="Its linear rise with pt, added in quadrature, 1/GeV.")


class CalorimeterSettings(_Frozen):
    """Photons and hadrons in the calorimeters, up to the edge of their last region."""

    photon_pt_min: float = Field(default=0.5, ge=0.0, description="GeV")
    hadron_pt_min: float = Field(default=1.0, ge=0.0, description="GeV")
    photons: tuple[CalorimeterRegion, ...] = (
        CalorimeterRegion(abs_eta_max=3.0, stochastic=0.03, noise=0.15, constant=0.01),
        CalorimeterRegion(abs_eta_max=5.0, stochastic=1.5, constant=0.08),
    )
    hadrons: tuple[CalorimeterRegion, ...] = (
        CalorimeterRegion(abs_eta_max=3.0, stochastic=1.1, constant=0.09),
        CalorimeterRegion(abs_eta_max=5.0, stochastic=1.8, constant=0.10),
    )


class JetSettings(_Frozen):
    """Anti-kt jets of everything but isolated leptons."""

    radius: float = Field(default=0.4, gt=0.0)
    pt_min: float = Field(default=20.0, ge=0.0, description="Lowest calibrated pt, GeV.")
    abs_eta_max: float = Field(default=4.0, gt=0.0)
    overlap_radius: float = Field(default=0.4, ge=0.0, description="Jets this close to an isolated lepton are dropped.")
    response: tuple[JetRegion, ...] = (
        JetRegion(abs_eta_max=2.5, scale=1.0, offset=1.2, noise=2.0, stochastic=0.6, constant=0.04),
        JetRegion(abs_eta_max=3.0, scale=1.02, offset=1.7, noise=4.0, stochastic=0.7, constant=0.06),
        JetRegion(abs_eta_max=5.0, scale=1.025, offset=1.5, noise=3.0, stochastic=0.7, constant=0.07),
    )


class MetSettings(_Frozen):
    """Missing transverse momentum: what single particles and jets leave out, mostly pile-up."""

    jet_pt_min: float = Field(default=15.0, ge=0.0, description="Jets above this pass their calibration on, GeV.")
    noise: float = Field(default=4.0, ge=0.0, description="Smearing per component, GeV.")
    stochastic: float = Field(
        default=0.2, ge=0.0, description="Smearing per component over sqrt(scalar sum of pt), sqrt(GeV)."
    )


class DetectorSettings(_Frozen):
    """A parametrised, CMS-like detector. Energies in GeV, angles in radians."""

    invisible_ids: tuple[int, ...] = Field(
        default=INVISIBLE_IDS, description="PDG codes, without sign, of stable particles that leave no trace."
    )
    electrons: ElectronSettings = ElectronSettings()
    muons: MuonSettings = MuonSettings()
    tracking: TrackingSettings = TrackingSettings()
    calorimeter: CalorimeterSettings = CalorimeterSettings()
    jets: JetSettings = JetSettings()
    met: MetSettings = MetSettings()

    @model_validator(mode="after")
    def _ordered(self) -> DetectorSettings:
        regions: dict[str, tuple[_Region, ...]] = {
            "electrons.efficiency": self.electrons.efficiency,
            "electrons.material": self.electrons.material,
            "electrons.resolution": self.electrons.resolution,
            "muons.efficiency": self.muons.efficiency,
            "muons.resolution": self.muons.resolution,
            "calorimeter.photons": self.calorimeter.photons,
            "calorimeter.hadrons": self.calorimeter.hadrons,
            "jets.response": self.jets.response,
        }
        for name, parts in regions.items():
            edges = [part.abs_eta_max for part in parts]
            if not edges or edges != sorted(set(edges)):
                raise ValueError(f"{name}: regions need rising abs_eta_max, got {edges}")
        return self
