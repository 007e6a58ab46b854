"""The words by which kinds of ops are known, as patterns: torch's names, and those that libraries of kernels share.

Patterns of words are searched in lower case; patterns of torch's ops have to match the whole op without its overload.
"""

from __future__ import annotations

_ANY = r"\w*"


def _words(alternatives: str) -> str:
    """Whole words: what stands before and after is no letter."""
    return f"(?<![a-z])(?:{alternatives})(?![a-z])"


def _ops(namespace: str, names: str) -> str:
    """Ops of a namespace, a pattern, by their names; `*` stands for any characters of a name."""
    return rf"{namespace}(?:{'|'.join(names.split()).replace('*', _ANY)})"


# --- words of names, functions, files and folders ---------------------------------------------------------------------

_COLLECTIVES = "all_?reduce|all_?gather(?:_?v)?|reduce_?scatter(?:_?v)?|all_?to_?all|all2all|send_?recv|isend|irecv"
_MATRIX_PRODUCTS = (
    "(?:add|b|addb|badd|baddb)?mm|(?:add)?mv|i?matmul|linear|bilinear|gemm|gemv|einsum|v?dot|inner|tensordot|multi_dot|"
    "chain_matmul"
)
_QUANTIZATIONS = "(?:de|re)?quant(?:i[sz]ed?|i[sz]er|i[sz]ation)?"

COLLECTIVE = _words(f"{_COLLECTIVES}|wait_tensor")
FOREIGN_COLLECTIVE = (
    rf"{COLLECTIVE}|(?:^| )(?:(?:in_?place|out_?place|nccl|dist)_)?(?:broadcast|send|recv|barrier)"
    r"(?:_|_tensors?|_coalesced)?$"
)
"""With names that mean something else as a part of others, or as torch's own: `torch.broadcast_to`."""
ATTENTION = _words(
    "attention|attn|flash_?(?:attn|attention|infer_?mla|mla)|sdpa|f?mha|mla|mqa|gqa|m?rope|rotary|alibi|kv_?cache|kv"
)
EXPERTS = _words("moe|experts?|expt|group(?:ed)?_(?:mm|gemm|matmul)")
ROUTING = _words("router|routing|(?:grouped|fused)_top_?k|top_?k_(?:softmax|sigmoid)")
QUANTIZATION = _words(_QUANTIZATIONS)
NOT_QUANTIZED = _words("un_?quant(?:i[sz]ed)?")
NORMALIZATION = "(?:norms?|normali[sz](?:e|ation))(?![a-z])"
"""Also at the end of a word: `rmsnorm`."""
MATRIX_PRODUCT = _words(_MATRIX_PRODUCTS)
TRITON = _words("triton")

_FUSED_WITH = "|".join(
    (_words(f"residual|{_MATRIX_PRODUCTS}|{_QUANTIZATIONS}"), NORMALIZATION, EXPERTS, ATTENTION),
)
FUSED_COLLECTIVE = f"(?=.*{COLLECTIVE}).*(?:{_FUSED_WITH})"

WHOLE_MODEL = r"models?|modell?ing|(?:modell?ing|modular)_\w+"
"""Files and folders that hold a model whole, and so tell nothing of a part of it."""

# --- torch's own ops --------------------------------------------------------------------------------------------------

_TORCH = r"torch\.(?:\w+\.)*"
_DEVICE = r"(?:cuda|xpu|mps|mtia|hpu|npu|cpu|accelerator)"

PROCESS_GROUP_QUERIES = r"torch\.distributed\.(?:\w+\.)?(?:get_\w+|is_\w+)"
DISTRIBUTED = r"torch\.distributed\.(?!tensor\.)[\w.]+|torch\.ops\._?c10d\w*\.\w+"

TRITON_LAUNCHES = r"torch\.ops\.higher_order\.triton_kernel_wrapper\w*"

