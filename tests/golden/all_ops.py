# lightning-thunder 0.2.6, torch 2.13.0. 149 of 3629 nodes not supported: 29 ops in 33 variants, 0 nodes unknown; 32 distinct graphs in 37 files of 11 models
# Regenerate: python -m opcov <corpus> --update all_ops.py

# Models: health, graphs, unknown nodes, lost graphs
#  ok, 2, 0, 0: Qwen/Qwen3-MoE-tiny
#  ok, 2, 0, 0: Qwen/Qwen3-Next-tiny
#  ok, 7, 0, 0: Qwen/Qwen3-tiny
#  ok, 2, 0, 0: deepseek-ai/DeepSeek-V3-tiny
#  ok, 2, 0, 0: meta-llama/Llama-4-text-tiny
#  ok, 2, 0, 0: microsoft/Phi-3-tiny
#  ok, 2, 0, 0: mistralai/Mixtral-tiny
#  ok, 7, 0, 0: odd/serving-blocks
#  partial, 2, 0, 1: odd/stream-overlap
#  failed, 0, 0, 0: odd/unknown-activation
#  ok, 2, 0, 0: openai/gpt-oss-tiny

# torch.cat: EXCEPTION_META_THUNDER_OP: Expected dimension in inclusive range of -1 and 0: got -2.
#  models: 8: Qwen/Qwen3-MoE-tiny, Qwen/Qwen3-Next-tiny, Qwen/Qwen3-tiny, deepseek-ai/DeepSeek-V3-tiny, meta-llama/Llama-4-text-tiny, microsoft/Phi-3-tiny, mistralai/Mixtral-tiny, openai/gpt-oss-tiny
#  source: transformers/cache_utils.py:136 in update
#  source: transformers/cache_utils.py:137 in update
#  source: transformers/cache_utils.py:242 in update
#  - Qwen/Qwen3-MoE-tiny/rank0_0.py
#  - Qwen/Qwen3-Next-tiny/rank0_0.py
#  - Qwen/Qwen3-tiny/rank{0,1}_1.py
#  - deepseek-ai/DeepSeek-V3-tiny/rank0_0.py
#  - meta-llama/Llama-4-text-tiny/rank0_0.py
#  - microsoft/Phi-3-tiny/rank0_0.py
#  - mistralai/Mixtral-tiny/rank0_0.py
#  - openai/gpt-oss-tiny/rank0_0.py
torch.cat([tensor, k_embed], dim = -2)

# torch._C._nn.scaled_dot_product_attention: EXCEPTION_META_THUNDER_OP: scaled_dot_product_attention() got an unexpected keyword argument 'enable_gqa'
#  models: 6: Qwen/Qwen3-MoE-tiny, Qwen/Qwen3-Next-tiny, Qwen/Qwen3-tiny, meta-llama/Llama-4-text-tiny, microsoft/Phi-3-tiny, mistralai/Mixtral-tiny
#  source: transformers/integrations/sdpa_attention.py:193 in sdpa_attention_forward
#  - Qwen/Qwen3-MoE-tiny/rank0_1.py
#  - Qwen/Qwen3-Next-tiny/rank0_1.py
#  - Qwen/Qwen3-tiny/rank{0,1}_{4,6}.py
#  - meta-llama/Llama-4-text-tiny/rank0_1.py
#  - microsoft/Phi-3-tiny/rank0_1.py
#  - mistralai/Mixtral-tiny/rank0_1.py
torch._C._nn.scaled_dot_product_attention(q_embed, keys, values, attn_mask = None, dropout_p = 0.0, scale = 0.3535533905932738, is_causal = False, enable_gqa = True)

# torch._C._nn.scaled_dot_product_attention: EXCEPTION_META_THUNDER_OP: scaled_dot_product_attention() got an unexpected keyword argument 'enable_gqa'
#  models: 6: Qwen/Qwen3-MoE-tiny, Qwen/Qwen3-Next-tiny, Qwen/Qwen3-tiny, meta-llama/Llama-4-text-tiny, microsoft/Phi-3-tiny, mistralai/Mixtral-tiny
#  source: transformers/integrations/sdpa_attention.py:193 in sdpa_attention_forward
#  - Qwen/Qwen3-MoE-tiny/rank0_0.py
#  - Qwen/Qwen3-Next-tiny/rank0_0.py
#  - Qwen/Qwen3-tiny/rank{0,1}_1.py
#  - meta-llama/Llama-4-text-tiny/rank0_0.py
#  - microsoft/Phi-3-tiny/rank0_0.py
#  - mistralai/Mixtral-tiny/rank0_0.py
torch._C._nn.scaled_dot_product_attention(q_embed, keys, values, attn_mask = None, dropout_p = 0.0, scale = 0.3535533905932738, is_causal = True, enable_gqa = True)

