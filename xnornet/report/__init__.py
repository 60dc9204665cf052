"""Reports about networks and tests: costs, tables, pictures."""

from xnornet.report.pictures import describe_test, report_folder, write_report
from xnornet.report.summary import format_summary, summarize, total
from xnornet.report.sweep import Sweep, describe_sweep, sweep_bits

__all__ = [
    "Sweep",
    "describe_sweep",
    "describe_test",
    "format_summary",
    "report_folder",
    "summarize",
    "sweep_bits",
    "total",
    "write_report",
]
