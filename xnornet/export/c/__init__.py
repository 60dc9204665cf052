"""Packed models as C for microcontrollers: integers only, equal to the definitions bit for bit."""

from xnornet.export.c.export import Export, export_c, pixel_levels, write_folder
from xnornet.export.c.sizes import check_fit, sizes
from xnornet.export.c.writer import identifier

__all__ = ["Export", "check_fit", "export_c", "identifier", "pixel_levels", "sizes", "write_folder"]
