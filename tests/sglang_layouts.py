"""Lays out the fake `sglang` package as versions of SGLang are laid out."""

from __future__ import annotations

from pathlib import Path

FAKE = Path(__file__).parent / "capturing" / "fake_sglang"
OLD = ("srt/model_executor/cuda_graph_runner.py", "bench_one_batch.py")
"""Where the model is compiled and where the benchmark lies, up to 0.5.11."""
NEW = ("srt/compilation/torch_compile_decoration.py", "benchmark/one_batch.py")
"""The same in the newest versions."""


def lay_out(folder: Path, layout: tuple[str, str] = OLD) -> Path:
    """Makes the package below a folder.

    Returns:
        The folder, for PYTHONPATH.
    """
    package = folder / "sglang"
    patching, benchmark = layout
    contents = {"srt/model.py": (FAKE / "model.py").read_text(encoding="utf-8")}
    contents[patching] = (FAKE / "patching.py").read_text(encoding="utf-8")
    module = "sglang." + patching.removesuffix(".py").replace("/", ".")
    contents[benchmark] = (FAKE / "benchmark.py").read_text(encoding="utf-8").replace("sglang.srt.patching", module)
    for name, text in contents.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in [package, *(child for child in package.rglob("*") if child.is_dir())]:
        (path / "__init__.py").touch()
    return folder
