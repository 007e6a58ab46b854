"""Stands for where SGLang compiles its model: cuda_graph_runner.py up to 0.5.11, torch_compile_decoration.py later."""

from contextlib import contextmanager

import torch


@torch.compile(dynamic=True)
def apart_from_the_model(x):
    return torch.cos(x)


@contextmanager
def patch_model(model, enable_compile, num_tokens, tp_group):
    layers = [layer for layer in model.modules() if hasattr(layer, "enter_torch_compile")]
    try:
        if enable_compile:
            for layer in layers:
                layer.enter_torch_compile(num_tokens=num_tokens)
            yield torch.compile(torch.no_grad()(model.forward), mode="max-autotune-no-cudagraphs", dynamic=False)
        else:
            yield model.forward
    finally:
        for layer in layers:
            layer.leave_torch_compile()
