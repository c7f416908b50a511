"""The JSON API: everything that a page does. Parse, call one service, shape the answer."""

from . import data, invitations, join_requests, members, operator, people, projects, servers
from .table import ANYONE, PERSON, PREFIX, api

__all__ = [
    "ANYONE",
    "PERSON",
    "PREFIX",
    "api",
    "data",
    "invitations",
    "join_requests",
    "members",
    "operator",
    "people",
    "projects",
    "servers",
]
