"""What a command printed: the line of an error, the numbers of a table."""

import re

import pytest

__all__ = ["assert_numbers", "error_line"]

NUMBER = re.compile(r"(?<=\s)-?\d+\.(\d+)(%?)(?=[\s,]|$)")


def error_line(capsys):
    """The one line of an error, beside which nothing was printed but logs."""
    printed = capsys.readouterr()
    lines = [line for line in printed.err.splitlines() if "error: " in line]
    assert printed.out == "" and len(lines) == 1 and "Traceback" not in printed.err, printed
    return lines[0]


def assert_numbers(lines, expected):
    """Compare the decimal numbers in each line that has some, up to the rounding to the digits printed.

    A number with a percent sign is a share. Widths, and how many digits there are, do not matter.
    """
    rows = [row for line in lines if (row := list(NUMBER.finditer(line)))]
    for row, values in zip(rows, expected, strict=True):
        for number, value in zip(row, values, strict=True):
            shown, unit = float(number[0].rstrip("%")), 10.0 ** -len(number[1])
            assert shown == pytest.approx(100 * value if number[2] else value, rel=1e-12, abs=0.501 * unit)
