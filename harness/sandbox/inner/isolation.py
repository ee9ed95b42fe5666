"""Linux namespaces round the fork server: built once, before any model-written code runs.

The server becomes process 1 of a process namespace without network, on a disk that holds Python, pytest
and the system's libraries, all read-only, and nothing else of this machine. Each run gets a fresh file
system in memory (``fresh_box``) and drops every privilege (``drop_privileges``) before it touches files.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import struct
from contextlib import suppress
from typing import Any

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x00020000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
CLONE_NEWUTS, CLONE_NEWCGROUP = 0x04000000, 0x02000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x1000, 0x4000, 0x40000, 2
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, ATTR_RDONLY_NOSUID = 442, -100, 0x8000, 3
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
CAPABILITY_VERSION_3 = 0x20080522
INSIDE = 1000  # who runs the code, as it sees itself
NOBODY = 65534  # who that is outside, where the harness runs as root
BOX = "/box"
HOST = "sandbox"
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
numbers: list[int] = []  # the file that says which number a process got last, where there is one


def call(name: str, *arguments: Any) -> None:
    """Call a function of libc; raise its failure as an OSError that names it."""
    texts = [each.encode() if isinstance(each, str) else each for each in arguments]
    if getattr(libc, name)(*texts) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def build(plan: dict[str, Any]) -> dict[str, bool]:
    """Build the isolation and go on in process 1 behind it, for whose end the caller's own process waits.

    The plan: ``root``, a folder to mount on; ``steps``, paths to show, to mask (a folder is there, and
    empty) or to link, outer ones first. Returned is which protections hold.

    Raises:
        OSError: This machine does not allow it.
    """
    root = os.geteuid() == 0
    other_user = enter_namespaces()
    wait_in_parent()
    with open("/proc/sys/user/max_user_namespaces", "w", encoding="ascii") as file:
        file.write("0")  # none can be made inside: there one would have privileges again
    with suppress(OSError):
        numbers.append(os.open("/proc/sys/kernel/ns_last_pid", os.O_WRONLY | os.O_CLOEXEC))
    call("mount", None, "/", None, MS_REC | MS_PRIVATE, None)
    mount_root(plan)
    call("sethostname", HOST, len(HOST))
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    capability = 0
    while libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    attributes = (ctypes.c_uint64 * 4)(ATTR_RDONLY_NOSUID, 0, 0, 0)
    read_only = libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, attributes, 32) == 0
    counted = counts_processes(root=root and not other_user)
    return {"other_user": other_user, "read-only disk": read_only, "process limit": counted}


def built_by_bubblewrap() -> dict[str, bool]:
    """Return what holds where bubblewrap, not run by root, has isolated us and made us process 1."""
    call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)  # the code runs as the same user: it must not trace us
    return {"read-only disk": True, "process limit": counts_processes(root=False)}


def begin_numbers() -> None:
    """Have the next process get the number that the first one got: how many there were must not tell."""
    for file in numbers:
        with suppress(OSError):
            os.pwrite(file, b"1", 0)


def close_numbers() -> None:
    """Close what a run has no business with."""
    while numbers:
        os.close(numbers.pop())


def counts_processes(*, root: bool) -> bool:
    """Return True if RLIMIT_NPROC counts this namespace's processes alone: Linux 5.14, and never root's."""
    release = tuple(int(number) for number in os.uname().release.split("-")[0].split(".")[:2])
    return release >= (5, 14) and not root


def enter_namespaces() -> bool:
    """Enter new namespaces of every kind: users, mounts, network, IPC, processes, names, control groups.

    Return True if the code can run as another user than the server: only root may give it one.
    """
    uid, gid = os.geteuid(), os.getegid()
    flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWPID
    flags |= CLONE_NEWUTS | CLONE_NEWCGROUP
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


def mount_root(plan: dict[str, Any]) -> None:
    """Mount a new root that holds what is in the plan and nothing else, and enter it."""
    root = plan["root"]
    call("mount", "tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,mode=755")
    for kind, path, target in plan["steps"]:
        if kind == "show":
            show(path, root)
        elif kind == "mask":
            call("mount", "tmpfs", root + path, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
        else:
            os.makedirs(os.path.dirname(root + path), exist_ok=True)
            os.symlink(target, root + path)
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
    if os.path.isdir(path):
        os.makedirs(place, exist_ok=True)
    else:
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o644))
    call("mount", path, place, None, MS_BIND | MS_REC, None)


def fresh_box(*, other_user: bool) -> None:
    """Mount an empty file system in memory for one run."""
    call("mount", "tmpfs", BOX, "tmpfs", MS_NOSUID | MS_NODEV, BOX_OPTIONS)
    for name in ("work", "tmp"):
        os.mkdir(f"{BOX}/{name}")
        if other_user:
            os.chown(f"{BOX}/{name}", INSIDE, INSIDE)
    if not os.path.islink("/tmp"):  # noqa: S108
        open_tmp()


def open_tmp() -> None:
    """Let a run write to /tmp where Python or its packages live below it: they are mounted there again.

    What is mounted can be neither replaced nor removed, so that the server imports nothing else meanwhile.
    """
    for entry in os.scandir("/tmp"):  # noqa: S108
        place = f"{TMP}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            os.mkdir(place)
        else:
            os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o644))
        call("mount", entry.path, place, None, MS_BIND | MS_REC, None)
    call("mount", TMP, "/tmp", None, MS_BIND | MS_REC, None)  # noqa: S108


def remove_box() -> None:
    """Forget the run's file system, whatever is in it."""
    if not os.path.islink("/tmp"):  # noqa: S108
        call("umount2", "/tmp", MNT_DETACH)  # noqa: S108
    call("umount2", BOX, MNT_DETACH)


