"""The Celery application, with a folder of ROOT/shared as its broker."""

import os

from celery import Celery

from project import place

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
place.load_environment()

FOLDER = place.SHARED / "queue"
for name in ("messages", "control"):
    (FOLDER / name).mkdir(parents=True, exist_ok=True)

app = Celery("project", broker="filesystem://")
app.conf.update(
    broker_transport_options={
        "data_folder_in": str(FOLDER / "messages"),
        "data_folder_out": str(FOLDER / "messages"),
        "control_folder": str(FOLDER / "control"),
        "polling_interval": 0.2,  # seconds; by default it hears a second later that it shall end
    },
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    worker_hijack_root_logger=False,
)


@app.task
def note(title: str) -> None:
    """Keep a note, and say which commit the worker runs."""
    (place.SHARED / "noted").write_text(f"{place.commit()} {title}\n")
