"""What the terminal shows: tables in full, however narrow it is, and names as they are."""

from causalbias.cli import console
from causalbias.cli.console import show_table


def test_no_digit_is_cut_off_in_a_narrow_terminal(monkeypatch, capsys):
    monkeypatch.setattr(console.console, "_width", 20)
    row = ["bupt", "FNMR", "Caucasian", "0.001391", "0.000364", "0.003408", "3,000"]
    columns = ["system", "rate_of", "[group]", "estimate", "lower", "upper", "n"]
    show_table("Rates", columns, [row, ["vgg", "FMR", "[red]South[/]", "0.38", "0", "0.4", "17"]])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == columns
    assert lines[3].split() == row
    assert "[red]South[/]" in lines[4]
