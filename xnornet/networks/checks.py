"""Values of the options of our networks: of which kind they are, and in which range."""

import numbers

__all__ = ["checked"]


def checked(option, value, usual):
    """Check that an option's value has the type of its default and is within range.

    Raises
    ------
    ValueError
        It is not.
    """
    if isinstance(usual, bool):
        expected, fits = "True or False", isinstance(value, bool)
    elif isinstance(usual, tuple):
        # JSON turns tuples into lists.
        value = tuple(value) if isinstance(value, list) else value
        expected = f"{len(usual)} positive whole numbers, such as {usual}"
        fits = isinstance(value, tuple) and len(value) == len(usual) and all(map(_is_count, value))
    elif isinstance(usual, int):
        expected, fits = "a positive whole number", _is_count(value)
    elif option == "dropout":
        expected, fits = "a number from 0 to less than 1", _is_real(value) and 0 <= value < 1
    else:
        expected = f"a positive number, such as {usual / 2:g}"
        fits = _is_real(value) and 0 < value < float("inf")
    if not fits:
        raise ValueError(f"{option} is {value!r}; it takes {expected}")
    return value


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_real(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
