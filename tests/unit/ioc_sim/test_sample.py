"""The file of truths."""

import re
import tomllib
from importlib.resources import files

import pytest

from ioc_sim.sample import Sample, SampleError, load_sample

CONTRACT = {
    "emission.line_low": 2335.0,
    "emission.splitting": 2.0,
    "emission.weight_low": 0.62,
    "emission.se_fwhm": 0.85,
    "emission.spe_center": 2338.5,
    "emission.spe_fwhm": 16.0,
    "absorption.exciton": 2352.0,
    "absorption.exciton_sigma": 10.2,
    "lasing.threshold_495": 15.45,
    "lasing.saturation_495": 45.5,
    "lasing.beta": 1e-3,
    "lifetime.stimulated": 49.0,
    "lifetime.spontaneous": 268.0,
    "polarization.low": 0.905,
    "polarization.high": 0.996,
    "polarization.spe": 0.28,
    "polarization.axis": 35.0,
    "tcspc.irf_fwhm": 120.0,
    "tcspc.dark_rate": 150.0,
    "ccd.read_noise": 6.0,
    "ccd.gain": 10.0,
    "ccd.cosmic_rate": 1.2,
    "source.rate": 78.0,
    "source.pulse": 10.0,
    "source.power_526": 80.0,
}


@pytest.fixture
def load(tmp_path):
    def run(text):
        path = tmp_path / "bench.toml"
        path.write_text(text)
        return load_sample(path)

    return run


@pytest.mark.parametrize("key", CONTRACT)
def test_the_keys_that_other_programs_write_exist_with_the_paper_s_values(sample, key):
    table, name = key.split(".")

    assert getattr(getattr(sample, table), name) == CONTRACT[key]


def test_every_parameter_states_its_unit_and_its_source():
    text = files("ioc_sim").joinpath("sample.toml").read_text()
    lines = [line for line in text.splitlines() if re.match(r"\w+ = ", line)]

    unexplained = [
        line
        for line in lines
        if not re.search(r"#\s+\S+\s{2,}\S|# um +|# meV/K +", line)
        or not re.search(r"paper|chosen|typical|20\d\d|PicoQuant", line)
    ]

    assert len(lines) > 100
    assert unexplained == []


def test_the_classes_know_no_value_that_the_file_does_not_give(sample):
    tables = tomllib.loads(files("ioc_sim").joinpath("sample.toml").read_text())

    assert {t: set(keys) for t, keys in sample.model_dump().items()} == {
        t: set(keys) for t, keys in tables.items()
    }


def test_a_file_replaces_only_what_it_names(load, sample):
    changed = load("[absorption]\nexciton = 2345.0\n[lasing]\nbeta = 0.01\n")

    assert changed.absorption.exciton == 2345.0
    assert changed.absorption.exciton_sigma == sample.absorption.exciton_sigma
    assert changed.lasing.beta == 0.01
    assert changed.emission == sample.emission


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[absorption]\nexcitom = 2345.0",
            r"bench.toml: got the key absorption.excitom, which is not a parameter "
            r"of the bench; did you mean absorption.exciton\?",
        ),
        ("[q]\nx = 1", r"got the key q, .* see ioc_sim/sample.toml"),
        ("[lasing]\nbeta = 2", r"bench.toml: lasing.beta: got 2, expected less than 1"),
        (
            "[emission]\nline_low = 2.335",
            r"emission.line_low: got 2.335, expected greater than or equal to 2200",
        ),
        ("[source]\nrate = nan", r"source.rate: got nan, expected a finite number"),
        ("[source]\nrate = '78'", r"source.rate: got '78', expected a valid number"),
        ("source = 3", r"source: got 3, expected a table"),
        ("[spot]\ncrystal = [1, 2]", r"spot.crystal.2: .* expected one more value"),
        (
            "[objective]\ncontraction_direction = [0, 0, 0]",
            r"objective.contraction_direction: .* expected a direction, not all of it",
        ),
        (
            "[map]\nnumber = 0",
            r"map.number: got 0, expected greater than or equal to 1",
        ),
        ("[map]\nclear = 30.0", r"map.clear: got 30.0, expected less than or equal to"),
        (
            "[source]\ndrift_time = 1.0",
            r"source.drift_time: got 1.0, expected greater than or equal to 60",
        ),
        (
            "[laser]\nbase_high = 50.0",
            r"bench.toml: laser: expected ambient < base_high <= base_trip",
        ),
        (
            "[spectrometer]\nshortest = [400, 900, 400]",
            r"spectrometer: expected shortest < longest for each grating",
        ),
        ("[ccd]\npixel_well = 1e6", r"ccd: expected pixel_well <= full_well"),
        (
            "[tcspc]\nirf_tail_share = 0.5\nirf_bump_share = 0.5",
            r"tcspc: expected irf_tail_share \+ irf_bump_share < 1",
        ),
        (
            "[cryostat]\nhelium = 4.2",
            r"cryostat: expected helium < temperature",
        ),
        (
            "[spot]\nobjective = [20, 20, 41]",
            r"bench.toml: expected spot.objective within 0 and objective.travel",
        ),
        ("[source", r"bench.toml: is not TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_name(load, text, message):
    with pytest.raises(SampleError, match=message):
        load(text)


def test_all_errors_of_a_file_are_told_at_once(load):
    with pytest.raises(SampleError, match=r"rate.*; .*beta") as caught:
        load("[source]\nrate = -1\n[lasing]\nbeta = 2")

    assert str(caught.value).count("expected") == 2


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SampleError, match=r"gone.toml: cannot be read"):
        load_sample(tmp_path / "gone.toml")


def test_a_sample_cannot_be_changed(sample):
    with pytest.raises(ValueError, match="frozen"):
        sample.emission.line_low = 1.0

    assert isinstance(sample, Sample)
