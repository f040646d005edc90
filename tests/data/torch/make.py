"""Made the files beside it, with torch 2.13: run it in an environment that has torch, with the folder as its argument."""

import sys
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
