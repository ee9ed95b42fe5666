"""Linux namespaces round the fork server: built once, before any model-written code runs.

The server becomes process 1 of a process namespace without network, on a disk that holds Python, pytest
and the system's libraries, all read-only, and nothing else of this machine. Each run gets a fresh file
system in memory (``fresh_box``) and gives up every privilege (``give_up``) before it touches its files.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
from collections.abc import Callable
from typing import Any

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x00020000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x1000, 0x4000, 0x40000, 2
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, ATTR_RDONLY_NOSUID = 442, -100, 0x8000, 3
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
CAPABILITY_VERSION_3 = 0x20080522
INSIDE = 1000  # who runs the code, as it sees itself
NOBODY = 65534  # who that is outside, where the harness runs as root
BOX = "/box"
BOX_OPTIONS = "size=64m,nr_inodes=16k,mode=555"
DEVICES = ("null", "zero", "full", "random", "urandom")
NAMES = {
    "etc/passwd": f"coder:x:{INSIDE}:{INSIDE}::{BOX}/work:/bin/sh\n",
    "etc/group": f"coder:x:{INSIDE}:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
}
# What programs expect to be there, relative to the new root.
TMP = f"{BOX}/tmp"  # noqa: S108
LINKS = {"tmp": TMP, "dev/shm": TMP, "dev/fd": "/proc/self/fd"}
libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any) -> None:
    """A function of libc, its failure as an OSError that names it."""
    texts = [each.encode() if isinstance(each, str) else each for each in arguments]
    if getattr(libc, name)(*texts) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def build(plan: dict[str, Any]) -> dict[str, bool]:
    """Build the walls, and go on in process 1 behind them; the caller's own process waits for its end.

    Args:
        plan: ``root``: a folder to mount on; ``visible``: what stays in sight; ``masked``: folders in it
            that are emptied; ``shown``: what of those comes back.

    Returns:
        Which protections hold.

    Raises:
        OSError: This machine does not allow it.
    """
    root = os.geteuid() == 0
    other_user = enter_namespaces()
    wait_in_parent()
    with open("/proc/sys/user/max_user_namespaces", "w", encoding="ascii") as file:
        file.write("0")  # none can be made inside: there one would have privileges again
    call("mount", None, "/", None, MS_REC | MS_PRIVATE, None)
    furnish(plan)
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    capability = 0
    while libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    attributes = (ctypes.c_uint64 * 4)(ATTR_RDONLY_NOSUID, 0, 0, 0)
    read_only = libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, attributes, 32) == 0
    counted = counts_processes(root=root and not other_user)
    return {"other_user": other_user, "read-only disk": read_only, "process limit": counted}


def built_by_bubblewrap() -> dict[str, bool]:
    """What holds where bubblewrap, not run by root, has built the walls and made us process 1."""
    call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)  # the code runs as the same user: it must not trace us
    return {"read-only disk": True, "process limit": counts_processes(root=False)}


def counts_processes(*, root: bool) -> bool:
    """Whether RLIMIT_NPROC counts this namespace's processes alone: since Linux 5.14, and never root's."""
    release = tuple(int(number) for number in os.uname().release.split("-")[0].split(".")[:2])
    return release >= (5, 14) and not root


def enter_namespaces() -> bool:
    """New user, mount, network, IPC and process namespaces.

    Returns:
        Whether the code can run as another user than the server: only root may give it one.
    """
    uid, gid = os.geteuid(), os.getegid()
    flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWPID
    mapped = uid == 0 and map_from_outside(flags)
    if not mapped:
        if uid != 0:
            call("unshare", flags)
        write_maps(f"{INSIDE} {uid} 1", f"{INSIDE} {gid} 1", deny_groups=True)
    return mapped


def map_from_outside(flags: int) -> bool:
    """Enter the namespaces with two users, which a process still outside has to write down."""
    inside, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(told)
        os.read(inside, 1)
        try:
            both = f"0 0 1\n{INSIDE} {NOBODY} 1"
            write_maps(both, both, of=os.getppid())
        except OSError:
            os._exit(1)
        os._exit(0)
    call("unshare", flags)
    os.write(told, b"x")
    os.close(inside)
    os.close(told)
    return os.waitpid(pid, 0)[1] == 0


def write_maps(uids: str, gids: str, *, of: int | str = "self", deny_groups: bool = False) -> None:
    """Say who the users of a new user namespace are outside of it."""
    texts = [("setgroups", "deny")] if deny_groups else []
    for name, text in [*texts, ("uid_map", uids), ("gid_map", gids)]:
        with open(f"/proc/{of}/{name}", "w", encoding="ascii") as file:
            file.write(text)


def wait_in_parent() -> None:
    """Go on in a child, which ends with its parent; the parent waits for it."""
    pid = os.fork()
    if pid:
        os.closerange(0, 64)
        os.waitpid(pid, 0)
        os._exit(0)
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def furnish(plan: dict[str, Any]) -> None:
    """A new root that holds what is in the plan and nothing else, and make it ours."""
    root = plan["root"]
    call("mount", "tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,mode=755")
    for path in plan["visible"]:
        show(path, root)
    for path in plan["masked"]:
        call("mount", "tmpfs", root + path, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    for path in plan["shown"]:
        show(path, root)
    for folder in ("dev", "etc", "proc", BOX[1:]):
        os.makedirs(f"{root}/{folder}", exist_ok=True)
    for device in DEVICES:
        show(f"/dev/{device}", root)
    for name, text in NAMES.items():
        with open(f"{root}/{name}", "w", encoding="ascii") as file:
            file.write(text)
    for name, target in LINKS.items():
        if not os.path.lexists(f"{root}/{name}"):  # Python may live in /tmp
            os.symlink(target, f"{root}/{name}")
    try:
        call("mount", "proc", f"{root}/proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, None)
    except OSError:
        pass  # containers that hide parts of /proc forbid it: then the code has none
    os.chdir(root)
    try:
        call("pivot_root", ".", ".")
        call("umount2", ".", MNT_DETACH)
    except OSError:
        os.chroot(".")  # a root that cannot be left (initramfs); without privileges nobody gets out
    os.chdir("/")


def show(path: str, root: str) -> None:
    """Let what is at ``path`` be seen at the same place under the new root."""
    place = root + path
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), place)
        return
    if os.path.isdir(path):
        os.makedirs(place, exist_ok=True)
    else:
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o644))
    call("mount", path, place, None, MS_BIND | MS_REC, None)


def fresh_box(*, other_user: bool) -> None:
    """An empty file system in memory for one run."""
    call("mount", "tmpfs", BOX, "tmpfs", MS_NOSUID | MS_NODEV, BOX_OPTIONS)
    for name in ("work", "tmp"):
        os.mkdir(f"{BOX}/{name}")
        if other_user:
            os.chown(f"{BOX}/{name}", INSIDE, INSIDE)


def remove_box() -> None:
    """Forget the run's file system, whatever is in it."""
    call("umount2", BOX, MNT_DETACH)


