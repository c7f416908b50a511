"""A group at work, by API, in the order in which things happen: each test takes up where the one before it ended."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import nbformat
import pytest

from jupyterhub_collab.factory import Factory, utc_now
from jupyterhub_collab.settings import load_settings
from jupyterhub_collab_spawner.housekeeping import Folders, Housekeeping
from tests.support.demo import Person, Site, demo
from tests.support.notebooks import Kernel, run_all, save, trend

SLUG = "atmospheric-co2"
FOLDER = f"projects/{SLUG}"
README = "# Atmospheric CO₂\n\nWhat Mauna Loa has measured **since 1958**.\n"


class People(dict[str, Person]):
    """The people of the walk; each logs in when first needed, so that invitations reach some who never did."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self._site = site

    def __missing__(self, name: str) -> Person:
        self[name] = self._site.person(name)
        return self[name]


HOLDER = """
import os, time
held = open("/home/{person}/projects/{slug}/held-{person}", "a", buffering=1)
os.set_inheritable(held.fileno(), True)
if os.fork() == 0:
    os.setsid()
    while True:
        held.write(f"{{time.time()}}\\n")
        time.sleep(0.02)
"""
READ_ONLY = """
import os
for path in {paths}:
    for attempt in (
        lambda: open(path + "/touched", "w"),
        lambda: os.chmod(path, 0o777),
        lambda: os.mkdir(path + "/made"),
    ):
        try:
            attempt()
            print("written", path)
        except OSError as error:
            print(error.strerror)
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with demo() as made:
        yield made


@pytest.fixture(scope="module")
def people(site: Site) -> People:
    return People(site)


def hold_open(person: Person, slug: str = SLUG) -> Path:
    """Let a process in someone's project server hold a file of the project open, and keep writing."""
    Kernel(person, slug).__enter__().say(HOLDER.format(person=person.name, slug=slug))
    held = person.site.project(slug) / f"held-{person.name}"
    person.site.wait_until(lambda: held.exists() and held.stat().st_size > 0)
    return held


def assert_ended(site: Site, person: Person, server: str, held: Path) -> None:
    """Check that a server ends: gone for the Hub, gone as a process, and its open file is written no more."""
    person.site.wait_until(lambda: server not in person.servers(), 5)
    size = held.stat().st_size
    person.site.wait_until(lambda: held.stat().st_size == size, 1)
    assert person.ask(server, "GET", f"api/contents/{FOLDER}", follow_redirects=True).status_code in {404, 424, 503}
    assert not [pid for pid in site.sandboxes() if holds(pid, held)]


def holds(pid: int, path: Path) -> bool:
    """Tell whether a process has a file open, by whatever name it has it."""
    file = path.stat()
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            found = descriptor.stat()
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == (file.st_dev, file.st_ino):
            return True
    return False


def test_1_the_lead_makes_a_project(people: People) -> None:
    new = {"title": "Atmospheric CO₂", "visibility": "internal", "readme": README}
    made = people["lead"].api("POST", "/projects", 201, json=new)
    assert (made["slug"], made["visibility"], made["my_role"]) == (SLUG, "internal", "lead")
    assert [project["slug"] for project in people["lead"].api("GET", "/me/projects")["items"]] == [SLUG]


def test_2_the_lead_invites_by_name_and_by_link(people: People, cards: dict[str, str]) -> None:
    lead = people["lead"]
    found = lead.api("GET", "/people?q=edi")["items"]
    assert [(person["name"], person["display_name"]) for person in found] == [("editor", "Shreya Iyer")]
    invited = lead.api("PUT", f"/projects/{SLUG}/members/editor", json={"role": "editor"})
    assert invited["member"] is None
    assert invited["invitation"]["role"] == "editor"
    link = lead.api("POST", f"/projects/{SLUG}/invitations", 201, json={"role": "viewer", "days": 7, "uses": 1})
    assert link["uses_left"] == 1
    assert link["url"].startswith(f"{lead.site.address}/services/projects/join/")
    cards["code"] = link["url"].rpartition("/")[2]
    listed = lead.api("GET", f"/projects/{SLUG}/invitations")["items"]
    assert {item["url"] for item in listed} == {None}, "the address is shown once"


def test_3_the_lead_attaches_data(people: People) -> None:
    attached = people["lead"].api("PUT", f"/projects/{SLUG}/data/noaa-co2", json={"mode": "read-only"})
    assert (attached["path"], attached["mode"]) == ("/data/noaa-co2", "read-only")


