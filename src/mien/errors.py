"""What can go wrong, as a tree. Catch `MienError` to catch all of it.

    MienError
    ├── MediaError   a picture, film, camera or result file cannot be read or written
    ├── ModelError   a model folder is missing, damaged or does not fit
    └── DataError    a table or folder of labelled pictures is not what it should be

Each message names what it is about, what was wanted, what was given and the remedy, and fits on one line, so that it can be
shown to a user as it is. Wrong arguments are `ValueError`, as everywhere in Python.
"""


class MienError(Exception):
    """The base of every error that mien raises on purpose."""


class MediaError(MienError):
    """A picture, film, camera or result file cannot be read or written."""


class ModelError(MienError):
    """A model folder is missing, damaged or does not fit its use."""


class DataError(MienError):
    """A table or folder of labelled pictures is not what it should be."""
