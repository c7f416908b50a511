"""One site's projects service with a fake Hub, in a process of its own: ``python -m tests.bench.serving <url> <size>``.

It prints its address and serves until its input ends.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from jupyterhub_collab.factory import Factory
from tests.support.hub import running_site

from .sites import LARGE, SMALL, Site


async def serve(site: Site) -> None:
    """Serve until the parent closes our input."""
    factory = Factory.open(site.settings)
    async with running_site(factory, fills_plans=False) as running:
        print(running.origin, flush=True)  # noqa: T201 - for the parent
        await asyncio.to_thread(sys.stdin.read)
    await factory.close()


@contextmanager
def serving(site: Site) -> Iterator[str]:
    """Run the service of a site; lend its origin."""
    command = [sys.executable, "-m", "tests.bench.serving", site.url, site.size.name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(10)


if __name__ == "__main__":
    sizes = {size.name: size for size in (SMALL, LARGE)}
    asyncio.run(serve(Site(size=sizes[sys.argv[2]], url=sys.argv[1])))
