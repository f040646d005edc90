"""The core's error sentences in the person's language: it writes them in English, with names and numbers in them."""

from __future__ import annotations

import re
from functools import cache

from PySide6.QtCore import QCoreApplication

from desktop_app.ui.i18n import conversion_sentences
from desktop_app.ui.i18n.translate import to_translate

_TEMPLATES = to_translate(
    "Core",
    "The context is full, so the reply ends here.",
    "The engine was ended by the system, most likely because memory ran out; choose a smaller context or a "
    "smaller model. Nothing of the chat is lost.",
    "The engine came to an instruction that this computer's processor does not have; use a copy of Zhiyin that was built "
    "for every processor, or build it on this computer. Nothing of the chat is lost.",
    "The engine crashed ({signal}); try again, and choose another model if it happens again. Nothing of the chat "
    "is lost.",
    "The engine ended by itself (code {status}); try again, and look at its log if it happens again. Nothing of the"
    " chat is lost.",
    "The engine made a mistake of its own; try again, and if it happens again report what {path} says of it. Nothing of "
    "the chat is lost.",
    "The engine gave an answer that cannot be read, and was ended; try again, and install Zhiyin again if it happens again. "
    "Nothing of the chat is lost.",
    "{path} computes NaN or infinity for this text; convert it again, with another --quant.",
    "The chat template of {path} refuses this chat: {reason}",
    "The chat template of {path} tries what it must not ({reason}); get the model elsewhere.",
    "The chat template of {path} cannot render this chat ({reason}); convert the model again.",
    "The chat template of {path} renders more than {size} MB; get the model elsewhere.",
    "The chat template of {path} is larger than {size} MB; get the model elsewhere.",
    "The chat template of {path} ran longer than {seconds} seconds; get the model elsewhere.",
    "The chat template of {path} needs more than {size} MB of memory; get the model elsewhere.",
    "The process that renders the chat template of {path} ended by itself; try again, and get the model elsewhere "
    "if it happens again.",
    "The converted file was thrown away, because no chat can begin with it: {reason}",
    "This chat needs {needed} tokens, but the loaded context holds {room}; load the model with a larger context "
    "or start a new chat.",
    "A context of {count} tokens for {name} does not fit in memory; choose a smaller one.",
    "{name} does not fit in memory; choose a smaller quantization or close other programs.",
    "Even {quant} with {context} tokens of context needs {bytes}, {missing} more than is free now; close other "
    "programs or choose a smaller model.",
    "Even {quant} with {context} tokens of context needs {bytes}, {missing} more than is free now; a {type} cache "
    "fits, a context of {count} fits.",
    "Even {quant} with {context} tokens of context needs {bytes}, {missing} more than is free now; a {type} cache "
    "fits.",
    "Even {quant} with {context} tokens of context needs {bytes}, {missing} more than is free now; a context of "
    "{count} fits.",
    "Even {quant} with a context without limit needs {bytes}, {missing} more than is free now; close other programs "
    "or choose a smaller model.",
    "{path} is not a GGUF file; choose a file that a converter wrote, or convert the checkpoint.",
    "{path} does not say what model it is (general.architecture); download or convert it again.",
    "{path} holds no model by its general.type ({kind}); choose the model's own file.",
    "{path} is one of {count} parts of a model, under a name of its own; give all parts the names that they were "
    "published with.",
    "{path} is damaged: tensor {tensor} is not where it should be; download it again.",
    "{path}: tensor {tensor} is {type} where F32 is needed; convert the model again.",
    "{path}: tensor {tensor} has type {type}, with which nothing is computed; convert the model again.",
    "{path} lacks tensor {tensor}; download or convert the model again.",
    "{path} holds no weights; choose the file of the whole model.",
    "{path} has the token {text} more than once in its vocabulary; convert the model again, with its own tokenizer.",
    "{path}: {key} is {value}, which does not fit the rest of the file; download or convert it again.",
    "{path} has the architecture {architecture}, which this version of llama.cpp does not know; update Zhiyin, "
    "or choose another model.",
    "This chat becomes an empty prompt for {name}; write a message, or choose another model.",
    "The model's vocabulary has no token for {character}; leave it out, or convert the model again with its own "
    "tokenizer.",
    "{path} is truncated: tensor {tensor} ends {count} bytes after the end of the file; download it again.",
    "{path} is truncated: its head ends in the middle; download it again.",
    "{path} is damaged: {what}; download it again.",
    "{path} is GGUF version {version}; Zhiyin reads versions 2 and 3: convert it again.",
    "{path} is being written by another Zhiyin; wait for it, or choose another name.",
    "{path} is a pipe or a device, not a file; choose a file.",
    "{path} is damaged and cannot be put aside ({reason}); what can be read of it counts.",
    "{path} was damaged; what could be read of it counts, and the damaged file is {aside} now.",
    "{setting} names a proxy of the kind {scheme}, which Zhiyin does not speak; set it to http://HOST:PORT or "
    "socks5://HOST:PORT, or unset it.",
    "{setting} is no address of a proxy ({text}); write it as http://HOST:PORT, or unset it.",
    "The system's setting of a proxy",
    "{setting} names {path}, which holds no certificates; correct it or unset it.",
    "{setting} names {path}, which cannot be read ({reason}); correct it or unset it.",
    "The token in the settings holds characters that no token has; copy it again from {page}.",
    "The token in {setting} holds characters that no token has; copy it again from {page}.",
    "The token of a login cannot be read: {path} ({reason}); make it readable, or set HF_TOKEN.",
    "A setting of huggingface-hub (an HF_ variable, or the token of a login) cannot be read ({reason}); correct or "
    "unset it.",
    "{setting} forbids every connection; unset it.",
    "{setting} forbids it",
    "{host} answers with several headers {name}; {elsewhere}.",
    "{host} packs its answer in a way that was not asked for; {elsewhere}.",
    "{host} answers with more than {count} kB where less is needed; {elsewhere}.",
    "{host} answers too slowly: next to nothing came within {seconds} seconds; try again later, or {elsewhere}.",
    "next to nothing came within {seconds} seconds",
    "{host} redirects more than {count} times; {elsewhere}.",
    "{host} redirects to what is no address; {elsewhere}.",
    "{host} redirects from HTTPS to HTTP, which anybody on the way could change; {elsewhere}.",
    "{host} redirects into this computer or its network, where no public model is; {elsewhere}.",
    "{host} does not give it ({status}).",
    "the server answered {status}",
    "{host} asks to wait, because too much was fetched in a short time; try again in some minutes.",
    "{host} failed ({status}); try again later, or {elsewhere}.",
    "{url} is no address that can be asked for; correct it.",
    "{host} does not answer as HTTP wants it; {elsewhere}.",
    "The name {host} cannot be resolved; check the connection to the network, its DNS, and how the name is written.",
    "There is no way from this computer to {host} ({reason}); connect it to the network, then try again.",
    "This computer forbids a connection to {host} ({reason}); allow it in the firewall.",
    "The proxy {proxy} ({setting}) does not connect to {host} ({reason}); ask who runs it, or name that host in NO_PROXY.",
    "the proxy says {answer}",
    "What answers at {proxy} ({setting}) is no proxy of that kind; correct the address, or unset it.",
    "The proxy {proxy} ({setting}) cannot be reached ({reason}); start it, or change or unset the setting.",
    "The proxy {proxy} ({setting}) wants a name and a password; write them into its address: "
    "http://NAME:PASSWORD@HOST:PORT.",
    "The certificate of {host} is not trusted here ({reason}); check this computer's clock, and where a proxy or a "
    "virus scanner reads along, name its certificate in SSL_CERT_FILE.",
    "{host} makes no secure connection ({reason}); if it speaks plain HTTP, write its address with http://.",
    "its name cannot be resolved",
    "it did not answer in time",
    "the connection was refused",
    "the connection was closed early",
    "the system says: {reason}",
    "{host} sends less than it says; {elsewhere}.",
    "{name} does not come as it was asked for: the server sends another part of it; {elsewhere}.",
    "{endpoint} answers with a page for people instead of a list of files; open it in a browser, as the network "
    "may want a login, or {elsewhere}.",
    "HF_ENDPOINT is {endpoint}, which is no address of a Hub; write it as https://HOST, or unset it.",
    "{endpoint} does not give {name} ({status}); {elsewhere}.",
    "{name} holds a file named {file}, with characters that nobody can see; nothing was fetched: get the model elsewhere.",
    "{name} holds a file whose name no disk can keep ({file} and more); nothing was fetched: get the model elsewhere.",
    "{name} holds a file named {file}, which not every system can keep; nothing was fetched: get the model elsewhere.",
    "{name} holds two files that would be one here ({file} and {other}); nothing was fetched: get the model elsewhere.",
    "{name} has files whose heads take more than {count} MB together, which none do; choose another repository.",
    "{path} cannot be written: {reason}.",
    "{path} cannot be written, because the disk is full; free some room, or {elsewhere}.",
    "{path} cannot be written ({reason}); allow it, or {elsewhere}.",
    "{path} cannot be written, because its disk is read-only; {elsewhere}.",
    "{path} cannot be written, because its disk takes no files of that size; {elsewhere}.",
    "{path} cannot be written, because its disk takes no names of that length; {elsewhere}.",
    "{path} cannot be opened, because too many files are open here; close other programs.",
    "{path} cannot be written, because the disk reports a fault; check it, or {elsewhere}.",
    "choose another --endpoint",
    "set ZHIYIN_HOME to a folder on another disk",
    "make a token at {page} and set {variable} to it",
    "{path} is an unfinished file; wait until it has its name.",
    "{path} lies in a folder of your own that a link in {folder} leads to; remove the link, or the file there.",
    "{path} is not there any more; put it back, or take it off the list: zhiyin models remove {name}",
    "{path} is not there any more; put it back, or choose another model.",
    "{name} cannot be used, so {other} is used. {reason}",
    "{path} belongs to a model and is none itself ({kind}); choose the model.",
    "{path} is one of {count} parts of a model, whose names must end in -00001-of-{number}.gguf and so on; give "
    "them these names.",
    "{name} is the name of several models; give the path of one: {paths}.",
    "{folder} leads to more than {count} files at {path}, where the search for models ended; remove that link or folder.",
    "{path} is a folder; convert it first: {command}",
    "{path} cannot be read: {reason}.",
    "The engine could not read on in {path}: the file was changed or shortened, or its disk failed; "
    "check the file, then load it again. Nothing of the chat is lost.",
    "{path} cannot be loaded by llama.cpp ({reason}); convert or download it again.",
    "The disk is full, so {path} cannot take more; free some space.",
    "{path} cannot be written; allow writing to it.",
    "{path} cannot be opened; allow reading and writing in its folder.",
    "{path} is in use by another program; close it.",
    "{path} is damaged; start Zhiyin again to recover what can be read.",
    "{path} cannot be used ({reason}).",
    "Zhiyin made a mistake ({reason}); try again, and report it if it happens again.",
    "The chats in {path} were written by a newer Zhiyin; install that version again. The file was not touched.",
    "The engine's log {path} cannot be written ({reason}); move it away or allow writing to it.",
    "The data folder {path} cannot be used ({reason}); set ZHIYIN_HOME to a folder that can be written.",
    "Zhiyin is running already with the data folder {path}, but does not answer; end it, then start it again.",
    "Base: {base} ({family}, {count} tokens)",
    "Adapter {number}: {path} changes {matrices} matrices (rank {rank}); {count} tokens from here",
    "Adapter {number}: {path} changes {matrices} matrices (rank {rank}) and brings {whole} whole tensors; "
    "{count} tokens from here",
    "Adapter {number}: {path} brings {whole} whole tensors; {count} tokens from here",
    "Tokenizer: {path}",
    "{base} is GGUF, which nothing can be merged into; name the original checkpoint, or convert the adapter "
    "alone by --as-adapter and use it with `zhiyin chat --adapter`.",
    "{base} is an adapter itself; give it with --lora and name its base with --base.",
    "{adapter} brings a vocabulary of {count} tokens, but {base} has {known} already: an adapter like it has "
    "been merged into the base, or the order is wrong; use the original base and name the adapters in the order "
    "of their training.",
    "{base} holds the embeddings of {adapter} already: the adapter has been merged into it, and merging it twice "
    "would spoil the model; convert it as it is, or name the original base.",
    "{adapter} (Chinese-Alpaca-{kind}) was trained on top of Chinese-LLaMA's own adapter, which {base} with its "
    "{count} tokens lacks; name both in this order: {order}.",
    "{adapter} was trained with a vocabulary of {count} tokens, but {base} has {known}; name the base (or the "
    "adapter before it) that has the same vocabulary.",
    "{adapter} was trained for a model of width {width}, but {base} has the width {known} (tensor {tensor}: "
    "{shapes}); take the adapter and the base of the same size.",
    "{adapter} changes {tensor}, which {base} of the family {family} does not have ({part} of its {total} "
    "tensors are missing there); name the base that it was trained on.",
    "{base} has no config.json, which says what model it is; download it from the same place.",
    "{base} holds no weights (*.safetensors, *.bin, *.pth); download the whole checkpoint.",
    "{path}: this checkpoint is already quantized as {method}; download the original repository, whose "
    "weights are F16, BF16 or F32.",
    "{path}: {name} takes images or sound as well, and Zhiyin converts models of text only; choose the text "
    "model of the same family.",
    "{path}: {name} judges texts and writes none; choose a chat or base model.",
    "{path} names {name}, which Zhiyin cannot convert; the known families are: {families}.",
    "The context ends at {count} tokens: llama.cpp does not compute this model's sliding window.",
    "The context ends at {count} tokens: llama.cpp does not compute this model's attention by chunks.",
    "llama.cpp runs this model up to {count} tokens, the length that it was trained with. Where a longer context is "
    "asked for, Zhiyin computes it by itself: there positions change with the length of the text, as in the publisher's "
    "code.",
    "The context ends at {count} tokens, the length this model was trained with: beyond it the publisher's "
    "code changes positions with the length of the text, which llama.cpp does not compute.",
    "llama.cpp rounds two bounds of this model's positions to whole numbers, which the publisher's code does not: in long "
    "chats it sees distant words a little differently.",
    "Left out, since this architecture has no place for it: {names} (tensors: {count}).",
)


def translated(sentence: str) -> str:
    """Return a core sentence in the window's words and language; one that is not known here stays as it is."""
    for template in (*conversion_sentences.REWORDED, *conversion_sentences.TEMPLATES, *_TEMPLATES):
        if found := _pattern(template).fullmatch(sentence):
            words = conversion_sentences.REWORDED.get(template, template)
            return QCoreApplication.translate("Core", words).format(**found.groupdict())
    return sentence


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(template)), re.DOTALL)
