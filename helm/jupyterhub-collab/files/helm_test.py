"""What `helm test` looks at: each part answers, and the way of a person through them leads to the login page."""
# ruff: noqa: INP001 - a script that the chart gives to a pod

import os
import sys
import urllib.request

PROXY, HUB = os.environ["PROXY"], os.environ["HUB"]
WANTED = {
    "the Hub's API": (f"{HUB}hub/api/", '"version"'),
    "the Hub behind the proxy": (f"{PROXY}hub/health", ""),
    "the login page": (f"{PROXY}hub/login", "<html"),
    "the projects service and its database": (f"{PROXY}services/projects/healthz", '"ok"'),
    "the way from My projects to the login page": (f"{PROXY}services/projects/", "/hub/login"),
}


def look(url: str, wanted: str) -> str:
    """Return what is wrong with the answer, or nothing."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - the chart names the addresses
            body = f"{answer.url}\n{answer.read().decode()}"
    except OSError as error:
        return f"{url}: {error}"
    return "" if wanted in body else f"{url} answers, but not with {wanted}"


def main() -> int:
    """Print a line for each look; return 1 where one failed."""
    found = {name: look(*where) for name, where in WANTED.items()}
    for name, wrong in found.items():
        print(f"FAILED  {name}: {wrong}" if wrong else f"ok      {name}")  # noqa: T201 - the answer
    return int(any(found.values()))


sys.exit(main())
