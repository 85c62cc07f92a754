"""What spoils a request: other tokens and bytes in its body, other header fields, another method or path."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random

from tests.fuzz.calls.messages import JSON_BYTES, Message
from tests.fuzz.calls.questions import OUTPUTS

TOKEN = re.compile(rb'"[^"\\]*"|-?[0-9][0-9.eE+-]*|true|false|null|[\[\]{},:]')
WORDS = (
    b"null true false NaN Infinity -Infinity 0 -0 -0.0 1e400 -1e400 1e-400 5e-324 1.0 1.5 -1 9223372036854775807 "
    b"9223372036854775808 18446744073709551616 -9223372036854775809 3.5e38 1e308 01 1. .5 +1 0x1 1e [] {} [[]] [1] "
    b'[[1,2],[3,4]] [[1],[2,3]] {"a":1} "" "1" "x" "logits" "labels" "targets" "class_mask" "element_mask" "upstream" '
    b'"include" "dtype" "float32" "mean" "none" "\\ud800" "\\u0000" "F32" "F16" "BF16" "FP32" "FP64" "FP16" "BF16" '
    b'"INT64" "UINT64" "BOOL" "BOOL" "name" "data" "shape" "parameters" "binary_data_size" "__metadata__" [ ] { } , : '
    b'"claimed" "claimed.loss" "rtol" "atol"'
).split(b" ") + [f'"{name}"'.encode() for names in OUTPUTS.values() for name in names]
METHODS = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "post", "BREW")
PATHS = (
    *(
        "/",
        "/softmax",
        "/loss",
        "/gradient",
        "/softmax/",
        "//softmax",
        "/limits",
        "/livez",
        "/readyz",
        "/docs",
        "/redoc",
    ),
    *("/openapi.json", "/assets/pages.css", "/assets/../settings.py", "/examples/x", "/v2", "/v2/", "/v2/health/live"),
    *("/v2/models/softmax", "/v2/models/loss/versions/2/infer", "/v2/models/x/infer", "/v2/models//infer", "/\xff"),
    *("/v2/models/stats", "/v2/repository/index", "/v2/repository/models/loss/load", "/v2/logging", "/%00", "/\x00"),
)
TYPES = (
    *("application/json", "application/json; charset=utf-8", "application/json;charset=latin-1", "APPLICATION/JSON"),
    *("text/plain", "", "application/x-safetensors", "application/octet-stream", "multipart/form-data", "a/b;c", ";"),
    *("application/json, text/plain", 'application/json; charset="utf-8"', "application/json; q=0", "\xff/\xfe"),
)
ACCEPTED = (
    *("*/*", "application/json", "application/x-safetensors", "application/octet-stream", "text/html", "*/*;q=0"),
    *("application/*;q=0.1, application/json;q=0", "application/json;q=2", "application/json;q=nan", ",,", "a"),
)
CODINGS = ("identity", "gzip", "deflate", "br", "x-gzip", "gzip, gzip", "*", "identity;q=0", "gzip;q=0.5", "\xff", "")
CODERS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("gzip", partial(gzip.compress, mtime=0)),
    ("deflate", zlib.compress),
)
NUMBERS = ("", "0", "1", "-1", "+1", "1.0", "9" * 30, "1e3", "\xb2", "10, 10", "7", "100000")
FIELDS: dict[str, tuple[str, ...]] = {
    "content-type": TYPES,
    "accept": ACCEPTED,
    "accept-encoding": CODINGS,
    "content-encoding": CODINGS,
    "content-length": NUMBERS,
    JSON_BYTES: NUMBERS,
    "x-request-deadline-ms": ("100000", "60000", *NUMBERS),
    "x-request-id": ("mine", "\xff", "a b", "x" * 200, ""),
    "expect": ("100-continue", "200-ok", ""),
    "transfer-encoding": ("chunked", "gzip", "gzip, chunked", ""),
    "authorization": ("Bearer x", "\xff", ""),
    "host": ("", "a b", "[::1]:80", "\xff", "a"),
    "x-other": ("\xff" * 50, "x" * 40_000),
}
QUERIES = ("", "?", "?a=b", "?verbose", "?%ff=%00", "?" + "x" * 40_000)


def spoiled(random: Random, message: Message) -> Message:
    """Spoil a request in one to three ways."""
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        spoil = random.choice(SPOILERS)
        message = replace(spoil(random, message), is_plain=False)
    return message


def _other_token(random: Random, message: Message) -> Message:
    """Put another token in the place of one, or beside it, within the first 4 KiB."""
    tokens = list(TOKEN.finditer(message.body[:4096]))
    if not tokens:
        return message
    token = random.choice(tokens)
    start, end = random.choice([(token.start(), token.end()), (token.end(), token.end())])
    word = random.choice([random.choice(WORDS), random.choice(tokens).group(), b""])
    return _with_body(message, message.body[:start] + word + message.body[end:])


def _other_bytes(random: Random, message: Message) -> Message:
    """Flip, set, insert, leave out or repeat a few bytes anywhere."""
    body = bytearray(message.body)
    place = random.randrange(len(body) + 1)
    end = min(len(body), place + random.choice([1, 1, 2, 8, 40]))
    some = bytes(random.choices(range(256), k=random.choice([1, 1, 4, 8])))
    changes: list[Callable[[], bytearray]] = [
        lambda: body[:place] + bytes(byte ^ (1 << random.randrange(8)) for byte in body[place:end]) + body[end:],
        lambda: body[:place] + some + body[place + len(some) :],
        lambda: body[:place] + some + body[place:],
        lambda: body[:place] + body[end:],
        lambda: body[:end] + body[place:end] * random.choice([1, 2, 30]) + body[end:],
        lambda: body[:place],
    ]
    return _with_body(message, bytes(random.choice(changes)()))


def _with_body(message: Message, body: bytes) -> Message:
    """Return a message with another body; the length of its JSON part grows and shrinks with it, as it mostly stays."""
    length = message.header(JSON_BYTES)
    changed = replace(message, body=body)
    if length is None or not length.isascii() or not length.isdecimal():
        return changed
    return _with_field(changed, JSON_BYTES, str(max(0, int(length) + len(body) - len(message.body))))


def _with_field(message: Message, name: str, value: str) -> Message:
    others = tuple(field for field in message.headers if field[0] != name)
    return replace(message, headers=(*others, (name, value)))


def _other_field(random: Random, message: Message) -> Message:
    """Give a header field another value, give it twice, or leave one out."""
    name = random.choice(sorted(FIELDS))
    value = random.choice(FIELDS[name])
    if random.random() < 0.2:
        return replace(message, headers=(*message.headers, (name, value)))
    if random.random() < 0.1 and message.headers:
        return replace(message, headers=message.headers[1:])
    return _with_field(message, name, value)


def _other_path(random: Random, message: Message) -> Message:
    """Ask another path, or in another way."""
    if random.random() < 0.4:
        return replace(message, method=random.choice(METHODS))
    if random.random() < 0.5:
        return replace(message, path=message.path + random.choice(QUERIES))
    return replace(message, path=random.choice(PATHS))


def _coded(random: Random, message: Message) -> Message:
    """Code the body, and mostly say so."""
    said, compress = random.choice(CODERS)
    content = message.body if random.random() < 0.9 else message.body + bytes(2 * 1024 * 1024)
    coded = compress(content)
    name = said if random.random() < 0.8 else random.choice(CODINGS)
    return _with_field(replace(message, body=coded), "content-encoding", name)


def _noise(random: Random, message: Message) -> Message:
    """Put noise in place of the body."""
    return replace(message, body=bytes(random.choices(range(256), k=random.randrange(200))))


SPOILERS = (
    *[_other_token] * 8,
    *[_other_bytes] * 6,
    *[_other_field] * 3,
    _other_path,
    _coded,
    _noise,
)
