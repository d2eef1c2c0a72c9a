import json
import logging

import numpy as np
import pytest

from triplet_bluesky.callbacks import LivePLE, isolated, replay


def analysed(documents):
    analysis = LivePLE()
    replay(documents, analysis)
    return analysis


def rows(analysis):
    """All results as text, in which not-a-number equals itself."""
    return json.dumps(dict(analysis.streams()), default=float)


def test_the_maximum_of_a_known_curve_is_found(scan):
    result = analysed(scan).result

    assert result.ok
    assert abs(result.peak_mev - 2353.0) < 0.3
    assert 0.01 < result.peak_sigma_mev < 0.3


def test_each_spectrum_is_decomposed_into_its_two_lines(scan):
    points = analysed(scan).spectra.points

    assert len(points) == 14
    for point in points:
        low, high = point.fit.lines
        assert low.center_ev * 1e3 == pytest.approx(2335.0, abs=5 * 0.03)
        assert high.center_ev * 1e3 == pytest.approx(2337.0, abs=5 * 0.03)


def test_a_replay_gives_the_same_numbers_to_the_last_bit(scan):
    first, second = analysed(scan), analysed(scan)

    assert rows(first) == rows(second)


def test_documents_that_went_through_json_give_the_same_numbers(scan):
    def plain(value):
        return value.tolist() if isinstance(value, np.ndarray) else value.item()

    stored = [(n, json.loads(json.dumps(d, default=plain))) for n, d in scan]

    assert rows(analysed(stored)) == rows(analysed(scan))


def test_the_nearest_pumped_spectrum_with_lines_lends_its_shape(scan):
    spectra = analysed(scan).spectra
    by_pump = {point.conditions.pump_nm: point.fit for point in spectra.points}

    assert spectra.reference(513.2) is by_pump[513.0]
    assert spectra.reference(500.0) is by_pump[510.0]
    tied = max((by_pump[525.0], by_pump[526.5]), key=lambda fit: fit.se_rate)
    assert spectra.reference(525.75) is tied


def test_a_spectrum_without_lines_takes_its_neighbours_and_keeps_it(make_scan):
    def dark_line(index, data):
        if index not in {0, 5, 13}:
            return data
        generator = np.random.default_rng(index)
        counts = generator.normal(300, 1, data["ccd_counts"].shape)
        counts += 40 * np.exp(-(((np.arange(1024) - 500) / 80) ** 2) / 2)
        return data | {"ccd_counts": counts.round().astype(int)}

    pumps = np.arange(510.0, 531.0, 1.5).tolist()
    analysis = analysed(make_scan(pumps, spoil=dark_line))
    points = analysis.spectra.points
    first = rows(analysis)

    assert [not point.fit.lines for point in points].count(True) == 3
    assert points[0].fit.se_source == points[5].fit.se_source == "reference"
    assert rows(analysis) == first


def test_the_offset_of_the_pump_axis_is_recorded_and_not_applied(scan, make_scan):
    analysis = analysed(scan)

    row = dict(analysis.streams())["fit"][0]

    assert row["pump_offset_nm"] == analysis.pump_offset_nm
    assert row["pump_offset_sigma_nm"] == analysis.pump_offset_sigma_nm
    assert row["pump_offset_spectra"] > 5
    assert abs(analysis.pump_offset_nm) < 4 * analysis.pump_offset_sigma_nm
    assert analysis.view().pump_offset is analysis.pump_offset

    def misread(_, data):
        return data | {
            "tunable_filter_wavelength": data["tunable_filter_wavelength"] - 0.1
        }

    pumps = np.arange(510.0, 531.0, 1.5).tolist()
    other = analysed(make_scan(pumps, spoil=misread))
    assert other.pump_offset_nm == pytest.approx(0.1, abs=0.01)
    shifted = other.result.peak_mev - analysis.result.peak_mev
    assert shifted == pytest.approx(0.45, abs=0.05)


def test_results_are_there_while_the_scan_still_runs(scan):
    analysis = LivePLE()

    replay(scan[:-6], analysis)

    assert analysis.result is not None
    assert len(analysis.view().points) == 9


