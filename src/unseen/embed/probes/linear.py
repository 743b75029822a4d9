"""How much of the classes a linear function can read off an embedding."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from unseen.embed.probes.split import Part
from unseen.errors import ConvergenceError
from unseen.seeds import small_seed

__all__ = ["logistic"]

MAX_STEPS = 2000


def logistic(fit: Part, weight: NDArray[np.float64], x: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Logistic regression on columns standardised with the weighted moments of the fit. Errors: ConvergenceError.

    A column that is the same for all events of the fit says nothing, whatever it is for the others.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    # Of a constant other than 0 rounding makes a weighted variance below 0.
    told = np.ptp(fit.x, axis=0) > 0
    known, asked = np.where(told, fit.x, 0.0), np.where(told, x, 0.0)
    scaler = StandardScaler().fit(known, sample_weight=weight)
    classifier = LogisticRegression(max_iter=MAX_STEPS, random_state=small_seed(seed, "probe"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            classifier.fit(scaler.transform(known), fit.y, sample_weight=weight)
        except ConvergenceWarning as error:
            raise ConvergenceError(f"the linear probe did not converge in {MAX_STEPS} steps") from error
    probability: NDArray[np.float64] = classifier.predict_proba(scaler.transform(asked))
    return probability
