"""The members of an Open Inference request: the tensors, options and outputs that it names, each by its form alone."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gradient_service.core.errors import Fault, InvalidInputError
from gradient_service.wire.errors import MalformedBodyError
from gradient_service.wire.json_faults import beyond, is_beyond
from gradient_service.wire.json_grammar import JsonText, pointer
from gradient_service.wire.json_values import is_array, is_object, members_of, python_value
from gradient_service.wire.tensor_fields import is_counts

MAX_TENSORS = 32
"""More than all fields there are; a list of millions is refused before each is looked at."""
MAX_DIMENSIONS = 1024
"""More than any array has; the product of a million lengths takes too long."""
INPUT_MEMBERS = frozenset({"name", "datatype", "shape", "data", "parameters"})
OF_ITSELF = INPUT_MEMBERS - {"data"}
OUTPUT_MEMBERS = frozenset({"name", "parameters"})
ADDRESSEE = ("model_name", "model_version")
"""Members that say again what the path says."""
CONTENT_TYPE = "content_type"
"""What some clients say of a tensor that they made of an array; its datatype tells all here."""
OF_THE_CLIENT = frozenset({CONTENT_TYPE, "priority", "sequence_end", "sequence_id", "sequence_start", "timeout"})
"""Parameters that clients send of themselves; nothing here depends on them."""
SIZE = "binary_data_size"
WANTS_BINARY = "binary_data"
WANTS_ALL_BINARY = "binary_data_output"
NOT_OFFERED = ("classification", "shared_memory_byte_size", "shared_memory_offset", "shared_memory_region")
SCALARS = (str, int, float)
OF_AN_INPUT = frozenset({SIZE, CONTENT_TYPE, *NOT_OFFERED})
OF_AN_OUTPUT = frozenset({WANTS_BINARY, CONTENT_TYPE, *NOT_OFFERED})


@dataclass(frozen=True, slots=True)
class Input:
    """A tensor as the request names it."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Any
    """A JSON value, if it has no size."""
    size: int | None
    """The bytes it has behind the JSON part, if it has no data."""


@dataclass(slots=True)
class Header:
    """What the JSON part says, and what is wrong with it."""

    known: Collection[str]
    """The fields that there are."""
    source: JsonText
    """The JSON part."""
    faults: list[Fault] = field(default_factory=list)
    inputs: dict[str, Input] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    include: list[Any] | None = None
    is_binary_by_name: dict[str, bool] = field(default_factory=dict)
    is_binary: bool = False
    id: str | None = None
    addressee: dict[str, str] = field(default_factory=dict)
    """The model and its version, as far as they are said again."""
    names: list[str] = field(default_factory=list)
    """The fields in the order of the document."""
    num_brackets: int = 0
    """How many arrays opened, those of data not counted."""

    def fault(self, code: str, name: str | None, detail: str, index: tuple[int, ...] = ()) -> None:
        """Note that something breaks the contract."""
        self.faults.append(Fault(code, name, index, detail))


def _malformed(detail: str, place: str = "") -> MalformedBodyError:
    return MalformedBodyError("malformed-tensor", detail, place)


def _read_id(value: Any, header: Header) -> None:
    if isinstance(value, str):
        header.id = value
    else:
        header.fault("wrong-type", None, "id must be a string.")


def _read_addressee(name: str, value: Any, header: Header) -> None:
    if isinstance(value, str):
        header.addressee[name] = value
    else:
        header.fault("wrong-type", name, f"{name} must be a string.")


def _read_inputs(value: Any, header: Header) -> None:
    for each in _list_of_tensors("inputs", None, value, header):
        read = _input(each, header)
        if read.name in header.inputs:
            raise MalformedBodyError("duplicate-field", "An input is given twice.", pointer((read.name,)))
        header.inputs[read.name] = read
        header.names.append(read.name)


def _list_of_tensors(name: str, field: str | None, value: Any, header: Header) -> list[Any]:
    if not is_array(value):
        raise InvalidInputError([Fault("wrong-type", field, (), f"{name} must be an array of objects.")])
    if len(value) > MAX_TENSORS:
        raise InvalidInputError([Fault("out-of-range", field, (), f"{name} can be {MAX_TENSORS} at the most.")])
    header.num_brackets += 1
    return list(value)


def _input(value: Any, header: Header) -> Input:
    members = members_of(value, INPUT_MEMBERS)
    name, datatype, shape = members.get("name"), members.get("datatype"), python_value(members.get("shape"))
    parts = [value, *(members[each] for each in OF_ITSELF & members.keys()), *(shape if is_array(shape) else ())]
    if any(part is None for part in parts):
        raise InvalidInputError([_null_in_input(name)])
    if not isinstance(name, str):
        raise _malformed("An input is an object with a name.")
    place = pointer((name,))
    if isinstance(shape, list) and any(map(is_beyond, shape)):
        raise InvalidInputError([beyond(None, ())])
    is_shape = is_counts(shape) and len(shape) <= MAX_DIMENSIONS
    if not isinstance(datatype, str) or not is_shape or not INPUT_MEMBERS.issuperset(members):
        raise _malformed("An input has a name, a datatype, a shape of whole numbers from 0 up, and data.", place)
    header.num_brackets += 1
    size = _input_parameters(name, members.get("parameters", {}), header)
    if (size is None) == ("data" not in members):
        raise _malformed(f"An input has either data or the parameter {SIZE}.", place)
    return Input(name, datatype, tuple(shape), members.get("data"), size)


