"""The judgement of one node: status, reason and the evidence that it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Status(str, Enum):
    """What Thunder's own check answers for a node (`thunder.dynamo.utils.is_node_supported_by_thunder`)."""

    SUPPORTED = "supported"
    UNSUPPORTED = "unsupported"
    CRASH = "crash"
    """The check raises: the splitter stops and the whole graph is lost."""
    UNKNOWN = "unknown"
    """Metadata that the answer depends on is missing. Never counted as supported nor as unsupported."""

    @property
    def is_refused(self) -> bool:
        """Whether Thunder does not take the node; of an unknown one nobody knows."""
        return self in _REFUSED

    @property
    def gravity(self) -> int:
        """0 for what Thunder does not take, whichever way, 1 for what is unknown, 2 for what is supported."""
        return 0 if self in _REFUSED else 1 if self is Status.UNKNOWN else 2


_REFUSED = frozenset({Status.UNSUPPORTED, Status.CRASH})


class Reason(str, Enum):
    """Why a node is not supported: Thunder's `SplitReasonType` names, then opcov's own three."""

    UNSUPPORTED_NODE = "UNSUPPORTED_NODE"
    MISSING_OP_SUPPORT = "MISSING_OP_SUPPORT"
    EXCEPTION_PROXY_THUNDER_OP = "EXCEPTION_PROXY_THUNDER_OP"
    EXCEPTION_META_THUNDER_OP = "EXCEPTION_META_THUNDER_OP"
    AUTO_FALLBACK = "AUTO_FALLBACK"
    """Thunder has only an automatic torch fallback for the op, which its splitter counts as unsupported."""
    CRASH = "CRASH"
    NO_METADATA = "NO_METADATA"


class Evidence(str, Enum):
    """What a verdict rests on."""

    META = "meta"
    """Metadata that the text states, or the target alone where metadata does not matter."""
    ASSUMED = "assumed"
    """Something that the text does not print had to be assumed, such as the hint of a symbolic size."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A node's own verdict.

    Attributes:
        status: Thunder's answer.
        reason: None exactly when the status is supported.
        detail: one line, the exception's text or Thunder's own sentence; free of memory addresses. "" when supported.
        evidence: what the answer rests on.
    """

    status: Status
    reason: Reason | None = None
    detail: str = ""
    evidence: Evidence = Evidence.META


SUPPORTED = Verdict(Status.SUPPORTED)
