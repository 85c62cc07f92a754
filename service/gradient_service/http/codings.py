"""Content codings: which a request has and its reply may have, and the bytes of both."""

import zlib
from collections.abc import Collection, Iterator, Sequence

from starlette.datastructures import Headers

from gradient_service.http.negotiation import parse_media_type, weight
from gradient_service.http.problems import HttpProblemError
from gradient_service.wire.checkpoint import Checkpoint, without_pause
from gradient_service.wire.tensor_codec import Buffer

# `deflate` is the zlib format, RFC 9110, 8.4.1.2.
WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
IDENTITY = "identity"
PIECE_BYTES = 64 * 1024
MAX_RATIO = 100
"""What a byte of a coded body may become, beyond what a short one may."""
FREE_BYTES = PIECE_BYTES
MAX_STREAMS = {"gzip": 8192}
"""More than a body of 256 MiB has where each 64 KiB are a stream, as `bgzip` writes them; empty ones take time, too."""
FAST = 1
"""Numbers hardly shrink, so no more time than this level's is spent on them."""


def request_coding(headers: Headers, spoken: Collection[str] = tuple(WINDOW_BITS)) -> str | None:
    """Return the coding of a body, None for none.

    Raises:
        HttpProblemError: `unsupported-content-encoding` for one that is not spoken, and for several.
    """
    given = [part.strip().lower() for line in headers.getlist("content-encoding") for part in line.split(",")]
    codings = [coding for coding in given if coding not in {"", IDENTITY}]
    if not codings:
        return None
    coding = "gzip" if codings == ["x-gzip"] else codings[0]  # RFC 9110, 8.4.1.3
    if len(codings) > 1 or coding not in spoken:
        names = ", ".join(spoken) or IDENTITY
        detail = f"Content codings of bodies that are read: {names}."
        raise HttpProblemError("unsupported-content-encoding", detail, {"Accept-Encoding": names})
    return coding


def reply_coding(headers: Headers, spoken: Collection[str] = tuple(WINDOW_BITS)) -> str | None:
    """Return the coding of those spoken that a caller wants above all others, None where none stands out.

    HTTP libraries list codings of themselves, all alike, and compressing floats costs more than it saves: only who
    asks for one, by naming it alone or by its weight, gets it.

    Raises:
        HttpProblemError: `not-acceptable` when no coding that is accepted can be written, nor none at all.
    """
    wanted = dict(_weights(headers))
    most = max(wanted.values(), default=0.0)
    best = [coding for coding, quality in wanted.items() if quality == most]
    if most and len(best) == 1 and best[0] in spoken:
        return best[0]
    if wanted.get(IDENTITY, wanted.get("*", 1.0)):
        return None
    written = [coding for coding in spoken if wanted.get(coding, wanted.get("*", 0.0))]
    if not written:
        names = ", ".join(spoken) or IDENTITY
        told = {"Accept-Encoding": names, "Vary": "Accept-Encoding"}
        raise HttpProblemError("not-acceptable", f"Content codings of replies that are written: {names}.", told)
    return written[0]


def is_accepted(headers: Headers, coding: str) -> bool:
    """Return whether a caller takes a coding at all."""
    wanted = dict(_weights(headers))
    return wanted.get(coding, wanted.get("*", 0.0)) > 0


def inflate(body: Buffer, coding: str, max_bytes: int, checkpoint: Checkpoint = without_pause) -> bytearray:
    """Return the content of a coded body, never more of it in memory than may be.

    Args:
        body: as it came.
        coding: its coding.
        max_bytes: what the content may have at the most.
        checkpoint: asked for each piece; what it raises ends the reading.

    Raises:
        HttpProblemError: `malformed-http` when the body is broken, cut short, or more than its coding has;
            `decoded-too-large` as soon as it becomes larger than it may, of itself or for what was sent.
    """
    most = inflated_bytes(len(body), max_bytes)
    content = bytearray()
    try:
        for piece in _inflated(memoryview(body), coding):
            checkpoint()
            if len(content) + len(piece) > most:
                raise HttpProblemError("decoded-too-large", _too_much(most, max_bytes))
            content += piece
    except zlib.error:
        raise _malformed(coding) from None
    return content


def _too_much(most: int, max_bytes: int) -> str:
    ratio = "" if most in {max_bytes, FREE_BYTES} else f", {MAX_RATIO} times what was sent"
    cure = "" if most == max_bytes else "; send it without a coding"
    return f"The body inflates to more than {most} bytes{ratio}{cure}."


def inflated_bytes(body_bytes: int, max_bytes: int) -> int:
    """Return what a coded body of a length may become."""
    return min(max_bytes, max(FREE_BYTES, MAX_RATIO * body_bytes))


def compress(parts: Sequence[Buffer], coding: str, checkpoint: Checkpoint = without_pause) -> list[bytes]:
    """Return a reply's parts as one coded stream; what the checkpoint raises ends the writing."""
    compressor = zlib.compressobj(FAST, wbits=WINDOW_BITS[coding])
    coded = []
    for part in parts:
        for start in range(0, len(part), PIECE_BYTES):
            checkpoint()
            coded.append(compressor.compress(memoryview(part)[start : start + PIECE_BYTES]))
    return [*filter(None, coded), compressor.flush()]


def _inflated(body: memoryview, coding: str) -> Iterator[bytes]:
    """Yield the content; that of gzip may be cut into several streams, RFC 1952, 2.2."""
    inflater, streams_left = zlib.decompressobj(WINDOW_BITS[coding]), MAX_STREAMS.get(coding, 1) - 1
    for start in range(0, len(body), PIECE_BYTES):
        rest: Buffer = body[start : start + PIECE_BYTES]
        piece = b""
        while rest or (piece and not inflater.eof):
            if inflater.eof:
                if streams_left == 0:
                    raise _malformed(coding)
                inflater, streams_left = zlib.decompressobj(WINDOW_BITS[coding]), streams_left - 1
            piece = inflater.decompress(rest, PIECE_BYTES)
            rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            yield piece
    if not inflater.eof:
        raise _malformed(coding)


def _malformed(coding: str) -> HttpProblemError:
    return HttpProblemError("malformed-http", f"The body is no whole {coding} stream.")


def _weights(headers: Headers) -> Iterator[tuple[str, float]]:
    for line in headers.getlist("accept-encoding"):
        for part in line.split(","):
            coding, parameters = parse_media_type(part)
            if coding:
                yield coding, weight(parameters.get("q", "1"))
