from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import pytest
from pydantic import ByteSize
from yarl import URL

from jupyterhub_collab.access.models import PERMISSIONS, Permission, Role, SiteRight, Standing, Visibility
from jupyterhub_collab.people.models import Kind
from jupyterhub_collab.projects.models import Invitation
from jupyterhub_collab.settings import Limits, Site, Storage
from jupyterhub_collab.volumes.models import ScratchUse
from jupyterhub_collab_services import hub_pages
from jupyterhub_collab_services.base.page import ISOLATION
from jupyterhub_collab_services.projects.api import ANYONE, PERSON
from jupyterhub_collab_services.projects.application import ProjectsService
from jupyterhub_collab_services.projects.pages import PageRoute, table
from tests.support.hub import FakeServer, running_site, token_of
from tests.support.hub import Site as RunningSite
from tests.support.world import ACCOUNTS, EVERYONE, MEMBERS, SLUG, Clock, World

if TYPE_CHECKING:
    from jupyterhub_collab.factory import Factory

FROM_MINE: Final[dict[str, Any]] = {"from": "mine"}
FROM_OPERATOR: Final[dict[str, Any]] = {"from": "operator"}
EVIL: Final = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


class Answer:
    """What came back: status, text, headers, and where it leads."""

    def __init__(self, response: aiohttp.ClientResponse, text: str) -> None:
        self.status, self.text, self.headers = response.status, text, response.headers
        self.leads_to = response.headers.get("Location", "")
        self.cookies = response.cookies

    @property
    def words(self) -> str:
        return " ".join(re.sub(r"<[^>]+>", " ", self.text).split())


class Visitor:
    """Someone who looks at pages and sends forms, by token so that no cookie is needed."""

    def __init__(self, site: RunningSite, who: str | None) -> None:
        self.site = site
        headers = {"Authorization": f"token {token_of(who)}"} if who else {}
        self.session = aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.CookieJar(unsafe=True))
        self.has_token = who is not None

    async def get(self, path: str = "", /, *, part: bool = False) -> Answer:
        return await self._ask("GET", path, headers={"HX-Request": "true"} if part else {})

    async def post(self, path: str, /, *, part: bool = False, **form: Any) -> Answer:
        if not self.has_token:
            await self.get("directory")
            form["_xsrf"] = next(cookie.value for cookie in self.session.cookie_jar if cookie.key == "_xsrf")
        return await self._ask("POST", path, data=form, headers={"HX-Request": "true"} if part else {})

    async def follow(self, answer: Answer) -> Answer:
        return await self._ask("GET", "", url=URL(self.site.origin + answer.leads_to, encoded=True))

    async def _ask(self, method: str, path: str, url: URL | None = None, **kwargs: Any) -> Answer:
        address = url or URL(self.site.url + path, encoded=True)
        async with self.session.request(method, address, allow_redirects=False, **kwargs) as response:
            return Answer(response, await response.text())


As = Callable[[str | None], Visitor]


@pytest.fixture
def backend() -> str:
    """Pages look at the core, not at the database: one is enough."""
    return "sqlite"


@pytest.fixture
async def site(factory: Factory, clock: Clock, world: World) -> AsyncIterator[RunningSite]:
    del world
    async with running_site(factory, clock=clock) as running:
        yield running


@pytest.fixture
async def be(site: RunningSite) -> AsyncIterator[As]:
    visitors: dict[str | None, Visitor] = {}

    def someone(who: str | None) -> Visitor:
        return visitors.setdefault(who, Visitor(site, who))

    yield someone
    for visitor in visitors.values():
        await visitor.session.close()


# Who may do what: every route × method × person, from the same table that dispatches -------------------------------

FORMS: Final[dict[str, dict[str, Any]]] = {
    "new": {"title": "Another"},
    "join": {"code": "no"},
    "p/{slug}/members/role": {"user": "viewer", "role": "viewer"},
    "p/{slug}/members/remove": {"user": "lead", "sure": "1"},
    "p/{slug}/members/stop": {"user": "viewer"},
    "p/{slug}/members/invite": {"name": "stranger", "role": "viewer"},
    "p/{slug}/groups/role": {"group": "none", "role": "viewer"},
    "p/{slug}/requests/approve": {"id": "1"},
    "p/{slug}/requests/decline": {"id": "1"},
    "p/{slug}/invitations": {"link_role": "viewer", "days": "7", "uses": "1"},
    "p/{slug}/data/attach": {"name": "noaa-co2"},
    "p/{slug}/data/detach": {"name": "noaa-co2"},
    "p/{slug}/readme": {"readme": "Hello"},
    "p/{slug}/pin": {"pinned": "1"},
    "p/{slug}/settings/name": {"title": "New", "description": ""},
    "p/{slug}/settings/visibility": {"visibility": "internal"},
    "p/{slug}/settings/runtime": {"environment": "default", "resource_class": "small"},
    "p/{slug}/settings/volume": {"volume_size": "20"},
    "p/{slug}/settings/delete": {"confirm": SLUG},
    "operator/resume": {"group": "none"},
    "operator/persons/remove": {"user": "viewer"},
}
CASES: Final = [(route, method) for route in table for method in route.needs]
# What an allowed person may still be told about a form that names nothing, or nothing that is there
_NOTHING_THERE: Final = {
    "p/{slug}/members/stop",
    "p/{slug}/groups/role",
    "p/{slug}/groups/remove",
    "p/{slug}/requests/approve",
    "p/{slug}/requests/decline",
    "p/{slug}/ask/withdraw",
    "p/{slug}/invitations/revoke",
    "p/{slug}/data/detach",
    "p/{slug}/restore",
    "operator/resume",
    "join/{code}",
    "invitations/{id}",
    "invitations/{id}/decline",
}


