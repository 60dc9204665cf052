"""Trained networks for testing, as Lasagne layers: in floating point and in simulated fixed point."""

from xnornet.inference.ancestor import ancestor_network
from xnornet.inference.fixed import fixed_network
from xnornet.inference.floating import float_network
from xnornet.inference.quantize import Formats, quantize
from xnornet.inference.real import real_network
from xnornet.inference.report import report_folder, write_report
from xnornet.inference.scores import compute_scores
from xnornet.inference.summary import format_summary, summarize, total
from xnornet.inference.sweep import Sweep, sweep_bits, write_sweep
from xnornet.inference.unpacking import unpack

__all__ = [
    "Formats",
    "Sweep",
    "ancestor_network",
    "compute_scores",
    "fixed_network",
    "float_network",
    "format_summary",
    "quantize",
    "real_network",
    "report_folder",
    "summarize",
    "sweep_bits",
    "total",
    "unpack",
    "write_report",
    "write_sweep",
]
