"""The one wording of refused input: field, place, reason, cure, and never the value itself."""

from __future__ import annotations

from .errors import InputError


def refusal(field: str, reason: str, cure: str, index: tuple[int, ...] = ()) -> InputError:
    """The error for an argument that cannot be sent.

    Args:
        field: the argument's name.
        reason: what is wrong, as the rest of a sentence that begins with the place.
        cure: what to write instead.
        index: position of the first offending element, or empty.

    Returns:
        The error, to be raised.
    """
    place = f"{field}[{', '.join(map(str, index))}]" if index else field
    return InputError(f"{place} {reason}: {cure}", field=field, index=index, cure=cure)
