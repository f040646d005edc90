"""The code interpreter, and programs that attack its sandbox: each prints BREACH where it gets what it wants, and none does."""

# ruff: noqa: E501 - a program a line

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from desktop_app.assistant.sandbox import bubblewrap, drawing, linux, python_kernel, watch
from desktop_app.assistant.sandbox.pure_python import PurePython
from desktop_app.assistant.sandbox.python_kernel import PythonKernel
from desktop_app.assistant.sandbox.trial import is_enforced
from desktop_app.assistant.tool import ToolResult
from desktop_app.assistant.tools.python import Interpreter, unconfined
from desktop_app.remove_tree import remove_tree

confined = pytest.mark.skipif(not is_enforced(), reason="this kernel has no Landlock")

ATTACKS = {
    # the network
    "name": "import socket; socket.getaddrinfo('example.org', 80); print('BREACH')",
    "connect": "import socket; socket.create_connection(('127.0.0.1', {port}), 2).send(b'x'); print('BREACH')",
    "http": "import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}', timeout=2); print('BREACH')",
    "udp": "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port})); print('BREACH')",
    "ipv6": "import socket; socket.socket(socket.AF_INET6); print('BREACH')",
    "raw": "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); print('BREACH')",
    "packet": "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW); print('BREACH')",
    "netlink": "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); print('BREACH')",
    "unix": "import socket; s = socket.socket(socket.AF_UNIX); s.connect('{unix}'); print('BREACH')",
    "abstract": "import socket; s = socket.socket(socket.AF_UNIX); s.connect('\\0{abstract}'); print('BREACH')",
    "listen": "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); print('BREACH')",
    "vsock": "import socket; socket.socket(40, socket.SOCK_STREAM); print('BREACH')",
    "socket by number": "import ctypes; print('BREACH' if ctypes.CDLL(None).syscall({socket}, 2, 1, 0) >= 0 else '')",
    "io_uring": "import ctypes; b = bytes(200); print('BREACH' if ctypes.CDLL(None).syscall(425, 8, b) >= 0 else '')",
    # reading
    "secret": "print('BREACH', open('{secret}').read())",
    "secret up": "print('BREACH', open('../secret.txt').read())",
    "home": "import os; print('BREACH', os.listdir('{home}'))",
    "root": "import os; print('BREACH', os.listdir('/'))",
    "passwd": "print('BREACH', open('/etc/passwd').read())",
    "shadow": "print('BREACH', open('/etc/shadow').read())",
    "tmp": "import os; print('BREACH', os.listdir('/tmp'))",
    "data folder": "import os; print('BREACH', os.listdir('{data}'))",
    "app environment": "print('BREACH', open('/proc/{app}/environ', 'rb').read())",
    "app memory": "open('/proc/{app}/mem', 'rb'); print('BREACH')",
    "app maps": "print('BREACH', open('/proc/{app}/maps').read())",
    "app files": "import os; print('BREACH', os.listdir('/proc/{app}/fd'))",
    "processes": "import os; print('BREACH', os.listdir('/proc'))",
    "own environment": "import os; print('BREACH' if any('SECRET' in k for k in os.environ) else '')",
    "link": "import os; os.symlink('{secret}', 'link'); print('BREACH', open('link').read())",
    "hard link": "import os; os.link('{secret}', 'hard'); print('BREACH', open('hard').read())",
    "link to a folder": "import os; os.symlink('{outside}', 'dir'); print('BREACH', os.listdir('dir'))",
    "memory map": "import mmap, os; f = os.open('{secret}', os.O_RDONLY); print('BREACH', mmap.mmap(f, 0, prot=1).read())",
    "open by number": "import ctypes; print('BREACH' if ctypes.CDLL(None).syscall(257, -100, b'{secret}', 0) >= 0 else '')",
    "handle": "import ctypes; b = bytes([128] + [0] * 200)\nprint('BREACH' if ctypes.CDLL(None).name_to_handle_at(-100, b'{secret}', b, bytes(8), 0) == 0 else '')",
    "device": "print('BREACH', open('/dev/mem', 'rb').read(1))",
    "terminal": "print('BREACH', open('/dev/tty').read(1))",
    "watch a folder": "import ctypes; l = ctypes.CDLL(None); print('BREACH' if l.inotify_add_watch(l.inotify_init(), b'{outside}', 4095) >= 0 else '')",
    "kernel log": "print('BREACH', open('/dev/kmsg').read(1))",
    # writing
    "write outside": "open('{outside}/x', 'w').write('x'); print('BREACH')",
    "write up": "open('../x', 'w').write('x'); print('BREACH')",
    "write through a link": "import os; os.symlink('{outside}/y', 'out'); open('out', 'w').write('x'); print('BREACH')",
    "append": "open('{secret}', 'a').write('x'); print('BREACH')",
    "truncate": "import os; os.truncate('{secret}', 0); print('BREACH')",
    "remove": "import os; os.remove('{secret}'); print('BREACH')",
    "rename out": "import os; open('r', 'w'); os.rename('r', '{outside}/r'); print('BREACH')",
    "rename in": "import os; os.rename('{secret}', 'stolen'); print('BREACH', open('stolen').read())",
    "make a folder": "import os; os.mkdir('{outside}/d'); print('BREACH')",
    "change a mode": "import os; os.chmod('{secret}', 0o777)",
    "change a time": "import os; os.utime('{secret}', (1, 1))",
    "change an owner": "import os; os.chown('{secret}', 12345, 12345)",
    "attribute": "import os; os.setxattr('{secret}', 'user.x', b'x')",
    "device node": "import os, stat; os.mknod('node', 0o600 | stat.S_IFCHR, os.makedev(1, 1)); print('BREACH')",
    "pipe": "import os; os.mkfifo('{outside}/pipe'); print('BREACH')",
    "interpreter": "import os; open(os.__file__, 'a'); print('BREACH')",
    "shared memory": "open('/dev/shm/zhiyin-attack', 'w'); print('BREACH')",
    "mount": "import ctypes; print('BREACH' if ctypes.CDLL(None).mount(b'none', b'.', b'tmpfs', 0, None) == 0 else '')",
    "chroot": "import os; os.chroot('.'); print('BREACH')",
    # other processes
    "program": "import subprocess; subprocess.run(['/bin/true']); print('BREACH')",
    "shell": "import os; print('BREACH' if os.system('true') == 0 else '')",
    "exec": "import os; os.execv('/bin/true', ['true'])",
    "fork": "import os; print('BREACH') if os.fork() else os._exit(0)",
    "fork bomb": "import os\nfor n in range(1000): os.fork()\nprint('BREACH')",
    "spawn": "import multiprocessing as m; p = m.Process(target=print); p.start(); print('BREACH')",
    "leave a daemon": "import subprocess as s, sys; s.Popen([sys.executable, '-c', 'while 1: 1'], start_new_session=True); print('BREACH')",
    "program in memory": "import os; f = os.memfd_create('x'); print('BREACH')",
    "kill the app": "import os, signal; os.kill({app}, signal.SIGKILL); print('BREACH')",
    "signal the app": "import os; os.kill({app}, 0); print('BREACH')",
    "signal a thread": "import ctypes; print('BREACH' if ctypes.CDLL(None).syscall({tgkill}, {app}, {app}, 0) == 0 else '')",
    "ptrace": "import ctypes; print('BREACH' if ctypes.CDLL(None).ptrace(16, {app}, 0, 0) == 0 else '')",
    "other memory": "import ctypes; b = bytes(16); print('BREACH' if ctypes.CDLL(None).process_vm_readv({app}, b, 1, b, 1, 0) >= 0 else '')",
    "process handle": "import os; os.pidfd_open({app}); print('BREACH')",
    "namespace": "import ctypes; print('BREACH' if ctypes.CDLL(None).unshare(0x10000000) == 0 else '')",
    "other namespace": "import ctypes; print('BREACH' if ctypes.CDLL(None).setns(0, 0) == 0 else '')",
    "priority": "import os; os.setpriority(os.PRIO_PROCESS, {app}, 19); print('BREACH')",
    "processors of the app": "import os; os.sched_setaffinity({app}, {{0}}); print('BREACH')",
    "signals of a file": "import fcntl, os; fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, {app}); print('BREACH')",
    "signals of a file to a thread": "import fcntl, os, struct; fcntl.fcntl(os.pipe()[0], 15, struct.pack('ii', 1, {app})); print('BREACH')",
    "semaphores in time": "import ctypes as c; l = c.CDLL(None, use_errno=True); l.syscall({semtimedop}, 0, 0, 0, 0); print('' if c.get_errno() == 1 else 'BREACH')",
    "messages of the system": "import ctypes as c; l = c.CDLL(None, use_errno=True); l.msgctl(0, 0, 0); print('' if c.get_errno() == 1 else 'BREACH')",
    "look away": "import ctypes; print('BREACH' if ctypes.CDLL(None).prctl(4, 0, 0, 0, 0) == 0 else '')",
    # limits
    "raise a limit": "import resource as r; r.setrlimit(r.RLIMIT_AS, (r.RLIM_INFINITY, r.RLIM_INFINITY)); print('BREACH')",
    "raise a limit of the app": "import resource as r; r.prlimit({app}, r.RLIMIT_NOFILE, (1, 1)); print('BREACH')",
    "memory": "x = bytearray(32 << 30); print('BREACH')",
    "memory in parts": "x = []\nwhile True: x.append(bytes(range(256)) * (1 << 20))",
    "locked memory": "import ctypes; print('BREACH' if ctypes.CDLL(None).mlockall(3) == 0 else '')",
    "system memory": "import ctypes; print('BREACH' if ctypes.CDLL(None).shmget(0, 1 << 20, 0o1600) >= 0 else '')",
    "large file": "f = open('large', 'wb'); f.truncate(1 << 40); f.write(b'x'); print('BREACH')",
    "forget the parent": "import ctypes; print('BREACH' if ctypes.CDLL(None).prctl(1, 0, 0, 0, 0) == 0 else '')",
    "loosen the filter": "import ctypes; print('BREACH' if ctypes.CDLL(None).prctl(22, 0, 0, 0, 0) == 0 else '')",
    "kernel program": "import ctypes; print('BREACH' if ctypes.CDLL(None).syscall({bpf}, 0, 0, 0) >= 0 else '')",
    "keys": "import ctypes; print('BREACH' if ctypes.CDLL(None).syscall({keyctl}, 0, -3, 1) >= 0 else '')",
    "clock": "import time; time.clock_settime(time.CLOCK_REALTIME, 0); print('BREACH')",
    "stop the computer": "import ctypes; print('BREACH' if ctypes.CDLL(None).reboot(0) == 0 else '')",
    # calls by their numbers, and what else was tried later
    "openat2": "import ctypes, struct; b = struct.pack('QQQ', 0, 0, 0); print('BREACH' if ctypes.CDLL(None).syscall(437, -100, b'{secret}', b, 24) >= 0 else '')",
    "open a tree": "import ctypes; print('BREACH' if ctypes.CDLL(None).syscall(428, -100, b'/', 1) >= 0 else '')",
    "new file system": "import ctypes; print('BREACH' if ctypes.CDLL(None).syscall(430, b'tmpfs', 0) >= 0 else '')",
    "pick a file system": "import ctypes; print('BREACH' if ctypes.CDLL(None).syscall(433, -100, b'/', 0) >= 0 else '')",
    "signal by handle": "import ctypes as c; l = c.CDLL(None, use_errno=True); l.syscall(424, -1, 0, 0, 0); print('' if c.get_errno() == 1 else 'BREACH')",
    "vfork": "import ctypes, mmap, platform\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(bytes.fromhex('b83a0000000f0585c0750931ffb83c0000000f05c3'))\nf = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))\nprint('BREACH' if platform.machine() == 'x86_64' and f() > 0 else '')",
    "fork by number": "import ctypes, os; r = ctypes.CDLL(None).syscall({clone}, 17, 0, 0, 0, 0)\nif r == 0: os._exit(0)\nprint('BREACH' if r > 0 else '')",
    "exec by descriptor": "import ctypes as c; l = c.CDLL(None, use_errno=True); l.syscall({execveat}, -1, b'', 0, 0, 0x1000); print('' if c.get_errno() == 1 else 'BREACH')",
    "faults of memory": "import ctypes; print('BREACH' if ctypes.CDLL(None).syscall({userfaultfd}, 1) >= 0 else '')",
    "counters": "import ctypes, struct; b = struct.pack('IIQ', 1, 64, 0) + bytes(48); print('BREACH' if ctypes.CDLL(None).syscall({perf}, b, 0, -1, -1, 0) >= 0 else '')",
    "compare processes": "import ctypes; print('BREACH' if ctypes.CDLL(None).syscall({kcmp}, {app}, {app}, 2, 0, 0) >= 0 else '')",
    "queue a signal": "import ctypes as c; l = c.CDLL(None, use_errno=True); l.syscall({sigqueue}, {app}, 0, 0); print('' if c.get_errno() == 1 else 'BREACH')",
    "signal one thread": "import ctypes; print('BREACH' if ctypes.CDLL(None).syscall({tkill}, {app}, 0) >= 0 else '')",
    "move the app's pages": "import ctypes; print('BREACH' if ctypes.CDLL(None).syscall({movepages}, {app}, 0, 0, 0, 0, 0) >= 0 else '')",
    "secret memory": "import ctypes; print('BREACH' if ctypes.CDLL(None).syscall(447, 0) >= 0 else '')",
    "watch all files": "import ctypes; print('BREACH' if ctypes.CDLL(None).fanotify_init(0, 0) >= 0 else '')",
    "message queue": "import ctypes; print('BREACH' if ctypes.CDLL(None).msgget(0, 0o1600) >= 0 else '')",
    "named queue": "import ctypes; print('BREACH' if ctypes.CDLL(None).syscall({mqopen}, b'zy', 66, 0o600, 0) >= 0 else '')",
    "semaphores": "import ctypes; print('BREACH' if ctypes.CDLL(None).semget(0, 1, 0o1600) >= 0 else '')",
    "kernel module": "import ctypes as c; l = c.CDLL(None, use_errno=True); l.syscall({module}, b'x', 1, b''); print('' if c.get_errno() == 1 else 'BREACH')",
    "account": "import ctypes; print('BREACH' if ctypes.CDLL(None).acct(0) >= 0 else '')",
    "swap": "import ctypes as c; l = c.CDLL(None, use_errno=True); l.swapoff(b'/dev/null'); print('' if c.get_errno() == 1 else 'BREACH')",
    "name of the computer": "import socket; socket.sethostname(socket.gethostname()); print('BREACH')",
    "become another": "import os; os.setresuid(12345, 12345, 0); os.setresuid(0, 0, 0); print('BREACH')",
    "groups": "import os; os.setgroups([0]); print('BREACH')",
    "real time": "import os; os.sched_setscheduler({app}, os.SCHED_FIFO, os.sched_param(50)); print('BREACH')",
    "io priority of the app": "import ctypes; print('BREACH' if ctypes.CDLL(None).syscall({ioprio}, 1, {app}, 0x2007) >= 0 else '')",
    "group of the app": "import os; os.killpg(os.getpgid({app}), 0); print('BREACH')",
    "all processes": "import os; os.kill(-1, 0); print('BREACH')",
    "type into the terminal": "import ctypes as c; l = c.CDLL(None, use_errno=True); l.ioctl(1, 0x5412, b'x'); print('' if c.get_errno() == 95 else 'BREACH')",
    "path alone": "import os; f = os.open('{outside}', os.O_PATH | os.O_DIRECTORY); print('BREACH', os.open('../secret.txt', os.O_RDONLY, dir_fd=f))",
    "change folder": "import os; os.chdir('{outside}'); print('BREACH', os.listdir('.'))\n",
    "file by folder's link": "import os; os.symlink('..', 'up'); print('BREACH', open('up/secret.txt').read())",
    "exchange": "import ctypes; open('mine', 'w').write('x'); print('BREACH' if ctypes.CDLL(None).renameat2(-100, b'mine', -100, b'{secret}', 2) == 0 else '')",
    "32-bit call": "import ctypes, mmap, platform\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(bytes.fromhex('53b829000000bb02000000b90100000031d2cd805bc3'))\nf = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))\nprint('BREACH' if platform.machine() == 'x86_64' and f() >= 0 else '')",
    "other numbers": "import ctypes; print('BREACH' if ctypes.CDLL(None).syscall(0x40000000 + {socket}, 2, 1, 0) >= 0 else '')",
    "dbus": "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/dbus/system_bus_socket'); print('BREACH')",
    "clone3": "import ctypes, os; b = bytes(88); r = ctypes.CDLL(None).syscall(435, b, 88)\nif r == 0: os._exit(0)\nprint('BREACH' if r > 0 else '')",
    # what newer kernels have, what descriptors for reading allow, and what slows the others down
    "attributes of a file": "import ctypes, struct; b = struct.pack('QIIII', 0x10, 0, 0, 0, 0); print('BREACH' if ctypes.CDLL(None).syscall(469, -100, b'{secret}', b, 24, 0) == 0 else '')",
    "attributes of what was attached": "import fcntl, os, struct; fcntl.ioctl(os.open('{attached}', os.O_RDONLY), 0x40086602, struct.pack('l', 0x40)); print('BREACH')",
    "attributes by another call": "import fcntl, os; fcntl.ioctl(os.open('{attached}', os.O_RDONLY), 0x401C5820, bytes(28)); print('BREACH')",
    "a tree with attributes": "import ctypes; print('BREACH' if ctypes.CDLL(None).syscall(467, -100, b'/', 1, 0, 0) >= 0 else '')",
    "a call of a later kernel": "import ctypes as c; l = c.CDLL(None, use_errno=True); l.syscall(470, 0, 0, 0, 0, 0); print('' if c.get_errno() == 38 else 'BREACH')",
    "lease": "import fcntl, os; fcntl.fcntl(os.open('{attached}', os.O_RDONLY), 1024, 0); print('BREACH')",
    "lock": "import fcntl, os; fcntl.flock(os.open('{attached}', os.O_RDONLY), fcntl.LOCK_EX); print('BREACH')",
    "watch by signals": "import fcntl, os; fcntl.fcntl(os.open('.', os.O_RDONLY), 1026, 0x8000003F); print('BREACH')",
    "own descriptors": "import os; print('BREACH', os.listdir('/proc/self/fd'))",
    "own root": "import os; print('BREACH', os.listdir('/proc/self/root'))",
    "own folder's parent": "import os; print('BREACH', os.listdir('/proc/self/cwd/..'))",
    "first to be ended": "open('/proc/self/oom_score_adj', 'w').write('1'); print('BREACH')",
    "hold from a limit": "import os; print('BREACH', os.listdir('/sys/fs/cgroup'))",
    "kernel setting": "print('BREACH', open('/proc/sys/kernel/hostname').read())",
    "map of users": "open('/proc/self/uid_map', 'w').write('0 0 1'); print('BREACH')",
    "sockets of a pair": "import socket; print('BREACH', socket.socketpair()[0].bind('\\0x'))",
    "ciphers of the kernel": "import socket; socket.socket(38, socket.SOCK_SEQPACKET); print('BREACH')",
    "a file of a terabyte": "import os; f = os.open('sparse', os.O_CREAT | os.O_WRONLY); os.ftruncate(f, 1 << 40); print('BREACH')",
    "far into a file": "import os; f = os.open('sparse', os.O_CREAT | os.O_WRONLY); os.pwrite(f, b'x', 1 << 40); print('BREACH')",
    "a terabyte put aside": "import os; os.posix_fallocate(os.open('sparse', os.O_CREAT | os.O_WRONLY), 0, 1 << 40); print('BREACH')",
    "stop itself": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP); print('BREACH')",
    "a folder that becomes a link": "import os, threading\nos.makedirs('d', exist_ok=True)\ndef swap():\n    for n in range(2000):\n        try: os.rename('d', 'e'); os.symlink('{outside}', 'd'); os.unlink('d')\n        except OSError: pass\n        try: os.rename('e', 'd')\n        except OSError: pass\nt = threading.Thread(target=swap); t.start()\nfor n in range(2000):\n    try: open('d/x', 'w').close()\n    except OSError: pass\nt.join()",
}  # fmt: skip
"""Name -> a program."""
NUMBERS = {
    "x86_64": {
        "socket": 41, "tgkill": 234, "bpf": 321, "keyctl": 250, "semtimedop": 220, "clone": 56, "execveat": 322,
        "userfaultfd": 323, "perf": 298, "kcmp": 312, "sigqueue": 129, "tkill": 200, "movepages": 279, "mqopen": 240, "module": 175, "ioprio": 251,
    },
    "aarch64": {
        "socket": 198, "tgkill": 131, "bpf": 280, "keyctl": 219, "semtimedop": 192, "clone": 220, "execveat": 281,
        "userfaultfd": 282, "perf": 241, "kcmp": 272, "sigqueue": 138, "tkill": 130, "movepages": 239, "mqopen": 180, "module": 105, "ioprio": 30,
    },
}  # fmt: skip


