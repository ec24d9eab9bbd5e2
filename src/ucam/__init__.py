"""ucam: a camera system for people who want to own their video."""

__version__ = "0.1.0"
