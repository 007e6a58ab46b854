"""Names of ops that several modules treat by rules of their own: what sets a state, and what could not be read."""

from __future__ import annotations

ENTER_AUTOCAST = "torch.amp.autocast_mode._enter_autocast"
EXIT_AUTOCAST = "torch.amp.autocast_mode._exit_autocast"
SET_GRAD = "torch._C._set_grad_enabled"
"""With the two above `GLOBAL_STATE_NODES` of `torch.fx.passes.split_module`."""

VMAP_BRACKETS = frozenset(
    {"torch._C._functorch._vmap_increment_nesting", "torch._C._functorch._vmap_decrement_nesting"}
)
"""`UNSUPPORTED_THUNDER_CTX` (empty before 0.2.5) in `thunder.dynamo.utils.get_nodes_in_unsupported_ctx_regions`."""

UNREADABLE = "unreadable"
"""The op and target of a statement that no rule knows. It stays a node so that nothing is lost in silence."""
