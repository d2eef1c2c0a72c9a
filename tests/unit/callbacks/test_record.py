import pytest
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp

from triplet_bluesky.callbacks import FitRecorder
from triplet_bluesky.errors import ConnectError, PlanError


class Fits:
    """An analysis with results that are known beforehand."""

    def __init__(self):
        self.rows = {
            "fit_spectra": [
                {"se_rate": 1.5, "se_rate_sigma": 0.1, "lines": 2},
                {"se_rate": 2.5, "se_rate_sigma": 0.2, "lines": 1},
            ],
            "fit": [{"ple_peak_mev": 2353.0, "assessment": "ok"}],
        }

    def streams(self):
        yield from self.rows.items()


@bpp.run_decorator(md={})
def measure(error=None):
    yield from bps.null()
    if error is not None:
        raise error


def streams(documents):
    names = {d["uid"]: d["name"] for n, d in documents if n == "descriptor"}
    return [(names[d["descriptor"]], d["data"]) for n, d in documents if n == "event"]


def test_results_are_events_of_the_run_before_its_stop(RE, documents):
    RE.preprocessors.append(FitRecorder(Fits()))

    RE(measure())

    assert streams(documents) == [
        ("fit_spectra", {f"fit_spectra_{k}": v for k, v in row.items()})
        for row in Fits().rows["fit_spectra"]
    ] + [("fit", {"fit_ple_peak_mev": 2353.0, "fit_assessment": "ok"})]
    name, stop = documents[-1]
    assert name == "stop"
    assert stop["num_events"] == {"fit_spectra": 2, "fit": 1}


def test_a_run_that_fails_keeps_its_results(RE, documents):
    RE.preprocessors.append(FitRecorder(Fits()))

    with pytest.raises(PlanError):
        RE(measure(PlanError("half way")))

    assert len(streams(documents)) == 3
    assert documents[-1][1]["exit_status"] == "fail"


def test_numbers_are_declared_with_the_unit_that_their_name_tells(RE, documents):
    RE.preprocessors.append(FitRecorder(Fits()))

    RE(measure())

    keys = {}
    for name, doc in documents:
        if name == "descriptor":
            keys |= doc["data_keys"]
    assert keys["fit_spectra_se_rate"]["units"] == "e-/s"
    assert keys["fit_spectra_se_rate_sigma"]["units"] == "e-/s"
    assert keys["fit_spectra_lines"]["dtype"] == "integer"
    assert keys["fit_ple_peak_mev"]["units"] == "meV"
    assert keys["fit_assessment"]["dtype"] == "string"


def test_an_analysis_without_results_adds_nothing(RE, documents):
    fits = Fits()
    fits.rows = {}
    RE.preprocessors.append(FitRecorder(fits))

    RE(measure())

    assert [name for name, _ in documents] == ["start", "stop"]


class Broken:
    """An analysis that cannot give its results."""

    def streams(self):
        msg = "no such fit"
        raise RuntimeError(msg)
        yield


def test_an_analysis_that_fails_is_logged_and_the_run_is_good(RE, documents, caplog):
    RE.preprocessors.append(FitRecorder(Broken(), Fits()))

    RE(measure())

    assert "no results from Broken" in caplog.text
    assert len(streams(documents)) == 3
    assert documents[-1][1]["exit_status"] == "success"


def test_a_read_that_fails_within_an_event_keeps_its_own_error(RE, documents):
    class Unreadable:
        name, parent, hints = "unreadable", None, {}

        def describe(self):
            return {}

        def read(self):
            msg = "the IOC is gone"
            raise ConnectError(msg)

    @bpp.run_decorator(md={})
    def scan():
        yield from bps.create("primary")
        yield from bps.read(Unreadable())

    RE.preprocessors.append(FitRecorder(Fits()))

    with pytest.raises(ConnectError, match="the IOC is gone"):
        RE(scan())

    assert len(streams(documents)) == 3
    assert "the IOC is gone" in documents[-1][1]["reason"]
