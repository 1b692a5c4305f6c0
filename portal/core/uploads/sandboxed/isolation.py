"""What the process that reads a stranger's file gives up before it looks at the first byte of it.

Limits of the system bound memory, time and files everywhere. Where the kernel has seccomp, nothing is left but
computing with memory that is there and writing to what is open: no file, no socket, no process can be opened.
A network namespace of its own, where it may have one, is a second wall.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import signal
import socket
import struct

CPU_S = 5
MEMORY_BYTES = 512 * 1024 * 1024
_FILES_TO_START = 64

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4  # in struct seccomp_data

# The calls that remain, with the kernel's numbers on x86_64 and on aarch64: memory, time, randomness, what is open,
# the end. (Pillow asks for the working folder before it writes into memory.)
_CALLS = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "lseek": (8, 62),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "mremap": (25, 216),
    "madvise": (28, 233), "futex": (202, 98), "exit": (60, 93), "exit_group": (231, 94), "getpid": (39, 172),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "clock_gettime": (228, 113),
    "gettimeofday": (96, 169), "getrandom": (318, 278), "getrusage": (98, 165), "sysinfo": (99, 179),
    "getcwd": (79, 17), "restart_syscall": (219, 128),
}  # fmt: skip
# How the kernel calls the machine, and which of the two numbers it uses.
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

_libc = ctypes.CDLL(None, use_errno=True)


def limit_resources() -> None:
    """No more memory, processor time and files written than reading one file takes; last in line for the processor.

    It dies with whoever started it, and nobody can look into it or get a dump of it.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES_TO_START, _FILES_TO_START))
    os.nice(5)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def leave_the_network() -> bool:
    """Into a network of nobody else, with nothing in it. False where this machine does not let us."""
    return bool(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


def close_the_doors() -> bool:
    """From here on nothing can be opened. Every module that is still needed must have been imported.

    False where the kernel filters no calls: then the limits stand alone (no new descriptor, no new process).
    """
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    program = _program()
    if program is None:
        return False
    lines = ctypes.create_string_buffer(program)
    # struct sock_fprog: how many lines of eight bytes, padding, where they are
    head = ctypes.create_string_buffer(struct.pack("@HxxxxxxQ", len(program) // 8, ctypes.addressof(lines)))
    return bool(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, head, 0, 0) == 0)


def _program() -> bytes | None:
    """The filter for this machine, or None for one whose numbers are not known here."""
    known = _MACHINES.get(platform.machine())
    if known is None:
        return None
    architecture, column = known
    numbers = [call[column] for call in _CALLS.values()]
    lines = [(_LOAD, 0, 0, _ARCHITECTURE_AT), (_JUMP_IF_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _REFUSE)]
    lines.append((_LOAD, 0, 0, _NUMBER_AT))
    # Each jumps over the rest and the refusal, to the permission.
    lines += [(_JUMP_IF_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    lines += [(_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def try_the_doors() -> dict[str, bool]:
    """What is still possible after close_the_doors(); everything here is meant to fail."""
    return {"opens_files": _can(_open), "opens_sockets": _can(_call), "starts_processes": _can(_fork)}


def _can(attempt: object) -> bool:
    assert callable(attempt)
    try:
        attempt()
    except OSError:
        return False
    return True


def _open() -> None:
    os.close(os.open("/", os.O_RDONLY))


def _call() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)
