"""Does a set of handwritten digits hold a digit that the reference lacks? See docs/tutorial-digits.md.

python examples/digits.py
python examples/digits.py --unseen 9 --figure digits.png
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import unseen

Images = NDArray[np.float64]  # (n, 64), 8 x 8 pixels
SIZES = {"settings": 200, "reference": 900, "pool": 190, "data": 150, "null": 165}  # known digits in each sample
N_NEW = 15  # images of the unseen digit, the last ones of the data
N_TOYS = 999  # p-values resolve 1 / 1000
N_SHOWN = 8


@dataclass(frozen=True)
class Outcome:
    """Everything that the page shows."""

    images: dict[str, Images]
    results: dict[tuple[str, str], unseen.SearchResult]  # (calibration, sample)
    toys: unseen.Null
    f: NDArray[np.float64]  # (n_data,)
    error: NDArray[np.float64]
    region: unseen.Region

    @property
    def order(self) -> NDArray[np.int64]:
        """Data images, the most anomalous first."""
        return np.argsort(-self.f)

    @property
    def new(self) -> NDArray[np.bool_]:
        """Which data images are of the unseen digit. The search does not know."""
        return np.arange(len(self.f)) >= len(self.f) - N_NEW


def draw_samples(digit: int, seed: int) -> dict[str, Images]:
    """Return disjoint random samples of all digits but `digit`; the data get N_NEW of it on top."""
    rng = np.random.default_rng(seed)
    images, labels = load_digits(return_X_y=True)
    known = rng.permutation(images[labels != digit])
    new = rng.permutation(images[labels == digit])[:N_NEW]
    *parts, _ = np.split(known, np.cumsum(list(SIZES.values())))
    samples = dict(zip(SIZES, parts, strict=True))
    samples["data"] = np.concatenate([samples["data"], new])
    return samples


def search(images: dict[str, Images], seed: int) -> Outcome:
    """Test "data" and "null" against "reference", with permutations and with toys."""
    pca = PCA(n_components=4, svd_solver="full").fit(images["settings"])
    z = {name: pca.transform(x) for name, x in images.items()}
    n_data = len(z["data"])

    test = unseen.KernelTest(widths=(1.5, 3.0), penalty=1e-4, normalisation="free", seed=seed)
    test.fit(z["reference"], expected=n_data, settings=z["settings"])

    results = {}
    for name in ("null", "data"):
        test.calibrate(z[name], method="permutation", n_toys=N_TOYS)
        results["permutation", name] = test.search(z[name])

    toys = test.calibrate(z["pool"], method="toys", n_toys=N_TOYS, n_data=n_data)
    for name in ("null", "data"):
        results["toys", name] = test.search(z[name])

    # f, its error and the region are those of the last search: the data's.
    return Outcome(images, results, toys, test.score(z["data"]), test.score_error(z["data"]), test.region())


def report(outcome: Outcome) -> None:
    """Print the p-values, the region and the most anomalous images."""
    for (calibration, name), result in outcome.results.items():
        low, high = result.p_interval
        relation = "<=" if result.at_resolution else "="
        print(f"{name} set, {calibration:<11}  p {relation:<2} {result.p_value:.3f}  (68 %: {low:.4f} to {high:.4f})")
    region = outcome.region
    inside = outcome.f >= region.threshold
    print(f"\n{region.side} at f >= {region.threshold:.2f}: {region.observed} images, {region.expected:.1f} expected")
    print(f"{int(outcome.new[inside].sum())} of them are of the unseen digit\n")
    for i in outcome.order[:N_SHOWN]:
        digit = "unseen" if outcome.new[i] else "known"
        print(f"image {i:>3}  f = {outcome.f[i]:.2f} +- {outcome.error[i]:.2f}  {digit} digit")


def draw(outcome: Outcome, path: Path) -> None:
    """Draw the most anomalous images, and the toys with both observed values."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.6), layout="constrained")
    grid = figure.add_gridspec(2, N_SHOWN, height_ratios=(1.0, 2.0))
    for column, i in enumerate(outcome.order[:N_SHOWN]):
        axes = figure.add_subplot(grid[0, column], xticks=[], yticks=[])
        axes.imshow(outcome.images["data"][i].reshape(8, 8), cmap="gray_r", interpolation="nearest")
        axes.set_title(f"f = {outcome.f[i]:.1f} ± {outcome.error[i]:.1f}", fontsize=8)
    axes = figure.add_subplot(grid[1, :])
    for name, colour in (("data", "tab:red"), ("null", "tab:blue")):
        result = outcome.results["toys", name]
        observed, toys = outcome.toys.combined(np.array(result.t))
        if name == "data":
            axes.hist(toys, bins=40, color="0.75", label=f"{N_TOYS} toys")
        sign = "≤" if result.at_resolution else "="
        axes.axvline(observed, color=colour, linewidth=2, label=f"{name} set: p {sign} {result.p_value:.3f}")
    axes.set(yscale="log", ylim=(0.5, None), xlim=(0.0, None), ylabel="toys")
    axes.set_xlabel("statistic: −ln of the smaller p-value of the two widths")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run the tutorial."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--unseen", type=int, choices=range(10), default=6, help="the digit that the reference lacks")
    parser.add_argument("--seed", type=int, default=1, help="seed of the samples and of the test")
    parser.add_argument("--figure", type=Path, help="write a figure to this PNG file")
    options = parser.parse_args()
    outcome = search(draw_samples(options.unseen, options.seed), options.seed)
    report(outcome)
    if options.figure is not None:
        draw(outcome, options.figure)


if __name__ == "__main__":
    main()
