"""Tools for development; not installed with the package."""
