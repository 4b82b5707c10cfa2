"""A headless Chromium for all tests of this folder."""

import shutil
from collections.abc import Iterator

import pytest


def missing() -> list[str]:
    """Return the programs and packages that are not installed."""
    found = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    try:
        import selenium  # noqa: F401
    except ModuleNotFoundError:
        found.append("selenium")
    return found


@pytest.fixture(scope="session")
def browser(request: pytest.FixtureRequest) -> Iterator:
    """Chromium; where it is missing, tests are skipped, unless `-m browser` asks for them."""
    if lacking := missing():
        words = f"{', '.join(lacking)}: not found; make test-browser installs what the tests need"
        if "browser" in request.config.option.markexpr.split():
            pytest.fail(words, pytrace=False)
        pytest.skip(words)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    # root in a container has no sandbox; a page of the tests loads nothing from elsewhere
    for argument in (
        *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"),
        "--enable-unsafe-swiftshader",  # WebGL without a graphics card
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_script_timeout(120)
    yield driver
    driver.quit()
