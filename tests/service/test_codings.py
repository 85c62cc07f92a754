"""Content codings: which are read, which are written, and that no coded body becomes more than it may."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from starlette.datastructures import Headers

from gradient_service.http.codings import (
    FREE_BYTES,
    MAX_RATIO,
    MAX_STREAMS,
    compress,
    inflate,
    reply_coding,
    request_coding,
)
from gradient_service.http.problems import HttpProblemError

MIB = 1024 * 1024
CODERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}
CODINGS = pytest.mark.parametrize("coding", CODERS)
# Two bytes of noise and fifty zeros, again and again: deflate takes about a fiftieth of it.
SPARSE = b"".join(number.to_bytes(2, "little") + bytes(150) for number in range(65536))


def slug_of(call: Callable[[], object]) -> str:
    """The slug of the problem that a call raises."""
    with pytest.raises(HttpProblemError) as caught:
        call()
    return caught.value.slug


@CODINGS
@pytest.mark.parametrize("content", [b"", b"{}", bytes(range(256)) * 200, bytes(FREE_BYTES)])
def test_bodies_are_inflated(coding: str, content: bytes) -> None:
    """A coded body has the content that was coded."""
    assert inflate(CODERS[coding](content), coding, 2 * MIB) == content


@CODINGS
@pytest.mark.parametrize("excess", [0, 1])
def test_no_content_is_larger_than_the_limit(coding: str, excess: int) -> None:
    """A content at the limit is read; one byte more is refused."""
    coded = CODERS[coding](bytes(1000 + excess))
    if excess:
        assert slug_of(lambda: inflate(coded, coding, 1000)) == "decoded-too-large"
    else:
        assert len(inflate(coded, coding, 1000)) == 1000


@CODINGS
def test_a_legitimate_bomb_is_told_the_cure(coding: str) -> None:
    """Rows of zeros shrink more than a body may grow: their sender is told of the ratio, and how to send them."""
    with pytest.raises(HttpProblemError, match=r"100 times what was sent; send it without a coding\.$"):
        inflate(CODERS[coding](bytes(4 * MIB)), coding, 256 * MIB)


@CODINGS
def test_a_small_bomb_is_one_too(coding: str) -> None:
    """Of a million zeros there were no bombs: a whole mebibyte was free of the ratio."""
    with pytest.raises(HttpProblemError, match=r"more than 65536 bytes; send it without a coding\.$"):
        inflate(CODERS[coding](bytes(70_000)), coding, 256 * MIB)
    assert slug_of(lambda: inflate(CODERS[coding](bytes(10**6)), coding, 256 * MIB)) == "decoded-too-large"


@CODINGS
def test_a_bomb_is_not_inflated(coding: str) -> None:
    """What would become 64 MiB is refused with little more in memory than is free of the ratio."""
    coded = CODERS[coding](bytes(64 * MIB))
    tracemalloc.start()
    try:
        assert slug_of(lambda: inflate(coded, coding, 256 * MIB)) == "decoded-too-large"
        assert tracemalloc.get_traced_memory()[1] < MAX_RATIO * len(coded) + 2 * MIB
    finally:
        tracemalloc.stop()


@CODINGS
def test_ordinary_ratios_are_read(coding: str) -> None:
    """A content that shrinks to more than its hundredth is read, however large."""
    coded = CODERS[coding](SPARSE)
    assert len(coded) > len(SPARSE) / MAX_RATIO
    assert inflate(coded, coding, 256 * MIB) == SPARSE


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "plain": lambda _: b'{"inputs": []}',
    "cut short": lambda coded: coded[:-1],
    "a header alone": lambda coded: coded[:2],
    "a trailing byte": lambda coded: coded + b"\0",
    "a trailing piece": lambda coded: coded + bytes(70_000),
    "a wrong checksum": lambda coded: coded[:-5] + bytes([coded[-5] ^ 1]) + coded[-4:],
    "a wrong byte": lambda coded: coded[:12] + bytes([coded[12] ^ 0xFF]) + coded[13:],
}


@CODINGS
@pytest.mark.parametrize("spoil", BROKEN.values(), ids=BROKEN)
def test_broken_streams_are_refused(coding: str, spoil: Callable[[bytes], bytes]) -> None:
    """A body that is no whole stream is malformed."""
    coded = spoil(CODERS[coding](bytes(range(256)) * 100))
    assert slug_of(lambda: inflate(coded, coding, MIB)) == "malformed-http"


@pytest.mark.parametrize("lengths", [(5, 7), (0, 0, 3), (3, 0), (70_000, 70_000, 1), (200,) * 1000, (64 * 1024,) * 20])
def test_gzip_may_be_cut_into_streams(lengths: tuple[int, ...]) -> None:
    """Streams behind each other are one content, as `cat` and `bgzip` make them; such bodies were malformed."""
    noise = np.random.default_rng(3)
    parts = [noise.bytes(length) for length in lengths]
    assert inflate(b"".join(map(gzip.compress, parts)), "gzip", 2 * MIB) == b"".join(parts)


def test_streams_together_have_one_limit() -> None:
    """A content is no larger than it may be, however it is cut."""
    assert slug_of(lambda: inflate(gzip.compress(bytes(500)) * 3, "gzip", 1499)) == "decoded-too-large"


@pytest.mark.parametrize("excess", [0, 1])
def test_streams_have_a_number(excess: int) -> None:
    """Empty ones without end, which take time and make nothing, are malformed."""
    coded = gzip.compress(b"") * (MAX_STREAMS["gzip"] + excess)
    if excess:
        assert slug_of(lambda: inflate(coded, "gzip", MIB)) == "malformed-http"
    else:
        assert inflate(coded, "gzip", MIB) == b""


@pytest.mark.parametrize("spoil", [lambda coded: coded + coded[:-1], lambda coded: coded * 2 + b"\0"])
def test_each_stream_is_whole(spoil: Callable[[bytes], bytes]) -> None:
    """A second stream that is cut short, or has a byte behind it, is malformed."""
    assert slug_of(lambda: inflate(spoil(gzip.compress(b"content")), "gzip", MIB)) == "malformed-http"


def test_deflate_is_one_stream() -> None:
    """Its format has no second one."""
    assert slug_of(lambda: inflate(zlib.compress(b"content") * 2, "deflate", MIB)) == "malformed-http"


@CODINGS
def test_the_other_coding_is_malformed(coding: str) -> None:
    """A stream of one coding is none of the other."""
    other = next(each for each in CODERS if each != coding)
    assert slug_of(lambda: inflate(CODERS[other](b"{}"), coding, MIB)) == "malformed-http"


@pytest.mark.parametrize(("given", "expected"), [
    ([], None), ([""], None), (["identity"], None), (["Identity, identity"], None), (["gzip"], "gzip"),
    (["GZIP"], "gzip"), (["x-gzip"], "gzip"), (["deflate"], "deflate"), (["identity, deflate"], "deflate"),
])  # fmt: skip
def test_codings_of_requests(given: list[str], expected: str | None) -> None:
    """One coding is read, whatever its case; identity is none."""
    assert request_coding(headers("content-encoding", given)) == expected


@pytest.mark.parametrize("given", [["br"], ["zstd"], ["gzip, gzip"], ["gzip", "deflate"], ["gzip, br"], ["gzip;q=1"]])
def test_other_codings_are_not_read(given: list[str]) -> None:
    """A coding that is not spoken, or a second one, is refused."""
    assert slug_of(lambda: request_coding(headers("content-encoding", given))) == "unsupported-content-encoding"


@pytest.mark.parametrize(("given", "expected"), [
    ([], None), ([""], None), (["gzip"], "gzip"), (["deflate"], "deflate"), (["GZip"], "gzip"),
    (["gzip, deflate, br"], None), (["gzip, deflate"], None), (["gzip", "deflate"], None), (["br"], None),
    (["zstd;q=1, gzip;q=0.9"], None), (["*"], None), (["identity"], None), (["gzip, identity"], None),
    (["gzip;q=0.5, identity"], None), (["gzip, identity;q=0.5"], "gzip"), (["gzip;q=0.5"], "gzip"),
    (["gzip;q=0"], None), (["gzip;q=0, deflate"], "deflate"), (["gzip;q=0.2, deflate;q=0.7"], "deflate"),
    (["gzip;q=1.0, deflate;q=0.9, br;q=0.9"], "gzip"), (["identity;q=0, gzip, deflate"], "gzip"),
    (["identity;q=0, *"], "gzip"), (["identity;q=0, gzip;q=0, *"], "deflate"), (["*;q=0, deflate, gzip"], "gzip"),
    (["gzip;q=2"], "gzip"), (["*;q=.5"], None), (["identity;q=.5, *;q=0"], None), (["gzip, identity;q=.5"], "gzip"),
    (["gzip;q=.5, deflate;q=.25"], "gzip"), (["gzip;q=0.5004, deflate;q=0.5003"], "gzip"), (["gzip;q=x"], "gzip"),
    (["identity;q=0, br, deflate"], "deflate"),
])  # fmt: skip
def test_codings_of_replies(given: list[str], expected: str | None) -> None:
    """A reply is coded for who wants one coding above all else, or takes no other."""
    assert reply_coding(headers("accept-encoding", given)) == expected


@pytest.mark.parametrize("given", ["identity;q=0", "*;q=0", "identity;q=0, br", "gzip;q=0, deflate;q=0, identity;q=0"])
def test_nothing_acceptable_is_told(given: str) -> None:
    """Where neither a coding nor none is accepted, there is no reply."""
    assert slug_of(lambda: reply_coding(headers("accept-encoding", [given]))) == "not-acceptable"


@CODINGS
@pytest.mark.parametrize("parts", [[b"{}"], [b"{}", memoryview(SPARSE[:200_000]), b"end"], [b"{}", memoryview(b"")]])
def test_replies_are_one_stream(coding: str, parts: list[bytes]) -> None:
    """The parts of a reply are one coded stream, which ends."""
    assert inflate(b"".join(compress(parts, coding)), coding, MIB) == b"".join(parts)


def headers(name: str, values: list[str]) -> Headers:
    """Headers with one line for each value."""
    return Headers(raw=[(name.encode(), value.encode()) for value in values])
