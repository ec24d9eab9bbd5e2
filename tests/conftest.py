"""Order of the tests: those that wait longest first, so that others run meanwhile; Chromium's last,
for Playwright keeps an event loop running.
"""

import pytest
from _pytest.terminal import TerminalReporter


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> tuple[bool, bool]:
        browser = item.get_closest_marker("browser") is not None
        return browser, item.get_closest_marker("interop") is None

    items.sort(key=place)


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """What tests measured (`record_property("measured", …)`), where whoever runs them sees it."""
    passed = terminalreporter.getreports("passed")
    told = [
        text for report in passed for name, text in report.user_properties if name == "measured"
    ]
    for text in told:
        terminalreporter.write_line(f"measured: {text}")
