"""Exports from the page: through the service worker, into files, cancelled."""

import json
import subprocess
import tarfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browser.conftest import RESULTS
from support.site import Site, wait_until

pytestmark = pytest.mark.browser
# As a browser without the File System Access API.
NO_PICKERS = "delete window.showSaveFilePicker; delete window.showDirectoryPicker;"
# A person who chooses a file, in the browser's own private file system.
PICKER = """
window.showSaveFilePicker = async ({ suggestedName }) => {
  const root = await navigator.storage.getDirectory();
  window.chosen = suggestedName;
  return root.getFileHandle(suggestedName, { create: true });
};
"""
SAVED = """async () => {
  const root = await navigator.storage.getDirectory();
  const file = await (await root.getFileHandle(window.chosen)).getFile();
  return file.size;
}"""


def probed(path: Path) -> dict[str, float]:
    """Begin and duration by ffprobe."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", str(path)]
    found = json.loads(subprocess.check_output(command))["format"]
    return {"start": float(found["start_time"]), "duration": float(found["duration"])}


def with_worker(page: Page) -> None:
    """The service worker has taken over this page."""
    controlled = "() => navigator.serviceWorker.controller !== null"
    wait_until("the service worker", lambda: page.evaluate(controlled), 20)


def test_two_cameras_as_files_through_the_service_worker(
    page: Page, site: Site, tmp_path: Path
) -> None:
    wait_until("chunks", lambda: all(len(site.chunks(n)) >= 2 for n in ("yard", "till")), 120)
    page.add_init_script(NO_PICKERS)
    page.goto(f"{site.url}/recordings?camera=yard@shop.loc&camera=till@shop.loc")
    with_worker(page)
    expect(page.locator("figure .video[data-utc]")).to_have_count(2, timeout=20_000)
    page.keyboard.press("e")
    sheet = page.get_by_role("region", name="Export")
    expect(sheet).to_contain_text("from 2 cameras")
    page.screenshot(path=RESULTS / "recordings-1440.png")
    downloads = []
    page.on("download", lambda download: downloads.append(download))
    sheet.get_by_role("button", name="Download").click()
    wait_until("both files", lambda: page.evaluate("1") and len(downloads) == 2, 40)
    expect(sheet.get_by_role("status")).to_contain_text("Saved: 2 files.", timeout=20_000)
    for download, camera in zip(downloads, ("Yard", "Till"), strict=True):
        assert download.suggested_filename.startswith(f"{camera}_")
        path = tmp_path / download.suggested_filename
        download.save_as(path)
        found = probed(path)
        assert found["start"] == 0
        assert 25 < found["duration"] < 62


def test_the_bundle_is_a_tar_that_verifies(page: Page, site: Site, tmp_path: Path) -> None:
    wait_until("chunks", lambda: len(site.chunks("yard")) >= 3, 120)
    page.add_init_script(NO_PICKERS)
    page.goto(f"{site.url}/camera/yard@shop.loc")
    with_worker(page)
    expect(page.locator(".video")).to_have_attribute("data-state", "live", timeout=20_000)
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("e")
    sheet = page.get_by_role("region", name="Export")
    sheet.get_by_text("Evidence bundle").click()
    with page.expect_download(timeout=40_000) as download:
        sheet.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename.endswith("_evidence.tar")
    path = tmp_path / "evidence.tar"
    download.value.save_as(path)
    with tarfile.open(path) as tar:
        names = tar.getnames()
    assert any(name.endswith(".mp4") for name in names), names


def test_into_a_chosen_file_and_cancelled(page: Page, site: Site) -> None:
    wait_until("a chunk", lambda: site.chunks("yard"), 60)
    page.add_init_script(PICKER)
    page.goto(f"{site.url}/camera/yard@shop.loc")
    expect(page.locator(".video")).to_have_attribute("data-state", "live", timeout=20_000)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("e")
    sheet = page.get_by_role("region", name="Export")
    sheet.get_by_role("button", name="Download").click()
    expect(sheet.get_by_role("status")).to_contain_text("Saved: one file.", timeout=20_000)
    assert page.evaluate(SAVED) > 100_000
    expect(sheet.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")
    # The storage answers no more: the bar stands, and Cancel ends it.
    page.evaluate("RTCDataChannel.prototype.send = () => undefined")
    sheet.get_by_role("button", name="Download again").click()
    cancel = sheet.get_by_role("button", name="Cancel")
    expect(cancel).to_be_visible()
    cancel.click()
    expect(sheet.get_by_role("status")).to_contain_text("Cancelled", timeout=10_000)
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
