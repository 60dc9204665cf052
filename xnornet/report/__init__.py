"""What is told of networks and tests: costs, tables, pictures."""

from xnornet.report.pictures import report_folder, write_report
from xnornet.report.summary import format_summary, summarize, total
from xnornet.report.sweep import Sweep, sweep_bits, write_sweep

__all__ = [
    "Sweep",
    "format_summary",
    "report_folder",
    "summarize",
    "sweep_bits",
    "total",
    "write_report",
    "write_sweep",
]