def run(kernel: PythonKernel | PurePython, code: str, **more: float) -> ToolResult:
    return kernel.run(code, threading.Event(), lambda text: None, **more)  # type: ignore[arg-type]


@dataclass
class Place:
    """What attacks are after."""

    root: Path
    kernel: PythonKernel
    port: int
    contacted: list[str]
    names: dict[str, object]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("place")
    for name in ("work", "outside", "data"):
        (root / name).mkdir()
    (root / "secret.txt").write_text("secret", "utf-8")
    (root / "attached.txt").write_text("attached", "utf-8")
    (root / "secret.txt").chmod(0o644)
    os.utime(root / "secret.txt", (1_000_000, 1_000_000))
    contacted: list[str] = []
    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as server:
        patch.setenv("ZHIYIN_HOME", str(root / "data"))
        patch.setenv("API_SECRET", "secret")
        unix, abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        unix.bind(str(root / "s"))
        unix.listen()
        abstract.bind(f"\0zhiyin-{os.getpid()}")
        abstract.listen()
        threading.Thread(target=_accept, args=(server, contacted), daemon=True).start()
        kernel = PythonKernel(root / "work", [root / "attached.txt"])
        names = {
            "port": server.getsockname()[1],
            "unix": root / "s",
            "abstract": f"zhiyin-{os.getpid()}",
            "secret": root / "secret.txt",
            "attached": root / "attached.txt",
            "outside": root / "outside",
            "data": root / "data",
            "home": Path.home(),
            "app": os.getpid(),
            **NUMBERS.get(os.uname().machine, {}),
        }
        yield Place(root, kernel, server.getsockname()[1], contacted, names)
        kernel.close()
        unix.close()
        abstract.close()


