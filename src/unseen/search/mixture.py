"""The null distribution of a quadratic form in normal variables, Q = sum_j w_j (z_j + d_j)^2, at any depth of its tail.

P(Q >= x) = 1 / (2 pi i) int exp(K(s) - s x) / s ds inverts the cumulant generating function
K(s) = sum_j -1/2 log(1 - 2 w_j s) + d_j^2 w_j s / (1 - 2 w_j s): the characteristic function of Imhof (1961) and Davies
(1980). Along their vertical line the integrand oscillates and the accuracy is absolute. Here the line crosses the real
axis at the saddle point of the integrand (Lugannani & Rice 1980; Kuonen 1999) and bends like a hyperbola to where
exp(-s x) decays, so that nothing cancels and the accuracy is relative. Below the mean the other tail is the small one:
P(Q >= x) = 1 - P(-Q > -x).

The trapezoidal rule in the parameter of the hyperbola converges exponentially (Trefethen & Weideman 2014): halving the
step squares the error, so the finer of two sums that agree is better than their difference.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from unseen.errors import ConfigError, ConvergenceError, ShapeError
from unseen.search.validate import Floats

__all__ = ["isf", "log_tail", "moments"]

Complexes = NDArray[np.complex128]

AGREEMENT = 1e-9  # of the sums of two steps; coarse sums may agree by chance, which a looser demand would believe
BENDS = (0.1, 1.0)  # slopes of the contour far out: flat ones meet slow decay, steep ones the branch cut
BLOCK = 5  # nodes evaluated at once; the first block reaches 8 standard deviations of a Gaussian integrand
CHUNK = 2**15  # numbers in one temporary array, 256 KiB: it stays in the cache
HALVINGS = 8
NEGLIGIBLE = 1e-14  # relative to the largest term: where the sum is cut
SADDLE_STEPS = 40  # bisections; any crossing near the saddle gives the same integral
SMALLEST_GAP = 1e-9  # of 1 - 2 w_max s: float64 cannot follow the saddle closer to the branch point
SMALLEST_X = 1e-290  # the saddle of the lower end of a support is near 1 / x
STEP = 0.7
WIDEST = 150.0  # parameter of the last node; slowest possible decay: exp(-u / 2)


def moments(weights: ArrayLike, shifts: ArrayLike | None = None) -> tuple[float, float]:
    """Return mean and variance of Q: sum w (1 + d^2) and sum 2 w^2 (1 + 2 d^2).

    Parameters are those of `log_tail`.

    Examples
    --------
    >>> moments([1.0, 1.0, 1.0])
    (3.0, 6.0)
    """
    w, d2 = _checked(weights, shifts)
    return float((w * (1.0 + d2)).sum()), float((2.0 * w**2 * (1.0 + 2.0 * d2)).sum())


def log_tail(x: ArrayLike, weights: ArrayLike, shifts: ArrayLike | None = None) -> Floats:
    """Return log P(Q >= x), in the shape of `x`; P has a relative accuracy of about 1e-9 at any depth.

    `weights` (r,) may have either sign and may be zero; `shifts` (r,), zero by default, are in standard deviations.
    Where Q cannot reach x the result is -inf. Beyond about 1e9 times the largest weight float64 cannot resolve P and
    log P continues with its slope. Raises ShapeError (not (r,), or r differs), ConfigError (NaN, infinite values,
    weights all zero), ConvergenceError (the quadrature does not settle).

    Examples
    --------
    >>> log_tail([2.0, 2000.0], [1.0, 1.0]).round(9)  # chi-squared with two degrees of freedom: -x / 2
    array([   -1., -1000.])
    """
    w, d2 = _checked(weights, shifts)
    at = np.asarray(x, dtype=np.float64)
    if not np.isfinite(at).all():
        raise ConfigError(f"x has {int((~np.isfinite(at)).sum())} NaN or infinite values; a tail needs finite ones")
    scale = np.abs(w).max()
    with np.errstate(over="ignore"):
        flat = np.nan_to_num(at.ravel() / scale)
    w = w / scale
    above = flat >= (w * (1.0 + d2)).sum()
    log_p = np.empty_like(flat)
    log_p[above] = _log_far_tail(flat[above], w, d2)
    log_p[~above] = np.log1p(-np.exp(_log_far_tail(-flat[~above], -w, d2)))
    result: Floats = log_p.reshape(at.shape)
    return result


def isf(p: float, weights: ArrayLike, shifts: ArrayLike | None = None) -> float:
    """Return the x with P(Q >= x) = `p`, 0 < p < 1; the other parameters are those of `log_tail`.

    Examples
    --------
    >>> round(isf(0.05, [1.0]), 6)  # the square of 1.959964
    3.841459
    """
    w, d2 = _checked(weights, shifts)
    if not 0.0 < p < 1.0:
        raise ConfigError(f"p is {p!r}; a quantile needs 0 < p < 1")
    scale = float(np.abs(w).max())
    if p > 0.5:  # the mirrored form has the small tail, where log p has digits
        return -scale * _upper_quantile(1.0 - p, -w / scale, np.sqrt(d2))
    return scale * _upper_quantile(p, w / scale, np.sqrt(d2))


def _upper_quantile(p: float, w: Floats, d: Floats) -> float:
    """Return the x with P(Q >= x) = p <= 1/2."""
    mean, variance = moments(w, d)
    sigma = math.sqrt(variance)
    low = mean - 2.0 * sigma  # Cantelli: P(Q >= low) >= 4/5

    def excess(x: float) -> float:
        return max(float(log_tail(x, w, d)), -sys.float_info.max) - math.log(p)

    if w.max() <= 0:  # Q reaches up to zero only, where log P diverges: search for log(-x)
        return -math.exp(-_root(lambda t: excess(-math.exp(-t)), -math.log(-low), 1.0))
    return _root(excess, low, sigma)


def _checked(weights: ArrayLike, shifts: ArrayLike | None) -> tuple[Floats, Floats]:
    """Return the non-zero weights and their squared shifts, both (r,)."""
    w = np.asarray(weights, dtype=np.float64)
    d = np.zeros_like(w) if shifts is None else np.asarray(shifts, dtype=np.float64)
    if w.ndim != 1:
        raise ShapeError(f"weights have shape {w.shape}; expected (r,)")
    if d.shape != w.shape:
        raise ShapeError(f"shifts have shape {d.shape}; expected {w.shape}, one for each weight")
    for name, values in (("weights", w), ("shifts", d)):
        if not np.isfinite(values).all():
            raise ConfigError(f"{name} have {int((~np.isfinite(values)).sum())} NaN or infinite values")
    if not w.any():
        raise ConfigError(f"all {len(w)} weights are zero: the quadratic form has no distribution")
    return w[w != 0], d[w != 0] ** 2


def _root(falling: Callable[[float], float], low: float, step: float) -> float:
    """Return the zero of a falling function that is positive at `low`."""
    high = low + step
    while falling(high) > 0:
        low, step = high, 2.0 * step
        high = low + step
    return float(brentq(falling, low, high, xtol=1e-300, rtol=1e-14, maxiter=1000))


def _log_far_tail(x: Floats, w: Floats, d2: Floats) -> Floats:
    """Return log P(Q >= x) for x (n,) at or above the mean of Q; |w| <= 1."""
    log_p = np.full(x.shape, -np.inf)
    possible = np.flatnonzero(x < 0) if w.max() <= 0 else np.arange(len(x))
    rows = max(1, CHUNK // (BLOCK * len(w)))
    for chunk in np.split(possible, range(rows, len(possible), rows)):
        log_p[chunk] = _log_tail_of_chunk(x[chunk], w, d2)
    return log_p


def _log_tail_of_chunk(x: Floats, w: Floats, d2: Floats) -> Floats:
    """Return log P(Q >= x) for x (n,) within reach of Q."""
    inverse_branch = max(2.0 * w.max(), 0.0)
    if inverse_branch > 0:  # beyond the last x with a saddle in float64 log P goes on with its slope, minus the saddle
        last = _slope(np.array([(1.0 - SMALLEST_GAP) / inverse_branch]), w, d2)
    else:
        last = np.array([-SMALLEST_X])
    nearest = np.minimum(x, last)
    s = _saddle(nearest, w, d2, inverse_branch)
    gap = 1.0 - 2.0 * s[:, None] * w
    q = s[:, None] * w / gap
    exponent: Floats = q @ d2 - 0.5 * np.log(gap).sum(axis=1) - s * x
    return exponent + np.log(_integral(_contours(s * nearest, q, d2 * q / gap)) / np.pi)


@dataclass(frozen=True)
class _Contours:
    """Hyperbolas s(u) = s_0 [1 + width (bend (cosh u - 1) + i sinh u)] through the saddles s_0, one for each x (n,).

    With delta = s / s_0 - 1 and q = w s_0 / (1 - 2 w s_0) the exponent there is, free of the scales of s and w,
    K(s) - s x = K(s_0) - s_0 x + sum_j -1/2 log(1 - 2 q_j delta) + lift_j delta / (1 - 2 q_j delta) - tilt delta.
    """

    width: Floats
    bend: Floats
    tilt: Floats
    q: Floats
    lift: Floats

    def rows(self, index: NDArray[np.intp]) -> _Contours:
        """Return the contours of some x."""
        return _Contours(self.width[index], self.bend[index], self.tilt[index], self.q[index], self.lift[index])


def _contours(tilt: Floats, q: Floats, lift: Floats) -> _Contours:
    """Return contours whose width and bend follow the path of steepest descent of phi(s) = K(s) - s x - log s.

    Its width is phi''^(-1/2) and its bend phi''' / (3 phi''^(3/2)) at the saddle; the sign is that of x.
    """
    second = (2.0 * q**2 + 4.0 * q * lift).sum(axis=1) + 1.0  # s_0^2 phi''
    third = (8.0 * q**3 + 24.0 * q**2 * lift).sum(axis=1) - 2.0  # s_0^3 phi'''
    side = np.sign(tilt)
    return _Contours(second**-0.5, side * np.clip(side * third / (3.0 * second**1.5), *BENDS), tilt, q, lift)


