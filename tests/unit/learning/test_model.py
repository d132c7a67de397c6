"""What a model's declaration refuses, before anything is trained."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sklearn.linear_model import LogisticRegression

from tests import tiny
from tidemill.errors import ProjectError
from tidemill.features import col
from tidemill.learning import Requests

ORDERS = tiny.LATE_ORDER.requests.stream


@pytest.mark.parametrize("name", ["placed", "shop"])
def test_a_question_is_asked_at_a_time_or_number_of_its_stream(name: str) -> None:
    with pytest.raises(
        ProjectError, match=f"requests on stream 'orders', at: '{name}' is not a number of stream 'orders'; choose of .*placed_at"
    ):
        Requests(ORDERS, at=col(name) + 1)


def test_an_estimator_is_given_as_what_makes_one() -> None:
    with pytest.raises(ProjectError, match="model 'late_order': the estimator is one, and nothing that makes one; write estimator=lambda"):
        replace(tiny.LATE_ORDER, estimator=LogisticRegression())
