"""What a server that is killed had in work, another of the same database does; each upload is done once."""

from pathlib import Path

import pytest

from two_servers import dask, uploads_and_a_kill

pytestmark = [pytest.mark.more, pytest.mark.process, pytest.mark.extras]

UPLOADS = 10


def test_what_a_killed_server_had_on_a_worker_is_done_for_the_other_and_all_is_done_once(postgres: str, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with dask(1, tmp_path / "dask.log") as address:
        found = uploads_and_a_kill(postgres, tmp_path, UPLOADS, address)
    assert [job["state"] for job in found.ended] == ["done"] * UPLOADS
    assert list(found.done.values()) == [1] * UPLOADS
    assert list(found.begun.values()) == [1 + (job in found.twice) for job in found.begun]
    assert len(found.twice) == 1
    for job in found.begun:
        folder = tmp_path / "data" / "jobs" / job
        assert {path.name for path in folder.iterdir()} == {"result", "stills", "timeline.npz"}
    assert "Traceback" not in found.said