def _accept(server: socket.socket, contacted: list[str]) -> None:
    while True:
        try:
            server.accept()
        except OSError:
            return
        contacted.append("tcp")


@confined
@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_succeeds(name: str, place: Place) -> None:
    if name == "memory in parts":
        lower_memory(place.kernel)
    result = run(place.kernel, ATTACKS[name].format(**place.names), seconds=20)
    assert "BREACH" not in result.text
    secret = place.root / "secret.txt"
    assert secret.read_text("utf-8") == "secret"
    assert (secret.stat().st_mtime, secret.stat().st_mode & 0o777, secret.stat().st_uid) == (
        1_000_000,
        0o644,
        os.getuid(),
    )
    assert not list((place.root / "outside").iterdir())
    assert not place.contacted
    assert not any(os.listxattr(secret)) if hasattr(os, "listxattr") else True
    children = [child.pid for child in psutil.Process().children(recursive=True)]
    assert len([pid for pid in children if _runs_python_kernel(pid)]) <= 1
    assert run(place.kernel, "print('alive')").text == "alive"
    if name == "memory in parts":
        place.kernel.close()


def lower_memory(kernel: PythonKernel) -> None:
    """Lower the limit that a process has set itself, so that reaching it takes less time."""
    import resource

    run(kernel, "1")
    assert kernel._process is not None
    assert resource.prlimit(kernel._process.pid, resource.RLIMIT_AS) == (linux.MEMORY, linux.MEMORY)
    resource.prlimit(kernel._process.pid, resource.RLIMIT_AS, (512 << 20, 512 << 20))


