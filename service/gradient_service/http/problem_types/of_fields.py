"""What is refused for the names, the types and the shapes of fields, before their values are looked at."""

from http import HTTPStatus

from gradient_service.http.problem_types.problem_type import ProblemType
from gradient_service.schemas.problem import Slug

OF_FIELDS = {
    Slug.UNKNOWN_FIELD: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why="A misspelt option that is passed over gives an answer to another question. So each name is known, and "
        "`detail` tells the nearest one.",
        mend="Names are those of this API, not of a library: PyTorch's `weight` is `class_weights`, `ignore_index` is "
        "`ignore_label`; Keras's `sample_weight` is `sample_weights`. Scores before softmax are `logits`, class "
        "numbers `labels`, target rows `targets`. An option of one call may be none of another.",
    ),
    Slug.MISSING_FIELD: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why="Every call needs `logits`. A loss needs something to compare them with, `labels` or `targets`; `/check` "
        "needs at least one output in `claimed`.",
        mend="Add the field that the pointer names.",
    ),
    Slug.WRONG_TYPE: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why='Nothing is converted: `"1.5"` and `true` are no numbers, `1.0` is no label, and `null` is no value. A '
        "float among labels is most often a target, or a score, in the wrong field.",
        mend="Send the type of the field; labels that a data frame turned into floats are converted back. Leave a "
        "field out to have its default; `null` does not stand for it.",
    ),
    Slug.WRONG_RANK: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why="An array field has one number of axes: `logits` and `targets` are (N, K), rows of classes; `labels` and "
        "`sample_weights` are (N,); `class_weights` and `class_mask` are (K,).",
        mend="Send one row as `[[1, 2, 3]]`. Images and sequences, (N, K, H, W) say, become rows: move the classes "
        "last and join the other axes.",
    ),
    Slug.RAGGED: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why="Each row has a score for every class, so all rows have K elements. The pointer names the first other row.",
        mend="Pad shorter rows with any finite number, and say with `element_mask` which classes take part.",
    ),
    Slug.LENGTH_MISMATCH: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why="The (N, K) logits say how many rows and classes there are; every other array has to fit. Nothing is "
        "stretched to fit, as NumPy would stretch it.",
        mend="`detail` tells both shapes. K for N, and N for K, are a sign of a transposed array.",
    ),
    Slug.EMPTY_BATCH: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why="`[]` has no row to count the classes of. A batch without rows has an answer where its shape is known: by "
        "`mean` its loss is 0 and not 0/0, and its gradient (0, K).",
        mend="Send an empty batch in binary, with the shape (0, K), or do not send it.",
    ),
    Slug.EMPTY_CLASSES: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why="A softmax over no class is 0/0.",
        mend="Send at least one score a row. With a single one, softmax objectives answer p = 1 and a loss of 0; a "
        "single output for yes or no is `sigmoid_binary_cross_entropy`.",
    ),
    Slug.UNSUPPORTED_DTYPE: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why="Numbers are F16, BF16, F32 or F64, labels any integer type of up to 64 bits, masks BOOL. Text and "
        "objects are not read, and nothing is unpickled. A type that another field takes is `wrong-type`.",
        mend="Convert the array before it is sent.",
    ),
    Slug.UNKNOWN_VALUE: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why="Options such as `reduction` are words to choose from; capitals count. `include` names outputs of its "
        "call, and replaces the default ones.",
        mend="Take a word from `detail`, or from the field's description in the API reference.",
    ),
    Slug.CONFLICTING_FIELDS: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why="An option without effect would mislead. Labels choose one class of K, so the sigmoid objective, whose "
        "classes are independent, takes `targets`; a `denominator` belongs to `mean`; `ignore_label` to `labels`; "
        "`upstream`, one number a row, to `none`. The binary sum over softmax has no curvature: its second "
        "derivative can be negative.",
        mend="Leave out one of the two; `detail` says which rule. Labels become targets for the sigmoid objective as "
        "one-hot rows, 1 at the label and 0 elsewhere.",
    ),
    Slug.OUTPUT_TOO_LARGE: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why="A small request can ask for a huge answer: the Jacobian ∂p/∂s has N·K² numbers. So the size is computed "
        "from the shapes, and refused before anything is allocated. A number of a JSON reply counts 25 bytes.",
        mend="Send fewer rows in a call; summaries of parts add up. Training needs `gradient` only, N·K numbers: "
        "neither `jacobian` nor `gradient_by_chain_rule`, which is the same number made the long way. A binary reply "
        "is a third of a JSON one.",
        limits=("max_elements", "max_jacobian_elements", "max_reply_bytes"),
    ),
}
