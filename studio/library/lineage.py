"""Where an artifact comes from and what came of it. It knows the join tables, not the files."""

import json
import sqlite3
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from studio.library import rows
from studio.types import Artifact, Job

LIMIT = 500  # nodes

# UNION (not ALL) keeps each hash once, so that even a ring (a job that gave back its input) comes to an end.
_ANCESTORS = """
    WITH RECURSIVE up (sha) AS (
        VALUES (?)
        UNION SELECT j.parent FROM up JOIN job_outputs o ON o.artifact = up.sha JOIN jobs j ON j.id = o.job
            WHERE j.parent IS NOT NULL
        UNION SELECT i.artifact FROM up JOIN job_outputs o ON o.artifact = up.sha
            JOIN job_inputs i ON i.job = o.job
        LIMIT ?
    ) SELECT sha FROM up
"""
_DESCENDANTS = """
    WITH RECURSIVE down (sha) AS (
        VALUES (?)
        UNION SELECT o.artifact FROM down JOIN jobs j ON j.parent = down.sha
            JOIN job_outputs o ON o.job = j.id
        UNION SELECT o.artifact FROM down JOIN job_inputs i ON i.artifact = down.sha
            JOIN job_outputs o ON o.job = i.job
        LIMIT ?
    ) SELECT sha FROM down
"""
_EDGES = """
    WITH asked (sha) AS (SELECT value FROM json_each(?))
    SELECT o.artifact AS child, j.parent AS parent, -1 AS place FROM job_outputs o JOIN jobs j ON j.id = o.job
        WHERE o.artifact IN asked AND j.parent IN asked
    UNION SELECT o.artifact, i.artifact, i.position FROM job_outputs o JOIN job_inputs i ON i.job = o.job
        WHERE o.artifact IN asked AND i.artifact IN asked
    ORDER BY place
"""


@dataclass(frozen=True, kw_only=True)
class Node:
    artifact: Artifact
    job: Job | None  # that made it first; None for an import
    parents: tuple[str, ...]  # sha256 of what it branched from, then of its inputs; only those that are nodes too
    depth: int  # 0: the one asked for, -1: its parents, 1: its children ...


@dataclass(frozen=True, kw_only=True)
class Lineage:
    nodes: tuple[Node, ...]  # by depth, then by age
    complete: bool = True  # False: there is more than LIMIT nodes


def trace(connection: sqlite3.Connection, sha256: str, root: Path, limit: int = LIMIT) -> Lineage:
    """Ancestors and descendants, the nearest first where there are more than `limit`. NotFound."""
    rows.find_artifact(connection, sha256, root)
    ancestors = [row["sha"] for row in connection.execute(_ANCESTORS, (sha256, limit + 1))]
    descendants = [row["sha"] for row in connection.execute(_DESCENDANTS, (sha256, limit + 1))]
    reached = list(dict.fromkeys([*ancestors, *descendants]))
    asked = json.dumps(reached[:limit])
    artifacts = {
        row["sha256"]: rows.to_artifact(row, root)
        for row in connection.execute(
            f"SELECT {rows.ARTIFACT} FROM artifacts a WHERE a.sha256 IN (SELECT value FROM json_each(?))",
            (asked,),
        )
    }
    parents: dict[str, list[str]] = defaultdict(list)
    for edge in connection.execute(_EDGES, (asked,)):
        child, parent = edge["child"], edge["parent"]
        if child != parent and parent in artifacts and parent not in parents[child]:
            parents[child].append(parent)
    depths = _depths(sha256, parents)
    jobs = _jobs(connection, artifacts)
    nodes = [
        Node(artifact=a, job=jobs.get(a.job or ""), parents=tuple(parents.get(sha, ())), depth=depths[sha])
        for sha, a in artifacts.items()
        if sha in depths
    ]
    nodes.sort(key=lambda node: (node.depth, node.artifact.created, node.artifact.sha256))
    return Lineage(nodes=tuple(nodes), complete=len(reached) <= limit)


def _depths(sha256: str, parents: Mapping[str, list[str]]) -> dict[str, int]:
    """Steps from the one asked for, upwards negative, by the shortest way."""
    children: dict[str, list[str]] = defaultdict(list)
    for child, above in parents.items():
        for parent in above:
            children[parent].append(child)
    depths = {sha256: 0}
    for edges, step in ((parents, -1), (children, 1)):
        waiting = deque([sha256])
        while waiting:
            at = waiting.popleft()
            for neighbour in edges.get(at, ()):
                if neighbour not in depths:
                    depths[neighbour] = depths[at] + step
                    waiting.append(neighbour)
    return depths


def _jobs(connection: sqlite3.Connection, artifacts: Mapping[str, Artifact]) -> dict[str, Job]:
    wanted = json.dumps(sorted({a.job for a in artifacts.values() if a.job is not None}))
    found = connection.execute("SELECT * FROM jobs WHERE id IN (SELECT value FROM json_each(?))", (wanted,))
    return {row["id"]: rows.to_job(row) for row in found}
