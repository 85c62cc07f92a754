"""The mistakes that a claim can be explained by: what each is called, and what it is in plain words."""

from gradient_service.core.options import Choice


class DiagnosisCode(Choice):
    """A mistake that reproduces a claim; where several describe the same numbers, those that say more come first."""

    SUM_INSTEAD_OF_MEAN = (
        "sum_instead_of_mean",
        "it is the sum over the rows, where their mean was asked for: divide it by the denominator",
    )
    SCALED_BY_BATCH_SIZE = (
        "scaled_by_batch_size",
        "it is off by a factor of N, the number of rows: the mean is taken once too often, or not at all",
    )
    BINARY_FORMULA_OVER_SOFTMAX = (
        "binary_formula_over_softmax",
        "the binary formula, with its (1−c) log(1−p), is summed over the classes of a softmax",
    )
    SCALED_BY_CLASS_COUNT = (
        "scaled_by_class_count",
        "it is off by a factor of K, the number of classes: an average runs over the elements of the rows too",
    )
    IGNORED_ROWS_COUNTED = (
        "ignored_rows_counted",
        "rows that are ignored are counted, in the sum or in what it is divided by",
    )
    WEIGHTS_IGNORED = "weights_ignored", "the class weights or the sample weights are left out"
    WRONG_DENOMINATOR = (
        "wrong_denominator",
        "its sum is divided by another number than asked for: by that of rows or elements, or by a sum of weights",
    )
    SIGN_FLIPPED = "sign_flipped", "it has the opposite sign"
    TEMPERATURE_IGNORED = "temperature_ignored", "the logits are not divided by the temperature"
    TEMPERATURE_NOT_IN_GRADIENT = (
        "temperature_not_in_gradient",
        "the temperature is in the probabilities and not in the derivative, which takes one more factor 1/T",
    )
    SMOOTHING_IGNORED = "smoothing_ignored", "the targets are not smoothed"
    SMOOTHING_OVER_OTHER_CLASSES = (
        "smoothing_over_other_classes",
        "smoothing gives ε/(K−1) to each of the other classes, where ε/K for every class was asked for",
    )
    LABELS_OFF_BY_ONE = (
        "labels_off_by_one",
        "the labels are off by one class: counted from 1, or from 0 where 1 is meant",
    )
    MASK_IN_DENOMINATOR = (
        "mask_in_denominator",
        "masked classes are part of the softmax: they must be −∞ before it, not 0 and not taken out afterwards",
    )
    SOFTMAX_APPLIED_TWICE = "softmax_applied_twice", "softmax is applied to numbers that are probabilities already"
    PROBABILITIES_GIVEN_AS_LOGITS = (
        "probabilities_given_as_logits",
        "probabilities stand where logits are expected: give the scores before the softmax",
    )
    OVERFLOW_UNSHIFTED = (
        "overflow_unshifted",
        "exponentials of the scores themselves overflow, or all vanish: subtract each row's largest score before them",
    )
    DIAGONAL_ONLY_JACOBIAN = (
        "diagonal_only_jacobian",
        "only the diagonal pᵢ (1−pᵢ) of the softmax's Jacobian is used; each probability moves with every score",
    )
    SOFTMAX_OVER_BATCH = "softmax_over_batch", "softmax runs over the rows of a class, not over the classes of a row"
    TRANSPOSED_LAYOUT = "transposed_layout", "the array lies transposed: rows and columns change places"
    CLASS_MAJOR_LAYOUT = "class_major_layout", "the array lies class by class, where it should lie row by row"
    LOG_BASE_2 = "log_base_2", "the logarithm is that of base 2: it is in bits, not in nats"
    LOG_BASE_10 = "log_base_10", "the logarithm is that of base 10, not the natural one"
    CLIPPED_PROBABILITIES = "clipped_probabilities", "probabilities are kept away from 0 and 1 before the logarithm"
    LOG_OF_ZERO = (
        "log_of_zero",
        "the logarithm is taken of a p, or a 1 − p, that became 0: take log p as s − max − log Σ exp(s − max)",
    )
    LOWER_PRECISION = "lower_precision", "its errors are those of a type with fewer digits than it was sent in"
    CANCELLATION = (
        "cancellation",
        "right, but numbers next to 0 lost their digits: sum the other classes, for log p, p − 1 and 1 − p cancel",
    )