def _null_in_input(name: Any) -> Fault:
    return Fault("wrong-type", name if isinstance(name, str) else None, (), "Nothing in an input can be null.")


def _input_parameters(name: str, value: Any, header: Header) -> int | None:
    """Return the size of a tensor behind the JSON part, None without one."""
    parameters = _parameters(value, OF_AN_INPUT)
    if parameters is None:
        raise _malformed("The parameters of an input are an object.", pointer((name,)))
    for fault in _not_offered(parameters, name, ()):
        raise InvalidInputError([fault])  # such an input has no data, which nothing else need be said of
    if not OF_AN_INPUT.issuperset(parameters):
        header.fault("unknown-field", name, f"The one parameter of an input is {SIZE}.")
    header.faults += _faults_of_unused(CONTENT_TYPE, parameters.get(CONTENT_TYPE, ""), name)
    if SIZE not in parameters:
        return None
    size = parameters[SIZE]
    if size is None:
        raise InvalidInputError([_null_in_input(name)])
    if not is_counts([size]):
        raise _malformed(f"{SIZE} is a whole number from 0 up.", pointer((name,)))
    return int(size)


def _read_outputs(value: Any, header: Header) -> None:
    outputs = _list_of_tensors("outputs", "include", value, header)
    if not outputs:
        return  # as clients send it that want the default
    header.include = []
    header.names.append("include")
    for position, each in enumerate(outputs):
        members = members_of(each, OUTPUT_MEMBERS)
        name, parameters = members.get("name"), _parameters(members.get("parameters", {}), OF_AN_OUTPUT)
        if not isinstance(name, str) or parameters is None or not OUTPUT_MEMBERS.issuperset(members):
            detail = "An output is an object with a name, and parameters or none."
            header.fault("wrong-type", "include", detail, (position,))
        else:
            header.include.append(name)
            _read_output_parameters(name, parameters, header, position)


def _read_output_parameters(name: str, parameters: Mapping[str, Any], header: Header, position: int) -> None:
    header.faults += _not_offered(parameters, "include", (position,))
    if not OF_AN_OUTPUT.issuperset(parameters):
        header.fault("unknown-field", "include", f"The one parameter of an output is {WANTS_BINARY}.", (position,))
    content_type = parameters.get(CONTENT_TYPE, "")
    header.faults += _faults_of_unused(CONTENT_TYPE, content_type, "include", (position,))
    wants_binary = parameters.get(WANTS_BINARY)
    if isinstance(wants_binary, bool):
        header.is_binary_by_name[name] = wants_binary
    elif WANTS_BINARY in parameters:
        header.fault("wrong-type", "include", f"{WANTS_BINARY} must be true or false.", (position,))


def _not_offered(parameters: Mapping[str, Any], name: str, index: tuple[int, ...]) -> list[Fault]:
    found = [each for each in NOT_OFFERED if each in parameters]
    return [Fault("not-implemented", name, index, f"{each} is not offered here.") for each in found[:1]]


def _parameters(value: Any, known: Collection[str]) -> dict[str, Any] | None:
    """Return parameters by name, None for a value that is no object."""
    return members_of(value, known) if is_object(value) else None


def _read_parameters(value: Any, header: Header) -> None:
    parameters = _parameters(value, {WANTS_ALL_BINARY, *OF_THE_CLIENT, *header.known})
    if parameters is None:
        raise InvalidInputError([Fault("wrong-type", None, (), "parameters must be an object.")])
    for name, parameter in parameters.items():
        if name == WANTS_ALL_BINARY and isinstance(parameter, bool):
            header.is_binary = parameter
        elif name == WANTS_ALL_BINARY:
            header.fault("wrong-type", name, f"{name} must be true or false.")
        elif name in OF_THE_CLIENT:
            header.faults += _faults_of_unused(name, parameter, name)
        elif name == "include":
            header.fault("wrong-type", name, "The outputs to include are named by the member outputs.")
        else:
            header.names.append(name)
            header.options[name] = parameter


def _faults_of_unused(name: str, value: Any, field: str, index: tuple[int, ...] = ()) -> list[Fault]:
    """Return what is wrong with a parameter that nothing here depends on, told of a field."""
    if is_beyond(value):
        return [beyond(field, index)]
    if isinstance(value, SCALARS):
        return []
    return [Fault("wrong-type", field, index, f"{name} must be a string, a number, true or false.")]


READERS: Mapping[str, Callable[[Any, Header], None]] = {
    "id": _read_id,
    "inputs": _read_inputs,
    "outputs": _read_outputs,
    "parameters": _read_parameters,
    **{name: partial(_read_addressee, name) for name in ADDRESSEE},
}
"""What reads each member of the document."""
