from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import ByteSize

from jupyterhub_collab.access.models import Role, Visibility
from jupyterhub_collab.errors import (
    PlanRefusedError,
    ProjectArchivedPlanError,
    ResourceLimitError,
    ServerLimitError,
    UnknownServerNameError,
)
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.people.models import Kind
from jupyterhub_collab.projects.service import ProjectChanges
from jupyterhub_collab.servers.models import ServerPlan
from jupyterhub_collab.settings import DataVolume, Limits, ResourceClass, Storage
from jupyterhub_collab.volumes.models import Mode, VolumeKind
from tests.support.databases import snapshot
from tests.support.world import MEMBERS, SLUG, World

RO, RW = Mode.READ_ONLY, Mode.READ_WRITE
FOLDER = f"~/projects/{SLUG}"


def modes(plan: ServerPlan) -> dict[str, Mode]:
    return {mount.path: mount.mode for mount in plan.mounts}


async def granted(world: World, person: str, server: str = "", **options: object) -> dict[str, Mode]:
    return modes((await world.factory.servers.grant(person, server, options=options)).plan)


# What a role mounts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("person", "mode"), [("lead", RW), ("editor", RW), ("viewer", RO)])
@pytest.mark.parametrize("server", ["", SLUG])
async def test_a_role_decides_the_mode(world: World, person: str, mode: Mode, server: str) -> None:
    assert await granted(world, person, server) == {"~": RW, FOLDER: mode}


async def test_a_plan_says_all_that_a_start_needs(world: World) -> None:
    await world.factory.data.attach("lead", SLUG, "noaa-co2")
    grant = await world.factory.servers.grant("viewer", SLUG)
    home, folder, data = grant.plan.mounts
    assert (home.kind, home.volume, home.path) == (VolumeKind.HOME, "home-viewer", "~")
    assert (folder.kind, folder.volume, folder.projects) == (VolumeKind.PROJECT, f"project-{SLUG}", (SLUG,))
    assert (data.kind, data.data, data.source, data.path, data.mode) == (
        VolumeKind.DATA, "noaa-co2", "/data/noaa", "/data/noaa-co2", RO,
    )  # fmt: skip
    plan = grant.plan
    assert (plan.person, plan.server_name, plan.project) == ("viewer", SLUG, SLUG)
    assert (plan.environment_name, plan.resource_class_name) == ("default", "small")
    assert (plan.working_directory, plan.idle_minutes) == (FOLDER, 120)
    assert grant.granted_at == world.clock()
    assert [g.id for g in await world.factory.servers.open_grants()] == [grant.id]
    event = await world.last_event()
    assert (event.actor, event.action, event.target) == ("viewer", "server.start", f"viewer/{SLUG}")


async def test_a_workspace_mounts_what_its_owner_pinned(world: World) -> None:
    await world.create("other", who="viewer")
    await world.factory.projects.set_pin("viewer", SLUG, pinned=False)
    assert await granted(world, "viewer") == {"~": RW, "~/projects/other": RW}
    await world.factory.projects.set_pin("viewer", SLUG, pinned=True)
    assert await granted(world, "viewer") == {"~": RW, "~/projects/other": RW, FOLDER: RO}
    assert await granted(world, "stranger") == {"~": RW}
    assert await granted(world, "operator") == {"~": RW}


async def test_a_pin_alone_mounts_nothing(world: World) -> None:
    """A role through a group goes at a login; its pin stays and must mean nothing."""
    await world.sign_in("stranger", "staff")
    await world.factory.members.put_group("lead", SLUG, "staff", Role.EDITOR)
    await world.factory.projects.set_pin("stranger", SLUG, pinned=True)
    assert await granted(world, "stranger") == {"~": RW, FOLDER: RW}
    await world.sign_in("stranger")
    assert await granted(world, "stranger") == {"~": RW}


async def test_the_highest_of_own_and_group_role_decides(world: World) -> None:
    await world.sign_in("viewer", "staff")
    await world.factory.members.put_group("lead", SLUG, "staff", Role.EDITOR)
    assert await granted(world, "viewer", SLUG) == {"~": RW, FOLDER: RW}


@pytest.mark.parametrize("person", MEMBERS)
async def test_an_archived_project_is_mounted_read_only_in_workspaces(world: World, person: str) -> None:
    await world.factory.projects.archive("lead", SLUG)
    assert await granted(world, person) == {"~": RW, FOLDER: RO}
    with pytest.raises(ProjectArchivedPlanError, match="lead can restore it"):
        await world.factory.servers.grant(person, SLUG)


async def test_a_deleted_project_is_not_mounted(world: World) -> None:
    await world.factory.projects.delete("lead", SLUG)
    assert await granted(world, "lead") == {"~": RW}
    with pytest.raises(UnknownServerNameError):
        await world.factory.servers.grant("lead", SLUG)


