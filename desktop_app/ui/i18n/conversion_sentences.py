"""Core sentences about conversions and downloads; where they name a terminal's options, the window names its own ways out."""

from __future__ import annotations

from desktop_app.ui.i18n.translate import to_translate

TEMPLATES = to_translate(
    "Core",
    "{path} is truncated: {count} bytes of tensor {tensor} are missing; download it again.",
    "{path} is truncated: tensor {tensor} reaches behind its data; download it again.",
    "{path} is truncated or no safetensors file; download it again.",
    "It was not run, because the system ended the engine, most likely because memory ran out.",
    "It was not run, because the system refused it ({reason}).",
    "{path} is a file of the source, which would be overwritten; choose another name.",
    "{path} was changed or shortened while it was read; wait until no other program writes it, then try again.",
    "{path} is truncated, damaged or no PyTorch file; download it again.",
    "{path} has a damaged header; download it again.",
    "{path} describes tensor {tensor} wrongly; download it again.",
    "{path} lacks the data of tensor {tensor}; download it again.",
    "{path} holds tensor {tensor} twice, in {first} and {second}; keep one set of files.",
    "{path} asks for {what}, which no file of weights needs; nothing in it was run: get it as safetensors.",
    "{path} holds no tensors: it was saved without them, or is another file; get the weights again.",
    "{path} holds what an optimizer goes on training from, no weights; name the file of the weights.",
    "{path} does not say what model it is: of single files only RWKV's do, and this is another; name the folder that "
    "holds config.json and the weights.",
    "{path} holds weights of a LoRA, which changes a model and is none; name the folder that holds it and "
    "adapter_config.json, or a model that it was merged into.",
    "{path} has no tensor {tensor}, without which it is not whole; download it all.",
    "{path}: tensor {tensor} has the shape {shape}, but the others call for {wanted}; download it again.",
    "{path} looks like RWKV, but its tensor {tensor} is missing or damaged; download it again.",
    "{path} holds only a tuned initial state (time_state), no model; name the model's own .pth.",
    "{path} holds only LoRA weights of an RWKV model; merge them into the model first.",
    "{path} holds only some weights of an RWKV model; name the model's own .pth, with what this adds to it merged.",
    "{path} was converted for the package `rwkv` already (its weights are transposed and merged); name the original "
    ".pth.",
    "{path} is an RWKV-7b (with DeepEmbed attention), which llama.cpp does not run yet; choose an RWKV-7 without it.",
    "{path} is an RWKV-7a (with DeepEmbed), which llama.cpp does not run yet; choose an RWKV-7 without it.",
    "{path} is an RWKV with layers of attention between its own (a hybrid of fla), which nothing here runs; choose "
    "one without.",
    "{path} is an RWKV whose keys are narrower than its width (fla's expand_k), which llama.cpp does not run; choose "
    "one with an expand_k of 1.",
    "{path} is an experimental RWKV-6 (x060a, x060b or x060c), which nothing runs; choose a released one.",
    "{path} is a zip file, but not one of weights that torch.save wrote; name the right file.",
    "{path} is an empty folder; download the whole checkpoint.",
    "{path} does not exist; name the folder of a checkpoint.",
    "{path} is not a file of weights that Zhiyin knows ({endings}); name one, or the folder that holds config.json "
    "and the weights.",
    "{folder} lacks {names} ({part} of {total} files); download them.",
    "{path} lists no weights; download it again.",
    "{path} points outside its folder ({name}); get the checkpoint elsewhere.",
    "{path} has no tensor {tensor}, which its config.json calls for; download it all.",
    "{path}: tensor {tensor} has the shape {shape}, but config.json calls for {wanted}; weights and configuration are "
    "of different models.",
    "{path}: tensor {tensor} holds {type} instead of bytes; download it again.",
    "{path}: the tokenizer has {count} tokens, but the model only {known}; take the tokenizer from the same place as "
    "the weights.",
    "{path} is not valid JSON ({reason}); download it again.",
    "{path}: {key} must be {wanted}; download it again.",
    "{path}: {key} must be {wanted}, not {found}; download it again.",
    "{path} has no {key}; download it again.",
    "{path} has a merge that is no pair ({merge}); download it again.",
    "{path} numbers its tokens with gaps ({total} ids for {count} tokens); download it again.",
    "{path} gives one id to several tokens; download it again.",
    "{path} is larger than {size} MB, which no file of its kind is; download it again.",
    "{path} has no {key}; download the checkpoint's configuration again.",
    "{path} is not a sentencepiece model ({reason}); download it again.",
    "{path} is a tokenizer of type {kind}; Zhiyin converts BPE tokenizers.",
    "{path} has no vocabulary; download it again.",
    "{path} is not a whole file of tiktoken's ranks; download it again.",
    "{path} asks for rotary scaling of type {kind}, which llama.cpp does not compute for this family.",
    "{path} is of a P-Tuning checkpoint (pre_seq_len), which holds no model; convert the model it was tuned on.",
    "{path} is of a MiniCPM mixture of experts, which Zhiyin cannot convert; choose a dense MiniCPM.",
    "Tensor {tensor} holds NaN or infinity in the checkpoint, which is damaged; download it again.",
    "{path} is not what was written; check the disk, then convert again.",
    "{name} drops repeated spaces, which llama.cpp does not do for its kind; they become tokens.",
    "{name} changes characters before it cuts a text (full-width letters, for one), which llama.cpp does not do for "
    "its kind; such characters become other tokens.",
    "{name} spells characters that it does not know in bytes, which llama.cpp does not do for its kind; they become "
    "the unknown token.",
    "{folder} has no tokenizer.json, and its tokenizer's class ({name}) is not known here; texts are cut by GPT-2's "
    "rules, and some words may be cut differently.",
    "Beyond {count} tokens this model's own code attends to parts of the text; llama.cpp attends to all of it.",
    "The engine loaded it and decoded {count} tokens.",
    "It was not run, because this computer has too little free memory for it.",
    "The converted file was thrown away, because the engine cannot run it: {reason}",
    "The converted file was thrown away, because the engine died of it: {reason}",
    "The model made of {name} is gone; convert it again, or delete {path} yourself.",
    "{path} cannot be deleted: {reason}; close what uses it.",
    "The work was ended by the system, most likely because memory ran out; close other programs and try again.",
    "The work ended by itself (code {status}); try again, and look at {path}.",
    "There is too little free memory for this; close other programs and try again.",
    "This failed through a fault in Zhiyin itself; try again, and if it fails again report what {path} says of it.",
    "Zhiyin made a mistake while it read {name}; try again, and if it happens again report it with the details.",
    "Zhiyin made a mistake while it downloaded {name}; try again, and if it happens again report it with the details.",
    "Zhiyin made a mistake while it converted {name}; try again, and if it happens again report it with the details.",
    "Zhiyin made a mistake while it checked {name}; try again, and if it happens again report it with the details.",
    "{path} cannot be read or written: {reason}; check the disk's free space and the permissions.",
    "The system refused to read or write ({reason}); check the disk's free space and the permissions.",
    "{text} names no model; write it as ORG/NAME, or paste the address of its page.",
    "{text} is not a repository; write it as ORG/NAME.",
    "{name} is not a name that the Hub knows; write it as ORG/NAME.",
    "{name} is being downloaded or converted by another Zhiyin; wait for it.",
    "{name} was disabled by the Hub; choose another repository.",
    "{name} has no revision {revision}; {page} lists its branches and tags.",
    "{endpoint} asks to wait, because too much was fetched in a short time; try again in some minutes.",
    "{path} cannot be written: {reason}; free some room.",
    "{path} has a head of more than {count} MB, which is none; choose another file.",
    "{path}: tensor {tensor} has type {kind}, newer than this version of Zhiyin: update Zhiyin.",
    "{name} has no file {file}; its files of weights are: {files}.",
    "{name} holds a file named {file}, which points outside its folder; nothing was fetched: get the model elsewhere.",
    "{name} is gated: your token's account has no access yet, so accept its licence at {page}, then try again.",
    "There is no repository {name} at {endpoint} for you; check the name, or if it is private, take the token of an "
    "account that may see it.",
)

