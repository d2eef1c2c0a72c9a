import io

import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from rich.console import Console

from triplet_bluesky.callbacks import LivePLE, ScanProgress, replay
from triplet_bluesky.callbacks.plot import FigureFile, FigureWindow, draw_ple


@pytest.fixture
def analysis(scan):
    analysis = LivePLE()
    replay(scan, analysis)
    return analysis


def axes_by_title(figure):
    return {axes.get_title("left")[:1]: axes for axes in figure.axes}


def test_every_panel_has_its_axes_named_with_units(analysis):
    figure = Figure()
    draw_ple(figure, analysis.view())
    panels = axes_by_title(figure)

    assert "(nm, vacuum)" in panels["a"].get_xlabel()
    assert "per pump photon" in panels["b"].get_ylabel()
    assert "(meV)" in panels["c"].get_ylabel()
    assert "(meV)" in panels["c"].get_xlabel()
    assert "s$^{-1}$" in panels["d"].get_ylabel()


def test_the_excitation_curve_shows_data_with_error_bars_fit_and_maximum(analysis):
    figure = Figure()
    draw_ple(figure, analysis.view())
    legend = axes_by_title(figure)["b"].get_legend()

    said = [text.get_text() for text in legend.get_texts()]
    assert {"measured", "fit"} < set(said)
    assert any(f"maximum {analysis.result.peak_mev:.2f} ±" in text for text in said)


def test_a_scan_that_has_just_begun_can_be_drawn(scan):
    for known in (0, 1, 5, 6):
        analysis = LivePLE()
        replay(scan[:known], analysis)

        draw_ple(Figure(), analysis.view())


def test_a_file_is_drawn_while_the_scan_runs_and_when_it_ends(scan, tmp_path):
    analysis = LivePLE()
    file = FigureFile(analysis, tmp_path / "figures")
    for name, document in scan[:-1]:
        analysis(name, document)
        file(name, document)
    file.wait()
    while_running = sorted(path.suffix for path in file.paths if path.exists())
    analysis(*scan[-1])
    file(*scan[-1])

    assert while_running == [".png"]
    assert [path.exists() for path in file.paths] == [True, True]
    assert imread(file.paths[0]).shape[0] > 1000
    assert file.paths[1].read_bytes().startswith(b"%PDF")


def test_a_window_is_redrawn_for_each_event(scan):
    analysis = LivePLE()
    figure = Figure()
    window = FigureWindow(analysis, figure)
    for name, document in scan[:6]:
        analysis(name, document)
        window(name, document)

    assert set("abcd") <= set(axes_by_title(figure))


def shown(scan, **options):
    analysis = LivePLE()
    console = Console(file=io.StringIO(), width=150, **options)
    progress = ScanProgress(analysis, console)
    for name, document in scan:
        analysis(name, document)
        progress(name, document)
    return console.file.getvalue()


def test_progress_in_a_terminal_is_a_bar_with_the_time_left(scan):
    said = shown(scan, force_terminal=True)

    assert "14/14" in said
    assert "left" in said
    assert "peak 2353." in said


def test_progress_in_a_file_is_a_line_for_each_point(scan):
    said = shown(scan, force_terminal=False)

    assert said.count("point ") == 14
    assert "510.00 nm" in said


def test_progress_in_a_file_says_nothing_of_other_measurements(count):
    assert shown(count, force_terminal=False) == ""


def test_progress_in_a_file_says_of_a_scan_without_darks_what_is_missing(make_scan):
    said = shown(make_scan([520.0], darks=False), force_terminal=False)

    assert said == "  point 1: not decomposed\n"


def test_a_window_keeps_its_figure_during_other_measurements(scan, count):
    analysis = LivePLE()
    figure = Figure()
    window = FigureWindow(analysis, figure)
    for name, document in [*scan[:6], *count]:
        analysis(name, document)
        window(name, document)

    assert set("abcd") <= set(axes_by_title(figure))


def test_a_run_without_spectra_leaves_no_empty_figure(scan, tmp_path):
    analysis = LivePLE()
    file = FigureFile(analysis, tmp_path)
    for name, document in (scan[0], scan[-1]):
        analysis(name, document)
        file(name, document)

    assert list(tmp_path.iterdir()) == []


def test_a_drawing_that_fails_while_the_scan_runs_is_logged(scan, tmp_path, caplog):
    (tmp_path / "figures").write_text("not a folder")
    analysis = LivePLE()
    file = FigureFile(analysis, tmp_path / "figures")
    for name, document in scan[:6]:
        analysis(name, document)
        file(name, document)
    file.wait()

    assert "figures" in caplog.text
