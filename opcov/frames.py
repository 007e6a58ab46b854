"""The tables of a scan as DataFrames, and what their columns hold."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from opcov.coverage import Coverage
from opcov.document import TABLES, Table
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
    rows = [[_plain(getattr(entry, column)) for column in table.columns] for entry in table.rows(coverage)]
    return pd.DataFrame(rows, columns=list(table.columns)).astype(dict(table.dtypes))


def _table(name: str) -> Table:
    for table in TABLES:
        if table.name == name:
            return table
    raise UsageError(f"no table is called {name!r}; there are: {', '.join(table.name for table in TABLES)}")


def _plain(value: object) -> object:
    """A cell of a DataFrame: the text of an enum, several values joined as in the CSV files."""
    if isinstance(value, Enum):
        return value.value
    return "; ".join(map(str, map(_plain, value))) if isinstance(value, tuple) else value
