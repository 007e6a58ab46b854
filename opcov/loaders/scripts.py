"""Loads scripts that hold a graph and more: Dynamo's and Inductor's repros, Thunder's reproducers and benchmarks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from opcov.graph import ConstantMeta, Graph, Metadata, SymbolMeta
from opcov.loaders import folder, graphnet, readable
from opcov.loaders.loader import Loaded, Loader, SavedFile, text_of
from opcov.loaders.text.modules import Script, forward_of, module_classes, parse_script, read_class, with_inputs
from opcov.loaders.text.tensors import described, device_of, tensor_of, truth_of
from opcov.problems import Problem, Slug

GRAPH_CLASSES = frozenset({"Repro", "DynamoModule", "GraphModule", "FxModule"})
"""What the writers call the class: `torch._dynamo.debug_utils.NNModuleToString`, `thunder.dynamo.report`, torch.fx."""

_NAMED = re.compile(rb"^class (?:Repro|DynamoModule)\((?:torch\.)?(?:nn\.)?Module\)\s*:", re.MULTILINE)
_OTHER = re.compile(rb"^class \w+\((?:torch\.)?(?:nn\.)?Module\)\s*:", re.MULTILINE)
_FREES = re.compile(rb"^[ \t]+\w+(?: ?: ?\"[^\"\n]*\")? = [^\n]*;  (?:\w+ = )+None[ \t]*\r?$", re.MULTILINE)
"""`sin = torch.sin(x);  x = None`: torch.fx frees values so, and nobody else does."""

_LARGEST = 2**63
_SYMBOL = re.compile(r"[a-z]+[0-9]+")


def detect(name: str, head: bytes) -> bool:
    """Whether a file holds a class that a known writer names, or one whose forward torch.fx has printed."""
    if b"Module)" not in head:
        return False
    is_named = _NAMED.search(head) is not None
    if not is_named and _OTHER.search(head) is None:
        return False
    if any(other.detect(name, head) for other in (readable.LOADER, graphnet.LOADER, folder.LOADER)):
        return False
    return is_named or _FREES.search(head) is not None  # last, since it looks at each line


def load(file: SavedFile) -> Loaded:
    """Reads the graphs of a script; what else it holds is not looked at, and is no problem.

    Where the class has no annotations, shapes of inputs come from `load_args` or `args`; where it has, Thunder's
    `inputs` tell only which tensors require grad.
    """
    text = text_of(file)
    if isinstance(text, Problem):
        return (), (text,)
    if "\x00" in text:
        return (), (Problem("", 0, Slug.NOT_TEXT, "the file is binary, not a script"),)
    script = parse_script(text)
    if script.tree is None:
        return (), script.problems
    try:
        graphs = _graphs(script, script.tree)
    except RecursionError:
        return (), (Problem("", 0, Slug.TOO_DEEP, "a statement nests too deep"),)
    if not graphs:
        empty = Problem("", 0, Slug.EMPTY, "the script holds no class whose forward is a graph")
        return (), script.problems or (empty,)
    return tuple(graphs), ()


LOADER = Loader("scripts", detect, load)


def _graphs(script: Script, tree: ast.Module) -> list[Graph]:
    classes = list(module_classes(tree))
    chosen = [module for module in classes if module.name in GRAPH_CLASSES]
    chosen = chosen or [module for module in classes if _reads_like_fx(module)]
    graphs = [read_class(script, module) for module in chosen]
    inputs = _inputs(tree)
    hints = _hints(tree)
    if len(graphs) != 1:
        return graphs  # which of them the inputs are for, nothing tells
    return [with_inputs(graphs[0], chosen[0], inputs, hints)]


def _reads_like_fx(module: ast.ClassDef) -> bool:
    """Whether a forward is one line of statements that frees values, as torch.fx prints it."""
    forward = forward_of(module)
    assert forward is not None, "module_classes gives none without"
    simple = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return, ast.Expr, ast.Pass)
    frees = any(
        isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.Constant)
        and statement.value.value is None
        for statement in forward.body
    )
    return frees and all(isinstance(statement, simple) for statement in forward.body)


# --- inputs -----------------------------------------------------------------------------------------------------------


def _inputs(tree: ast.Module) -> list[Metadata | None]:
    """What the script says of the inputs, in the order of forward's parameters; nothing where it says nothing."""
    for statement in tree.body:
        match statement:
            case ast.FunctionDef(name="load_args", args=ast.arguments(args=[ast.arg(arg=reader), *_]), body=body):
                return list(_loaded(body, reader))
            case ast.FunctionDef(body=body):
                found = _listed(body, "inputs")
                if found:
                    return found
    return _listed(tree.body, "args")