# Data -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("person", "mode"), [("lead", RW), ("editor", RW), ("viewer", RO)])
async def test_writable_data_is_written_by_those_who_write(world: World, person: str, mode: Mode) -> None:
    await world.factory.data.attach("lead", SLUG, "drop", RW)
    assert (await granted(world, person, SLUG))["/data/box"] is mode


async def test_data_of_two_projects_is_mounted_once_in_the_higher_mode(world: World) -> None:
    await world.create("other", who="viewer")
    await world.factory.data.attach("viewer", "other", "drop", RW)
    await world.factory.data.attach("lead", SLUG, "drop", RO)
    plan = (await world.factory.servers.grant("viewer", "")).plan
    assert [(m.path, m.mode, m.projects) for m in plan.mounts if m.data] == [("/data/box", RW, ("other",))]
    await world.factory.data.attach("viewer", "other", "drop", RO)
    plan = (await world.factory.servers.grant("viewer", "")).plan
    assert [(m.path, m.mode, m.projects) for m in plan.mounts if m.data] == [("/data/box", RO, (SLUG, "other"))]


async def test_writable_data_of_an_archived_project_is_only_read(world: World) -> None:
    await world.factory.data.attach("lead", SLUG, "drop", RW)
    await world.factory.projects.archive("lead", SLUG)
    assert (await granted(world, "lead"))["/data/box"] is RO


async def test_data_that_the_operator_changed_is_mounted_as_it_is_now(
    world: World, with_settings: Callable[..., Factory]
) -> None:
    await world.factory.data.attach("lead", SLUG, "drop", RW)
    closed = with_settings(data={"drop": DataVolume(source="/data/drop", path="/data/box")})
    assert modes((await closed.servers.grant("lead", SLUG)).plan)["/data/box"] is RO
    gone = with_settings(data={})
    assert set(modes((await gone.servers.grant("lead", SLUG)).plan)) == {"~", FOLDER}


# Refusals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["none-such", "lab", "..", "%", "CO2", "a" * 300])
async def test_a_server_name_that_is_no_project_of_mine_is_refused(world: World, server: str) -> None:
    before = await snapshot(world.factory.database)
    with pytest.raises(UnknownServerNameError):
        await world.factory.servers.grant("lead", server)
    with pytest.raises(UnknownServerNameError):
        await world.factory.servers.grant("stranger", SLUG)
    with pytest.raises(UnknownServerNameError):
        await world.factory.servers.grant("operator", SLUG)
    assert await snapshot(world.factory.database) == before


async def test_finding_a_project_gives_no_server(world: World) -> None:
    await world.change(visibility=Visibility.PUBLIC)
    with pytest.raises(UnknownServerNameError):
        await world.factory.servers.grant("stranger", SLUG)


async def test_who_never_logged_in_starts_nothing(world: World) -> None:
    with pytest.raises(PlanRefusedError, match="does not know you"):
        await world.factory.servers.grant("ghost", "")


async def test_a_gated_environment_and_size_are_refused_to_others(world: World) -> None:
    for options in ({"environment": "gpu"}, {"resource_class": "large"}, {"environment": "none-such"}):
        with pytest.raises(PlanRefusedError):
            await world.factory.servers.grant("viewer", "", options=options)
    await world.sign_in("viewer", "gpu-users")
    plan = (await world.factory.servers.grant("viewer", "", options={"environment": "gpu"})).plan
    assert plan.environment_name == "gpu"


async def test_options_do_not_change_what_a_project_says(world: World) -> None:
    await world.change(resource_class="large")
    grant = await world.factory.servers.grant(
        "viewer", SLUG, options={"environment": "gpu", "resource_class": "small", "mounts": ["/etc"], "project": "x"}
    )
    assert (grant.plan.environment_name, grant.plan.resource_class_name) == ("default", "large")
    assert modes(grant.plan) == {"~": RW, FOLDER: RO}


async def test_a_members_own_groups_count_for_a_gated_environment(world: World) -> None:
    await world.sign_in("lead", "gpu-users")
    await world.change(environment="gpu")
    assert await granted(world, "lead", SLUG)
    with pytest.raises(PlanRefusedError, match="operator names"):
        await world.factory.servers.grant("viewer", SLUG)


@pytest.mark.parametrize("kind", [Kind.EXPLORE, Kind.WORKSHOP])
async def test_throw_away_accounts_mount_what_they_are_members_of(world: World, kind: Kind) -> None:
    await world.sign_in("pupil-1", kind=kind)
    assert await granted(world, "pupil-1") == {"~": RW}
    await world.join("pupil-1", Role.VIEWER)
    assert await granted(world, "pupil-1", SLUG) == {"~": RW, FOLDER: RO}


