"""What a page shows for a while only. The page itself notes it, so that a machine that is slow to ask misses nothing."""

from typing import Any

from playwright.sync_api import TimeoutError as TooLate

NOTE = """selector => {
    const told = element => TOLD, list = ((window.noted ??= {})[selector] = []);
    const look = () => {
        for (const element of document.querySelectorAll(selector)) {
            const words = element.checkVisibility() ? String(told(element)) : "";
            if (words && list.at(-1) !== words) list.push(words);
        }
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
    look();
}"""

WAIT = """([selector, pattern]) => window.noted[selector].some(words => new RegExp(pattern, "s").test(words))"""


def note(page: Any, selector: str, told: str = "element.textContent") -> None:
    """From now on the page notes what every visible element of a selector says, or what `told`, JavaScript, makes of `element`."""
    page.evaluate(NOTE.replace("TOLD", told), selector)


def noted(page: Any, selector: str, pattern: str) -> None:
    """Waits until something that was noted matches a regular expression, whether or not it still stands there."""
    try:
        page.wait_for_function(WAIT, arg=[selector, pattern])
    except TooLate:
        raise AssertionError(f"{selector} never said {pattern!r}, but {page.evaluate('noted')[selector][-20:]}") from None
