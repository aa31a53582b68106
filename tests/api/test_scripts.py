"""Scripts: downloading, signed links, new drafts, and how much of an upload is ever in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from backend.core.config import Settings
from tests.api.test_projects import FDX, FORM, PDF, kept_files
from tests.factories.people import API
from tests.factories.refusals import refused
from tests.factories.world import FOUNTAIN, World, ok

MB = 1024 * 1024


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Uploads may have two megabytes, where a test does not say otherwise."""
    return settings.model_copy(update={"max_upload_mb": 2})


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.pdf", PDF, "application/pdf"),
        ("a.FDX", FDX, "application/xml"),
        ("a.fountain", FOUNTAIN, "text/plain; charset=utf-8"),
        ("ü.fountain", "Título: Año\r\n\r\nINT. CAFÉ".encode(), "text/plain; charset=utf-8"),
        ("bom.fountain", b"\xef\xbb\xbfTitle: X\n", "text/plain; charset=utf-8"),
    ],
)
async def test_a_script_comes_back_byte_for_byte(world: World, name: str, content: bytes, kind: str) -> None:
    cleo = await world.creator()
    project = await world.project(cleo, content, name)
    response = await cleo.get(f"/projects/{project['id']}/script")
    assert (response.status_code, response.content) == (200, content)
    assert response.headers["content-type"] == kind
    assert response.headers["content-length"] == str(len(content))
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-disposition"].startswith("attachment; ")
    assert "no-store" in response.headers["cache-control"]


@pytest.mark.parametrize(
    ("sent", "plain", "extended"),
    [
        ("night train.pdf", "night train.pdf", "night%20train.pdf"),
        ("/etc/passwd/../x.pdf", "x.pdf", "x.pdf"),
        ("C:\\scripts\\x.pdf", "x.pdf", "x.pdf"),
        ("..\\..\\x.pdf", "x.pdf", "x.pdf"),
        ("夜行列車.pdf", "____.pdf", "%E5%A4%9C%E8%A1%8C%E5%88%97%E8%BB%8A.pdf"),
        ("a;b='c'%41.pdf", "a;b='c'_41.pdf", "a%3Bb%3D%27c%27%2541.pdf"),
        ("\u202efdp.pdf", "fdp.pdf", "fdp.pdf"),
        ("  x.pdf  ", "x.pdf", "x.pdf"),
        ("x" * 400 + ".pdf", "x" * 251 + ".pdf", "x" * 251 + ".pdf"),
        ("...pdf", None, None),
    ],
)
async def test_the_file_name_comes_back_safe(world: World, sent: str, plain: str | None, extended: str | None) -> None:
    cleo = await world.creator()
    response = await cleo.post("/projects", data=FORM, files={"file": (sent, PDF)})
    if plain is None:
        assert response.status_code in (201, 415)
        return
    script = await cleo.get(f"/projects/{ok(response)['id']}/script")
    assert script.headers["content-disposition"] == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{extended}"


@pytest.mark.parametrize("name", [b'a"\r\nX-Evil: 1\r\n.pdf', b"\xff\xfe.pdf", b"a\x00b.pdf"])
async def test_a_raw_file_name_breaks_no_header(world: World, name: bytes) -> None:
    """Names that no well-behaved client sends."""
    cleo = await world.creator()
    fields = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (key.encode(), value.encode())
        for key, value in FORM.items()
    )
    file = b'--x\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\n%b\r\n--x--\r\n' % (name, PDF)
    headers = {"content-type": "multipart/form-data; boundary=x"}
    response = await cleo.call("POST", "/projects", content=fields + file, headers=headers)
    assert response.status_code in (201, 400, 415, 422), response.text
    if response.status_code == 201:
        script = await cleo.get(f"/projects/{response.json()['id']}/script")
        assert "x-evil" not in script.headers
        assert script.content == PDF


async def test_who_may_download(world: World) -> None:
    cleo, clay, ada = await world.creator(), await world.creator(), await world.advertiser()
    project = await world.project(cleo)
    path = f"/projects/{project['id']}/script"
    refused(await world.nobody.get(path), 401)
    refused(await clay.get(path), 404)
    refused(await ada.get(path), 404)
    await world.slot(cleo, project)
    refused(await ada.get(path), 403)
    assert (await (await world.operator()).get(path)).content == FOUNTAIN


def local(link: str) -> str:
    """A link as a path that the client of the tests takes."""
    return link.removeprefix("http://backdrop.test" + API)


async def test_the_link_opens_without_a_header_for_fifteen_minutes(world: World) -> None:
    cleo, opal = await world.creator(), await world.operator()
    project = await world.project(cleo)
    for person in (cleo, opal):
        link = ok(await person.get(f"/projects/{project['id']}"))["docLink"]
        assert parse_qs(urlsplit(link).query)["user"] == [person.id]
        response = await world.nobody.get(local(link))
        assert (response.status_code, response.content) == (200, FOUNTAIN)
        assert response.headers["content-disposition"].startswith("attachment")
    world.advance(minutes=14, seconds=50)
    assert (await world.nobody.get(local(link))).status_code == 200
    world.advance(seconds=11)
    refused(await world.nobody.get(local(link)), 401, "invalid_link")


