"""Order of the tests: Chromium's last, for Playwright keeps an event loop running."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
