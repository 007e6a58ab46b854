"""The state of the process that judging must not change."""

from __future__ import annotations

import threading
import warnings

import torch


def read_process_state() -> dict[str, object]:
    """Everything that a node of a graph may set when it is run."""
    functorch = torch._C._functorch
    return {
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "forward grad": torch._C._is_fwd_grad_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "autocast dtype": torch.get_autocast_dtype("cpu"),
        "autocast cache": torch.is_autocast_cache_enabled(),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "random state": torch.get_rng_state().tolist(),
        "seed": torch.initial_seed(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "deterministic level": torch.get_deterministic_debug_mode(),
        "functorch level": functorch.maybe_current_level(),
        "inplace requires grad": functorch.get_inplace_requires_grad_allowed(),
        "saved tensor hooks": torch._C._autograd._saved_tensors_hooks_is_enabled(),
        "function modes": torch._C._len_torch_function_stack(),
        "dispatch modes": torch._C._len_torch_dispatch_stack(),
        "threads": torch.get_num_threads(),
        "anomaly": torch.is_anomaly_enabled(),
        "warn always": torch.is_warn_always_enabled(),
        "warning filters": list(warnings.filters),
        "python threads": threading.active_count(),
    }