_OF_THE_TERMINAL = (
    "{path} needs {need} MB, but only {free} MB are free there; free some, choose another --out or a smaller --quant.",
    "{path} cannot be written: {reason}; choose another --out.",
    "Tensor {tensor} holds NaN or infinity after conversion; the checkpoint is damaged or overflows this type: download "
    "it again or choose another --quant.",
    "The converted file was thrown away, because it computes NaN or infinity; the checkpoint is damaged or overflows "
    "this type: choose another --quant.",
    "{folder} has no tokenizer ({names}); download it too, name another folder with --tokenizer, or convert without "
    "one by --tokenizer none.",
    "{folder} has no {name}, the tokenizer of ChatGLM-6B; download it too, name another folder with --tokenizer, or "
    "convert without one by --tokenizer none.",
    "{folder} has no tokenizer ({names}), and none that is built in has {count} tokens; name another folder with "
    "--tokenizer, or convert without one by --tokenizer none.",
    "{endpoint} cannot be reached ({reason}); check the connection, or choose another address with --endpoint or "
    "HF_ENDPOINT: a mirror, or https://modelscope.cn.",
    "{endpoint} failed ({status}) for {name}; try again later, or choose a mirror with --endpoint.",
    "{endpoint} does not answer as a Hub does; choose another --endpoint.",
    "{endpoint} does not tell the size and checksum of {name}; choose another --endpoint.",
    "{endpoint} lists the first {count} files of a folder only, and {folder} has more; choose another --endpoint.",
    "{endpoint} is no address of a Hub; write it as https://HOST.",
    "{endpoint} says that {name} or one of its files is not there; choose another --revision or --endpoint.",
    "{endpoint} refuses the token ({status}) for {name}; make a token at {tokens} and set {variable} to it.",
    "{endpoint} forbids access to {name} ({status}); look at {page}, and make a token at {tokens} and set {variable} to it.",
    "{name} is gated: accept its licence at {page}, make a token at {tokens} and set {variable} to it, then try again.",
    "There is no repository {name} at {endpoint} for you; check the name, or if it is private, make a token at {tokens} "
    "and set {variable} to it.",
    "{name} needs {need} GB more in {folder}, but only {free} GB are free there; free some, or set ZHIYIN_HOME to a "
    "larger disk.",
    "{name} came with another content than the Hub lists (its checksum differs) and was thrown away; run the same "
    "command again, or choose another --endpoint.",
    "{name} came with another content than the Hub lists; try again, or choose another --endpoint.",
    "{name} stopped at {have} of {size} bytes ({reason}); what came is kept: run the same command again and it goes on "
    "from there.",
    "{host} sends whole files only, no beginnings of them; fetch the model first (zhiyin pull), then ask again with its "
    "name.",
    "{name} holds no {what}; choose another repository or --quant.",
    "{name} has no {wanted} file; it has {there}: take one of these with zhiyin pull {again} --quant.",
    "{name} is not here whole, and {setting} forbids fetching it; unset it.",
)
_OF_THE_WINDOW = to_translate(
    "Core",
    "{path} needs {need} MB, but only {free} MB are free there; free some, or choose a smaller quantization.",
    "{path} cannot be written: {reason}; free some room, and allow writing there.",
    "Tensor {tensor} holds NaN or infinity after conversion; the checkpoint is damaged or overflows this type: download "
    "it again or choose another quantization.",
    "The converted file was thrown away, because it computes NaN or infinity; the checkpoint is damaged or overflows "
    "this type: choose another quantization.",
    "{folder} has no tokenizer ({names}); download it too, into the same folder.",
    "{folder} has no {name}, the tokenizer of ChatGLM-6B; download it too, into the same folder.",
    "{folder} has no tokenizer ({names}), and none that is built in has {count} tokens; download its tokenizer too, into "
    "the same folder.",
    "{endpoint} cannot be reached ({reason}); check the connection, or choose a mirror or ModelScope in the settings.",
    "{endpoint} failed ({status}) for {name}; try again later, or choose a mirror in the settings.",
    "{endpoint} does not answer as a Hub does; choose another address in the settings.",
    "{endpoint} does not tell the size and checksum of {name}; choose another address in the settings.",
    "{endpoint} lists the first {count} files of a folder only, and {folder} has more; choose another address in the settings.",
    "{endpoint} is no address of a Hub; write it in the settings as https://HOST.",
    "{endpoint} says that {name} or one of its files is not there; check the name, or choose another address in the "
    "settings.",
    "{endpoint} refuses the token ({status}) for {name}; make a token at {tokens} and enter it in the settings.",
    "{endpoint} forbids access to {name} ({status}); look at {page}, and make a token at {tokens} and enter it in the "
    "settings.",
    "{name} is gated: accept its licence at {page}, make a token at {tokens} and enter it in the settings, then try "
    "again.",
    "There is no repository {name} at {endpoint} for you; check the name, or if it is private, make a token at {tokens} "
    "and enter it in the settings.",
    "{name} needs {need} GB more in {folder}, but only {free} GB are free there; free some.",
    "{name} came with another content than the Hub lists (its checksum differs) and was thrown away; try again, or "
    "choose another address in the settings.",
    "{name} came with another content than the Hub lists; try again, or choose another address in the settings.",
    "{name} stopped at {have} of {size} bytes ({reason}); what came is kept: try again, and it goes on from there.",
    "{host} sends whole files only, no beginnings of them; what fits is told by the sizes of the files alone.",
    "{name} holds no {what}; choose another repository.",
    "{name} has no {wanted} file; it has {there}: choose one of these.",
    "{name} is not here whole, and {setting} forbids fetching it; unset it.",
)
REWORDED = dict(zip(_OF_THE_TERMINAL, _OF_THE_WINDOW, strict=True))
"""What the core says -> what the window says instead."""
