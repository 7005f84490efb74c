"""The folders of the embedded services, and the user that they run as."""

import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import LOCK_EX, flock
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...base.trouble import Trouble

LONGEST_SOCKET_PATH = 100
"""The maximum length of a Unix socket's path in bytes, a little under the kernel's 107."""
LONGEST_SOCKET_NAME = len("/.s.PGSQL.5432.lock")
UNPRIVILEGED = ("backoffice", "postgres", "nobody")
"""The users that services of root run as: the first that exists."""
KNOWN = "embedded.json"
"""The file that marks a folder as a home, and holds the paths of its data and its sockets."""
ELSEWHERE = (Path("/var/lib/backoffice"), Path("/var/tmp/backoffice"))  # noqa: S108 (created with mkdtemp)
"""Where the data of root's services is kept when their user cannot reach `BACKOFFICE_HOME`."""


class EmbeddedError(Trouble):
    """An embedded service cannot be used; the message states what to do next."""


@dataclass(frozen=True)
class Account:
    """The operating-system user that a service runs as."""

    name: str
    uid: int
    gid: int

    @property
    def is_another(self) -> bool:
        """Whether it is not the user of this process."""
        return self.uid != os.geteuid()

    @property
    def popen_options(self) -> dict[str, Any]:
        """The options with which `subprocess` starts a program as this user."""
        if not self.is_another:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def may(self, test: str, path: Path) -> bool:
        """Whether `test` (a flag of test(1)) holds on `path` for this user: run as that user, and cached."""
        return _may(self, test, path)


@cache
def _may(account: Account, test: str, path: Path) -> bool:
    command = ["/bin/sh", "-c", 'test "$1" "$2"', "sh", test, str(path)]
    return subprocess.run(command, cwd="/", check=False, **account.popen_options).returncode == 0


