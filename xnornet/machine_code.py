"""Kernels compiled by Numba, and their machine code kept on disk.

A kernel is found again by the contents of its module and of all that this imports from this package, by the
versions of Numba, llvmlite, Python and this package, and by the processor and settings that Numba compiles
for. What does not match is compiled and kept as well; the ``ENTRIES`` entries used last are kept.

Entries lie in ``$NUMBA_CACHE_DIR/xnornet`` if that is set. Otherwise they lie in this package's
``__pycache__`` or, where that cannot be written, in the user's cache folder. Where nothing can be written,
kernels are compiled in every process.

All uses of private parts of Numba's caching are here, for Numba 0.61 to 0.68. Numba's own cache compares one
file, that of the decorated function: its date up to 0.65, its contents in 0.68. As soon as Numba has a
public way to say what else goes into a function, ``_Kept`` can become ``cache=True`` again.
"""

import hashlib
import os
import pickle
import re
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import llvmlite
import numba
from llvmlite import ir
from numba import njit, types
from numba.core.caching import _Cache
from numba.core.ccallback import CFunc
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.core.sigutils import normalize_signature
from numba.extending import intrinsic

import xnornet
from xnornet.disk import user_cache

__all__ = ["ENTRIES", "WORDS", "address_of", "c_function", "folders", "part", "sources", "words_at"]

PACKAGE = Path(__file__).parent

# A module that is imported and, without taking them from what follows, the names imported from it.
IMPORT = re.compile(r"^\s*(?:from|import) +(xnornet[\w.]*)(?= +import +([\w\s,()]*)|)", re.MULTILINE)

# Settings of Numba that change machine code and are not in what its code generator says of itself.
SETTINGS = (
    "BOUNDSCHECK",
    "DEBUGINFO_DEFAULT",
    "DISABLE_INTEL_SVML",
    "LOOP_VECTORIZE",
    "OPT",
    "SLP_VECTORIZE",
)

# An entry is of about 100 KiB: one kernel for one signature, processor and state of the sources.
ENTRIES = 256

# Memory as words of 8 bytes.
WORDS = types.CPointer(types.intp)


@intrinsic
def words_at(typing_context, address):
    """The memory at an address, as words."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())

    return WORDS(types.intp), generate


@intrinsic
def address_of(typing_context, words, i):
    """Where a word lies."""

    def generate(context, builder, signature, arguments):
        return builder.ptrtoint(builder.gep(arguments[0], [arguments[1]]), ir.IntType(64))

    return types.intp(WORDS, types.intp), generate


def part(function, **options):
    """``njit`` for a function that kernels are made of, compiled into them, and that nothing else calls.

    Without wrappers for other callers, kernels take Numba a sixth less time.
    """
    return njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, **options)(function)


def c_function(function, signature):
    """``cfunc``, whose machine code is kept on disk."""
    compiled = CFunc(function, normalize_signature(signature), locals={}, options={"error_model": "numpy"})
    compiled._cache = _Kept(function)
    compiled.compile()
    return compiled


def folders():
    """Where machine code is looked for, and the first of them that can be written gets it."""
    if numba.config.CACHE_DIR:
        return [Path(numba.config.CACHE_DIR) / "xnornet"]
    found = [PACKAGE / "__pycache__"]
    with suppress(OSError):
        found.append(user_cache() / "kernels")
    return found


def sources(module):
    """Files of a module and of all that it imports from this package.

    Parameters
    ----------
    module : str
        Its full name.

    Returns
    -------
    dict
        From names of modules to the contents of their files.

    Raises
    ------
    OSError
        A file cannot be read.
    """
    found, names = {}, [module]
    while names:
        name = names.pop()
        file = _file(name)
        if file is None or name in found:
            continue
        found[name] = file.read_bytes()
        for imported, parts in IMPORT.findall(found[name].decode()):
            names += [imported, *(f"{imported}.{part}" for part in re.findall(r"\w+", parts))]
    return found


def _file(module):
    place = PACKAGE.parent.joinpath(*module.split("."))
    return next((f for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file()), None)


@cache
def _stamp(module):
    """Digest of what all kernels of a module depend on, or None if there are no sources to read."""
    try:
        contents = sorted(sources(module).items())
    except OSError:
        return None
    versions = [numba.__version__, llvmlite.__version__, sys.version, xnornet.__version__]
    return hashlib.sha256(repr((versions, contents)).encode()).hexdigest() if contents else None


class _Kept(_Cache):
    """The machine code of one kernel, in place of Numba's cache.

    An entry is a file, named after the kernel and a digest of everything that it depends on, so processes
    that write at once write the same. It holds a digest of its data, so damaged machine code never runs.
    """

    def __init__(self, function):
        self._module, self._name = function.__module__, f"{function.__module__}.{function.__qualname__}"

    @property
    def cache_path(self):
        return str(folders()[0])

    def load_overload(self, sig, target_context):
        target_context.refresh()
        name = self._entry(sig, target_context.codegen())
        for folder in folders() if name else ():
            try:
                data = (folder / name).read_bytes()
                if hashlib.sha256(data[32:]).digest() == data[:32]:
                    code = CompileResult._rebuild(target_context, *pickle.loads(data[32:]))
                    with suppress(OSError):
                        os.utime(folder / name)
                    return code
            except OSError:
                pass
        return None

    def save_overload(self, sig, code):
        name = self._entry(sig, code.codegen)
        if name is None or code.library.has_dynamic_globals:
            return
        data = dumps(code._reduce())
        for folder in folders():
            with suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                # What a killed process leaves behind counts as an entry, and goes as those do.
                temporary = folder / f"{name}.{os.getpid()}"
                temporary.write_bytes(hashlib.sha256(data).digest() + data)
                temporary.replace(folder / name)
                _drop_oldest(folder)
                return

    def _entry(self, sig, codegen):
        stamp = _stamp(self._module)
        if stamp is None:
            return None
        settings = [getattr(numba.config, name, None) for name in SETTINGS]
        key = repr((stamp, settings, str(sig), codegen.magic_tuple()))
        return f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.machine_code"

    def enable(self):
        pass

    def disable(self):
        pass

    def flush(self):
        pass


def _drop_oldest(folder):
    def used(path):
        try:
            return path.stat().st_mtime
        except OSError:
            return 0

    for path in sorted(folder.glob("*.machine_code*"), key=used)[:-ENTRIES]:
        path.unlink(missing_ok=True)