def standing(who: str | None) -> Standing:
    if who is None:
        return Standing.VISITOR
    return Standing(MEMBERS[who].value) if who in MEMBERS else Standing(who)


def may(who: str | None, needs: Permission | SiteRight | str) -> bool:
    if needs == ANYONE:
        return True
    if needs == PERSON or needs is SiteRight.CREATE_PROJECTS:
        return who is not None
    if isinstance(needs, SiteRight):
        return who == "operator"
    # The project is private: whoever may not find it may do nothing with it
    return {needs, Permission.FIND} <= PERMISSIONS[standing(who)]


def label(case: tuple[PageRoute, str]) -> str:
    return f"{case[1]} {case[0].path or '/'}"


@pytest.mark.parametrize("who", EVERYONE)
@pytest.mark.parametrize("case", CASES, ids=label)
async def test_a_page_is_for_those_whom_the_permission_table_names(
    be: As, case: tuple[PageRoute, str], who: str | None
) -> None:
    route, method = case
    path = route.path.replace("{slug}", SLUG).replace("{code}", "AAAA-BBBB").replace("{id}", "1")
    someone = be(who)
    answer = await (someone.get(path) if method == "GET" else someone.post(path, **FORMS.get(route.path, {})))
    assert answer.status < 500, answer.words
    to_login = "/oauth2/authorize" in answer.leads_to
    if may(who, route.needs[method]):
        refused = answer.status in (401, 403) or (answer.status == 404 and route.path not in _NOTHING_THERE)
        assert not refused, answer.words
        assert not to_login or route.path == "login", answer.words
    else:
        assert to_login or answer.status in (401, 403, 404, 409), answer.words


@pytest.mark.parametrize("who", ["stranger", None])
async def test_a_private_project_looks_like_none(be: As, who: str | None) -> None:
    theirs, none = await be(who).get(f"p/{SLUG}"), await be(who).get("p/no-such-project")
    assert theirs.status == none.status
    texts = [re.sub(r"Request [0-9a-f]+", "", answer.words) for answer in (theirs, none)]
    assert texts[0].replace(SLUG, "") == texts[1].replace("no-such-project", "")


async def test_throw_away_accounts_see_what_visitors_see(world: World, be: As) -> None:
    await world.sign_in("explorer", kind=Kind.EXPLORE)
    await world.create("inner", visibility=Visibility.INTERNAL)
    assert (await be("explorer").get("p/inner")).status == 404
    assert "inner" not in (await be("explorer").get("directory")).text


# What leaves the service ------------------------------------------------------------------------------------------


