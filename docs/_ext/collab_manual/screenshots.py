"""Pictures that the browser tests make. A build without them says what is missing and goes on."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final

from docutils import nodes
from docutils.parsers.rst.directives import unchanged_required
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import OptionSpec

FOLDER: Final = "_static/tutorial"
log: Final = logging.getLogger(__name__)


class Screenshot(SphinxDirective):
    """A picture from the browser test of the main job; what it shows stands below it."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[OptionSpec | None] = {"alt": unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return the picture, or a sentence in its place."""
        name, alt = self.arguments[0], self.options["alt"]
        path = Path(self.env.srcdir, FOLDER, name)
        self.env.note_dependency(str(path))
        if not path.exists():
            return [_placeholder(name, alt)]
        figure = nodes.figure("", nodes.image(uri=f"/{FOLDER}/{name}", alt=alt), classes=["screenshot"])
        return [figure]


def _placeholder(name: str, alt: str) -> nodes.Node:
    words = nodes.paragraph("", f"The picture {name} is made by the browser test; this build has none. It shows: {alt}")
    return nodes.admonition("", nodes.title("", "Picture"), words, classes=["missing-screenshot"])


def say_what_is_missing(app: Sphinx, exception: Exception | None) -> None:
    """Say at the end of a build where pictures are missing and how they are made."""
    if exception is None and not list(Path(app.srcdir, FOLDER).glob("*.png")):
        log.info("There are no screenshots in %s: the tests make them (make demo-check).", FOLDER)
