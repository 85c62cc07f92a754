"""What a codec raises when bytes are no instance of their declared type."""


class TakesLongError(Exception):
    """Raised where a body that is read hastily needs more than that."""


class MalformedBodyError(ValueError):
    """Raised when a body is not what its media type says; carries the code, a pointer if there is one, and a detail."""

    def __init__(self, code: str, detail: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.pointer = pointer
        self.detail = detail

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Return what it is made of, for another process."""
        return type(self), (self.code, self.detail, self.pointer)
