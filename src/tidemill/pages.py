"""Where people see MLflow and Prefect: behind the API server's login, or where the settings say that they are reached by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from tidemill.settings import Settings


@dataclass(frozen=True)
class Pages:
    """Addresses for people.

    Args:
        mlflow: of MLflow's page, without a slash at the end.
        prefect: of Prefect's page, likewise.
        alerts: of the alerts on ours.
        mlflow_uri: where programs ask MLflow; what is stored as a link begins with it.

    >>> Pages.of(Settings()).mlflow, Pages.of(Settings(), "https://ml.example.com").prefect
    ('/mlflow', 'https://ml.example.com/prefect')
    """

    mlflow: str
    prefect: str
    alerts: str
    mlflow_uri: str

    @classmethod
    def of(cls, settings: Settings, server: str = "") -> Pages:
        """As seen from a page of the API server, or from elsewhere.

        Args:
            settings: where all are.
            server: the API server's address, for a link that is read elsewhere.
        """
        mlflow, prefect = settings.mlflow.page.rstrip("/"), settings.prefect.page.rstrip("/")
        return cls(mlflow or f"{server}/mlflow", prefect or f"{server}/prefect", f"{server}/#alerts", settings.mlflow_uri.rstrip("/"))

    @classmethod
    def abroad(cls, settings: Settings) -> Pages:
        """As seen from a message or a terminal."""
        return cls.of(settings, settings.public_url)

    def shown(self, link: str) -> str:
        """A stored link as a person follows it: what MLflow's own address begins leads to its page.

        >>> Pages.of(Settings()).shown("http://127.0.0.1:5000/#/experiments/1/runs/r7"), Pages.of(Settings()).shown("https://elsewhere/")
        ('/mlflow/#/experiments/1/runs/r7', 'https://elsewhere/')
        """
        begins = f"{self.mlflow_uri}/"
        return f"{self.mlflow}/{link.removeprefix(begins)}" if link.startswith(begins) else link

    def flow_run(self, flow_run_id: str | None) -> str | None:
        """The flow run in Prefect; None if there was none (a retrain by hand makes up its id).

        >>> Pages.of(Settings()).flow_run("123e4567-e89b-12d3-a456-426614174000")
        '/prefect/runs/flow-run/123e4567-e89b-12d3-a456-426614174000'
        >>> Pages.of(Settings()).flow_run("by hand") is None
        True
        """
        try:
            return f"{self.prefect}/runs/flow-run/{UUID(flow_run_id or '')}"
        except ValueError:
            return None
