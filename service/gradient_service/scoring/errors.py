"""What ends a run: a file, an option or a folder that is not what it should be, told in one line."""

from gradient_service.core.errors import Fault, InvalidInputError
from gradient_service.operations import PER_ROW


class ScoringError(ValueError):
    """Raised when the input cannot be scored or the output cannot be written as asked; its text is one line."""


def in_file(error: InvalidInputError, first_row: int) -> InvalidInputError:
    """Return the refusal of a block with the rows numbered as in the input."""
    return InvalidInputError(_moved(fault, first_row) for fault in error.faults)


def one_line(error: InvalidInputError) -> str:
    """Return the first fault with its place in the input, and how many more were found."""
    fault, *others = error.faults
    text = fault.detail.removeprefix(f"{fault.field}{list(fault.index)}: ").removeprefix(f"{fault.field}: ")
    told = text if fault.field is None else f"{_place(fault.field, fault.index)}: {text}"
    return f"{told} ({len(others)} more)" if others else told


def _place(field: str, index: tuple[int | str, ...]) -> str:
    """Return a field, and of one that each row has the row and the class."""
    places = zip(("row", "class"), index, strict=False) if field in PER_ROW else ()
    return ", ".join([field, *(f"{what} {place}" for what, place in places)])


def _moved(fault: Fault, first_row: int) -> Fault:
    """Return a fault of a row with its number in the input, in its place and in its text."""
    if fault.field not in PER_ROW or not fault.index:
        return fault
    row = int(fault.index[0])
    index = (row + first_row, *fault.index[1:])
    text = fault.detail.replace(f"{fault.field}{list(fault.index)}", f"{fault.field}{list(index)}", 1)
    text = text.replace(f" row {row} ", f" row {row + first_row} ", 1)
    return Fault(fault.code, fault.field, index, text)
