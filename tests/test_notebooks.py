"""Every notebook runs from top to bottom."""

import re
from itertools import pairwise
from pathlib import Path

import jupytext
import pytest
from nbclient import NotebookClient
from nbformat import v4

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path):
    notebook = jupytext.read(path)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    shown = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    assert not any(o.output_type == "stream" and o.name == "stderr" for o in shown), shown


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_figures_of_ones_own_are_shown_after_ours():
    ours = "from causalbias.plots.style import new_figure, styled\nstyled(new_figure)(1, 1)[0]"
    own = "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()"
    notebook = v4.new_notebook(cells=[v4.new_code_cell(code) for code in (ours, own)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    for cell in notebook.cells:
        assert ["image/png" in one.data for one in cell.outputs] == [True], cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_text_has_one_title_headings_in_order_and_links_that_lead_somewhere(path):
    cells = jupytext.read(path).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, flags=re.MULTILINE)]
    assert cells[0].cell_type == "markdown"
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert links
    for link in links:
        assert (path.parent / link).exists(), link
