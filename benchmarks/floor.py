"""Does the least that a scan could, as a baseline: reads and hashes every file, and parses each distinct body once.

    python benchmarks/floor.py CORPUS

Standard library alone, nothing of opcov.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import sys

RANK = re.compile(rb"# Rank: [0-9]+, Graph [0-9]+[ \t]*\r?(?:\n|\Z)")


def main() -> None:
    """Prints the number of distinct bodies."""
    seen = set()
    for folder, _, names in os.walk(sys.argv[1]):
        for name in names:
            if not name.endswith(".py") or name == "all_ops.py":
                continue
            with open(os.path.join(folder, name), "rb") as stream:  # noqa: PTH118, PTH123 - the floor
                body = stream.read()
            if comment := RANK.match(body):
                body = body[comment.end() :]
            digest = hashlib.blake2b(body, digest_size=16).digest()
            if digest not in seen:
                seen.add(digest)
                ast.parse(body)
    print(len(seen))


if __name__ == "__main__":
    main()
