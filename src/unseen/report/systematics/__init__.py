"""The page on systematic uncertainties: what each nuisance parameter does to the embedding, the fit and the p-value."""

from unseen.report.systematics.inputs import SystematicsInputs
from unseen.report.systematics.page import PAGE, write_systematics

__all__ = ["PAGE", "SystematicsInputs", "write_systematics"]
