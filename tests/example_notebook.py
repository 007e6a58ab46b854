"""Runs examples/coverage.ipynb and leaves in it only what is the same every time; as a script, writes it anew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbclient
import nbformat

NOTEBOOK = Path(__file__).resolve().parent.parent / "examples" / "coverage.ipynb"
METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
_KINDS = ("text/plain", "text/html")


def read() -> Any:
    """The notebook as it is committed."""
    return nbformat.read(NOTEBOOK, as_version=4)


def run(folder: Path, cells: int | None = None) -> Any:
    """The notebook, or the first cells of it, with the outputs that it has when it is run in a folder."""
    notebook = read()
    notebook.cells = notebook.cells[:cells]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    resources = {"metadata": {"path": str(folder)}}
    # One print may come in several messages, on a busy machine.
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources=resources, coalesce_streams=True
    )
    client.execute()
    return _cleaned(notebook)


def _cleaned(notebook: Any) -> Any:
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells):
        cell.metadata = nbformat.from_dict({})
        cell.id = f"cell-{number}"
        if cell.cell_type == "code":
            cell.execution_count = None
            for output in cell.outputs:
                if "data" in output:
                    output.data = nbformat.from_dict(
                        {kind: output.data[kind] for kind in _KINDS if kind in output.data}
                    )
                if "execution_count" in output:
                    output.execution_count = None
            # What is left of a progress bar.
            cell.outputs = [output for output in cell.outputs if output.get("data") != {"text/plain": ""}]
    return notebook


def texts(notebook: Any) -> list[tuple[str, list[str]]]:
    """The source of each cell of code with what it shows, free of versions and addresses; of data frames the text."""
    return [
        (cell.source, [_scrubbed(text) for output in cell.outputs for text in _shown(output)])
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def _shown(output: Any) -> list[str]:
    if output.output_type == "stream":
        return [output.text]
    if output.output_type == "error":
        return [output.evalue]
    found = [output.data[kind] for kind in _KINDS if kind in output.data]
    # Another pandas writes other HTML.
    return [text for text in found if 'class="dataframe"' not in text]


def _scrubbed(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+", "0x...", re.sub(r"\btorch \d[\w.+]*", "torch ...", text))


if __name__ == "__main__":
    nbformat.write(run(NOTEBOOK.parent), NOTEBOOK)