def _loaded(body: list[ast.stmt], reader: str) -> Iterator[Metadata | None]:
    """The inputs that `load_args(reader)` makes, a call of the reader for each.

    `torch._dynamo.debug_utils.InputWriter` writes the calls and `InputReader` says what they mean.
    """
    devices: dict[str, str | None] = {}
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call):
                pass
            case ast.Expr(value=ast.Call() as call):
                name = ""
            case _:
                continue
        match call.func:
            case ast.Attribute(value=ast.Name(id=owner), attr=method) if owner == reader:
                pass
            case _:
                continue
        keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        if method == "storage":
            devices[name] = device_of(keywords.get("device"))
        elif method == "tensor":
            yield _loaded_tensor(call.args, keywords, devices)
        elif method == "symint":
            yield _loaded_symbol(call.args, keywords)
        elif method == "const":
            yield ConstantMeta(None)  # "filtered out during compilation"
        else:
            yield None  # unsupported, generator, opaque


def _loaded_tensor(
    args: list[ast.expr], keywords: dict[str, ast.expr], devices: dict[str, str | None]
) -> Metadata | None:
    storage = args[0].id if args and isinstance(args[0], ast.Name) else ""
    return described(
        args[1] if len(args) > 1 else keywords.get("shape"),
        args[2] if len(args) > 2 else keywords.get("stride"),
        keywords.get("dtype"),
        ast.Constant(devices.get(storage) or "cpu"),
        requires_grad=truth_of(keywords.get("requires_grad")),
    )


def _loaded_symbol(args: list[ast.expr], keywords: dict[str, ast.expr]) -> Metadata | None:
    """`reader.symint(8, expr='s77')`; older torch writes the value alone."""
    match keywords.get("expr"), args:
        case ast.Constant(value=str(expression)), _:
            return SymbolMeta(expression)
        case _, [ast.Constant(value=bool() | int() | float() as value), *_]:
            return _literal(value)
        case _, [ast.Name(id=symbol), *_]:
            return SymbolMeta(symbol)
    return None


def _listed(body: list[ast.stmt], name: str) -> list[Metadata | None]:
    """The tensors of `inputs = [torch.testing.make_tensor(...), ...]` and of older Dynamo's `args = [...]`.

    Older Dynamo wrote `args = [((2, 3), (3, 1), torch.float32, 'cpu', True)]` and made tensors of that in the
    next line, or `args.append(rand_strided(...))`.
    """
    found: list[Metadata | None] = []
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=target)], value=ast.List(elts=elements)) if target == name:
                found = [_listed_input(element) for element in elements]
            case ast.Expr(
                value=ast.Call(func=ast.Attribute(value=ast.Name(id=target), attr="append"), args=[element])
            ) if target == name:
                found.append(_listed_input(element))
    return found


def _listed_input(element: ast.expr) -> Metadata | None:
    match element:
        case ast.Tuple(elts=[ast.Tuple() as shape, ast.Tuple() as stride, dtype, *rest]):
            device = rest[0] if rest else None
            trained = truth_of(rest[1]) if len(rest) > 1 else False
            return described(shape, stride, dtype, device, requires_grad=trained)
        case ast.Constant(value=bool() | int() | float() as value):
            return _literal(value)
    return tensor_of(element)


def _literal(value: int | float) -> Metadata | None:
    """A number as input stands for a symbol with that value; one that is beyond torch's is a mistake."""
    return SymbolMeta(str(value)) if abs(value) < _LARGEST else None


def _hints(tree: ast.Module) -> dict[str, int | float]:
    """The values that symbols had: `s77 = 8` at the top of Inductor's repros, `reader.symint(8, expr='s77')`."""
    found: dict[str, int | float] = {}
    for part in tree.body:
        match part:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=int() | float() as value)):
                _hint(found, name, value)
            case ast.FunctionDef(name="load_args", body=body):
                for statement in body:
                    match statement:
                        case ast.Expr(
                            value=ast.Call(
                                func=ast.Attribute(attr="symint"),
                                args=[ast.Constant(value=int() | float() as value)],
                                keywords=[ast.keyword(arg="expr", value=ast.Constant(value=str(name)))],
                            )
                        ):
                            _hint(found, name, value)
    return found


def _hint(found: dict[str, int | float], name: str, value: int | float) -> None:
    if _SYMBOL.fullmatch(name) and not isinstance(value, bool) and abs(value) < _LARGEST:
        found[name] = value
