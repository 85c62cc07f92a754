"""scikit-learn scores by the service: `log_loss` where that is right, and the number where it is not."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score
from sklearn.tree import DecisionTreeClassifier

from gradient_client import GradientClient, InputError
from gradient_client.sklearn import ResponseMethod, log_loss_scorer

pytestmark = pytest.mark.full

IMAGES, DIGITS = load_digits(return_X_y=True)
NAMES = np.array([f"digit {number}" for number in range(10)])[DIGITS]


@pytest.fixture(scope="module")
def model() -> Any:
    """A classifier of images into names, unsure enough that `log_loss` loses little."""
    return LogisticRegression(C=1e-4, max_iter=200).fit(IMAGES[:1000], NAMES[:1000])


@pytest.mark.parametrize("method", ["predict_proba", "decision_function"])
@pytest.mark.parametrize("weights", [None, np.linspace(0, 2, 797)])
def test_the_score_is_that_of_log_loss(
    client: GradientClient, model: Any, method: ResponseMethod, weights: Any
) -> None:
    """Ten classes with names, with weights and without."""
    scorer = log_loss_scorer(client, response_method=method)
    score = scorer(model, IMAGES[1000:], NAMES[1000:], sample_weight=weights)
    expected = -log_loss(NAMES[1000:], model.predict_proba(IMAGES[1000:]), sample_weight=weights)
    assert score == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("method", ["predict_proba", "decision_function"])
def test_two_classes(client: GradientClient, method: ResponseMethod) -> None:
    """The one score of two classes is that of the second."""
    classes = DIGITS % 2
    model = LogisticRegression(C=1e-4, max_iter=200).fit(IMAGES, classes)
    score = log_loss_scorer(client, response_method=method)(model, IMAGES, classes)
    assert score == pytest.approx(-log_loss(classes, model.predict_proba(IMAGES)), rel=1e-12)


def test_a_confident_model(client: GradientClient) -> None:
    """Where probabilities round to 1 `log_loss` says 0; the decision function still tells the loss."""
    model = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
    model.coef_ = np.array([[50.0]])
    score = log_loss_scorer(client, response_method="decision_function")(model, [[1.0]], [1])
    assert score == pytest.approx(-math.exp(-50), rel=1e-4)
    assert log_loss([1], model.predict_proba([[1.0]]), labels=[0, 1]) < 1e-15 / 2


def test_an_impossible_class(client: GradientClient) -> None:
    """A true class of probability 0 costs infinitely much, and is not clipped."""
    tree = DecisionTreeClassifier().fit([[0.0], [1.0]], ["a", "b"])
    assert log_loss_scorer(client)(tree, [[0.0], [1.0]], ["a", "b"]) == 0.0
    assert log_loss_scorer(client)(tree, [[0.0], [1.0]], ["a", "a"]) == -math.inf


def test_an_unknown_class(client: GradientClient, model: Any) -> None:
    """A class that the estimator has not seen is refused with its row."""
    with pytest.raises(InputError, match=r"classes\[1\]"):
        log_loss_scorer(client)(model, IMAGES[:2], [NAMES[0], "digit 10"])


def test_cross_validation_takes_it(client: GradientClient) -> None:
    """scikit-learn calls it as any scorer, also as a copy in another process."""
    scorer = pickle.loads(pickle.dumps(log_loss_scorer(client)))  # noqa: S301 - our own object
    model = LogisticRegression(C=1e-4, max_iter=200)
    ours = cross_val_score(model, IMAGES, DIGITS, scoring=scorer, cv=3)
    theirs = cross_val_score(model, IMAGES, DIGITS, scoring="neg_log_loss", cv=3)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    scorer.client.close()
