"""The command line: one program, `taut COMMAND`. Nothing heavy is imported before the command is known."""

from taut.cli.program import main

__all__ = ["main"]
