"""The one error that people meet by their own doing, and that the command line prints as a single sentence."""


class UserError(Exception):
    """A mistake or a missing thing outside the program: one clear sentence that names the value and what is allowed.

    The command line prints it without a traceback and exits with code 1 (2 for `UsageError`).
    """

    exit_code = 1


class UsageError(UserError):
    """A command that cannot be meant: unknown recipe, unknown option, contradictory options."""

    exit_code = 2


def require(condition: bool, message: str) -> None:
    """Raise UsageError with `message` unless `condition` holds.

    Example:
        >>> require(2 > 1, "2 must be larger than 1")
    """
    if not condition:
        raise UsageError(message)