def clean_box() -> None:
    """Empty the file systems that bubblewrap gives to all runs, whatever is in them."""
    for place in (BOX, "/dev/shm"):  # noqa: S108
        os.chmod(place, 0o700)
        for entry in os.scandir(place):
            remove(entry.path)
    for name in ("work", "tmp"):
        os.mkdir(f"{BOX}/{name}")


def remove(path: str) -> None:
    """Remove a file, a link (not what it points at), or a folder, however deep or closed what is in it."""
    if os.path.islink(path) or not os.path.isdir(path):
        os.unlink(path)
        return
    try:
        shutil.rmtree(path, ignore_errors=True)
    except RecursionError:
        pass
    if not os.path.lexists(path):
        return
    for command in (["chmod", "-R", "u+rwX", path], ["rm", "-rf", path]):
        pid = os.posix_spawnp(command[0], command, os.environ)
        os.waitpid(pid, 0)


def drop_privileges(*, other_user: bool) -> None:
    """Be somebody without privileges, for good."""
    if other_user:
        os.setgroups([])
        os.setresgid(INSIDE, INSIDE, INSIDE)
        os.setresuid(INSIDE, INSIDE, INSIDE)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    call("capset", header, (ctypes.c_uint32 * 6)())


# Calls whose effect outlives the process, or reaches other processes of the same user. Numbers by machine.
SECCOMP_ALLOW, SECCOMP_DENY = 0x7FFF0000, 0x00050001  # the latter with errno EPERM
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD, IF_EQUAL, IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# add_key request_key keyctl shmget semget msgget mq_open ioprio_set
NEVER = {
    "x86_64": (248, 249, 250, 29, 64, 68, 240, 251),
    "aarch64": (217, 218, 219, 194, 190, 186, 180, 30),
}
# prlimit64 sched_setparam sched_setscheduler sched_setaffinity sched_setattr: of the process in argument 0
ITSELF_ONLY = {"x86_64": (302, 142, 144, 203, 314), "aarch64": (261, 118, 119, 122, 274)}
SETPRIORITY = {"x86_64": 141, "aarch64": 140}  # first what kind of target, then which


def seccomp_available() -> bool:
    """Return True if ``install_seccomp_filter`` works on this machine, tried in a child."""
    if os.uname().machine not in ARCHITECTURE:
        return False
    pid = os.fork()
    if pid == 0:
        try:
            install_seccomp_filter()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def install_seccomp_filter() -> None:
    """Filter the system calls of this process and its children (seccomp).

    Raises:
        OSError: This machine does not offer it.
    """
    machine = os.uname().machine

    def code(operation: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
        return struct.pack("HBBI", operation, then, otherwise, value)

    deny, allow = code(RETURN, SECCOMP_DENY), code(RETURN, SECCOMP_ALLOW)
    first, second = code(LOAD, 16), code(LOAD, 24)
    rules = [code(LOAD, 4), code(IF_EQUAL, ARCHITECTURE[machine], then=1), deny, code(LOAD, 0)]
    if machine == "x86_64":
        rules += [code(IF_AT_LEAST, 0x40000000, otherwise=1), deny]  # the x32 names of the same calls
    for number in NEVER[machine]:
        rules += [code(IF_EQUAL, number, otherwise=1), deny]
    for number in ITSELF_ONLY[machine]:
        rules += [code(IF_EQUAL, number, otherwise=4), first, code(IF_EQUAL, 0, then=1), deny, allow]
    rules += [code(IF_EQUAL, SETPRIORITY[machine], otherwise=6), first, code(IF_EQUAL, 0, otherwise=2)]
    rules += [second, code(IF_EQUAL, 0, then=1), deny, allow, allow]
    listed = ctypes.create_string_buffer(b"".join(rules))
    program = struct.pack("HxxxxxxP", len(rules), ctypes.addressof(listed))
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    call("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(program), 0, 0)
