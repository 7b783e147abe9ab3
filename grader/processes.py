"""Calls functions on files that nobody vouches for, in a process with limits of its own.

A file that is damaged or made to do harm can crash, hang or fill the memory of that process
only. This is no sandbox, though: who expects attacks runs the checker in a container.
"""

import contextlib
import json
import multiprocessing
import signal
import time

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

SYSTEMS = "The checker works on Linux and macOS. On Windows, run it in WSL (wsl --install)."
MEMORY = 4 * 2**30  # bytes of address space
LARGEST_FILE, LARGEST_ANSWER = 200 * 2**20, 16 * 2**20  # bytes
SECONDS = 180  # of processor time: int16x8 with 64-bit biases takes some 40 on a slow core
STALLED = 300  # seconds without any processor time after which a process is given up

if resource:
    PROCESSES = multiprocessing.get_context("forkserver")
    # each child imports what the command imports
    PROCESSES.set_forkserver_preload(["grader.check"])


class Unfit(Exception):
    """A file that cannot be used; the message says why."""


def call_all(function, jobs, seconds=SECONDS):
    """Calls `function(*job)` for each job, one after the other, in another process.

    Yields the dict that each call returned, as JSON gives it, or {"problem": what went wrong}. A
    call ends after `seconds` of processor time, whatever else the machine does meanwhile. After
    a crash the next process goes on with the next job.
    """
    jobs = list(jobs)
    while jobs:
        receiver, sender = PROCESSES.Pipe(duplex=False)
        child = PROCESSES.Process(target=_work, args=(function, jobs, seconds, sender))
        child.start()
        sender.close()
        try:
            while jobs:
                if not _answers(receiver, child.pid):
                    problem = "gave no answer"
                    break
                # JSON, since unpickling what the child sends would trust it
                answer = json.loads(receiver.recv_bytes(LARGEST_ANSWER))
                jobs.pop(0)
                yield answer
        except EOFError:
            child.join()
            if child.exitcode == -signal.SIGXCPU:
                problem = f"took more than {seconds:g} s of processor time"
            else:
                problem = f"crashed the program that reads it (exit {child.exitcode})"
        finally:
            child.kill()
            child.join()
            receiver.close()
        if jobs:
            jobs.pop(0)
            yield {"problem": problem}


def _answers(receiver, pid):
    """Waits for an answer; False if the process has stood still for STALLED seconds."""
    import psutil  # does not load where `resource` is missing

    spent, since = -1.0, time.monotonic()
    while not receiver.poll(1):
        with contextlib.suppress(psutil.Error):
            now = sum(psutil.Process(pid).cpu_times()[:2])
            if now > spent:
                spent, since = now, time.monotonic()
        if time.monotonic() - since > STALLED:
            return False
    return True


def _limit(kind, soft, hard=None):
    """Sets a limit of this process where the system knows it; macOS has none on memory."""
    with contextlib.suppress(ValueError, OSError, AttributeError):
        resource.setrlimit(getattr(resource, kind), (soft, soft if hard is None else hard))


def _work(function, jobs, seconds, sender):
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_AS", MEMORY)
    _limit("RLIMIT_FSIZE", LARGEST_FILE)
    for job in jobs:
        # ends a call that does not come back
        used = int(time.process_time() + seconds) + 5
        _limit("RLIMIT_CPU", used, resource.getrlimit(resource.RLIMIT_CPU)[1])
        try:
            answer = function(*job)
        except Unfit as error:
            answer = {"problem": str(error)}
        except MemoryError:
            answer = {"problem": "needs too much memory"}
        except Exception as error:
            reason = next(iter(str(error).splitlines()), "") or type(error).__name__
            answer = {"problem": f"cannot be used: {reason[:80]}"}
        answer = json.dumps(answer).encode()
        if len(answer) > LARGEST_ANSWER:
            answer = b'{"problem": "tells too much"}'
        sender.send_bytes(answer)
