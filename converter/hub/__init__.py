"""Downloads from the Hugging Face Hub, a mirror or ModelScope.

Names and addresses (`address`), what is asked of a repository and known of it (`request`), what hosts answer (`hosts`, `loose`),
looking for repositories by words (`search`), which files of a repository are wanted (`selection`), one file over HTTP
(`transfer`), the whole download (`repository`), why a host refuses (`failures`), what is here and who uses it (`manifest`), GGUF
headers read from afar (`remote_headers`), deleting downloads (`cleanup`), what interrupted ones left
(`leftovers`). Every connection to a model host is made here; what a
model is belongs to `models`, what is made of a download to `converter`.
"""