DEVICE_QUERIES = "|".join(
    (
        _ops(rf"torch\.{_DEVICE}\.", "get_device* get_arch* get_gencode* is_(?!current_stream)* device_count"),
        _ops(rf"torch\.{_DEVICE}\.", "current_device can_device_access_peer"),
        r"torch\.(?:backends|version)\.[\w.]+",
    )
)
DATA_QUERIES = "|".join(
    (
        _ops(r"torch\.Tensor\.", "item tolist data_ptr __bool__ __int__ __float__ __complex__ __index__"),
        _ops(r"torch\.ops\.aten\.", "item _local_scalar_dense is_nonzero"),
        r"torch\.is_nonzero",
    )
)
"""Their answer is in the tensor's elements, or is an address: no graph can know it."""
TENSOR_QUERIES = "|".join(
    (
        _ops(
            r"torch\.Tensor\.",
            "is_* dtype device get_device shape size dim ndim ndimension layout itemsize element_size nbytes numel"
            " nelement stride storage_offset dim_order dense_dim sparse_dim names has_names requires_grad retains_grad"
            " grad_fn output_nr _version __len__",
        ),
        _ops(
            r"torch\.ops\.(?:aten|prim)\.",
            "sym_* is_* device dtype layout size dim numel stride storage_offset",
        ),
    )
)
PYTHON_QUERIES = "|".join(
    (
        _ops(r"torch\.", "is_* numel finfo iinfo Size device get_(?!rng)* result_type promote_types can_cast"),
        _ops(r"operator\.", "is_ is_not contains not_ truth index length_hint"),
        r"torch\.broadcast_shapes|math\.\w+|len|int|float|bool|complex|str|isinstance|getattr|range",
    )
)
SYMBOL_ARITHMETIC = r"torch\._?sym_\w+"
SCALAR_ARITHMETIC = r"(?:operator\.\w+|max|min|abs|sum|pow|round|divmod)\(\) -> scalar"

STREAMS_AND_DEVICES = "|".join(
    (
        rf"torch\.{_DEVICE}\.(?!amp\.)[\w.]+",
        rf"torch\._C\._?{_DEVICE}_\w+",
        r"torch\.(?:Stream|Event)(?:\.\w+)?",
        _ops(r"torch\.Tensor\.", "record_stream wait_stream wait_event record_event synchronize"),
        r"torch\.(?:_C\.)?_?set_default_device",
    )
)

CUSTOM_OPS = r"torch\.ops\.(?!(?:aten|prims?|higher_order)\.)[\w.]+"

_AUGMENTED = "iadd iand iconcat idiv ifloordiv ilshift imod imul ior ipow irshift isub itruediv ixor setitem delitem"
IN_PLACE = "|".join(
    (
        _ops(r"operator\.", _AUGMENTED),
        _ops(r"torch\.Tensor\.", " ".join(f"__{name}__" for name in _AUGMENTED.split())),
        rf"{_TORCH}(?:set_data|\w*[A-Za-z0-9]_)",
    )
)
OUT = r".*\(out=\)"

LAYOUT = "|".join(
    (
        _ops(r"operator\.", "getitem concat"),
        _ops(
            _TORCH,
            "view* _?reshape* permute* transpose* swapaxes swapdims movedim moveaxis t T mT H mH adjoint"
            " __getitem__ slice* select* narrow* index index_select gather take* masked_select scatter"
            " _?cat concat concatenate _?stack [hvd]stack column_stack row_stack"
            " split* (?:tensor_|unsafe_|[hvd])split* (?:unsafe_)?chunk unbind* meshgrid cartesian_prod"
            " (?:un)?squeeze* expand* broadcast_to broadcast_tensors broadcast_in_dim repeat* tile atleast_[123]d"
            " (?:un)?flatten ravel contiguous clone flip fliplr flipud rot90 roll _?pad constant_pad_nd unfold* fold"
            " as_strided* diag* real imag conj resolve_* detach* alias* lift* data _get_data_attr"
            " pixel_shuffle pixel_unshuffle channel_shuffle",
        ),
    )
)

BODIES = r"torch\.ops\.higher_order\.(?:tag_activation_checkpoint|autograd_function_apply)"
"""Thunder looks at each call of their bodies."""
MACHINERY = (
    r"torch\.ops\.higher_order\.\w+|torch\._functorch\.[\w.]+|torch\._C\.(?:_functorch\.)?\w+|torch\.amp\.[\w.]+"
)
STANDING_ALONE = _ops(
    _TORCH,
    "(?:new_)?(?:empty|zeros|ones|full)(?:_like|_strided|_permuted)? new_tensor (?:as_|scalar_)?tensor arange linspace"
    " logspace eye rand* normal embedding* _?conv* *_pool[123]?d? interpolate upsample* grid_sample *_loss"
    " cross_entropy linalg_* fft_* _assert* _check*",
)
