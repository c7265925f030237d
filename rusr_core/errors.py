"""The one exception that a user of the library has to catch."""


class RusrError(ValueError):
    """Bad input or bad data. The message is one line: what was found and what was expected."""
