"""What an exported network takes of a processor's flash and RAM, and which layers take it."""

from xnornet.errors import ModelError

__all__ = ["CODE", "STACK", "arena_of", "check_fit", "sizes"]

# Upper bound of the kernels' code in bytes, for a Cortex-M4 with gcc -Os.
CODE = 8192

# Upper bound of the stack of kernels and their callers in bytes, for 32-bit processors.
STACK = 1024

# Number of layers that are named if a network does not fit.
NAMED = 3


def sizes(export):
    """Bytes: of ``flash``, its ``constants`` and ``code``; of ``ram``, its ``arena`` and ``stack``."""
    constants, code = export.constants, CODE + sum(map(_code, export.functions))
    # The scores, where the class is asked for.
    stack = STACK + 8 * export.scores_count
    return {
        "flash": constants + code,
        "constants": constants,
        "code": code,
        "ram": export.arena + stack,
        "arena": export.arena,
        "stack": stack,
    }


def _code(function):
    """Bytes of a layer's own function and of the structures in it, about."""
    return 200 if "_filter" in "".join(function.body) else 80


def check_fit(export, flash=None, ram=None):
    """Raise ModelError if a network takes more bytes than the limit, naming the largest layers."""
    found = sizes(export)
    layers = list(zip(export.layers, export.functions, strict=True))
    parts = {
        "flash": {layer.name: function.bytes for layer, function in layers},
        "ram": dict(zip((layer.name for layer in export.layers), arena_of(export.layers), strict=True)),
    }
    for name, limit in (("flash", flash), ("ram", ram)):
        if limit is not None and found[name] > limit:
            most = sorted(parts[name].items(), key=lambda item: -item[1])[:NAMED]
            largest = ", ".join(f"{layer} {number}" for layer, number in most)
            raise ModelError(
                f"{export.name} takes {found[name]} bytes of {name.replace('ram', 'RAM')}, and there are "
                f"{limit}; most of it: {largest}"
            )


def arena_of(layers):
    """Bytes of the arena that are in use while each layer computes; the largest is about the arena.

    Parameters
    ----------
    layers : list of Layer
        All of a network, as `lower` gives them.
    """
    used = {value.memory for layer in layers for value in (*layer.inputs, layer.output)}
    used |= {layer.scratch for layer in layers if layer.scratch}
    return [sum(m.bytes for m in used if m.first <= i <= m.last) for i in range(len(layers))]
