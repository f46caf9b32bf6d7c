"""What the sweep over `transformers` leaves out, and what it may find, each with the reason."""

from __future__ import annotations


def _names(text: str) -> list[str]:
    return [name for line in text.splitlines() for name in line.strip().split("; ") if name]


# Lines of names; "bert, masked LM" is one name.
_LEFT_OUT: dict[str, str] = {
    "needs a package that is not installed: timm, PIL, natten, detectron2 or torchaudio": """
        dinat, backbone; dinat, image classification; fast_vlm, base
        fast_vlm, image-text-to-text; gemma3n, base; gemma3n, causal LM
        higgs_audio_v2_tokenizer, base; layoutlmv2, document question answering
        layoutlmv2, sequence classification; perception_lm, base
        perception_lm, image-text-to-text; timm_backbone, backbone; timm_wrapper, base
        timm_wrapper, image classification
    """,
    "has no forward pass, or lacks its class in this release": """
        bark, text to waveform; glm_image_vqmodel, base; qwen2_5_omni, multimodal LM
        voxtral_realtime_text, base
    """,
    "has more than seven million parameters even when tiny": """
        dots3_note, causal LM; dots3_note_text, base; neucodec, base; uvdoc, base
        uvdoc_backbone, backbone; vibevoice, speech seq2seq; vibevoice_acoustic_tokenizer, base
        xcodec2, base
    """,
    "raises when it is trained": """
        chmv2, depth estimation; efficientloftr, base; efficientloftr, keypoint matching
        lightglue, keypoint matching; superglue, keypoint matching
        superpoint, keypoint detection; videomt, universal segmentation; vitmatte, image matting
    """,
    "wants inputs that are not made here": """
        blip_2_qformer, base; deepseek_vl_hybrid, base; deepseek_vl_hybrid, image-text-to-text
        edgetam_video, base; fastspeech2_conformer, text to spectrogram
        fastspeech2_conformer_with_hifigan, text to waveform; flava, pre-training
        gemma3n_audio, base; gemma4_vision, base; granite_docling, base
        instructblip, image-text-to-text; jev, decision; mimi_decoder, base
        minicpm_ocr_vision, base; minicpmv4_7_vision, base; mistral_large4, base
        mistral_large4, image-text-to-text; mllama, image-text-to-text
        moss_transcribe_diarize, base; moss_transcribe_diarize, causal LM
        muse_glimmer_assistant, base; musicflamingo, base; musicflamingo, seq2seq LM
        nemotron3_5_transcribe_word_timestamp, base; omdet-turbo, zero-shot object detection
        pi0, base; pi0, image-text-to-text; pix2struct, image-text-to-text
        pocket_tts_audio_tokenizer_decoder, base; sam2_video, base; sam3_tracker_video, base
        sam3_video, base; seggpt, base; splinter, pre-training
        vibevoice_acoustic_tokenizer_decoder, base; vibevoice_acoustic_tokenizer_encoder, base
        video_llama_3, base; video_llama_3, image-text-to-text; video_llama_3_vision, base
    """,
    "no consistent tiny configuration was found": """
        bridgetower, base; chameleon, base; chameleon, image-text-to-text; depth_pro, base
        depth_pro, depth estimation; detr, universal segmentation
        dots3_note, image-text-to-text; emu3, image-text-to-text; fun_asr_nano, base
        fun_asr_nano, multimodal LM; gemma4_assistant, causal LM
        gemma4_unified_assistant, causal LM; granite4_vision, base
        granite4_vision, image-text-to-text; hiera, pre-training; molmo2, base
        molmo2, image-text-to-text; moonshine_streaming, base
        moonshine_streaming, speech seq2seq; muse_spark, base; muse_spark, image-text-to-text
        muse_spark_audio, base; pp_ocrv5_server_det, object detection; pp_ocrv6_medium_det, base
        pp_ocrv6_medium_det, object detection; qwen3_omni_moe, multimodal LM
        sapiens2, image matting; sapiens2, semantic segmentation; t5gemma2_encoder, base
        tvp, base; vibevoice_asr, base; vibevoice_asr, multimodal LM
    """,
    "the generic batch does not fit it": """
        autoformer, base; blip-2, zero-shot image classification; clap, base
        colmodernvbert, retrieval; colpali, retrieval; colqwen2, pre-training
        csm, text to waveform; dia, base; dia, speech seq2seq; edgetam, mask generation
        edgetam_vision_model, base; ernie4_5_vl_moe, base; ernie4_5_vl_moe, image-text-to-text
        fun_asr_nano_encoder, base; fuyu, base; fuyu, causal LM; gemma4_audio, base
        glm_image, base; granite_docling, image-text-to-text; granite_speech, base
        granite_speech, multimodal LM; granite_speech_plus, base
        granite_speech_plus, multimodal LM; hunyuan_vl, base; hunyuan_vl, image-text-to-text
        hunyuan_vl_text, base; inkling2, base; inkling2, image-text-to-text
        inkling2_vision, base; inkling_mm_model, base; inkling_mm_model, image-text-to-text
        instructblipvideo, base; instructblipvideo, image-text-to-text; kimi_k25, base
        kimi_k25, image-text-to-text; kimi_k25_vision, base; kyutai_speech_to_text, base
        kyutai_speech_to_text, multimodal LM; layoutlm, document question answering
        layoutlmv3, document question answering; lfm3_vl, base; lfm3_vl, image-text-to-text
        llama4, image-text-to-text; lw_detr, base; lw_detr, object detection
        mistral_large4_text, base; muse_glimmer, base; muse_glimmer, image-text-to-text
        musicgen, text to waveform; musicgen_melody, text to waveform; neomme, base
        neomme, masked LM; paddleocr_vl, base; paddleocr_vl, image-text-to-text
        pe_audio_video_encoder, base; pop2piano, speech seq2seq
        pp_doclayout_v2, object detection; pp_lcnet_v4, backbone; pp_ocrv5_mobile_rec, base
        pp_ocrv5_mobile_rec, text recognition; pp_ocrv6_small_det, base
        pp_ocrv6_small_det, object detection; pp_ocrv6_small_rec, base
        pp_ocrv6_small_rec, text recognition; pp_ocrv6_tiny_rec, base
        pp_ocrv6_tiny_rec, text recognition; qwen2_5_omni_thinker, base
        qwen2_5_omni_thinker, image-text-to-text; qwen2_audio, base; qwen2_audio, multimodal LM
        qwen3_asr, multimodal LM; qwen3_asr_encoder, base; qwen3_omni_moe_thinker, base
        qwen3_omni_moe_thinker, image-text-to-text; sam3_tracker, mask generation
        shieldgemma2, image classification; speecht5, text to spectrogram
        t5gemma2, sequence classification; timesfm, time series prediction; univnet, base
        videoprism_vision_model, base; voxtral, multimodal LM; voxtral_realtime, base
        voxtral_realtime, multimodal LM; xcodec, base
    """,
    "its output changes its length from pass to pass": """
        vits, text to waveform
    """,
}

SKIPPED: dict[str, str] = {
    name: reason for reason, names in _LEFT_OUT.items() for name in _names(names)
}

# Findings that are true: after eighty steps of training the parameters named have not moved.
_TRUE: list[tuple[tuple[str, ...], str, str]] = [
    (
        ("UV502",),
        "what it computes from the conditions is used nowhere with this batch",
        "gradium_phonon_tts, text to waveform; gradium_phonon_tts, base",
    ),
]

KNOWN: dict[str, dict[str, str]] = {}
for _codes, _reason, _text in _TRUE:
    for _name in _names(_text):
        KNOWN.setdefault(_name, {}).update(dict.fromkeys(_codes, _reason))

# Findings that are wrong: the network trains. Each is a fault of ours that waits for its cure.
_FALSE: list[tuple[str, str, str]] = []

FALSE_ALARMS: dict[str, str] = {}
for _code, _reason, _text in _FALSE:
    for _name in _names(_text):
        FALSE_ALARMS[_name] = f"{_code}: {_reason}"
