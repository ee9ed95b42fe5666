"""Loopback ports: check that one is free, name its owner, get JSON from the server behind it."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.request
from collections.abc import MutableMapping
from typing import Any

from harness.errors import StackError

HOST = "127.0.0.1"
# Never through a proxy that the environment may name: this is loopback.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
LOOPBACK = ("localhost", HOST, "::1")
ANSWER_S = 2.0


def spare_proxy(environment: MutableMapping[str, str]) -> None:
    """Have all requests of this process to this machine go there directly, if the environment names a proxy.

    A server of one's own behind a company's proxy is reached by no library else: they ask the proxy for it.
    """
    named = {name.lower(): value for name, value in environment.items() if name.lower().endswith("_proxy")}
    if not any(named.get(f"{scheme}_proxy") for scheme in ("http", "https", "all")):
        return
    without = [part.strip() for part in named.get("no_proxy", "").split(",") if part.strip()]
    if "*" not in without:
        for name in {"no_proxy", *(each for each in environment if each.lower() == "no_proxy")}:
            environment[name] = ",".join([*without, *(each for each in LOOPBACK if each not in without)])


def require_free(port: int, *, option: str) -> None:
    """Raise StackError if a loopback port is taken. ``option`` is the command line's for another port."""
    if problem := _why_not_free(port):
        raise StackError(
            f"port {port} is taken by {_owner(port)} ({problem})",
            remedy=f"choose another port with {option}, or stop that process",
        )


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Return True if nobody listens on a loopback port."""
    return not _why_not_free(port)


def _why_not_free(port: int) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do it: a port whose last connections still wind down counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as problem:
            return problem.strerror or str(problem)
    return ""


def _owner(port: int) -> str:
    import psutil

    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return "another process"
    for each in connections:
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port and each.pid:
            try:
                return f"process {each.pid} ({psutil.Process(each.pid).name()})"
            except psutil.NoSuchProcess:
                return f"process {each.pid}"
    return "another process"


def get_json(port: int, path: str) -> Any:
    """Get a JSON document from a loopback server; None if it does not answer with one."""
    try:
        with OPENER.open(f"http://{HOST}:{port}{path}", timeout=ANSWER_S) as response:
            return json.load(response)
    except (OSError, http.client.HTTPException, ValueError):
        return None
