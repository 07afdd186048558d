"""What DBOS has no public verb for: who has one operation. Its private parts, as of dbos 3.4."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from dbos._core import execute_dequeued_workflow
from dbos._dbos import _get_dbos_instance
from dbos._utils import GlobalParams

PENDING = "PENDING"


def put_back(id: str, executors: list[str], queue: str) -> None:
    """Put one operation of these executors back into its queue; DBOS does it with all of theirs."""
    _get_dbos_instance()._sys_db.reenqueue_for_recovery(id, executors, queue)


def take(dead: str, me: str, only: Collection[str] | None = None) -> list[str]:
    """Go on, at once, with what a dead executor was at, or with some of it; return what that was.

    DBOS puts it into its queue, where all workers reach for it. Each of them leaves it to the one
    next to whose data the playbook runs, which has to be the quickest once, before the playbook
    ends because nobody looks after it. As in DBOS's own dequeue one conditional statement takes an
    operation: of two who try it one finds the row.
    """
    dbos = _get_dbos_instance()
    db, rows, taken = dbos._sys_db, dbos._sys_db.tables.workflow_status, list[str]()
    for found in db.get_pending_workflows(dead, GlobalParams.app_version):
        id, token = found.workflow_id, str(uuid.uuid4())
        if only is not None and id not in only:
            continue
        its = (rows.c.workflow_uuid == id, rows.c.status == PENDING, rows.c.executor_id == dead)
        claim = rows.update().where(*its)
        claim = claim.values(
            executor_id=me, owner_xid=token, recovery_attempts=rows.c.recovery_attempts + 1,
            started_at_epoch_ms=db._now_ms_sql(), updated_at=db._now_ms_sql(),
        )  # fmt: skip
        with db.engine.begin() as c:
            if not c.execute(claim).rowcount:
                continue
        taken.append(id)
        if status := db.get_workflow_status(id):
            execute_dequeued_workflow(dbos, status, token)
    return taken
