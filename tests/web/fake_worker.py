"""Stands in for `mien.web.analyses.worker`: the upload's own text says what to do. Run by path, as a process."""

import json
import os
import signal
import sys
import time
from pathlib import Path


def tell(**answer: object) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201


task = json.loads(sys.stdin.readline())
folder, words = Path(task["folder"]), Path(task["source"]).read_text().split()
assert sorted(p.name for p in folder.iterdir()) == ["upload.bin"], "what a killed process left lies in its way"
(folder / "half").mkdir()
tell(progress={"frames": 0, "done_s": 0.0, "total_s": None})
if words[0] == "wait":  # for as long as the server is there: a test may be slow
    frames, server = 0, os.getppid()
    while os.getppid() == server:
        tell(progress={"frames": frames, "done_s": min(frames / 10, 60), "total_s": 60.0})
        frames += 1
        time.sleep(0.1)
elif words[0] == "crash":
    os.kill(os.getpid(), signal.SIGKILL)
elif words[0] == "memory":
    print("terminate called after throwing an instance of 'std::bad_alloc'", file=sys.stderr)  # noqa: T201
    os.abort()
elif words[0] == "exception":
    raise RuntimeError("a traceback that nobody should see")
elif words[0] == "refuse":
    tell(failed=f"{task['name']}: is not a picture or film that can be read")
elif words[0] == "done":
    (folder / "result").mkdir()
    (folder / "result" / "faces.csv").write_text("x" * 1000)
    (folder / "task.json").write_text(json.dumps(task))
    note = "damaged half-way" if "damaged" in words else None
    done = {"media": "video", "note": note, "headline": f"Nobody in {task['name']}.", "duration_s": 2.5, "people": 0}
    tell(done=done | {"shares": None, "frames": 100 if "long" in words else 5, "looks_per_s": 42.0})