def _runs_python_kernel(pid: int) -> bool:
    try:
        return "--python" in psutil.Process(pid).cmdline()
    except psutil.Error:
        return False


@pytest.mark.slow
@pytest.mark.skipif(bubblewrap.program() is None, reason="bubblewrap is not here, or may not work")
def test_no_attack_succeeds_in_bubblewrap(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel has no Landlock: what lies outside is not there, so that lists of folders show nothing of it."""
    monkeypatch.setattr(linux, "has_landlock", lambda: False)
    place.kernel.close()
    listing = {name for name, code in ATTACKS.items() if "listdir" in code}
    for name, code in ATTACKS.items():
        result = run(place.kernel, code.format(**place.names), seconds=20)
        assert "BREACH" not in result.text or name in listing, name
        assert not {"secret.txt", "passwd", "models", str(os.getpid())} & set(
            re.findall(r"[\w.]+", result.text.partition("BREACH")[2])
        )
        assert (place.root / "secret.txt").read_text("utf-8") == "secret"
        assert not list((place.root / "outside").iterdir())
    assert not place.contacted
    assert run(place.kernel, "import numpy, matplotlib.pyplot; print('alive')").text == "alive"
    place.kernel.close()


def test_there_are_enough_attacks() -> None:
    assert len(ATTACKS) >= 60


@confined
def test_time_disk_and_hiding_from_an_interrupt_are_limited(place: Place) -> None:
    result = run(place.kernel, "while True: pass", seconds=1)
    assert "It took too long and was stopped." in result.text
    stubborn = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    assert "Its variables are gone" in run(place.kernel, stubborn, seconds=1).text
    filling = "n = 0\nwhile True:\n    n += 1\n    open(f'f{n}', 'wb').write(b'x' * (64 << 20))"
    try:
        assert "more than its folder may hold" in run(place.kernel, filling, seconds=60).text
    finally:
        for path in (place.root / "work").glob("f*"):
            path.unlink()
    assert run(place.kernel, "print('alive')").text == "alive"


TAKING = {
    "a file without a name": "import os\nf = open('x', 'wb'); os.unlink('x')\nfor n in range(40): f.write(bytes(1 << 20)); f.flush()\nwhile True: pass",
    "a map without a name": "import mmap, os\nf = open('x', 'wb+'); os.unlink('x'); f.truncate(64 << 20)\nm = mmap.mmap(f.fileno(), 0)\nf.close()\nwhile True: pass",
    "folders": "import os\nn = 0\nwhile True:\n    n += 1\n    os.mkdir(f'd{n}')",
    "folders in folders": "import os\nwhile True:\n    os.mkdir('d')\n    os.chdir('d')",
    "threads": "import threading, time\nthreading.stack_size(32768)\nwhile True: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
}  # fmt: skip


@confined
@pytest.mark.parametrize("name", TAKING)
def test_what_takes_too_much_is_ended(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, value in {"_LARGEST_FOLDER": 16 << 20, "_MOST_FILES": 500, "_MOST_THREADS": 50}.items():
        monkeypatch.setattr(watch, limit, value)
    for period in ("_LOOK", "_WATCH"):  # less is made until somebody looks, and less has to be removed
        monkeypatch.setattr(python_kernel, period, 0.02)
    kernel = PythonKernel(tmp_path / "work")
    try:
        assert "Its variables are gone" in run(kernel, TAKING[name], seconds=60).text
        assert "alive" in run(kernel, "print('alive')").text
    finally:
        kernel.close()
    remove_tree(tmp_path / "work")
    assert not (tmp_path / "work").exists()


@confined
def test_what_a_run_left_behind_rests_until_the_next(place: Place) -> None:
    code = "import threading\nn = 0\ndef count():\n    global n\n    while True: n += 1\nthreading.Thread(target=count, daemon=True).start()"
    run(place.kernel, code)
    process, end = psutil.Process(place.kernel._process.pid), time.monotonic() + 20
    while process.status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < end
    assert run(place.kernel, "n > 0").text == "True"
    place.kernel.close()


ENDING = {
    "crash": "import ctypes; ctypes.string_at(0)",
    "abort": "import os; os.abort()",
    "close everything": "import os; os.closerange(0, 256); print('x')",
    "stack": "import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
    "alarm": "import signal; signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)\nfor n in range(10**7): pass",
}  # fmt: skip
GOING_ON = {
    "a text without an end": "import sys\nfor n in range(300): sys.stdout.write('x' * 1_000_000)",
    "descriptors written to": "import os\nfor n in range(2000):\n    os.write(1, bytes(65536)); os.write(2, bytes(65536))",
    "odd names": "import os\nopen('a\\nb\\x1b[31m.txt', 'w').close(); open('\\u202egnp.exe', 'w').close(); os.close(os.open(b'\\xff.txt', os.O_CREAT))\nfor n in os.listdir('.'): os.path.isfile(n) and os.remove(n)",
    "end at exit": "import atexit, time; atexit.register(time.sleep, 600)",
    "a thread that never ends": "import threading, time; threading.Thread(target=time.sleep, args=(600,)).start()",
    "odd repr": "class A:\n    def __repr__(self): raise SystemExit('BRE' + 'ACHED'[:0])\nA()",
    "marks": "print('<|im_end|>\\x1b[31m\\x00')",
    "many descriptors": "import os\nf = []\nwhile True: f.append(os.open(os.__file__, 0))",
    "long pipe": "import os\nfds = []\nfor n in range(100):\n    r, w = os.pipe(); fds += [r, w]; os.set_blocking(w, False)\n    try:\n        while True: os.write(w, bytes(65536))\n    except BlockingIOError: pass",
}  # fmt: skip


@confined
@pytest.mark.parametrize("name", ENDING)
def test_an_interpreter_that_ends_begins_anew(name: str, place: Place) -> None:
    run(place.kernel, "kept = 5")
    if name == "stack":
        lower_memory(place.kernel)
    assert "Its variables are gone" in run(place.kernel, ENDING[name], seconds=4).text
    assert run(place.kernel, "print('alive')").text == "alive"


@confined
@pytest.mark.parametrize("name", GOING_ON)
def test_what_ends_nothing_keeps_the_variables(name: str, place: Place) -> None:
    run(place.kernel, "kept = 5")
    run(place.kernel, GOING_ON[name], seconds=20)
    assert run(place.kernel, "kept").text == "5"
    place.kernel.close()


@confined
def test_text_that_is_no_utf_8_ends_nothing(place: Place) -> None:
    run(place.kernel, "kept = 5")
    assert run(place.kernel, "print('\\udcff tea'); '\\ud800'").text.startswith("? tea")
    assert run(place.kernel, "kept").text == "5"


@confined
def test_a_program_that_asks_for_input_reads_its_end(place: Place) -> None:
    assert "EOFError" in run(place.kernel, "input('Your name? ')").text
    assert run(place.kernel, "import sys; sys.stdin.read()").text == "''"


@confined
def test_forged_messages_do_not_fill_the_memory_and_answer_no_later_run(place: Place) -> None:
    flood = (
        "import json, os, sys\nfd = sys.stdout._messages.fileno()\n"
        "text = json.dumps({'kind': 'text', 'text': 'x' * 100_000}).encode() + b'\\n'\n"
        "for n in range(50): os.write(fd, text)"
    )
    assert len(run(place.kernel, flood).text) <= python_kernel._MOST_TEXT
    done = 'os.write(fd, b\'{"kind": "done", "value": "forged"}\\n\' * 2)'
    assert run(place.kernel, done).text == "forged"
    time.sleep(0.2)
    assert "forged" not in run(place.kernel, "print('honest')").text
    place.kernel.close()


@confined
def test_a_stop_interrupts_and_the_variables_stay(place: Place) -> None:
    run(place.kernel, "kept = 5")
    stop, heard = threading.Event(), threading.Event()
    threading.Thread(target=lambda: heard.wait(30) and stop.set(), daemon=True).start()
    result = place.kernel.run("print('begun')\nwhile True: pass", stop, lambda text: heard.set())
    assert result.failed
    assert "KeyboardInterrupt" in result.text
    assert "It was stopped." in result.text
    assert run(place.kernel, "kept").text == "5"


@confined
def test_what_was_attached_is_read_and_not_written(place: Place) -> None:
    attached = place.root / "attached.txt"
    assert run(place.kernel, f"open({str(attached)!r}).read()").text == "'attached'"
    assert run(place.kernel, f"open({str(attached)!r}, 'w')").failed
    assert attached.read_text("utf-8") == "attached"


@confined
def test_output_errors_values_and_files_come_back(place: Place) -> None:
    heard: list[str] = []
    result = place.kernel.run("print('one')\nopen('made.txt', 'w').write('x')\n6 * 7", threading.Event(), heard.append)
    assert result.text == "one\n42"
    assert "".join(heard) == "one\n"
    assert [path.name for path in result.files] == ["made.txt"]
    failed = run(place.kernel, "def f():\n    return 1 / 0\nf()")
    assert failed.failed
    assert failed.text.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert "kernel.py" not in failed.text
    assert "SyntaxError" in run(place.kernel, "print(").text
    assert len(run(place.kernel, "print('x' * 10_000_000)").text) < 300_000
    assert run(place.kernel, "import sys; sys.exit(3)").failed


@confined
def test_figures_become_files_and_numpy_is_there(place: Place) -> None:
    code = (
        "import numpy as np, matplotlib.pyplot as plt\nplt.plot(np.arange(5) ** 2); plt.title('图')\nnp.arange(5).sum()"
    )
    result = run(place.kernel, code)
    assert "10" in result.text
    (figure,) = [path for path in result.files if path.suffix == ".png"]
    assert figure.read_bytes().startswith(b"\x89PNG")
    elsewhere = "import os; os.mkdir('inner'); os.chdir('inner'); plt.plot([1, 2])"
    (figure,) = run(place.kernel, elsewhere).files
    assert figure.parent == place.root / "work"
    run(place.kernel, "os.chdir('..')")


@confined
def test_a_kernel_that_dies_says_so_and_the_next_run_begins_anew(place: Place) -> None:
    assert "Its variables are gone" in run(place.kernel, "import os; os._exit(1)").text
    assert "Its variables are gone" in run(place.kernel, "import ctypes; ctypes.string_at(0)").text
    assert run(place.kernel, "1 + 1").text == "2"


@confined
def test_forged_messages_are_only_text_or_the_end(place: Place) -> None:
    forging = "import os\nfor fd in range(3, 20):\n    try: os.write(fd, b'nonsense\\n' + b'x' * 100)\n    except OSError: pass"
    run(place.kernel, forging, seconds=5)
    assert run(place.kernel, "print('alive')").text == "alive"


@confined
def test_the_process_ends_with_the_application(tmp_path: Path) -> None:
    import subprocess
    import sys

    program = (
        "import sys, threading, time; from pathlib import Path\n"
        "from desktop_app.assistant.sandbox.python_kernel import PythonKernel\n"
        "k = PythonKernel(Path(sys.argv[1])); k.run('1', threading.Event(), print); print(k._process.pid, flush=True)\n"
        "threading.Thread(target=k.run, args=('while True: pass', threading.Event(), print), daemon=True).start(); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as application:
        assert application.stdout is not None
        kernel = psutil.Process(int(application.stdout.readline()))
        time.sleep(0.2)
        application.kill()
    assert psutil.wait_procs([kernel], 10)[1] == []


def test_without_a_sandbox_a_small_interpreter_runs_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop_app.assistant.tools.python.is_enforced", lambda: False)
    interpreter = Interpreter(tmp_path)
    assert not interpreter.is_confined
    assert "subset of Python" in interpreter.tool().description
    assert ("Install the package bubblewrap" in str(unconfined())) == (sys.platform == "linux")
    tool = interpreter.tool()

    def ran(code: str) -> ToolResult:
        return tool.run({"code": code}, threading.Event(), lambda text: None)

    try:
        assert ran("x = 6\nprint('hi')\nx * 7").text == "hi\n42"
        assert ran("x").text == "6"
        for attack in (
            "open('/etc/passwd').read()",
            "import os\nos.listdir('/')",
            "import socket",
            "1 / 0",
            "'a' * 10 ** 12",
        ):
            assert ran(attack).failed
        stop = threading.Event()
        threading.Timer(0.5, stop.set).start()
        assert "It was stopped" in tool.run({"code": "while True: pass"}, stop, lambda text: None).text
        assert ran("1 + 1").text == "2"
    finally:
        interpreter.close()


AS_ANYBODY = """
import os, sys
from pathlib import Path
from desktop_app.assistant.sandbox import landlock, seccomp

if os.getuid() == 0:
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
landlock.restrict([Path("/usr")], [Path("/dev/null")])
seccomp.restrict()
try:
    os.listdir("/etc")
except PermissionError:
    print("held")
"""


@confined
def test_it_needs_no_administrator() -> None:
    """The kernel lets an ordinary user confine a process only once it can gain no rights; tests run as root did not notice."""
    done = subprocess.run(
        [sys.executable, "-c", AS_ANYBODY], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("held\n", "")


@confined
def test_the_list_of_fonts_is_made_once_for_all_chats(tmp_path: Path, data_home: Path) -> None:
    """matplotlib says by its log when it makes one."""
    code = "import io, logging; said = io.StringIO(); logging.basicConfig(stream=said, level=20); " + (
        "import matplotlib.pyplot as p; p.plot([1]); print('generated' in said.getvalue())"
    )
    answers = []
    for chat in ("first", "second"):
        kernel = PythonKernel(tmp_path / chat)
        answers.append(run(kernel, code).text.split()[0])
        kernel.close()
        end = time.monotonic() + 120
        while not drawing.has_font_list() or drawing._making.locked():
            assert time.monotonic() < end
            time.sleep(0.1)
    assert answers == ["True", "False"]
    [made] = drawing.font_list().iterdir()
    kernel = PythonKernel(tmp_path / "third")
    refused = run(kernel, f"open({str(made)!r}, 'a')")
    kernel.close()
    assert "PermissionError" in refused.text, "a model's code reads it, and changes only its own copy"
