"""Runs the command line: `python -m opcov`."""

import sys

from opcov.cli import main

if __name__ == "__main__":
    sys.exit(main())
