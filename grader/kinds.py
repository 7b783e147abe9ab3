"""What a file is that lies where another should, told by how it begins."""

import re

START = 600  # bytes that tell
ARCHIVE = "hand in what is in it, as a zip"
NAMED = "hand it in under its own name, in a zip"
AGAIN = "get the file itself and hand that in"
KINDS = [
    (rb"\Z", "an empty file", "save it again"),
    (rb"version https://git-lfs", "a Git LFS pointer", "`git lfs pull` fetches the file"),
    (rb"\{[^[]*\"(?:doc_id|resource_key|url)\"\s*:", "a Google Drive shortcut", AGAIN),
    (rb"<\?xml.*<plist|\[InternetShortcut\]|\[Desktop Entry\]", "a shortcut", AGAIN),
    (rb"L\0\0\0\x01\x14\x02\0|book\0\0\0\0mark", "a shortcut", AGAIN),
    (rb"<(?!<{6})", "a web page", AGAIN),
    (rb"\0\x05\x16[\0\x07]", "a note that macOS keeps beside a file", AGAIN),
    (rb"Rar!", "a RAR archive", ARCHIVE),
    (rb"7z\xbc\xaf", "a 7z archive", ARCHIVE),
    (rb"\x1f\x8b", "a gzip archive, such as a tar.gz", ARCHIVE),
    (rb"BZh\d|\xfd7zXZ|\x28\xb5\x2f\xfd|.{257}ustar", "a tar or other archive", ARCHIVE),
    (rb"PK(?:\x03\x04|\x05\x06)", "a zip", NAMED),
    (rb"\x89HDF|.{4}Keras", "a Keras model", "convert it"),
    (rb"%PDF", "a PDF", AGAIN),
    (rb".{4}TFL3", "a .tflite file", NAMED),
    (rb"\{\s*\"(?:cells|metadata|nbformat)", "a notebook", NAMED),
]
CONFLICT = re.compile(rb"^(?:<{7}|>{7})[ \r\n]", re.MULTILINE)


def kind(content):
    """(what, remedy) of the bytes of a file, or ("", "") where they tell nothing."""
    start = content[:START].removeprefix(b"\xef\xbb\xbf").lstrip()
    if CONFLICT.search(content):
        return "a file with a merge conflict", "resolve it and run it again"
    found = ((what, remedy) for sign, what, remedy in KINDS if re.match(sign, start, re.DOTALL))
    return next(found, ("", ""))


def lookalike(content, expected):
    """What the bytes of a file are instead of `expected`, such as "a zip", in words, or ""."""
    what, remedy = kind(content)
    return f"{what}, not {expected}: {remedy}" if what and what != expected else ""
