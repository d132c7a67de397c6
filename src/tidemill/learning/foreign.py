"""A model that was fitted elsewhere, made to read what ours reads and to say it as ours says it.

```
 one table (n, k)        ─┐                               ┌─ "probabilities" (n, n_classes), also of one column p, as 1 - p and p
 one input a column      ─┼─ inputs (n, 1), by column ─►  ┤
 doubles, whole numbers  ─┘                               └─ or of a number the one output
```
The graph is changed, not the model: what stands between is what the converter made. What comes out is held against what the model said
where it was fitted, on the project's own rows; see `adopt`. Not among what `tidemill.learning` names: the ONNX package takes a second to
import, and only who imports a model needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pandas as pd
from onnx import TensorProto, helper

from tidemill.errors import ExportError, InputError
from tidemill.events import Column, FieldKind
from tidemill.learning.model import Model
from tidemill.learning.scoring import OnnxModel, describe
from tidemill.learning.vectors import Vectors
from tidemill.stores import Class

_OUT = "probabilities"
_OWN = "tidemill_"  # before the names of what is added
_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE)


@dataclass(frozen=True)
class Foreign:
    """What is known of a model that was fitted elsewhere.

    Args:
        onnx: the file.
        columns: of its one table, in order, as the vector calls them; passed over where each of its inputs is a column.
        renamed: the vector's name of an input, where it has another.
        classes: what its probabilities stand for; empty where the file says it, or there are two.
        says: what it says itself of (n,) rows; None where nothing but the file is known.
    """

    onnx: bytes
    columns: Sequence[str] = ()
    renamed: Mapping[str, str] | None = None
    classes: Sequence[Class] = ()
    says: Callable[[pd.DataFrame], npt.NDArray[np.float64]] | None = None


@dataclass(frozen=True)
class Adopted:
    """An ONNX file that serves, and how far it lay from the model it came from; None where there was nothing to compare with."""

    onnx: bytes
    largest_difference: float | None


def refuse_other_columns(model: Model, foreign: Foreign) -> None:
    """Refuse what `adopt` would for the columns that it reads, before there are rows.

    Raises:
        InputError: it reads a column that the vector lacks, or of another kind; the message says what it reads.
    """
    _read_columns(onnx.load_model_from_string(foreign.onnx), model.columns, foreign)


def adopt(model: Model, foreign: Foreign, frame: pd.DataFrame) -> Adopted:
    """Make an ONNX file that reads columns of a model's vector and answers its task.

    Args:
        model: whose versions it is to be one of.
        foreign: the model.
        frame: (n, n_columns) vectors, as the model is asked them, to compare on.

    Raises:
        InputError: it reads a column that the vector lacks, or of another kind; the message says what it reads.
        ExportError: it does not answer the model's task, or its ONNX form says something else than it does.
    """
    proto = onnx.load_model_from_string(foreign.onnx)
    found = foreign.classes or _classes_of(proto)
    _drop_zipmap(proto)
    _read_columns(proto, model.columns, foreign)
    vectors = Vectors.of({name: frame[name].to_numpy() for name in model.columns}, model.columns)
    classes = _answer(proto, model, vectors.feed, found)
    del proto.metadata_props[:]
    helper.set_model_props(proto, describe(model.objective.task, classes))
    content: bytes = proto.SerializeToString()
    said = OnnxModel(content, model.columns).run(vectors)
    if not np.isfinite(said).all():
        raise ExportError(f"it says {said[~np.isfinite(said)][0]} of rows of model {model.name!r}; it has to answer missing values too")
    return Adopted(content, None if foreign.says is None else _compared(model, said, foreign.says(frame)))


def _compared(model: Model, said: npt.NDArray[np.float64], own: npt.NDArray[np.float64]) -> float:
    largest, wrong = model.objective.largest_difference(said, own)
    if wrong.any():
        raise ExportError(f"its ONNX form differs from it on {wrong.sum()} of {len(said)} rows, by up to {largest:.2g}; it cannot serve")
    return largest


def _classes_of(proto: onnx.ModelProto) -> tuple[Class, ...]:
    """The classes that a classifier's node names, as converters write them."""
    for node in proto.graph.node:
        for attribute in node.attribute:
            if attribute.name in ("classlabels_strings", "classlabels_int64s", "classlabels_ints"):
                named = [one.decode() for one in attribute.strings] or [int(one) for one in attribute.ints]
                if named:
                    return tuple(named)
    return ()


def _drop_zipmap(proto: onnx.ModelProto) -> None:
    """A list of dictionaries as output becomes the table that it was made from."""
    graph = proto.graph
    for node in [node for node in graph.node if node.op_type == "ZipMap"]:
        graph.node.remove(node)
        for output in [output for output in graph.output if output.name == node.output[0]]:
            graph.output.remove(output)
            graph.output.append(helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, [None, None]))