def test_one_analysis_serves_one_run_after_the_other(scan, make_scan):
    analysis = analysed(scan)
    first = rows(analysis)

    replay(make_scan([520.0, 525.0]), analysis)
    assert len(analysis.spectra.points) == 2
    replay(scan, analysis)

    assert rows(analysis) == first


def test_a_point_whose_dose_was_not_reached_does_not_enter_the_curve(make_scan):
    def dim(index, data):
        return data | {"power_control_in_tolerance": int(index != 4)}

    pumps = np.arange(510.0, 531.0, 1.5).tolist()
    analysis = analysed(make_scan(pumps, spoil=dim))

    assert analysis.curve.mask.tolist() == [index != 4 for index in range(14)]


def test_a_saturated_spectrum_is_kept_and_does_not_enter_the_curve(make_scan):
    def bright(index, data):
        if index == 11:
            counts = data["ccd_counts"].copy()
            counts[:, 500:510] = 65535
            return data | {"ccd_counts": counts}
        return data

    pumps = np.arange(510.0, 531.0, 1.5).tolist()
    analysis = analysed(make_scan(pumps, spoil=bright))

    assert analysis.spectra.points[11].fit.assessment == "saturated"
    assert not analysis.curve.mask[11]


def test_a_scan_without_darks_says_why_there_is_no_fit(make_scan, caplog):
    with caplog.at_level(logging.WARNING):
        analysis = analysed(make_scan([520.0], darks=False))

    assert analysis.result is None
    assert "no dark frames with an exposure of 0.1 s" in caplog.text
    assert dict(analysis.streams()) == {}


def test_a_run_of_another_measurement_is_left_alone_silently(count, caplog):
    with caplog.at_level(logging.DEBUG):
        analysis = analysed(count)

    assert caplog.text == ""
    assert analysis.spectra.points == []
    assert dict(analysis.streams()) == {}


@pytest.mark.parametrize("missing", ["data", "configuration"])
def test_spectra_that_are_not_described_in_full_are_left_alone_silently(
    make_scan, caplog, missing
):
    documents = make_scan([520.0])
    descriptor = documents[3][1]
    spoiled = {
        "data": {**descriptor, "data_keys": documents[1][1]["data_keys"]},
        "configuration": {**descriptor, "configuration": {}},
    }
    with caplog.at_level(logging.DEBUG):
        analysis = analysed(
            [*documents[:3], ("descriptor", spoiled[missing]), *documents[4:]]
        )

    assert caplog.text == ""
    assert analysis.spectra.points == []


def test_an_event_without_what_its_descriptor_promises_is_named(make_scan, caplog):
    def foreign(_, data):
        return {k: v for k, v in data.items() if k != "spectrometer_wavelength"}

    documents = make_scan([520.0])
    name, event = documents[4]
    spoiled = {**event, "data": foreign(0, event["data"])}
    with caplog.at_level(logging.WARNING):
        analysis = analysed([*documents[:4], (name, spoiled)])

    assert analysis.spectra.points == []
    assert "has no ['spectrometer_wavelength']" in caplog.text


def test_too_few_points_are_an_assessment_and_not_an_error(make_scan):
    analysis = analysed(make_scan([520.0, 526.0]))

    assert not analysis.result.ok
    assert analysis.result.assessment == "too_few_points"


def test_a_callback_that_raises_is_logged_and_stops_nothing(caplog):
    def broken(*_):
        msg = "no such figure"
        raise RuntimeError(msg)

    with caplog.at_level(logging.ERROR):
        isolated(broken)("start", {})

    assert "no such figure" in caplog.text


def test_a_point_that_is_repeated_replaces_the_interrupted_one(scan):
    events = [d for n, d in scan if n == "event"]
    twice = [
        (n, d)
        for pair in scan
        for n, d in ([pair, pair] if pair[1] is events[5] else [pair])
    ]

    assert rows(analysed(twice)) == rows(analysed(scan))