# Limits ---------------------------------------------------------------------------------------------------


async def test_one_person_runs_only_so_many(world: World, with_settings: Callable[..., Factory]) -> None:
    servers = with_settings(limits=Limits(servers_per_person=2)).servers
    await world.create("other", who="viewer")
    await servers.grant("viewer", "")
    await servers.grant("viewer", SLUG)
    with pytest.raises(ServerLimitError, match=r"workspace, co2") as caught:
        await servers.grant("viewer", "other")
    assert caught.value.extra == {"limit": 2, "running": ["", SLUG]}
    await servers.grant("viewer", SLUG)  # the same server once more takes no more room
    await servers.ended("viewer", "")
    await servers.grant("viewer", "other")
    await servers.grant("editor", "")


async def test_what_really_runs_counts(world: World, with_settings: Callable[..., Factory]) -> None:
    servers = with_settings(limits=Limits(servers_per_person=1)).servers
    await servers.grant("viewer", "")
    with pytest.raises(ServerLimitError):
        await servers.grant("viewer", SLUG, running=frozenset({""}))
    await servers.grant("viewer", SLUG, running=frozenset())


async def test_one_project_runs_only_so_many(world: World, with_settings: Callable[..., Factory]) -> None:
    servers = with_settings(limits=Limits(servers_per_project=2)).servers
    await servers.grant("lead", SLUG)
    await servers.grant("editor", SLUG)
    with pytest.raises(ServerLimitError, match="editor, lead"):
        await servers.grant("viewer", SLUG)
    await servers.grant("editor", SLUG)
    await servers.grant("viewer", "")  # workspaces are not the project's
    await servers.ended("lead", SLUG)
    await servers.grant("viewer", SLUG)


TWO_SIZES = {"small": ResourceClass(cpu=1), "large": ResourceClass(cpu=4, memory=ByteSize(16 * 1024**3))}


async def test_what_one_persons_servers_have_together(world: World, with_settings: Callable[..., Factory]) -> None:
    limits = Limits(cpu_per_person=5.5, memory_per_person=ByteSize(20 * 1024**3))
    servers = with_settings(limits=limits, resource_classes=TWO_SIZES).servers
    await world.create("other", who="viewer")
    await world.change(resource_class="large")
    await servers.grant("viewer", SLUG)
    await servers.grant("viewer", "")
    with pytest.raises(ResourceLimitError) as caught:
        await servers.grant("viewer", "other")
    assert caught.value.detail == (
        "This server would have 1 CPU. co2 4 CPU, workspace 1 CPU run already; 5.5 CPU is the limit for each person on "
        "this Hub. Stop one of your servers, or choose a smaller size."
    )
    assert caught.value.extra == {
        "resource": "CPU", "limit": "5.5 CPU", "used": {"co2": "4 CPU", "workspace": "1 CPU"},
    }  # fmt: skip
    await servers.grant("viewer", SLUG)  # the same server once more takes no more room
    await servers.grant("viewer", "other", running=frozenset({SLUG}))  # what really runs counts
    await servers.ended("viewer", SLUG)
    await servers.ended("viewer", "other")
    with pytest.raises(ResourceLimitError, match="workspace 2 GiB run already; 20 GiB is") as caught:
        await with_settings(
            limits=limits, resource_classes=TWO_SIZES | {"large": ResourceClass(memory=ByteSize(19 * 1024**3))}
        ).servers.grant("viewer", SLUG)
    assert caught.value.extra["resource"] == "memory"


async def test_what_one_projects_servers_have_together(world: World, with_settings: Callable[..., Factory]) -> None:
    factory = with_settings(
        limits=Limits(cpu_per_project=2.5),
        resource_classes={"small": ResourceClass(cpu=1.5), "large": ResourceClass(cpu=1)},
    )
    servers = factory.servers
    await servers.grant("lead", SLUG)
    await servers.grant("lead", "")  # workspaces are not the project's
    with pytest.raises(ResourceLimitError, match=r"1.5 CPU. lead 1.5 CPU run already; 2.5 CPU .* Ask one of them"):
        await servers.grant("editor", SLUG)
    await factory.projects.change("lead", SLUG, ProjectChanges(resource_class="large"), etag=None)
    await servers.grant("editor", SLUG)
    await servers.grant("lead", SLUG)


async def test_a_size_beyond_the_limit_says_so(world: World, with_settings: Callable[..., Factory]) -> None:
    servers = with_settings(limits=Limits(cpu_per_project=0.5)).servers
    with pytest.raises(ResourceLimitError, match=r"^This server would have 1 CPU. 0.5 CPU is .* Choose a smaller size"):
        await servers.grant("lead", SLUG)


