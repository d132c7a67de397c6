"""What a caller must be allowed to ask of MLflow and Prefect through this server.

Their pages ask much by POST, so those routes of MLflow 3.17 and Prefect 3.9 that only read are named here, one by one.
Whatever is not named and is no GET asks for `operate`.
"""

from __future__ import annotations

from tidemill.stores import Scope

MLFLOW, PREFECT = "/mlflow", "/prefect"
CONSOLES = (f"{MLFLOW}/", f"{PREFECT}/")

_MLFLOW_READS = (
    "2.0/mlflow/artifacts/presigned-download-url",
    "2.0/mlflow/experiments/search",
    "2.0/mlflow/logged-models/search",
    "2.0/mlflow/registered-models/get-latest-versions",
    "2.0/mlflow/runs/search",
    "3.0/mlflow/datasets/search",
    "3.0/mlflow/issues/search",
    "3.0/mlflow/prompt-optimization/jobs/search",
    "3.0/mlflow/traces/batchGetInfos",
    "3.0/mlflow/traces/calculate-filter-correlation",
    "3.0/mlflow/traces/metrics",
    "3.0/mlflow/traces/search",
)
_PREFECT_READS = (
    "artifacts/count",
    "artifacts/filter",
    "artifacts/latest/count",
    "artifacts/latest/filter",
    "automations/count",
    "automations/filter",
    "automations/templates/validate",
    "block_documents/count",
    "block_schemas/filter",
    "block_types/filter",
    "concurrency_limits/filter",
    "deployments/count",
    "deployments/filter",
    "deployments/paginate",
    "events/count-by/{countable}",
    "events/filter",
    "flow_runs/count",
    "flow_runs/filter",
    "flow_runs/history",
    "flow_runs/lateness",
    "flow_runs/paginate",
    "flow_runs/{id}/input/filter",
    "flows/count",
    "flows/filter",
    "flows/paginate",
    "logs/filter",
    "saved_searches/filter",
    "task_runs/count",
    "task_runs/filter",
    "task_runs/history",
    "task_runs/paginate",
    "task_workers/filter",
    "templates/validate",
    "ui/flow_runs/count-task-runs",
    "ui/flow_runs/history",
    "ui/flows/count-deployments",
    "ui/flows/next-runs",
    "ui/schemas/validate",
    "ui/task_runs/count",
    "ui/task_runs/dashboard/counts",
    "v2/concurrency_limits/filter",
    "variables/count",
    "variables/filter",
    "work_pools/count",
    "work_pools/filter",
    "work_pools/{name}/queues/filter",
    "work_pools/{name}/workers/filter",
    "work_queues/filter",
)
_MORE_THAN_READING = (  # by GET, and yet not for everybody who may read
    f"{MLFLOW}/ajax-api/2.0/mlflow/gateway-proxy",  # asks another server
    f"{PREFECT}/api/block_documents/{{path:path}}",  # with `include_secrets` they hold passwords
    f"{PREFECT}/api/block_types/slug/{{slug}}/block_documents",
    f"{PREFECT}/api/block_types/slug/{{slug}}/block_documents/{{path:path}}",
)


def _console_routes() -> dict[str, Scope | None]:
    mlflow = [f"{MLFLOW}/{kind}/{path}" for kind in ("ajax-api", "api") for path in _MLFLOW_READS]
    prefect = [f"{PREFECT}/api/{path}" for path in _PREFECT_READS]
    reads = [*mlflow, f"{MLFLOW}/graphql", *prefect]  # MLflow's GraphQL changes nothing: its one mutation says what it was told
    whole = [f"{console}{{path:path}}" for console in CONSOLES]
    changes: dict[str, Scope | None] = {f"{method} {path}": "operate" for path in whole for method in ("POST", "PUT", "PATCH", "DELETE")}
    routes: dict[str, Scope | None] = {f"POST {path}": "read" for path in reads}
    routes |= {f"GET {path}": "operate" for path in _MORE_THAN_READING}
    return routes | {f"GET {path}": "read" for path in whole} | changes


CONSOLE_ROUTES = _console_routes()  # the first that fits counts
