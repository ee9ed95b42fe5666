"""harness/results/export/tabular.py, and the command: a run for other programs."""

import csv

import pytest
from click.testing import CliRunner
from rows import a_row, a_run, an_infra_row

from harness.cli.main import main
from harness.results.export import tabular

ROWS = [a_row("p"), an_infra_row("p", epoch=2)]


@pytest.fixture
def export(tmp_path, monkeypatch):
    """Run `harness export` beside a run of two trials."""
    a_run(tmp_path / "reports" / "r", ROWS)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        done = CliRunner().invoke(main, ["export", "r", *arguments])
        return done.exit_code, done.output

    return run


@pytest.mark.parametrize(
    ("kind", "name"), [("csv", "trials.csv"), ("otel", "otel.json"), ("inspect", "inspect/r_p.json")]
)
def test_each_format_is_written_into_the_runs_folder(export, tmp_path, kind, name):
    """Where it went is said; `--output` names another place."""
    assert export("--format", kind)[0] == 0
    assert (tmp_path / "reports/r" / name).stat().st_size > 100
    code, output = export("--format", kind, "--output", "elsewhere/it")
    assert (code, output) == (0, "wrote elsewhere/it\n")
    assert (tmp_path / "elsewhere/it").exists()


def test_a_csv_has_a_row_for_each_trial(export, tmp_path):
    """With costs; what is unknown is an empty cell."""
    export("--format", "csv")
    first, second = csv.DictReader((tmp_path / "reports/r/trials.csv").read_text().splitlines())
    assert (first["trial"], first["cost"], first["attempts"]) == ("p/t/1", "0.0", "1")
    assert (second["outcome"], second["cost"], second["attempts"]) == ("stale_cassette", "", "")


def test_parquet_needs_pyarrow(export, tmp_path, monkeypatch):
    """Without it: one line that says what to install, and no half of a file."""
    monkeypatch.setattr(tabular, "find_spec", lambda _: None)
    code, output = export("--format", "parquet")
    assert code == 2
    assert (
        output == "error: pyarrow is not installed -> pip install 'pair-harness[parquet]', or --format csv\n"
    )
    assert [path.name for path in (tmp_path / "reports/r").iterdir() if "parquet" in path.name] == []


def test_parquet_keeps_types(export, tmp_path):
    """Counts stay whole numbers though some are unknown (`make interchange` installs pyarrow)."""
    parquet = pytest.importorskip("pyarrow.parquet")
    assert export("--format", "parquet")[0] == 0
    found = parquet.read_table(tmp_path / "reports/r/trials.parquet")
    assert str(found.schema.field("attempts").type) == "int64"
    assert found.column("attempts").to_pylist() == [1, None]


def test_a_place_that_cannot_be_written_is_one_line(export, tmp_path):
    """A file where a folder has to be."""
    (tmp_path / "file").write_text("")
    code, output = export("--format", "csv", "--output", "file/trials.csv")
    assert (code, output.count("\n"), output[:7]) == (2, 1, "error: ")