async def test_fractions_of_cores_add_up(world: World, with_settings: Callable[..., Factory]) -> None:
    tenth = {"small": ResourceClass(cpu=0.1)}
    factory = with_settings(limits=Limits(cpu_per_project=0.3), resource_classes=tenth)
    for person in MEMBERS:
        await factory.servers.grant(person, SLUG)
    assert await factory.servers.excess() == []


# Ends and views -------------------------------------------------------------------------------------------


async def test_a_server_that_ended_holds_nothing(world: World) -> None:
    servers = world.factory.servers
    first = await servers.grant("viewer", SLUG)
    second = await servers.grant("viewer", SLUG)
    assert [g.id for g in await servers.open_grants()] == [second.id]
    await servers.ended("viewer", SLUG, grant=first.id)
    assert [g.id for g in await servers.open_grants()] == [second.id]
    await servers.ended("viewer", SLUG, grant=second.id)
    assert await servers.open_grants() == []
    assert (await world.last_event()).action == "server.end"
    before = await snapshot(world.factory.database)
    await servers.ended("viewer", SLUG)
    assert await snapshot(world.factory.database) == before


async def test_a_view_says_what_a_restart_would_change(world: World) -> None:
    servers = world.factory.servers
    assert (await servers.view("viewer", SLUG)).grant is None
    await servers.grant("viewer", SLUG)
    assert not (await servers.view("viewer", SLUG)).restart_to_apply
    await world.factory.members.put("lead", SLUG, "viewer", Role.EDITOR)
    await world.factory.data.attach("lead", SLUG, "noaa-co2")
    view = await servers.view("viewer", SLUG)
    assert view.restart_to_apply
    assert [(c.path, c.granted, c.allowed) for c in view.changes] == [
        ("/data/noaa-co2", None, RO),
        (FOLDER, RO, RW),
    ]
    await servers.grant("viewer", SLUG)
    assert not (await servers.view("viewer", SLUG)).restart_to_apply
    await world.change(resource_class="large")
    assert (await servers.view("viewer", SLUG)).other_runtime
    assert set(await servers.views("viewer")) == {SLUG}


async def test_a_view_tells_why_a_start_would_be_refused(world: World) -> None:
    await world.factory.projects.archive("lead", SLUG)
    view = await world.factory.servers.view("viewer", SLUG)
    assert view.plan is None
    assert "archived" in (view.refusal or "")


# Scratch space and the public area ------------------------------------------------------------------------


PLACES = Storage(scratch_days=30, public=True, public_editors=frozenset({SLUG, "other"}))


@pytest.mark.parametrize("server", ["", SLUG])
@pytest.mark.parametrize(("person", "mode"), [("lead", RW), ("editor", RW), ("viewer", RO)])
async def test_every_person_has_scratch_space_and_reads_the_public_area(
    world: World, with_settings: Callable[..., Factory], person: str, mode: Mode, server: str
) -> None:
    grant = await with_settings(storage=PLACES).servers.grant(person, server)
    scratch, public = grant.plan.mounts[-2:]
    assert (scratch.kind, scratch.volume, scratch.path) == (VolumeKind.SCRATCH, f"scratch-{person}", "~/scratch")
    assert (scratch.mode, scratch.projects) == (RW, ())
    assert (public.kind, public.volume, public.path) == (VolumeKind.PUBLIC, "public-area", "~/public")
    assert (public.mode, public.projects) == (mode, (SLUG,) if mode is RW else ())


async def test_who_may_write_in_the_public_area(world: World, with_settings: Callable[..., Factory]) -> None:
    factory = with_settings(storage=PLACES)

    async def mode(person: str) -> Mode:
        return modes((await factory.servers.grant(person, "")).plan)["~/public"]

    assert [await mode(person) for person in ("stranger", "operator")] == [RO, RO]
    await world.sign_in("stranger", "staff")
    await world.factory.members.put_group("lead", SLUG, "staff", Role.EDITOR)
    assert await mode("stranger") is RW
    await world.factory.projects.archive("lead", SLUG)
    assert [await mode(person) for person in ("stranger", "lead")] == [RO, RO]


async def test_a_throw_away_account_has_neither(world: World, with_settings: Callable[..., Factory]) -> None:
    await world.sign_in("guest-1", kind=Kind.EXPLORE)
    grant = await with_settings(storage=PLACES).servers.grant("guest-1", "")
    assert modes(grant.plan) == {"~": RW}


async def test_they_are_no_reason_to_restart(world: World, with_settings: Callable[..., Factory]) -> None:
    await world.factory.servers.grant("editor", "")
    view = await with_settings(storage=PLACES).servers.view("editor", "")
    assert (view.changes, view.restart_to_apply) == ((), False)
