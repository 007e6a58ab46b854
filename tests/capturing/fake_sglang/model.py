"""Stands for SGLang's layers: one of them runs one way, and is compiled another."""

import torch
from sgl_kernel import silu_and_mul


class CustomOp(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self._forward_method = self.forward_own
        self.is_torch_compile = False

    def enter_torch_compile(self, num_tokens):
        self._forward_method = self.forward_native
        self.is_torch_compile = True

    def leave_torch_compile(self):
        self._forward_method = self.forward_own
        self.is_torch_compile = False

    def forward(self, x):
        return self._forward_method(x)


class Gate(CustomOp):
    kernel = silu_and_mul

    def forward_native(self, x):
        return torch.nn.functional.silu(x)

    def forward_own(self, x):
        return torch.sigmoid(x)


class Norm(CustomOp):
    def forward_native(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)

    def forward_own(self, x):
        return x / x.norm()


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = Norm()
        self.projection = torch.nn.Linear(8, 8)
        self.gate = Gate()

    def forward(self, x):
        return self.gate(self.projection(self.norm(x)))
