"""The command line.

Modules here import only click and the standard library up front; what a command needs beyond that it loads
when it runs, so that `sgctl --help` and shell completion answer at once.
"""

from sgctl.cli.root import main

__all__ = ["main"]
