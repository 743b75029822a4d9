"""The figures of a report, one per file; each turns ReportInputs into a Plot."""
