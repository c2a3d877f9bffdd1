"""A private OpenSSH server for tests: its own host key, users' keys and folder, on loopback."""

import gc
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port, wait_until_listening

# A server that runs as root would log anybody in, and wants folders of the system's.
UNPRIVILEGED = "nobody"


@dataclass(frozen=True)
class SshServer:
    """`folder` is what it may serve from; `home` has what a user's `~/.ssh` needs to log in."""

    port: int
    user: str
    folder: Path
    home: Path

    def url(self, path: Path, port: int | None = None) -> str:
        return f"sftp://{self.user}@127.0.0.1:{port or self.port}{path}"


def find_sshd() -> str | None:
    """The server's program; it insists on being called by its whole path."""
    return shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


@contextmanager
def ssh_server() -> Iterator[SshServer]:
    """Run a server that lets in one user, by key alone."""
    sshd = find_sshd()
    assert sshd is not None
    user = UNPRIVILEGED if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix="marketlens-ssh-"))
    try:
        folder.chmod(0o755)
        server = SshServer(free_port(), user, folder, folder / "home")
        _write_keys(server)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sshd, "-D", "-e", "-f", str(folder / "sshd_config")],
                user=user if os.getuid() == 0 else None,
                stderr=log,
            )
        try:
            wait_until_listening(process, server.port)
            yield server
            # sshfs closes connections where they are collected: in the event loop of another test
            # it would wait for ever.
            gc.collect()
        finally:
            process.terminate()
            process.wait()
    finally:
        shutil.rmtree(folder)


def _write_keys(server: SshServer) -> None:
    ssh = server.home / ".ssh"
    ssh.mkdir(parents=True)
    for key in (server.folder / "host_key", ssh / "id_ed25519"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True
        )
    shutil.chown(server.folder / "host_key", server.user)
    host_key = (server.folder / "host_key.pub").read_text()
    # Without a port it counts for all, a relay's too.
    (ssh / "known_hosts").write_text(f"127.0.0.1 {host_key}")
    shutil.copy(ssh / "id_ed25519.pub", server.folder / "authorized_keys")
    (server.folder / "sshd_config").write_text(
        f"""\
ListenAddress 127.0.0.1
Port {server.port}
HostKey {server.folder}/host_key
AuthorizedKeysFile {server.folder}/authorized_keys
AuthenticationMethods publickey
PidFile none
StrictModes no
UsePAM yes
Subsystem sftp internal-sftp
"""
    )
