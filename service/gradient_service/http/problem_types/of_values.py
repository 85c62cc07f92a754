"""What is refused for the values of fields, or for what would follow from them."""

from http import HTTPStatus

from gradient_service.http.problem_types.problem_type import ProblemType
from gradient_service.schemas.problem import Slug

OF_VALUES = {
    Slug.LABEL_OUT_OF_RANGE: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why="Labels count from 0: with K classes the last one is K − 1. No label is ignored unless you say so; there "
        "is no default such as −100.",
        mend='Subtract 1 from labels that count from 1. To leave rows out, name their label, `"ignore_label": -100`: '
        "their loss and their gradient are 0, and of the denominators only `batch` counts them.",
    ),
    Slug.OUT_OF_RANGE: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why="A temperature and a denominator are above 0, weights and tolerances not below it; ε of `label_smoothing` "
        "lies in [0, 1], and so does each target of a binary objective, whose 1 − c is a weight as well.",
        mend="The pointer names the number. Scores as `targets` are a common cause: targets are probabilities.",
    ),
    Slug.INVALID_DISTRIBUTION: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why="Under a softmax objective a row c of targets is a distribution, and Σⱼ cⱼ = 1 within 10⁻⁶, or the "
        "rounding of half-precision numbers. Only then, and with weights of 1, is ∂E/∂s = p − c; in general it is W "
        "pᵢ − wᵢ cᵢ with W = Σⱼ wⱼ cⱼ. Libraries that assume 1 answer a wrong gradient without a word.",
        mend='Divide each row by its sum. Rows that count rather than distribute: `"targets_sum": "any"`. Several '
        "right classes at once: `sigmoid_binary_cross_entropy`, where each class is a question of its own.",
    ),
    Slug.NON_FINITE: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why="One NaN makes NaN of everything that it meets. So it is found where it enters, also in rows that are "
        "ignored. A logit of −∞ in a binary body is fine: its class takes no part.",
        mend="The pointer names row and column. NaN scores come from a diverged model or from 0/0. Log-probabilities "
        "are good logits, since softmax(log p) = p, but log 0 = −∞ is a mask then; probabilities are not: send their "
        "logarithms.",
    ),
    Slug.NUMBER_OUT_OF_RANGE: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why="A reply holds no infinity in place of a number. Out of range can be: a number as it was sent, 1e400 or "
        "1e39 as float32; a loss, as of scores 10³⁰⁸ apart; a mean by a denominator D of 0 under a sum that is not; "
        "∂E/∂pₜ = −cₜ/pₜ where pₜ underflows, and with it the product of the factors, though the gradient itself is "
        "finite, p − c.",
        mend="For factors of the chain rule: ask for `gradient`, which is made without them. For a mean with weight 0 "
        'on every label: another `denominator`. For float32: `"dtype": "float64"`.',
    ),
    Slug.UNDEFINED_ROW: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why="Softmax divides by the sum over the classes that take part; over none it is 0/0. Some libraries answer "
        "NaN, others 0. It holds of ignored rows too, so that a mistake in a mask is found.",
        mend="Leave one class of each row unmasked, or leave the row out. A mask is true where a class takes part; "
        "its negation is a common slip.",
    ),
    Slug.INFINITE_LOSS: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        why="−log p grows without bound as p goes to 0, and nothing is clipped here: libraries that clip p to [10⁻⁷, "
        "1 − 10⁻⁷] answer 16.1 at the most and a gradient of 0. Scores that are far apart have large losses, never "
        "infinite ones; a masked class has p = 0 exactly. 0·log 0 is 0, so a target of 0 does no harm there.",
        mend="Unmask the class of the label, or give its row the sample weight 0, or ignore it. In a one-class row of "
        "the binary sum over softmax p = 1, and every target but 1 makes the loss infinite.",
    ),
}
