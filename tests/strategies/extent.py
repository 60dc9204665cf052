"""How much of its work each test does: all of it with ``--all``, else a few of its cases.

``tests/conftest.py`` sets ``everything`` before any test is imported.
"""

__all__ = ["examples", "few_or_all"]

everything = False

# Examples of a quick run, as a share of those of a whole one.
SHARE = 0.2


def examples(count):
    """Number of examples for Hypothesis where a whole run takes ``count``."""
    return few_or_all(max(2, round(SHARE * count)), count)


def few_or_all(few, all):
    """``all`` in a whole run, ``few`` in a quick one."""
    return all if everything else few
