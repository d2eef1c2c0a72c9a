"""Plans as a person meets them in the session."""

import inspect

import pytest

from triplet_bluesky import plans
from triplet_bluesky.startup import bound


def measure(bench, points, *, exposure=None):
    """Measure something.

    Parameters
    ----------
    bench
        The instruments, which
        are hidden.

        A second paragraph of theirs.
    points
        Where. On the bench.

    Returns
    -------
    :
        What was given.
    """
    return bench, points, exposure


def test_a_bound_plan_is_called_without_its_bench():
    assert bound(measure, "the bench")([1], exposure=2) == ("the bench", [1], 2)


def test_a_bound_plan_does_not_document_its_bench():
    assert bound(measure, None).__doc__ == (
        "Measure something.\n\nParameters\n----------\npoints\n    Where. On the bench."
        "\n\nReturns\n-------\n:\n    What was given."
    )


def test_a_plan_of_a_bench_alone_documents_no_parameters():
    def plan(bench):
        """Close the shutter.

        Parameters
        ----------
        bench : Bench
            The instruments.

        Returns
        -------
        :
            Nothing.
        """

    expected = "Close the shutter.\n\nReturns\n-------\n:\n    Nothing."
    assert bound(plan, None).__doc__ == expected


def test_a_plan_without_documentation_stays_without():
    def plan(bench):
        return bench

    assert not bound(plan, None).__doc__


@pytest.mark.parametrize("name", plans.__all__)
def test_the_help_of_each_plan_fits_its_signature(name):
    plan = bound(getattr(plans, name), None)

    documented = inspect.getdoc(plan).splitlines()
    assert "bench" not in inspect.signature(plan).parameters
    assert "bench" not in documented
    assert plan.__name__ == name
    for parameter in inspect.signature(plan).parameters:
        assert any(parameter in line.split(", ") for line in documented), parameter
