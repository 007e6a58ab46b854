"""The tables of a scan as DataFrames, and what their columns hold."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from opcov.coverage import Coverage
from opcov.document import LARGEST_NUMBER, TABLES, Table
from opcov.problems import UsageError

if TYPE_CHECKING:
    import pandas as pd


def columns(table: str) -> pd.DataFrame:
    """What the columns of a table hold.

    Args:
        table: `nodes`, `graphs`, `ops`, `variants` or `models`: a DataFrame of a `Scan`.

    Returns:
        One row a column, in order, with its name as index: its `dtype` in pandas and its `meaning`.

    Raises:
        UsageError: there is no such table.

    >>> import opcov
    >>> opcov.columns("graphs").loc["rank"].tolist()
    ['Int64', 'tensor-parallel rank that saved it, where the name tells']
    """
    import pandas as pd

    found = _table(table)
    rows = [(name, found.dtypes[name], found.descriptions[name]) for name in found.columns]
    return pd.DataFrame(rows, columns=["column", "dtype", "meaning"], dtype="string").set_index("column")


def frame_of(coverage: Coverage, name: str) -> pd.DataFrame:
    """A table as a DataFrame, in the dtypes of pandas that know missing values.

    Args:
        coverage: what a scan found.
        name: of the table.

    Raises:
        UsageError: there is no such table.
    """
    import pandas as pd

    table = _table(name)
    entries = list(table.rows(coverage))
    # Each column gets its type at once: pandas would take numbers of which some are missing for floats, and round them.
    cells = {column: [_plain(getattr(entry, column)) for entry in entries] for column in table.columns}
    return pd.DataFrame({column: pd.Series(cells[column], dtype=table.dtypes[column]) for column in table.columns})


def _table(name: str) -> Table:
    for table in TABLES:
        if table.name == name:
            return table
    raise UsageError(f"no table is called {name!r}; there are: {', '.join(table.name for table in TABLES)}")


def _plain(value: object) -> object:
    """A cell of a DataFrame: the text of an enum, several values joined as in the CSV files, a number of 64 bits."""
    match value:
        case Enum():
            return value.value
        case tuple():
            return "; ".join(map(str, map(_plain, value)))
        case int():
            return min(value, LARGEST_NUMBER)
        case _:
            return value
