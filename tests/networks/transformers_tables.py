"""What the generic rules of `transformers_zoo` must be told about single families."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

WIDTH, INNER_WIDTH, HEADS, HEAD_WIDTH = 32, 64, 4, 8
VOCABULARY, FIRST_PLAIN_TOKEN, FIRST_SPECIAL_TOKEN = 128, 40, 100


def _at_most(limit: int) -> Callable[[int], int]:
    return lambda value: min(value, limit)


def _power_of_two_at_most(limit: int) -> Callable[[int], int]:
    return lambda value: max(p for p in (1, 2, 4, 8, 16, 32) if p <= min(value, limit))


def _window(value: int) -> int:
    # Windows of a vision tower are counted in pixels, and in multiples of merged patches.
    return 32 if 64 <= value < 256 else min(value, 4)


# From a field's name to what becomes of the integers in it; the first match counts. A field
# without a match keeps its value.
SHRINKERS: tuple[tuple[str, Callable[[int], int]], ...] = tuple(
    (f"(?:{'|'.join(patterns.split())})", shrinker)
    for patterns, shrinker in (
        (
            r".*(kernel|stride|padding).* .*nextn.* .*mtp.* .*_layers_.* num_encoder_blocks",
            lambda v: v,
        ),
        (r".*vocab.* n_words codebook_size num_embeddings num_hash_buckets", _at_most(VOCABULARY)),
        (
            r"(.*_)?(num_)?(hidden_)?layers n_layers? depth num_.*_layers num_blocks .*_depth"
            r" layers num_self_attends_per_block",
            _at_most(2),
        ),
        (r"depths num_block_repeats stage_num_blocks blocks_per_stage layer_depths", _at_most(1)),
        (r".*(key_value|kv).*heads.*", _at_most(2)),
        (
            r".*(n|num|attention|resampler|linear|mamba)_heads? .*_heads(_per.*)?",
            _power_of_two_at_most(4),
        ),
        (
            r".*head_dim d_kv dim_head kv_channels .*dim_head .*attention_head_size d_head .*d_head"
            r" rotary_dim",
            _at_most(HEAD_WIDTH),
        ),
        (
            r".*intermediate.*size.* .*ffn.*(dim|size) d_ff d_inner n_inner mlp_dim"
            r" .*feedforward.*dim dff dim_ff .*dim_feedforward .*linear_units feed_forward_size",
            _at_most(INNER_WIDTH),
        ),
        (r".*(num|n)_.*experts num_experts", _at_most(4)),
        (r".*experts_per_tok moe_topk moe_k moe_top_k", _at_most(2)),
        (r"n_group topk_group num_expert_groups", _at_most(1)),
        (r".*_rank", _at_most(16)),
        (r".*d_state .*state_size", _at_most(8)),
        (r".*image_size crop_size .*img_size input_size resolution", _at_most(32)),
        (r"patch_size", _at_most(8)),
        (r"context_size", _at_most(16)),
        (r"(.*_)?window(_size|_length)?", _window),
        (r".*chunk_size.* local_attention .*attn_chunk_length", _at_most(8)),
        (
            r".*position_embeddings n_positions n_ctx max_seq_len .*_positions max_pos_emb seq_len"
            r" max_length",
            _at_most(64),
        ),
        (r".*mel_bins mel_dim .*mel_channels", _at_most(16)),
        (
            r"num_queries num_denoising num_latents .*num_latents.* .*proposals num_query_tokens",
            _at_most(8),
        ),
        (r"mm_tokens_per_image mask_time_length mask_feature_length", _at_most(4)),
        (r"num_filters n_filters", _at_most(8)),
        (r"num_frames frames_per_clip max_text_length", _at_most(4)),
        (
            r".*hidden_sizes?.* .*hidden_dim .*embed_dims? d_model n_embd dim emb_dim"
            r" .*embedding_size .*embeddings?_dim .*proj.*(dim|size) .*_width .*channels? conv_dim"
            r" d_latents .*(output|out|input|in)_dim.* .*_dim .*_features .*hidden_dimension"
            r" upsample_groups"
            r" .*feature.*size pooler_output_size .*_filters .*(emb|embed)_size",
            _at_most(WIDTH),
        ),
    )
)

_MROPE = {
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 1e4,
        "mrope_section": [2, 1, 1],
        "partial_rotary_factor": 1.0,
    }
}
# The last of four stages is as wide as a window.
_SWIN = {"image_size": 64, "patch_size": 2}
_MAMBA2 = {"mamba_n_heads": 8, "mamba_d_head": 8}
# Convolutions without a normalisation, or with one whose epsilon outweighs what comes in: the
# usual 0.02 is for layers of some hundred units, and through narrow ones nothing arrives.
_NARROW_CONVOLUTIONS = {"initializer_range": 0.2}
_EFFICIENTNET = {
    **_NARROW_CONVOLUTIONS,
    "width_coefficient": 0.25,
    "depth_coefficient": 0.3,
    "in_channels": [32, 16, 24, 40, 80, 112, 192],
    "out_channels": [16, 24, 40, 80, 112, 192, 320],
    "hidden_dim": 320,
    "image_size": 64,
}
_TINY_HIERA = {
    "hidden_size": 16,
    "embed_dim_per_stage": [16, 32, 64, 128],
    "blocks_per_stage": [1, 1, 1, 1],
    "num_attention_heads_per_stage": [1, 2, 4, 8],
    "global_attention_blocks": [],
    "window_size_per_stage": [4, 4, 4, 2],
    "image_size": [64, 64],
}

# By model type, of whole networks and of the configurations nested in them; or by the name of
# one architecture.
OVERRIDES: dict[str, dict[str, Any]] = {
    "aria": {"projector_patch_to_query_dict": {16: 4}},
    "blip-2": {"image_token_index": 100},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "donut-swin": _SWIN,
    "glm_image_text": _MROPE,
    "glm_ocr_text": _MROPE,
    "granite4_vision": {"image_grid_pinpoints": [[32, 32]]},
    "hunyuan_vl_text": {"head_dim": HEAD_WIDTH},
    "kosmos-2": {"latent_query_num": 4},
    "llava_next": {"image_grid_pinpoints": [[32, 32]]},
    "llava_next_video": {"image_grid_pinpoints": [[32, 32]]},
    "llava_onevision": {"image_grid_pinpoints": [[32, 32]]},
    "maskformer-swin": _SWIN,
    "ministral": {"head_dim": HEAD_WIDTH},
    "mobilevitv2": {"image_size": 64, "width_multiplier": 0.25},
    "moonshine": {"encoder_num_key_value_heads": 4, "decoder_num_key_value_heads": 4},
    "step3p5": {"sliding_window": 8},
    "swin": _SWIN,
    "timesfm": {"patch_length": 8, "context_length": 32, "horizon_length": 8},
    "timesfm2_5": {"patch_length": 8, "context_length": 32, "horizon_length": 8},
    "voxtral": {"audio_token_id": 101},
    "align": {"projection_dim": 80},
    "align_vision_model": _EFFICIENTNET,
    "bamba": {**_MAMBA2, "attn_layer_indices": [1]},
    "beit": {"num_hidden_layers": 4, "out_indices": [1, 2, 3, 4]},
    "bit": {"num_groups": 4},
    "blt": {"encoder_hash_byte_group_vocab": 128},
    "bros": {"hidden_size": 64},
    "clvp_decoder": {"hidden_size": 128},
    "clvp_encoder": {"hidden_size": 128, "projection_dim": 128},
    "cohere_compass_text": {
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 1e4},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        }
    },
    "cvt": {"depth": [1, 2, 3]},
    "dac": {"encoder_hidden_size": 8, "decoder_hidden_size": 128, "hidden_size": 128},
    "data2vec-vision": {"num_hidden_layers": 4, "out_indices": [0, 1, 2, 3]},
    "dbrx": {"attn_config": {"rope_theta": 1e4, "kv_n_heads": 2, "clip_qkv": 8.0}},
    "deepseek_ocr2_text": {"mlp_layer_types": ["dense", "sparse"], "num_experts_per_tok": 2},
    "diffusion_gemma_text": {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 32},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "depth_anything": {"initializer_range": 0.1},
    "prompt_depth_anything": {"initializer_range": 0.1},
    "zoedepth": {"initializer_range": 0.1},
    "dpt": {"initializer_range": 0.1, "num_hidden_layers": 4, "backbone_out_indices": [0, 1, 2, 3]},
    "efficientnet": _EFFICIENTNET,
    "ernie4_5_vl_moe_text": _MROPE,
    "esm": {"vocab_size": 128, "pad_token_id": 0, "mask_token_id": 5},
    "glm4v_moe_text": _MROPE,
    "glm4v_text": _MROPE,
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granitemoehybrid": _MAMBA2,
    "hunyuan_v1_dense": {"head_dim": HEAD_WIDTH},
    "hunyuan_v1_moe": {"head_dim": HEAD_WIDTH},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "layoutlmv3": {"coordinate_size": 6, "shape_size": 4},
    "levit": {"patch_size": 16, "image_size": 64},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "lilt": {"hidden_size": 48},
    "instructblip": {"image_token_index": 100},
    "lw_detr_vit": {"num_windows": 4},
    "longcat_flash": {"qk_head_dim": 16, "zero_expert_num": 2},
    "mamba2": {"num_heads": 8, "n_groups": 2},
    "nemotron": {"num_key_value_heads": 2},
    "nemotron_h": {"mamba_num_heads": 8, "n_groups": 2},
    "neomme": {"head_dim": 16},
    "pvt": {"image_size": 64},
    "qwen2_5_vl_text": _MROPE,
    "qwen2_vl_text": _MROPE,
    "qwen4_exp_text": {
        "indexer_n_heads": 4,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 8,
        "indexer_budget": 8,
        "indexer_compress_ratio": 2,
    },
    "recurrent_gemma": {"num_hidden_layers": 3},
    "reformer": {
        "axial_pos_embds": False,
        "attn_layers": ["local", "lsh"],
        "local_attn_chunk_length": 4,
        "lsh_attn_chunk_length": 4,
    },
    "reformer, causal LM": {"is_decoder": True},
    "sam2_hiera_det_model": _TINY_HIERA,
    "sam2_vision_model": {
        "backbone_channel_list": [128, 64, 32, 16],
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
    },
    "sam_hq_vision_model": {"num_pos_feats": 16},
    "sam_vision_model": {"num_pos_feats": 16},
    "univnet": {"kernel_predictor_hidden_channels": 8},
    "vipllava": {"vision_feature_layers": [-1, -2]},
    "wav2vec2-bert": {"vocab_size": VOCABULARY},
    "wav2vec2-conformer": {"vocab_size": VOCABULARY},
    "xlstm": {"mode": "train", "chunk_size": 4},
    "xmod": {"default_language": "en_XX"},
    "zamba": {
        "num_hidden_layers": 4,
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
        "attention_hidden_size": 64,
        "attention_head_dim": 16,
    },
}
for _kind in ("autoformer", "informer", "time_series_transformer"):
    OVERRIDES[_kind] = {
        "prediction_length": 4,
        "context_length": 8,
        "lags_sequence": [1, 2],
        "num_time_features": 1,
    }
