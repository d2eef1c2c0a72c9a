"""Settings come from a file and the environment; what is unknown is refused by name."""

from pathlib import Path

import pytest

from triplet_bluesky.errors import SettingsError
from triplet_bluesky.settings import Settings, load_settings


@pytest.fixture
def cwd(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults_need_no_file(cwd):
    settings = load_settings(environ={})

    assert settings.prefix == "TRIPLET:"
    assert settings.ca_port == 5064
    assert settings.tiled_uri == "http://127.0.0.1:8020/api/v1"
    assert settings.data_dir.is_absolute()
    assert list(cwd.iterdir()) == []


def test_file_in_the_working_directory_is_read(cwd):
    (cwd / "triplet.toml").write_text('prefix = "LAB:"\nseed = 5\n')

    settings = load_settings(environ={})

    assert (settings.prefix, settings.seed) == ("LAB:", 5)


def test_named_file_goes_before_that_of_the_working_directory(cwd):
    (cwd / "triplet.toml").write_text("seed = 5\n")
    (cwd / "other.toml").write_text("seed = 6\n")

    settings = load_settings(environ={"TRIPLET_SETTINGS": "other.toml"})

    assert settings.seed == 6


def test_environment_goes_over_the_file_and_the_caller_over_both(cwd):
    (cwd / "triplet.toml").write_text("seed = 5\nca_port = 6000\ntiled_port = 6001\n")
    environ = {"TRIPLET_SEED": "6", "TRIPLET_CA_PORT": "7000"}

    settings = load_settings(environ=environ, overrides={"seed": 7, "ca_port": None})

    assert (settings.seed, settings.ca_port, settings.tiled_port) == (7, 7000, 6001)


def test_paths_of_a_file_are_relative_to_it(cwd):
    (cwd / "conf").mkdir()
    (cwd / "conf" / "sample.toml").touch()
    file = cwd / "conf" / "bench.toml"
    file.write_text('data_dir = "data"\nsample = "sample.toml"\n')

    settings = load_settings(file, environ={})

    assert settings.data_dir == cwd / "conf" / "data"
    assert settings.sample == cwd / "conf" / "sample.toml"
    assert settings.api_key_file == cwd / "conf" / "data" / "tiled" / "api-key"


def test_paths_of_the_environment_are_relative_to_the_working_directory(cwd):
    (cwd / "conf").mkdir()
    file = cwd / "conf" / "bench.toml"
    file.write_text("seed = 1\n")

    settings = load_settings(file, environ={"TRIPLET_DATA_DIR": "data"})

    assert settings.data_dir == cwd / "data"


@pytest.mark.usefixtures("cwd")
def test_home_directory_is_understood():
    settings = load_settings(environ={"TRIPLET_DATA_DIR": "~/bench"})

    assert settings.data_dir == Path.home() / "bench"


def test_unknown_key_of_a_file_is_refused_with_the_likely_one(cwd):
    (cwd / "triplet.toml").write_text("tiled_prot = 9000\n")

    with pytest.raises(
        SettingsError,
        match=r"'tiled_prot' in the file .*triplet\.toml; did you mean 'tiled_port'\?"
        r"; expected one of .*time_factor",
    ):
        load_settings(environ={})


@pytest.mark.usefixtures("cwd")
def test_unknown_variable_is_refused():
    with pytest.raises(SettingsError, match="'speed' in the environment"):
        load_settings(environ={"TRIPLET_SPEED": "2"})


@pytest.mark.usefixtures("cwd")
def test_variable_of_the_services_is_no_setting():
    load_settings(environ={"TRIPLET_SERVICE_ID": "x", "PATH": "/bin"})


@pytest.mark.usefixtures("cwd")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prefix", "no colon"),
        ("ca_port", "80"),
        ("ca_port", "many"),
        ("time_factor", "0"),
        ("time_factor", "nan"),
        ("seed", "-1"),
        ("seed", "2147483648"),  # the simulator's seeds end one below
        ("batch_size", "0"),
    ],
)
def test_refused_value_is_named_with_its_origin(name, value):
    with pytest.raises(
        SettingsError, match=f"got {name} = '{value}' in the environment"
    ):
        load_settings(environ={f"TRIPLET_{name.upper()}": value})


@pytest.mark.usefixtures("cwd")
def test_the_highest_seed_of_the_simulator_is_taken_and_the_next_one_explained():
    assert load_settings(environ={}, overrides={"seed": 2**31 - 1}).seed == 2**31 - 1

    with pytest.raises(SettingsError, match="less than or equal to 2147483647"):
        load_settings(environ={}, overrides={"seed": 2**31})


@pytest.mark.usefixtures("cwd")
def test_ports_must_differ():
    with pytest.raises(SettingsError, match="three different ports"):
        load_settings(environ={}, overrides={"tiled_port": 5064})


def test_value_of_another_type_is_refused(cwd):
    (cwd / "triplet.toml").write_text("data_dir = [1]\n")

    with pytest.raises(SettingsError, match=r"data_dir = \[1\] in the file"):
        load_settings(environ={})


@pytest.mark.usefixtures("cwd")
def test_missing_sample_is_refused():
    with pytest.raises(SettingsError, match=r"no-such\.toml, which is not a file"):
        load_settings(environ={}, overrides={"sample": "no-such.toml"})


@pytest.mark.usefixtures("cwd")
def test_missing_file_is_refused_when_it_was_named():
    with pytest.raises(SettingsError, match=r"no-such\.toml, which cannot be read"):
        load_settings(environ={"TRIPLET_SETTINGS": "no-such.toml"})


def test_broken_file_is_refused_with_its_line(cwd):
    (cwd / "triplet.toml").write_text("seed = \n")

    with pytest.raises(SettingsError, match=r"not TOML.*line 1"):
        load_settings(environ={})


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Settings().seed = 3  # pyright: ignore[reportAttributeAccessIssue]


def test_directories_are_below_the_data_directory(tmp_path):
    settings = Settings(data_dir=tmp_path)

    assert settings.state_dir == tmp_path / "state"
    assert settings.log_dir == tmp_path / "log"
    assert settings.tiled_dir == tmp_path / "tiled"


def test_frames_may_be_elsewhere_than_the_data(cwd):
    (cwd / "triplet.toml").write_text('frames_dir = "mnt"\nioc_frames_dir = "D:/f"\n')

    settings = load_settings(environ={})

    assert settings.frames_dir == cwd / "mnt"
    assert settings.ioc_frames_dir == "D:/f"
    assert Settings(data_dir=cwd).frames_dir == cwd / "frames"
