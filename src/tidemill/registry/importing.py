"""Models from elsewhere become versions: fetched, made to read the project's columns, held against what they said, registered.

```
 models:/..., runs:/..., a folder of MLflow ─┐  flavor: onnx ─────────────────────────────┐
                                             ├─ lightgbm, xgboost: their own file ── ONNX ─┼─ adopt ─ register ─ challenger
 a file: .onnx, .lgb, .txt, .ubj, .json ─────┘  sklearn: skops; a pickle where trusted ────┘
```
One that becomes no ONNX stays as it is, and is asked in a process of its own: see `importing_pyfunc`.
It is judged by the project's own newest labels, and drift is held against the project's own rows, whatever it was fitted on. Only this act
ever opens a pickle, in the process of whoever asks for it, and only if they say so; servers read ONNX.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tidemill.errors import ExportError, InputError, NotReadyError
from tidemill.learning import Fitted, Model, OnnxModel, TrainingSet
from tidemill.learning.by_parts import from_bytes
from tidemill.learning.fitting import MIN_ROWS
from tidemill.learning.foreign import Foreign, adopt, refuse_other_columns
from tidemill.learning.foreign_fits import of_lightgbm, of_sklearn, of_xgboost
from tidemill.project import Workspace
from tidemill.registry.importing_pyfunc import as_pyfunc, describe
from tidemill.registry.named import CHALLENGER
from tidemill.registry.registry import Registry
from tidemill.registry.training import FITS, About, Made, release_of
from tidemill.stores import Class

_BOOSTERS: Mapping[str, tuple[str, Callable[[Model, Path, Sequence[str]], Foreign]]] = {
    **dict.fromkeys((".lgb", ".txt"), ("lightgbm", of_lightgbm)),
    **dict.fromkeys((".ubj", ".xgb", ".json"), ("xgboost", of_xgboost)),
}
_FLAVORS = ("onnx", "lightgbm", "xgboost", "sklearn")  # the first that a model has: what is nearest to ONNX
_FILES = {"lightgbm": "data", "xgboost": "data", "onnx": "data", "sklearn": "pickled_model"}
_BOOSTED = ("lightgbm.basic.Booster", "lightgbm.sklearn.LGBMClassifier", "lightgbm.sklearn.LGBMRegressor")  # in skops; MLflow has them so
_PYFUNC = "python_function"
_Held = tuple[Made, float | None]  # the model, and how far its ONNX form lies apart from it where that is known
_PICKLES = (".pkl", ".pickle", ".joblib", ".cloudpickle")


@dataclass(frozen=True)
class Import:
    """What is imported.

    Args:
        source: an MLflow URI, a folder that MLflow has written, or a model file.
        columns: of its one table, in order; left out those it names itself.
        renamed: the vector's name of an input of an ONNX file, where it has another.
        classes: what its probabilities stand for, in order, where it does not say so.
        trust_pickle: open it although a pickle runs whatever it holds.
        as_pyfunc: run it with its own code, in a process of its own, although it might become ONNX.
    """

    source: str
    columns: Sequence[str] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    classes: Sequence[Class] = ()
    trust_pickle: bool = False
    as_pyfunc: bool = False


@dataclass(frozen=True)
class Imported:
    """What became of it.

    Args:
        version: its number.
        flavor: what it was.
        figures: its quality on the newest rows; it may have seen them.
        largest_difference: between it and its ONNX form; None where it was one already.
        reads: the columns it reads.
    """

    version: int
    flavor: str
    figures: Mapping[str, float]
    largest_difference: float | None
    reads: Sequence[str]


def import_version(workspace: Workspace, registry: Registry, model: Model, rows: Callable[[], TrainingSet], wanted: Import) -> Imported:
    """Register a model from elsewhere as a version of `model`, and point `challenger` at it; promotes nothing.

    Args:
        workspace: of the project.
        registry: where it is registered, and where URIs are looked up.
        model: of the project.
        rows: makes the labelled rows: the older ones for drift to be held against, the newest for its figures; see `snapshot`. It is
            called once everything is known to be right that can be without them, as they may take minutes.
        wanted: which.

    Raises:
        NotFoundError: there is no such model or file.
        NotReadyError: too few labelled rows.
        InputError: it reads columns that the vector lacks, does not say which, or is a pickle.
        ConflictError: it becomes no ONNX, and models with code of their own are not enabled.
        ExportError: it cannot be converted, or its ONNX form says something else.
    """
    wanted = replace(wanted, classes=[one if model.label.is_text else _whole(one) for one in wanted.classes])
    with TemporaryDirectory() as scratch:
        flavor, held_against = _read(registry, model, registry.fetch(wanted.source, Path(scratch)), wanted)
        train, gate = _parts(model, rows())
        made, apart = held_against(gate)
        said = made.scorer.score(gate.columns, gate.classes)
        fitted = Fitted(None, train, gate, said, model.objective.quality(gate.outcome, said), fits=0)
        name = workspace.project.registered_name(model.name)
        version = registry.register(release_of(workspace, model, fitted, made, _about(wanted, flavor, apart)))
    registry.set_alias(name, CHALLENGER, version)
    return Imported(version, flavor, fitted.quality.figures, apart, made.scorer.reads)


def _parts(model: Model, rows: TrainingSet) -> tuple[TrainingSet, TrainingSet]:
    """The older rows and the newest."""
    train, gate = rows.split(model.policy.gate_ms)
    for part, name in ((train, "hold drift against"), (gate, "judge it by")):
        if len(part) < MIN_ROWS:
            raise NotReadyError(f"model {model.name!r} has {len(part)} labelled rows to {name}; {MIN_ROWS} are needed, import it later")
    return train, gate


def _whole(one: Class) -> int:
    """A class that came as text, of a label of whole numbers."""
    try:
        return int(one)
    except ValueError as error:
        raise InputError(f"{one!r} is no whole number, as the label's classes are", where="--classes") from error


def _without_secrets(source: str) -> str:
    """A source without user and password.

    >>> _without_secrets("https://ann:secret@models.example.com/m"), _without_secrets("models:/late/3")
    ('https://models.example.com/m', 'models:/late/3')
    """
    return re.sub(r"(?<=://)[^/@]*@", "", source)


def _about(wanted: Import, flavor: str, apart: float | None) -> About:
    metrics = {} if apart is None else {"onnx_largest_difference": apart}
    tags = {
        "trigger": "import",
        "imported_from": _without_secrets(wanted.source),
        "flavor": flavor,
        FITS: "0",
        "window": "imported",
        "refitted": "false",
    }
    return About({"estimator": f"imported ({flavor})"}, metrics, tags)


def _read(registry: Registry, model: Model, path: Path, wanted: Import) -> tuple[str, Callable[[TrainingSet], _Held]]:
    """What kind it is, and what makes it one of ours by the newest rows."""
    about = None if path.is_file() else _read_about(path)
    if about is not None and _PYFUNC in about.flavors and (wanted.as_pyfunc or not set(_FLAVORS) & set(about.flavors)):
        pyfunc = describe(model, path, wanted.columns or _columns_of(about), wanted.renamed, wanted.classes)
        scorer = registry.open_pyfunc(pyfunc, model.columns, wanted.source)
        return "pyfunc", lambda gate: (as_pyfunc(model, pyfunc, scorer, wanted.source, gate), None)
    if wanted.as_pyfunc:
        raise InputError("only a model that MLflow has written, with its flavor python_function, runs as one", where="--pyfunc")
    flavor, foreign = _foreign(model, path, about, wanted)
    refuse_other_columns(model, foreign)
    return flavor, lambda gate: _adopted(model, foreign, gate)


def _adopted(model: Model, foreign: Foreign, gate: TrainingSet) -> _Held:
    adopted = adopt(model, foreign, gate.frame())
    return Made(OnnxModel(adopted.onnx, model.columns), adopted.onnx), adopted.largest_difference


def _read_about(path: Path) -> Any:
    from mlflow.models import Model as MlflowModel

    return MlflowModel.load(str(path))


def _foreign(model: Model, path: Path, about: Any, wanted: Import) -> tuple[str, Foreign]:
    """What kind it is, and the model."""
    if about is None:
        return _of_file(model, path, wanted, wanted.columns)
    flavor = next((one for one in _FLAVORS if one in about.flavors), None)
    if flavor is None:
        known = ", ".join(sorted(about.flavors))
        raise ExportError(f"{wanted.source} has the flavors {known}; those that become ONNX are {', '.join(_FLAVORS)}")
    columns = wanted.columns or _columns_of(about)
    file = path / str(about.flavors[flavor].get(_FILES[flavor], ""))
    return flavor, _of_file(model, file, wanted, columns)[1]


def _columns_of(about: Any) -> Sequence[str]:
    """The names of the columns of one table, where its signature tells them."""
    signature = about.signature
    if signature is None or signature.inputs is None or signature.inputs.is_tensor_spec():
        return ()
    return [name for name in signature.inputs.input_names() if isinstance(name, str)]


def _of_file(model: Model, path: Path, wanted: Import, columns: Sequence[str]) -> tuple[str, Foreign]:
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        return "onnx", Foreign(path.read_bytes(), columns, wanted.renamed, wanted.classes)
    if suffix in _BOOSTERS:
        flavor, read = _BOOSTERS[suffix]
        return flavor, _with_classes(read(model, path, columns), wanted)
    estimator = _estimator(path, wanted)
    for flavor, save in (("lightgbm", "booster_"), ("xgboost", "get_booster")):
        if hasattr(estimator, save):
            return flavor, _with_classes(_of_booster(model, estimator, flavor, columns), wanted)
    return "sklearn", _with_classes(of_sklearn(model, estimator, columns), wanted)


def _of_booster(model: Model, estimator: Any, flavor: str, columns: Sequence[str]) -> Foreign:
    """What LightGBM's and XGBoost's estimators hold, by way of their own file."""
    booster = estimator.booster_ if flavor == "lightgbm" else estimator.get_booster()
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / ("model.lgb" if flavor == "lightgbm" else "model.ubj")
        booster.save_model(str(file))
        foreign = _BOOSTERS[file.suffix][1](model, file, columns)
    several = model.objective.task == "multiclass"
    return replace(foreign, classes=[one.item() if hasattr(one, "item") else one for one in estimator.classes_] if several else ())


def _with_classes(foreign: Foreign, wanted: Import) -> Foreign:
    return replace(foreign, classes=wanted.classes) if wanted.classes else foreign


def _estimator(path: Path, wanted: Import) -> Any:
    """An estimator from a skops file, whose types are looked at first; or from a pickle, where that is trusted."""
    if path.suffix.lower() == ".skops":
        return from_bytes(path.read_bytes(), path.name, _BOOSTED, "have it saved as ONNX, or in its library's own format")
    if path.suffix.lower() not in _PICKLES:
        known = ", ".join([".onnx", *_BOOSTERS, ".skops", *_PICKLES])
        raise InputError(f"{path.name!r} is none of {known}", where="source")
    if not wanted.trust_pickle:
        what = f"{path.name!r} is a pickle, and opening one runs whatever it holds, as you"
        raise InputError(f"{what}; if it is your own say --trust-pickle, else have it saved as skops or ONNX", where="source")
    import joblib

    return joblib.load(path)
