"""A folder or an archive on a host that is reached by SSH, through sshfs and asyncssh.

The user's `~/.ssh/config` applies (aliases, ports, identity files, jump hosts), and so do the keys
of the ssh agent and of `~/.ssh`; passwords are never used. A host's key has to be in one of
OpenSSH's files of known hosts, whatever the configuration says.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

import asyncssh
import fsspec
from sshfs import SSHFileSystem

from etl.fetch.remote.remote import FileInfo, Remote
from etl.fetch.source_url import split_url
from models.domain.errors import InvalidFeed, MarketlensError, SetupError
from models.domain.urls import redact

CONNECT_SECONDS = 20
KEEPALIVE_SECONDS = 15


class SftpRemote(Remote):
    """`sftp://[user@]host[:port]/path`; the path is an absolute one."""

    # asyncssh and sshfs raise ValueError for errors outside SSH.
    FAULTS: ClassVar[tuple[type[Exception], ...]] = (OSError, ValueError, asyncssh.Error)

    def __init__(self, url: str) -> None:
        parts = split_url(url)
        if not parts.hostname:
            raise InvalidFeed(f"{redact(url)} names no host: an sftp URL is sftp://user@host/path.")
        super().__init__(url, unquote(parts.path) or "/")
        self._host = parts.hostname
        options = {"port": parts.port, "username": parts.username and unquote(parts.username)}
        self._options = {name: value for name, value in options.items() if value}

    def _connect(self) -> fsspec.AbstractFileSystem:
        return SSHFileSystem(
            self._host,
            **self._options,
            # Empty bytes are a file without hosts. By default sshfs would accept any key, and
            # asyncssh would with `UserKnownHostsFile none` in the configuration.
            known_hosts=[str(path) for path in _known_hosts_files()] or b"",
            preferred_auth="publickey",
            connect_timeout=CONNECT_SECONDS,
            login_timeout=CONNECT_SECONDS,
            keepalive_interval=KEEPALIVE_SECONDS,
            # So that a name that is not UTF-8 is refused as such, not as a broken response.
            sftp_client_kwargs={"path_errors": "surrogateescape"},
            skip_instance_cache=True,
        )

    def _version(self, info: FileInfo) -> str:
        modified = info["mtime"]
        return modified.isoformat() if isinstance(modified, datetime) else ""

    def _list(self, path: str) -> Iterator[tuple[FileInfo, str]]:
        for info, name in super()._list(path):
            if info["type"] == "link":
                with self._translated_errors(name) as filesystem:
                    yield filesystem.info(info["name"]), name
            else:
                yield info, name

    def _translate(self, error: Exception, what: str) -> MarketlensError:
        match error:
            case asyncssh.HostKeyNotVerifiable():
                return SetupError(self._unknown_host())
            case PermissionError(__cause__=asyncssh.PermissionDenied()):
                return SetupError(
                    f"{self._host} accepts none of the keys of the ssh agent and ~/.ssh: add yours "
                    "with ssh-add."
                )
            case asyncssh.SFTPPermissionDenied():
                return super()._translate(PermissionError(), what)
            case asyncssh.SFTPNoSuchPath() | asyncssh.SFTPNotADirectory():
                return super()._translate(FileNotFoundError(), what)
            case asyncssh.ConfigParseError() | asyncssh.KeyImportError():
                return SetupError(f"The configuration or a key in ~/.ssh can't be read: {error}")
            case _:
                return super()._translate(error, what)

    def _unknown_host(self) -> str:
        port = self._options.get("port")
        option = f"-p {port} " if port else ""
        return (
            f"The host key of {self._host} is unknown, or is not the one that is known. If you "
            f"trust the way to it, add it: ssh-keyscan {option}{self._host} >> ~/.ssh/known_hosts"
        )


def _known_hosts_files() -> list[Path]:
    files = (
        Path("~/.ssh/known_hosts").expanduser(),
        Path("~/.ssh/known_hosts2").expanduser(),
        Path("/etc/ssh/ssh_known_hosts"),
    )
    return [path for path in files if path.is_file()]
