"""The two installed browsers, driven by Playwright."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

BROWSERS = ("chromium", "firefox")


def launch(playwright: Playwright, name: str, *arguments: str) -> Browser:
    """Starts Debian's Chromium or Firefox, without a window. The arguments are for Chromium."""
    if name == "chromium":
        return playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-dev-shm-usage", *arguments],
        )
    return playwright.firefox.launch(channel="moz-firefox", executable_path="/usr/bin/firefox-esr")
