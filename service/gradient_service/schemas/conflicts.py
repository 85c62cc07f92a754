"""What the fields of a request mean together: which must be there, and which options go with which."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import cache, lru_cache
from itertools import chain

from pydantic import BaseModel

from gradient_service.core.errors import Fault, raise_if_any
from gradient_service.core.options import Curvature, Denominator, Objective, Reduction, TargetsSum
from gradient_service.schemas.members import DOT, body_fields, member_names, path_of, placed
from gradient_service.schemas.requests import (
    CheckRequest,
    DifferentiatedBody,
    GradientOutput,
    GradientRequest,
    LossOutput,
    SupervisedBody,
)

MAX_NAME_LENGTH = 64


def shown_name(name: str) -> str:
    """Return of a caller's name what may be told back: its first printable characters."""
    printable = name if name.isprintable() else "".join(filter(str.isprintable, name))
    return printable[:MAX_NAME_LENGTH]


def check_fields(model: type[BaseModel], names: Collection[str]) -> None:
    """Raise unless every field named is known, every required one is named, and exactly one of labels and targets is.

    Raises:
        InvalidInputError: `unknown-field`, with the nearest known name; `missing-field`; `conflicting-fields`.
    """
    _check_fields(model, tuple(names))


# What callers name is the same again and again; a refusal is not kept.
@lru_cache(maxsize=256)
def _check_fields(model: type[BaseModel], names: Sequence[str]) -> None:
    known = [*model.model_fields, *member_names(model)]
    unknown = placed(unknown_fields(known, names), model)
    raise_if_any(chain(unknown, _missing(model, names), _both(model, names)))


def unknown_fields(known: Collection[str], names: Iterable[str]) -> Iterator[Fault]:
    """Yield `unknown-field` for each name that is not known, with the nearest one that is."""
    for name in names:
        if name not in known:
            near = _nearest(name[:MAX_NAME_LENGTH], known)
            hint = f" Did you mean {near[0]}?" if near else ""
            yield Fault("unknown-field", name, (), f"There is no field {shown_name(name)!r} here.{hint}")


def _nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return the known name that is nearest, if any is near; to a member of a field, of its members."""
    start = name[: name.find(DOT) + 1]
    ends = [each.removeprefix(start) for each in known if each.startswith(start)]
    return [start + end for end in get_close_matches(name.removeprefix(start), ends, n=1)]


@cache
def required_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the fields that have no default."""
    return tuple(name for name, field in model.model_fields.items() if field.is_required())


def _missing(model: type[BaseModel], names: Collection[str]) -> Iterator[Fault]:
    given = {path_of(name, model)[0] for name in names} if body_fields(model) else names
    for name in required_fields(model):
        if name not in given:
            members = body_fields(model).get(name)
            needed = name if members is None else f"One of {', '.join(members.model_fields)}"
            yield Fault("missing-field", name, (), f"{needed} is required.")
    if issubclass(model, SupervisedBody) and not {"labels", "targets"} & set(names):
        yield Fault("missing-field", "labels", (), "One of labels and targets is required.")


def _both(model: type[BaseModel], names: Collection[str]) -> Iterator[Fault]:
    if issubclass(model, SupervisedBody) and {"labels", "targets"} <= set(names):
        yield Fault("conflicting-fields", "targets", (), "Give labels or targets, not both.")


def check_conflicts(request: SupervisedBody) -> None:
    """Raise `conflicting-fields` for an option that the objective, the reduction or the kind of target has not."""
    raise_if_any(
        chain(
            _objective_conflicts(request),
            _target_conflicts(request),
            _reduction_conflicts(request),
            _output_conflicts(request),
        )
    )


def _conflict(field: str, detail: str, index: tuple[int, ...] = ()) -> Fault:
    return Fault("conflicting-fields", field, index, detail)


def _objective_conflicts(request: SupervisedBody) -> Iterator[Fault]:
    if request.objective is Objective.SIGMOID_BINARY_CROSS_ENTROPY:
        if request.labels is not None:
            yield _conflict("labels", "The sigmoid objective compares with targets: its classes are independent.")
        if request.label_smoothing:
            yield _conflict("label_smoothing", "Only softmax objectives have label_smoothing.")
        if request.targets_sum is TargetsSum.ANY:
            yield _conflict("targets_sum", "Only softmax objectives have a rule on the sum of targets.")
    if not isinstance(request, GradientRequest) or request.curvature is Curvature.EXACT:
        return
    if request.objective is Objective.SOFTMAX_BINARY_CROSS_ENTROPY:
        yield _conflict("curvature", "This objective has no curvature: it can be negative.")
    elif (
        request.objective is Objective.SIGMOID_BINARY_CROSS_ENTROPY
        and request.curvature is not Curvature.ABSOLUTE_RESIDUAL
    ):
        yield _conflict("curvature", "The sigmoid objective has the curvatures exact and absolute_residual.")


def _target_conflicts(request: SupervisedBody) -> Iterator[Fault]:
    if request.labels is None and request.ignore_label is not None:
        yield _conflict("ignore_label", "Only labels can be ignored.")
    if request.targets is None and request.targets_sum is TargetsSum.ANY:
        yield _conflict("targets_sum", "Only targets have a sum.")


def _reduction_conflicts(request: SupervisedBody) -> Iterator[Fault]:
    if request.reduction is not Reduction.MEAN:
        if request.denominator is not Denominator.WEIGHTS:
            yield _conflict("denominator", "Only reduction mean has a denominator.")
        if request.denominator_value is not None:
            yield _conflict("denominator_value", "Only reduction mean has a denominator.")
    elif request.denominator_value is not None and request.denominator is not Denominator.WEIGHTS:
        yield _conflict("denominator_value", "Give denominator or denominator_value, not both.")
    if (
        isinstance(request, DifferentiatedBody)
        and request.upstream is not None
        and request.reduction is not Reduction.NONE
    ):
        yield _conflict("upstream", "Only reduction none has an upstream derivative for each row.")


def _output_conflicts(request: SupervisedBody) -> Iterator[Fault]:
    if isinstance(request, CheckRequest) and request.claimed.loss is not None and request.reduction is Reduction.NONE:
        yield Fault("conflicting-fields", "claimed", ("loss",), "With reduction none there is no loss; claim losses.")
    for position, output in enumerate(getattr(request, "include", ())):
        if output in {LossOutput.LOSS, GradientOutput.LOSS} and request.reduction is Reduction.NONE:
            if "include" in request.model_fields_set:
                yield _conflict("include", "With reduction none there is no loss; ask for losses.", (position,))
        elif output is GradientOutput.HESSIAN_DIAGONAL and request.objective is Objective.SOFTMAX_BINARY_CROSS_ENTROPY:
            yield _conflict("include", "This objective has no hessian_diagonal: it can be negative.", (position,))
