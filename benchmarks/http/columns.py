"""What is asked: the columns of the table."""

from dataclasses import dataclass

import numpy as np

from benchmarks.http.dialects import Arrays, Dialect
from benchmarks.rivals.servers import Server

SHAPES = ((1, 10), (32, 10), (32, 1000))
FORMS = ("JSON", "binary")
SEED, QUESTIONS = 20261127, 8


@dataclass(frozen=True)
class Column:
    """One kind of request."""

    rows: int
    classes: int
    form: str

    @property
    def name(self) -> str:
        """The heading of the column."""
        return f"{self.rows}×{self.classes} {self.form}"

    def dialect(self, server: Server) -> Dialect | None:
        """How a server is asked, if it can be."""
        return server.json if self.form == "JSON" else server.binary

    def questions(self, dialect: Dialect) -> list[Arrays]:
        """What is asked in turns: the same for every server, in the dtype of the dialect.

        They differ, so that an answer that was kept from the last one would be a wrong one.
        """
        return [self._question(np.random.default_rng(SEED + number), dialect) for number in range(QUESTIONS)]

    def _question(self, generator: np.random.Generator, dialect: Dialect) -> Arrays:
        logits = generator.normal(scale=3, size=(self.rows, self.classes)).astype(dialect.dtype)
        return {"logits": logits, "labels": generator.integers(0, self.classes, self.rows)}


COLUMNS = tuple(Column(*shape, form) for form in FORMS for shape in SHAPES)
