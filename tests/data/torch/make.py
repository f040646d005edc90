"""Made the files beside it, with torch 2.13: run it in an environment that has torch, with the folder as its argument."""

import sys
from collections import OrderedDict
from pathlib import Path

import torch

folder = Path(sys.argv[1])
torch.manual_seed(0)
base = torch.arange(60, dtype=torch.float32).reshape(6, 10)
tensors = {}
for name in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"):
    tensors[name] = torch.arange(6).reshape(2, 3).to(getattr(torch, name))
tensors |= {"shared_a": base, "shared_b": base[2:4], "strided": base.t(), "step": base[::2, 1::3]}
tensors |= {"scalar": torch.tensor(3.5), "empty": torch.zeros(0, 4), "parameter": torch.nn.Parameter(base[0].clone())}
torch.save(tensors, folder / "plain_legacy.bin", _use_new_zipfile_serialization=False)
for name in ("float8_e4m3fn", "float8_e5m2", "uint16"):
    tensors[name] = torch.arange(6).reshape(2, 3).to(getattr(torch, name))
torch.save(tensors, folder / "plain_zip.bin")
torch.save({"state_dict": torch.nn.Linear(3, 2).state_dict(), "epoch": 3}, folder / "module_zip.pt")

forms = folder / "forms"
forms.mkdir(exist_ok=True)
weights = {"a.weight": base[:4, :6].clone(), "b.weight": base[0, :5].clone()}


def save(name, found, **options):
    torch.save(found, forms / f"{name}.bin", **options)


save("legacy", weights, _use_new_zipfile_serialization=False)
save("protocol_4", weights, pickle_protocol=4)
save("protocol_5", weights, pickle_protocol=5)
save("ordered", OrderedDict(weights))
save("parameters", {name: torch.nn.Parameter(tensor) for name, tensor in weights.items()})
save("buffers", {name: torch.nn.Buffer(tensor) for name, tensor in weights.items()})
save("with_gradients", {name: tensor.clone().requires_grad_() for name, tensor in weights.items()})
save("module", torch.nn.ParameterDict({"a": weights["a.weight"]}).state_dict() | weights)
flat = torch.cat([tensor.reshape(-1) for tensor in weights.values()])
save("one_storage", {"a.weight": flat[:24].view(4, 6), "b.weight": flat[24:]})
save("transposed", {"a.weight": weights["a.weight"].t().contiguous().t(), "b.weight": weights["b.weight"]})
for key in ("state_dict", "model_state_dict", "model", "module"):
    save(f"under_{key}", {key: weights, "epoch": 3, "args": {"rate": 0.1}})
optimizer = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
save("training", {"state_dict": weights, "optimizer": optimizer})