class _Inline(HTMLParser):
    """Collects what the policy forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found += [f"<{tag} {name}>" for name in given if name == "style" or name.startswith("on")]
        if tag == "script" and "src" not in given:
            self.found.append("<script>")


@pytest.mark.parametrize(
    "path", [r.path for r in table if "GET" in r.needs and "{code}" not in r.path and "{id}" not in r.path]
)
async def test_nothing_inline_and_nothing_from_elsewhere(world: World, be: As, path: str) -> None:
    await world.change(title=f"T{EVIL}", description=f"D{EVIL}", readme=f"# R\n\n{EVIL}\n\n[x](javascript:alert(1))")
    who = "operator" if path.startswith("operator") else "lead"
    answer = await be(who).get(path.replace("{slug}", SLUG))
    parser = _Inline()
    parser.feed(answer.text)
    assert parser.found == []
    assert "<img src=x" not in answer.text
    assert 'href="javascript:' not in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


async def test_what_people_write_is_shown_as_they_wrote_it(world: World, be: As) -> None:
    await world.create("open", visibility=Visibility.INTERNAL)
    await be("stranger").post("p/open/ask", message=EVIL)
    shown = await be("lead").get("p/open/members")
    assert "<img src=x" not in shown.text
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown.text


async def test_static_files_are_kept_for_ever_under_their_content(be: As) -> None:
    page = await be(None).get("directory")
    (address,) = re.findall(r'href="/services/projects/(static/look\.css\?v=[0-9a-f]+)"', page.text)
    style = await be(None).get(address)
    assert style.status == 200
    assert "max-age=3155" in style.headers["Cache-Control"].replace("315360000", "3155")
    assert style.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Cache-Control"] == "no-store"


async def test_a_form_with_cookies_needs_the_token_of_its_page(site: RunningSite) -> None:
    site.hub.browser_user = "lead"
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar, headers={"Sec-Fetch-Mode": "navigate"}) as browser:
        async with browser.get(site.url + "login") as page:
            text = await page.text()
        assert "My projects" in text
        async with browser.post(f"{site.url}p/{SLUG}/settings/archive") as refused:
            assert refused.status == 403
            assert "did not come from a page" in await refused.text()
        (xsrf,) = set(re.findall(r'name="_xsrf" value="([^"]+)"', text))
        async with browser.post(f"{site.url}p/{SLUG}/settings/archive", data={"_xsrf": xsrf}) as taken:
            assert taken.status == 200
            assert "Archived" in await taken.text()


async def test_without_isolation_every_page_says_so(be: As, monkeypatch: pytest.MonkeyPatch) -> None:
    for who, path in ((None, "directory"), ("lead", ""), ("lead", "p/none")):
        monkeypatch.delenv(ISOLATION, raising=False)
        assert "not kept apart" not in (await be(who).get(path)).words
        monkeypatch.setenv(ISOLATION, "none")
        assert "Servers are not kept apart on this Hub" in (await be(who).get(path)).words


@pytest.mark.parametrize(
    "path",
    [
        "no-such-page",
        "p/%00",
        "p/..%2f..%2fetc",
        "p/%F0%9F%98%80",
        "p/x/settings",
        "invitations/99999999999999999999",
        "join/%00",
    ],
)
async def test_odd_addresses_are_not_found(be: As, path: str) -> None:
    answer = await be("lead").get(path)
    assert answer.status in (400, 404)
    assert "<html" in answer.text


@pytest.mark.parametrize("made", ["x", "-1", "9" * 19, "9" * 5000])
async def test_a_number_that_no_invitation_has_shows_no_code(be: As, made: str) -> None:
    answer = await be("lead").get(f"p/{SLUG}/members?made={made}")
    assert answer.status == 200
    assert "data-copy" not in answer.text


# Forms ------------------------------------------------------------------------------------------------------------


async def test_a_project_is_made_from_a_title(be: As, factory: Factory) -> None:
    assert (
        'value="atmospheric-co2"' in (await be("lead").get("new/slug?title=Atmospheric%20CO%E2%82%82", part=True)).text
    )
    made = await be("lead").post("new", title="Atmospheric CO₂", visibility="internal")
    assert made.status == 303
    assert made.leads_to == "/services/projects/p/atmospheric-co2"
    assert (await factory.projects.get("lead", "atmospheric-co2")).project.visibility is Visibility.INTERNAL


@pytest.mark.parametrize(
    ("field", "form"),
    [
        ("title", {"title": "x" * 5000}),
        ("title", {"title": " "}),
        ("slug", {"title": "A", "slug": "--"}),
        ("slug", {"title": "A", "slug": "lab"}),
        ("slug", {"title": "A", "slug": "..%2f"}),
        ("slug", {"title": "A", "slug": "😀"}),
        ("slug", {"title": "A", "slug": SLUG}),
        ("visibility", {"title": "A", "visibility": "secret"}),
        ("description", {"title": "A", "description": "y" * 400}),
    ],
)
async def test_a_wrong_field_comes_back_with_what_was_typed(be: As, field: str, form: dict[str, Any]) -> None:
    answer = await be("lead").post("new", **{"visibility": "private"} | form)
    assert answer.status in (409, 422)
    assert f'id="{field}-problem"' in answer.text
    if field != "visibility":
        assert re.search(rf'id="{field}"[^>]*aria-invalid="true"[^>]*autofocus', answer.text)
        assert form[field].strip() in answer.text


async def test_two_leads_who_edit_at_once_lose_nothing(world: World, be: As) -> None:
    page = await be("lead").get(f"p/{SLUG}/settings")
    version = re.findall(r'name="version" value="([^"]+)"', page.text)[0].replace("&#34;", '"')
    await world.change(title="Theirs")
    answer = await be("lead").post(f"p/{SLUG}/settings/name", title="Mine", description="", version=version)
    assert answer.status == 412
    assert 'value="Mine"' in answer.text
    assert "Someone else saved meanwhile: Theirs" in answer.words
    newer = re.findall(r'name="version" value="([^"]+)"', answer.text)[0].replace("&#34;", '"')
    assert newer != version
    saved = await be("lead").post(f"p/{SLUG}/settings/name", title="Mine", description="", version=newer)
    assert saved.status == 303
    assert "Mine" in (await be("lead").get(f"p/{SLUG}")).words


async def test_two_who_write_the_readme_see_both(world: World, be: As) -> None:
    page = await be("editor").get(f"p/{SLUG}/readme")
    version = re.findall(r'name="version" value="([^"]+)"', page.text)[0].replace("&#34;", '"')
    await world.change(readme="their words")
    answer = await be("editor").post(f"p/{SLUG}/readme", readme="my words", version=version)
    assert answer.status == 412
    assert "my words" in answer.text
    assert "their words" in answer.text


async def test_readme_links_open_files_for_members_only(world: World, be: As) -> None:
    await world.change(
        visibility=Visibility.PUBLIC, readme="[a](a.ipynb) [up](../../etc) ![p](https://e.org/p.png) [w](https://e.org)"
    )
    member, visitor = await be("viewer").get(f"p/{SLUG}"), await be(None).get(f"p/{SLUG}")
    assert f'href="/services/projects/p/{SLUG}/open?path=a.ipynb"' in member.text
    assert "a.ipynb" not in visitor.text
    assert "etc" not in visitor.text
    for page in (member, visitor):
        assert '<a href="https://e.org/p.png" rel="nofollow noopener noreferrer">p</a>' in page.text


async def test_a_link_is_shown_once_and_lets_its_holder_in(be: As, world: World) -> None:
    made = await be("lead").post(f"p/{SLUG}/invitations", link_role="viewer", days="7", uses="1")
    shown = await be("lead").follow(made)
    (link,) = set(re.findall(r'data-copy="([^"]+)"', shown.text))
    assert "shown this once" in shown.words
    assert "made=" in made.leads_to
    assert link.rsplit("/", 1)[1] not in made.leads_to
    assert "data-copy" not in (await be("lead").follow(made)).text
    path = link.partition("/services/projects/")[2]
    letter = await be(None).get(path)
    assert letter.cookies["collab-invitation"].value == path.removeprefix("join/")
    assert letter.cookies["collab-invitation"]["path"] == "/hub/"
    assert letter.cookies["collab-invitation"]["httponly"]
    assert "Log in to join" in letter.words
    assert "As viewer you will" in letter.words
    joined = await be("stranger").post(path)
    assert joined.leads_to == f"/services/projects/p/{SLUG}"
    assert (await world.roles())["stranger"] is Role.VIEWER
    assert (await be("operator").get(path)).status == 410


async def test_a_wrong_link_form_says_which_field(be: As) -> None:
    answer = await be("lead").post(f"p/{SLUG}/invitations", link_role="viewer", days="9999", uses="1")
    assert answer.status == 422
    assert 'id="days-problem"' in answer.text
    assert 'value="9999"' in answer.text


async def test_a_code_that_is_typed(be: As, world: World) -> None:
    code = (await world.link()).code or ""
    assert (await be("stranger").post("join", code=f" {code.lower()} ")).leads_to.startswith("/services/projects/join/")
    wrong = await be("stranger").post("join", code="nonsense")
    assert wrong.status == 410
    assert "This code is not known" in wrong.words
    assert 'value="nonsense"' in wrong.text


async def test_another_ones_invitation_is_none(be: As, world: World) -> None:
    invitation = await world.factory.members.put("lead", SLUG, "stranger", Role.VIEWER)
    assert isinstance(invitation, Invitation)
    assert (await be("operator").get(f"invitations/{invitation.id}")).status == 404
    assert (await be("operator").post(f"invitations/{invitation.id}")).status == 404
    assert "lead invites you to Project co2" in (await be("stranger").get()).words
    declined = await be("stranger").post(f"invitations/{invitation.id}/decline")
    assert declined.leads_to == "/services/projects/"
    assert "invites you to Project co2" not in (await be("stranger").get()).words


async def test_inviting_by_name(be: As) -> None:
    unknown = await be("lead").post(f"p/{SLUG}/members/invite", name="nobody", role="viewer")
    assert unknown.status == 422
    assert "has never logged in" in unknown.words
    assert 'value="nobody"' in unknown.text
    assert (await be("lead").post(f"p/{SLUG}/members/invite", name="stranger", role="admin")).status == 422
    await be("lead").post(f"p/{SLUG}/members/invite", name="stranger", role="editor")
    assert "Not accepted" in (await be("lead").get(f"p/{SLUG}/members")).words


async def test_suggestions_show_who_is_in_already(be: As, world: World) -> None:
    await world.sign_in("editha", "edit-group")
    found = await be("lead").get(f"p/{SLUG}/members/suggest?name=edi", part=True)
    assert "already editor" in found.words
    assert "<mark>edi</mark>tha" in found.text
    assert "group, 1 person" in found.words
    assert (await be("lead").get(f"p/{SLUG}/members/suggest?name=ed", part=True)).words == ""


async def test_search_is_limited(be: As, site: RunningSite) -> None:
    for _ in range(site.application.settings["factory"].settings.people.searches_per_minute):
        await be("lead").get(f"p/{SLUG}/members/suggest?name=edi", part=True)
    answer = await be("lead").get(f"p/{SLUG}/members/suggest?name=edi", part=True)
    assert answer.status == 429
    assert answer.headers["Retry-After"]


async def test_a_role_changes_in_place_with_a_way_back(be: As, world: World) -> None:
    part = await be("lead").post(f"p/{SLUG}/members/role", part=True, user="viewer", role="editor")
    assert part.status == 200
    assert part.text.lstrip().startswith('<div class="panel under-suggest" id="members-table"')
    assert 'hx-swap-oob="true"' in part.text
    assert "viewer is editor now." in part.words
    assert "Undo" in part.words
    assert (await world.roles())["viewer"] is Role.EDITOR
    plain = await be("lead").post(f"p/{SLUG}/members/role", user="viewer", role="viewer")
    assert plain.leads_to == f"/services/projects/p/{SLUG}/members"


async def test_the_last_lead_stays(be: As) -> None:
    answer = await be("lead").post(f"p/{SLUG}/members/role", user="lead", role="viewer")
    assert answer.status == 409
    assert "only lead" in answer.words
    assert "Members" in answer.words


async def test_what_stops_a_server_asks_first(be: As, world: World) -> None:
    await world.factory.servers.grant("editor", SLUG)
    asked = await be("lead").post(f"p/{SLUG}/members/role", user="editor", role="viewer")
    assert asked.status == 200
    assert "Make editor viewer?" in asked.words
    assert 'name="sure" value="1"' in asked.text
    assert (await world.roles())["editor"] is Role.EDITOR
    await be("lead").post(f"p/{SLUG}/members/role", user="editor", role="viewer", sure="1")
    assert (await world.roles())["editor"] is Role.VIEWER
    assert "Being stopped" in (await be("lead").get(f"p/{SLUG}/members")).words
    part = await be("lead").get(f"p/{SLUG}/members/table", part=True)
    assert "Being stopped" in part.words
    assert "every 1s" in part.text
    assert "toasts" not in part.text  # a part that renews itself leaves the toast with its Undo


async def test_a_removal_is_pending_until_the_server_is_gone(be: As, world: World) -> None:
    await world.factory.servers.grant("editor", SLUG)
    assert "Remove editor?" in (await be("lead").post(f"p/{SLUG}/members/remove", user="editor")).words
    await be("lead").post(f"p/{SLUG}/members/remove", user="editor", sure="1")
    part = await be("lead").get(f"p/{SLUG}/members/leaving", part=True)
    assert "Removal pending" in part.words
    assert "hx-trigger" in part.text
    assert part.text.strip() in (await be("lead").get(f"p/{SLUG}/members")).text
    await world.factory.servers.ended("editor", SLUG)
    gone = await be("lead").get(f"p/{SLUG}/members/leaving", part=True)
    assert gone.words == ""
    assert "hx-trigger" not in gone.text


async def test_asking_withdrawing_approving(be: As, world: World) -> None:
    await world.change(visibility=Visibility.INTERNAL)
    page = await be("stranger").get(f"p/{SLUG}")
    assert "Ask to join" in page.words
    assert "editor" not in page.words.replace("Who they are", "")
    long = await be("stranger").post(f"p/{SLUG}/ask", message="m" * 501)
    assert long.status == 422
    assert 'id="message-problem"' in long.text
    assert "m" * 501 in long.text
    await be("stranger").post(f"p/{SLUG}/ask", message="I measure")
    assert "Asked" in (await be("stranger").get("directory?q=co2")).words
    (request,) = await world.factory.join_requests.mine("stranger")
    assert "stranger asks to join" in (await be("lead").get()).words
    await be("stranger").post(f"p/{SLUG}/ask/withdraw", id=str(request.id))
    await be("stranger").post(f"p/{SLUG}/ask", message="")
    (request,) = await world.factory.join_requests.mine("stranger")
    approved = await be("lead").post(
        f"p/{SLUG}/requests/approve", id=str(request.id), user="stranger", role="viewer", **FROM_MINE
    )
    assert approved.leads_to == "/services/projects/"
    assert (await world.roles())["stranger"] is Role.VIEWER


async def test_archive_and_delete_can_be_undone(be: As, world: World) -> None:
    await be("lead").post(f"p/{SLUG}/settings/archive")
    assert "Archived." in (await be("viewer").get(f"p/{SLUG}")).words
    assert "Show 1 archived project" in (await be("lead").get()).words
    await be("lead").post(f"p/{SLUG}/restore")
    wrong = await be("lead").post(f"p/{SLUG}/settings/delete", confirm="else")
    assert wrong.status == 422
    assert 'id="confirm-problem"' in wrong.text
    assert (await be("lead").post(f"p/{SLUG}/settings/delete", confirm=SLUG)).leads_to == "/services/projects/"
    assert (await be("viewer").get(f"p/{SLUG}")).status == 404
    assert SLUG in (await be("operator").get("operator/deleted")).words
    back = await be("operator").post(f"p/{SLUG}/restore", **FROM_OPERATOR)
    assert back.leads_to == "/services/projects/operator/deleted"
    assert (await world.roles())["lead"] is Role.LEAD


async def test_data_is_attached_and_detached(be: As) -> None:
    gated = await be("lead").post(f"p/{SLUG}/data/attach", name="gated")
    assert gated.status == 403
    assert 'id="name-problem"' in gated.text
    await be("lead").post(f"p/{SLUG}/data/attach", name="drop", mode="read-write")
    assert "/data/box" in (await be("viewer").get(f"p/{SLUG}/data")).words
    await be("lead").post(f"p/{SLUG}/data/detach", name="drop")
    assert "/data/box" not in (await be("viewer").get(f"p/{SLUG}/data")).words


# Servers ----------------------------------------------------------------------------------------------------------


async def test_open_starts_and_leads_into_the_server(be: As, site: RunningSite) -> None:
    asked = await be("editor").get(f"p/{SLUG}/open")
    assert asked.status == 200
    assert not site.hub.servers
    opened = await be("editor").post(f"p/{SLUG}/open", path="a b.ipynb")
    assert opened.leads_to == f"/user/editor/{SLUG}/lab/tree/projects/{SLUG}/a%20b.ipynb"
    assert (await be("editor").get(f"p/{SLUG}/open")).leads_to == f"/user/editor/{SLUG}/"
    panel = await be("editor").get(f"p/{SLUG}/server", part=True)
    assert "Running" in panel.words
    assert f"~/projects/{SLUG} writes" in panel.words
    await be("editor").post(f"p/{SLUG}/stop")
    assert not site.hub.servers
    assert "Stopped" in (await be("editor").get(f"p/{SLUG}")).words


async def test_a_slow_start_is_watched(be: As, site: RunningSite, clock: Clock) -> None:
    site.hub.start_seconds = 1.0
    opened = await be("viewer").post(f"p/{SLUG}/open")
    assert opened.leads_to == f"/services/projects/p/{SLUG}/starting"
    page = await be("viewer").get(f"p/{SLUG}/starting")
    assert "Step 3 of 4" in page.words
    assert "the folder is yours to read" in page.words
    assert "reads" in page.words
    clock.move(seconds=7)
    part = await be("viewer").get(f"p/{SLUG}/starting", part=True)
    assert "7 s" in part.words
    assert part.text.lstrip().startswith("<section")
    mine = await be("viewer").get()
    assert "Starting" in mine.words
    assert 'hx-trigger="every 5s"' in mine.text
    for server in site.hub.servers.values():
        server.ready, server.pending = True, None
    ready = await be("viewer").get(f"p/{SLUG}/starting", part=True)
    assert ready.headers["HX-Redirect"] == f"/user/viewer/{SLUG}/"


async def test_the_end_of_a_start_is_known_at_once(be: As, site: RunningSite) -> None:
    """The page does not ask again and again: its question waits for the Hub's answer."""
    site.hub.start_seconds, site.hub.answer_seconds = 5.3, 10
    opened = await be("viewer").post(f"p/{SLUG}/open")
    assert opened.leads_to == f"/services/projects/p/{SLUG}/starting"
    part = await be("viewer").get(f"p/{SLUG}/starting", part=True)
    assert part.headers["HX-Redirect"] == f"/user/viewer/{SLUG}/"


