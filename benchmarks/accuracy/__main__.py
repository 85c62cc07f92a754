"""The largest error of each output in ulp, for this service, PyTorch, SciPy and JAX on the same row families.

`make accuracy` rewrites docs/accuracy.md. Every computation is given the same rows and held against the
arbitrary-precision reference of the tests.
"""

import math
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy._core._multiarray_umath import __cpu_features__
from tqdm import tqdm

from benchmarks.accuracy.libraries import Case, Outputs, by_jax, by_scipy, by_service, by_torch
from gradient_service.core.options import Precision
from tests.reference.exact import Output, evaluate
from tests.reference.families import FAMILIES, JACOBIAN_CLASSES, Family
from tests.reference.ulp import is_lost

PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"
SEED = 20261124
MAX_CLASSES = 1023
DIGITS = {"float64": 2.0**52, "float32": 2.0**23}


# The exact output behind each row of the table, and which field it is compared with.
EXACT = {
    "softmax": ("probabilities", "labels"),
    "log-softmax": ("log_probabilities", "labels"),
    "loss, labels": ("losses", "labels"),
    "loss, soft targets": ("losses", "targets"),
    "gradient, labels": ("gradient", "labels"),
    "binary loss": ("losses", "one_hot"),
    "binary gradient": ("gradient", "one_hot"),
    "Jacobian": ("jacobian", "labels"),
}


def libraries() -> dict[str, Outputs]:
    """Return who is compared, by the name in the table."""
    jax.config.update("jax_enable_x64", True)  # noqa: FBT003  the library's way
    return {
        "this service, accurate": by_service(Precision.ACCURATE),
        "this service, fast": by_service(Precision.FAST),
        f"PyTorch {version('torch').partition('+')[0]}": by_torch(),
        f"SciPy {version('scipy')}": by_scipy(),
        f"JAX {version('jax')} + optax {version('optax')}": by_jax(),
    }


def case_of(family: Family, dtype: str) -> Case:
    """Draw a family's rows and what they are compared with: half the labels at the maximum, where digits get lost."""
    rng = np.random.default_rng(SEED)
    logits = family(rng) if dtype == "float64" else family.float32(rng)
    labels = rng.integers(0, logits.shape[1], len(logits))
    labels[::2] = logits[::2].argmax(axis=1)
    one_hot = np.zeros_like(logits)
    one_hot[np.arange(len(labels)), labels] = 1
    targets = rng.dirichlet(np.ones(logits.shape[1]), len(logits)).astype(logits.dtype)
    return Case(logits, labels, targets, one_hot)


def exact_outputs(case: Case) -> dict[str, Output]:
    """Return the exact output behind each row of the table; the Jacobian of wide rows is left out."""
    compared: dict[str, dict[str, Any]] = {
        "labels": {"labels": case.labels},
        "targets": {"targets": case.targets},
        "one_hot": {"targets": case.one_hot, "objective": "sigmoid_binary_cross_entropy"},
    }
    exact: dict[str, Output] = {}
    for field, options in compared.items():
        titles = [title for title, (_, against) in EXACT.items() if against == field]
        if case.logits.shape[1] > JACOBIAN_CLASSES:
            titles = [title for title in titles if title != "Jacobian"]
        answer = evaluate(case.logits, include=tuple(EXACT[title][0] for title in titles), reduction="sum", **options)
        exact |= {title: answer[EXACT[title][0]] for title in titles}
    return exact


def largest_error(computed: Any, exact: Output, dtype: str) -> float:
    """Return the largest error in ulp; infinite for a spurious 0, NaN or infinity."""
    if np.any(is_lost(computed, exact.value, dtype)):
        return math.inf
    return float(np.max(exact.ulp_error(computed, dtype), initial=0.0))


def measure(dtype: str) -> dict[str, dict[str, float]]:
    """Return the largest error over all families: output, then library."""
    compared = libraries()
    worst = {title: dict.fromkeys(compared, 0.0) for title in EXACT}
    for family in tqdm(families(), desc=dtype):
        case = case_of(family, dtype)
        if np.abs(case.logits.astype(np.float64)).sum(axis=1).max() > np.finfo(dtype).max:
            continue  # the binary loss, a sum over the classes, leaves the range
        for title, exact in exact_outputs(case).items():
            for name, outputs in compared.items():
                with np.errstate(all="ignore"):
                    computed = outputs[title](case)
                worst[title][name] = max(worst[title][name], largest_error(computed, exact, dtype))
    return worst


def families() -> list[Family]:
    """Return the families whose losses are in range, and that the reference works through in minutes."""
    return [family for family in FAMILIES.values() if family.num_classes <= MAX_CLASSES and not family.is_huge]


def table(dtype: str, worst: dict[str, dict[str, float]]) -> str:
    """Return the errors as a Markdown table."""
    names = list(next(iter(worst.values())))
    lines = [f"## {dtype}", "", f"| output | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for title, errors in worst.items():
        shown = [_shown(errors[name], dtype) for name in names]
        lines.append(f"| {title} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _shown(error: float, dtype: str) -> str:
    return "all digits lost" if error >= DIGITS[dtype] else f"{error:.3g}"


def page() -> str:
    """Return the whole page."""
    features = ", ".join(name for name in ("AVX2", "AVX512_SKX") if __cpu_features__.get(name)) or "baseline only"
    return f"""# Accuracy, measured

The largest error of any element of any row in {len(families())} adversarial families (K up to {MAX_CLASSES}), in units
in the last place of the correctly rounded result. `make accuracy` measures anew and rewrites this page.

"All digits lost" means that some result was 0, NaN or infinite, or had no digit right, where the true one is an
ordinary number. The error of gradients of soft targets and the like is counted in units of the terms that cancel.
`fast` promises g + 12 ulp, 2g + 12 with a temperature, g the largest gap to the maximum in a row; the families have
gaps of hundreds.

{table("float64", measure("float64"))}

{table("float32", measure("float32"))}

Measured with NumPy {version("numpy")} on {platform.machine()} ({features}), Python {platform.python_version()}.
"""


if __name__ == "__main__":
    PAGE.write_text(page())
