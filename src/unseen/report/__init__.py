"""The report: one HTML page that says whether data and simulation agree, and shows where they do not."""

from unseen.report.inputs import ReportInputs
from unseen.report.nuisances import ignored, nuisances
from unseen.report.page import write_report
from unseen.report.summary import summary_figure
from unseen.report.verdict import beside, verdict

__all__ = ["ReportInputs", "beside", "ignored", "nuisances", "summary_figure", "verdict", "write_report"]