async def test_a_start_that_failed_is_explained_by_the_hub(be: As) -> None:
    assert (await be("viewer").get(f"p/{SLUG}/starting")).leads_to == f"/hub/spawn-pending/viewer/{SLUG}"


async def test_at_the_limit_one_can_stop_another(be: As, site: RunningSite, world: World) -> None:
    for slug in ("one", "two", "three"):
        await world.create(slug)
        assert (await be("lead").post(f"p/{slug}/open")).leads_to.startswith("/user/")
    refused = await be("lead").post(f"p/{SLUG}/open")
    assert refused.status == 409
    assert "You run three servers already" in refused.words
    assert "Project two" in refused.words
    assert "server-limit-reached" in refused.words
    opened = await be("lead").post(f"p/{SLUG}/open", stop="two")
    assert opened.leads_to == f"/user/lead/{SLUG}/"
    assert sorted(name for _, name in site.hub.servers) == sorted(["one", "three", SLUG])


async def test_what_the_spawner_says_stands_on_the_page(be: As, site: RunningSite) -> None:
    site.hub.refuses_start = "The environment is missing. Ask the operator to put it back."
    answer = await be("editor").post(f"p/{SLUG}/open")
    assert answer.status == 409
    assert "Ask the operator to put it back." in answer.words


async def test_restart_to_apply(be: As, world: World, site: RunningSite) -> None:
    await be("viewer").post(f"p/{SLUG}/open")
    assert "Restart to apply" not in (await be("viewer").get(f"p/{SLUG}")).words
    world.clock.move(minutes=1)
    await world.join("viewer", Role.EDITOR)
    page = await be("viewer").get(f"p/{SLUG}")
    assert "Restart to apply. lead made viewer editor" in page.words
    assert "read-only" in page.words
    assert "writes after restart" in page.words
    update = await be("viewer").get(f"p/{SLUG}/server", part=True)
    assert 'id="restart" hx-swap-oob="true"' in update.text
    assert "You may write in Project co2 now" in (await be("viewer").get()).words
    site.hub.stop_seconds = 0.3
    assert (await be("viewer").post(f"p/{SLUG}/restart")).leads_to == f"/user/viewer/{SLUG}/"
    assert "Restart to apply" not in (await be("viewer").get(f"p/{SLUG}")).words


