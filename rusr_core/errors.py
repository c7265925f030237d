"""The one exception that a user of the library has to catch, and the one warning."""


class RusrError(ValueError):
    """Bad input or bad data. The message is one line: what was found and what was expected."""


class RusrWarning(UserWarning):
    """Something that was asked for and does not act, or a result that is not what it seems. One line, as an error's."""
