"""Numbers as plain text: two significant digits for p, one decimal for Z, never a rounding that claims more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["count", "duration", "number", "p_text", "percent", "plain", "typeset", "z_floor", "z_text"]

NOT_AVAILABLE = "not available"

SMALLEST_DECIMAL = 1e-4  # below this a p-value is written with an exponent
Z_STEPS = (2.0, 3.0, 5.0)


def p_text(p: float, round_up: bool = False) -> str:
    """A p-value with two significant digits; `round_up` keeps "p < ..." true.

    >>> p_text(0.4321), p_text(1 / 1001, round_up=True), p_text(3.21e-7)
    ('0.43', '0.0010', '3.2e-7')
    """
    if not math.isfinite(p) or p <= 0.0:  # zero is below what anything resolves and never printed
        return NOT_AVAILABLE
    exponent = math.floor(math.log10(p))
    unit = 10.0 ** (exponent - 1)
    digits = math.ceil(p / unit - 1e-9) if round_up else round(p / unit)
    if digits >= 100:  # 0.000999 has become 0.00100
        digits, exponent = 10, exponent + 1
    if p >= SMALLEST_DECIMAL:
        return f"{digits * 10.0 ** (exponent - 1):.{max(1 - exponent, 0)}f}"
    return f"{digits / 10:.1f}e{exponent}"


def z_floor(z: float, decimals: int = 2) -> str:
    """Z rounded down, for lower bounds."""
    scale = 10.0**decimals
    return f"{math.floor(z * scale + 1e-9) / scale:.{decimals}f}"


def z_text(z: float) -> str:
    """Z with one decimal; never rounded up across 2, 3 or 5.

    >>> z_text(0.176), z_text(2.996)
    ('0.2', '2.99')
    """
    if not math.isfinite(z):
        return NOT_AVAILABLE
    text = f"{z:.1f}"
    if any(z < step <= float(text) for step in Z_STEPS):
        return z_floor(z)
    return "0.0" if text == "-0.0" else text


def count(n: float) -> str:
    """A count with thin groups of three; decimals only for small expectations."""
    return f"{n:,.1f}" if n < 100 and n != int(n) else f"{round(n):,}"


def percent(fraction: float) -> str:
    """A fraction in per cent; only all of it is 100 %.

    >>> percent(0.123), percent(0.9996), percent(1.0)
    ('12 %', 'over 99 %', '100 %')
    """
    if fraction >= 1:
        return "100 %"
    return f"{100 * fraction:.2g} %" if fraction < 0.995 else "over 99 %"


def number(value: float) -> str:
    """Three significant digits, or an integer as it is."""
    return f"{value:.3g}" if abs(value) < 999.5 or not math.isfinite(value) else f"{value:,.0f}"


def typeset(text: str) -> str:
    """A sentence for the page and the figures, where the terminal's ASCII is not needed."""
    return text.replace(">=", "≥").replace("+-", "±")


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> duration(3.2), duration(125), duration(7300)
    ('3.2 s', '2 min 5 s', '2 h 1 min')
    """
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def plain(value: Any) -> str:
    """Any value of a JSON mapping as a short text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value)
    return str(value)