async def test_the_workspace_has_what_is_pinned(be: As, site: RunningSite) -> None:
    assert "the project you pinned" in (await be("viewer").get()).words
    await be("viewer").post(f"p/{SLUG}/pin", pinned="0")
    assert "the projects you pin" in (await be("viewer").get()).words
    assert (await be("viewer").post("workspace/open")).leads_to == "/user/viewer/"
    assert ("viewer", "") in site.hub.servers
    await be("viewer").post("workspace/stop")
    assert not site.hub.servers


async def test_pages_stand_while_the_hub_is_busy(be: As, site: RunningSite, world: World) -> None:
    await world.factory.servers.grant("editor", SLUG)
    await be("editor").get()
    site.hub.away = True
    page = await be("editor").get(f"p/{SLUG}")  # who it is was asked within the last second
    assert page.status in (200, 302, 503)
    if page.status == 200:
        assert "The Hub does not answer" in page.words
        assert "Running" in page.words


async def test_servers_of_others_are_never_touched(be: As, site: RunningSite, world: World) -> None:
    site.hub.servers["editor", SLUG] = FakeServer(started=world.clock.now, ready=True)
    await be("lead").post(f"p/{SLUG}/stop")
    assert ("editor", SLUG) in site.hub.servers
    assert all("/users/editor" not in line for line in site.hub.seen)


