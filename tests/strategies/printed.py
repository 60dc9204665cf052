"""What a command printed where it failed."""

__all__ = ["error_line"]


def error_line(capsys):
    """The one line of an error, beside which nothing was printed but logs."""
    printed = capsys.readouterr()
    lines = [line for line in printed.err.splitlines() if "error: " in line]
    assert printed.out == "" and len(lines) == 1 and "Traceback" not in printed.err, printed
    return lines[0]
