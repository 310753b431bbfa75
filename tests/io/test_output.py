from __future__ import annotations

import errno
import multiprocessing
import os
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace

import anndata as ad
import h5py
import pytest

import tamannot as tam
from tamannot._progress import Progress
from tamannot.errors import InputFileError, OutputError
from tamannot.io import _output
from tamannot.io._output import check_space, check_target, locked, part_of, replacing
from tamannot.io._targets import Outputs, reserved

pytestmark = pytest.mark.filterwarnings("ignore:Writing zarr v2", "ignore:zarr v3", "ignore:Consolidated metadata")


def _hold(out: Path, pipe: Connection) -> None:
    with replacing(out) as part:
        part.write_text("half")
        pipe.send("held")
        pipe.recv()


@pytest.fixture
def holder(tmp_path):
    """Another process that is writing ``out.csv``, and the pipe that lets it go on."""
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe()
    process = fork.Process(target=_hold, args=(tmp_path / "out.csv", there))
    process.start()
    assert here.recv() == "held"
    yield process, here
    process.kill()
    process.join()


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


class TestTwoRuns:
    def test_the_second_is_told_at_once_and_the_first_goes_on(self, holder, tmp_path):
        out, (process, pipe) = tmp_path / "out.csv", holder
        told = pytest.raises(OutputError, match=rf"another run is writing it \(process {process.pid} on ")
        with told, reserved(tmp_path / "in", Outputs(table=out, overwrite=True)):
            pytest.fail("it was let in")
        pipe.send("go on")
        process.join()
        assert process.exitcode == 0
        assert out.read_text() == "half"
        assert names(tmp_path) == ["out.csv"]

    def test_what_a_killed_run_left_is_removed_by_the_next(self, holder, tmp_path):
        process, _ = holder
        process.kill()
        process.join()
        assert names(tmp_path) == [".out.csv.tamannot-lock", ".out.csv.tamannot-part.csv"]
        with replacing(tmp_path / "out.csv") as part:
            assert not part.exists()
            part.write_text("whole")
        assert names(tmp_path) == ["out.csv"]

    def test_threads_exclude_each_other(self, tmp_path):
        seen: list[str] = []

        def other() -> None:
            try:
                with locked(tmp_path / "out"):
                    seen.append("in")
            except OutputError:
                seen.append("refused")

        with locked(tmp_path / "out"), locked(tmp_path / "out"):  # the same run may claim twice
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
        other()
        assert seen == ["refused", "in"]
        assert names(tmp_path) == []

    def test_a_link_and_what_it_leads_to_are_one_output(self, tmp_path):
        (tmp_path / "link").symlink_to(tmp_path / "out")
        with locked(tmp_path / "out") as one, locked(tmp_path / "link") as other:
            assert one == other

    def test_many_runs_one_after_the_other_lose_nothing(self, tmp_path):
        """Each adds one under the claim; two at once would lose one."""
        count, todo = tmp_path / "count", 4 * 25

        def add() -> None:
            done = 0
            while done < todo // 4:
                try:
                    with locked(count):
                        value = int(count.read_text()) if count.exists() else 0
                        count.write_text(str(value + 1))
                        done += 1
                except OutputError:
                    continue

        threads = [threading.Thread(target=add) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert int(count.read_text()) == todo

    @pytest.mark.parametrize("left", [True, False])
    def test_where_the_system_has_no_locks_a_left_claim_is_for_the_user(self, tmp_path, monkeypatch, left):
        def no_lock(*_: object) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(_output.fcntl, "flock", no_lock)
        if left:
            (tmp_path / ".out.tamannot-lock").touch()
            with (
                pytest.raises(OutputError, match=r"If none is running, remove .*\.out\.tamannot-lock"),
                locked(tmp_path / "out"),
            ):
                pytest.fail("it was let in")
        else:
            with locked(tmp_path / "out"):
                assert names(tmp_path) == [".out.tamannot-lock"]
            assert names(tmp_path) == []

    def test_a_lock_that_is_a_link_is_not_followed(self, tmp_path):
        (tmp_path / "mine").write_text("precious")
        (tmp_path / ".out.tamannot-lock").symlink_to(tmp_path / "mine")
        with pytest.raises(OutputError), locked(tmp_path / "out"):
            pytest.fail("it was let in")
        assert (tmp_path / "mine").read_text() == "precious"


class TestPlace:
    def test_a_link_stays_and_its_target_is_replaced(self, tmp_path):
        (tmp_path / "far").mkdir()
        target, link = tmp_path / "far/real.txt", tmp_path / "out.txt"
        target.write_text("old")
        link.symlink_to(target)
        with replacing(link) as part:
            assert part.parent == tmp_path / "far"  # renaming works within one disk only
            part.write_text("new")
        assert link.is_symlink()
        assert target.read_text() == "new"

    def test_a_link_to_nothing_yet_is_written_through(self, tmp_path):
        (tmp_path / "out.txt").symlink_to(tmp_path / "real.txt")
        check_target(tmp_path / "out.txt", source=tmp_path / "in", overwrite=False)
        with replacing(tmp_path / "out.txt") as part:
            part.write_text("new")
        assert (tmp_path / "real.txt").read_text() == "new"

    def test_links_in_a_circle_and_into_no_folder_are_refused(self, tmp_path):
        (tmp_path / "a").symlink_to(tmp_path / "b")
        (tmp_path / "b").symlink_to(tmp_path / "a")
        (tmp_path / "c").symlink_to(tmp_path / "nowhere/c")
        with pytest.raises(OutputError, match="is a link to itself"):
            check_target(tmp_path / "a", source=tmp_path / "in", overwrite=False)
        with pytest.raises(OutputError, match=r"no folder .*nowhere"):
            check_target(tmp_path / "c", source=tmp_path / "in", overwrite=False)

    def test_rights_of_a_replaced_file_stay(self, tmp_path):
        out = tmp_path / "out.txt"
        out.write_text("old")
        out.chmod(0o640)
        with replacing(out) as part:
            part.write_text("new")
        assert out.stat().st_mode & 0o777 == 0o640

    def test_a_name_too_long_is_an_output_error(self, tmp_path):
        with pytest.raises(OutputError, match="File name too long"), replacing(tmp_path / ("x" * 250)):
            pytest.fail("it was let in")


class TestFolders:
    @pytest.fixture
    def old(self, tmp_path) -> Path:
        (tmp_path / "out.zarr").mkdir()
        (tmp_path / "out.zarr/old").touch()
        return tmp_path / "out.zarr"

    @pytest.mark.parametrize("one_step", [True, False])
    def test_a_folder_is_replaced_whole(self, old, tmp_path, monkeypatch, one_step):
        if not one_step:
            monkeypatch.setattr(_output.ctypes, "CDLL", lambda _: SimpleNamespace(renameat2=lambda *_: -1))
        with replacing(old) as part:
            part.mkdir()
            (part / "new").touch()
        assert names(old) == ["new"]
        assert names(tmp_path) == ["out.zarr"]

    def test_a_folder_takes_the_place_of_a_file(self, tmp_path):
        (tmp_path / "out.zarr").touch()
        with replacing(tmp_path / "out.zarr") as part:
            part.mkdir()
        assert (tmp_path / "out.zarr").is_dir()

    def test_a_run_killed_between_two_steps_is_undone_by_the_next(self, old, tmp_path):
        old.rename(tmp_path / ".out.zarr.tamannot-old")
        with pytest.raises(ZeroDivisionError), replacing(old):
            raise ZeroDivisionError
        assert names(old) == ["old"]
        assert names(tmp_path) == ["out.zarr"]

    def test_a_failed_second_step_puts_the_old_back(self, old, tmp_path, monkeypatch):
        def remove(_: int, new: bytes, *__: object) -> int:  # nothing is left to move
            Path(os.fsdecode(new)).rmdir()
            return -1

        monkeypatch.setattr(_output.ctypes, "CDLL", lambda _: SimpleNamespace(renameat2=remove))
        with pytest.raises(OutputError), replacing(old) as part:
            part.mkdir()
        assert names(old) == ["old"]
        assert names(tmp_path) == ["out.zarr"]


class TestSpace:
    def test_too_little_is_told_before_any_work(self, example_file, tmp_path, monkeypatch):
        def never(*_: object) -> None:
            raise AssertionError

        free = _output.shutil.disk_usage(tmp_path)._replace(free=3_000_000)
        monkeypatch.setattr(_output.shutil, "disk_usage", lambda _: free)
        monkeypatch.setattr("tamannot.io._annotate.open_file", never)
        with pytest.raises(OutputError, match=r"No space left on device: 3 MB are free, about 4 MB are needed"):
            tam.annotate_file(example_file, tmp_path / "out.h5ad")
        assert names(tmp_path) == []

    def test_a_folder_counts_with_all_its_files(self, tmp_path):
        (tmp_path / "in.zarr/X").mkdir(parents=True)
        (tmp_path / "in.zarr/X/0").write_bytes(bytes(1000))
        (tmp_path / "in.zarr/a").write_bytes(bytes(10))
        assert _output.size_of(tmp_path / "in.zarr") == 1010

    def test_a_source_that_is_not_there_passes(self, tmp_path):
        check_space(tmp_path / "out.h5ad", source=tmp_path / "in.h5ad")


class TestDamage:
    def test_a_broken_index_of_chunks_is_the_inputs_fault(self, rich, put, tmp_path, annotate_by_hand):
        source = tmp_path / "in.h5ad"
        rich.write_h5ad(source, compression="gzip")
        source.write_bytes(source.read_bytes().replace(b"TREE\x01", b"XXXX\x01"))
        with pytest.raises(InputFileError, match=r"in\.h5ad: cannot be copied; it is damaged"):
            put(source, tmp_path / "out.h5ad", annotate_by_hand(rich))
        assert names(tmp_path) == ["in.h5ad"]

    def test_a_corrupt_block_is_found_in_reading(self, example_file, tmp_path, bytes_of):
        source = tmp_path / "in.h5ad"
        content = bytearray(example_file.read_bytes())
        with h5py.File(example_file) as file:
            data = file["X/data"]
            where = data.id.get_chunk_info(data.id.get_num_chunks() // 2)
        content[where.byte_offset : where.byte_offset + 200] = bytes(200)
        source.write_bytes(content)
        before = bytes_of(source)
        with pytest.raises(InputFileError, match=r"in\.h5ad: X/data is damaged: entries .* cannot be read"):
            tam.annotate_file(source, tmp_path / "out.h5ad")
        assert bytes_of(source) == before
        assert names(tmp_path) == ["in.h5ad"]

    def test_a_truncated_file_is_refused(self, example_file, tmp_path):
        (tmp_path / "in.h5ad").write_bytes(example_file.read_bytes()[:-100_000])
        with pytest.raises(InputFileError):
            tam.annotate_file(tmp_path / "in.h5ad", tmp_path / "out.h5ad")
        assert names(tmp_path) == ["in.h5ad"]

    @pytest.mark.parametrize("end", ["h5ad", "zarr"])
    def test_a_truncated_block_of_zarr_in_copying(self, rich, put, tmp_path, end, annotate_by_hand):
        with ad.settings.override(zarr_write_format=2):
            rich.write_zarr(tmp_path / "in.zarr")
        block = tmp_path / "in.zarr/X/data/0"
        block.write_bytes(block.read_bytes()[:20])
        if end == "zarr":  # copied as it is: nothing is lost that was there
            put(tmp_path / "in.zarr", tmp_path / "out.zarr", annotate_by_hand(rich))
            assert (tmp_path / "out.zarr/X/data/0").read_bytes() == block.read_bytes()
        else:
            with pytest.raises(InputFileError, match="damaged"):
                put(tmp_path / "in.zarr", tmp_path / "out.h5ad", annotate_by_hand(rich))
            assert names(tmp_path) == ["in.zarr"]

    def test_a_file_of_a_folder_that_may_not_be_read(self, rich, put, tmp_path, monkeypatch, annotate_by_hand):
        rich.write_zarr(tmp_path / "in.zarr")

        def refuse(start: Path, end: Path) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(start))

        monkeypatch.setattr("tamannot.io._containers.shutil.copyfile", refuse)
        with pytest.raises(InputFileError, match=r"cannot be copied.*Permission denied"):
            put(tmp_path / "in.zarr", tmp_path / "out.zarr", annotate_by_hand(rich))


def test_a_copy_that_has_begun_is_gone_when_a_run_fails(example_file, tmp_path):
    part = part_of(tmp_path / "out.h5ad")

    class Interrupted(Progress):
        def __call__(self, stage: str, total: int = 0) -> None:
            if stage == "calling":
                while not part.exists():  # the copy begins in a thread of its own
                    time.sleep(0.01)
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tam.annotate_file(example_file, tmp_path / "out.h5ad", report=Interrupted())
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="names of open files are read from /proc")
def test_the_disk_has_all_files_before_they_take_their_name(tmp_path, monkeypatch):
    synced: list[tuple[str, list[str]]] = []

    def sync(handle: int) -> None:
        synced.append((str(Path(f"/proc/self/fd/{handle}").readlink()), names(tmp_path)))

    monkeypatch.setattr(os, "fsync", sync)
    with replacing(tmp_path / "out.zarr") as part:
        part.mkdir()
        (part / "a").write_text("one")
    before = {place for place, there in synced if "out.zarr" not in there}
    assert before == {str(part), str(part / "a")}
    assert synced[-1][0] == str(tmp_path)  # and the name itself


def test_a_bug_of_ours_is_not_called_damage(rich, put, tmp_path, annotate_by_hand):
    rich.write_h5ad(tmp_path / "in.h5ad")
    annotate_by_hand(rich).uns["tamannot"]["tam"] = {"no": object()}
    with pytest.raises(Exception, match="No method registered") as caught:
        put(tmp_path / "in.h5ad", tmp_path / "out.h5ad", rich)
    assert not isinstance(caught.value, tam.errors.TamannotError)
    assert names(tmp_path) == ["in.h5ad"]
