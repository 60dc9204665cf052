"""Packed models as C for microcontrollers: integers only, equal to the definitions bit for bit."""

from xnornet.export.c.export import Export, export_c, pixel_levels, write_folder

__all__ = ["Export", "export_c", "pixel_levels", "write_folder"]
