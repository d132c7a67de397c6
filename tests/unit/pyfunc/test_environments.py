"""The environment of a model: what is installed in it, by which Python, and that it is made once."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tidemill.errors import ExportError, NotReadyError
from tidemill.pyfunc import About, Place, open_model
from tidemill.pyfunc.environments import find_python, make_environment, python_of, requirements_of
from tidemill.settings import PyfuncSettings


def model(folder: Path, requirements: str, mlmodel: str = "mlflow_version: 3.17.2\n") -> Path:
    (folder / "MLmodel").write_text(mlmodel)
    (folder / "requirements.txt").write_text(requirements)
    return folder


def test_an_environment_holds_what_the_model_asks_for_and_what_asks_it(tmp_path: Path) -> None:
    asked = "# made by MLflow\nscikit-learn==1.9.0  # fitted with it\n\npyarrow>=20\n"
    assert requirements_of(model(tmp_path, asked)) == ["scikit-learn==1.9.0", "pyarrow>=20", "mlflow==3.17.2", "pandas"]
    assert requirements_of(model(tmp_path, "MLflow_skinny==3.1\npandas\n")) == ["MLflow_skinny==3.1", "pandas", "pyarrow"]


@pytest.mark.parametrize(
    "line", ["-r more.txt", "--index-url https://example.com", "git+https://example.com/a.git", "a @ https://example.com/a.whl", "./a"]
)
def test_a_model_does_not_say_where_packages_come_from(tmp_path: Path, line: str) -> None:
    with pytest.raises(ExportError, match=r"only packages by name and version .* TIDEMILL_PYFUNC__ENVIRONMENT"):
        requirements_of(model(tmp_path, f"mlflow\n{line}\n"))


@pytest.mark.parametrize("more", ["--index-url https://example.com", "--no-binary pandas", "# a note"])
def test_nor_does_the_version_of_mlflow_that_it_was_made_with(tmp_path: Path, more: str) -> None:
    with pytest.raises(ExportError, match="only packages by name and version"):
        requirements_of(model(tmp_path, "pandas\n", f'mlflow_version: "9.9\\n{more}"\n'))


def test_the_python_is_the_one_that_the_model_was_made_with(tmp_path: Path) -> None:
    (tmp_path / "python_env.yaml").write_text("python: 3.12.4\n")
    assert python_of(tmp_path) == "3.12"
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert python_of(tmp_path / "none") == own
    assert find_python(own, None).exists()
    with pytest.raises(NotReadyError, match=r"no Python 2\.6 .*was found \(looked at /usr/bin/python2\.6.*set TIDEMILL_PYFUNC__PYTHON"):
        find_python("2.6", None)


@pytest.mark.skipif(os.getuid() != 0 or not Path("/usr/bin/python3").exists(), reason="only root gives models another user")
def test_a_folder_that_a_models_user_may_not_enter_is_told_before_an_environment_is_made(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    about = About("binary", (), {"amount": "amount"})
    settings = PyfuncSettings(enabled=True, python="/usr/bin/python3")
    with pytest.raises(NotReadyError, match=r"may not enter .*; set TIDEMILL_PYFUNC__FOLDER to one that it may"):
        open_model(model(tmp_path, "no-such-package==1"), about, {"amount": "number"}, Place(settings, tmp_path / "home", "m"))
    assert not (tmp_path / "home" / "pyfunc" / "environments").exists()


def test_it_is_made_once_of_wheels_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel(tmp_path, "tellers", "1.5", "SAYS = 42\n")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    made = make_environment(["tellers==1.5"], Path(sys.executable), tmp_path / "environments")
    told = subprocess.run([made, "-I", "-c", "import tellers; print(tellers.SAYS)"], capture_output=True, text=True, check=True)
    assert told.stdout == "42\n"
    (tmp_path / "tellers-1.5-py3-none-any.whl").unlink()
    assert make_environment(["tellers==1.5"], Path(sys.executable), tmp_path / "environments") == made
    with pytest.raises(NotReadyError, match=r"the model's environment was not made: .*tellers==2\.0"):
        make_environment(["tellers==2.0"], Path(sys.executable), tmp_path / "environments")


def wheel(folder: Path, name: str, version: str, content: str) -> None:
    """A wheel of one module."""
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": content,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    sums = {path: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode() for path, text in files.items()}
    files[f"{about}/RECORD"] = "".join(f"{path},sha256={sums[path]},{len(files[path])}\n" for path in sums) + f"{about}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
