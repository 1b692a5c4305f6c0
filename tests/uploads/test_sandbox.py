"""What the reader of strangers' files can't do, and that it is not waited for beyond its bounds."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from portal.core.uploads import sandbox
from portal.core.uploads.sandbox import Facts, Killed, Kind, probe, read_file
from portal.core.uploads.sandboxed import isolation
from tests.sent_files import quadratic, receipt_pdf, screenshot

HOME = str(Path(sandbox.__file__).parent)
ENTER = f"import os, sys, time; sys.path.insert(0, {HOME!r}); from sandboxed import isolation; isolation.limit_resources(); "


def inside(code: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-I", "-c", ENTER + code, *words], capture_output=True, check=False
    )


def reader_that(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """In place of the reader: a program that does this."""
    monkeypatch.setattr(sandbox, "_START", code)


@pytest.mark.proves("tried S1")
def test_whoever_takes_over_the_reader_can_open_nothing() -> None:
    assert probe() | {"has_own_network": True} == {
        "opens_files": False, "opens_sockets": False, "starts_processes": False, "is_filtered": True,
        "has_own_network": True,
    }  # fmt: skip


@pytest.mark.parametrize("machine", ["x86_64", "riscv64"])
def test_where_nothing_filters_calls_the_limits_still_close_the_doors(tmp_path: Path, machine: str) -> None:
    """A machine whose numbers are not known here: as many containers that forbid seccomp."""
    code = (
        f"import platform; platform.machine = lambda: {machine!r}; found = isolation.close_the_doors();"
        " print(found, isolation.try_the_doors()['opens_files'], isolation.try_the_doors()['opens_sockets'])"
    )
    assert inside(code).stdout.decode().split() == [str(machine == "x86_64"), "False", "False"]


@pytest.mark.proves("F28")
@pytest.mark.parametrize(
    "attempt",
    [
        "os.write(os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY), b'x')",
        "bytearray(10**9)",
        "isolation.close_the_doors(); os.kill(os.getppid(), 0)",
        "isolation.close_the_doors(); os.execv(sys.executable, [sys.executable, '-c', ''])",
        "isolation.close_the_doors(); os.stat('/etc/passwd')",
        "exec('while True: pass')",
    ],
)
def test_the_reader_may_not(attempt: str, tmp_path: Path) -> None:
    done = inside(attempt, str(tmp_path / "written"))
    assert done.returncode != 0
    assert not (tmp_path / "written").exists() or (tmp_path / "written").stat().st_size == 0


def test_the_reader_knows_nothing_of_the_house(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "a secret")
    reader_that(
        monkeypatch,
        "import os, sys, json; os.environ.pop('LC_CTYPE', None); fds = os.listdir('/proc/self/fd'); print(json.dumps({'refused':"
        " f'{len(os.environ)} {os.getcwd()} {len(fds)}'}))",
    )
    assert (
        read_file(Kind.IMAGE, b"x") == "0 / 4"
    )  # Python's own LC_CTYPE aside; three files and the folder that is being listed


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import time; time.sleep(60)", "time"),
        ("import sys\nwhile True: sys.stdout.write('x' * 65536)", "memory"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "memory"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crash"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", "time"),
        ("print('no JSON')", "crash"),
        ("print('[1]')", "crash"),
        ("print('{}')", "crash"),
        ("print('{\"look\":' + '1' * 100_000)", "crash"),
    ],
)
def test_a_reader_that_does_not_end_well_is_ended_and_counted(
    monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    monkeypatch.setattr(sandbox, "DEADLINE_S", 3.0)
    reader_that(monkeypatch, code)
    with pytest.raises(Killed) as killed:
        read_file(Kind.IMAGE, b"x")
    assert killed.value.reason == reason


GOOD = {"look": 1, "seen": "0f" * 32, "width": 1, "height": 1, "pages": 1, "is_blank": True}


@pytest.mark.parametrize(
    "wrong",
    [
        {"look": "1"}, {"look": 99999999999999999999}, {"width": True}, {"height": 99999999999}, {"is_blank": 0},
        {"seen": None}, {"seen": 1}, {"seen": "0f" * 31}, {"seen": "0F" * 32}, {"seen": "0f" * 32 + "\n"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("picture", [r"\xff\xd8\xff\xe0", "<script>"])
def test_what_a_conquered_reader_says_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, wrong: dict[str, object], picture: str
) -> None:
    facts = json.dumps(GOOD | wrong)
    said = f"import sys; sys.stdout.buffer.write({facts!r}.encode() + b'\\n{picture}')"
    reader_that(monkeypatch, said)
    with pytest.raises(Killed):
        read_file(Kind.IMAGE, b"x")
    reader_that(monkeypatch, said.replace(repr(facts), repr(json.dumps(GOOD))))
    if picture.startswith("<"):
        with pytest.raises(Killed):
            read_file(Kind.IMAGE, b"x")
    else:
        assert isinstance(read_file(Kind.IMAGE, b"x"), Facts)


@pytest.mark.proves("tried S1")
def test_the_work_of_reading_is_done_elsewhere() -> None:
    """Not in this process: what is spent here does not grow with what the file costs."""

    def spent(kind: Kind, raw: bytes) -> float:
        before = time.process_time()
        read_file(kind, raw)
        return time.process_time() - before

    large = screenshot("PNG", size=(2000, 3000))
    assert min(spent(Kind.IMAGE, large) for _ in range(2)) < 0.3
    assert min(spent(Kind.PDF, quadratic(60)) for _ in range(2)) < 0.3
    assert isolation.CPU_S < sandbox.DEADLINE_S


def test_a_reader_is_gone_when_its_answer_is_there() -> None:
    read_file(Kind.PDF, receipt_pdf())
    children = [
        pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()
    ]
    assert not [pid for pid in children if b"sandboxed" in Path(f"/proc/{pid}/cmdline").read_bytes()]