def _slope(s: Floats, w: Floats, d2: Floats) -> Floats:
    """Return K'(s) - 1 / s for s (n,): the x of which s is the saddle."""
    inverse_gap = 1.0 / (1.0 - 2.0 * s[:, None] * w)
    slope: Floats = inverse_gap @ w + inverse_gap**2 @ (d2 * w) - 1.0 / s
    return slope


def _saddle(x: Floats, w: Floats, d2: Floats, inverse_branch: float) -> Floats:
    """Return the s in (0, 1 / inverse_branch) with K'(s) - 1 / s = x, by bisection in log(1 / s - inverse_branch)."""
    sigma = np.sqrt((2.0 * w**2 * (1.0 + 2.0 * d2)).sum())
    low = np.full(x.shape, np.log(1e3 * max(inverse_branch, sigma)))  # at the mean s is near the smaller inverse
    if inverse_branch > 0:
        high = np.full(x.shape, np.log(0.5 * SMALLEST_GAP * inverse_branch))
    else:  # from w / (1 - 2 w s) > -1 / (2 s) and w / (1 - 2 w s)^2 >= -1 / (8 s)
        high = np.log(-x / (1.0 + 0.5 * len(w) + 0.125 * d2.sum())) - 1.0
    for _ in range(SADDLE_STEPS):
        middle = 0.5 * (low + high)
        below = _slope(1.0 / (inverse_branch + np.exp(middle)), w, d2) < x
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    saddle: Floats = 1.0 / (inverse_branch + np.exp(low))
    return saddle


