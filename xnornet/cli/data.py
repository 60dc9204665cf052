"""The command that downloads and checks datasets."""

__all__ = ["add_data"]


def add_data(command):
    """Download datasets, check their files, or print where they are."""
    command.set_defaults(command=None)
