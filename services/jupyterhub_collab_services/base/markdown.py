"""Markdown that people write, as HTML that harms nobody who reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

_TAGS: Final = set(
    """
    a blockquote br code del em h3 h4 h5 h6 hr li ol p pre s strong sub sup table tbody td th thead tr ul
    """.split()
)
_ATTRIBUTES: Final = {"a": {"href", "title"}, "ol": {"start"}, "th": {"align"}, "td": {"align"}}
_SCHEMES: Final = {"http", "https", "mailto"}
_LOWEST: Final = 6

FileLink = Callable[[str], str | None]
"""Where a relative link leads: to a file of the project; None where the reader may not open files."""


class _Renderer(RendererHTML):
    """Headings below those of the page; pictures as links, so that reading a page tells no other site who reads it."""

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        words = escape(self.renderInlineAsText(token.children or [], options, env) or "picture")
        source = str(token.attrs.get("src", ""))
        if urlsplit(source).scheme in ("http", "https"):
            return f'<a href="{escape(source)}">{words}</a>'
        return str(words)


def _shift_headings(tokens: list[Token]) -> None:
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 2, _LOWEST)}"


def _lead_links(tokens: list[Token], file_link: FileLink) -> None:
    """Let relative links lead to files of the project."""
    for token in tokens:
        if token.type == "link_open":
            target = str(token.attrs.get("href", ""))
            address = urlsplit(target)
            if not address.scheme and not address.netloc and not target.startswith(("#", "/")):
                token.attrs["href"] = file_link(target) or ""
        _lead_links(token.children or [], file_link)


def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable(["table", "strikethrough"])


def _no_empty_links(tag: str, attribute: str, value: str) -> str | None:
    return None if (tag, attribute, value) == ("a", "href", "") else value


def render(text: str, file_link: FileLink) -> Markup:
    """Return Markdown as HTML; what could run, load or pose as part of the page is gone."""
    parser, env = _parser(), {}  # type: ignore[var-annotated]
    tokens: list[Any] = parser.parse(text, env)
    _shift_headings(tokens)
    _lead_links(tokens, file_link)
    html = nh3.clean(
        parser.renderer.render(tokens, parser.options, env),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_no_empty_links,
        url_schemes=_SCHEMES,
        link_rel="nofollow noopener noreferrer",
        set_tag_attribute_values={"pre": {"tabindex": "0"}},
    )
    return Markup(html)  # noqa: S704 - sanitised above
