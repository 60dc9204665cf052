"""Packed models as C for microcontrollers: integers only, equal to the definitions bit for bit."""

from xnornet.export.c.export import Export, check_folder, export_c, pixel_levels, write_folder
from xnornet.export.c.lowering import lower
from xnornet.export.c.sizes import arena_of, check_fit, sizes
from xnornet.export.c.writer import identifier

__all__ = [
    "Export",
    "arena_of",
    "check_fit",
    "check_folder",
    "export_c",
    "identifier",
    "lower",
    "pixel_levels",
    "sizes",
    "write_folder",
]
