"""Makes the adapters and expected values of this folder with PEFT itself: python -m tests.data.lora.make

Needs torch, transformers and peft (last run: torch 2.13.0, transformers 5.24.0, peft 0.21.2). For each variant it saves the
adapter as PEFT does, and the logits of `merge_and_unload`'s model; of GPT-2, whose layers are stored
(in, out), the merged weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import peft
import torch
import transformers

from tests.support.random_llama import random_llama

FOLDER = Path(__file__).parent
IDS = list(range(5, 125, 5))
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SAVED = ["embed_tokens", "lm_head"]
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "plain": [{"target_modules": ALL, "r": 4, "lora_alpha": 16}],
    "rslora": [{"target_modules": ["q_proj", "v_proj"], "r": 4, "lora_alpha": 4, "use_rslora": True}],
    "dora": [{"target_modules": ALL, "r": 4, "lora_alpha": 8, "use_dora": True}],
    "patterns": [
        {
            "target_modules": ALL,
            "r": 4,
            "lora_alpha": 8,
            "rank_pattern": {"q_proj": 2, r"layers\.1\.mlp\.down_proj": 6},
            "alpha_pattern": {"v_proj": 24, "model.layers.0.self_attn.q_proj": 3},
        }
    ],
    "vocabulary": [{"target_modules": ["q_proj"], "r": 4, "lora_alpha": 8, "modules_to_save": SAVED, "tokens": 141}],
    "two": [
        {"target_modules": ["q_proj", "down_proj"], "r": 4, "lora_alpha": 8, "modules_to_save": SAVED, "tokens": 140},
        {"target_modules": ALL, "r": 2, "lora_alpha": 4, "use_dora": True, "modules_to_save": SAVED, "tokens": 141},
    ],
    "embeddings": [{"target_modules": ["embed_tokens", "lm_head", "k_proj"], "r": 4, "lora_alpha": 8}],
    "biases": [{"target_modules": ["q_proj", "v_proj"], "r": 4, "lora_alpha": 8, "bias": "all"}],
}


def base_model(*, biases: bool) -> torch.nn.Module:
    config = json.loads((FOLDER / "base.json").read_text()) | {"attention_bias": biases}
    stored = np.load(FOLDER / "base.npz")
    weights = {name: stored[name].astype(np.float32) for name in stored if biases or not name.endswith(".bias")}
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**config))
    model.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})
    return model.eval()


def trained(model: Any, options: dict[str, Any], seed: int) -> Any:
    """Wrap a model in an adapter whose every number is random, as if it had been trained."""
    options = dict(options)
    if tokens := options.pop("tokens", None):
        model.resize_token_embeddings(tokens, mean_resizing=False)
    wrapped = peft.get_peft_model(model, peft.LoraConfig(**options))
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in wrapped.named_parameters():
        if parameter.requires_grad:
            noise = torch.randn(parameter.shape, generator=generator)
            near = "magnitude" in name or "modules_to_save" in name or name.endswith(".bias")
            parameter.data = parameter.data * (1 + 0.2 * noise) if near else 0.1 * noise
    return wrapped


def save(wrapped: Any, folder: Path, *, safe: bool) -> None:
    wrapped.save_pretrained(folder, safe_serialization=safe)
    if not safe:  # newer versions of PEFT write safetensors only
        state = peft.get_peft_model_state_dict(wrapped)
        torch.save({k: v.contiguous() for k, v in state.items()}, folder / "adapter_model.bin")
        (folder / "adapter_model.safetensors").unlink(missing_ok=True)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in config.items() if v not in (None, {}, [], False)}, indent=1))


def main() -> None:
    print(torch.__version__, transformers.__version__, peft.__version__)
    config, weights = random_llama(7, biases=("q", "k", "v", "o"))
    (FOLDER / "base.json").write_text(json.dumps(config, indent=1))
    np.savez_compressed(FOLDER / "base.npz", **{name: weight.astype(np.float16) for name, weight in weights.items()})
    for variant, adapters in VARIANTS.items():
        model = base_model(biases=variant == "biases")
        for number, options in enumerate(adapters):
            wrapped = trained(model, options, seed=number)
            save(wrapped, FOLDER / variant / str(number), safe=variant != "plain")
            model = wrapped.merge_and_unload()
        with torch.no_grad():
            logits = model(torch.tensor([IDS])).logits[0].numpy()
        np.save(FOLDER / variant / "logits.npy", logits.astype(np.float32))
    gpt2 = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=64, n_positions=32)
    )
    before = {name: w.numpy().copy() for name, w in gpt2.state_dict().items() if name.endswith((".c_attn.weight",))}
    options = {"target_modules": ["c_attn"], "r": 4, "lora_alpha": 8, "fan_in_fan_out": True}
    for name, more in {"fan_in_fan_out": {}, "fan_in_fan_out_dora": {"use_dora": True}}.items():
        wrapped = trained(gpt2, options | more, seed=3)
        save(wrapped, FOLDER / name / "0", safe=True)
        merged = wrapped.merge_and_unload()
        (key,) = before
        after = merged.state_dict()[key].numpy()
        np.savez_compressed(FOLDER / name / "weights.npz", base=before[key], merged=after)
        before[key] = after.copy()


if __name__ == "__main__":
    main()
