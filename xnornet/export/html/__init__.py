"""Packed models as a web page: the exported C, compiled to WebAssembly, with a canvas to draw on."""

from xnornet.export.html.page import page
from xnornet.export.html.webassembly import check_compilers, to_webassembly

__all__ = ["check_compilers", "page", "to_webassembly"]
