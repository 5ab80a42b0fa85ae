"""The command line.

`sgctl.cli.commands` is the table of all commands. A command's module is imported when the command runs, so
`sgctl --help` and shell completion import nothing but click and the standard library.
"""

from sgctl.cli.root import main

__all__ = ["main"]
