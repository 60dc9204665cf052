"""Programs compiled by XLA, kept on disk by JAX for the next start.

Nothing here happens by itself: the commands that train ask for it. Programs that call kernels name them (see
``xnornet.ops.custom_calls``), so they run in another process.
"""

import os

import jax

from xnornet.disk import probe, user_cache

__all__ = ["keep_programs"]

# A program of a training step is of about 1 MiB; those used last are kept.
MOST_BYTES = 2**28

# A small program takes 50 ms to compile and 10 to be found.
SECONDS_WORTH_KEEPING = 0


def keep_programs():
    """Let JAX keep compiled programs, and find those of earlier processes, from the next compilation on.

    They lie in ``programs`` of the user's cache folder, at most ``MOST_BYTES`` of them, unless the user has
    chosen a folder (``JAX_COMPILATION_CACHE_DIR``). Where the folder cannot be written, none are kept.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return
    folder = user_cache() / "programs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe(folder / "program")
    except OSError:
        return
    _set("jax_compilation_cache_dir", str(folder))
    _set("jax_compilation_cache_max_size", MOST_BYTES)
    _set("jax_persistent_cache_min_compile_time_secs", SECONDS_WORTH_KEEPING)


def _set(option, value):
    """Change an option of JAX that the environment leaves as it is."""
    if option.upper() not in os.environ:
        jax.config.update(option, value)