# Lists and parts --------------------------------------------------------------------------------------------------


async def test_an_empty_start_teaches(be: As) -> None:
    page = await be("stranger").get()
    assert "Give your group a place to work" in page.words
    assert "Have an invitation code?" in page.words


async def test_my_projects_can_be_filtered(be: As, world: World) -> None:
    await world.create("ocean", title="Ocean sinks")
    part = await be("lead").get("?q=oce", part=True)
    assert part.text.lstrip().startswith('<div class="panel" id="mine"')
    assert "Ocean sinks" in part.words
    assert "Project co2" not in part.words
    assert 'id="workspace-panel"' in part.text
    assert "None of your projects" in (await be("lead").get("?q=zzz")).words


async def test_needs_you_renews_itself_with_the_same_part(be: As, world: World) -> None:
    await world.factory.members.put("lead", SLUG, "stranger", Role.VIEWER)
    page, part = await be("stranger").get(), await be("stranger").get("needs-you", part=True)
    assert part.text.strip() in page.text
    assert '<span class="count is-new" title="1 thing needs you">1' in page.text


async def test_the_hubs_own_pages_show_the_count_too(be: As, world: World) -> None:
    await world.factory.members.put("lead", SLUG, "stranger", Role.VIEWER)
    script = await be("stranger").get("needs-you.js")
    assert "1 thing needs you" in script.text
    assert script.headers["Content-Type"].startswith("text/javascript")
    assert script.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "insert" not in (await be(None).get("needs-you.js")).text