async def test_a_tampered_link_opens_nothing(world: World) -> None:
    cleo, clay = await world.creator(), await world.creator()
    link = local((await world.project(cleo))["docLink"])
    other = await world.project(cleo)
    path, query = link.split("?")
    user, expires, signature = (part.split("=")[1] for part in query.split("&"))
    last = "0" if signature[-1] != "0" else "1"
    for tampered in (
        link.replace(path, f"/projects/{other['id']}/script"),
        link.replace(user, clay.id),
        link.replace(user, "me"),
        link.replace(expires, str(int(expires) + 1)),
        link.replace(expires, expires + "0" * 300),
        link.replace(expires, "soon"),
        link.replace(signature, signature[:-1] + last),
        link.replace(signature, ""),
        link.replace(signature, "%C3%A9" * 64),
        link.replace(signature, "0" * 5000),
        path,
        f"{path}?user={user}&expires={expires}",
    ):
        refused(await world.nobody.get(tampered), 401)
    refused(await cleo.get(link.replace(signature, "0" * 64)), 401, "invalid_link")


async def test_the_link_of_a_deactivated_user_opens_nothing(world: World, sql: asyncpg.Connection[Any]) -> None:
    cleo = await world.creator()
    link = local((await world.project(cleo))["docLink"])
    await sql.execute("UPDATE users SET is_active = false WHERE id = $1", cleo.id)
    refused(await world.nobody.get(link), 401, "invalid_link")


async def test_the_link_sees_what_its_user_sees(world: World) -> None:
    cleo = await world.creator()
    project = await world.project(cleo)
    assert (await cleo.delete(f"/projects/{project['id']}")).status_code == 204
    refused(await world.nobody.get(local(project["docLink"])), 404)


async def test_a_new_draft_becomes_the_current_one(
    world: World, settings: Settings, sql: asyncpg.Connection[Any]
) -> None:
    cleo = await world.creator()
    project = await world.project(cleo)
    path = f"/projects/{project['id']}"
    replaced = ok(await cleo.put(f"{path}/script", files={"file": ("b.pdf", PDF)}))
    assert replaced["updatedAt"] > project["updatedAt"]
    response = await cleo.get(f"{path}/script")
    assert response.content == PDF
    assert 'filename="b.pdf"' in response.headers["content-disposition"]
    digests = [row["sha256"] for row in await sql.fetch("SELECT sha256 FROM drafts ORDER BY number")]
    assert digests == [hashlib.sha256(each).digest() for each in (FOUNTAIN, PDF)]
    assert len(kept_files(settings)) == 2

    refused(await cleo.put(f"{path}/script", files={"file": ("b.pdf", FOUNTAIN)}), 415, "content_mismatch")
    refused(await cleo.put(f"{path}/script", files={"file": ("b.pdf", b"")}), 422, field="file")
    refused(await cleo.put(f"{path}/script", files={"wrong": ("b.pdf", PDF)}), 422, field="wrong")
    both = {"files": {"file": ("b.pdf", PDF)}, "data": {"title": "New"}}
    refused(await cleo.put(f"{path}/script", **both), 422, field="title")
    refused(await cleo.put(f"{path}/script", {"file": "x"}), 415)
    assert len(kept_files(settings)) == 2


async def test_two_drafts_at_once_are_two_versions(world: World, sql: asyncpg.Connection[Any]) -> None:
    cleo = await world.creator()
    project = await world.project(cleo)
    path = f"/projects/{project['id']}/script"
    answers = await asyncio.gather(*(cleo.put(path, files={"file": (f"{n}.pdf", PDF)}) for n in range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert [row["number"] for row in await sql.fetch("SELECT number FROM drafts ORDER BY number")] == [*range(1, 8)]


async def test_a_file_that_is_gone_is_said_so(world: World, settings: Settings) -> None:
    cleo = await world.creator()
    project = await world.project(cleo)
    for file in kept_files(settings):
        file.unlink()
    refused(await cleo.get(f"/projects/{project['id']}/script"), 404, "file_missing")


def multipart(size: int, chunk: bytes = b"x" * 65536) -> AsyncIterator[bytes]:
    """A multipart body of a Fountain file of this size, a piece at a time: it has no Content-Length."""

    async def pieces() -> AsyncIterator[bytes]:
        for key, value in FORM.items():
            yield f'--x\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.fountain"\r\n\r\n'
        for _ in range(size // len(chunk)):
            yield chunk
        yield b"\r\n--x--\r\n"

    return pieces()


CHUNKED = {"content-type": "multipart/form-data; boundary=x"}


async def test_a_body_over_the_limit_is_refused(world: World, settings: Settings) -> None:
    cleo = await world.creator()
    large = {"file": ("a.fountain", b"x" * (3 * MB))}
    refused(await cleo.post("/projects", data=FORM, files=large), 413)
    refused(await cleo.call("POST", "/projects", content=multipart(3 * MB), headers=CHUNKED), 413)
    refused(await world.nobody.post("/projects", data=FORM, files=large), 401)
    project = await world.project(cleo)
    refused(await cleo.put(f"/projects/{project['id']}/script", files=large), 413)
    assert len(kept_files(settings)) == 1
    ok(await cleo.call("POST", "/projects", content=multipart(MB), headers=CHUNKED))


class TestMemory:
    """With a limit far above what may be in memory."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_upload_mb": 200})

    @pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures with Linux's procfs")
    async def test_a_large_script_is_never_whole_in_memory(self, world: World) -> None:
        cleo = await world.creator()
        ok(await cleo.call("POST", "/projects", content=multipart(MB), headers=CHUNKED))  # warm up

        def start_a_new_peak() -> None:
            Path("/proc/self/clear_refs").write_text("5")

        def memory(name: str) -> int:
            line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
            return int(line.split()[1]) * 1024

        start_a_new_peak()
        before = memory("VmRSS")
        ok(await cleo.call("POST", "/projects", content=multipart(120 * MB), headers=CHUNKED))
        assert memory("VmHWM") - before < 40 * MB