def _read_columns(proto: onnx.ModelProto, kinds: Mapping[str, FieldKind], foreign: Foreign) -> None:
    """Give the graph one input (n, 1) for each column that it reads, in place of its own."""
    graph = proto.graph
    held = {one.name for one in graph.initializer}
    inputs = [value for value in graph.input if value.name not in held]
    nodes: list[onnx.NodeProto] = []
    fresh: dict[str, onnx.ValueInfoProto] = {}
    if foreign.columns and len(inputs) == 1:
        _refuse_unknown(foreign.columns, kinds)
        fresh = {name: _value(name, TensorProto.FLOAT) for name in foreign.columns}
        nodes += [helper.make_node("Concat", list(foreign.columns), [f"{_OWN}table"], axis=1)]
        nodes += [_cast(f"{_OWN}table", inputs[0].name, inputs[0].type.tensor_type.elem_type)]
    else:
        named = {value.name: (foreign.renamed or {}).get(value.name, value.name) for value in inputs}
        if len(inputs) == 1 and named[inputs[0].name] not in kinds:
            raise InputError(
                f"it reads one table, {inputs[0].name!r}, and does not say of which columns; name them in its order", where="columns"
            )
        _refuse_unknown(list(named.values()), kinds)
        for value in inputs:
            column, kind = named[value.name], value.type.tensor_type.elem_type
            if (kind == TensorProto.STRING) != (kinds[column] == "text"):
                raise InputError(f"it reads column {column!r} as another kind than {kinds[column]}", where=column)
            inner = value.name if value.name != column else f"{_OWN}{column}"
            if inner != value.name:
                _rename_input(graph, value.name, inner)
            fresh[column] = _value(column, TensorProto.STRING if kind == TensorProto.STRING else TensorProto.FLOAT)
            nodes.append(_cast(column, inner, kind))
    for value in inputs:
        graph.input.remove(value)
    graph.input.extend(fresh.values())
    kept = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(kept)


def _refuse_unknown(names: Sequence[str], kinds: Mapping[str, FieldKind]) -> None:
    unknown = [name for name in names if name not in kinds]
    if unknown:
        what = f"it reads {', '.join(map(repr, unknown))}, which the vector does not have; its columns are {', '.join(kinds)}"
        raise InputError(what, where="columns")


def _value(name: str, kind: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, [None, 1])


def _cast(source: str, target: str, kind: int) -> onnx.NodeProto:
    """From what we feed, float32 or text, to what the graph reads."""
    if kind in (TensorProto.FLOAT, TensorProto.STRING):
        return helper.make_node("Identity", [source], [target])
    return helper.make_node("Cast", [source], [target], to=kind)


def _rename_input(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == old:
                node.input[place] = new


def _answer(proto: onnx.ModelProto, model: Model, feed: Mapping[str, Column], classes: Sequence[Class]) -> Sequence[Class]:
    """Make its answer the one that a model of this task gives; answers the classes that are written beside it."""
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    told = dict(zip(names, session.run(None, {value.name: feed[value.name] for value in session.get_inputs()}), strict=True))
    n_rows = len(next(iter(feed.values())))
    tables = {name: said for name, said in told.items() if isinstance(said, np.ndarray) and said.dtype.kind == "f" and len(said) == n_rows}
    task = model.objective.task
    if not tables:
        raise ExportError(f"it has the outputs {', '.join(names)}, and none tells a number of each row")
    if task == "regression":
        chosen = next((name for name, said in tables.items() if said.size == n_rows), None)
        if chosen is None:
            raise ExportError(f"it tells several numbers of each row, and model {model.name!r} predicts one")
        _end_in(proto, [helper.make_node("Cast", [chosen], ["value"], to=TensorProto.FLOAT)], "value")
        return ()
    chosen = _OUT if _OUT in tables else max(tables, key=lambda name: tables[name].size)
    width = tables[chosen].size // n_rows
    if not (tables[chosen] >= -1e-6).all() or not (tables[chosen] <= 1 + 1e-6).all():
        raise ExportError(f"its output {chosen!r} tells no probabilities: some are below 0 or above 1; export it with its last step")
    if task == "binary":
        if width > 2:
            raise ExportError(f"it tells {width} classes apart, and model {model.name!r} predicts yes or no")
        _end_in(proto, _both(chosen) if width == 1 else _named(chosen), _OUT)
        return ()
    if len(classes) != width:
        raise InputError(f"it tells {width} classes apart and names {len(classes)}; name them in its order", where="classes")
    _end_in(proto, _named(chosen), _OUT)
    return classes


def _named(chosen: str) -> list[onnx.NodeProto]:
    if chosen == _OUT:
        return []
    return [helper.make_node("Cast", [chosen], [_OUT], to=TensorProto.FLOAT)]


def _both(chosen: str) -> list[onnx.NodeProto]:
    """The probability of 1 alone becomes those of 0 and 1."""
    p, one, shape = f"{_OWN}p", f"{_OWN}one", f"{_OWN}shape"
    constants = [
        helper.make_node("Constant", [], [one], value=helper.make_tensor(one, TensorProto.FLOAT, [1], [1.0])),
        helper.make_node("Constant", [], [shape], value=helper.make_tensor(shape, TensorProto.INT64, [2], [-1, 1])),
    ]
    flat, rest = f"{_OWN}flat", f"{_OWN}rest"
    return [
        *constants,
        helper.make_node("Cast", [chosen], [flat], to=TensorProto.FLOAT),
        helper.make_node("Reshape", [flat, shape], [p]),
        helper.make_node("Sub", [one, p], [rest]),
        helper.make_node("Concat", [rest, p], [_OUT if chosen != _OUT else f"{_OWN}both"], axis=1),
    ]


def _end_in(proto: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], output: str) -> None:
    """Append nodes; the last one's output, or the one of this name, is the graph's only one."""
    graph = proto.graph
    graph.node.extend(nodes)
    name = nodes[-1].output[0] if nodes else output
    if name != output:  # its own output has the name already
        for node in graph.node:
            for place, one in enumerate(node.output):
                if one == output:
                    node.output[place] = f"{_OWN}inner"
            for place, one in enumerate(node.input):
                if one == output:
                    node.input[place] = f"{_OWN}inner"
        nodes[-1].output[0] = output
        graph.node[-1].output[0] = output
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, None]))