def test_4_the_editor_accepts_and_runs_a_notebook(site: Site, people: People) -> None:
    editor = people["editor"]
    (invitation,) = editor.api("GET", "/me/invitations")["items"]
    accepted = editor.api("POST", f"/invitations/{invitation['id']}/accept")
    assert accepted["my_role"] == "editor"
    editor.api("POST", f"/projects/{SLUG}/server", 202)
    site.wait_until(lambda: editor.api("GET", f"/projects/{SLUG}/server")["state"] == "running", 60)
    lab = editor.web.get(f"/user/editor/{SLUG}/")
    assert lab.status_code == 200
    assert lab.url.path == f"/user/editor/{SLUG}/lab/tree/{FOLDER}"
    assert save(editor, SLUG, f"{FOLDER}/trend.ipynb", trend()).status_code == 201
    with Kernel(editor, SLUG, FOLDER) as kernel:
        assert kernel.say("import os; print(os.getcwd())") == f"/home/editor/{FOLDER}\n"
        notebook = run_all(kernel, trend())
    assert save(editor, SLUG, f"{FOLDER}/trend.ipynb", notebook).status_code == 200
    assert_drawn(site.project(SLUG) / "trend.ipynb")


def assert_drawn(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    assert re.search(r"weeks +2225\..*R² +0\.99", str(outputs))
    assert [output for output in outputs if len(output.get("data", {}).get("image/png", "")) > 10_000]


def test_5_the_viewer_reads_runs_and_cannot_write(site: Site, people: People, cards: dict[str, str]) -> None:
    viewer = people["viewer"]
    assert viewer.api("POST", f"/invitations/{cards['code']}/accept")["my_role"] == "viewer"
    used = people["outsider"].api("POST", f"/invitations/{cards['code']}/accept", 410)
    assert used["code"] == "invitation-over"
    viewer.start()
    shown = viewer.ask("", "GET", "api/contents/projects").json()["content"]
    assert [item["name"] for item in shown] == [SLUG]
    before = (site.project(SLUG) / "trend.ipynb").read_bytes()
    notebook = nbformat.from_dict(viewer.ask("", "GET", f"api/contents/{FOLDER}/trend.ipynb").json()["content"])  # type: ignore[no-untyped-call]
    with Kernel(viewer, "", FOLDER) as kernel:
        again = run_all(kernel, notebook)
        assert re.search(r"weeks +2225\.", str(again))
        refused = kernel.say(READ_ONLY.format(paths=[f"/home/viewer/{FOLDER}", "/data/noaa-co2"]))
    assert refused == "Read-only file system\n" * 6
    assert save(viewer, "", f"{FOLDER}/trend.ipynb", again).status_code >= 400
    assert (site.project(SLUG) / "trend.ipynb").read_bytes() == before
    assert save(viewer, "", "trend.ipynb", again).status_code == 201, "their own home takes it"


def test_data_refuse_writes_to_everyone(people: People) -> None:
    with Kernel(people["editor"], SLUG) as kernel:
        assert kernel.say(READ_ONLY.format(paths=["/data/noaa-co2"])) == "Read-only file system\n" * 3


def test_6_the_outsider_finds_the_project_and_asks(people: People) -> None:
    outsider, lead = people["outsider"], people["lead"]
    assert [project["slug"] for project in outsider.api("GET", "/projects?q=mauna")["items"]] == [SLUG]
    assert outsider.api("GET", f"/projects/{SLUG}")["readme"] == README
    outsider.api("GET", f"/projects/{SLUG}/members", 403)
    outsider.api("GET", f"/projects/{SLUG}/data", 403)
    refused = outsider.hub("POST", f"/users/outsider/servers/{SLUG}")
    assert refused.status_code == 404
    assert "Open one from a project's page" in refused.json()["message"]
    asked = outsider.api("POST", f"/projects/{SLUG}/join-requests", 201, json={"message": "I have flask samples."})
    (request,) = lead.api("GET", f"/projects/{SLUG}/join-requests")["items"]
    assert (request["id"], request["user"], request["message"]) == (asked["id"], "outsider", "I have flask samples.")
    lead.api("POST", f"/projects/{SLUG}/join-requests/{asked['id']}/approve", 204, json={"role": "viewer"})
    assert outsider.api("GET", f"/projects/{SLUG}")["my_role"] == "viewer"


def test_links_in_the_project_lead_nowhere(site: Site, people: People) -> None:
    people["operator"].api("POST", "/projects", 201, json={"title": "Secret", "slug": "secret"})
    secret = site.project("secret")
    secret.mkdir()
    (secret / "plan").write_text("nobody else's business", encoding="utf-8")
    targets = ["/etc/shadow", "../project-secret", str(secret / "plan"), str(site.state / "hub.sqlite"), "/proc/1/root"]
    code = """
import os
for number, target in enumerate({targets}):
    os.symlink(target, f"/home/editor/{folder}/link-{{number}}")
"""
    with Kernel(people["editor"], SLUG) as kernel:
        assert kernel.say(code.format(targets=targets, folder=FOLDER)) == ""
    for person, server in ((people["editor"], SLUG), (people["viewer"], "")):
        for number in range(len(targets)):
            for name in (f"link-{number}", f"link-{number}/plan"):
                got = person.ask(server, "GET", f"api/contents/{FOLDER}/{name}?content=1")
                assert "nobody else's business" not in got.text
                assert "root:" not in got.text
                assert "SQLite format" not in got.text
    assert people["lead"].web.get(f"/services/projects/p/{SLUG}").status_code == 200


def test_7_removal_ends_the_server_that_holds_a_file_open(site: Site, people: People) -> None:
    lead, editor = people["lead"], people["editor"]
    held = hold_open(editor)
    lead.api("DELETE", f"/projects/{SLUG}/members/editor", 204)
    assert_ended(site, editor, SLUG, held)
    assert editor.hub("POST", f"/users/editor/servers/{SLUG}").status_code == 404
    editor.start()
    with Kernel(editor) as kernel:
        assert kernel.say("import os; print(os.path.isdir('projects') and os.listdir('projects'))") in {
            "False\n",
            "[]\n",
        }
        assert "No such file" in kernel.say("open('/data/noaa-co2/mlo-weekly.csv')")
    editor.stop()
    assert lead.api("GET", f"/projects/{SLUG}/activity")["items"][0]["action"] == "member.remove"
    assert site.project(SLUG).joinpath("trend.ipynb").exists()


def test_7_demotion_does_the_same(site: Site, people: People) -> None:
    lead, editor = people["lead"], people["editor"]
    lead.api("PUT", f"/projects/{SLUG}/members/editor", json={"role": "editor"})
    (invitation,) = editor.api("GET", "/me/invitations")["items"]
    editor.api("POST", f"/invitations/{invitation['id']}/accept")
    editor.start(SLUG)
    held = hold_open(editor)
    lead.api("PUT", f"/projects/{SLUG}/members/editor", json={"role": "viewer"})
    assert_ended(site, editor, SLUG, held)
    editor.start(SLUG)
    with Kernel(editor, SLUG) as kernel:
        assert kernel.say(READ_ONLY.format(paths=[f"/home/editor/{FOLDER}"])) == "Read-only file system\n" * 3


def test_7_promotion_asks_for_a_restart(people: People) -> None:
    lead, editor = people["lead"], people["editor"]
    assert not editor.api("GET", f"/projects/{SLUG}/server")["restart_to_apply"]
    lead.api("PUT", f"/projects/{SLUG}/members/editor", json={"role": "editor"})
    server = editor.api("GET", f"/projects/{SLUG}/server")
    assert server["state"] == "running"
    assert server["restart_to_apply"]
    assert {"path": f"~/{FOLDER}", "granted": "read-only", "allowed": "read-write"} in server["changes"]
    editor.api("DELETE", f"/projects/{SLUG}/server", 202)
    editor.site.wait_until(lambda: editor.api("GET", f"/projects/{SLUG}/server")["state"] == "stopped")
    editor.start(SLUG)
    with Kernel(editor, SLUG) as kernel:
        assert kernel.say(f"open('/home/editor/{FOLDER}/promoted', 'w').close()") == ""
    assert not editor.api("GET", f"/projects/{SLUG}/server")["restart_to_apply"]


def test_8_archiving_ends_project_servers_and_leaves_files_to_read(site: Site, people: People) -> None:
    lead, editor = people["lead"], people["editor"]
    held = hold_open(editor)
    lead.start()
    assert lead.api("POST", f"/projects/{SLUG}/archive")["state"] == "archived"
    assert_ended(site, editor, SLUG, held)
    site.wait_until(lambda: "" not in lead.servers(), 5)
    refused = editor.hub("POST", f"/users/editor/servers/{SLUG}")
    assert refused.status_code == 409
    assert "is archived" in refused.json()["message"]
    assert "is archived" in editor.web.get(f"/hub/spawn-pending/editor/{SLUG}").text
    assert people["outsider"].api("GET", "/projects?q=mauna")["items"] == []
    for person in (lead, editor):
        person.start()
        with Kernel(person) as kernel:
            assert (
                kernel.say(READ_ONLY.format(paths=[f"/home/{person.name}/{FOLDER}"])) == "Read-only file system\n" * 3
            )
            assert kernel.say(f"print(len(open('{FOLDER}/trend.ipynb').read()) > 1000)") == "True\n"


def test_8_restoring_brings_it_back(people: People) -> None:
    lead = people["lead"]
    assert lead.api("POST", f"/projects/{SLUG}/restore")["state"] == "active"
    assert [p["slug"] for p in people["operator"].api("GET", "/projects?q=mauna")["items"]] == [SLUG]
    lead.stop()
    lead.start()
    with Kernel(lead) as kernel:
        assert kernel.say(f"open('{FOLDER}/back', 'w').close()") == ""


def test_8_deleting_can_be_undone(site: Site, people: People) -> None:
    lead = people["lead"]
    deleted = lead.api("DELETE", f"/projects/{SLUG}")
    assert deleted["restorable_until"]
    site.wait_until(lambda: "" not in lead.servers() and "" not in people["editor"].servers(), 5)
    people["viewer"].api("GET", f"/projects/{SLUG}", 404)
    housekeeping_at(site, timedelta(days=29))
    assert site.project(SLUG).joinpath("trend.ipynb").exists()
    lead.api("POST", f"/projects/{SLUG}/restore")
    assert people["viewer"].api("GET", f"/projects/{SLUG}")["my_role"] == "viewer"


def test_8_after_30_days_files_and_rows_go(site: Site, people: People) -> None:
    lead = people["lead"]
    outside = site.state / "outside"
    outside.mkdir(mode=0o700)
    (outside / "kept").write_text("not of the project", encoding="utf-8")
    (site.project(SLUG) / "way-out").symlink_to(outside)
    lead.api("DELETE", f"/projects/{SLUG}")
    housekeeping_at(site, timedelta(days=31))
    assert not os.path.lexists(site.project(SLUG))
    assert (outside / "kept").exists()
    lead.api("GET", f"/projects/{SLUG}", 404)
    assert SLUG not in str(people["operator"].api("GET", "/operator/projects?deleted=true"))
    taken = lead.api("POST", "/projects", 409, json={"title": "Again", "slug": SLUG})
    assert taken["code"] == "slug-taken", "a short name is never given twice"
    actions = [e["action"] for e in people["operator"].api("GET", f"/operator/audit?target={SLUG}")["items"]]
    assert actions[0] == "project.purge"


def housekeeping_at(site: Site, later: timedelta) -> None:
    """Let so much time pass, and do what the Hub does then."""

    async def work() -> None:
        settings = load_settings(site.state / "settings.toml")
        factory = Factory.open(settings, clock=lambda: utc_now() + later)
        try:
            await Housekeeping(factory.projects, Folders(settings.storage.root)).once()
        finally:
            await factory.close()

    asyncio.run(work())


def test_bad_input_gets_a_problem_that_names_the_field(people: People) -> None:
    lead = people["lead"]
    for field, body in {
        "title": {"title": "x" * 5000},
        "slug": {"title": "t", "slug": "--"},
        "visibility": {"title": "t", "visibility": "secret"},
    }.items():
        answer = lead.request("POST", "/services/projects/api/v1/projects", json=body)
        assert answer.status_code == 422
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["field"] == field
    for slug in ("lab", "..%2f", "🎈"):
        assert lead.api("POST", "/projects", 422, json={"title": "t", "slug": slug})["field"] == "slug"
    huge = b'{"title": "' + b"x" * 50_000_000 + b'"}'
    assert lead.request("POST", "/services/projects/api/v1/projects", content=huge).status_code == 413
    assert lead.request("POST", "/services/projects/api/v1/projects", content=b"{").status_code == 400


def test_a_cookie_alone_changes_nothing(site: Site, people: People) -> None:
    """Another site's page can make a browser send its cookies, and nothing else."""
    lead = people["lead"]
    landed = lead.web.get("/services/projects/")
    assert landed.status_code == 200
    for path in ("/services/projects/api/v1/projects", "/services/projects/new"):
        forged = lead.web.post(path, data={"title": "Forged"}, headers={"Sec-Fetch-Site": "cross-site"})
        assert forged.status_code == 403, f"{path}: {forged.text[:500]}"
    assert "Forged" not in str(lead.api("GET", "/me/projects"))
    with httpx.Client(base_url=site.address) as stranger:
        assert stranger.get("/services/projects/api/v1/me").status_code == 401


@pytest.fixture(scope="module")
def cards() -> dict[str, str]:
    """What one test hands to a later one."""
    return {}


def test_nothing_of_the_walk_is_in_the_log(site: Site, people: People) -> None:
    log = (site.state / "hub.log").read_text(encoding="utf-8")
    for person in people.values():
        assert person.token not in log
    assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:3000]
