"""seccomp: which system calls this process may make from now on: none that reaches the network, other processes or the system.

Source: the kernel's Documentation/userspace-api/seccomp_filter.rst; numbers from arch/x86/entry/syscalls/syscall_64.tbl and
include/uapi/asm-generic/unistd.h. What a kernel newer than this file adds is refused unseen; of `ioctl` only what libraries ask
of terminals, pipes and descriptors is left: others make a file immutable that may only be read. A refused call fails as one that
is not permitted. Changing modes, owners and times of files, which Landlock does not hold back, seems to succeed and does
nothing, so that libraries which copy files go on.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Sequence

_LOAD, _JUMP_EQUAL, _JUMP_ABOVE, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE, _SECCOMP_MODE_FILTER = 0x7FFF0000, 0x00050000, 2
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 38, 22, 1, 4
_F_SETOWN, _F_SETOWN_EX = 8, 15
"""Who gets the signals of a file: before Linux 6.12 it may be any process of the user, with any signal."""
_F_SETLEASE, _F_NOTIFY = 1024, 1026
"""Keeping other programs from a file, and watching a folder: descriptors for reading are enough."""
_FIRST_NEW = 424
"""From this number on calls have one number on all processors."""
_NEW = (
    436, 437, 439, 441, 444, 445, 449, 450, 451, 453, 454, 455, 456, 462, 463, 464, 465, 466,
)  # fmt: skip
"""What is left of them: close_range, openat2, faccessat2, epoll_pwait2, Landlock's first two, futexes, memory, attributes."""
_IOCTLS = (0x5401, 0x540F, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS, TIOCGPGRP, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX."""
_NUMBER, _ARCHITECTURE = 0, 4
_ARGUMENT = 16
"""Where the arguments begin in what a filter sees, 8 bytes each."""
_CLONE_THREAD = 0x00010000
_X32 = 0x40000000

# name -> number on x86-64 and on 64-bit ARM; -1: it has none.
_REFUSED: dict[str, tuple[int, int]] = {
    # network, also between processes
    "socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "sendto": (44, 206), "recvfrom": (45, 207),
    "sendmsg": (46, 211), "recvmsg": (47, 212), "bind": (49, 200), "listen": (50, 201), "accept4": (288, 242),
    "recvmmsg": (299, 243), "sendmmsg": (307, 269),
    # other programs and processes
    "fork": (57, -1), "vfork": (58, -1), "execve": (59, 221), "execveat": (322, 281), "kill": (62, 129), "tkill": (200, 130),
    "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "process_madvise": (440, 440), "kcmp": (312, 272), "setpgid": (109, 154),
    "setsid": (112, 157), "sched_setscheduler": (144, 119), "sched_setattr": (314, 274), "setpriority": (141, 140),
    "sched_setaffinity": (203, 122), "sched_setparam": (142, 118),
    "ioprio_set": (251, 30), "migrate_pages": (256, 238), "move_pages": (279, 239), "setrlimit": (160, 164),
    # what outlives the process, or is not counted as its memory
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semop": (65, 193), "semctl": (66, 191),
    "semtimedop": (220, 192), "msgctl": (71, 187),
    "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "mq_open": (240, 180), "mq_unlink": (241, 181),
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "userfaultfd": (323, 282), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219), "mlock": (149, 228), "mlock2": (325, 284), "mlockall": (151, 230),
    # the system
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "swapon": (167, 224), "swapoff": (168, 225),
    "reboot": (169, 142), "sethostname": (170, 161), "setdomainname": (171, 162), "iopl": (172, -1), "ioperm": (173, -1),
    "init_module": (175, 105), "delete_module": (176, 106), "finit_module": (313, 273), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "bpf": (321, 280), "perf_event_open": (298, 241), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "acct": (163, 89), "settimeofday": (164, 170), "adjtimex": (159, 171), "clock_settime": (227, 112),
    "clock_adjtime": (305, 266), "syslog": (103, 116), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262), "inotify_init1": (294, 26), "inotify_init": (253, -1),
    "inotify_add_watch": (254, 27), "personality": (135, 92), "modify_ldt": (154, -1),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "io_setup": (206, 0),
    "vhangup": (153, 58), "truncate": (76, 45), "mknod": (133, -1), "mknodat": (259, 33), "vmsplice": (278, 75),
    "landlock_restrict_self": (446, 446), "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145),
    "setregid": (114, 143), "setresuid": (117, 147), "setresgid": (119, 149), "setgroups": (116, 159), "capset": (126, 91),
    "setfsuid": (122, 151), "setfsgid": (123, 152), "flock": (73, 32),
}  # fmt: skip
_IGNORED: dict[str, tuple[int, int]] = {
    "chmod": (90, -1), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, -1),
    "fchown": (93, 55), "lchown": (94, -1), "fchownat": (260, 54), "utime": (132, -1), "utimes": (235, -1),
    "futimesat": (261, -1), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "setxattrat": (463, 463),
    "removexattrat": (466, 466), "sync": (162, 81), "syncfs": (306, 267),
}  # fmt: skip
_MISSING: dict[str, tuple[int, int]] = {"clone3": (435, 435)}
"""They fail as on an old kernel, so that the C library takes an older call whose arguments can be seen."""
_CLONE, _PRCTL, _PRLIMIT, _FCNTL, _IOCTL = (56, 220), (157, 167), (302, 261), (72, 25), (16, 29)
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}


def is_supported() -> bool:
    """Tell whether this processor's system calls are known here."""
    return platform.machine() in _ARCHITECTURES


def restrict() -> None:
    """Refuse from now on what is listed here, in all threads that begin; raises OSError."""
    program = _program(*_ARCHITECTURES[platform.machine()])
    library = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(program)
    filter_ = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    if library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or library.prctl(
        _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filter_, 0, 0
    ):
        raise OSError(ctypes.get_errno(), "seccomp")


def _program(architecture: int, column: int) -> bytes:
    """Return the filter, in BPF: each check either returns or goes on with the next one."""
    refuse = _REFUSE | errno.EPERM
    lines = [
        _line(_LOAD, _ARCHITECTURE),
        _line(_JUMP_EQUAL, architecture, 1, 0),
        _line(_RETURN, refuse),
        _line(_LOAD, _NUMBER),
    ]
    lines += [_line(_JUMP_ABOVE, _X32, 0, 1), _line(_RETURN, refuse)] if column == 0 else []
    for calls, answer in ((_REFUSED, refuse), (_IGNORED, _REFUSE), (_MISSING, _REFUSE | errno.ENOSYS)):
        for numbers in calls.values():
            if numbers[column] >= 0:
                lines += [_line(_JUMP_EQUAL, numbers[column], 0, 1), _line(_RETURN, answer)]
    lines += _when(_CLONE[column], 0, [_line(_JUMP_BITS, _CLONE_THREAD, 1, 0), _line(_RETURN, refuse)])
    forbidden = (
        (_PRCTL, 0, _PR_SET_PDEATHSIG),
        (_PRCTL, 0, _PR_SET_DUMPABLE),
        (_FCNTL, 1, _F_SETOWN),
        (_FCNTL, 1, _F_SETOWN_EX),
        (_FCNTL, 1, _F_SETLEASE),
        (_FCNTL, 1, _F_NOTIFY),
    )
    for call, argument, value in forbidden:
        lines += _when(call[column], 2 * argument, [_line(_JUMP_EQUAL, value, 0, 1), _line(_RETURN, refuse)])
    for half in (4, 5):  # a pointer to new limits
        lines += _when(_PRLIMIT[column], half, [_line(_JUMP_EQUAL, 0, 1, 0), _line(_RETURN, refuse)])
    lines += _when(_IOCTL[column], 2, [*_one_of(_IOCTLS), _line(_RETURN, _REFUSE | errno.EOPNOTSUPP)])
    new = [*_one_of(_NEW), _line(_RETURN, _REFUSE | errno.ENOSYS)]
    lines += [_line(_JUMP_ABOVE, _FIRST_NEW, 0, len(new)), *new]
    return b"".join([*lines, _line(_RETURN, _ALLOW)])


def _one_of(values: Sequence[int]) -> list[bytes]:
    """Return checks that jump over the line behind them where the value is one of these."""
    return [_line(_JUMP_EQUAL, value, len(values) - place, 0) for place, value in enumerate(values)]


def _when(number: int, half: int, check: Sequence[bytes]) -> list[bytes]:
    """Return a check of half an argument of one call, the lower half first; another call passes it."""
    body = [_line(_LOAD, _ARGUMENT + 4 * half), *check, _line(_LOAD, _NUMBER)]
    return [_line(_JUMP_EQUAL, number, 0, len(body)), *body]


def _line(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)
