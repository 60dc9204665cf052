"""How many bits a network needs: its fixed-point error by the widths of data and of parameters.

``xnornet.quantization.calibration`` defines what a width means for each layer; here networks of all widths
are tested one by one, and the errors drawn.
"""

from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from xnornet.graph import Formats, simulate
from xnornet.quantization import calibrate, quantize, real_graph
from xnornet.report.pictures import scale_values, wrap_title

__all__ = ["Sweep", "describe_sweep", "sweep_bits"]


@dataclass(frozen=True)
class Sweep:
    """Errors of a network at several word widths.

    Attributes
    ----------
    widths : list of int
        Bits of a word, its sign included.
    data_errors : list of float
        Share of wrong answers for each width of the data.
    param_errors : list of float
        The same for each width of the parameters.
    formats : Formats
        What keeps the widths that do not vary; these count no sign.
    """

    widths: list
    data_errors: list
    param_errors: list
    formats: Formats


def sweep_bits(
    network,
    calibration_images,
    images,
    labels,
    widths=range(4, 17),
    formats=None,
    batch_size=500,
    progress=True,
):
    """Test a network in fixed point with words of several widths for data, and then for parameters.

    Parameters
    ----------
    network : Layer or Graph
        Output layer of the trained network, or its graph of real parameters.
    calibration_images : float array, ``(n, channels, height, width)``
        From the training set.
    images : float array or Pixels, ``(m, channels, height, width)``
    labels : integer array, ``(m,)``
    widths : iterable of int
        Bits of a word, its sign included: ``w`` stands for ``w - 1`` magnitude bits.
    formats : Formats, optional
        The widths that do not vary; by default ``Formats()``.
    batch_size : int
        Most images run at a time.
    progress : bool
        Show a bar on a terminal.

    Returns
    -------
    Sweep

    Raises
    ------
    ValueError
        A width is not in 2 to 16, there are no widths or no images, or `quantize` refuses the network.
    """
    formats = formats or Formats()
    widths = [int(w) for w in widths]
    if not widths or min(widths) < 2 or max(widths) > 16:
        raise ValueError(f"A sweep takes widths of 2 to 16 bits, sign included; got {widths}")
    if not len(images):
        raise ValueError("A sweep takes at least one image; got none")
    of_data = [replace(formats, data_bits=w - 1) for w in widths]
    of_params = [replace(formats, param_bits=w - 1) for w in widths]
    graph = real_graph(network)
    magnitudes = calibrate(graph, calibration_images, batch_size)
    batch_size = _batch_size(len(images), batch_size)
    # A network that is on both curves is tested once.
    networks = dict.fromkeys(of_data + of_params)
    for chosen in tqdm(networks, unit="network", leave=False, disable=None if progress else True):
        scores = simulate(quantize(graph, None, chosen, magnitudes=magnitudes), images, batch_size)
        networks[chosen] = float(np.mean(scores.argmax(axis=1) != labels))
    return Sweep(widths, [networks[f] for f in of_data], [networks[f] for f in of_params], formats)


def _batch_size(count, most):
    """A batch size near the default that divides the count: each size of batch costs a compilation."""
    return next((size for size in range(most, most // 2, -1) if count % size == 0), most)


def describe_sweep(sweep, float_error, title):
    """A table and a picture of a sweep.

    ``bits.csv`` has the columns ``width``, ``data_error`` and ``param_error``; ``bits.png`` shows it. Errors
    are shares, not percent.

    Parameters
    ----------
    sweep : Sweep
    float_error : float
        Share of wrong answers of the floating-point network on the same images.
    title : str

    Returns
    -------
    dict
        What :func:`xnornet.report.write_report` takes.
    """
    rows = zip(sweep.widths, sweep.data_errors, sweep.param_errors, strict=True)
    table = [(w, f"{d:.6g}", f"{p:.6g}") for w, d, p in rows]
    return {
        "bits.png": _draw(sweep, float_error, title),
        "bits.csv": [("width", "data_error", "param_error"), *table],
    }


def _draw(sweep, float_error, title):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    figure.suptitle(wrap_title(title, 75), parse_math=False)
    data_width, param_width = sweep.formats.data_bits + 1, sweep.formats.param_bits + 1
    axes.plot(
        sweep.widths,
        sweep.data_errors,
        "o-",
        ms=8,
        mfc="none",
        label=f"width of data, parameters at {param_width} bits",
    )
    axes.plot(
        sweep.widths, sweep.param_errors, "s-", ms=4, label=f"width of parameters, data at {data_width} bits"
    )
    axes.axhline(
        float_error, ls="--", color="black", lw=1, zorder=1, label=f"floating point, {float_error:.2%}"
    )
    axes.set(xlabel="bits of a word, sign included", ylabel="error", xticks=sweep.widths)
    scale_values(axes, [float_error, *sweep.data_errors, *sweep.param_errors], percent=True)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
