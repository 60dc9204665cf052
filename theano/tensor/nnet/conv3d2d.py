"""Theano's older convolution of volumes, with time before channels."""

from theano.tensor.nnet.abstract_conv import conv3d as _conv3d

__all__ = ["conv3d"]


def conv3d(signals, filters, signals_shape=None, filters_shape=None, border_mode="valid"):
    """Convolve ``signals``, ``(batch, time, channels, rows, columns)``.

    Parameters
    ----------
    filters : tensor, ``(filters, time, channels, rows, columns)``
    signals_shape, filters_shape : tuple of (int or None), optional
        Lengths known beforehand.
    border_mode : {'valid', 'full', 'half'}, or three of them that are equal

    Returns
    -------
    tensor, ``(batch, time, filters, rows, columns)``

    Raises
    ------
    NotImplementedError
        Border modes that differ between axes.
    """
    if isinstance(border_mode, tuple | list):
        if len(set(border_mode)) != 1:
            raise NotImplementedError(
                f"conv3d2d.conv3d with border modes {tuple(border_mode)}; T.nnet.conv3d takes a number for "
                "each axis"
            )
        border_mode = border_mode[0]
    order = (0, 2, 1, 3, 4)
    shapes = [None if s is None else [s[i] for i in order] for s in (signals_shape, filters_shape)]
    out = _conv3d(signals.dimshuffle(order), filters.dimshuffle(order), *shapes, border_mode=border_mode)
    return out.dimshuffle(order)