def clean_box() -> None:
    """Empty the one file system that bubblewrap gives to all runs, whatever is in it."""
    os.chmod(BOX, 0o700)
    for entry in os.scandir(BOX):
        remove(entry)
    for name in ("work", "tmp"):
        os.mkdir(f"{BOX}/{name}")


def remove(entry: os.DirEntry[str]) -> None:
    """Remove a file, a link (not what it points at), or a folder with all that is in it."""
    if not entry.is_dir(follow_symlinks=False):
        os.unlink(entry.path)
        return
    os.chmod(entry.path, 0o700)
    shutil.rmtree(entry.path, onerror=open_and_retry)


def open_and_retry(function: Callable[[str], object], path: str, _: object) -> None:
    """A closed folder on the way is opened."""
    os.chmod(os.path.dirname(path), 0o700)
    if os.path.isdir(path) and not os.path.islink(path):
        os.chmod(path, 0o700)
        shutil.rmtree(path, onerror=open_and_retry)
    else:
        function(path)


def give_up(*, other_user: bool) -> None:
    """Be somebody without privileges, for good."""
    if other_user:
        os.setgroups([])
        os.setresgid(INSIDE, INSIDE, INSIDE)
        os.setresuid(INSIDE, INSIDE, INSIDE)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    call("capset", header, (ctypes.c_uint32 * 6)())
