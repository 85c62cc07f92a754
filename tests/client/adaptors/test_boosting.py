"""XGBoost and LightGBM train by the service as by their own objectives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from gradient_client import GradientClient, InputError, RejectedInputError
from gradient_client.boosting import lightgbm_objective, xgboost_objective

pytestmark = pytest.mark.full

IMAGES, DIGITS = load_digits(return_X_y=True)
TRAINING, REST = slice(None, 1200), slice(1200, None)
ROUNDS, CLASSES = 20, 10
WEIGHTS = np.linspace(0.5, 1.5, 1200)


def by_xgboost(labels: Any, num_class: int, objective: Any, own: str) -> Any:
    """Margins of the held-out images, trained by the service or by XGBoost's own objective."""
    import xgboost  # noqa: PLC0415 - only this test needs it

    parameters: dict[str, Any] = {"max_depth": 3, "nthread": 1, "disable_default_eval_metric": True}
    parameters |= {"num_class": num_class} if num_class > 1 else {}
    parameters |= {"base_score": 0.0} if objective else {"base_score": 0.5, "objective": own}
    matrix = xgboost.DMatrix(IMAGES[TRAINING], labels[TRAINING], weight=WEIGHTS)
    booster = xgboost.train(parameters, matrix, ROUNDS, obj=objective)
    return booster.predict(xgboost.DMatrix(IMAGES[REST]), output_margin=True)


def by_lightgbm(labels: Any, num_class: int, objective: Any, own: str) -> Any:
    """Margins of the held-out images, trained by the service or by LightGBM's own objective."""
    import lightgbm  # noqa: PLC0415 - only this test needs it

    parameters: dict[str, Any] = {
        "num_class": num_class,
        "verbosity": -1,
        "num_threads": 1,
        "boost_from_average": False,
    }
    parameters |= {"objective": objective or own}
    data = lightgbm.Dataset(IMAGES[TRAINING], labels[TRAINING], weight=WEIGHTS)
    return lightgbm.train(parameters, data, ROUNDS).predict(IMAGES[REST], raw_score=True)


LIBRARIES = {
    "xgboost": (by_xgboost, xgboost_objective, "multi:softprob", "binary:logistic"),
    "lightgbm": (by_lightgbm, lightgbm_objective, "multiclass", "binary"),
}


@pytest.mark.parametrize("name", LIBRARIES)
def test_digits_are_told_apart_as_well(client: GradientClient, name: str) -> None:
    """Ten classes: within 1 % of the accuracy of the library's own objective, and well above chance."""
    train, objective, own, _ = LIBRARIES[name]
    ours, theirs = (train(DIGITS, CLASSES, each, own).argmax(axis=1) for each in (objective(client), None))
    accuracies = [np.mean(found == DIGITS[REST]) for found in (ours, theirs)]
    assert abs(accuracies[0] - accuracies[1]) <= 0.01, accuracies
    assert accuracies[0] > 0.85


@pytest.mark.parametrize("name", LIBRARIES)
def test_two_classes_of_one_margin(client: GradientClient, name: str) -> None:
    """One margin a row: the objective of a sigmoid, with the library's own margins."""
    train, objective, _, own = LIBRARIES[name]
    ours, theirs = (train((DIGITS > 4).astype(float), 1, each, own) for each in (objective(client), None))
    np.testing.assert_allclose(ours, theirs, atol=0.05)


class Examples:
    """Labels as both libraries keep them."""

    def __init__(self, labels: list[float]) -> None:
        self._labels = np.array(labels)

    def get_label(self) -> Any:
        """The labels."""
        return self._labels

    def get_weight(self) -> Any:
        """None."""
        return None


def test_labels_are_whole_numbers(client: GradientClient) -> None:
    """A class between two others is refused with its row."""
    with pytest.raises(InputError, match=r"labels\[1\] is no whole number"):
        xgboost_objective(client)(np.zeros((2, 3)), Examples([1.0, 0.5]))


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_curvature_asked_for_holds_with_one_margin_too(client: GradientClient, name: str) -> None:
    """It reaches the service, which refuses those that a sigmoid has not; left out, it is the library's own."""
    _, objective, _, _ = LIBRARIES[name]
    margins, examples = np.array([1.0, -2.0]), Examples([1.0, 0.0])
    p = 1 / (1 + np.exp(-margins))
    np.testing.assert_allclose(objective(client)(margins, examples)[1], p * (1 - p))
    gradient, curvature = objective(client, curvature="absolute_residual")(margins, examples)
    np.testing.assert_array_equal(curvature, abs(gradient))
    with pytest.raises(RejectedInputError, match="conflicting-fields at /curvature"):
        objective(client, curvature="class_scaled")(margins, examples)


def test_one_margin_may_be_a_column(client: GradientClient) -> None:
    """(N, 1) margins are one a row, and not the one class of a softmax, whose gradient is 0; there may be no rows."""
    objective = xgboost_objective(client)
    rows, column = (objective(margins, Examples([1.0, 0.0])) for margins in (np.zeros(2), np.zeros((2, 1))))
    for one, other in zip(rows, column, strict=True):
        assert one.tolist() == other[:, 0].tolist()
    assert rows[0].tolist() == [-0.5, 0.5]