async def test_the_directory_shows_what_one_may_find(be: As, world: World) -> None:
    await world.create("inner", visibility=Visibility.INTERNAL, title="Flask inner")
    await world.create("open", visibility=Visibility.PUBLIC, title="Flask open")
    assert "2 projects match “flask”" in (await be("stranger").get("directory?q=flask")).words
    visitor = await be(None).get("directory?q=flask")
    assert "1 project matches “flask”" in visitor.words
    assert "<mark>Flask</mark> open" in visitor.text
    assert (await be(None).get("directory?sort=size")).status == 422


async def test_long_lists_go_on(be: As, world: World) -> None:
    for number in range(25):
        await world.create(f"p-{number:02}", visibility=Visibility.PUBLIC, title=f"Public {number:02}")
    page = await be("stranger").get("directory?sort=title")
    (address,) = re.findall(r'href="/services/projects/(directory\?[^"]+)">More', page.text)
    more = await be("stranger").get(address.replace("&amp;", "&"))
    assert "Public 24" in more.words
    assert "Public 00" not in more.words
    operator = await be("operator").get("operator")
    assert "More projects" in operator.words


async def test_the_operator_sees_members_servers_and_losses(be: As, world: World) -> None:
    await world.factory.servers.grant("editor", SLUG)
    assert re.search(
        r'data-label="Members" class="num">3<.*?data-label="Running servers" class="num">1<',
        (await be("operator").get("operator")).text,
        re.DOTALL,
    )
    for name in ("a1", "a2", "a3", "a4"):
        await world.sign_in(name, "staff")
    for name in ("a1", "a2", "a3", "a4"):
        await world.sign_in(name)
    assert "Losses of staff are paused" in (await be("operator").get("operator/persons")).words
    await be("operator").post("operator/resume", group="staff")
    assert "are paused" not in (await be("operator").get("operator/persons")).words
    assert (
        "made the project in co2"
        in (await be("operator").get(f"operator/audit?project={SLUG}&action=project.create")).words
    )
    machine = await be("operator").get("operator/machine")
    assert "Sandbox" in machine.words
    assert "Holds" in machine.words or "Does not hold" in machine.words


async def test_who_is_unknown_to_the_core_is_asked_to_log_in(be: As) -> None:
    answer = await be("never-seen").get()
    assert answer.status in (302, 401)


def test_every_account_of_the_table_is_someone() -> None:
    assert {standing(who) for who in EVERYONE} == set(Standing)
    assert Limits().servers_per_person == 3
    assert Site().name
    assert len(ACCOUNTS) == 5


# Room -----------------------------------------------------------------------------------------------------


