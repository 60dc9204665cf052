"""How long a packed model takes to its first scores, and how much memory, in a fresh process.

python benchmarks/startup.py [--network N] [--rounds N] [--json]

"First run ever" compiles the kernels into an empty cache; later runs find them there. Memory is what the
process has resident at each stage; the last column is what a second engine of the same model adds at its
peak: the model, its arrays and one image, now that the kernels are loaded.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

CHILD = """
import json, sys, time
from pathlib import Path

def resident(key="VmRSS"):
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))

def forget_peak():
    Path("/proc/self/clear_refs").write_text("5")

measured = {"interpreter_mib": resident()}
begun = time.perf_counter()
import xnornet.engine
measured["import_s"], measured["import_mib"] = time.perf_counter() - begun, resident()
import numpy as np
begun = time.perf_counter()
engine = xnornet.engine.load(sys.argv[1])
measured["load_s"] = time.perf_counter() - begun
image = np.zeros((1, *engine.input_shape), np.float32)
begun = time.perf_counter()
engine.predict(image)
measured["first_prediction_s"], measured["first_prediction_mib"] = time.perf_counter() - begun, resident()
if measured["import_mib"] is not None:
    before = resident()
    forget_peak()
    another = xnornet.engine.load(sys.argv[1])
    another.predict(image)
    measured["model_mib"] = resident("VmHWM") - before
print(json.dumps(measured))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="cifar10_convnet", help="one of xnornet.networks")
    parser.add_argument("--rounds", type=int, default=5, help="later runs, of which medians are printed")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.npz"
        pack(arguments.network, model)
        first = run(model, Path(folder) / "cache")
        later = [run(model, Path(folder) / "cache") for _ in range(arguments.rounds)]
    median = {key: sorted(measured[key] for measured in later)[len(later) // 2] for key in first}
    result = {"network": arguments.network, "first run ever": first, "later runs": median}
    print(json.dumps(result) if arguments.json else table(result))


def pack(network, path):
    """A packed model of random weights, whose shapes alone matter here."""
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    import numpy as np

    import theano.tensor as T
    from xnornet import networks
    from xnornet.graph import save_packed
    from xnornet.quantization import quantize

    layer = networks.build(network, T.tensor4("images"), scale_inputs=True)
    images = np.random.default_rng(0).uniform(-1, 1, (8, *networks.input_shape(layer)))
    save_packed(path, quantize(layer, images.astype("float32")), {})


def run(model, cache):
    """What a fresh process measures of itself."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CHILD, str(model)]
    begun = time.perf_counter()
    measured = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    return {**json.loads(measured), "process_s": time.perf_counter() - begun}


def table(result):
    """For people."""
    lines = [
        f"{result['network']}, one image; seconds, and MiB resident",
        f"{'':16}{'import':>9}{'load':>9}{'first':>9}{'process':>9}   {'bare':>7}{'import':>9}{'first':>9}"
        f"{'model':>9}",
    ]
    for name in ("first run ever", "later runs"):
        measured = result[name]
        seconds = ("import_s", "load_s", "first_prediction_s", "process_s")
        memory = ("interpreter_mib", "import_mib", "first_prediction_mib", "model_mib")
        cells = "".join(f"{measured[key]:9.2f}" for key in seconds) + " "
        cells += "".join(
            "        -" if measured.get(key) is None else f"{measured[key]:9.1f}" for key in memory
        )
        lines.append(f"{name:16}{cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
