"""Other words for the core's sentences where those name a terminal's options: the window has its own remedies.

Keys are the core's templates. Only English needs this: a translation is made for the window anyway, because no terminal shows it.
"""

from __future__ import annotations

WINDOW_WORDS = {
    "choose another --endpoint": "choose another address in the settings",
    "Tensor {tensor} holds NaN or infinity after conversion; the checkpoint is damaged or overflows this type: download it "
    "again or choose another --quant.": (
        "Tensor {tensor} holds NaN or infinity after conversion; the checkpoint is damaged or overflows this type: download "
        "it again or choose another quantization."
    ),
    "The converted file was thrown away, because it computes NaN or infinity; the checkpoint is damaged or overflows this "
    "type: choose another --quant.": (
        "The converted file was thrown away, because it computes NaN or infinity; the checkpoint is damaged or overflows "
        "this type: choose another quantization."
    ),
    "The download was stopped; what came is kept, and the same command goes on from there.": (
        "The download was stopped; what came is kept, and the next try goes on from there."
    ),
    "make a token at {page} and set {variable} to it": ("make a token at {page} and enter it in the settings"),
    "{endpoint!r} is no address of a Hub; write it as https://HOST.": (
        "{endpoint!r} is no address of a Hub; write it in the settings as https://HOST."
    ),
    "{endpoint} cannot be reached ({reason}); check the connection, or choose another address with --endpoint or "
    "HF_ENDPOINT: a mirror, or {modelscope}.": (
        "{endpoint} cannot be reached ({reason}); check the connection, or choose a mirror or ModelScope ({modelscope}) in "
        "the settings."
    ),
    "{endpoint} does not answer as a Hub does; choose another --endpoint.": (
        "{endpoint} does not answer as a Hub does; choose another address in the settings."
    ),
    "{endpoint} does not tell the size and checksum of {name}; choose another --endpoint.": (
        "{endpoint} does not tell the size and checksum of {name}; choose another address in the settings."
    ),
    "{endpoint} lists the first {count} files of a folder only, and {folder} has more; choose another --endpoint.": (
        "{endpoint} lists the first {count} files of a folder only, and {folder} has more; choose another address in the "
        "settings."
    ),
    "{endpoint} says that {name} or one of its files is not there; choose another --revision or --endpoint.": (
        "{endpoint} says that {name} or one of its files is not there; check the name, or choose another address in the "
        "settings."
    ),
    "{folder} has no tokenizer (rwkv_vocab*.txt, tokenizer.json or tokenizer.model), and none that is built in has {count} "
    "tokens; name another folder with --tokenizer, or convert without one by --tokenizer none.": (
        "{folder} has no tokenizer (rwkv_vocab*.txt, tokenizer.json or tokenizer.model), and none that is built in has "
        "{count} tokens; download its tokenizer too, into the same folder."
    ),
    "{folder} has no tokenizer (rwkv_vocab*.txt, tokenizer.json or tokenizer.model); name another folder with --tokenizer, "
    "or leave that out to take the one of RWKV that is built in.": (
        "{folder} has no tokenizer (rwkv_vocab*.txt, tokenizer.json or tokenizer.model); download it too, into the same "
        "folder."
    ),
    "{folder} has no tokenizer (tokenizer.json, tokenizer.model or {file}); download it too, name another folder with "
    "--tokenizer, or convert without one by --tokenizer none.": (
        "{folder} has no tokenizer (tokenizer.json, tokenizer.model or {file}); download it too, into the same folder."
    ),
    "{folder} has no {name}, the tokenizer of ChatGLM-6B; download it too, name another folder with --tokenizer, or convert "
    "without one by --tokenizer none.": (
        "{folder} has no {name}, the tokenizer of ChatGLM-6B; download it too, into the same folder."
    ),
    "{folder} holds two sets of weights that differ, {first} and {second}; say which one is meant, with --weights {first} or "
    "--weights {second}.": (
        "{folder} holds two sets of weights that differ, {first} and {second}; keep the one that is meant there, and move the "
        "other one elsewhere."
    ),
    "{path} is an adapter in GGUF already, which is put on a loaded model: use it with `zhiyin chat --adapter`.": (
        "{path} is an adapter in GGUF already, which is put on a loaded model and cannot be merged."
    ),
    "{path} holds a model with an adapter that was not merged into it (tensor {tensor}); save it merged (PEFT: "
    "merge_and_unload), or name the base with --base and the adapter with --lora.": (
        "{path} holds a model with an adapter that was not merged into it (tensor {tensor}); save it merged (PEFT: "
        "merge_and_unload), or choose the base and the adapter by themselves."
    ),
    "{host} sends whole files only, no beginnings of them; fetch the model first (zhiyin pull), then ask again with its "
    "name.": (
        "{host} sends whole files only, no beginnings of them; what fits is told by the sizes of the files alone."
    ),
    "{name} came with another content than the Hub lists (its checksum differs) and was thrown away; run the same command "
    "again, or choose another --endpoint.": (
        "{name} came with another content than the Hub lists (its checksum differs) and was thrown away; try again, or "
        "choose another address in the settings."
    ),
    "{name} came with another content than the Hub lists; try again, or choose another --endpoint.": (
        "{name} came with another content than the Hub lists; try again, or choose another address in the settings."
    ),
    "{name} has no {wanted} file; it has {there}: take one of these with zhiyin pull {name} --quant.": (
        "{name} has no {wanted} file; it has {there}: choose one of these."
    ),
    "{name} holds no weights that Zhiyin knows (.safetensors, .bin, .pth, .gguf); choose another repository or --quant.": (
        "{name} holds no weights that Zhiyin knows (.safetensors, .bin, .pth, .gguf); choose another repository."
    ),
    "{name} holds no {quant}; choose another repository or --quant.": (
        "{name} holds no {quant}; choose another repository."
    ),
    "There is too little room for {name} in {folder}; free {missing:size} there, or set ZHIYIN_HOME to a larger disk.": (
        "There is too little room for {name} in {folder}; free {missing:size} there."
    ),
    "There is too little room for {name} in {folder}, even where each file of weights is deleted once it is converted; free "
    "{missing:size} there, choose a smaller --quant, or set ZHIYIN_HOME to a larger disk.": (
        "There is too little room for {name} in {folder}, even where each file of weights is deleted once it is converted; free "
        "{missing:size} there, or choose a smaller quantization."
    ),
    "The conversion was stopped; what is converted is kept, and the same command goes on from there.": (
        "The conversion was stopped; what is converted is kept, and the next try goes on from there."
    ),
    "{path} is another file than its host said before; run the same command again.": (
        "{path} is another file than its host said before; try again."
    ),
    "{name} stopped at {have} of {size} bytes ({reason}); what came is kept: run the same command again and it goes on from "
    "there.": (
        "{name} stopped at {have} of {size} bytes ({reason}); what came is kept: try again, and it goes on from there."
    ),
    "{path} cannot be written: {reason}; choose another --out.": (
        "{path} cannot be written: {reason}; free some room, and allow writing there."
    ),
    "The folder of models {path} is not there now; connect its disk, or take it off the list: zhiyin models folders "
    "--remove {path}": (
        "The folder of models {path} is not there now; connect its disk, or take it off the list in the settings of models."
    ),
    "{path} lies in {folder}, a folder of your own that is only read; remove the file there, or take the folder off the "
    "list: zhiyin models folders --remove {folder}": (
        "{path} lies in {folder}, a folder of your own that is only read; remove the file there, or take the folder off the "
        "list in the settings of models."
    ),
    "{path} is none of the folders whose models are on the list; `zhiyin models folders` lists them.": (
        "{path} is none of the folders whose models are on the list."
    ),
    "{path} cannot be moved to the system's bin ({reason}) and stays; `zhiyin models remove --delete` deletes it for good.": (
        "{path} cannot be moved to the system's bin ({reason}) and stays."
    ),
    "There is too little room for {path}; free {missing:size} there, choose another --out or a smaller --quant.": (
        "There is too little room for {path}; free {missing:size} there, or choose a smaller quantization."
    ),
}
