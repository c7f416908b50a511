"""Names of everything that reaches a disk, Kubernetes or the Hub; one place for the guarantees.

A name that a person chooses never becomes a path by itself. Each function below maps different inputs to different
outputs, and its outputs are safe where they are used; property-based tests hold it to that.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from typing import Final

from escapism import escape

from .errors import InvalidSlugError
from .reserved import RESERVED_SLUGS

SLUG_MIN: Final = 2
SLUG_MAX: Final = 30
# JupyterHub 6 server names: https://jupyterhub.readthedocs.io, "named servers"
_SLUG = re.compile(r"[a-z](?!.*--)[a-z0-9-]*[a-z0-9]\Z")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉⁰¹²³⁴⁵⁶⁷⁸⁹", "01234567890123456789")
# Crockford's base 32 (https://www.crockford.com/base32.html): no I, L, O, U, so that a code can be read aloud
_CODE_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_BLOCKS: Final = 4
_CODE_BLOCK: Final = 4
_SAFE: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_LONGEST: Final = 50
PUBLIC_VOLUME: Final = "public-area"


def check_slug(slug: str) -> str:
    """Return the slug if it can name a project.

    A slug is also the name of the project's servers, so it follows JupyterHub 6: 2 to 30 of ``[a-z0-9-]``, a letter
    first, no hyphen last, no two hyphens in a row, and no route of a server.

    Raises
    ------
    InvalidSlugError
        With the sentence for the page.
    """
    if not (SLUG_MIN <= len(slug) <= SLUG_MAX and _SLUG.match(slug)):
        raise InvalidSlugError(
            "Use 2 to 30 lower-case letters, digits and single hyphens; a letter first, no hyphen last.",
            field="slug",
        )
    if slug in RESERVED_SLUGS:
        raise InvalidSlugError(
            f"“{slug}” is part of a server's own addresses. Choose another short name.", field="slug"
        )
    return slug


def suggest_slug(title: str) -> str:
    """Return a valid slug made from a title; the person may change it before the project is made."""
    plain = unicodedata.normalize("NFKD", title.translate(_SUBSCRIPTS)).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-").lstrip("0123456789-")
    slug = slug[:SLUG_MAX].rstrip("-")
    if len(slug) < SLUG_MIN:
        return "my-project"
    return f"{slug[: SLUG_MAX - 8]}-project" if slug in RESERVED_SLUGS else slug


def _bounded(text: str, *, safe: frozenset[str]) -> str:
    """Escape, and where that is too long keep the beginning and add a hash of the whole."""
    # Lower-case, since a claim on Kubernetes has to be; nothing is lost, for upper-case letters are escaped themselves
    escaped = str(escape(text, safe=safe, escape_char="-")).lower()
    if len(escaped) <= _LONGEST:
        return escaped
    # "-h-" is not an escape ("-" is followed by two hex digits of a byte), so no short name can look like this one
    return f"{escaped[:20]}-h-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def _of_holder(person: str, holder: int) -> str:
    """Return a safe name for a person; ``holder`` tells those apart who had the account name one after the other."""
    # "-n" begins no escape either
    return _bounded(person, safe=_SAFE) + (f"-n{holder}" if holder > 1 else "")


def home_volume(person: str, holder: int = 1) -> str:
    """Return the name of a person's home volume: a folder on one machine, a claim on Kubernetes."""
    return f"home-{_of_holder(person, holder)}"


def scratch_volume(person: str, holder: int = 1) -> str:
    """Return the name of a person's scratch volume."""
    return f"scratch-{_of_holder(person, holder)}"


def project_volume(slug: str) -> str:
    """Return the name of a project's volume."""
    return f"project-{check_slug(slug)}"


def data_volume(name: str) -> str:
    """Return the name of a curated data volume."""
    return f"data-{_bounded(name, safe=_SAFE)}"


def server_directory(person: str, server_name: str) -> str:
    """Return the name of the folder that holds one server's socket and records.

    Short, because the path of a Unix socket has at most 107 bytes, and lower-case, because the Hub lower-cases it.
    """
    digest = hashlib.sha256(f"{person}\0{server_name}".encode()).hexdigest()
    return f"s-{digest[:24]}"


def hub_group(slug: str, role: str) -> str:
    """Return the name of the Hub group that mirrors a role in a project; see `is_hub_group`."""
    return f"collab:{slug}:{role}"


def is_hub_group(name: str) -> bool:
    """Tell whether a group's name lies in our name space, which no identity provider may use."""
    return name.casefold().startswith("collab:")


def new_code() -> str:
    """Return a new invitation code with 80 random bits, in blocks that can be read aloud."""
    letters = [secrets.choice(_CODE_ALPHABET) for _ in range(_CODE_BLOCKS * _CODE_BLOCK)]
    return "-".join("".join(letters[i : i + _CODE_BLOCK]) for i in range(0, len(letters), _CODE_BLOCK))


def code_hash(code: str) -> str:
    """Return what is stored of a code: 80 random bits need no salt and no slow hash."""
    plain = code.strip().upper().replace("-", "").translate(str.maketrans("ILO", "110"))
    return hashlib.sha256(plain.encode()).hexdigest()


def code_hint(code: str) -> str:
    """Return the first block of a code, by which its maker recognises it in a list."""
    return code.split("-", 1)[0]
