"""What happened, as a sentence: each kind of audit event in the words of the pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from markupsafe import Markup

from jupyterhub_collab.audit.models import Event
from jupyterhub_collab.settings import Settings
from jupyterhub_collab_services.base.words import size

_FIELDS: Final = {
    "title": "the title",
    "description": "the description",
    "readme": "the README",
    "visibility": "the visibility",
    "environment": "the environment",
    "resource_class": "the size",
    "volume_size": "the size of its volume",
}
_CATALOGUES: Final = {"environment": "environments", "resource_class": "resource_classes"}

Teller = Callable[[Event, Settings], Markup]


def _say(template: str, **extra: str) -> Teller:
    """Return what tells an event by a template with its target and details."""

    def tell(event: Event, _settings: Settings) -> Markup:
        fields: dict[str, Any] = {"target": event.target, **event.detail, **extra}
        return Markup(template).format_map(_Known(fields))  # noqa: S704 - the template is ours, values are escaped

    return tell


class _Known(dict[str, Any]):
    """Details by name; an older event may lack one."""

    def __missing__(self, key: str) -> str:
        return ""


def _title(settings: Settings, field: str, name: str) -> str:
    entry = getattr(settings, _CATALOGUES[field]).get(name)
    return (entry.title if entry else "") or name


def _changed(event: Event, settings: Settings) -> Markup:
    told = []
    for field in event.detail.get("fields", []):
        words, value = _FIELDS.get(field, field), event.detail.get(field)
        if field in _CATALOGUES and value:
            value = _title(settings, field, value)
        if field == "volume_size" and value:
            value = size(int(value))
        told.append(
            Markup("{} to {}").format(words, value) if value and field != "description" else Markup.escape(words)
        )
    return Markup("changed ") + Markup(" and ").join(told)


def _added(event: Event, _settings: Settings) -> Markup:
    role, via = event.detail.get("role", ""), event.detail.get("via", "")
    if event.actor == event.target:
        kind, _, whom = via.partition(" from ")
        how = {"link": "a link", "invitation": "an invitation"}.get(kind, kind)
        return Markup("joined as {} by {} from {}").format(role, how, whom)
    if via.startswith("asked"):
        return Markup("let <strong>{}</strong> in as {}").format(event.target, role)
    return Markup("added <strong>{}</strong> as {}").format(event.target, role)


def _invited(event: Event, _settings: Settings) -> Markup:
    role = event.detail.get("role", "")
    if event.target.startswith("link "):
        return Markup("made an invitation link for {}, <code>{}</code>").format(
            _with_article(role), event.target.removeprefix("link ")
        )
    return Markup("invited <strong>{}</strong> as {}").format(event.target, role)


def _with_article(role: str) -> str:
    return f"an {role}" if role == "editor" else f"a {role}"


def _stopped(event: Event, _settings: Settings) -> Markup:
    if event.target == "all servers":
        return Markup("stopped the project servers of all members")
    return Markup("stopped the server of <strong>{}</strong>").format(event.target)


_TELLERS: Final[dict[str, Teller]] = {
    "project.create": _say("made the project"),
    "project.change": _changed,
    "project.archive": _say("archived the project"),
    "project.restore": _say("restored the project from the archive"),
    "project.delete": _say("deleted the project"),
    "project.undelete": _say("restored the deleted project"),
    "project.purge": _say("removed the files and rows of <code>{target}</code> for good"),
    "project.pin": _say("pinned <code>{target}</code>"),
    "project.unpin": _say("unpinned <code>{target}</code>"),
    "member.add": _added,
    "member.change": _say("made <strong>{target}</strong> {role}, before {before}"),
    "member.remove": _say("removed <strong>{target}</strong>, who was {role}"),
    "member.leave": _say("left the project"),
    "group.grant": _say("gave the group <strong>{target}</strong> the role {role}"),
    "group.remove": _say("removed the group <strong>{target}</strong>"),
    "group.pause": _say("paused losses of the group <strong>{target}</strong>"),
    "group.resume": _say("let losses of the group <strong>{target}</strong> apply"),
    "invitation.create": _invited,
    "invitation.reserve": _say("came to this Hub by the invitation <code>{target}</code>"),
    "invitation.release": _say("gave back the use of the invitation <code>{target}</code>"),
    "invitation.accept": _say("accepted an invitation"),
    "invitation.decline": _say("declined an invitation"),
    "invitation.revoke": _say("withdrew the invitation of <strong>{target}</strong>"),
    "join-request.create": _say("asked to join"),
    "join-request.withdraw": _say("withdrew the request to join"),
    "join-request.decline": _say("declined the request of <strong>{target}</strong>"),
    "data.attach": _say("attached <code>{target}</code>, {mode}"),
    "data.detach": _say("detached <code>{target}</code>"),
    "server.start": _say("started the server <code>{target}</code>"),
    "server.end": _say("ended the server <code>{target}</code>"),
    "server.stop": _stopped,
    "person.create": _say("logged in for the first time"),
    "person.remove": _say("removed <strong>{target}</strong> from everything"),
    "person.groups": _say("has other identity groups now"),
}


def sentence(event: Event, settings: Settings) -> Markup:
    """Return what the actor did, without the actor; an event without words of its own shows its name and target."""
    teller = _TELLERS.get(event.action)
    if teller is None:
        return Markup("{} <code>{}</code>").format(event.action, event.target)
    return teller(event, settings)
