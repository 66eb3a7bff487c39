import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from studio.errors import StudioError
from studio.library import migrations
from studio.library.database import Database
from studio.library.library import Library
from studio.library.query import Query


class TestMigrations:
    @pytest.mark.parametrize("earlier", range(len(migrations.MIGRATIONS)))
    def test_every_earlier_schema_opens_with_its_rows(self, tmp_path: Path, open_library: Any, earlier: int) -> None:
        old = Database(tmp_path / "library" / "library.sqlite")
        assert len(migrations.migrate(old, upto=earlier)) == earlier
        if earlier:
            _write_old_rows(old, tmp_path / "files")
        old.close()
        library: Library = open_library(tmp_path)
        assert library.find(Query(text="glacier")).total == (1 if earlier else 0)
        assert library.find(Query(text="winter")).total == (1 if earlier else 0)
        assert library.find(Query(text="8231")).total == (1 if earlier else 0)
        assert [j.id for j in library.session("image")] == (["old"] if earlier else [])
        assert library.check(repair=False).consistent
        library.close()
        again = Database(tmp_path / "library" / "library.sqlite")
        assert migrations.migrate(again) == ()
        again.close()

    def test_a_newer_library_is_refused_untouched(self, tmp_path: Path, open_library: Any) -> None:
        open_library(tmp_path).close()
        database = Database(tmp_path / "library" / "library.sqlite")
        with database.writing() as connection:
            connection.execute("INSERT INTO migrations VALUES ('m999_from_the_future', 0)")
        database.close()
        with pytest.raises(StudioError, match="newer version"):
            open_library(tmp_path)

    def test_a_file_that_is_no_database_is_one_clear_error(self, tmp_path: Path, open_library: Any) -> None:
        path = tmp_path / "library" / "library.sqlite"
        path.parent.mkdir()
        path.write_bytes(b"this is no database" * 500)
        with pytest.raises(StudioError, match="damaged") as caught:
            open_library(tmp_path)
        assert "Move it away" in caught.value.hint


def _write_old_rows(database: Database, files: Path) -> None:
    """One job, one artifact, one tag, in the columns of the first schema."""
    text = b"glacier"
    sha256 = hashlib.sha256(text).hexdigest()
    (files / sha256[:2]).mkdir(parents=True)
    (files / sha256[:2] / f"{sha256}.txt").write_bytes(text)
    request = json.dumps({"task": "t", "model": "m", "prompt": "glacier", "seed": 1})
    meta = json.dumps({"prompt": "glacier", "seed": 8231})
    with database.writing() as connection:
        connection.execute(
            """
            INSERT INTO jobs (id, request, task, model, prompt, state, panel, "group", position, created,
                step, steps, message, error, hint, device, versions)
            VALUES ('old', ?, 't', 'm', 'glacier', 'done', 'image', '', 0, 1, 0, 0, '', '', '', '', '{}')
            """,
            (request,),
        )
        connection.execute(
            """
            INSERT INTO artifacts (sha256, media_type, file, size, created, job, idx, task, model, meta)
            VALUES (?, 'text/plain', ?, ?, 1, 'old', 0, 't', 'm', ?)
            """,
            (sha256, f"{sha256[:2]}/{sha256}.txt", len(text), meta),
        )
        connection.execute("INSERT INTO job_outputs (job, idx, artifact) VALUES ('old', 0, ?)", (sha256,))
        connection.execute("INSERT INTO tags VALUES (?, 'winter', 0, 'Winter')", (sha256,))
        if connection.execute("SELECT 1 FROM pragma_table_info('artifacts') WHERE name = 'words'").fetchone():
            connection.execute("UPDATE artifacts SET words = 'glacier m winter'")
