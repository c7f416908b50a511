"""A project's README as HTML; its links to files lead into the reader's own server."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from jupyterhub_collab_services.base import markdown

if TYPE_CHECKING:
    from markupsafe import Markup

# A README made for it takes more than a second to render, for each of its readers
_KEPT: Final = 64


@functools.lru_cache(maxsize=_KEPT)
def readme_html(text: str, url: str, *, opens_files: bool) -> Markup:
    """Return a README; only who may open files gets links to them."""

    def file_link(target: str) -> str | None:
        path = unquote(target.split("#", 1)[0].split("?", 1)[0]).removeprefix("./")
        if not opens_files or not path or ".." in path.split("/"):
            return None
        return f"{url}/open?path={quote(path)}"

    return markdown.render(text, file_link)
