"""What is refused because the bytes of a body are no instance of the type that it is sent as."""

from http import HTTPStatus

from gradient_service.http.problem_types.problem_type import ProblemType
from gradient_service.schemas.problem import Slug

OF_BODIES = {
    Slug.EMPTY_BODY: ProblemType(
        HTTPStatus.BAD_REQUEST,
        why="A call is one JSON object, and at least `logits` is in it.",
        mend="Send the object. A body that was read once already, such as a stream used again, is often empty.",
    ),
    Slug.MALFORMED_JSON: ProblemType(
        HTTPStatus.BAD_REQUEST,
        why="JSON is read as RFC 8259 has it: UTF-8 without a byte order mark, names and texts in double quotes, no "
        "comments, no comma before a bracket that closes, one document. `NaN` and `Infinity` are no JSON, although "
        "Python writes them.",
        mend="Let a JSON library write the body: in Python `json.dumps(fields, allow_nan=False)`, which also finds "
        "the NaN. A class that takes no part is said by a mask, not by −∞. `/check` takes NaN and infinities in "
        "binary claims.",
    ),
    Slug.DUPLICATE_FIELD: ProblemType(
        HTTPStatus.BAD_REQUEST,
        why="JSON leaves open which of two values of one name counts, and programs differ. Here neither does.",
        mend="Send each name once; the pointer names it.",
    ),
    Slug.NESTING_TOO_DEEP: ProblemType(
        HTTPStatus.BAD_REQUEST,
        why="No request needs more than five levels: under `/v2` the object, its inputs, one of them, its data, a row. "
        "Deep nesting costs a reader memory for each level.",
        mend="Send arrays of the rank of their fields: `logits` are rows of numbers, `[[1, 2], [3, 4]]`.",
        limits=("max_nesting",),
    ),
    Slug.MALFORMED_TENSOR: ProblemType(
        HTTPStatus.BAD_REQUEST,
        why="A safetensors file is 8 bytes with the length of its header, at most 64 KiB of header, and then tensors "
        "without gaps, overlaps or a rest, each as long as its shape and type say. Under `/v2` the same holds of "
        "`binary_data_size`, and of the lists in JSON.",
        mend="Let a library write it: `safetensors.numpy.save`, `tritonclient`, or this service's own client. A body "
        "that is a few bytes short was cut on its way.",
    ),
    Slug.DECODED_TOO_LARGE: ProblemType(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        why="A small compressed body can inflate to gigabytes. So it may become as large as other bodies, and at most "
        "100 times as large as it came, or 1 MiB where that is more.",
        mend="Send fewer rows in a call, or send the body without `Content-Encoding`.",
        limits=("max_json_body_bytes", "max_binary_body_bytes"),
    ),
}
