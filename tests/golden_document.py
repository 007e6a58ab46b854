"""Reduces the JSON document of the fixtures to what the golden file holds; run as a script, writes it from stdin."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def reduced(text: bytes) -> str:
    """Totals, models and ops of a document; without versions, which differ from one installation to the next."""
    found = json.loads(text)
    for op in found["ops"]:
        del op["sources"]
    return json.dumps({name: found[name] for name in ("totals", "models", "ops")}, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    golden = Path(__file__).parent / "golden" / "opcov.json"
    golden.write_text(reduced(sys.stdin.buffer.read()), encoding="utf-8")