# torch.ops.transformers.grouped_mm_fallback: MISSING_OP_SUPPORT: torch.ops.transformers.grouped_mm_fallback didn't have any mapping in thunder.
#  models: 5: Qwen/Qwen3-MoE-tiny, Qwen/Qwen3-Next-tiny, deepseek-ai/DeepSeek-V3-tiny, mistralai/Mixtral-tiny, openai/gpt-oss-tiny
#  source: transformers/integrations/moe.py:383 in _grouped_mm
#  - Qwen/Qwen3-MoE-tiny/rank0_{0,1}.py
#  - Qwen/Qwen3-Next-tiny/rank0_{0,1}.py
#  - deepseek-ai/DeepSeek-V3-tiny/rank0_{0,1}.py
#  - mistralai/Mixtral-tiny/rank0_{0,1}.py
#  - openai/gpt-oss-tiny/rank0_{0,1}.py
torch.ops.transformers.grouped_mm_fallback(to_12, transpose_4, offs = offsets)

# torch.histc: AUTO_FALLBACK: torch.histc only has an automatic torch fallback in thunder.
#  models: 5: Qwen/Qwen3-MoE-tiny, Qwen/Qwen3-Next-tiny, deepseek-ai/DeepSeek-V3-tiny, mistralai/Mixtral-tiny, openai/gpt-oss-tiny
#  source: transformers/integrations/moe.py:449 in grouped_mm_experts_forward
#  - Qwen/Qwen3-MoE-tiny/rank0_{0,1}.py
#  - Qwen/Qwen3-Next-tiny/rank0_{0,1}.py
#  - deepseek-ai/DeepSeek-V3-tiny/rank0_{0,1}.py
#  - mistralai/Mixtral-tiny/rank0_{0,1}.py
#  - openai/gpt-oss-tiny/rank0_{0,1}.py
torch.histc(histc_input, bins = 4, min = 0, max = 3)

# torch.ops.fixture.inplace_all_reduce: MISSING_OP_SUPPORT: torch.ops.fixture.inplace_all_reduce didn't have any mapping in thunder.
#  models: 3: Qwen/Qwen3-tiny, odd/serving-blocks, odd/stream-overlap
#  source: /opt/project/fixtures/serving.py:163 in forward
#  source: /opt/project/fixtures/serving.py:200 in forward
#  - Qwen/Qwen3-tiny/rank{0,1}_{0,3}.py
#  - odd/serving-blocks/rank0_0.py
#  - odd/stream-overlap/rank0_0.py
torch.ops.fixture.inplace_all_reduce(output_parallel, group_name = 'tp:0')

# torch.Tensor.is_cpu: EXCEPTION_META_THUNDER_OP: Unknown attribute is_cpu
#  models: 2: Qwen/Qwen3-tiny, odd/stream-overlap
#  source: /opt/project/fixtures/serving.py:162 in forward
#  - Qwen/Qwen3-tiny/rank{0,1}_{0,3}.py
#  - odd/stream-overlap/rank0_0.py
output_parallel.is_cpu

# torch.view_as_complex: AUTO_FALLBACK: torch.view_as_complex only has an automatic torch fallback in thunder.
#  models: 1: meta-llama/Llama-4-text-tiny
#  source: transformers/models/llama4/modeling_llama4.py:230 in apply_rotary_emb
#  source: transformers/models/llama4/modeling_llama4.py:231 in apply_rotary_emb
#  - meta-llama/Llama-4-text-tiny/rank0_{0,1}.py
torch.view_as_complex(reshape)

# torch.view_as_real: AUTO_FALLBACK: torch.view_as_real only has an automatic torch fallback in thunder.
#  models: 1: meta-llama/Llama-4-text-tiny
#  source: transformers/models/llama4/modeling_llama4.py:232 in apply_rotary_emb
#  source: transformers/models/llama4/modeling_llama4.py:233 in apply_rotary_emb
#  - meta-llama/Llama-4-text-tiny/rank0_{0,1}.py
torch.view_as_real(mul_4)

# operator.getitem: EXCEPTION_META_THUNDER_OP: start=-7 is not a valid index for length 6
#  models: 1: meta-llama/Llama-4-text-tiny
#  source: transformers/cache_utils.py:246 in update
#  source: transformers/cache_utils.py:247 in update
#  - meta-llama/Llama-4-text-tiny/rank0_0.py
full_key_states[(slice(None, None, None), slice(None, None, None), slice(-7, None, None), slice(None, None, None))]

# torch.Tensor.new_empty: AUTO_FALLBACK: torch.Tensor.new_empty only has an automatic torch fallback in thunder.
#  models: 1: deepseek-ai/DeepSeek-V3-tiny
#  source: transformers/models/deepseek_v3/modeling_deepseek_v3.py:421 in expand_kv
#  - deepseek-ai/DeepSeek-V3-tiny/rank0_{0,1}.py
kv_nope_3.new_empty(1, 4, 6, 16)

