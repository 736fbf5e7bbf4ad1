"""mien reads faces: which expression each appears to show, how sure it is, and how that changes through time."""

__version__ = "0.1.0"
