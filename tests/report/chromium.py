"""A page in headless Chromium, and axe-core's verdict on it, without a driver."""

import html
import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

CHROMIUM = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (path := shutil.which(name))
    ),
    None,
)
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
# Runs axe on the page and leaves what it found, and how wide the page became, in the document.
SCRIPT = """
axe.run(document, {resultTypes: ["violations", "incomplete"]}).then(found => {
  const told = list => list.map(one => ({
    id: one.id, impact: one.impact, nodes: one.nodes.map(node => node.html.slice(0, 160))}));
  const out = document.createElement("pre");
  out.id = "axe-found";
  out.textContent = JSON.stringify({
    violations: told(found.violations), incomplete: told(found.incomplete),
    passes: found.passes.length, width: document.documentElement.scrollWidth,
    room: document.documentElement.clientWidth});
  document.body.append(out);
});
"""
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here; the checks of the page's structure ran all the same"
)


def run(*options: str, profile: Path) -> str:
    """Standard output of Chromium, with an empty profile."""
    command = [str(CHROMIUM), *OPTIONS, f"--user-data-dir={profile}", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def axe(page: str, folder: Path, *, width: int = 1300) -> dict[str, object]:
    """What axe-core finds on a page, at a window of a width; its policy would not let axe run."""
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    engine = files("axe_core_python").joinpath("axe.min.js").read_text()
    path = folder / f"page-{width}.html"
    path.write_text(
        page.replace("</body>", f"<script>{engine}</script><script>{SCRIPT}</script></body>")
    )
    dom = run(
        f"--window-size={width},900",
        "--virtual-time-budget=20000",
        "--dump-dom",
        path.as_uri(),
        profile=folder / f"profile-{width}",
    )
    found = re.search(r'<pre id="axe-found">(.*?)</pre>', dom, flags=re.DOTALL)
    assert found, "axe left no result"
    return json.loads(html.unescape(found[1]))
