"""Exporting to a web page: what is printed."""

import json

from xnornet.cli.export_c import in_c
from xnornet.cli.options import check_out_file

__all__ = ["export_to_html"]


def export_to_html(arguments, log):
    """Write a packed model as a web page; returns the exit status."""
    from xnornet.archives import write_atomically
    from xnornet.export.html import check_compilers, page

    check_out_file(arguments, ".html")
    check_compilers()
    export, info, numbers = in_c(arguments, log)
    text = page(export, info.get("dataset"), len(numbers) - 1).encode()
    write_atomically(arguments.out, lambda file: file.write(text))
    result = {"out": str(arguments.out), "name": export.name, "bytes": len(text)}
    if arguments.json:
        log(json.dumps(result))
    else:
        size = f"{len(text) / 1e6:.2g} MB"
        log(f"exported {result['out']}: {export.name} as a web page, {size}; open it in a browser")
    return 0
