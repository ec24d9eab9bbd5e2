"""Order of the tests: those that wait longest first, so that others run meanwhile; Chromium's last,
for Playwright keeps an event loop running.
"""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> tuple[bool, bool]:
        browser = item.get_closest_marker("browser") is not None
        return browser, item.get_closest_marker("interop") is None

    items.sort(key=place)