async def test_room_is_shown_and_given_where_volumes_have_a_size(
    be: As, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.factory.projects.measured(SLUG, 3_000_000_000)
    settings = f"p/{SLUG}/settings"
    assert "3.0 GB used" in (await be("operator").get(settings)).words
    assert "volume_size" not in (await be("operator").get(settings)).text
    monkeypatch.setenv(ISOLATION, "pod")
    page = await be("lead").get(settings)
    assert "3.0 GB of 10.7 GB used. An operator can give the project more" in page.words
    assert "volume_size" not in page.text
    assert 'name="volume_size" inputmode="decimal" size="8" value="10"' in (await be("operator").get(settings)).text
    smaller = await be("operator").post(f"{settings}/volume", volume_size="5")
    assert (smaller.status, "This one has 10 GiB" in smaller.words) == (409, True)
    assert 'value="5"' in smaller.text
    nothing = await be("operator").post(f"{settings}/volume", volume_size="much")
    assert nothing.status == 422
    assert (await be("operator").post(f"{settings}/volume", volume_size="20")).leads_to.endswith("settings#volume")
    assert "3.0 GB of 21.5 GB used" in (await be("lead").get(f"p/{SLUG}")).words
    assert "3.0 GB of 21.5 GB" in (await be("operator").get("operator")).words
    assert "the size of its volume to 21.5 GB" in (await be("lead").get(f"p/{SLUG}/activity")).words


# Removing a person ----------------------------------------------------------------------------------------


async def test_an_operator_removes_a_person_after_one_question(be: As, world: World) -> None:
    operator = be("operator")
    persons = await operator.get("operator/persons")
    assert persons.text.count("operator/persons/remove") == len(ACCOUNTS) - 1  # not themselves
    asked = await operator.post("operator/persons/remove", user="viewer")
    assert "Remove viewer from everything?" in asked.words
    assert await world.factory.people.get("viewer") is not None
    done = await operator.post("operator/persons/remove", user="viewer", sure="1")
    assert done.leads_to.endswith("operator/persons")
    assert "viewer is removed" in (await operator.get("operator/persons")).words
    assert await world.factory.people.get("viewer") is None
    again = await operator.post("operator/persons/remove", user="viewer")
    assert again.status == 404


async def test_why_a_person_cannot_be_removed_stands_above_the_list(be: As) -> None:
    answer = await be("operator").post("operator/persons/remove", user="lead", sure="1")
    assert answer.status == 409
    assert f"lead is the only lead of {SLUG}" in answer.words
    assert "stranger" in answer.words


async def test_who_was_removed_is_told_and_not_sent_round_in_circles(be: As, world: World) -> None:
    await world.factory.departures.remove("operator", "stranger")
    answer = await be("stranger").get()
    assert (answer.status, answer.leads_to) == (401, "")
    assert "Log out and in again" in answer.words


# Scratch space --------------------------------------------------------------------------------------------


async def test_my_projects_warn_of_what_goes_from_scratch_space(
    world: World, with_settings: Callable[..., Factory], clock: Clock
) -> None:
    factory = with_settings(storage=Storage(scratch_days=30))
    async with running_site(factory, clock=clock) as site:
        viewer, editor = Visitor(site, "viewer"), Visitor(site, "editor")
        assert "What nobody changes for 30 days is deleted" in (await viewer.get()).words
        use = ScratchUse(size=9_000_000_000, going=4_000_000_000, goes_from=clock() + timedelta(days=2))
        await factory.scratch.seen("scratch-viewer", use)
        shown = (await viewer.get()).words
        assert "has 9.0 GB" in shown
        assert "4.0 GB of it is deleted soon, the first files in 2 days" in shown
        assert "4.0 GB" not in (await editor.get()).words
        for visitor in (viewer, editor):
            await visitor.session.close()


async def test_without_scratch_space_nothing_is_said_of_it(be: As) -> None:
    assert "cratch" not in (await be("viewer").get()).words


# Where the pages are --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "forwarded", "begins"),
    [
        ("", {}, "http://127.0.0.1:"),
        ("", {"X-Forwarded-Proto": "https,http"}, "https://127.0.0.1:"),  # a web server in front, then the Hub's proxy
        ("https://hub.example.org", {"Host": "evil.example"}, "https://hub.example.org/services/projects/join/"),
        ("http://hub.example.org", {"X-Forwarded-Proto": "https"}, "http://hub.example.org/services/projects/join/"),
    ],
)
async def test_links_and_cookies_are_of_the_address_by_which_people_come(
    world: World, clock: Clock, told: str, forwarded: dict[str, str], begins: str
) -> None:
    async with running_site(world.factory, clock=clock, public_origin=told) as site:
        lead = Visitor(site, "lead")
        lead.session.headers.update(forwarded)
        made = await lead.post(f"p/{SLUG}/invitations", link_role="viewer", days="7", uses="1")
        (link,) = re.findall(r'data-copy="([^"]+)"', (await lead.follow(made)).text)
        assert link.startswith(begins)
        saved = await lead.post(f"p/{SLUG}/settings/visibility", visibility="public")
        assert bool(saved.cookies["collab-toast"]["secure"]) is begins.startswith("https")
        address = f"{site.url}api/v1/projects/{SLUG}/invitations"
        async with lead.session.post(address, json={"role": "viewer"}) as answer:
            assert (await answer.json())["url"].startswith(begins)
        await lead.session.close()


@pytest.mark.parametrize(
    ("environment", "origin"),
    [
        ({}, ""),
        ({"JUPYTERHUB_PUBLIC_URL": "https://a.example:8443/services/projects/"}, "https://a.example:8443"),
        ({"JUPYTERHUB_PUBLIC_URL": "", "JUPYTERHUB_PUBLIC_HUB_URL": "https://b.example/hub/"}, "https://b.example"),
    ],
)
def test_the_hub_says_its_public_address(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], origin: str
) -> None:
    for name in ("JUPYTERHUB_PUBLIC_URL", "JUPYTERHUB_PUBLIC_HUB_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ProjectsService().public_origin == origin


async def test_forms_may_lead_to_servers_that_have_an_origin_of_their_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rule(hub_host: str) -> str:
        monkeypatch.setenv("JUPYTERHUB_HOST", hub_host)
        async with running_site(world.factory) as site:
            visitor = Visitor(site, None)
            policy = (await visitor.get("directory")).headers["Content-Security-Policy"]
            await visitor.session.close()
        return next(part.strip() for part in policy.split(";") if "form-action" in part)

    assert await rule("") == "form-action 'self'"
    assert await rule("https://hub.example.org:8443") == "form-action 'self' https://*.hub.example.org:8443"


def test_our_service_stays_on_the_hubs_domain_and_nothing_else_does() -> None:
    assert hub_pages.subdomain("projects", "hub.example.org", "service") == "hub.example.org"
    assert hub_pages.subdomain("ada", "hub.example.org", "user") == "ada.hub.example.org"
    assert hub_pages.subdomain("projects", "hub.example.org", "user") == "projects.hub.example.org"
    assert hub_pages.subdomain("other", "hub.example.org", "service") == "other--service.hub.example.org"


async def test_who_removes_a_member_reads_that_other_servers_end_too(be: As) -> None:
    asked = await be("lead").post(f"p/{SLUG}/members/remove", user="viewer")
    assert "so are others that ran beside one of these, since all servers of a person share a home" in asked.words


async def test_the_operator_sees_the_limits_that_there_are(
    world: World, with_settings: Callable[..., Factory], be: As
) -> None:
    assert "CPU a person" not in (await be("operator").get("operator/machine")).words
    limits = Limits(cpu_per_person=12.5, memory_per_project=ByteSize(64 * 1024**3))
    async with running_site(with_settings(limits=limits, storage=Storage(scratch_days=30))) as site:
        operator = Visitor(site, "operator")
        shown = (await operator.get("operator/machine")).words
        await operator.session.close()
    assert "CPU a person 12.5" in shown
    assert "Memory a project 64 GB" in shown
    assert "Scratch space emptied after 30 days" in shown
    assert "Memory a person" not in shown