def current_user() -> str:
    """The name of this process's user, as peer authentication sees it."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise EmbeddedError(
            f"The user id {os.geteuid()} has no name on this machine, and PostgreSQL needs one. "
            "Add it to /etc/passwd, or set DATABASE_URL and REDIS_URL to servers of your own."
        ) from None


def service_account() -> Account:
    """The current user; for root, who may not run PostgreSQL, an unprivileged one."""
    if os.geteuid() != 0:
        return Account(current_user(), os.geteuid(), os.getegid())
    for name in UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        "PostgreSQL does not run as root, and none of the users "
        f"{', '.join(UNPRIVILEGED)} exists here. Create one with: useradd --system backoffice"
    )


@dataclass
class Folders:
    """The folders of one `BACKOFFICE_HOME`.

    `data` holds the services' files; it is `home` itself unless the services' user cannot reach
    that. `sockets` is private to that user. `notices` are messages for the operator.
    """

    home: Path
    data: Path
    sockets: Path
    account: Account
    notices: list[str] = field(default_factory=list)

    @staticmethod
    def exist(home: Path) -> bool:
        """Whether `home` is an existing home; creates nothing."""
        return (home / KNOWN).is_file()

    @classmethod
    def of(cls, home: Path) -> "Folders":
        """The folders of `home`, created where they are missing; the same ones for every process."""
        home = _new_folder(home.absolute(), 0o711 if os.geteuid() == 0 else 0o700)
        _check_owner(home)
        account = service_account()
        with locked(home / "lock"):
            known = _still_true(home, _remembered(home))
            notices: list[str] = []
            data = _data_folder(home, account, known.get("data"), notices)
            sockets = _socket_folder(data, account, known.get("sockets"))
            places = {"home": known["home"], "data": str(data), "sockets": str(sockets)}
            _remember(home, places)
        return cls(home, data, sockets, account, notices)

    def private(self, name: str) -> Path:
        """A folder of that name under `data`, owned by the services' user and private to it."""
        return _private_folder(self.data / name, self.account)

    def log(self, name: str) -> Path:
        """The log file of the service `name`."""
        return _new_folder(self.home / "logs", 0o700) / f"{name}.log"

    def runnable(self, package: Path, tree: str, program: str) -> Path:
        """`program` of an installed package, or its copy where the services' user may run it.

        `tree` is the folder of the package that the program needs around it; its libraries are
        beside the package, and the copy keeps that layout.
        """
        if self.account.may("-x", package / tree / program):
            return package / tree / program
        copies = self.data / "binaries" / version(package.name)
        for part in (Path(package.name, tree), Path(f"{package.name}.libs")):
            if (package.parent / part).is_dir() and not (copies / part).exists():
                _copy_to_read(package.parent / part, copies / part)
                self.notices.append(
                    f"{self.account.name} cannot reach {package.parent / part}; "
                    f"it was copied to {copies / part}."
                )
        return copies / package.name / tree / program


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`; waits for another process that holds it."""
    with open(path, "a") as file:
        flock(file, LOCK_EX)
        yield


def _new_folder(path: Path, mode: int) -> Path:
    """`path`, created with `mode` if it is missing; an existing folder keeps its mode."""
    if not path.is_dir():
        try:
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(mode)
        except OSError as error:
            raise EmbeddedError(
                f"The folder {path} cannot be created ({error.strerror}). "
                "Set BACKOFFICE_HOME to a folder that you may write to."
            ) from error
    return path


def _check_owner(home: Path) -> None:
    if not os.access(home, os.W_OK | os.X_OK):
        owner = home.stat().st_uid
        raise EmbeddedError(
            f"The folder {home} belongs to the user id {owner} and you may not write to it. "
            "Start as that user, or set BACKOFFICE_HOME to a folder of your own."
        )


def _private_folder(path: Path, account: Account) -> Path:
    if not path.is_dir():
        path.mkdir(mode=0o700)
        if account.is_another:
            os.chown(path, account.uid, account.gid)
        path.chmod(0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid:
        raise EmbeddedError(
            f"{path} does not belong to {account.name}, under whom the services run now. "
            "Start as the user who created it, or set BACKOFFICE_HOME to another folder."
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)
    return path


def _remembered(home: Path) -> dict[str, str]:
    try:
        known = json.loads((home / KNOWN).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _still_true(home: Path, known: dict[str, str]) -> dict[str, str]:
    """The remembered paths that are still valid after the folder was moved or copied; a copy never uses the original's.

    A home that does not remember its own path was where its data was, unless that is elsewhere. Raises EmbeddedError.
    """
    data = known.get("data", str(home))
    has_own = (home / "postgres").is_dir() and Path(data).parent not in ELSEWHERE
    was = known.get("home", data if has_own else str(home))
    if _are_same(Path(was), home):
        return {**known, "home": was}
    if data == was:
        return {"home": str(home)}
    if Path(was).is_dir():
        raise EmbeddedError(
            f"{home} is a copy of {was}, whose data lives in {data}; the copy has none of it. Stop what runs "
            f'from {was}, copy {data} too, and name that copy as "data" and {home} as "home" in {home / KNOWN}.'
        )
    return {"home": str(home), "data": data}


def _are_same(one: Path, other: Path) -> bool:
    """Whether both paths lead to the same folder."""
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False


def _remember(home: Path, places: dict[str, str]) -> None:
    if _remembered(home) == places:
        return
    unfinished = home / ".embedded.json"
    unfinished.write_text(json.dumps(places, indent=1) + "\n")
    unfinished.chmod(0o600)
    unfinished.replace(home / KNOWN)


def _data_folder(home: Path, account: Account, known: str | None, notices: list[str]) -> Path:
    """`home`, or a new folder elsewhere (remembered from then on) if `account` cannot reach it."""
    data = Path(known) if known else home
    if known and data != home and not data.is_dir():
        raise EmbeddedError(
            f"The data of {home} lives in {data}, which is gone. Bring that folder back, or "
            f"delete {home / KNOWN} to start with an empty database."
        )
    if account.is_another and not account.may("-x", data):
        if (data / "postgres").is_dir():
            raise EmbeddedError(
                f"{account.name}, under whom PostgreSQL runs, cannot reach {data}, where the data is. "
                "Move it to a folder that everybody may pass through, for example /srv/backoffice."
            )
        data = _folder_elsewhere(account)
    if data != home:
        notices.append(
            f"{account.name}, under whom PostgreSQL and Redis run, cannot reach {home}; "
            f"their data lives in {data}."
        )
    return data


def _folder_elsewhere(account: Account) -> Path:
    for parent in ELSEWHERE:
        try:
            _new_folder(parent, 0o711)
            folder = Path(tempfile.mkdtemp(dir=parent, prefix="home-"))
        except (EmbeddedError, OSError):
            continue
        folder.chmod(0o711)
        if account.may("-x", folder):
            return folder
        folder.rmdir()
    raise EmbeddedError(
        f"No folder was found that the user {account.name} can reach. Set BACKOFFICE_HOME to "
        "one, for example /srv/backoffice."
    )


def _socket_folder(data: Path, account: Account, known: str | None) -> Path:
    """A private folder with a path short enough for a socket."""
    near = data / "sockets"
    if len(os.fsencode(near)) + LONGEST_SOCKET_NAME <= LONGEST_SOCKET_PATH:
        return _private_folder(near, account)
    if known and Path(known).is_dir() and Path(known).lstat().st_uid == account.uid:
        return _private_folder(Path(known), account)
    folder = Path(tempfile.mkdtemp(prefix="backoffice-", dir="/tmp"))
    if account.is_another:
        os.chown(folder, account.uid, account.gid)
    return folder


def _copy_to_read(source: Path, target: Path) -> None:
    """Copy a folder so that every user may read it; the copy appears atomically."""
    for parent in reversed(target.parents):
        _new_folder(parent, 0o755)
    unfinished = Path(tempfile.mkdtemp(prefix=".copying-", dir=target.parent))
    shutil.copytree(source, unfinished, dirs_exist_ok=True)
    for folder, _, files in os.walk(unfinished):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            path.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
    unfinished.rename(target)


def package_folder(name: str) -> Path | None:
    """The folder of an installed package, found without importing it."""
    for entry in sys.path:
        folder = Path(entry or ".", name)
        if os.access(folder / "__init__.py", os.R_OK):
            return folder.absolute()
    return None