# torch.sinc: AUTO_FALLBACK: torch.sinc only has an automatic torch fallback in thunder.
#  models: 1: odd/serving-blocks
#  source: /opt/project/fixtures/serving.py:245 in forward
#  source: /opt/project/fixtures/serving.py:247 in forward
#  source: /opt/project/fixtures/serving.py:251 in forward
#  - odd/serving-blocks/rank0_3.py
torch.sinc(l_x_)

# torch.Tensor.bool: AUTO_FALLBACK: torch.Tensor.bool only has an automatic torch fallback in thunder.
#  models: 1: deepseek-ai/DeepSeek-V3-tiny
#  source: transformers/models/deepseek_v3/modeling_deepseek_v3.py:151 in forward
#  - deepseek-ai/DeepSeek-V3-tiny/rank0_{0,1}.py
score_mask.bool()

# torch.Tensor.new_ones: AUTO_FALLBACK: torch.Tensor.new_ones only has an automatic torch fallback in thunder.
#  models: 1: openai/gpt-oss-tiny
#  source: transformers/masking_utils.py:50 in and_mask
#  - openai/gpt-oss-tiny/rank0_{0,1}.py
q_indices_1.new_ones((), dtype = torch.bool)

# torch._C._autograd._get_data_attr: EXCEPTION_META_THUNDER_OP: _get_data_attr(): incompatible function arguments. The following argument types are supported: 1. (arg0: torch.Tensor) -> torch.Tensor Invoked with: <TensorProxy(name="t0", dtype=thunder.dtypes.float32, shape=(4, 32, 32))>
#  models: 1: odd/serving-blocks
#  source: /opt/project/fixtures/serving.py:216 in forward
#  - odd/serving-blocks/rank0_1.py
torch._C._autograd._get_data_attr(l_self_parameters_gate_up_)

# torch._C._linalg.linalg_solve_triangular: AUTO_FALLBACK: torch._C._linalg.linalg_solve_triangular only has an automatic torch fallback in thunder.
#  models: 1: Qwen/Qwen3-Next-tiny
#  source: transformers/models/qwen3_next/modeling_qwen3_next.py:469 in torch_chunk_gated_delta_rule
#  source: transformers/models/qwen3_next/modeling_qwen3_next.py:470 in torch_chunk_gated_delta_rule
#  - Qwen/Qwen3-Next-tiny/rank0_0.py
torch._C._linalg.linalg_solve_triangular(ut_system, v_beta_1, upper = False, unitriangular = True)

# torch.cuda.Stream.wait_stream: CRASH: AssertionError: Failed to find method wait_stream
#  models: 1: odd/stream-overlap
#  source: /opt/project/fixtures/serving.py:292 in forward
#  source: /opt/project/fixtures/serving.py:297 in forward
#  - odd/stream-overlap/graph_module_0_1.py
stream.wait_stream(current_stream)

# torch.cuda.set_stream: MISSING_OP_SUPPORT: torch.cuda.set_stream didn't have any mapping in thunder.
#  models: 1: odd/stream-overlap
#  source: /opt/project/fixtures/serving.py:294 in forward
#  source: /opt/project/fixtures/serving.py:296 in forward
#  - odd/stream-overlap/graph_module_0_1.py
torch.cuda.set_stream(stream)

# torch.polar: AUTO_FALLBACK: torch.polar only has an automatic torch fallback in thunder.
#  models: 1: meta-llama/Llama-4-text-tiny
#  source: transformers/models/llama4/modeling_llama4.py:219 in forward
#  - meta-llama/Llama-4-text-tiny/rank0_{0,1}.py
torch.polar(ones_like, freqs)

# operator.getitem: EXCEPTION_PROXY_THUNDER_OP: torch.uint32
#  models: 1: odd/serving-blocks
#  source: /opt/project/fixtures/serving.py:201 in forward
#  - odd/serving-blocks/rank0_0.py
lengths[0]

# torch.Tensor.new_empty: AUTO_FALLBACK: torch.Tensor.new_empty only has an automatic torch fallback in thunder.
#  models: 1: odd/serving-blocks
#  source: /opt/project/fixtures/serving.py:195 in forward
#  - odd/serving-blocks/rank0_0.py
l_x_.new_empty((1, 4, 8))

# torch.Tensor.transpose: EXCEPTION_PROXY_THUNDER_OP: torch.uint32
#  models: 1: odd/serving-blocks
#  source: /opt/project/fixtures/serving.py:198 in forward
#  - odd/serving-blocks/rank0_0.py
empty.transpose(0, 1)

