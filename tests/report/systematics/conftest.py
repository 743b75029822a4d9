from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from unseen.report.systematics import SystematicsInputs

NAMES = ("jet-scale", "muon-scale", "lepton-efficiency")
VALUES = (-2.0, 2.0)
SHIFTS = (0.2, 0.02)  # of z1 by jet-scale, of z2 by muon-scale; lepton-efficiency weights events

RESULT: dict[str, Any] = {
    "p_value": 0.3,
    "z": 0.524,
    "p_resolution": 1 / 201,
    "calibration": "toys",
    "n_toys": 200,
    "converged": True,
    "nu_hat": [1.2, 0.1, 0.0],
    "nu_error": [0.5, 0.9, 1.0],
    "checks": {
        "nuisances": {
            "names": list(NAMES),
            "pull": [1.4, 0.2, None],
            "auxiliary": [0.0, 0.0, 0.0],
            "ratio": {
                "closure": {"nu": [[1.0, 0.0, 0.0]], "shift": [0.1], "error": [0.1], "limit": 0.3, "passed": True}
            },
        }
    },
    "ignored": {"p_value": 1 / 101, "z": 2.33, "p_resolution": 1 / 101, "n_toys": 100, "at_resolution": True},
}
IMPACTS = (
    {"name": "", "p_value": 0.3, "z": 0.52, "z_interval": [0.4, 0.7], "dz": 0.0, "n_toys": 100},
    {"name": "jet-scale", "p_value": 0.02, "z": 2.05, "z_interval": [1.8, 2.4], "dz": 1.53, "n_toys": 100},
    {"name": "muon-scale", "p_value": 0.29, "z": 0.55, "z_interval": [0.4, 0.7], "dz": 0.03, "n_toys": 100},
)
OVERLAP = {
    "signal": "ato4l",
    "names": list(NAMES),
    "cosine": [-0.8, 0.1, 0.3],
    "low": [-0.9, -0.1, 0.2],
    "high": [-0.7, 0.2, 0.4],
    "looks_like": 0.75,
    "looks_like_interval": [0.7, 0.8],
    "among": [[1.0, 0.2, 0.1], [0.2, 1.0, 0.0], [0.1, 0.0, 1.0]],
}


@pytest.fixture(scope="session")
def make_inputs() -> Callable[..., SystematicsInputs]:
    """Gaussian z: the first parameter moves z1, the second z2 (in one dimension z1), the third weights events by z1."""

    def make(d: int = 3, n: int = 3000, **changes: Any) -> SystematicsInputs:
        rng = np.random.default_rng(3)
        z = rng.normal(size=(n, d))
        z_at = np.tile(z, (3, 2, 1, 1))
        log_ratio, weight_at = np.zeros((3, 2, n)), np.ones((3, 2, n))
        for i, nu in enumerate(VALUES):
            for k, shift in enumerate(SHIFTS):
                column = min(k, d - 1)
                z_at[k, i, :, column] += nu * shift
                log_ratio[k, i] = nu * shift * z[:, column] - (nu * shift) ** 2 / 2
            log_ratio[2, i] = 0.05 * nu * (1 + np.tanh(z[:, 0]))
            weight_at[2, i] = np.exp(log_ratio[2, i])
        content: dict[str, Any] = {
            "title": "Toy",
            "result": RESULT,
            "names": NAMES,
            "values": VALUES,
            "z": z,
            "weight": np.ones(n),
            "z_at": z_at,
            "weight_at": weight_at,
            "log_ratio": log_ratio,
            "overlaps": (OVERLAP,),
            "impacts": IMPACTS,
            "true_nu": {"jet-scale": 1.5},
        }
        return SystematicsInputs(**(content | changes))

    return make
