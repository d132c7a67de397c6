"""The command `import`: a model that was fitted elsewhere becomes a version."""

from __future__ import annotations

from typing import Annotated

import typer

from tidemill.cli.acts import acted
from tidemill.cli.options import AsJson, ModelName, ProjectPath, print_json, settings_for, workspace_for
from tidemill.cli.terminal import terminal
from tidemill.errors import InputError


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command(name="import")(import_)


def import_(
    model: ModelName,
    source: Annotated[
        str, typer.Argument(help="models:/NAME/VERSION, runs:/RUN/PATH, a folder of MLflow, or a file: .onnx .lgb .ubj .json .skops ...")
    ],
    columns: Annotated[
        str, typer.Option(help="The columns of its one table, in its order, commas between; by default those it names.")
    ] = "",
    rename: Annotated[
        list[str] | None, typer.Option(help="INPUT=COLUMN, where an input of an ONNX file has another name than the column; repeat it.")
    ] = None,
    classes: Annotated[str, typer.Option(help="Of several classes their names, in its order, where it does not say them.")] = "",
    trust_pickle: Annotated[bool, typer.Option("--trust-pickle", help="Open a pickle, which runs whatever it holds, as you.")] = False,
    pyfunc: Annotated[
        bool, typer.Option("--pyfunc", help="Run it with its own code, in a process of its own, where its ONNX form would not do.")
    ] = False,
    project: ProjectPath = None,
    json_: AsJson = False,
) -> None:
    """Make a version of a model that was fitted elsewhere: ONNX, LightGBM, XGBoost or scikit-learn, from MLflow or a file.

    It is converted to ONNX, held against what it says itself on your labelled rows, judged by the newest of them, and registered
    as challenger. What becomes no ONNX (MLflow's python_function) runs in a process of its own, where TIDEMILL_PYFUNC__ENABLED=true
    says that its code may run here.

    It serves nothing yet: `tidemill release` tries it on live traffic, `tidemill promote` makes it the champion.
    """
    settings = settings_for(project)
    workspace = workspace_for(settings)
    wanted = workspace.project.model(model)
    from tidemill.registry import Registry, snapshot  # here: the converters take seconds to import
    from tidemill.registry.importing import Import, import_version

    registry = Registry(settings.mlflow_uri, workspace.home, settings.pyfunc)
    named = _pairs(rename or [])
    asked = Import(source, _listed(columns), named, _listed(classes), trust_pickle, pyfunc)
    found = import_version(workspace, registry, wanted, lambda: snapshot(workspace, wanted), asked)
    acted(workspace, "import", wanted.name, f"version {found.version} of {source}")
    if json_:
        print_json(found)
        return
    figures = ", ".join(f"{name} {value:.4f}" for name, value in found.figures.items())
    apart = "" if found.largest_difference is None else f", its ONNX form at most {found.largest_difference:.1g} apart from it"
    console = terminal()
    console.print(f"version {found.version} of {wanted.name}: {found.flavor}, reads {len(found.reads)} columns{apart}")
    console.print(f"on the newest labelled rows, which it may have seen: {figures}")
    console.print(f"try it: tidemill release {wanted.name} --shadow {found.version}, or tidemill promote {wanted.name} {found.version}")


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _pairs(given: list[str]) -> dict[str, str]:
    found = dict(one.split("=", 1) for one in given if "=" in one)
    if len(found) != len(given):
        raise InputError("say INPUT=COLUMN", where="--rename")
    return found