# torch._C._nn.linear: EXCEPTION_META_THUNDER_OP: Expected a.dtype=thunder.dtypes.bfloat16 and w.dtype=thunder.dtypes.float32 to be the same!
#  models: 1: odd/serving-blocks
#  source: /opt/project/fixtures/serving.py:247 in forward
#  - odd/serving-blocks/rank0_3.py
torch._C._nn.linear(sinc_1, l_self_modules_proj_parameters_weight_, l_self_modules_proj_parameters_bias_)

# torch.bmm: EXCEPTION_META_THUNDER_OP: bmm() got an unexpected keyword argument 'out'
#  models: 1: odd/serving-blocks
#  source: /opt/project/fixtures/serving.py:196 in forward
#  - odd/serving-blocks/rank0_0.py
torch.bmm(unsqueeze, unsqueeze_1, out = scores)

# torch.cuda.current_stream: MISSING_OP_SUPPORT: torch.cuda.current_stream didn't have any mapping in thunder.
#  models: 1: odd/stream-overlap
#  source: /opt/project/fixtures/serving.py:290 in forward
#  - odd/stream-overlap/graph_module_0_1.py
torch.cuda.current_stream()

# torch.cuda.get_device_capability: MISSING_OP_SUPPORT: torch.cuda.get_device_capability didn't have any mapping in thunder.
#  models: 1: odd/serving-blocks
#  source: /opt/project/fixtures/serving.py:191 in forward
#  - odd/serving-blocks/rank0_0.py
torch.cuda.get_device_capability(0)

# torch.cuda.streams.Stream: MISSING_OP_SUPPORT: torch.cuda.streams.Stream didn't have any mapping in thunder.
#  models: 1: odd/stream-overlap
#  source: /opt/project/fixtures/serving.py:291 in forward
#  - odd/stream-overlap/graph_module_0_1.py
torch.cuda.streams.Stream(stream_id = 35, device_index = 0, device_type = 1)

# torch.empty: EXCEPTION_META_THUNDER_OP: torch.uint32
#  models: 1: odd/serving-blocks
#  source: /opt/project/fixtures/serving.py:198 in forward
#  - odd/serving-blocks/rank0_0.py
torch.empty((4, 1), dtype = torch.uint32)

# torch.ops.fixture.fused_moe: MISSING_OP_SUPPORT: torch.ops.fixture.fused_moe didn't have any mapping in thunder.
#  models: 1: odd/serving-blocks
#  source: /opt/project/fixtures/serving.py:216 in forward
#  - odd/serving-blocks/rank0_1.py
torch.ops.fixture.fused_moe(l_x_, _get_data_attr, _get_data_attr_1, weights_1, experts)

# torch.ops.higher_order.tag_activation_checkpoint: AUTO_FALLBACK: torch.ops.higher_order.tag_activation_checkpoint only has an automatic torch fallback in thunder.
#  models: 1: odd/serving-blocks
#  source: /opt/project/fixtures/serving.py:266 in forward
#  - odd/serving-blocks/rank0_4.py
torch.ops.higher_order.tag_activation_checkpoint(wrap_body_1, y, l_self_modules_down_parameters_weight_, l_self_modules_down_parameters_bias_, use_reentrant = False)

# torch.ops.higher_order.triton_kernel_wrapper_mutation: MISSING_OP_SUPPORT: torch.ops.higher_order.triton_kernel_wrapper_mutation didn't have any mapping in thunder.
#  models: 1: odd/serving-blocks
#  source: /opt/project/fixtures/serving.py:232 in forward
#  - odd/serving-blocks/rank0_2.py
torch.ops.higher_order.triton_kernel_wrapper_mutation(kernel_idx = 0, constant_args_idx = 1, grid = [(1, 1, 1)], tma_descriptor_metadata = {}, kwargs = {'X': linear, 'OUT': out})

# torch.ops.higher_order.triton_kernel_wrapper_mutation: MISSING_OP_SUPPORT: torch.ops.higher_order.triton_kernel_wrapper_mutation didn't have any mapping in thunder.
#  models: 1: odd/serving-blocks
#  source: /opt/project/fixtures/serving.py:230 in forward
#  - odd/serving-blocks/rank0_2.py
torch.ops.higher_order.triton_kernel_wrapper_mutation(kernel_idx = 2, constant_args_idx = 3, grid = [(1, 1, 1)], tma_descriptor_metadata = {}, kwargs = {'X': l_x_, 'Y': normed, 'W': l_self_parameters_weight_})

# torch.sym_sum: MISSING_OP_SUPPORT: torch.sym_sum didn't have any mapping in thunder.
#  models: 1: Qwen/Qwen3-tiny
#  source: transformers/integrations/sdpa_attention.py:52 in use_gqa_in_sdpa
#  - Qwen/Qwen3-tiny/rank{0,1}_6.py
torch.sym_sum([1, s40])
