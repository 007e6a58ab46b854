"""Names pages and anchors of the site after ops, models and graphs, so that hostile names cannot harm disks or links.

Only lower-case letters, digits, dots, dashes and underscores occur, so a name means the same on every disk and needs no
quoting in a URL.
"""

from __future__ import annotations

import hashlib
import re

_LOST = re.compile(r"[^a-z0-9._]+")
_HASH_LENGTH = 16
_LONGEST = 80
_LOOKS_HASHED = re.compile(rf"-[0-9a-f]{{{_HASH_LENGTH}}}\Z")
_RESERVED = frozenset("con prn aux nul clock$".split()) | {f"{name}{n}" for name in ("com", "lpt") for n in range(10)}
"""What Windows takes for a device whatever follows its first dot."""


def op_page(op: str) -> str:
    """The path of an op's page in the site.

    >>> op_page("torch.bmm"), op_page("torch.Tensor.is_cpu")
    ('op/torch.bmm.html', 'op/torch.tensor.is_cpu-afc1e5b9a64862fc.html')
    """
    return f"op/{anchor(op)}.html"


def model_page(name: str) -> str:
    """The path of a model's page in the site."""
    return f"model/{anchor(name)}.html"


def graph_page(digest: str) -> str:
    """The path of the page of a distinct graph in the site."""
    return f"graph/{anchor(digest)}.html"


def anchor(text: str) -> str:
    """A short id that different texts never share, also where upper and lower case are one.

    Where making it safe loses something, a hash of the whole text stands at its end; a text that happens to end like
    that gets one too.
    """
    lowered = text.lower()
    slug = _LOST.sub("-", lowered).strip("-._")
    plain = slug == text and len(slug) <= _LONGEST and slug.partition(".")[0] not in _RESERVED
    if plain and slug and ".." not in slug and not _LOOKS_HASHED.search(slug):
        return slug
    hashed = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_HASH_LENGTH // 2).hexdigest()
    slug = slug[:_LONGEST].rstrip("-._") or "x"
    # A device name is one only up to its first dot: `con.x` is one, `x-con.x` is none.
    return f"x-{slug}-{hashed}" if slug.partition(".")[0] in _RESERVED else f"{slug}-{hashed}"
