"""The registry: an adapter to MLflow, for versions, aliases, their files, and reports."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.errors import NotFoundError, UnavailableError
from tidemill.events import FieldKind
from tidemill.learning import OnnxModel, Scorer
from tidemill.pyfunc import Place, open_model, refuse_links
from tidemill.registry.named import (
    CANARY,
    CANARY_PERCENT,
    CHAMPION,
    FROZEN,
    PREVIOUS,
    SHADOW,
    Named,
    held_aliases,
    hold_aliases,
    percent_of,
)
from tidemill.registry.release import Pyfunc, Release
from tidemill.registry.version import ABOUT_FILE, ONNX_FILE, PYFUNC_FOLDER, Version
from tidemill.settings import PyfuncSettings
from tidemill.stores.held_versions import held_folder

if TYPE_CHECKING:  # MLflow takes seconds to import, and most processes that could ask it never do
    import pandas as pd
    from mlflow import MlflowClient, exceptions
    from mlflow.models import ModelSignature

_OURS = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS")  # asked again they come again
KEPT_REPORTS = 20
REPORT = "report.html"  # the first page of a report, which links lead to


class Registry:
    """Versions of registered models in one MLflow server; files are cached in `home` by version, which never changes.

    Args:
        uri: of the server.
        home: where files are held.
        pyfunc: whether and how models with code of their own run; by default they do not.

    Raises:
        UnavailableError: from every method, when the server cannot be reached.
    """

    def __init__(self, uri: str, home: Path, pyfunc: PyfuncSettings | None = None) -> None:
        self._uri = uri
        self._home = home
        self._pyfunc = pyfunc or PyfuncSettings()
        self._named: dict[str, Named] = {}
        self._listeners: list[Callable[[], None]] = []

    @cached_property
    def _client(self) -> MlflowClient:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)

    def get_ready(self) -> None:
        """Import MLflow now, as somebody would wait for it later; the server need not be up."""
        _ = self._client

    def listen(self, moved: Callable[[], None]) -> None:
        """Have a function called each time this process has moved an alias; other processes look for themselves."""
        self._listeners.append(moved)

    def register(self, release: Release) -> int:
        """Log a run with everything known of a model, register the model, answer its version."""
        try:
            return self._register(release)
        except (_fault(), OSError) as error:
            if isinstance(error, _fault()) and error.error_code in _OURS:
                raise
            raise UnavailableError(f"MLflow at {self._uri} did not take the new version of {release.name!r}: {error}") from error

    def alias(self, name: str, alias: str) -> int | None:
        """The version an alias points at; None when there is no such model or alias."""
        try:
            return int(self._client.get_model_version_by_alias(name, alias).version)
        except _fault() as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise UnavailableError(
                f"MLflow at {self._uri} cannot be asked for {name!r}: {error.error_code}; is it up? See `tidemill doctor`"
            ) from error

    def named(self, name: str) -> Named:
        """All aliases of a registered model at once; this home remembers them for when the server is down."""
        try:
            found = self._client.get_registered_model(name)
        except _fault() as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return Named({})
            raise UnavailableError(
                f"MLflow at {self._uri} cannot be asked for {name!r}: {error.error_code}; is it up? See `tidemill doctor`"
            ) from error
        named = Named(
            {alias: int(version) for alias, version in found.aliases.items()}, percent_of(dict(found.tags).get(CANARY_PERCENT, ""))
        )
        if self._named.get(name) != named:
            hold_aliases(self._home, name, named)
            self._named[name] = named
        return named

    def held(self, name: str) -> Named | None:
        """What the aliases named when this home last asked; None if it never has."""
        return held_aliases(self._home, name)

    def set_canary_percent(self, name: str, percent: float) -> None:
        """Set the share of keys that the canary answers."""
        try:
            self._client.set_registered_model_tag(name, CANARY_PERCENT, f"{percent:g}")
        except _fault() as error:
            raise UnavailableError(f"MLflow at {self._uri} did not set the canary's share of {name!r}: {error.error_code}") from error
        self._moved()

    def drop_alias(self, name: str, alias: str) -> None:
        """Let an alias name nothing; one that does not is left alone. A canary's share goes with it."""
        try:
            self._client.delete_registered_model_alias(name, alias)
            if alias == CANARY:
                self._client.delete_registered_model_tag(name, CANARY_PERCENT)
        except _fault() as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise UnavailableError(f"MLflow at {self._uri} did not drop {alias!r} of {name!r}: {error.error_code}") from error
        self._moved()

    def check_version(self, name: str, version: int) -> None:
        """See that there is a version, before anything is changed for it.

        Raises:
            NotFoundError: there is none.
        """
        self._run_of(name, version)

    def _run_of(self, name: str, version: int) -> str:
        """The run that made a version; "" where none did."""
        try:
            return str(self._client.get_model_version(name, str(version)).run_id or "")
        except _fault() as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise NotFoundError(f"version of {name!r}", str(version), [str(number) for number in self.versions(name)]) from error
            raise UnavailableError(f"MLflow at {self._uri} did not tell of version {version} of {name!r}: {error.message}") from error

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """Point an alias at a version.

        Raises:
            NotFoundError: there is no such version.
        """
        try:
            self._client.set_registered_model_alias(name, alias, str(version))
        except _fault() as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise NotFoundError(f"version of {name!r}", str(version), [str(number) for number in self.versions(name)]) from error
            raise UnavailableError(f"MLflow at {self._uri} did not set {alias!r} of {name!r}: {error.error_code}") from error
        self._moved()

    def promote(self, name: str, version: int) -> int | None:
        """Make a version the champion, the champion so far the previous; answers the latter. The first champion is also `frozen`.

        A version that was tried as shadow or canary is tried no more.

        Killed in between it is done again, as each step may be done twice. `previous` moves first: were it last, a promotion that was
        taken for done, as its version is the champion, would leave it where it was.

        Raises:
            NotFoundError: there is no such version; nothing was changed.
        """
        self.check_version(name, version)
        named = self.named(name).versions
        champion = named.get(CHAMPION)
        if champion is not None and champion != version:
            self.set_alias(name, PREVIOUS, champion)
        self.set_alias(name, CHAMPION, version)
        if FROZEN not in named:
            self.set_alias(name, FROZEN, version)
        for alias in (SHADOW, CANARY):
            if named.get(alias) == version:
                self.drop_alias(name, alias)
        return named.get(PREVIOUS) if champion == version else champion

    def versions(self, name: str) -> list[int]:
        """All versions of a registered model, rising."""
        try:
            found = self._client.search_model_versions(f"name = '{_quoted(name)}'", max_results=1_000)
        except _fault() as error:
            raise UnavailableError(f"MLflow at {self._uri} cannot list {name!r}: {error.error_code}; is it up?") from error
        return sorted(int(version.version) for version in found)

    def load(self, name: str, number: int) -> Version:
        """A version with its files here, downloaded once; anew where its number stands for another by now, as MLflow was begun anew."""
        folder = held_folder(self._home, name, number)
        if (folder / "version.json").is_file() and self._is_of_another(name, number, folder):
            with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as aside, suppress(OSError):
                folder.rename(Path(aside) / folder.name)  # at once; another process may have been first
        if not (folder / "version.json").is_file():
            self._download(name, number, folder)
        about = json.loads((folder / "version.json").read_text())
        return Version(name, number, about["run_id"], folder, about["tags"])

    def _is_of_another(self, name: str, number: int, folder: Path) -> bool:
        """Whether files that are held are of another run than MLflow says now; not asked while it has not answered this process."""
        if name not in self._named:
            return False
        held = json.loads((folder / "version.json").read_text())["run_id"]
        try:
            return self._run_of(name, number) not in ("", held)
        except (NotFoundError, UnavailableError):
            return False

    def open(self, version: Version, columns: Mapping[str, FieldKind]) -> Scorer:
        """A version that can be asked. One with code of its own is asked in a process that ends with what is answered here.

        Raises:
            ConflictError: it has code of its own, and that is not enabled.
            NotReadyError: its environment cannot be made.
            UnavailableError: its process does not start.
        """
        about = version.about
        if about is None:
            return OnnxModel(version.onnx, columns)
        return self.open_pyfunc(Pyfunc(version.folder / PYFUNC_FOLDER, about), columns, f"version {version.number} of {version.name!r}")

    def open_pyfunc(self, model: Pyfunc, columns: Mapping[str, FieldKind], what: str) -> Scorer:
        """The same of a model that is no version yet."""
        return open_model(model.folder, model.about, columns, Place(self._pyfunc, self._home, what))

    def fetch(self, source: str, folder: Path) -> Path:
        """The files of a model that is not ours: a path of this machine as it is, or an MLflow URI downloaded into `folder`.

        Raises:
            NotFoundError: there is no such file, or no such model.
        """
        if Path(source).exists():
            return Path(source)
        if ":/" not in source:
            raise NotFoundError("file", source)
        import mlflow

        mlflow.set_tracking_uri(self._uri)
        try:
            return Path(mlflow.artifacts.download_artifacts(source, dst_path=str(folder)))
        except _fault() as error:
            if error.error_code in _OURS:
                raise NotFoundError("model", f"{source} in MLflow at {self._uri}") from error
            raise UnavailableError(f"MLflow at {self._uri} did not give {source}: {error.message}") from error

    def log_report(self, name: str, run_name: str, pages: Mapping[str, str], metrics: Mapping[str, float], tags: Mapping[str, str]) -> str:
        """Keep the pages of a report beside the model, by file name, the newest 20 reports; answers its run's id."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        experiment = self._experiment(f"{name}.reports")
        run = self._client.create_run(experiment, run_name=run_name, tags=dict(tags))
        run_id: str = run.info.run_id
        for key, value in metrics.items():
            self._client.log_metric(run_id, key, value)
        for file, html in pages.items():
            self._client.log_text(run_id, html, file)
        self._client.set_terminated(run_id)
        kept = self._client.search_runs([experiment], order_by=["attributes.start_time DESC"], max_results=KEPT_REPORTS + 50)
        for old in kept[KEPT_REPORTS:]:
            files = get_artifact_repository(old.info.artifact_uri, tracking_uri=self._uri)
            for page in self._client.list_artifacts(old.info.run_id):
                files.delete_artifacts(page.path)  # type: ignore[no-untyped-call]  # mlflow has no types here
            self._client.delete_run(old.info.run_id)
        return run_id

    def report_url(self, run_id: str) -> str:
        """Where a person reads a report."""
        return f"{self.run_url(run_id)}/artifacts/{REPORT}"

    def run_url(self, run_id: str) -> str:
        """Where a person sees a run."""
        return f"{self._uri}/#/experiments/{self._client.get_run(run_id).info.experiment_id}/runs/{run_id}"

    def version_url(self, name: str, number: int) -> str:
        """Where a person sees the run that a version was trained in."""
        run_id = self._run_of(name, number)
        try:
            return self.run_url(run_id)
        except _fault() as error:
            raise UnavailableError(f"MLflow at {self._uri} did not tell of version {number} of {name!r}: {error.message}") from error

    def _moved(self) -> None:
        for moved in self._listeners:
            moved()

    def _register(self, release: Release) -> int:
        import mlflow.onnx
        import onnx
        from mlflow.data.delta_dataset_source import DeltaDatasetSource
        from mlflow.data.meta_dataset import MetaDataset

        mlflow.set_tracking_uri(self._uri)
        mlflow.set_experiment(release.name)
        with mlflow.start_run(run_name=release.run_name) as run:
            mlflow.log_params(dict(release.params))
            mlflow.log_metrics(dict(release.metrics))
            mlflow.set_tags(dict(release.tags))
            source = DeltaDatasetSource(path=str(release.dataset.folder), delta_table_version=release.dataset.version)
            mlflow.log_input(
                MetaDataset(  # type: ignore[abstract]  # its `profile` is optional at run time
                    source, name=release.dataset.name, digest=release.dataset.digest
                ),
                context="training",
            )
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "reference.json").write_text(release.reference)
                release.sample.to_parquet(Path(folder) / "sample.parquet")
                if isinstance(release.content, Pyfunc):
                    (Path(folder) / ABOUT_FILE).write_text(release.content.about.to_json())
                mlflow.log_artifacts(folder, "reference")
            if isinstance(release.content, Pyfunc):
                return self._keep_folder(release, run.info.run_id, release.content.folder)
            info = mlflow.onnx.log_model(
                onnx.load_model_from_string(release.content),
                name="model",
                signature=_signature(release.example),
                registered_model_name=release.name,
                pip_requirements=["onnxruntime"],
                await_registration_for=60,
            )
        return int(info.registered_model_version)

    def _keep_folder(self, release: Release, run_id: str, folder: Path) -> int:
        """Register a folder of a run as it is: MLflow's own ways to log a pyfunc load it."""
        name = release.name
        self._client.log_artifacts(run_id, str(folder), PYFUNC_FOLDER)
        try:
            self._client.create_registered_model(name)
        except _fault() as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        return int(self._client.create_model_version(name, f"runs:/{run_id}/{PYFUNC_FOLDER}", run_id=run_id).version)

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self._client.create_experiment(name))

    def _download(self, name: str, number: int, folder: Path) -> None:
        import mlflow

        try:
            version = self._client.get_model_version(name, str(number))
            run_id = str(version.run_id)
            run = self._client.get_run(run_id)
            tags = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")}
            folder.parent.mkdir(parents=True, exist_ok=True)
            with (
                tempfile.TemporaryDirectory() as scratch,
                tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as ready,
            ):
                mlflow.set_tracking_uri(self._uri)
                model = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{number}", dst_path=f"{scratch}/model"))
                reference = Path(self._client.download_artifacts(run_id, "reference", scratch))
                if (reference / ABOUT_FILE).is_file():
                    refuse_links(model)
                    shutil.copytree(model, Path(ready) / PYFUNC_FOLDER)
                else:
                    shutil.copy(model / ONNX_FILE, ready)
                for file in reference.iterdir():
                    shutil.copy(file, ready)
                (Path(ready) / "version.json").write_text(json.dumps({"run_id": version.run_id, "tags": tags}))
                with suppress(OSError):  # another process was first; a version never changes, so its files serve as well
                    Path(ready).rename(folder)
        except (_fault(), OSError) as error:
            raise UnavailableError(f"MLflow at {self._uri} did not give version {number} of {name!r}: {error}") from error


def _fault() -> type[exceptions.MlflowException]:
    """What MLflow raises; looked up when something was raised, and by then it is imported."""
    from mlflow.exceptions import MlflowException

    return MlflowException


def _signature(example: pd.DataFrame) -> ModelSignature:
    from mlflow.models import infer_signature

    numbers = example.select_dtypes("number").astype("float32")
    return infer_signature(example.assign(**{name: numbers[name] for name in numbers}))


def _quoted(name: str) -> str:
    return name.replace("'", "''")