def _terms(contours: _Contours, u: Floats) -> Complexes:
    """Return the integrand (n, m) at parameters u (m,), relative to its exponential at the saddle."""
    width, bend, tilt = contours.width[:, None], contours.bend[:, None], contours.tilt[:, None]
    delta = width * (bend * (np.cosh(u) - 1.0) + 1j * np.sinh(u))
    tangent = width * (np.cosh(u) - 1j * bend * np.sinh(u))
    twice_q = 2.0 * contours.q[:, None, :]
    real, imaginary = 1.0 - twice_q * delta.real[..., None], -twice_q * delta.imag[..., None]
    square = real**2 + imaginary**2
    exponent = -0.25 * np.log(square).sum(axis=-1) - tilt * delta
    exponent -= 0.5j * np.arctan2(imaginary, real).sum(axis=-1)  # seven times faster than the complex logarithm
    if contours.lift.any():
        lift = contours.lift[:, :, None]
        exponent += delta * ((real / square) @ lift - 1j * ((imaginary / square) @ lift))[..., 0]
    with np.errstate(over="ignore", invalid="ignore"):  # a contour that meets a singularity far out does not settle
        terms: Complexes = np.exp(exponent) * tangent / (1.0 + delta)
    return terms


def _integral(contours: _Contours) -> Floats:
    """Return the integral of the real part over u in (0, inf), by halving the step until two sums agree."""
    total, blocks = _first_sums(contours)
    integral = STEP * total
    todo = np.arange(len(total))
    step = STEP
    for _ in range(HALVINGS):
        for block in range(int(blocks[todo].max(initial=0))):
            rows = todo[blocks[todo] > block]
            nodes = step * (np.arange(BLOCK, dtype=np.float64) + (BLOCK * block + 0.5))
            total[rows] += _terms(contours.rows(rows), nodes).real.sum(axis=1)
        step /= 2.0
        blocks *= 2
        finer = step * total[todo]
        settled = np.abs(finer - integral[todo]) <= AGREEMENT * np.abs(finer)
        integral[todo] = finer
        todo = todo[~settled]
        if len(todo) == 0:
            return integral
    raise ConvergenceError(
        f"the tail of the quadratic form does not settle at {len(todo)} of {len(total)} values of x: its shifts are "
        "too large for so wide a range of weights; drop those far below the largest"
    )


def _first_sums(contours: _Contours) -> tuple[Floats, NDArray[np.intp]]:
    """Return the coarsest sums (n,), and how many blocks of nodes each takes until its terms are negligible."""
    n = len(contours.width)
    total, largest, blocks = np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.intp)
    rows = np.arange(n)
    for block in range(int(WIDEST / (STEP * BLOCK))):
        nodes = STEP * (np.arange(BLOCK, dtype=np.float64) + BLOCK * block)
        terms = _terms(contours.rows(rows), nodes)
        if block == 0:
            terms[:, 0] *= 0.5  # the other half belongs to the mirror image
        size = np.abs(terms)
        total[rows] += terms.real.sum(axis=1)
        largest[rows] = np.maximum(largest[rows], size.max(axis=1))
        blocks[rows] += 1
        rows = rows[size[:, -1] > NEGLIGIBLE * largest[rows]]
        if len(rows) == 0:
            break
    return total, blocks
